"""Intro, recap and credits from what episodes share and from what is written."""

from __future__ import annotations

import numpy as np
import pytest

from model.video import TimeSpan
from pipelines.findings import Shot, Status
from pipelines.series import BLOCK_S, Measured, Series, pack
from pipelines.signals.fingerprint import WORD_S
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.parts import find_parts
from pipelines.tasks.parts_repeats import shared_with
from pipelines.texts import ScreenText

WIDTH = 64


class Maker:
    """Episodes from stretches: (name, seconds); equal names look and sound the same, `None` is like nothing else."""

    def __init__(self, folder):
        self.blobs, self.rng, self.count, self.known = FolderBlobs(folder), np.random.default_rng(1), 0, {}

    def episode(self, *parts, texts=(), eyes=True):
        self.count += 1
        words, looks = (np.concatenate(column) for column in zip(*(self._part(*part) for part in parts), strict=True))
        name, length_s = f"e{self.count}", len(looks)
        for block in range(int(np.ceil(length_s / BLOCK_S))):
            own = [
                (Series(np.arange(len(v)) * step + step / 2, v)).within(60.0 * block, 60.0 * block + 60)
                for v, step in ((words, WORD_S), (looks, 1.0))
            ]
            self.blobs.put(f"{name}/{block:06d}.npz", pack({"sound.fingerprint": own[0]}))
            self.blobs.put(f"{name}-eyes/{block:06d}.npz", pack({"eyes.embedding": own[1]}))
        return Measured(self.blobs, name, float(length_s), features=f"{name}-eyes" if eyes else "", texts=tuple(texts))

    def _part(self, name, seconds, first_s=0):
        if name not in self.known or name is None:
            words = self.rng.integers(1, 2**32, 200 * 25, dtype=np.uint32)
            looks = self.rng.normal(size=(200, WIDTH))
            self.known[name] = words, (looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float16)
        words, looks = self.known[name]
        return words[first_s * 25 : (first_s + seconds) * 25], looks[first_s : first_s + seconds]


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path)


def spans(result):
    return {f.kind: (round(f.span.start_s, 1), round(f.span.end_s, 1)) for f in result.findings}


def test_what_most_episodes_share_near_the_begin_is_the_intro_and_near_the_end_the_credits(make):
    one = make.episode((None, 30), ("tune", 20), (None, 150), ("end", 25))
    others = [make.episode(("tune", 20), (None, 170), ("end", 25)), make.episode((None, 60), ("tune", 20), (None, 140), ("end", 25))]
    shots = [Shot(TimeSpan(a, b), "cut") for a, b in ((0, 30), (30, 50), (50, 200), (200, 225))]

    result = find_parts(one, shots, others)

    assert spans(result) == {"intro": (30, 50), "credits": (200, 225)}
    assert all(f.score > 0.9 for f in result.findings)
    assert {cue.name for cue in result.findings[0].evidence} == {"sound", "pictures"}
    assert "2 of 2 other episodes" in result.findings[0].explanation


def test_either_sound_or_eyes_will_do(make):
    parts = ((None, 30), ("tune", 20), (None, 150))
    deaf_or_blind = find_parts(make.episode(*parts, eyes=False), [], [make.episode(*parts[1:], eyes=False)])

    assert spans(deaf_or_blind)["intro"] == pytest.approx((30, 50), abs=0.5)


def test_a_recap_is_made_of_pieces_of_other_episodes(make):
    before = make.episode((None, 40), ("a", 20), ("b", 20), ("c", 20), ("tune", 15), (None, 190))
    now = make.episode(("a", 5, 3), ("b", 5, 9), ("c", 5, 2), ("tune", 15), (None, 170))

    found = {f.kind: f for f in find_parts(now, [], [before]).findings}

    assert (found["recap"].span.start_s, found["recap"].span.end_s) == pytest.approx((0, 15), abs=1.0)
    assert found["intro"].span.start_s == pytest.approx(15, abs=1.0)
    assert "recap" not in spans(find_parts(before, [], [now]))  # the episode that was quoted is none


def test_strangers_share_nothing_and_the_task_says_what_it_lacked(make):
    one, other = make.episode((None, 200)), make.episode((None, 180))

    assert shared_with(one, other) == []
    result = find_parts(one, [], [other])
    assert result.status is Status.EMPTY and result.reason == "No intro, recap or credits found. No text was read in its pictures."
    assert "Judged without other episodes" in find_parts(one, []).reason


def test_a_spot_in_both_is_no_intro_and_copies_of_a_film_have_none(make):
    one, other = make.episode((None, 30), ("spot", 20), (None, 150)), make.episode((None, 50), ("spot", 20), (None, 100))

    assert find_parts(one, [], [other], ads=[TimeSpan(29, 61)]).findings == ()
    assert find_parts(one, [], [one]).findings == ()


def test_a_tune_that_one_of_three_others_plays_is_no_intro(make):
    one = make.episode((None, 30), ("tune", 20), (None, 150))
    others = [make.episode(("tune", 20), (None, 170)), make.episode((None, 190)), make.episode((None, 190))]

    assert find_parts(one, [], others).findings == ()


def test_credits_are_read_where_no_other_episode_is_there(make):
    box = (0.2, 0.1, 0.8, 0.9)
    written = [ScreenText(TimeSpan(t, t + 5), "Directed by\nJane Roe", 0.9, box, "credits") for t in (170, 176, 185)]
    film = make.episode((None, 200), texts=[ScreenText(TimeSpan(3, 6), "Cast", 0.9, box, "credits"), *written])

    (credits,) = find_parts(film, [Shot(TimeSpan(0, 169.5), "start"), Shot(TimeSpan(169.5, 200), "cut")]).findings

    assert (credits.kind, credits.span.start_s, credits.span.end_s) == ("credits", 169.5, 190)
    assert credits.evidence[0].detail == "3 texts that read like credits"

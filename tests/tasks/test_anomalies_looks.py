"""Memory of looks, and a camera whose lane one day carries something that only a trained encoder could tell from the usual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.series import BLOCK_S, Measured, Series, pack, unpack
from pipelines.tasks.anomalies import AnomalySettings, Normal, find_anomalies, learn_normal
from pipelines.tasks.anomalies_looks import BATCH, CELLS, KEPT, WIDTH, Bank, Gaze, look_from_text, look_to_text, thinned
from pipelines.tasks.anomalies_saving import normal_from_bytes, normal_to_bytes
from tests.tasks.test_anomalies import RATE_HZ, camera, measured

JUDGED = AnomalySettings(warm_up_s=60, warm_up_share=0.9)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def about(place: NDArray[np.float64], spread: float, count: int, seed: int = 0) -> NDArray[np.float32]:
    """(count, 49, 64) looks about one."""
    return unit(place + np.random.default_rng(seed).normal(0, spread, (count, CELLS, WIDTH)))


def one_place(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 1, (CELLS, WIDTH))


def taught_by(looks: NDArray[np.float32]) -> Bank:
    bank = Bank()
    for look in looks:
        bank.offer(look, bank.away(look) if bank.is_ready else np.zeros(CELLS, np.float32))
    return bank


def test_memory_does_not_grow_however_long_the_camera_is_watched():
    bank = taught_by(about(one_place(1), 0.1, 20 * BATCH))

    assert bank.looks.shape == (CELLS, KEPT, WIDTH)
    assert len(bank.waiting) < 2 * BATCH


def test_what_came_once_is_kept_and_what_came_often_is_kept_once():
    usual, rare = about(one_place(1), 0.01, 60), about(one_place(2), 0.01, 1)
    looks = np.concatenate([usual[:20], rare, usual[20:]]).transpose(1, 0, 2)

    kept = thinned(looks, 10)

    assert kept.shape == (CELLS, 10, WIDTH)
    assert np.einsum("ckd,cd->ck", kept, rare[0]).max(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_look_like_none_before_is_strange_and_a_usual_one_is_not():
    bank = taught_by(about(one_place(1), 0.1, 3 * BATCH))

    usual, other = about(one_place(1), 0.1, 1, seed=9)[0], about(one_place(2), 0.1, 1)[0]

    assert np.abs(bank.strangeness(bank.away(usual))).max() < 3
    assert bank.strangeness(bank.away(other)).min() > 10


def test_what_an_alarm_follows_within_its_wait_is_not_learned():
    bank = taught_by(about(one_place(1), 0.1, 2 * BATCH))
    thief = about(one_place(2), 0.1, BATCH)

    for look in thief:
        bank.offer(look, bank.away(look))
    bank.forget()
    for look in about(one_place(1), 0.1, 2 * BATCH, seed=3):
        bank.offer(look, bank.away(look))

    assert bank.strangeness(bank.away(thief[0])).min() > 10


def test_a_look_that_a_person_called_ordinary_is_strange_no_more_in_its_cell():
    bank = taught_by(about(one_place(1), 0.1, 2 * BATCH))
    other = about(one_place(2), 0.1, 1)[0]

    bank.spare(17, look_from_text(look_to_text(other[17])))

    assert bank.away(other)[17] < 0.1
    assert bank.away(other)[18] > 1


def test_light_that_changes_every_look_makes_none_strange():
    bank = taught_by(about(one_place(1), 0.1, 2 * BATCH))
    gaze, shown = Gaze(), np.zeros((7, 7), np.float32)
    shown[3, 3] = 0.2

    lit = about(one_place(1) + 0.5 * one_place(5)[:1], 0.1, 1)[0]
    here = lit.copy()
    here[24] = about(one_place(2), 0.1, 1)[0][24]

    assert gaze.strange(bank, bank.away(gaze.see(lit.reshape(7, 7, WIDTH), shown))).max() < 3
    thing = Gaze()
    strange = thing.strange(bank, bank.away(thing.see(here.reshape(7, 7, WIDTH), shown)))
    assert strange[3, 3] > 4
    assert (strange > 0).sum() == 1


def seen(pictures: NDArray[np.uint8]) -> Measured:
    """As `measured`, with looks: each cell's 8 x 8 patches under a fixed random map, which is an encoder of a kind."""
    known = measured(pictures)
    cut = pictures[::RATE_HZ, :84, :154].reshape(-1, 7, 12, 7, 22).transpose(0, 1, 3, 2, 4).reshape(-1, 7, 7, 264)
    mixing = np.random.default_rng(4).normal(0, 1, (264, WIDTH))
    cells = np.maximum((cut.astype(np.float64) - 100) @ mixing, 0).astype(np.float16)
    times, count = np.arange(len(cells), dtype=np.float64), len(cells)
    classes = np.tile(np.arange(8, dtype=np.int16), (count, 1))
    shares = np.full((count, 8), 0.1, np.float16)
    for block in range(int(np.ceil(count / BLOCK_S))):
        own = slice(int(block * BLOCK_S), int((block + 1) * BLOCK_S))
        series = {"cells": cells, "class": classes, "share": shares}
        known.blobs.put(f"e/{block:06d}.npz", pack({f"eyes.{n}": Series(times[own], v[own]) for n, v in series.items()}))
    return replace(known, features="e", class_names=tuple(f"class {k}" for k in range(1000)))


def striped(from_s: float, to_s: float):
    """The box that crosses every 8 s carries stripes."""

    def change(picture: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        x = int((time_s % 8) * 30) - 20
        if from_s <= time_s < to_s:
            for k in range(max(0, x), min(160, x + 16)):
                picture[50:58, k] = 200 if k % 4 < 2 else 20
        return picture

    return change


def test_what_only_looks_different_rings_with_eyes_and_not_without_and_says_so():
    pictures = camera(260, striped(200, 232))

    with_eyes, without = find_anomalies(seen(pictures), (), JUDGED), find_anomalies(measured(pictures), (), JUDGED)

    assert [f.kind for f in with_eyes.findings] == ["look"]
    assert with_eyes.findings[0].span.start_s == pytest.approx(200, abs=4)
    assert with_eyes.findings[0].evidence[0].name == "look"
    assert "visual encoder" not in with_eyes.reason
    assert without.findings == ()
    assert "no visual encoder has seen the video" in without.reason


def test_a_cue_that_is_not_listened_to_raises_nothing():
    result = find_anomalies(seen(camera(260, striped(200, 232))), (), replace(JUDGED, without=("look",)))

    assert result.findings == ()
    with pytest.raises(ValueError, match="no cue is called smell"):
        AnomalySettings(without=("smell",))


def test_an_alarm_about_looks_that_was_rejected_does_not_ring_again():
    video = seen(camera(260, striped(200, 232)))
    normal = Normal()
    for alarm in find_anomalies(video, (), JUDGED).findings:
        normal = normal.with_false_alarm(alarm)

    assert find_anomalies(video, (), JUDGED, normal).findings == ()


def test_a_normal_remembers_looks_after_being_saved():
    normal = normal_from_bytes(normal_to_bytes(learn_normal(seen(camera(300)))))

    result = find_anomalies(seen(camera(60, striped(20, 44), seed=3)), (), AnomalySettings(), normal)

    assert normal.bank.looks.shape[0] == CELLS
    assert "look" in [f.kind for f in result.findings]


def test_seconds_that_no_encoder_saw_are_judged_by_the_rest():
    video = seen(camera(150))
    block = unpack(video.blobs.get("e/000001.npz"))
    video.blobs.put("e/000001.npz", pack({name: series.within(0, 70) for name, series in block.items()}))

    result = find_anomalies(video, (), JUDGED)

    assert result.findings == ()
    assert result.data["seconds_with_eyes"] < 150
    assert "judged in all but" in result.reason

"""A film becomes a memory: whole, in pieces, or with parts that cannot be decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from model.compression.summary_tokens import Ratios
from model.systems.manifest import Recipe
from model.systems.memory_store import MemoryStore
from model.systems.tiny import write_tiny
from model.systems.video_xl_folder import OpenVideoXL, Question, open_video_xl
from pipelines import viewing
from pipelines.interfaces import StoreUnavailable
from pipelines.remembering import Kept, remember
from pipelines.stores.folder import FolderBlobs
from pipelines.viewing import PREPROCESSING, Sampling, Viewing, view

TEN = Sampling(rate_hz=10)  # 40 pictures of a film of 4 s, 4 windows of 10


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> OpenVideoXL:
    folder = tmp_path_factory.mktemp("tiny")
    return open_video_xl(write_tiny(folder / "checkpoint"), folder / "cache")


@pytest.fixture
def memories(tmp_path: Path) -> MemoryStore:
    return MemoryStore(FolderBlobs(tmp_path))


def recipe_of(system: OpenVideoXL, ratio: str = "8") -> Recipe:
    return system.recipe("ab" * 32, str(TEN), PREPROCESSING, Ratios.parse(ratio))


def seen(film: Callable[[str], Path], system: OpenVideoXL) -> Viewing:
    return view(film("closed.mp4"), TEN, system.encoder.size_px)


def quiet(done_s: float, all_s: float) -> None:
    pass


def assert_same(one: Kept, other: Kept) -> None:
    assert [len(b) for b in one.memory.blocks] == [len(b) for b in other.memory.blocks]
    for a, b in zip((one.memory.sink, *one.memory.blocks), (other.memory.sink, *other.memory.blocks), strict=True):
        assert torch.equal(a.keys, b.keys) and torch.equal(a.values, b.values)
    assert one.manifest.to_json() == other.manifest.to_json()


def test_a_film_is_watched_with_its_own_times(film: Callable[[str], Path], system: OpenVideoXL, memories: MemoryStore) -> None:
    told: list[float] = []

    kept = remember(seen(film, system), system, recipe_of(system), memories, lambda done_s, all_s: told.append(done_s / all_s))

    assert kept.manifest.times_s.tolist() == pytest.approx([np.floor(2.5 * k) / 25 for k in range(40)])
    assert (len(kept.memory.blocks), kept.memory.rows, kept.lost) == (4, len(recipe_of(system).prompt_ids) + 4 * 20, ())
    assert (kept.manifest.is_complete, kept.manifest.covered_s) == (True, 4.0)
    assert told[-1] > 0.9


@pytest.mark.parametrize("ratio", ["8", "random:2,4,8", "3"])
@pytest.mark.parametrize("stretch", [7, 13])
def test_a_watch_that_was_stopped_goes_on_to_the_same_memory(
    film: Callable[[str], Path], system: OpenVideoXL, memories: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    ratio: str, stretch: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(viewing, "STRETCH", stretch)
    whole = remember(seen(film, system), system, recipe_of(system, ratio), MemoryStore(FolderBlobs(tmp_path / "whole")), quiet)

    class Stopped(Exception):
        pass

    def stop(done_s: float, all_s: float) -> None:
        if done_s > 2:
            raise Stopped

    with pytest.raises(Stopped):
        remember(seen(film, system), system, recipe_of(system, ratio), memories, stop)
    encoded: list[int] = []
    told = remember(seen(film, system), system, recipe_of(system, ratio), memories, lambda done_s, all_s: encoded.append(1))

    assert_same(told, whole)
    assert 0 < len(encoded) < 40 / stretch  # not all of it anew


def test_what_was_watched_before_is_not_looked_at_again(film: Callable[[str], Path], system: OpenVideoXL, memories: MemoryStore) -> None:
    first = remember(seen(film, system), system, recipe_of(system), memories, quiet)

    again = remember(seen(film, system), system, recipe_of(system), memories, lambda done_s, all_s: pytest.fail("it was watched again"))

    assert_same(first, again)


def test_a_stretch_that_cannot_be_decoded_is_told_and_the_rest_keeps_its_times(
    film: Callable[[str], Path], system: OpenVideoXL, memories: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "STRETCH", 10)
    film_seen = seen(film, system)
    film_seen.limits = viewing.Limits(memory_bytes=1 << 20)  # no decoder can live in it

    kept = remember(film_seen, system, recipe_of(system), memories, quiet)

    assert len(kept.lost) == 4
    assert kept.lost[0].startswith("from 0.0 to 0.9 s nothing could be decoded: ")
    assert (kept.memory.blocks, kept.manifest.covered_s) == ((), 0.0)


def test_it_is_asked_in_words(film: Callable[[str], Path], system: OpenVideoXL, memories: MemoryStore) -> None:
    memory = remember(seen(film, system), system, recipe_of(system), memories, quiet).memory
    questions = [Question("Who?"), Question("What is sold, and when?", begun="It is ")]

    together = list(system.ask(memory, questions))
    alone = [list(system.ask(memory, [question])) for question in questions]

    for number, said in enumerate(alone):
        assert "".join(s.text for s in together if s.question == number) == "".join(s.text for s in said)
    assert [s.last for s in alone[0]].count(True) == 1


def test_a_store_that_fails_ends_the_watch_and_keeps_what_it_has(film: Callable[[str], Path], system: OpenVideoXL, tmp_path: Path) -> None:
    class Full(FolderBlobs):
        def put(self, key: str, data: bytes) -> None:
            if key.endswith("/00002"):
                raise StoreUnavailable("cannot write: no space left")
            super().put(key, data)

    with pytest.raises(StoreUnavailable, match="no space left"):
        remember(seen(film, system), system, recipe_of(system), MemoryStore(Full(tmp_path)), quiet)

    resumed = MemoryStore(FolderBlobs(tmp_path)).resume(recipe_of(system))
    assert resumed is not None
    assert (len(resumed[0].blocks), resumed[1].is_complete) == (2, False)

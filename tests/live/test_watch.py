"""A stream in chunks says what the file says, however its chunks come and whoever takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.live.chunks import Chunk
from pipelines.live.judging import find_faults
from pipelines.live.rolling import Change
from pipelines.live.watch import LiveWatch
from pipelines.profiles import wanted
from pipelines.stores.folder import FolderBlobs
from pipelines.watching import Run, Senses, Store, identify, measure
from tests.films import joined
from tests.live.material import chunks_of, last_words, make_faulty

WANTED = wanted("broadcast", ("ads",))


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faulty(tmp_path_factory.mktemp("live") / "faulty.ts")


@pytest.fixture(scope="session")
def chunks(faulty: Path) -> list[Chunk]:
    return chunks_of(faulty, 1.5)


@pytest.fixture(scope="session")
def in_order(chunks: list[Chunk], tmp_path_factory: pytest.TempPathFactory) -> list[Change]:
    return taken(chunks, tmp_path_factory.mktemp("live"))


def watch(folder: Path) -> LiveWatch:
    return LiveWatch("s", WANTED, FolderBlobs(folder))


def taken(chunks: list[Chunk], folder: Path, by: LiveWatch | None = None) -> list[Change]:
    by = by or watch(folder)
    return [change for chunk in chunks for change in by.take(chunk)]


def test_a_stream_and_its_file_have_the_same_faults_at_the_same_times(faulty: Path, in_order: list[Change], tmp_path: Path) -> None:
    store = Store(FolderBlobs(tmp_path), None)  # type: ignore[arg-type]
    measured = measure(identify(faulty), WANTED, store, Senses(), Run(workers=1))
    of_file = sorted(("technical", f.kind, round(f.span.start_s, 3), round(f.span.end_s, 3), "found") for f in find_faults(measured))

    assert [row[1] for row in of_file] == ["black", "freeze", "silence"]
    assert [row for row in last_words(in_order) if row[0] == "technical"] == of_file


def test_a_finding_begins_is_refined_and_ends_with_one_id_and_rising_revisions(in_order: list[Change]) -> None:
    by_id: dict[str, list[Change]] = {}
    for change in in_order:
        by_id.setdefault(change.finding.id, []).append(change)

    assert all([c.revision for c in told] == list(range(1, len(told) + 1)) for told in by_id.values())
    assert all((told[0].type, told[-1].type) == ("new", "end") for told in by_id.values())
    assert all(c.type == "update" for told in by_id.values() for c in told[1:-1])
    (freeze,) = [told for told in by_id.values() if told[0].finding.kind == "freeze"]
    assert freeze[0].finding.data["open"] is True and freeze[-1].finding.data["open"] is False
    assert freeze[0].finding.ticks is not None and freeze[0].finding.ticks[0] == freeze[-1].finding.ticks[0]  # type: ignore[index]


def test_chunks_out_of_order_and_twice_change_nothing(chunks: list[Chunk], in_order: list[Change], tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    places = np.arange(len(chunks)) + rng.uniform(0, 3.5, len(chunks))
    places[-1] = np.inf  # the mark is the end
    shuffled = [chunks[k] for k in np.argsort(places)]
    by = watch(tmp_path)
    told = taken([c for chunk in shuffled for c in (chunk, chunk)], tmp_path, by)

    assert shuffled != chunks
    assert last_words(told) == last_words(in_order)
    assert by.state.counts["lost"] == by.state.counts["late"] == 0
    assert by.state.counts["reordered"] > 0


def test_what_was_lost_is_told_as_a_gap_and_the_rest_found(chunks: list[Chunk], in_order: list[Change], tmp_path: Path) -> None:
    by = watch(tmp_path)
    late = chunks[2]
    told = taken([c for k, c in enumerate(chunks[:-1]) if k != 2], tmp_path, by)
    told += by.take(late) + by.take(chunks[5]) + by.take(chunks[-1])

    (gap,) = [c.finding for c in told if c.finding.task == "stream" and c.type == "end"]
    assert gap.kind == "gap" and (gap.span.start_s, gap.span.end_s) == pytest.approx((4.0, 6.0), abs=0.1)
    assert (gap.data["lost"], gap.data["late"]) == (1, 1)
    assert "did not arrive" in gap.label and "too late" in gap.label
    assert by.state.counts["late"] == 1 and by.state.counts["duplicate"] == 1
    assert [row for row in last_words(told) if row[0] == "technical"] == [row for row in last_words(in_order) if row[0] == "technical"]


@pytest.mark.parametrize("damage", ["noise", "cut off", "header only"])
def test_a_damaged_chunk_is_a_gap_with_its_cause(chunks: list[Chunk], tmp_path: Path, damage: str) -> None:
    rng = np.random.default_rng(1)
    data = {"noise": rng.bytes(len(chunks[1].data)), "cut off": chunks[1].data[:188], "header only": b"\x47" * 188}[damage]
    by = watch(tmp_path)
    told = taken([replace(chunks[0]), replace(chunks[1], data=data), *chunks[2:5]], tmp_path, by)

    (gap,) = {c.finding.id: c.finding for c in told if c.finding.task == "stream"}.values()
    assert (gap.span.start_s, gap.span.end_s) == pytest.approx((2.0, 4.0), abs=0.1)
    assert "cannot be decoded" in gap.label
    assert by.state.counts["damaged"] == 1


def test_another_replica_goes_on_with_the_same_ids_and_revisions(chunks: list[Chunk], in_order: list[Change], tmp_path: Path) -> None:
    told: list[Change] = []
    by = watch(tmp_path)
    for number, chunk in enumerate(chunks):
        by = watch(tmp_path) if number % 3 == 0 else by
        told += by.take(chunk)
        if number % 4 == 0:
            assert watch(tmp_path).take(chunk) == told[len(told) - len(by.state.outbox[2]) :]  # told again, word for word

    assert told == in_order


def test_a_replica_that_lost_the_stream_and_got_it_back_goes_on_from_what_others_did(
    chunks: list[Chunk], in_order: list[Change], tmp_path: Path
) -> None:
    one, other = watch(tmp_path), watch(tmp_path)

    told = taken(chunks[:5], tmp_path, one) + taken(chunks[5:9], tmp_path, other) + taken(chunks[9:], tmp_path, one)

    assert told == in_order


def test_a_clock_that_begins_anew_is_told_and_the_stream_goes_on(faulty: Path, tmp_path: Path) -> None:
    twice = chunks_of(joined(tmp_path / "twice.ts", faulty, faulty), 1.5)
    by = watch(tmp_path / "store")
    told = taken(twice, tmp_path, by)

    found = last_words(told)
    (jump,) = [row for row in found if row[1] == "discontinuity"]
    first, second = [row[2] for row in found if row[1] == "freeze"]
    assert jump[2] == pytest.approx(34.0, abs=0.1)
    assert second - first == pytest.approx(np.ceil(jump[2] - 1e-6), abs=1e-3)
    assert len(by.state.runs) == 2


def test_the_store_holds_no_more_than_the_window_needs(chunks: list[Chunk], tmp_path: Path) -> None:
    by = watch(tmp_path)
    taken(chunks[:-1], tmp_path, by)
    names = sorted({key.split("/")[3] for key in by.keeper.blobs.keys("live/")})

    assert set(names) <= {"blocks", "chunks", "sealed", "state"}
    assert len(list(by.keeper.blobs.keys(f"{by.keeper.prefix}/state/"))) == 2
    assert len(list(by.keeper.blobs.keys(f"{by.keeper.prefix}/chunks/"))) == len(by.state.pieces) <= 5


@pytest.mark.parametrize("name", ["open.ts", "hevc_open.mp4", "wrap.ts", "late.mp4", "closed.ts"])
def test_what_is_measured_does_not_tell_where_chunks_were_cut(film: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    of_file = measure(identify(film(name)), WANTED, Store(FolderBlobs(tmp_path), None), Senses(), Run(workers=1))  # type: ignore[arg-type]
    by = watch(tmp_path / "live")
    taken(chunks_of(film(name), 1.0), tmp_path, by)

    live = by.panel.newest.since(0.0)
    for series in ("frame.luma", "frame.change", "frame.residue", "detail.sharpness"):
        assert np.array_equal(live[series].values, of_file[series].values), series
        assert np.array_equal(live[series].times_s, of_file[series].times_s), series
    first = of_file["frame.tick"].values[0]
    assert np.array_equal(live["frame.tick"].values - live["frame.tick"].values[0], of_file["frame.tick"].values - first)

"""Chunks are cut at key frames, hold the source's own ticks, and can each be decoded without the others."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from pipelines.containers import opened
from pipelines.live.chunks import FRAGMENTED_MP4, MPEG_TS, WRAP, WRAPPING, Chunk, unwrapped
from pipelines.live.cutting import Feed, cut
from tests.films import joined

Film = Callable[[str], Path]


def feed() -> Feed:
    runs = itertools.count()
    return Feed("s", lambda: f"run {next(runs)}", lambda: "2026-11-22T00:00:00.000Z")


def chunks_of(path: Path, to: Feed | None = None, chunk_s: float = 1.0) -> list[Chunk]:
    with opened(path) as container:
        return list(cut(container, to or feed(), chunk_s))


def stamps(path: Path) -> list[tuple[str, Fraction]]:
    """Kind and display time of every packet, exactly."""
    with av.open(str(path)) as container:
        packets: list[Any] = [p for p in container.demux() if p.size]
        return sorted((p.stream.type, p.pts * p.time_base) for p in packets if p.pts is not None)


def stamps_in(folder: Path, chunks: list[Chunk]) -> list[tuple[str, Fraction]]:
    found = []
    for chunk in chunks:
        (piece := folder / f"{chunk.run}-{chunk.sequence}").write_bytes(chunk.data)
        found += stamps(piece)
    return sorted(found)


@pytest.mark.parametrize(
    "name",
    ["closed.mp4", "open.mp4", "closed.ts", "late.mp4", "edit.mp4", "vfr.mkv", "closed.mkv", "vp9.webm", "hevc_open.mp4", "mpeg2.ts"],
)
def test_every_packet_keeps_its_time_exactly(film: Film, tmp_path: Path, name: str) -> None:
    chunks = chunks_of(film(name))

    assert stamps_in(tmp_path, chunks) == stamps(film(name))
    assert [c.sequence for c in chunks] == list(range(len(chunks)))
    assert {c.run for c in chunks} == {"run 0"}
    assert all(a.start_tick < b.start_tick for a, b in itertools.pairwise(chunks))


def test_a_chunk_is_cut_at_the_first_key_frame_behind_its_length(film: Film) -> None:
    assert [c.duration_s for c in chunks_of(film("closed.mp4"), chunk_s=1.5)] == pytest.approx([2.0, 2.0])  # a key frame every second


def test_transport_streams_stay_transport_streams_and_the_rest_becomes_fragments(film: Film) -> None:
    assert chunks_of(film("closed.ts"))[0].content_type == MPEG_TS
    assert chunks_of(film("closed.mp4"))[0].content_type == FRAGMENTED_MP4


def test_a_clock_that_wraps_goes_on(film: Film, tmp_path: Path) -> None:
    chunks = chunks_of(film("wrap.ts"))

    assert {c.run for c in chunks} == {"run 0"}
    assert [float((c.start_tick - chunks[0].start_tick) * c.time_base) for c in chunks] == pytest.approx([0, 1, 2, 3])
    assert unwrapped(10, WRAP + 5, WRAPPING) == WRAP + 10
    assert unwrapped(WRAP - 10, WRAP + 5, WRAPPING) == WRAP - 10
    assert unwrapped(10, WRAP + 5, Fraction(1, 1000)) == 10


def test_a_source_that_begins_its_clock_anew_begins_a_run(film: Film, tmp_path: Path) -> None:
    chunks = chunks_of(joined(tmp_path / "twice.ts", film("closed.ts"), film("closed.ts")))

    assert [(c.run, c.sequence) for c in chunks] == [(f"run {r}", n) for r in (0, 1) for n in range(4)]
    assert chunks[0].origin_us is not None and chunks[4].origin_us is None


def test_a_connection_made_again_does_not_send_the_same_twice(film: Film) -> None:
    to = feed()
    first = chunks_of(film("closed.ts"), to)[:]
    again = chunks_of(film("closed.ts"), to)

    assert len(first) == 4
    assert again == []
    assert to.last().sequence == 4


def test_a_chunk_that_runs_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="runs forward"):
        Chunk("s", "r", 0, start_tick=5, end_tick=4)

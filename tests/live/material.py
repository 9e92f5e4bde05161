"""A small stream with known faults, and ways to send it."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipelines.containers import opened
from pipelines.live.chunks import Chunk
from pipelines.live.cutting import Feed, cut
from pipelines.live.rolling import Change
from tests.films import picture

RATE, SECONDS = 10, 34
BLACK_S, FROZEN_S, SILENT_S = (6.0, 9.0), (12.0, 22.0), (24.0, 31.0)
SIZE = (192, 112)


def make_faulty(path: Path, seconds: int = SECONDS) -> Path:
    """Moving pictures and a tone; black, a freeze and silence where the constants say. A key frame every second."""
    with av.open(str(path), "w", format="mpegts") as out:
        film = out.add_stream("libx264", rate=RATE, options={"g": str(RATE), "bf": "2", "preset": "ultrafast", "x264-params": "scenecut=0"})
        film.width, film.height = SIZE
        sound = out.add_stream("aac", rate=16_000)
        for number in range(seconds * RATE):
            frame = av.VideoFrame.from_ndarray(_pixels(number), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(film.encode(frame))
            for block in range(round(number * 1600 / 800), round((number + 1) * 1600 / 800)):
                out.mux(sound.encode(_sound(block * 800, 800)))
        out.mux(film.encode(None))
        out.mux(sound.encode(None))
    return path


def _pixels(number: int) -> np.ndarray:
    at_s = number / RATE
    if BLACK_S[0] <= at_s < BLACK_S[1]:
        return np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    return picture(int(FROZEN_S[0] * RATE) if FROZEN_S[0] <= at_s < FROZEN_S[1] else number, *SIZE)


def _sound(first: int, count: int) -> av.AudioFrame:
    at = np.arange(first, first + count) / 16_000
    wave = np.where((at >= SILENT_S[0]) & (at < SILENT_S[1]), 0, 0.2 * np.sin(2 * np.pi * 300 * at * (1 + 0.05 * np.sin(at))))
    frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 16_000, first, Fraction(1, 16_000)
    return frame


def feed(stream: str = "s") -> Feed:
    runs = itertools.count()
    return Feed(stream, lambda: f"run {next(runs)}", lambda: "2026-11-22T00:00:00.000Z")


def chunks_of(path: Path, chunk_s: float = 1.0, *, to: Feed | None = None, ends: bool = True) -> list[Chunk]:
    to = to or feed()
    with opened(path) as container:
        return [*cut(container, to, chunk_s), *([to.last()] if ends else [])]


def last_words(changes: list[Change]) -> list[tuple[str, str, float, float, str]]:
    """(task, kind, start, end, state) of each finding as it was told last, in order of time."""
    told = {change.finding.id: change for change in changes}
    return sorted(
        (c.finding.task, c.finding.kind, round(c.finding.span.start_s, 3), round(c.finding.span.end_s, 3), c.finding.state)
        for c in told.values()
    )

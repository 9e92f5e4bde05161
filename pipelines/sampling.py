"""Pictures at chosen instants, exactly those on display then, for less than decoding everything. Knows plans and clean starts.

Of each stretch between two clean starts only the packets up to its last target are decoded, and of these only targets and what
others refer to. Only targets are converted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from model.video import Frames, TimeSpan
from pipelines.containers import told_name
from pipelines.film_index import VideoIndex, index_video
from pipelines.interfaces import FilmFile, WrongRequest
from pipelines.pixels import Scaler, display_size
from pipelines.reel import Reel, Shown, shown_frames

Times = NDArray[np.float64]
_Found = tuple[int, av.VideoFrame] | None
_Row = tuple[int, NDArray[np.uint8]]

SKIPPING = ("h264", "hevc", "mpeg2video")  # decoders that leave out unreferenced pictures without changing the others
TOUCH_S = 1e-6  # an instant this near before a picture means that picture


@dataclass(frozen=True, slots=True)
class Uniform:
    """`count` instants, each in the middle of one of as many equal parts of the film."""

    count: int

    def instants(self, duration_s: float) -> Times:
        return np.array([(k + 0.5) * duration_s / self.count for k in range(self.count)], np.float64)


@dataclass(frozen=True, slots=True)
class FixedRate:
    """The instants k / rate_hz from 0 to the film's end."""

    rate_hz: float

    def instants(self, duration_s: float) -> Times:
        return np.arange(np.ceil((duration_s - TOUCH_S) * self.rate_hz)) / self.rate_hz


@dataclass(frozen=True, slots=True)
class EveryShot:
    """`per_shot` instants in each shot, each in the middle of one of as many equal parts."""

    shots: tuple[TimeSpan, ...]
    per_shot: int = 1

    def instants(self, duration_s: float) -> Times:
        parts = (np.arange(self.per_shot) + 0.5) / self.per_shot
        return np.array([shot.start_s + part * shot.duration_s for shot in self.shots for part in parts], np.float64)


@dataclass(frozen=True, slots=True)
class Instants:
    """These instants, in seconds on the player's clock."""

    times_s: tuple[float, ...]

    def instants(self, duration_s: float) -> Times:
        return np.array(self.times_s, np.float64)


Plan = Uniform | FixedRate | EveryShot | Instants


def sample_frames(
    path: FilmFile, plan: Plan, size_px: tuple[int, int] | None = None, *, batch: int = 32, index: VideoIndex | None = None
) -> Iterator[Frames]:
    """RGB pictures on display at the plan's instants, in time order, `batch` at a time, upright, each with its own time.

    size_px: (width, height), the displayed size by default. index: of this file, where the caller has it.
    Before its first picture a film shows the first, after its last the last. A picture that cannot be decoded is replaced by the one a
    player would leave standing; where there is none at all, its instants are left out. Raises UnreadableVideo, WrongRequest.
    """
    index = index or index_video(path)
    if index is None:
        raise WrongRequest(f"{told_name(path)} has no pictures to sample")
    instants = np.sort(plan.instants(index.duration_s))
    if len(instants) and (not np.isfinite(instants).all() or instants[0] < 0):
        raise WrongRequest(f"instants lie at or after 0 on the player's clock, got {instants[0]}")
    shown = np.clip(np.searchsorted(index.times_s, instants + TOUCH_S, side="right") - 1, 0, len(index.ticks) - 1)
    places, counts = np.unique(shown, return_counts=True)
    yield from _batches(path, index, index.ticks[places], counts, size_px, batch)


def _batches(
    path: FilmFile, index: VideoIndex, ticks: NDArray[np.int64], counts: NDArray[np.intp], size_px: tuple[int, int] | None, batch: int
) -> Iterator[Frames]:
    scaler: Scaler | None = None
    rows: list[_Row] = []
    with Reel(path, index) as reel:
        for found, count in zip(_pictures(reel, ticks), counts.tolist(), strict=True):
            if found is None:
                continue
            tick, frame = found
            scaler = scaler or Scaler(*(size_px or display_size(frame, reel.stream.sample_aspect_ratio)))
            rows += [(tick, scaler(frame))] * count
            while len(rows) >= batch:
                yield _frames(rows[:batch], index)
                rows = rows[batch:]
    if rows:
        yield _frames(rows, index)


def _frames(rows: Sequence[_Row], index: VideoIndex) -> Frames:
    ticks = [tick for tick, _ in rows]
    return Frames(np.stack([p for _, p in rows]), np.array([index.clock.seconds(t) for t in ticks]), np.array(ticks, np.int64))


@dataclass(frozen=True, slots=True)
class _Run:
    """Packets to decode in one go, from a clean start to the last target."""

    start: int
    last: int
    ticks: tuple[int, ...]
    targets: frozenset[int]


def _runs(index: VideoIndex, ticks: NDArray[np.int64]) -> Iterator[_Run]:
    """Group targets by the clean start they need; stretches that reach into the next one are decoded together with it."""
    order = np.argsort(index.packet_ticks, kind="stable")
    numbers = order[np.searchsorted(index.packet_ticks, ticks, side="right", sorter=order) - 1]
    run: _Run | None = None
    for tick, number in zip(ticks.tolist(), numbers.tolist(), strict=True):
        start = int(index.starts[index.start_at(tick)])
        if run is not None and start > run.last:
            yield run
            run = None
        if run is None:
            run = _Run(start, number, (tick,), frozenset([number]))
        else:
            run = _Run(run.start, max(run.last, number), (*run.ticks, tick), run.targets | {number})
    if run is not None:
        yield run


def _pictures(reel: Reel, ticks: NDArray[np.int64]) -> Iterator[_Found]:
    """(tick, picture) for each target, in order; None where neither it nor one to stand in can be decoded."""
    stand_in = _StandIn(reel)
    skips = reel.stream.codec_context.name in SKIPPING
    for run in _runs(reel.index, ticks):
        pending = deque(run.ticks)
        for tick, frame in reel.play(run.start, run.last, run.targets if skips else None):
            while pending and pending[0] < tick:
                yield stand_in.at(pending.popleft())
            if pending and pending[0] == tick:
                yield pending.popleft(), frame
        for tick in pending:
            yield stand_in.at(tick)


class _StandIn:
    """What a player leaves on display where a picture cannot be decoded: found by plain decoding, which damage makes necessary."""

    def __init__(self, reel: Reel) -> None:
        self.reel = reel
        self.shown: Shown | None = None

    def at(self, tick: int) -> _Found:
        at_s = self.reel.index.clock.seconds(tick)
        if self.shown is None or self.shown.end_s <= at_s:
            self.shown = next(shown_frames(self.reel.path, self.reel.index, at_s, at_s), None)
        return (self.shown.tick, self.shown.frame) if self.shown else None

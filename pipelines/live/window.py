"""The newest stretch of a stream as measurements that every task can judge. Holds series, judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.interfaces import Blobs
from pipelines.series import NUMBERS_BYTES, Measured, Missing, Series, join
from pipelines.signals.shots import find_shots

LIVE_BLOCK_S = 3.0  # speech is listened for every 3 s; a shorter block would hear none
TOGETHER = 20  # blocks
TAIL_S = 24.0  # in which shots are looked for again with every block
SETTLED_S = 12.0  # what looks for shots reaches no further (fades hold 4 s at most, ramps 2.5 s either side)


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch measured at once, in seconds of the stream. series: by name, their times too."""

    number: int
    start_s: float
    end_s: float
    series: Mapping[str, Series]


@dataclass(slots=True)
class Window(Measured):
    """Blocks in memory, told as a film of their own that begins at 0."""

    parts: Sequence[Block] = ()
    start_s: float = 0.0

    def _numbers(self) -> dict[str, Series]:
        found: dict[str, list[Series]] = {}
        for part in self.parts:
            for name, series in part.series.items():
                if len(series) and series.values[0].nbytes <= NUMBERS_BYTES:
                    found.setdefault(name, []).append(series)
        return {name: self._moved(join(rows)) for name, rows in found.items()}

    def blocks(self, name: str) -> Iterator[Series]:
        """Some together, for every task has its costs for each block."""
        for first in range(0, len(self.parts), TOGETHER):
            rows = [part.series[name] for part in self.parts[first : first + TOGETHER] if name in part.series]
            if any(len(row) for row in rows):
                yield self._moved(join([row for row in rows if len(row)]))

    def _moved(self, series: Series) -> Series:
        return Series(series.times_s - self.start_s, series.values) if self.start_s else series


@dataclass(slots=True)
class Newest:
    """The blocks of the last `length_s`, oldest first, and the shots in them."""

    blobs: Blobs  # of no use to a window but that every `Measured` has one
    length_s: float
    has_eyes: bool
    class_names: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    parts: list[Block] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    _openings: list[Shot] = field(default_factory=list)  # in seconds of the stream; only their beginnings mean anything

    @property
    def end_s(self) -> float:
        return self.parts[-1].end_s if self.parts else 0.0

    @property
    def start_s(self) -> float:
        return self.parts[0].start_s if self.parts else 0.0

    def add(self, block: Block) -> list[Block]:
        """Take the next block; hands back those that leave for it."""
        self.parts.append(block)
        count = next((k for k, b in enumerate(self.parts) if b.end_s > block.end_s - self.length_s), 0)
        gone, self.parts = self.parts[:count], self.parts[count:]
        self.missing = [m for m in self.missing if m.end_s > self.start_s]
        return gone

    def last(self, seconds: float) -> Window:
        """The blocks of the last seconds."""
        return self._window([b for b in self.parts if b.end_s > self.end_s - seconds])

    def since(self, start_s: float) -> Window:
        return self._window([b for b in self.parts if b.start_s >= start_s - 1e-6])

    def _window(self, parts: list[Block]) -> Window:
        start_s = parts[0].start_s if parts else 0.0
        gaps = tuple(
            Missing(max(0.0, m.start_s - start_s), min(m.end_s, self.end_s) - start_s, m.reason)
            for m in self.missing
            if min(m.end_s, self.end_s) > max(m.start_s, start_s)
        )
        eyes = "live" if self.has_eyes else ""
        return Window(
            self.blobs, "", self.end_s - start_s, None, (), gaps, self.facts, eyes, "", self.class_names, parts=parts, start_s=start_s
        )

    def find_shots(self) -> tuple[Shot, ...]:
        """The shots of all blocks, from 0; looked for in the last TAIL_S only, the older ones being as they were."""
        return self._shots_of(self.last(TAIL_S))

    def find_shots_anew(self) -> tuple[Shot, ...]:
        """The same from all blocks, where nothing is known of the older ones."""
        self._openings = []
        return self._shots_of(self.since(self.start_s))

    def _shots_of(self, tail: Window) -> tuple[Shot, ...]:
        fresh_s = tail.start_s + (SETTLED_S if tail.start_s > self.start_s else 0.0)
        found = [_moved(shot, tail.start_s) for shot in find_shots(tail)[1:]]
        kept = [s for s in self._openings if self.start_s < s.span.start_s < fresh_s]
        self._openings = kept + [s for s in found if s.span.start_s >= fresh_s]
        return _tiled([_moved(s, -self.start_s) for s in self._openings], self.end_s - self.start_s)


def _moved(shot: Shot, by_s: float) -> Shot:
    edge = shot.transition
    moved = TimeSpan(max(0.0, edge.start_s + by_s), edge.end_s + by_s) if edge and edge.end_s + by_s > 0 else None
    return Shot(TimeSpan(max(0.0, shot.span.start_s + by_s), shot.span.end_s + by_s), shot.opened_by, moved, shot.score)


def _tiled(openings: Sequence[Shot], duration_s: float) -> tuple[Shot, ...]:
    """Shots laid from 0 to the end, each until the next begins."""
    if duration_s <= 0:
        return ()
    edges = [0.0, *(s.span.start_s for s in openings), duration_s]
    opened = [("start", None, 1.0), *((s.opened_by, s.transition, s.score) for s in openings)]
    return tuple(Shot(TimeSpan(a, b), *how) for (a, b), how in zip(pairwise(edges), opened, strict=True))

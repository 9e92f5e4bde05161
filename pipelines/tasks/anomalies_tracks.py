"""Who goes where: blobs of successive pictures joined into tracks, nearest first. Knows boxes and times, no pictures.

x, y = middle of a box; positions and sizes are pixels of the 160 x 90 picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LOST_S = 1.0  # a track ends when unseen for so long,
HIDDEN_S = 4.0  # or for so long where it went behind or before another
GATE_PX = 5.0  # how far a blob may be from where its track was expected, besides SIZE_SHARE of its size
SIZE_SHARE = 0.7
PACE_S = 0.8  # over which speed is taken
GROWN = 1.7  # an area that changes by more is two things touching, and no measure of where one of them is
STEADY = 0.15  # of the way in PACE_S lies in either half of it at the least
TALLER, WIDER, EITHER = range(3)  # kinds of things on the move
TALL, WIDE = 0.8, 1.5  # times as wide as tall; between them are pairs of people, and vehicles from the front
EDGE_PX, WIDTH_PX = 1.0, 160.0
LATELY = 6  # points
KEPT = 64  # last points of a track


@dataclass(slots=True)
class Track:
    """One thing on the move. points: up to KEPT rows (time, x, y, width, height, sure = 1 where the box is its own)."""

    number: int
    points: list[tuple[float, float, float, float, float, float]]
    area: float
    born_s: float
    seen_s: float  # when last matched
    hidden: bool = False
    anchor: tuple[float, float, float] = (0.0, 0.0, 0.0)  # time, x, y since when it has not left this neighbourhood
    wrong: float = 0.0  # evidence that it goes against the stream, nats
    fast: float = 0.0  # deviation of its speed, let rise slowly
    strange_s: float = 0.0  # how long it has been where nobody goes
    worst: float = 0.0  # largest alarm it was part of
    path: list[tuple[int, int, float, float]] = field(default_factory=list)  # cell row, column, speed px/s, direction rad, for learning

    @property
    def age_s(self) -> float:
        return self.seen_s - self.born_s

    @property
    def kind(self) -> int:
        """TALLER than wide, as people are, or WIDER, as vehicles are: they have ways and speeds of their own. EITHER where it may be
        both, or looks like the one now and like the other before: then another thing was taken for it."""
        ever, lately = _kind(self.points), _kind(self.points[-LATELY:])
        return ever if ever == lately else EITHER

    @property
    def now(self) -> tuple[float, float, float, float, float, float]:
        return self.points[-1]

    def velocity(self) -> tuple[float, float] | None:
        """(px/s, px/s) over the last PACE_S; None while too new.

        Each way, the slowest of a box's two edges: where one stays behind, the box grew or shrank and nothing went. What jumps at
        once and does not go on is another thing taken for this one.
        """
        time_s = self.points[-1][0]
        recent = [p for p in self.points[-8:] if p[0] >= time_s - PACE_S - 0.05]
        if recent[-1][0] - recent[0][0] < PACE_S * 0.45:
            return None
        first, middle, last = recent[0], recent[len(recent) // 2], recent[-1]
        passed_s = last[0] - first[0]
        moved = [_slower(last[k] - first[k], (last[k + 2] - first[k + 2]) / 2) for k in (1, 2)]
        steady = [STEADY * abs(m) < abs(middle[k] - first[k]) < (1 - STEADY) * abs(m) for k, m in zip((1, 2), moved, strict=True)]
        return moved[0] / passed_s * steady[0], moved[1] / passed_s * steady[1]

    def strayed(self, within_s: float) -> float:
        """Pixels between here and where it was `within_s` ago."""
        last = self.points[-1]
        then = next((p for p in self.points if p[0] >= last[0] - within_s), last)
        return float(np.hypot(last[1] - then[1], last[2] - then[2]))

    def expected(self, time_s: float) -> tuple[float, float]:
        last = self.points[-1]
        if len(self.points) < 2:
            return last[1], last[2]
        first = self.points[max(-len(self.points), -4)]
        passed_s = max(0.2, last[0] - first[0])
        ahead_s = time_s - last[0]
        return last[1] + (last[1] - first[1]) / passed_s * ahead_s, last[2] + (last[2] - first[2]) / passed_s * ahead_s


@dataclass(slots=True)
class Tracks:
    """All tracks in sight."""

    active: list[Track] = field(default_factory=list)
    count: int = 0

    def step(self, time_s: float, blobs: NDArray[np.float32]) -> list[Track]:
        """Take the blobs of one picture (as `cells.Seen.blobs`); returns the tracks that ended."""
        boxes = [(x, y - h / 2, w, h, area) for x, y, w, h, area in blobs.tolist()]
        free = self._match(time_s, boxes)
        for k in sorted(free):
            self._begin(time_s, boxes[k])
        ended = [t for t in self.active if time_s - t.seen_s > (HIDDEN_S if t.hidden else LOST_S)]
        self.active = [t for t in self.active if time_s - t.seen_s <= (HIDDEN_S if t.hidden else LOST_S)]
        return ended

    def _match(self, time_s: float, boxes: list[tuple[float, float, float, float, float]]) -> set[int]:
        expected = [t.expected(time_s) for t in self.active]
        pairs = []
        for i, (track, (ex, ey)) in enumerate(zip(self.active, expected, strict=True)):
            size = track.now[3] + track.now[4]
            for k, (x, y, w, h, area) in enumerate(boxes):
                gate = GATE_PX + SIZE_SHARE * 0.5 * max(size, w + h) * (2.0 if len(track.points) < 3 else 1.0)
                away = abs(x - ex) + abs(y - ey)
                if away < gate:
                    pairs.append((away / gate + 0.3 * abs(np.log(area / track.area)), i, k))
        taken, free = set[int](), set(range(len(boxes)))
        for _, i, k in sorted(pairs):
            if i not in taken and k in free:
                taken.add(i)
                free.discard(k)
                self._extend(self.active[i], time_s, boxes[k], expected[i])
        for i, track in enumerate(self.active):
            if i not in taken:
                ex, ey = expected[i]
                track.hidden = track.age_s > 0.5 and any(abs(x - ex) < w / 2 + 2 and abs(y - ey) < h / 2 + 2 for x, y, w, h, _ in boxes)
        return free

    def _extend(self, track: Track, time_s: float, box: tuple[float, float, float, float, float], expected: tuple[float, float]) -> None:
        x, y, w, h, area = box
        sure = 1 / GROWN < area / track.area < GROWN
        track.area += (area - track.area) * (0.3 if sure else 0.1)
        track.seen_s, track.hidden = time_s, False
        track.points.append((time_s, x, y, w, h, float(sure)))
        del track.points[:-KEPT]

    def _begin(self, time_s: float, box: tuple[float, float, float, float, float]) -> None:
        x, y, w, h, area = box
        self.count += 1
        self.active.append(Track(self.count, [(time_s, x, y, w, h, 0.0)], area, time_s, time_s, anchor=(time_s, x, y)))


def _slower(moved: float, grown: float) -> float:
    """The smaller of what two edges moved, whose middle moved by `moved` while each went outwards by `grown`; 0 if they part."""
    least = abs(moved) - abs(grown)
    return float(np.copysign(least, moved)) if least > 0 else 0.0


def _kind(points: list[tuple[float, float, float, float, float, float]]) -> int:
    """Of the middle one of these boxes, those that the picture's sides cut off left out."""
    shapes = sorted(p[3] / p[4] for p in points if p[1] - p[3] / 2 > EDGE_PX and p[1] + p[3] / 2 < WIDTH_PX - EDGE_PX)
    if not shapes or TALL <= shapes[len(shapes) // 2] <= WIDE:
        return EITHER
    return WIDER if shapes[len(shapes) // 2] > WIDE else TALLER

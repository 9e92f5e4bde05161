"""What one second of a watched camera says: per cue how strongly, where, and since when. Knows no pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.tasks.anomalies_normal import COLUMNS, NAMES, ROWS

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 as shares of the picture
KNOWN_SHARE = 0.8  # probability at which a class is told, where the camera never gave it a third of that
CUE = {name: k for k, name in enumerate(NAMES)}


@dataclass(slots=True)
class Second:
    """One second's evidence. values, surprise, since_s (when the cause began): (cues,); boxes: (cues, 4) x0, y0, x1, y1 as shares of
    the picture; warm: nothing is judged yet. lent: (cues,) what trained eyes added to each surprise. looks: the strangest cells'
    looks, as `look_to_text` writes them. sight: a class the camera never showed, and its probability."""

    time_s: float
    values: NDArray[np.float32]
    surprise: NDArray[np.float32]
    since_s: NDArray[np.float32]
    boxes: NDArray[np.float32]
    warm: bool
    lent: NDArray[np.float32] = field(default_factory=lambda: np.zeros(len(NAMES), np.float32))
    looks: dict[int, str] = field(default_factory=dict)
    sight: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True)
class Sights:
    """What a trained encoder saw in a second's picture: cells (7, 7, 64); classes, shares (n,) the likeliest first. Empty without one."""

    cells: NDArray[np.generic] | None = None
    classes: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    shares: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def new_to(self, known: NDArray[np.float32]) -> tuple[int, float] | None:
        """What the encoder is sure to see and has never half seen here. known: (1000,) each class's largest probability so far."""
        number, share = int(self.classes[0]), float(self.shares[0])
        return (number, share) if share >= KNOWN_SHARE and known[number] < share / 3 else None


NO_SIGHTS = Sights()


class Evidence:
    """What a second's pictures say so far: the largest value of each cue, where it is and since when it has been going on."""

    def __init__(self, start_s: float) -> None:
        self.start_s = start_s
        self.values = np.zeros(len(NAMES), np.float32)
        self.since_s = np.full(len(NAMES), start_s, np.float32)
        self.boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (len(NAMES), 1))
        self.sights: Sights | None = None
        self.look: NDArray[np.float32] | None = None  # (49, 64)
        self.away = np.zeros(0, np.float32)  # (49,) of the look from all known ones
        self.strange: NDArray[np.float32] | None = None  # (7, 7) strays beyond the usual
        self.looks: dict[int, str] = {}
        self.sight: tuple[int, float] | None = None

    def say(self, cue: str, value: float, box: Box = (0.0, 0.0, 1.0, 1.0), since_s: float | None = None) -> None:
        k = CUE[cue]
        if value > self.values[k]:
            self.values[k], self.boxes[k] = value, box
            if since_s is not None:
                self.since_s[k] = since_s

    def strange_at(self, box: NDArray[np.float32]) -> float:
        """How strange what is in a box looks, at the strangest of the cells it touches."""
        assert self.strange is not None
        side = len(self.strange)
        (x0, y0), (x1, y1) = np.clip(np.floor(box.reshape(2, 2) * side - [[0, 0], [1e-6, 1e-6]]).astype(int), 0, side - 1)
        return float(self.strange[y0 : max(y0, y1) + 1, x0 : max(x0, x1) + 1].max())


def cell_box(row: int, column: int, around: int) -> Box:
    x0, y0 = max(0, column - around) / COLUMNS, max(0, row - around) / ROWS
    return x0, y0, min(COLUMNS, column + around + 1) / COLUMNS, min(ROWS, row + around + 1) / ROWS


def blank(start_s: float) -> Second:
    """A second of which nothing can be said."""
    nothing = Evidence(start_s)
    return Second(start_s, nothing.values, np.full(len(NAMES), -9, np.float32), nothing.since_s, nothing.boxes, True)

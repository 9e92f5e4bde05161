"""What one second of a watched camera says: per cue how strongly, where, and since when. Knows no pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.tasks.anomalies_normal import NAMES

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 as shares of the picture
CUE = {name: k for k, name in enumerate(NAMES)}


@dataclass(slots=True)
class Second:
    """One second's evidence. values, surprise, since_s (when the cause began): (cues,); boxes: (cues, 4) x0, y0, x1, y1 as shares of
    the picture; warm: nothing is judged yet."""

    time_s: float
    values: NDArray[np.float32]
    surprise: NDArray[np.float32]
    since_s: NDArray[np.float32]
    boxes: NDArray[np.float32]
    warm: bool


class Evidence:
    """What a second's pictures say so far: the largest value of each cue, where it is and since when it has been going on."""

    def __init__(self, start_s: float) -> None:
        self.start_s = start_s
        self.values = np.zeros(len(NAMES), np.float32)
        self.since_s = np.full(len(NAMES), start_s, np.float32)
        self.boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (len(NAMES), 1))

    def say(self, cue: str, value: float, box: Box = (0.0, 0.0, 1.0, 1.0), since_s: float | None = None) -> None:
        k = CUE[cue]
        if value > self.values[k]:
            self.values[k], self.boxes[k] = value, box
            if since_s is not None:
                self.since_s[k] = since_s

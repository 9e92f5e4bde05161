"""What a fixed camera's colours tell that its grey pictures do not: things that differ in colour only, and fire. Knows no tracks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.signals import cells
from pipelines.tasks.anomalies_evidence import Evidence, cell_box
from pipelines.tasks.anomalies_normal import COLUMNS, ROWS

SURE_S = 150.0  # of learning after which nobody having been somewhere counts half
TINT_PICTURES = 60
TINT_S = 40.0
TINT_SETTLES_S = 30.0
FLICKER_S = 6.0
FLICKER_LEVELS = 20.0  # of red between pictures: more is no more of a flicker


@dataclass(slots=True)
class Colours:
    """Colours of the empty place, and where they are others now. tinted, strange_s: (ROWS, COLUMNS)."""

    tint: cells.Tint | None = None
    waiting: list[NDArray[np.uint8]] = field(default_factory=list)  # pictures before the colours are known
    known_s: float = 0.0
    tinted: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    strange_s: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    red: NDArray[np.float32] | None = None  # (4, 18, 32) usual excess of red, recent mean, flicker, last

    def see(self, colour: NDArray[np.uint8], colourless: NDArray[np.bool_], learned_s: float, watched_s: float, evidence: Evidence) -> None:
        """Take a second's pictures (m, 18, 32, 3). colourless: where nothing coloured ever passes, learned over learned_s."""
        if not len(colour):
            return
        if self.tint is None:
            self.waiting += list(colour)
            if len(self.waiting) >= TINT_PICTURES:
                self.tint, self.waiting = cells.Tint.learn(np.stack(self.waiting)), []
        else:
            self.tinted = cells.coloured(self.tint, colour[-1], 1 / TINT_S).astype(np.float32)
            self.known_s += 1
            strange = self.tinted * colourless * (self.known_s > TINT_SETTLES_S)
            self.strange_s = np.maximum(0, self.strange_s + np.where(strange > 0, 1, -1)).astype(np.float32)
            row, column = np.unravel_index(int(np.argmax(self.strange_s)), self.strange_s.shape)
            lasts_s = float(self.strange_s[row, column])
            sure = learned_s / (learned_s + SURE_S)
            evidence.say("intrusion", lasts_s * sure, cell_box(int(row), int(column), 1), evidence.start_s - lasts_s)
        self._fire(colour, watched_s, evidence)

    def _fire(self, colour: NDArray[np.uint8], watched_s: float, evidence: Evidence) -> None:
        """A spot that turned red and bright, stays so, and flickers."""
        for picture in colour:
            rgb = picture.astype(np.float32)
            red = np.where((rgb[:, :, 0] > rgb[:, :, 1]) & (rgb[:, :, 0] > 90), rgb[:, :, 0] - rgb[:, :, 2], 0)
            if self.red is None:
                self.red = np.stack([red, red, np.zeros_like(red), red])
            usual, recent, unrest, last = self.red
            # What drives up in red and stops changes a spot once or twice, a fire in every picture.
            unrest += (np.minimum(np.abs(red - last), FLICKER_LEVELS) - unrest) * np.float32(0.5 / FLICKER_S)
            last[:] = red
            recent += (red - recent) * np.float32(0.5 / FLICKER_S)
            usual += (recent - usual) * np.float32(0.003 if watched_s > 30 else 0.05)
            burn = np.clip((recent - usual) / 60, 0, 1.5) * np.clip(unrest / 8, 0.3, 1.2)
            row, column = np.unravel_index(int(np.argmax(burn)), burn.shape)
            evidence.say("fire", float(burn[row, column]), cell_box(int(row), int(column), 1))

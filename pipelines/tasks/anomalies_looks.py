"""What each part of a fixed camera's picture has looked like to a trained encoder, and how far a new look is from all of it.

C = 49 cells, row by row; D = width of a look, which has length 1; K = looks kept of each cell; n = looks.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SIDE, WIDTH = 7, 64
CELLS = SIDE * SIDE
KEPT = 128  # looks of each cell: what came twice is kept once, so this is hours of an ordinary street
BATCH = 30  # looks learned at once, after as many seconds without an alarm: an alarm is often later than its cause
NEAREST = 3
APART = 8  # looks nearer in time are alike whatever they show
MEAN_S = 3.0  # over which a look is taken: what lasts a moment is mostly noise and rain
OLDEST = 20  # batches after which older ones count no more in what is usual
SURE_BATCHES = 6  # of learning, after which what looks strange counts half: in its first minutes every camera shows new things
LEAST_STRAY = 0.15  # of the usual distance
SHOWN = 0.01  # of a cell: where less stands out there is nothing to look at
COMMON = 0.9  # of the cells where nothing stands out: what they changed by is light and weather, and taken from all

Looks = NDArray[np.float32]  # (C, D) or (n, C, D)


@dataclass(slots=True)
class Bank:
    """Looks of the camera's ordinary life, bounded in number and spread as widely as what was seen.

    looks: (C, K, D); waiting: (n, C, D) that no alarm has followed yet, with how far off they were (n, C).
    usual, stray: (C,) median distance of an ordinary look to the nearest kept ones, and from there to the ninth of ten.
    spared: (n, D + 1) cell and look of alarms that a person called false.
    """

    looks: Looks = field(default_factory=lambda: np.zeros((CELLS, 0, WIDTH), np.float32))
    waiting: Looks = field(default_factory=lambda: np.zeros((0, CELLS, WIDTH), np.float32))
    waiting_away: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, CELLS), np.float32))
    usual: NDArray[np.float32] = field(default_factory=lambda: np.zeros(CELLS, np.float32))
    stray: NDArray[np.float32] = field(default_factory=lambda: np.ones(CELLS, np.float32))
    spared: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, WIDTH + 1), np.float32))
    batches: int = 0

    @property
    def is_ready(self) -> bool:
        return bool(self.looks.shape[1])

    def away(self, look: Looks) -> NDArray[np.float32]:
        """(C,) mean distance of `look` (C, D) to the nearest kept looks of the same cell."""
        likeness = np.matmul(self.looks, look[:, :, None])[:, :, 0]
        nearest = np.partition(likeness, likeness.shape[1] - NEAREST, axis=1)[:, -NEAREST:]
        distance = np.asarray(_distance(nearest).mean(axis=1), np.float32)
        for row in self.spared:
            cell = int(row[0])
            distance[cell] = min(distance[cell], float(_distance(row[1:] @ look[cell])))
        return distance

    def strangeness(self, away: NDArray[np.float32]) -> NDArray[np.float32]:
        """(C,) how many strays beyond the usual a look is."""
        return np.asarray((away - self.usual) / (self.stray + LEAST_STRAY * np.median(self.usual) + 1e-3), np.float32)

    def offer(self, look: Looks, away: NDArray[np.float32]) -> None:
        """Take a look for ordinary unless an alarm follows soon."""
        self.waiting = np.concatenate([self.waiting, look[None]])
        self.waiting_away = np.concatenate([self.waiting_away, away[None]])
        if len(self.waiting) >= 2 * BATCH or (len(self.waiting) >= BATCH and not self.is_ready):
            self._learn(BATCH)

    def forget(self) -> None:
        """An alarm: what has waited until now may be its cause."""
        self.waiting, self.waiting_away = self.waiting[:0], self.waiting_away[:0]

    def settle(self) -> None:
        """Nothing more comes that could speak against what waits."""
        if len(self.waiting) >= (1 if self.is_ready else 2 * APART):
            self._learn(len(self.waiting))

    def spare(self, cell: int, look: NDArray[np.float32]) -> None:
        self.spared = np.concatenate([self.spared, np.concatenate([[cell], look])[None].astype(np.float32)])

    def _learn(self, count: int) -> None:
        batch, away = self.waiting[:count], self.waiting_away[:count]
        if not self.is_ready:
            away = _apart(batch)
        middle, most = np.quantile(away, [0.5, 0.9], axis=0)
        self.batches += 1
        share = np.float32(1 / min(self.batches, OLDEST))
        self.usual = np.asarray(self.usual + share * (middle - self.usual), np.float32)
        self.stray = np.asarray(self.stray + share * (most - middle - self.stray), np.float32)
        self.looks = thinned(np.concatenate([self.looks, batch.transpose(1, 0, 2)], axis=1), KEPT)
        self.waiting, self.waiting_away = self.waiting[count:], self.waiting_away[count:]


def thinned(looks: Looks, kept: int) -> Looks:
    """looks (C, n, D) without those that others stand in for: of the two most alike the earlier goes, until `kept` are left."""
    surplus = looks.shape[1] - kept
    if surplus <= 0:
        return looks
    alike = np.matmul(looks, looks.transpose(0, 2, 1))
    every = np.arange(len(looks))
    alike[:, np.arange(looks.shape[1]), np.arange(looks.shape[1])] = -2
    closest = alike.max(axis=2)
    stays = np.ones(looks.shape[:2], bool)
    for _ in range(surplus):
        gone = closest.argmax(axis=1)
        stays[every, gone] = False
        lost = alike[every, :, gone]
        alike[every, gone, :] = alike[every, :, gone] = -2
        cells, rows = np.nonzero((lost >= closest) & stays)  # whose closest has gone
        closest[cells, rows] = alike[cells, rows].max(axis=1)
        closest[every, gone] = -3
    return np.asarray(looks[stays].reshape(len(looks), kept, -1), np.float32)


def _apart(batch: Looks) -> NDArray[np.float32]:
    """(n, C) how far each look is from the others of its batch that are not its neighbours in time."""
    alike = np.einsum("icd,jcd->cij", batch, batch)
    times = np.arange(len(batch))
    alike[:, np.abs(times[:, None] - times) < APART] = -1
    return np.asarray(_distance(np.partition(alike, alike.shape[2] - NEAREST, axis=2)[:, :, -NEAREST:]).mean(axis=2).T, np.float32)


def _distance(likeness: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(np.maximum(2 - 2 * likeness, 0)), np.float32)


@dataclass(slots=True)
class Gaze:
    """The look of the last seconds. mean: (C, D), empty before the first; shown: (C,) how much of each cell stood out."""

    mean: Looks = field(default_factory=lambda: np.zeros((0, WIDTH), np.float32))
    shown: NDArray[np.float32] = field(default_factory=lambda: np.zeros(CELLS, np.float32))

    def see(self, cells: NDArray[np.generic], shown: NDArray[np.float32]) -> Looks:
        """Take the newest picture's cells (7, 7, D) and what stands out in them (7, 7); returns the look, (C, D) of length 1."""
        now = _unit(np.asarray(cells, np.float32).reshape(CELLS, WIDTH))
        self.mean = now if not len(self.mean) else np.asarray(self.mean + (now - self.mean) / np.float32(MEAN_S), np.float32)
        self.shown = np.maximum(shown.ravel(), self.shown * np.float32(1 - 1 / MEAN_S))
        return _unit(self.mean)

    def strange(self, bank: Bank, away: NDArray[np.float32]) -> NDArray[np.float32]:
        """(7, 7) how strange what stands out looks, beyond what light and weather do to the rest of the picture."""
        beyond = bank.strangeness(away)
        empty = self.shown < SHOWN
        common = float(np.quantile(beyond[empty] if empty.sum() > SIDE else beyond, COMMON if empty.sum() > SIDE else 0.5))
        sure = bank.batches / (bank.batches + SURE_BATCHES)
        return np.where(empty, 0, np.maximum(beyond - max(common, 0.0), 0) * sure).reshape(SIDE, SIDE).astype(np.float32)


def look_to_text(look: NDArray[np.float32]) -> str:
    """A look in 88 letters, to a hundredth: rejected alarms carry theirs."""
    return base64.b64encode(np.round(look * 127).astype(np.int8).tobytes()).decode()


def look_from_text(text: str) -> NDArray[np.float32]:
    return np.asarray(_unit(np.frombuffer(base64.b64decode(text), np.int8).astype(np.float32)[None])[0], np.float32)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)

"""What the encoder's features say of shots. Pure functions of series; everything here answers None where no encoder has looked.

P = pictures, n = shots, D = width of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.findings import Shot
from pipelines.series import Measured

EYES_EMBEDDING = "eyes.embedding"
EDGE_S = 0.1  # pictures this near to a shot's edge may still show its neighbour


def shot_embeddings(measured: Measured, shots: Sequence[Shot]) -> NDArray[np.float32] | None:
    """(n, D) float32 of length 1: the mean of what was seen within each shot; the nearest picture's where none fell into it."""
    seen = measured.get(EYES_EMBEDDING)
    if seen is None or not shots:
        return None
    sums = np.concatenate([np.zeros((1, seen.values.shape[1])), np.cumsum(seen.values.astype(np.float64), axis=0)])
    rows = np.array([_rows(seen.times_s, shot) for shot in shots])
    means = sums[rows[:, 1]] - sums[rows[:, 0]]
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9), np.float32)


def pictures_at(measured: Measured, times_s: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """(len(times_s), D) float32 of length 1: what was seen nearest to each instant."""
    seen = measured.get(EYES_EMBEDDING)
    if seen is None or not len(times_s):
        return None
    after = np.clip(np.searchsorted(seen.times_s, times_s), 1, max(1, len(seen) - 1))
    before_is_nearer = times_s - seen.times_s[after - 1] <= seen.times_s[np.minimum(after, len(seen) - 1)] - times_s
    nearest = np.where(before_is_nearer, after - 1, np.minimum(after, len(seen) - 1))
    return seen.values[nearest].astype(np.float32)


def _rows(times_s: NDArray[np.float64], shot: Shot) -> tuple[int, int]:
    """First and one past the last picture of a shot, at least one."""
    start_s = shot.transition.end_s if shot.transition else shot.span.start_s
    first, last = np.searchsorted(times_s, [start_s + EDGE_S, max(start_s + EDGE_S, shot.span.end_s - EDGE_S)])
    if last > first:
        return int(first), int(last)
    middle = (shot.span.start_s + shot.span.end_s) / 2
    nearest = int(np.argmin(np.abs(times_s - middle)))
    return nearest, nearest + 1

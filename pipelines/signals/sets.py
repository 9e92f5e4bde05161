"""Sets: shots of one place by one camera, which a programme shows again and again. Pure functions of what trained eyes saw.

n = shots, S = sets, D = width of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAME_SET = 0.88  # likeness to a set's mean: shots of one take lie above, those of another place below
ROUNDS = 2  # the first finds the sets, the others put every shot into its likest


@dataclass(frozen=True, slots=True)
class Sets:
    """of: (n,) each shot's set, numbered by first appearance; sizes: (S,) shots of each; visits: (S,) stretches in which it is shown."""

    of: NDArray[np.int64]
    sizes: NDArray[np.int64]
    visits: NDArray[np.int64]

    @property
    def recurs(self) -> NDArray[np.bool_]:
        """(n,) whether the film leaves the shot's set and comes back to it, at any time."""
        return np.asarray(self.visits[self.of] > 1)


def recurring_sets(embeddings: NDArray[np.floating], same: float = SAME_SET) -> Sets:
    """embeddings: (n, D) of length 1, in time order (`pipelines.signals.eyes.shot_embeddings`). A shot like no other is a set of its own.

    Each shot joins the set whose mean it is likest, where it is `same` at least. Time and memory grow with n times S.
    """
    seen = embeddings.astype(np.float32)
    sums = _leaders(seen, same)
    of = np.zeros(len(seen), np.int64)
    for _ in range(ROUNDS):
        of = np.asarray((seen @ _unit(sums).T).argmax(axis=1), np.int64) if len(sums) else of
        sums = np.stack([seen[of == k].sum(axis=0) for k in np.unique(of)]) if len(seen) else sums
    return _numbered(of)


def _leaders(seen: NDArray[np.float32], same: float) -> NDArray[np.float32]:
    """(S, D) sums of the shots of each set, found in one walk through the film."""
    sums, means = np.zeros_like(seen), np.zeros_like(seen)
    count = 0
    for shot in seen:
        alike = means[:count] @ shot
        at = int(alike.argmax()) if count and alike.max() >= same else count
        count = max(count, at + 1)
        sums[at] += shot
        means[at] = _unit(sums[at : at + 1])[0]
    return sums[:count]


def _unit(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9), np.float32)


def _numbered(of: NDArray[np.int64]) -> Sets:
    _, first, inverse = np.unique(of, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[inverse] if len(of) else of
    begins = np.concatenate([[True], number[1:] != number[:-1]])[: len(number)]
    count = len(first)
    return Sets(number, np.bincount(number, minlength=count), np.bincount(number[begins], minlength=count))

"""Sets that recur, on embeddings built here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.signals.sets import recurring_sets


def shots(places: list[int], grain: float = 0.2, width: int = 64) -> NDArray[np.float32]:
    """A shot of each of the places, no two quite alike."""
    rng = np.random.default_rng(1)
    seen = np.array([np.random.default_rng(place).normal(0, 1, width) for place in places]) + rng.normal(0, grain, (len(places), width))
    return np.asarray(seen / np.linalg.norm(seen, axis=1, keepdims=True), np.float32)


def test_shot_and_reverse_shot_are_two_sets_that_recur() -> None:
    sets = recurring_sets(shots([7, 3, 7, 3, 7, 9]))

    assert sets.of.tolist() == [0, 1, 0, 1, 0, 2]
    assert sets.sizes.tolist() == [3, 2, 1]
    assert sets.recurs.tolist() == [True, True, True, True, True, False]


def test_a_set_that_is_shown_in_one_go_does_not_recur() -> None:
    sets = recurring_sets(shots([1, 4, 4, 4, 1]))

    assert sets.visits.tolist() == [2, 1]
    assert sets.recurs.tolist() == [True, False, False, False, True]


def test_a_set_is_told_by_its_mean_not_by_its_first_shot() -> None:
    seen = shots([5] * 30 + [6] * 30, grain=0.35)

    assert recurring_sets(seen).sizes.tolist() == [30, 30]


def test_no_shots_have_no_sets() -> None:
    sets = recurring_sets(np.zeros((0, 8), np.float32))

    assert (len(sets.of), len(sets.sizes), len(sets.recurs)) == (0, 0, 0)

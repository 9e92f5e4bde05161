"""The chain against a plain enumeration of everything it sums over."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from pipelines.tasks.ads_decode import Lattice, believe, best_spots

CLIPS = 5


def lattice(seed: int) -> Lattice:
    pairs = [(a, b) for a in range(CLIPS) for b in range(a, min(CLIPS, a + 3))]
    scores = np.random.default_rng(seed).normal(0, 2, len(pairs))
    return Lattice(CLIPS, np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]), scores, begin=-1.5, follow=-0.5)


def every_sequence(chain: Lattice) -> dict[tuple[tuple[int, int], ...], float]:
    """Every way to lay spots over the clips, with its log-odds."""
    scores = {(int(a), int(b)): float(s) for a, b, s in zip(chain.first, chain.last, chain.score, strict=True)}
    found = {}
    for taken in product((False, True), repeat=len(scores)):
        spots = tuple(run for run, is_taken in zip(scores, taken, strict=True) if is_taken)
        if any(b[0] <= a[1] for a, b in pairwise(spots)):
            continue
        steps = [chain.follow if k and spots[k - 1][1] + 1 == a else chain.begin for k, (a, _) in enumerate(spots)]
        found[spots] = sum(scores[s] for s in spots) + sum(steps)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_best_sequence_is_the_best_of_all(seed: int) -> None:
    chain = lattice(seed)
    ways = every_sequence(chain)

    assert tuple(best_spots(chain)) == max(ways, key=lambda way: ways[way])


@pytest.mark.parametrize("seed", range(4))
def test_probabilities_are_sums_over_all_sequences(seed: int) -> None:
    chain = lattice(seed)
    ways = every_sequence(chain)
    total = np.logaddexp.reduce(list(ways.values()))
    odds = {way: np.exp(value - total) for way, value in ways.items()}

    beliefs = believe(chain)

    assert beliefs.total == pytest.approx(total)
    for k, run in enumerate(zip(chain.first.tolist(), chain.last.tolist(), strict=True)):
        assert beliefs.run[k] == pytest.approx(sum(p for way, p in odds.items() if run in way))
    for clip in range(CLIPS):
        assert beliefs.clip[clip] == pytest.approx(sum(p for way, p in odds.items() if any(a <= clip <= b for a, b in way)))
    follows = sum(p * sum(b[0] == a[1] + 1 for a, b in pairwise(way)) for way, p in odds.items())
    assert beliefs.follow == pytest.approx(follows)
    assert beliefs.begin + beliefs.follow == pytest.approx(sum(p * len(way) for way, p in odds.items()))


def test_with_nothing_in_favour_all_is_programme() -> None:
    chain = Lattice(3, np.array([0, 1]), np.array([1, 2]), np.array([-4.0, -4.0]), begin=-2.0, follow=0.0)

    assert best_spots(chain) == []
    assert believe(chain).clip.max() < 0.01

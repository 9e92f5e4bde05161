"""Chooses the best sequence of programme and spots, and says how sure it is of every part. A semi-Markov chain; knows scores, not cues.

C = clips, joints 0..C lie between them; n = runs. Every clip is programme or belongs to exactly one spot, a run of whole clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lattice:
    """All runs that might be spots. first, last: (n,) clips, inclusive; score: (n,) log-odds of being a spot, chain costs left out."""

    clip_count: int
    first: Counts
    last: Counts
    score: Numbers
    begin: float  # log-odds of a break beginning after programme
    follow: float  # log-odds of a spot following another


def best_spots(lattice: Lattice) -> list[tuple[int, int]]:
    """The (first, last) clips of the spots of the likeliest sequence, in order."""
    programme, spot = np.zeros(lattice.clip_count + 1), np.full(lattice.clip_count + 1, -np.inf)
    chosen = np.full(lattice.clip_count + 1, -1)
    order, bounds = _grouped(lattice.last, lattice.clip_count)
    for k in range(lattice.clip_count):
        programme[k + 1] = max(programme[k], spot[k])
        runs = order[bounds[k] : bounds[k + 1]]
        if len(runs):
            firsts = lattice.first[runs]
            totals = lattice.score[runs] + np.maximum(programme[firsts] + lattice.begin, spot[firsts] + lattice.follow)
            best = int(totals.argmax())
            spot[k + 1], chosen[k + 1] = totals[best], runs[best]
    return _trace(lattice, programme, spot, chosen)


def _trace(lattice: Lattice, programme: Numbers, spot: Numbers, chosen: Counts) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    k = lattice.clip_count
    in_spot = spot[k] > programme[k]
    while k > 0:
        if in_spot:
            first, last = int(lattice.first[chosen[k]]), int(lattice.last[chosen[k]])
            found.append((first, last))
            in_spot = bool(spot[first] + lattice.follow > programme[first] + lattice.begin)
            k = first
        else:
            in_spot = bool(spot[k - 1] > programme[k - 1])
            k -= 1
    return found[::-1]


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Probabilities. run: (n,) of being a spot; clip: (C,) of being in one. begin, follow: expected numbers; total: log of all."""

    run: Numbers
    clip: Numbers
    begin: float
    follow: float
    total: float


def believe(lattice: Lattice) -> Beliefs:
    """Sums over all sequences, forwards and backwards."""
    count = lattice.clip_count
    programme, spot = np.zeros(count + 1), np.full(count + 1, -np.inf)
    order, bounds = _grouped(lattice.last, count)
    entry = np.full(count + 1, -np.inf)
    entry[0] = lattice.begin
    for k in range(count):
        programme[k + 1] = np.logaddexp(programme[k], spot[k])
        runs = order[bounds[k] : bounds[k + 1]]
        if len(runs):
            spot[k + 1] = _log_sum(lattice.score[runs] + entry[lattice.first[runs]])
        entry[k + 1] = np.logaddexp(programme[k + 1] + lattice.begin, spot[k + 1] + lattice.follow)
    total = float(np.logaddexp(programme[count], spot[count]))
    after_spot = _backwards(lattice)
    run = np.exp(entry[lattice.first] + lattice.score + after_spot[lattice.last + 1] - total)
    steps = np.zeros(count + 1)
    np.add.at(steps, lattice.first, run)
    np.add.at(steps, lattice.last + 1, -run)
    begun = float((np.exp(programme[lattice.first] + lattice.begin - entry[lattice.first]) * run).sum())
    return Beliefs(run, np.clip(np.cumsum(steps)[:-1], 0, 1), begun, float(run.sum()) - begun, total)


def _backwards(lattice: Lattice) -> Numbers:
    """Log-sums of all that may come after each joint, having just left a spot."""
    count = lattice.clip_count
    programme, spot = np.zeros(count + 1), np.zeros(count + 1)
    order, bounds = _grouped(lattice.first, count)
    for k in range(count - 1, -1, -1):
        runs = order[bounds[k] : bounds[k + 1]]
        spots = _log_sum(lattice.score[runs] + spot[lattice.last[runs] + 1]) if len(runs) else -np.inf
        programme[k] = np.logaddexp(programme[k + 1], spots + lattice.begin)
        spot[k] = np.logaddexp(programme[k + 1], spots + lattice.follow)
    return spot


def _grouped(keys: Counts, count: int) -> tuple[Counts, Counts]:
    """Indices ordered by key, and where each key's begin: those of key k are order[bounds[k]:bounds[k + 1]]."""
    order = np.argsort(keys, kind="stable")
    return order, np.searchsorted(keys[order], np.arange(count + 1))


def _log_sum(values: Numbers) -> float:
    top = float(values.max())
    return top + float(np.log(np.exp(values - top).sum())) if np.isfinite(top) else top

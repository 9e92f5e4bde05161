"""How well scores and alarms agree with the truth: ROC AUC, average precision, events found at a price in false alarms. Pure numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan

TOLERANCE_S = 3.0  # an alarm that ends or begins so close to an event is about it


def roc_auc(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Chance that a true second scores above a false one, ties half. NaN where one of them is missing."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[inverse][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Area under precision against recall as a sum of steps; equal scores count as one step."""
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float((np.diff(recall, prepend=0) * precision).sum())


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording's outcome. scores: (S,) per second from 0; events: what is true; only what is after `from_s` counts."""

    scores: NDArray[np.float64]
    events: tuple[TimeSpan, ...]
    from_s: float = 0.0

    @property
    def truth(self) -> NDArray[np.bool_]:
        middles = np.arange(len(self.scores)) + 0.5
        return np.array([any(e.start_s <= t < e.end_s for e in self.events) for t in middles], bool)

    @property
    def judged(self) -> NDArray[np.bool_]:
        return np.arange(len(self.scores)) >= self.from_s


def runs(scores: NDArray[np.float64], threshold: float, gap_s: int = 5) -> list[TimeSpan]:
    """Stretches of seconds at or above `threshold`, silences up to `gap_s` bridged."""
    high = np.flatnonzero(scores >= threshold)
    if not len(high):
        return []
    breaks = np.flatnonzero(np.diff(high) > gap_s + 1)
    return [TimeSpan(float(high[a]), float(high[b] + 1)) for a, b in zip([0, *breaks + 1], [*breaks, len(high) - 1], strict=True)]


def recall_at(recordings: Sequence[Recording], false_alarms_per_hour: float) -> tuple[float, float]:
    """(largest share of events found by alarms of one common threshold within the price, that threshold)."""
    levels = np.unique(np.concatenate([np.round(r.scores[r.judged], 3) for r in recordings]))[::-1]
    hours = sum(float(r.judged.sum()) for r in recordings) / 3600
    best, best_level = 0.0, 1.0
    for level in levels[levels > 0]:
        found, wrong = count(recordings, float(level))
        if wrong / hours > false_alarms_per_hour:
            continue
        share = found / max(1, sum(len(r.events) for r in recordings))
        if share > best:
            best, best_level = share, float(level)
    return best, best_level


def count(recordings: Sequence[Recording], level: float) -> tuple[int, int]:
    """(events found, false alarms) at one level. An event is found by an alarm that begins within it, TOLERANCE_S early or late at
    most; one that begins elsewhere is false, so an alarm that never ends finds nothing."""
    found = wrong = 0
    for recording in recordings:
        raised = [a.start_s for a in runs(np.where(recording.judged, recording.scores, 0), level)]
        near = [(e.start_s - TOLERANCE_S, e.end_s + TOLERANCE_S) for e in recording.events]
        found += sum(any(start <= a < end for a in raised) for start, end in near)
        wrong += sum(not any(start <= a < end for start, end in near) for a in raised)
    return found, wrong

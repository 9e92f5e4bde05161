"""How well found breaks agree with true ones: overlap in time, false time, edges, calibration. Knows spans and scores, no task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from model.video import TimeSpan


@dataclass(frozen=True, slots=True)
class Verdict:
    """One film's result. found: (span, score) of the breaks a detector reports; true: those of the film."""

    kind: str
    duration_s: float
    found: tuple[tuple[TimeSpan, float], ...]
    true: tuple[TimeSpan, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Seconds found and true, found only, true only."""

    shared_s: float
    false_s: float
    missed_s: float

    @property
    def f1(self) -> float:
        """2 shared / (2 shared + false + missed); 1 where there was nothing to find and nothing was found."""
        total = 2 * self.shared_s + self.false_s + self.missed_s
        return 2 * self.shared_s / total if total > 0 else 1.0


def overlap(verdicts: Iterable[Verdict]) -> Overlap:
    """Pooled over films: a long film counts for more."""
    shared = false = missed = 0.0
    for verdict in verdicts:
        both = sum(span.overlap_s(true) for span, _ in verdict.found for true in verdict.true)
        shared += both
        false += sum(span.duration_s for span, _ in verdict.found) - both
        missed += sum(true.duration_s for true in verdict.true) - both
    return Overlap(shared, false, missed)


def false_s_per_hour(verdicts: Sequence[Verdict]) -> float:
    """Seconds of programme called advertising, for an hour of programme."""
    programme_s = sum(v.duration_s - sum(t.duration_s for t in v.true) for v in verdicts)
    return 3600 * overlap(verdicts).false_s / programme_s if programme_s > 0 else 0.0


def edge_errors_s(verdicts: Iterable[Verdict]) -> list[float]:
    """Distances of begins and ends for every true break that a found one covers by more than half of both."""
    errors: list[float] = []
    for verdict in verdicts:
        for true in verdict.true:
            for span, _ in verdict.found:
                if span.overlap_s(true) > 0.5 * max(span.duration_s, true.duration_s):
                    errors += [abs(span.start_s - true.start_s), abs(span.end_s - true.end_s)]
    return errors


@dataclass(frozen=True, slots=True)
class Bin:
    """Findings with scores in [low, high): how many, their mean score, and the share that is right."""

    low: float
    high: float
    count: int
    mean_score: float
    right: float


def reliability(
    scored: Sequence[tuple[float, bool]], edges: Sequence[float] = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.0001)
) -> tuple[Bin, ...]:
    """What scores are worth: of findings scored about p, a share p should be right. Empty bins are left out."""
    bins = []
    for low, high in pairwise(edges):
        inside = [(score, right) for score, right in scored if low <= score < high]
        if inside:
            scores, rights = zip(*inside, strict=True)
            bins.append(Bin(low, min(high, 1.0), len(inside), float(np.mean(scores)), float(np.mean(rights))))
    return tuple(bins)


def scored_breaks(verdicts: Iterable[Verdict]) -> list[tuple[float, bool]]:
    """(score, whether most of it is advertising) of every found break."""
    return [(score, sum(span.overlap_s(t) for t in v.true) > 0.5 * span.duration_s) for v in verdicts for span, score in v.found]


def table(verdicts: Sequence[Verdict], name: str) -> str:
    """A line a kind and one for all of them."""
    lines = [f"{name:22s} {'films':>5s} {'F1':>6s} {'false s':>8s} {'missed s':>8s} {'false s/h':>9s} {'edge p50':>8s} {'edge p90':>8s}"]
    kinds = sorted({v.kind for v in verdicts})
    for kind in (*kinds, "all"):
        lines.append(_line(kind, [v for v in verdicts if kind in (v.kind, "all")]))
    return "\n".join(lines)


def _line(kind: str, verdicts: Sequence[Verdict]) -> str:
    total, errors = overlap(verdicts), edge_errors_s(verdicts)
    median, most = (f"{np.percentile(errors, p):8.2f}" if errors else f"{'-':>8s}" for p in (50, 90))
    counts = f"{len(verdicts):5d} {total.f1:6.3f} {total.false_s:8.0f} {total.missed_s:8.0f} {false_s_per_hour(verdicts):9.1f}"
    return f"{kind:22s} {counts} {median} {most}"

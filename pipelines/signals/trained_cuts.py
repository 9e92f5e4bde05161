"""Shots as a trained detector sees them: its probabilities to changes of shots. Judges series, runs no net.

n = frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured
from pipelines.signals.fades import Transition

SURE = 0.5  # the paper's threshold, for both outputs
HARD_FRAMES = 3  # a change that takes no longer is a cut: codecs smear one over a frame or two


def trained_openings(measured: Measured, known: list[Transition]) -> list[Transition]:
    """Changes of shots in time order, hard ones as kind "cut". known: gradual changes found otherwise, which lend their kind."""
    cut, part = measured["cuts.cut"], measured["cuts.transition"]
    following = np.append(cut.times_s[1:], measured.duration_s)  # the new shot begins with the frame after
    ends, parts = cut.values.astype(np.float32), part.values.astype(np.float32)
    found = []
    for first, last in _runs((ends > SURE) | (parts > SURE)):
        peak = first + int(np.argmax(ends[first : last + 1]))
        probability = float(ends[peak])
        if probability <= SURE:
            continue  # it moves like a change, and no shot ends
        if last - first < HARD_FRAMES:
            at_s = float(following[peak])
            found.append(Transition("cut", TimeSpan(at_s, at_s + 1e-3), at_s, probability))
        else:
            span = TimeSpan(float(cut.times_s[first]), float(following[last]))
            found.append(Transition(_kind(span, known), span, (span.start_s + span.end_s) / 2, probability))
    return found


def _runs(values: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _kind(span: TimeSpan, known: list[Transition]) -> str:
    best = max(known, key=lambda change: change.span.overlap_s(span), default=None)
    return best.kind if best is not None and best.span.overlap_s(span) > 0 else "dissolve"

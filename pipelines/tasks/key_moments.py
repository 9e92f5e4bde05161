"""Which instants show a film: sharp, bright enough, calm, and unlike each other. Chooses; the pictures are decoded elsewhere.

c = candidates, P = numbers of a tiny picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.series import Measured
from pipelines.signals.eyes import pictures_at
from pipelines.signals.tiny import tiny_at

Numbers = NDArray[np.float64]

MOST_CANDIDATES = 900
EDGE_S = 0.3  # away from a cut, for the first frames of a shot are often blurred by the encoder
DARK_LUMA, FLAT_SPREAD = 20.0, 8.0
EYES_LEVELS = 10.0  # a distance of .1 between embeddings, what encoding the same picture twice makes, counts as little as a level of 255
NEARNESS = 0.3  # how much of the likeness of two moments is their being close in time


def storyboard_size(duration_s: float) -> int:
    """How many pictures a film of this length is shown by: 4 for half a minute, 15 for ten, 33 for an hour, at most 60."""
    return int(np.clip(round(2 + 4 * np.sqrt(duration_s / 60)), 3, 60))


def choose_moments(measured: Measured, shots: Sequence[Shot], count: int, parts: Sequence[TimeSpan] = ()) -> list[float]:
    """At most `count` instants in time order that represent the film best; none of `parts` gets a second one before every
    part has one.

    Empty where no picture is worth showing (all black).
    """
    times, quality = _candidates(measured, shots)
    if not len(times):
        return []
    likeness = _likeness(_apart(measured, times), times, measured.duration_s)
    own = _own_part(times, parts)
    chosen: list[int] = []
    while len(chosen) < min(count, len(times)):
        free = np.setdiff1d(np.arange(len(times)), chosen)
        unseen = free[(own[free] >= 0) & ~np.isin(own[free], own[chosen])]
        chosen.append(_best(likeness, quality, chosen, unseen if len(unseen) else free))
    return sorted(float(times[k]) for k in chosen)


def _own_part(times: Numbers, parts: Sequence[TimeSpan]) -> NDArray[np.intp]:
    """(c,) which part each instant lies in, -1 for none."""
    own = np.full(len(times), -1)
    for number, part in enumerate(parts):
        own[(times >= part.start_s) & (times < part.end_s)] = number
    return own


def _best(likeness: Numbers, quality: Numbers, chosen: list[int], free: NDArray[np.intp]) -> int:
    """The candidate that adds most: how much better all moments are represented once it is in, times its own quality."""
    covered = likeness[:, chosen].max(1) if chosen else np.zeros(len(likeness))
    gain = np.maximum(likeness[:, free] - covered[:, None], 0).sum(0)
    return int(free[int(np.argmax(gain * quality[free]))])


def _candidates(measured: Measured, shots: Sequence[Shot]) -> tuple[Numbers, Numbers]:
    """((c,) instants in order, (c,) their quality 0..1): the best of each of up to MOST_CANDIDATES equal stretches."""
    luma, spread, black, change = (measured.get(f"frame.{name}") for name in ("luma", "spread", "black", "change"))
    if luma is None or spread is None or black is None or change is None:
        return np.zeros(0), np.zeros(0)
    times = _instants(measured, shots)
    at = np.maximum(np.searchsorted(luma.times_s, times + 1e-6, side="right") - 1, 0)
    bright, varied, dark = (series.values[at].astype(np.float64) for series in (luma, spread, black))
    good = (bright > DARK_LUMA) & (varied > FLAT_SPREAD) & (dark < 0.8)
    times, at = times[good], at[good]
    calm = 1 / (1 + change.values[at].astype(np.float64) / 8)
    quality = (0.3 + 0.7 * _sharpness(measured, times)) * (0.5 + 0.5 * calm) * _clear_of_edges(times, shots)
    return _best_of_stretches(times, quality, measured.duration_s)


def _instants(measured: Measured, shots: Sequence[Shot]) -> Numbers:
    """Every second at which sharpness was measured, and the middle of every shot too short for one, inside the given shots."""
    detail = measured.get("detail.sharpness")
    seconds = detail.times_s if detail is not None else np.arange(0, measured.duration_s, 1.0)
    short = [(s.span.start_s + s.span.end_s) / 2 for s in shots if s.span.duration_s < 2]
    times = np.unique(np.concatenate([seconds, short]))
    if not shots:
        return times
    starts, ends = (np.array([getattr(s.span, name) for s in shots]) for name in ("start_s", "end_s"))
    own = np.searchsorted(starts, times, side="right") - 1
    return times[(own >= 0) & (times < ends[np.maximum(own, 0)])]


def _sharpness(measured: Measured, times: Numbers) -> Numbers:
    """(c,) rank among the film's seconds, 0..1; what was not measured counts as middling."""
    detail = measured.get("detail.sharpness")
    if detail is None or not len(detail):
        return np.full(len(times), 0.5)
    ranks = np.argsort(np.argsort(detail.values, kind="stable")) / max(1, len(detail) - 1)
    nearest = np.clip(np.searchsorted(detail.times_s, times), 0, len(detail) - 1)
    return np.where(np.abs(detail.times_s[nearest] - times) < 1e-6, ranks[nearest], 0.5)


def _clear_of_edges(times: Numbers, shots: Sequence[Shot]) -> Numbers:
    """(c,) 1 well inside a shot, less within EDGE_S of its ends, little inside a transition."""
    starts = np.array([s.span.start_s for s in shots] or [0.0])
    ends = np.array([s.span.end_s for s in shots] or [np.inf])
    own = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(starts) - 1)
    room = np.minimum(times - starts[own], ends[own] - times)
    clear = np.where((room >= EDGE_S) | (own == 0) & (times < EDGE_S), 1.0, 0.6)
    for shot in shots:
        if shot.transition is not None:
            first, last = np.searchsorted(times, [shot.transition.start_s, shot.transition.end_s])
            clear[first:last] = 0.1
    return clear


def _best_of_stretches(times: Numbers, quality: Numbers, duration_s: float) -> tuple[Numbers, Numbers]:
    stretch = (times / max(duration_s, 1e-6) * MOST_CANDIDATES).astype(int)
    order = np.lexsort((-quality, stretch))
    first = np.unique(stretch[order], return_index=True)[1]
    kept = np.sort(order[first])
    return times[kept], quality[kept]


def _apart(measured: Measured, times: Numbers) -> Numbers:
    """(c, c) how different two moments look: to trained eyes where there are any, else by their tiny pictures, in levels."""
    seen = pictures_at(measured, times)
    looks = tiny_at(measured, times.tolist()).astype(np.float64) if seen is None else seen.astype(np.float64)
    square = (looks * looks).sum(1)
    squares = np.maximum(square[:, None] + square[None] - 2 * looks @ looks.T, 0)
    return np.asarray(np.sqrt(squares / looks.shape[1]) if seen is None else EYES_LEVELS * np.sqrt(squares))


def _likeness(apart: Numbers, times: Numbers, duration_s: float) -> Numbers:
    """(c, c) 0..1: how well one moment stands for another, in looks and in time. Looks are told on the film's own scale, so that
    a fixed camera's small differences count as much as a film's large ones."""
    usual = max(1.0, float(np.median(apart)))
    far = np.abs(times[:, None] - times[None]) / max(1.0, duration_s / 10)
    return np.asarray((1 - NEARNESS) * np.exp(-((apart / (0.5 * usual)) ** 2)) + NEARNESS * np.exp(-far))

"""Dissolves and wipes: pictures that give way to others over a while. Judges tiny pictures; decodes nothing.

A window `[s, e]` of a dissolve holds mixtures of its first picture A and its last picture B, and nothing else: every picture in it
lies on the line from A to B, as far along as time has come; before and after it little happens. In a wipe every pixel is A's or B's.

w = windows, P = numbers of a tiny picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured
from pipelines.signals.fades import Transition
from pipelines.signals.tiny import walk_tiny

Numbers = NDArray[np.float32]
Times = NDArray[np.float64]

LENGTHS_S = (0.24, 0.36, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
TINY_PX = (9, 16)  # rows and columns of a tiny picture
UNREST_S = 1.0
STEPS = 8  # windows of one length begin this often within it ...
LEAST_STEP_S = 0.04  # ... but not more densely
INSIDE = np.linspace(0, 1, 9)[1:-1]  # where a window is looked at, as shares of its length
OUTSIDE = 0.4  # how far before and after it, as a share of its length
MARGIN_S = max(LENGTHS_S) * (0.5 + OUTSIDE) + 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionSettings:
    """When a gradual change of picture counts as a transition between shots.

    The limits are where a window is given up; of the rest, the shares of the limits used up, added, must not pass `most_misfit`.
    """

    least_contrast: float = 0.2  # change between the two shots, as a share of the larger of their standard deviations ...
    least_change: tuple[float, float] = (3.0, 6.0)  # ... but at least so many mean levels, and never more are asked for
    most_likeness: float = 0.85  # their correlation; more is one shot under changing light
    outside: float = 0.5  # change before and after, as a share of the change inside: more is a camera that keeps moving
    residue: float = 0.2  # of a dissolve, share of the change (squared) off the line from A to B; of a wipe, neither A's nor B's
    offset: float = 0.25  # how far a picture may be ahead or behind of an even transition
    most_misfit: float = 1.75  # true dissolves of the seeded films have 0.4 to 1.8, the best of pans, shakes and crowds 1.7 and more
    wipe_change: float = 12.0  # a wipe between shots that look alike cannot be told from a passer-by
    wipe_order: float = 0.6  # correlation of what has changed half-way with the place across or down the picture
    unrest: float = 2.0  # usual change a frame within UNREST_S of the window, as a multiple of that inside


@dataclass(frozen=True, slots=True)
class Scenery:
    """What windows look into. values: (F, P) tiny pictures; contrast: (F,) variance of the small luma picture;
    steps: (F,) mean change of the tiny picture; times_s: (F,)."""

    values: NDArray[np.uint8]
    contrast: Times
    steps: Numbers
    times_s: Times

    def shown(self, instants: Times) -> NDArray[np.intp]:
        """The frames on display at `instants`."""
        return np.clip(np.searchsorted(self.times_s, instants + 1e-6, side="right") - 1, 0, len(self.times_s) - 1)


@dataclass(frozen=True, slots=True)
class Windows:
    """w windows into pictures. a, b: (w,) frames shown at start and end; the rest (w,) too. change: mean levels from A to B."""

    start_s: Times
    end_s: Times
    a: NDArray[np.intp]
    b: NDArray[np.intp]
    change: Numbers
    outside: Numbers

    def chosen(self, keep: NDArray[np.bool_]) -> Windows:
        return Windows(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def find_transitions(measured: Measured, settings: TransitionSettings = TransitionSettings()) -> list[Transition]:
    """Dissolves and wipes in time order, none overlapping another."""
    found: list[Transition] = []
    spread = measured["frame.spread"]
    for own, pictures, lead in walk_tiny(measured, MARGIN_S):
        first = int(np.searchsorted(spread.times_s, pictures.times_s[0]))
        contrast = spread.values[first : first + len(pictures)].astype(np.float64) ** 2
        values = pictures.values.reshape(len(pictures), -1).astype(np.uint8, copy=False)
        steps = _apart(values, np.maximum(np.arange(len(values)) - 1, 0), np.arange(len(values)))
        scenery = Scenery(values, contrast, steps, pictures.times_s)
        middles = float(pictures.times_s[lead]), float(pictures.times_s[lead + own - 1])
        for length_s in LENGTHS_S:
            windows = _windows(scenery, middles, length_s, settings)
            found += _dissolves(scenery, windows, settings) + _wipes(scenery, windows, settings)
    return _best(found)


def _best(found: list[Transition]) -> list[Transition]:
    """The best fitting ones, each with the windows that overlap it left out."""
    kept: list[Transition] = []
    for one in sorted(found, key=lambda t: -t.quality):
        if all(one.span.overlap_s(other.span) == 0 for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda t: t.span.start_s)


def _windows(scenery: Scenery, middles: tuple[float, float], length_s: float, settings: TransitionSettings) -> Windows:
    """Windows of one length whose middle lies in `middles` on that length's grid, whose ends differ and whose sides do not."""
    step = max(length_s / STEPS, LEAST_STEP_S)
    middle = np.arange(np.ceil(middles[0] / step), np.ceil((middles[1] + 1e-9) / step)) * step
    start, end = (np.asarray(middle + way * length_s / 2, np.float64) for way in (-1, 1))
    a, b = scenery.shown(start), scenery.shown(end)
    values = scenery.values
    travelled = np.cumsum(scenery.steps)
    seen = start - OUTSIDE * length_s >= scenery.times_s[0]
    may = (travelled[b] - travelled[a] >= settings.least_change[0]) & seen & (b - a >= 3)
    start, end, a, b = start[may], end[may], a[may], b[may]
    change = _apart(values, a, b)
    before, after = scenery.shown(start - OUTSIDE * length_s), scenery.shown(end + OUTSIDE * length_s)
    beside = np.maximum(_apart(values, before, a), _apart(values, b, after))
    windows = Windows(start, end, a, b, change, (beside / np.maximum(change, 1)).astype(np.float32))
    contrast = np.sqrt(np.maximum(scenery.contrast[a], scenery.contrast[b]))
    differs = change >= np.clip(settings.least_contrast * contrast, *settings.least_change)
    windows = windows.chosen(differs & (windows.outside <= settings.outside))
    return windows.chosen(_strangers(*_ends(scenery, windows), settings.most_likeness))


def _apart(values: NDArray[np.uint8], one: NDArray[np.intp], other: NDArray[np.intp]) -> Numbers:
    """(w,) mean |difference| of pictures `one` and `other`, in bytes for speed."""
    a, b = values[one], values[other]
    total: NDArray[np.uint32] = (np.maximum(a, b) - np.minimum(a, b)).sum(1, dtype=np.uint32)
    return np.asarray(total / values.shape[1], np.float32)


def _ends(scenery: Scenery, windows: Windows) -> tuple[Numbers, Numbers]:
    """A and B, each (w, P)."""
    return scenery.values[windows.a].astype(np.float32), scenery.values[windows.b].astype(np.float32)


def _strangers(A: Numbers, B: Numbers, most_likeness: float) -> NDArray[np.bool_]:
    """(w,) whether A and B show different things, by the correlation of their luma; a black or white one is a fade's business."""
    (mean_a, _, spread_a), (mean_b, _, spread_b) = _luma(A), _luma(B)
    likeness = _covariance(A, B) / np.maximum(spread_a * spread_b, 1)
    blank = [(spread < 3) & ((mean < 12) | (mean > 243)) for mean, spread in ((mean_a, spread_a), (mean_b, spread_b))]
    return np.asarray((likeness <= most_likeness) & ~blank[0] & ~blank[1])


def _luma(pictures: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """(mean (w,), deviations from it (w, P / 3), standard deviation (w,)) of the luma third of tiny pictures."""
    luma = pictures[:, : pictures.shape[1] // 3]
    mean = luma.mean(1)
    apart = luma - mean[:, None]
    return mean, apart, np.sqrt((apart * apart).mean(1))


def _covariance(A: Numbers, B: Numbers) -> Numbers:
    return np.asarray((_luma(A)[1] * _luma(B)[1]).mean(1))


def _dissolves(scenery: Scenery, windows: Windows, settings: TransitionSettings) -> list[Transition]:
    windows = windows.chosen(windows.outside / settings.outside + np.maximum(0, 1 - _dip(scenery, windows)) <= settings.most_misfit)
    lost = np.maximum(0, 1 - _dip(scenery, windows))
    residue, offset = _mix_misfit(scenery, windows)
    misfit = residue / settings.residue + offset / settings.offset + windows.outside / settings.outside + lost
    may = (residue <= settings.residue) & (offset <= settings.offset) & (misfit <= settings.most_misfit)
    return _calm_ones("dissolve", scenery, windows.chosen(may), misfit[may], settings)


def _wipes(scenery: Scenery, windows: Windows, settings: TransitionSettings) -> list[Transition]:
    windows = windows.chosen(windows.change >= settings.wipe_change)
    neither, ahead = _wiped(scenery, windows, 0.5)  # one instant rules most windows out
    windows = windows.chosen((neither <= 2 * settings.residue) & (ahead <= settings.offset))
    windows = windows.chosen(_order(scenery, windows) >= settings.wipe_order)
    parts = np.array([_wiped(scenery, windows, share) for share in INSIDE])
    residue, offset = parts[:, 0].mean(0), parts[:, 1].max(0)
    misfit = residue / settings.residue + offset / settings.offset + windows.outside / settings.outside
    may = (residue <= settings.residue) & (offset <= settings.offset) & (misfit <= settings.most_misfit)
    return _calm_ones("wipe", scenery, windows.chosen(may), misfit[may], settings)


def _calm_ones(kind: str, scenery: Scenery, windows: Windows, misfit: Numbers, settings: TransitionSettings) -> list[Transition]:
    """The transitions among `windows`, once the unrest around them is added to their misfit."""
    found = []
    for k, (start_s, end_s) in enumerate(zip(windows.start_s.tolist(), windows.end_s.tolist(), strict=True)):
        total = float(misfit[k]) + _unrest(scenery, start_s, end_s) / settings.unrest
        if total <= settings.most_misfit:
            quality = 1 - total / (2 * settings.most_misfit)
            found.append(Transition(kind, TimeSpan(max(0.0, start_s), end_s), (start_s + end_s) / 2, quality))
    return found


def _unrest(scenery: Scenery, start_s: float, end_s: float) -> float:
    """The usual change a frame beside the window, on the livelier side, over the mean inside."""
    gap_s = 0.05
    edges = np.array([start_s - UNREST_S, start_s - gap_s, start_s, end_s, end_s + gap_s, end_s + UNREST_S])
    k = np.searchsorted(scenery.times_s, edges)
    beside = [float(np.median(part)) for part in (scenery.steps[k[0] : k[1]], scenery.steps[k[4] : k[5]]) if len(part)]
    inside = float(scenery.steps[k[2] + 1 : k[3] + 1].mean()) if k[3] > k[2] else 0.0
    return max(beside, default=0.0) / max(inside, 0.01)


def _mix_misfit(scenery: Scenery, windows: Windows) -> tuple[Numbers, Numbers]:
    """(w,) mean squared share of the pictures inside that is off the line from A to B; (w,) how far they run ahead or behind at most."""
    A, B = _ends(scenery, windows)
    D = B - A
    energy = (D * D).sum(1)
    residues, offsets = [], []
    for share in INSIDE:
        picture, expected = _at(scenery, windows, share)
        X = picture - A
        along = (X * D).sum(1) / energy
        residues.append((X * X).sum(1) / energy - along * along)
        offsets.append(np.abs(along - expected))
    return np.mean(residues, axis=0), np.max(offsets, axis=0)


def _at(scenery: Scenery, windows: Windows, share: float) -> tuple[Numbers, Numbers]:
    """(w, P) the picture `share` of the way through each window; (w,) how far in time it really lies between the window's ends."""
    times = scenery.times_s
    k = scenery.shown(windows.start_s + share * (windows.end_s - windows.start_s))
    expected = (times[k] - times[windows.a]) / (times[windows.b] - times[windows.a])
    return scenery.values[k].astype(np.float32), expected.astype(np.float32)


def _dip(scenery: Scenery, windows: Windows) -> Times:
    """(w,) contrast lost on the way as a share of what a mixture of A and B would lose, the least of three instants.

    The variance of (1 - m) A + m B falls short of the mean of theirs, weighted alike, by m (1 - m) var(A - B): a dissolve has about 1
    here, a moving camera 0, for it keeps all its contrast.
    """
    A, B = _ends(scenery, windows)
    variances = _luma(A)[2] ** 2 + _luma(B)[2] ** 2
    apart = 1 - 2 * _covariance(A, B) / np.maximum(variances, 1)
    one, other = scenery.contrast[windows.a], scenery.contrast[windows.b]
    dips = []
    for share in (0.3, 0.5, 0.7):
        now = scenery.contrast[scenery.shown(windows.start_s + share * (windows.end_s - windows.start_s))]
        lost = (1 - share) * one + share * other - now
        dips.append(lost / np.maximum(share * (1 - share) * (one + other) * apart, 1e-3))
    return np.asarray(np.min(dips, axis=0))


def _wiped(scenery: Scenery, windows: Windows, share: float) -> tuple[Numbers, Numbers]:
    """At one instant: (w,) share of the change that is neither A's nor B's; (w,) how far the changed part runs ahead or behind."""
    A, B = _ends(scenery, windows)
    picture, expected = _at(scenery, windows, share)
    size, to_a, to_b = np.abs(B - A), np.abs(picture - A), np.abs(picture - B)
    weight = np.maximum(size.sum(1), 1e-6)
    ahead = np.abs((size * (to_b < to_a)).sum(1) / weight - expected)
    return np.minimum(to_a, to_b).sum(1) / weight, ahead


def _order(scenery: Scenery, windows: Windows) -> Numbers:
    """(w,) greatest correlation of what has changed half-way with its place across or down the picture, weighted by the change."""
    A, B = _ends(scenery, windows)
    picture, _ = _at(scenery, windows, 0.5)
    share = np.abs(B - A) / np.maximum(np.abs(B - A).sum(1, keepdims=True), 1e-6)
    changed = np.abs(picture - B) < np.abs(picture - A)
    one = changed - (share * changed).sum(1, keepdims=True)
    best = np.zeros(len(changed), np.float32)
    for place in np.mgrid[: TINY_PX[0], : TINY_PX[1]]:
        where = np.tile(place.ravel(), 3).astype(np.float32)
        other = where - (share * where).sum(1, keepdims=True)
        spread = np.sqrt((share * one * one).sum(1) * (share * other * other).sum(1))
        best = np.maximum(best, np.abs((share * one * other).sum(1)) / np.maximum(spread, 1e-6))
    return best

"""Shots: where one camera's picture gives way to another's. Judges the numbers `measure_pictures` made; decodes nothing.

n = frames, c = candidates, P = numbers of a tiny picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.series import Measured
from pipelines.signals.fades import Transition, find_fades
from pipelines.signals.tiny import walk_tiny
from pipelines.signals.trained_cuts import trained_openings
from pipelines.signals.transitions import TransitionSettings, find_transitions

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotSettings:
    """When a change of picture counts as a cut."""

    cut_probability: float = 0.5  # the judge's probability from which a change is a cut
    shortest_s: float = 0.2  # two cuts nearer than this are one: flicker, or an interlaced frame between two shots
    context_s: float = 0.5  # how far aside a change is compared with its neighbours
    flash_s: float = 0.35  # a picture that is back within this time was never gone
    least_stay: float = 0.4  # how far from the old picture things must stay, 0..1, however great the change
    transitions: TransitionSettings = field(default_factory=TransitionSettings)


@dataclass(frozen=True, slots=True)
class Cut:
    time_s: float  # when the new shot's first frame appears
    probability: float


def find_shots(measured: Measured, settings: ShotSettings = ShotSettings()) -> tuple[Shot, ...]:
    """The video's shots: they tile `[0, duration)`; empty where there are no pictures. A trained detector that has looked decides."""
    if measured.get("frame.change") is None:
        return ()
    fades = find_fades(measured)
    mixes = [mix for mix in find_transitions(measured, settings.transitions) if not any(mix.span.overlap_s(f.span) for f in fades)]
    if measured.get("cuts.cut") is None:
        openings = _openings(find_cuts(measured, settings), [*fades, *mixes], settings.shortest_s, measured.duration_s)
    else:
        openings = _apart(trained_openings(measured, [*fades, *mixes]), settings.shortest_s, measured.duration_s)
    edges = [0.0, *(opening.at_s for opening in openings), measured.duration_s]
    opened = [("start", None, 1.0), *((o.kind, o.span if o.kind != "cut" else None, o.quality) for o in openings)]
    return tuple(Shot(TimeSpan(a, b), *how) for (a, b), how in zip(pairwise(edges), opened, strict=True))


def _openings(cuts: list[Cut], transitions: list[Transition], shortest_s: float, duration_s: float) -> list[Transition]:
    """Cuts and transitions in time order. A transition swallows the cuts in it; of two nearer than `shortest_s` the surer stays."""
    hard = [
        Transition("cut", TimeSpan(cut.time_s, cut.time_s + shortest_s), cut.time_s, cut.probability)
        for cut in cuts
        if not any(t.span.start_s - SWALLOW_S <= cut.time_s < t.span.end_s + SWALLOW_S for t in transitions)
    ]
    return _apart([*hard, *transitions], shortest_s, duration_s)


def _apart(changes: list[Transition], shortest_s: float, duration_s: float) -> list[Transition]:
    kept: list[Transition] = []
    for one in sorted(changes, key=lambda opening: opening.at_s):
        if not shortest_s <= one.at_s <= duration_s - shortest_s:
            continue
        if kept and one.at_s - kept[-1].at_s < shortest_s:
            kept[-1] = max(kept[-1], one, key=lambda opening: opening.quality)
        else:
            kept.append(one)
    return kept


def find_cuts(measured: Measured, settings: ShotSettings = ShotSettings()) -> list[Cut]:
    """Hard cuts in time order, before transitions are looked for."""
    rows, features = cut_features(measured, settings)
    times = measured["frame.change"].times_s[rows]
    probabilities = 1 / (1 + np.exp(-(features @ CUT_WEIGHTS + CUT_BIAS)))
    probabilities[(features[:, -1] < settings.least_stay) | _same_scene(measured, rows)] = 0.0
    sure = probabilities >= settings.cut_probability
    return [Cut(float(t), float(p)) for t, p in zip(times[sure], probabilities[sure], strict=True)]


# Fitted by logistic regression on films of pipelines/evaluation/edits.py, in the order of `cut_features`.
CUT_WEIGHTS = np.array([0.41, 0.21, 4.97, 4.88, 1.47, 6.08])
CUT_BIAS = -13.05
CANDIDATE_CHANGE = 1.0  # levels; a smaller change is invisible
SWALLOW_S = 0.1  # a cut this near a transition is its first or last frame
USUAL = 0.88  # quantile: a repeated frame in five doubles the change after it, and that is usual too
SAME_LIKENESS, SAME_SPREAD = 0.88, 6.0  # true cuts of the seeded films correlate by 0.77 at most, where there is any contrast
GONE = 0.5  # a picture that keeps this share of its difference is gone for good; motion under a flash leaves less


def cut_features(measured: Measured, settings: ShotSettings) -> tuple[NDArray[np.intp], Numbers]:
    """((c,) frame numbers, (c, 6) features) of every frame whose change is the greatest of five."""
    change, residue, colour, likeness = (
        measured[f"frame.{name}"].values.astype(np.float64) for name in ("change", "residue", "colour", "likeness")
    )
    times = measured["frame.change"].times_s
    rows = _peaks(change)
    reach = max(4, round(settings.context_s / _frame_s(times)))
    usual = _usual(np.stack([change, residue, 1 - likeness]), rows, reach)
    stays = _stays(measured, rows, settings.flash_s)
    features = [
        np.log((change[rows] + 0.5) / (usual[0] + 0.5)),
        np.log((residue[rows] + 0.5) / (usual[1] + 0.5)),
        colour[rows],
        1 - likeness[rows],
        np.log((1 - likeness[rows] + 0.02) / (usual[2] + 0.02)),
        stays,
    ]
    return rows, np.stack(features, axis=1)


def _same_scene(measured: Measured, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(c,) whether the picture before is the same one under other light: it correlates, and there is something in it that can."""
    likeness, spread = (measured[f"frame.{name}"].values.astype(np.float64) for name in ("likeness", "spread"))
    return np.asarray((likeness[rows] > SAME_LIKENESS) & (np.minimum(spread[rows], spread[rows - 1]) >= SAME_SPREAD))


def _peaks(change: Numbers) -> NDArray[np.intp]:
    around = np.lib.stride_tricks.sliding_window_view(np.pad(change, 2), 5)
    peaks = (change >= CANDIDATE_CHANGE) & (change >= around.max(1))
    peaks[:1] = False
    return np.nonzero(peaks)[0]


def _frame_s(times: Numbers) -> float:
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0


def _usual(signals: Numbers, rows: NDArray[np.intp], reach: int) -> Numbers:
    """(signals, c): what is high but not rare within `reach` frames of each row, the row itself left out."""
    offsets = np.concatenate([np.arange(-reach, 0), np.arange(1, reach + 1)])
    usual = np.empty((len(signals), len(rows)))
    for first in range(0, len(rows), 4096):
        chosen = rows[first : first + 4096, None] + offsets
        inside = (chosen >= 1) & (chosen < signals.shape[1])
        values = np.where(inside, signals[:, np.clip(chosen, 0, signals.shape[1] - 1)], np.nan)
        rank = (USUAL * (inside.sum(1) - 1)).astype(np.int64)  # unknown neighbours are sorted to the end
        usual[:, first : first + 4096] = np.take_along_axis(np.sort(values, axis=2), rank[None, :, None], axis=2)[..., 0]
    return usual


def _stays(measured: Measured, rows: NDArray[np.intp], flash_s: float) -> Numbers:
    """(c,) how far from the old picture things stay, 0 (a flash: soon back) .. 1 (gone for good), looking both ways in time."""
    stays = np.ones(len(rows))
    done, base = 0, 0
    for own, around, margin in walk_tiny(measured, flash_s + 0.1):
        pictures = around.values.reshape(len(around), -1).astype(np.int16)
        last = int(np.searchsorted(rows, base + own))
        for k in range(done, last):
            stays[k] = _stay(pictures, around.times_s, int(rows[k]) - base + margin, flash_s)
        done, base = last, base + own
    return stays


def _stay(pictures: NDArray[np.int16], times: Numbers, row: int, flash_s: float) -> float:
    now, before = pictures[row], pictures[row - 1]
    later = pictures[row + 1 : max(row + 3, int(np.searchsorted(times, times[row] + flash_s)))]
    earlier = pictures[min(row - 3, int(np.searchsorted(times, times[row] - flash_s))) if row >= 3 else 0 : row - 1]
    whole = max(0.5, float(np.abs(now - before).mean()))
    returns = [np.abs(some - one).mean(1).min() for some, one in ((later, before), (earlier, now)) if len(some)]
    return float(min(1.0, min(returns) / (GONE * whole))) if returns else 1.0

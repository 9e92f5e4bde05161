"""Fades: the picture sinks to black or rises to white and another one returns. Judges brightness over time; decodes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured
from pipelines.signals.tiny import tiny_at

Levels = NDArray[np.float64]

LOW_SHARE = 0.25  # a dip goes down to this share of the brightness around it
BLACK_LEVEL, BLACK_SPREAD = 10.0, 4.0  # what counts as black after a ramp on one side only
REACH_S = 2.5  # the longest ramp
HOLD_S = 4.0  # black for longer is a part of the film of its own
LEAST_RAMP_S = 0.1
LEAST_RAMP_FRAMES = 3
STEEPEST = 0.6  # a ramp's largest step between two frames, as a share of its height; more is a cut
SAME_CHANGE = 0.1  # less than this share of the dip's depth between before and after: the shot that comes back is the one that went
SLACK = 0.3  # levels by which a ramp may waver


@dataclass(frozen=True, slots=True)
class Transition:
    """A gradual change of shot. at_s: where the new shot is said to begin; quality: 0..1, how well it fits."""

    kind: str  # dissolve | fade | wipe
    span: TimeSpan
    at_s: float
    quality: float = 1.0


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a dip. outer: the frame at which the picture still (or again) is whole; inner: the first (or last) dark one."""

    outer: int
    inner: int
    is_ramp: bool


def find_fades(measured: Measured) -> list[Transition]:
    """Fades through black or white in time order; a lone fade at the very start or end of the video is none."""
    luma, spread = measured["frame.luma"], measured["frame.spread"]
    times, levels = luma.times_s, luma.values.astype(np.float64)
    black = list(_dips(levels, spread.values.astype(np.float64), times))
    white = [dip for dip in _dips(255 - levels, spread.values.astype(np.float64), times) if dip[0].is_ramp and dip[1].is_ramp]
    new = sorted(black + white, key=lambda dip: dip[0].outer)
    new = [dip for dip, is_new in zip(new, _is_new(measured, new, times, levels), strict=True) if is_new]
    return [fade for left, right in new for fade in _fades(left, right, times)]


def _is_new(measured: Measured, dips: list[tuple[Side, Side]], times: Levels, levels: Levels) -> list[bool]:
    """Whether another picture returns than went."""
    before = tiny_at(measured, [float(times[left.outer]) for left, _ in dips])
    order = sorted(range(len(dips)), key=lambda k: dips[k][1].outer)
    after = tiny_at(measured, [float(times[dips[k][1].outer]) for k in order])[np.argsort(order, kind="stable")]
    change = np.abs(after - before).mean(1) if len(dips) else np.zeros(0)
    depths = [abs(levels[left.outer] - levels[left.inner]) for left, _ in dips]
    return [bool(c >= SAME_CHANGE * depth) for c, depth in zip(change, depths, strict=True)]


def _fades(left: Side, right: Side, times: Levels) -> Iterator[Transition]:
    """One fade through the dip; two where it stays dark for long."""
    start, dark, light, end = (float(times[k]) for k in (left.outer, left.inner, right.inner, right.outer))
    if light - dark > HOLD_S:
        if left.is_ramp and dark > start:
            yield Transition("fade", TimeSpan(start, dark), dark)
        if right.is_ramp and end > light:
            yield Transition("fade", TimeSpan(light, end), light)
        return
    at_s = (start + end) / 2 if left.is_ramp and right.is_ramp else end if left.is_ramp else dark
    yield Transition("fade", TimeSpan(start, end), at_s)


def _dips(levels: Levels, spread: Levels, times: Levels) -> Iterator[tuple[Side, Side]]:
    """Both sides of every dip that has a ramp on one of them at least, and the picture on both."""
    frame_s = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    reach = max(LEAST_RAMP_FRAMES, round(REACH_S / frame_s))
    around = highest_within(levels, reach)
    low = levels <= np.maximum(LOW_SHARE * around, 2.0)
    for first, last in runs(low & (around > 8)):
        if first == 0 or last == len(levels) - 1:
            continue
        deepest = first + int(np.argmin(levels[first : last + 1]))
        left = _side(levels, times, deepest, -1, reach)
        right = _side(levels, times, deepest, 1, reach)
        if (left.is_ramp or right.is_ramp) and _goes_dark(levels, spread, left, right, deepest):
            yield left, right


def _goes_dark(levels: Levels, spread: Levels, left: Side, right: Side, deepest: int) -> bool:
    shoulders = [side.outer for side in (left, right)]
    if left.is_ramp and right.is_ramp:
        lowest = min(levels[k] for k in shoulders)
        return bool(levels[deepest] <= LOW_SHARE * lowest and spread[deepest] <= 2 + LOW_SHARE * min(spread[k] for k in shoulders))
    return bool(levels[deepest] <= BLACK_LEVEL and spread[deepest] <= BLACK_SPREAD)


def _side(levels: Levels, times: Levels, deepest: int, way: int, reach: int) -> Side:
    """Walk from the deepest frame outwards: first over the dark, then up until it rises no more."""
    bottom, edge = levels[deepest], len(levels) - 1 if way > 0 else 0
    inner = deepest
    while inner != edge and levels[inner + way] <= bottom + 1.0:
        inner += way
    outer = inner
    while outer != edge and abs(outer - inner) < reach and _still_rises(levels, outer, way, bottom):
        outer += way
    path = levels[inner : outer + way : way] if outer + way >= 0 else levels[inner::way]
    height = path[-1] - bottom if len(path) else 0.0
    long_enough = len(path) > LEAST_RAMP_FRAMES and abs(times[outer] - times[inner]) >= LEAST_RAMP_S
    is_ramp = bool(long_enough and height > 4 and np.diff(path).max() <= STEEPEST * height)
    return Side(outer, inner, is_ramp)


def _still_rises(levels: Levels, at: int, way: int, bottom: float) -> bool:
    """Whether brightness goes on rising beyond `at`; one repeated frame does not stop it."""
    ahead = levels[at + way : at + 4 * way : way] if at + 4 * way >= 0 else levels[at + way :: way]
    if not len(ahead) or ahead[0] < levels[at] - SLACK:
        return False
    return bool(ahead.max() > levels[at] + SLACK + 0.02 * (levels[at] - bottom))


def highest_within(levels: Levels, reach: int) -> Levels:
    """The maximum over `reach` frames either side, by doubling."""
    best, covered = levels.copy(), 0
    while covered < reach:
        step = min(max(covered, 1), reach - covered)
        padded = np.pad(best, step, constant_values=-np.inf)
        best = np.maximum(best, np.maximum(padded[: len(best)], padded[2 * step :]))
        covered += step
    return best


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) of every unbroken run of True, last included."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]

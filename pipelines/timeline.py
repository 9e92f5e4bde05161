"""From a container's raw stamps to one ascending line of display times. Pure arithmetic on arrays, knows nothing of files.

P = packets in file order. Stamps are int64 ticks; UNKNOWN where the container gave none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ticks = NDArray[np.int64]

UNKNOWN = np.iinfo(np.int64).min
LOOK_AHEAD = 8  # a stamp that jumps back and stays back this long is a new stretch, not a slip
DEEPEST_REORDER = 32  # H.264 and HEVC hold back 16 pictures at most; fields double that
STRAY_S = 60  # one flipped bit of a stamp can make a film of 2 s last 3 h
LONGEST_GAP_S = 3 * 3600  # no recording pauses this long; broken stamps do
DECODING_TIMES = "pictures have no display times; each is shown at the decoding time at which a player would have it ready"
NO_TIMES = "pictures have no time stamps at all; times are picture number over the frame rate"


@dataclass(frozen=True, slots=True)
class Stamps:
    """What the demuxer said. pts, dts: (P,); frame_ticks: how long an ordinary picture lasts; ticks_per_s: of the stream's time base."""

    pts: Ticks
    dts: Ticks
    frame_ticks: int
    ticks_per_s: float


@dataclass(frozen=True, slots=True)
class DisplayOrder:
    """What a decoder tells. packets: numbers of those that give a picture, as shown; held_back: packets read before the first is."""

    packets: NDArray[np.intp]
    held_back: int = 0


@dataclass(slots=True)
class Timeline:
    """When each packet's picture is shown, and in words what had to be repaired. ticks: (P,), UNKNOWN for packets that give no picture."""

    ticks: Ticks
    warnings: list[str] = field(default_factory=list)


def lay_out(stamps: Stamps, display_order: Callable[[], DisplayOrder]) -> Timeline:
    """Display times for all packets. Asks for `display_order` only where stamps alone do not tell."""
    warnings: list[str] = []
    pts = _without_strays(stamps)
    if (known := pts != UNKNOWN).all():
        moved = _joined_breaks(stamps.dts if (stamps.dts != UNKNOWN).all() else pts, stamps, slack=stamps.frame_ticks)
        if moved.any():
            warnings.append(f"time stamps jump {_places(moved)}; what follows was laid end to end")
            pts += moved
        if _is_plausible(pts, stamps):
            return Timeline(pts, warnings)
        warnings.append("time stamps do not ascend; slips were replaced by even steps between their neighbours")
    elif known.any():
        warnings.append(f"{int((~known).sum())} of {len(pts)} pictures have no time stamp; they are spaced evenly between their neighbours")
    order = display_order()
    ticks = np.full_like(pts, UNKNOWN)
    if len(order.packets):
        ticks[order.packets], words = _in_display_order(pts[order.packets], stamps, order)
        warnings += words
    return Timeline(ticks, warnings)


def _without_strays(stamps: Stamps) -> Ticks:
    """Display times, UNKNOWN where a picture's is further from its decoding time than any decoder holds one back."""
    pts = stamps.pts.copy()
    both = (pts != UNKNOWN) & (stamps.dts != UNKNOWN)
    if both.any():
        lag = (pts - stamps.dts)[both]
        bound = max(STRAY_S * stamps.ticks_per_s, 2 * DEEPEST_REORDER * stamps.frame_ticks)
        pts[np.flatnonzero(both)[np.abs(lag - np.median(lag)) > bound]] = UNKNOWN
    return pts


def _in_display_order(pts: Ticks, stamps: Stamps, order: DisplayOrder) -> tuple[Ticks, list[str]]:
    """Strictly ascending times for pictures already in the order in which they are shown."""
    if (pts == UNKNOWN).all():
        ready = _ready(np.sort(stamps.dts[order.packets]), stamps.frame_ticks, order.held_back)
        if ready[0] != UNKNOWN and (np.diff(ready) > 0).all():
            return ready + _joined_breaks(ready, stamps, slack=0), [DECODING_TIMES]
        even = np.arange(len(pts), dtype=np.int64) * stamps.frame_ticks
        return even, [NO_TIMES]
    moved = np.where(pts != UNKNOWN, pts, 0)
    moved[pts != UNKNOWN] += _joined_breaks(pts[pts != UNKNOWN], stamps, slack=0)
    good = np.flatnonzero(pts != UNKNOWN)
    good = good[_longest_ascent(moved[good])]
    return _filled(moved, good, stamps.frame_ticks), []


def _ready(dts: Ticks, frame_ticks: int, held_back: int) -> Ticks:
    """When a player can show each picture: ascending decoding times, late by as many pictures as the decoder holds back."""
    late = min(held_back, len(dts) - 1)
    return np.concatenate([dts[late:], dts[-1] + frame_ticks * np.arange(1, late + 1)])


def _joined_breaks(line: Ticks, stamps: Stamps, slack: int) -> Ticks:
    """What to add to each stamp so that lasting jumps, backward or absurdly far forward, close up. line: known stamps in file order."""
    steps = np.diff(line)
    too_far = LONGEST_GAP_S * stamps.ticks_per_s
    added = np.zeros(len(line), np.int64)
    for i in np.flatnonzero((steps < -slack) | (steps > too_far)) + 1:
        before, after = line[max(0, i - LOOK_AHEAD) : i], line[i : i + LOOK_AHEAD]
        highest = np.sort(before)[-2:][0]  # but one: a lone slip ahead makes no jump back
        if after.max() < highest - slack or after.min() > highest + too_far:
            added[i:] += line[i - 1] + stamps.frame_ticks - line[i]
    return added


def _is_plausible(pts: Ticks, stamps: Stamps) -> bool:
    """All different, none absurdly far from the next, and none further from its place in the file than a decoder reorders."""
    order = np.argsort(pts, kind="stable")
    steps = np.diff(pts[order])
    near = np.abs(order - np.arange(len(pts))).max(initial=0) <= DEEPEST_REORDER
    return bool(near and (steps > 0).all() and (steps <= LONGEST_GAP_S * stamps.ticks_per_s).all())


def _longest_ascent(values: Ticks) -> NDArray[np.intp]:
    """Positions of a longest strictly ascending subsequence: the stamps to believe."""
    if (np.diff(values) > 0).all():
        return np.arange(len(values))
    tails: list[int] = []
    ends: list[int] = []
    before = np.empty(len(values), np.intp)
    for i, value in enumerate(values.tolist()):
        at = bisect_left(tails, value)
        tails[at : at + 1], ends[at : at + 1] = [value], [i]
        before[i] = ends[at - 1] if at else -1
    return _walked_back(before, ends[-1])


def _walked_back(before: NDArray[np.intp], last: int) -> NDArray[np.intp]:
    path = []
    while last >= 0:
        path.append(last)
        last = int(before[last])
    return np.array(path[::-1])


def _filled(values: Ticks, good: NDArray[np.intp], frame_ticks: int) -> Ticks:
    """Values between the good ones evenly spaced, before and after them a picture's length apart."""
    places = np.arange(len(values))
    filled: Ticks = np.rint(np.interp(places, good, (values[good] - values[good[0]]).astype(np.float64))).astype(np.int64) + values[good[0]]
    filled[good] = values[good]
    head, tail = places < good[0], places > good[-1]
    filled[head] = values[good[0]] - (good[0] - places[head]) * frame_ticks
    filled[tail] = values[good[-1]] + (places[tail] - good[-1]) * frame_ticks
    return filled


def _places(moved: Ticks) -> str:
    count = int((np.diff(moved, prepend=0) != 0).sum())
    return "once" if count == 1 else f"{count} times"

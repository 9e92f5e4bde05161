"""Cuts a video into clips at every place where a break may begin or end, and sums up each clip. Judges nothing.

J = joints, C = J - 1 clips between them, D = numbers of a look, R = looks a clip, B = bands of a sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.findings import Shot
from pipelines.series import Measured, Series

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

DARK_SHARE, DARK_LUMA = 0.93, 26.0  # of a black picture: share of black pixels (a logo may stay), mean luma
LONGEST_BLACK_S = 4.0  # more is no separator but a picture of its own
NEAR_BLACK_S = 0.35  # a cut this near a black is the black's own edge
SHORTEST_CLIP_S = 0.08
LOOKS = 3  # moments of a clip whose looks are kept
COLOUR_WEIGHT = 2.0  # colour differences span less of their range than luma does


@dataclass(frozen=True, slots=True)
class Joints:
    """Places where a break may begin or end. A black has a length, a cut none. (J,) each; the film's begin and end are the outer ones."""

    start_s: Numbers
    end_s: Numbers

    @property
    def at_s(self) -> Numbers:
        """Where a break that begins or ends here does: the middle of a black, so that either side gives up half of it."""
        return (self.start_s + self.end_s) / 2

    @property
    def is_black(self) -> Flags:
        return self.end_s > self.start_s


@dataclass(frozen=True, slots=True)
class Clips:
    """What lies between neighbouring joints. start_s, end_s: (C,); looks: (C, R, D) levels; change: (C,) median frame change, levels."""

    start_s: Numbers
    end_s: Numbers
    looks: NDArray[np.float32]
    change: Numbers

    @property
    def length_s(self) -> Numbers:
        return self.end_s - self.start_s


def find_joints(measured: Measured, shots: tuple[Shot, ...]) -> Joints:
    blacks = list(_blacks(measured))
    cuts = [shot.span.start_s for shot in shots[1:]]
    kept = [(t, t) for t in cuts if not any(a - NEAR_BLACK_S <= t <= b + NEAR_BLACK_S for a, b in _around(blacks, t))]
    inner = sorted(kept + [b for b in blacks if b[0] > SHORTEST_CLIP_S and b[1] < measured.duration_s - SHORTEST_CLIP_S])
    joints = [(0.0, 0.0)]
    for joint in inner:
        if joint[0] - joints[-1][1] >= SHORTEST_CLIP_S:
            joints.append(joint)
    while len(joints) > 1 and measured.duration_s - joints[-1][1] < SHORTEST_CLIP_S:
        joints.pop()
    joints.append((measured.duration_s, measured.duration_s))
    return Joints(np.array([j[0] for j in joints]), np.array([j[1] for j in joints]))


def _around(blacks: list[tuple[float, float]], time_s: float) -> list[tuple[float, float]]:
    at = int(np.searchsorted([b[0] for b in blacks], time_s))
    return blacks[max(0, at - 1) : at + 1]


def _blacks(measured: Measured) -> Iterator[tuple[float, float]]:
    """Stretches of black pictures that are short enough to separate."""
    luma = measured["frame.luma"]
    share, level = (np.asarray(measured[name].values, np.float64) for name in ("frame.black", "frame.luma"))
    dark = (share >= DARK_SHARE) & (level <= DARK_LUMA)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], dark, [False]]).astype(np.int8)))
    times = np.append(luma.times_s, measured.duration_s)
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if times[last] - times[first] <= LONGEST_BLACK_S:
            yield float(times[first]), float(times[last])


def cut_clips(measured: Measured, joints: Joints) -> Clips:
    starts, ends = joints.end_s[:-1], joints.start_s[1:]
    return Clips(starts, ends, _looks(measured, starts, ends), _medians(measured["frame.change"], starts, ends))


def _looks(measured: Measured, starts: Numbers, ends: Numbers) -> NDArray[np.float32]:
    """The looks at LOOKS moments of each clip, evenly apart. A look: the tiny picture, its colours weighted."""
    moments = starts[:, None] + (ends - starts)[:, None] * (np.arange(LOOKS) + 0.5) / LOOKS
    wanted = moments.ravel()
    looks: NDArray[np.float32] | None = None
    last: NDArray[np.float32] | None = None
    reached = 0
    for block in measured.blocks("frame.tiny"):
        if not len(block):
            continue
        stop = int(np.searchsorted(wanted, block.times_s[-1], side="right"))
        rows = np.searchsorted(block.times_s, wanted[reached:stop], side="right") - 1
        seen = look_of(block.values[np.maximum(rows, 0)])
        if last is not None:
            seen[rows < 0] = last
        looks = np.zeros((len(wanted), seen.shape[1]), np.float32) if looks is None else looks
        looks[reached:stop] = seen
        last = look_of(block.values[-1:])[0]
        reached = stop
    assert looks is not None and last is not None
    looks[reached:] = last
    return looks.reshape(len(starts), LOOKS, -1)


def look_of(tiny: NDArray[np.generic]) -> NDArray[np.float32]:
    """(n, 3, H, W) uint8 -> (n, D): pooled to cells of 3 x 2, which a step aside or a lifted arm hardly changes."""
    count, planes, height, width = tiny.shape
    cells = tiny.astype(np.float32).reshape(count, planes, height // 3, 3, width // 2, 2).mean((3, 5))
    cells[:, 1:] *= COLOUR_WEIGHT
    return np.asarray(cells.reshape(count, planes * (height // 3) * (width // 2)), np.float32)


def _medians(series: Series, starts: Numbers, ends: Numbers) -> Numbers:
    """Median of each clip's values, its first frame left out (that one differs from another clip)."""
    first, last = np.searchsorted(series.times_s, starts, side="right"), np.searchsorted(series.times_s, ends)
    values = series.values.astype(np.float64)
    return np.array([np.median(values[a:b]) if b > a else 0.0 for a, b in zip(first, last, strict=True)])

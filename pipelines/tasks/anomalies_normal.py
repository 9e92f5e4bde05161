"""What is normal for one camera: its empty view, who goes where and how, and how far each cue strays when nothing is wrong.

Cells are 5 x 5 pixels of the 160 x 90 picture: 18 rows, 32 columns. Directions are 8 bins of 45 degrees.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.findings import Finding
from pipelines.signals.cells import Background
from pipelines.tasks.anomalies_looks import Bank, look_from_text
from pipelines.tasks.anomalies_tracks import EITHER, TALLER, WIDER, Track

ROWS, COLUMNS, CELL_PX = 18, 32, 5
DIRECTIONS = 8
LEARNED_AS = {TALLER: [TALLER, EITHER], WIDER: [WIDER, EITHER], EITHER: [TALLER, WIDER, EITHER]}
SELDOM = 0.006  # of the tracks: a cell that so few pass is one where nobody goes
SHORT_PATH = 5  # pictures: what is seen for less is no track to learn from
PEAK_S = 10.0  # a cue's largest value in so many seconds is one draw of how far it strays
PEAKS_KEPT = 720  # two hours
TAIL_SHARE = 0.2  # of the peaks make the tail that is extrapolated
# Per cue: where its tail begins at the least, and the least by which the tail falls by a factor of e. They stand in for what a
# short recording has not shown yet: with few peaks they decide, with many the camera's own do.
CUES: dict[str, tuple[float, float]] = {
    "blackout": (0.5, 0.1),  # -log of light against the reference's
    "freeze": (1.0, 0.3),  # seconds without any change
    "defocus": (0.25, 0.07),  # -log of fine structure left
    "moved": (0.3, 0.06),  # loss of likeness
    "wrong_way": (0.45, 0.08),  # nats by which no direction in particular explains its way better than the usual one
    "fast": (2.0, 0.2),  # deviations of log speed
    "still": (4.0, 1.2),  # seconds beyond what ever stood there
    "intrusion": (1.0, 0.6),  # seconds where nobody goes
    "loiter": (9.0, 1.5),  # seconds about one place
    "agitation": (0.3, 0.08),  # log of lasting stir against the strongest there ever was
    "fire": (0.5, 0.11),  # flickering excess of red
    "crowd": (0.3, 0.08),  # log of what stands out against the most so far
    "dwell": (0.25, 0.08),  # log of how lastingly something stands out against the most so far
    "look": (0.8, 0.6),  # strays by which what stands out looks unlike all that was there, to a trained encoder
}  # fmt: skip
NAMES = tuple(CUES)
HEALTH = NAMES[:4]  # of the camera itself; the others are about what it sees
LENIENT = 2.0  # least steps by which an own tail may begin later: a fault of the warm-up must not deafen a cue,
STEEP = 1.5  # nor stretch its tail by more
VOUCHED = 3.0  # times as far where a person gave the recordings for normal
NARROW, WIDE = 0.5, 1.4  # cells: lanes lie side by side, so what is near counts fully and what is around as much as one track
YOUNG_S = 30.0  # of learning, with which an own normal is trusted half
Grid = NDArray[np.float32]  # (ROWS, COLUMNS)


@dataclass(slots=True)
class Normal:
    """A camera's ordinary life. Learns from tracks and peaks that nothing speaks against.

    visits, still_s: (ROWS, COLUMNS). For each kind of thing (Track.kind), EITHER being all of them: flow: (3, ROWS, COLUMNS,
    DIRECTIONS) how many went each way; pace: (3, 3, ROWS, COLUMNS) count, sum and squares of log speed.
    peaks: per cue, the largest value of each PEAK_S. exemplars: (n, 6) cue, value, box of alarms that a person called false.
    bank: what each part of the picture has looked like; empty where no encoder has seen the camera.
    sights: (1000,) the largest probability each class of the encoder has had.
    """

    background: Background | None = None
    view: NDArray[np.float32] | None = None  # (H, W) the empty place, unsmoothed
    seconds: float = 0.0
    tracks: int = 0
    visits: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    flow: NDArray[np.float32] = field(default_factory=lambda: np.zeros((3, ROWS, COLUMNS, DIRECTIONS), np.float32))
    pace: NDArray[np.float32] = field(default_factory=lambda: np.zeros((3, 3, ROWS, COLUMNS), np.float32))
    still_s: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    stir: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    tinted_s: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    dwell: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    longest_freeze_s: float = 0.0
    most: float = 0.0  # largest share of the picture that stood out
    births: float = 0.0  # tracks that begin in a picture
    peaks: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, len(NAMES)), np.float32))
    given: NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, len(NAMES)), np.float32))  # the least that `tails` says
    exemplars: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 6), np.float32))
    bank: Bank = field(default_factory=Bank)
    sights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1000, np.float32))

    def learn_track(self, track: Track) -> None:
        """Take a finished track for normal: where it was, which way and how fast."""
        if len(track.path) < SHORT_PATH:
            return
        self.tracks += 1
        for row, column in {(p[0], p[1]) for p in track.path}:
            self.visits[row, column] += 1
        kinds = LEARNED_AS[track.kind]
        moving = [p for p in track.path if p[2] > 0]
        seen: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for row, column, speed, direction in moving:
            seen.setdefault((row, column), []).append((speed, direction))
        for (row, column), samples in seen.items():
            speed = float(np.mean([np.log(s) for s, _ in samples]))
            for kind in kinds:
                self.pace[kind, :, row, column] += (1, speed, speed * speed)
            for _, direction in samples:
                self.flow[kinds, row, column, direction_bin(direction)] += 1 / len(samples)

    def learn_peaks(self, values: NDArray[np.float32]) -> None:
        """values: (cues,) the largest of PEAK_S that nothing speaks against."""
        self.peaks = np.concatenate([self.peaks[-PEAKS_KEPT + 1 :], values[None]])

    def vouch(self) -> None:
        """What was learned so far is from recordings that a person gave for normal: no tail gets shorter than they show."""
        self.given = self.tails(VOUCHED)

    def tails(self, trust: float = 1.0) -> NDArray[np.float32]:
        """(2, cues): where each cue's tail begins, and the step by which it falls by a factor of e. trust: in the peaks learned."""
        start, step = (np.array(column, np.float32) for column in zip(*CUES.values(), strict=True))
        most, least = start + LENIENT * trust * step, step
        if len(self.peaks) >= 5:
            own = np.quantile(self.peaks, 1 - TAIL_SHARE, axis=0).astype(np.float32)
            start = np.maximum(start, own)
            over = np.maximum(self.peaks - start, 0)
            count = (over > 0).sum(axis=0)
            step = np.maximum(step, np.where(count > 0, over.sum(axis=0) / np.maximum(count, 1), 0))
            start, step = np.minimum(start, most), np.minimum(step, STEEP * trust * least)
        step[len(HEALTH) :] *= 1 + YOUNG_S / max(self.seconds, 1.0)
        return np.maximum(np.stack([start, step]), self.given).astype(np.float32)

    def with_false_alarm(self, finding: Finding) -> Normal:
        """This normal, knowing that what raised `finding` is ordinary: its cues ring there only when they speak louder."""
        rows = [(NAMES.index(name), *told) for name, told in finding.data["cues"].items() if name in NAMES]
        bank = copy.deepcopy(self.bank)
        for cell, look in finding.data.get("looks", {}).items():
            bank.spare(int(cell), look_from_text(look))
        return replace(self, exemplars=np.concatenate([self.exemplars, np.array(rows, np.float32).reshape(-1, 6)]), bank=bank)


@dataclass(frozen=True, slots=True)
class Habits:
    """A normal, smoothed over neighbouring cells and ready to be asked.

    away: (ROWS, COLUMNS) pixels to the nearest visited cell; flow as in Normal, smoothed; count, mean, spread: (3, ROWS, COLUMNS) of
    log speed.
    """

    away: NDArray[np.float32]
    flow: NDArray[np.float32]
    count: NDArray[np.float32]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    still_s: NDArray[np.float32]
    stir: NDArray[np.float32]
    dwell: NDArray[np.float32]
    colourless: NDArray[np.bool_]  # where nothing coloured ever passes
    tails: NDArray[np.float32]

    def at(self, row: int, column: int, kind: int) -> Here:
        place = kind, row, column
        return Here(float(self.count[place]), float(self.mean[place]), float(self.spread[place]), self.flow[place])


@dataclass(frozen=True, slots=True)
class Here:
    """What is usual in one cell: tracks seen near by, mean and spread of their log speed, how many went each way."""

    count: float
    mean: float
    spread: float
    flow: NDArray[np.float32]

    def against(self, heading: int, doubt: float) -> float:
        """Nats by which no direction in particular explains `heading` better than those seen. doubt: tracks assumed before any."""
        along = float(self.flow[[heading - 1, heading, (heading + 1) % DIRECTIONS]].sum())
        share = (along + doubt) / (float(self.flow.sum()) + doubt * DIRECTIONS / 3)
        return float(np.log(3 / DIRECTIONS / share))


def habits(normal: Normal) -> Habits:
    away = np.zeros((ROWS, COLUMNS), np.float32)
    if normal.tracks:
        away = np.asarray(
            cv2.distanceTransform((normal.visits < max(0.5, SELDOM * normal.tracks)).astype(np.uint8), cv2.DIST_L2, 3) * CELL_PX, np.float32
        )
    count, mean, spread = (np.stack(parts) for parts in zip(*map(_pace, normal.pace), strict=True))
    near = np.ones((3, 3), np.uint8)
    flow = np.stack([_flow(part) for part in normal.flow])
    still_s, stir, dwell, tinted_s = (
        np.asarray(cv2.dilate(grid, near), np.float32) for grid in (normal.still_s, normal.stir, normal.dwell, normal.tinted_s)
    )
    return Habits(
        away, flow, count, mean, spread, still_s, stir, dwell,
        tinted_s < 0.5 + 0.002 * normal.seconds, normal.tails(),
    )  # fmt: skip


def _pace(pace: NDArray[np.float32]) -> tuple[Grid, Grid, Grid]:
    """Tracks seen near each cell, mean and spread of their log speed, from counts, sums and squares (3, ROWS, COLUMNS)."""
    around = np.stack([_near(p, WIDE) for p in pace])
    count, total, squares = np.stack([_near(p, NARROW) for p in pace]) + around / (1 + around[0])
    everywhere = pace.sum(axis=(1, 2))
    all_mean = everywhere[1] / max(everywhere[0], 1)
    all_spread = np.sqrt(max(everywhere[2] / max(everywhere[0], 1) - all_mean**2, 0.04))
    mean = (total + all_mean) / (count + 1)
    spread = np.sqrt(np.maximum((squares + all_spread**2 + all_mean**2) / (count + 1) - mean**2, 0))
    return count.astype(np.float32), mean.astype(np.float32), np.maximum(spread, 0.2).astype(np.float32)


def _flow(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    narrow, around = (
        np.stack([_near(np.ascontiguousarray(flow[:, :, k]), sigma) for k in range(DIRECTIONS)], axis=2) for sigma in (NARROW, WIDE)
    )
    return np.asarray(narrow + around / (1 + around.sum(axis=2, keepdims=True)), np.float32)


def _near(counts: Grid, sigma: float) -> Grid:
    """How many tracks went through each cell's surroundings: one that crosses them counts once, not in each of their cells."""
    return np.asarray(cv2.GaussianBlur(counts, (0, 0), sigma) * (sigma * np.sqrt(2 * np.pi)), np.float32)


def direction_bin(direction_rad: float) -> int:
    return int(np.floor(direction_rad / (2 * np.pi) * DIRECTIONS + 0.5)) % DIRECTIONS


def cell_of(x: float, y: float) -> tuple[int, int]:
    return min(ROWS - 1, max(0, int(y / CELL_PX))), min(COLUMNS - 1, max(0, int(x / CELL_PX)))

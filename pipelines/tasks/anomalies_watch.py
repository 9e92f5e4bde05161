"""A camera watched second by second: pictures in, how strongly each cue speaks out. Can stop, be saved, and go on.

The outcome for any cutting of the pictures into stretches is the same. Knows no thresholds and no findings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.signals import cells, health
from pipelines.tasks.anomalies_normal import CELL_PX, COLUMNS, NAMES, PEAK_S, ROWS, Habits, Normal, cell_of, direction_bin, habits
from pipelines.tasks.anomalies_tracks import Track, Tracks

CUE = {name: k for k, name in enumerate(NAMES)}
FIRST_LOOK_S = 40.0  # of pictures from which the empty place is taken
GUARD = 3.0  # surprise above which nothing is learned
ILL = 4.5  # surprise of a health cue above which objects are not judged
ABSORB_S = 300.0  # what stands longer belongs to the place
MOVED_FOR_GOOD_S = 180.0  # a camera that is ill for longer has a new normal
VIEW_S = 120.0  # how long the view of reference takes to follow seasons of the day
STIR_S = 8.0
WRONG_S = 1.0  # how long something must go the wrong way to count by two thirds
FLICKER_S = 4.0
HABITS_EVERY_S = 20.0
NEAR = 0.1  # of the picture: what happens so close to a false alarm of the past is the same thing


@dataclass(slots=True)
class Second:
    """One second's evidence. values, surprise, since_s (when the cause began): (cues,); boxes: (cues, 4) x0, y0, x1, y1 as shares of
    the picture; warm: nothing is judged yet."""

    time_s: float
    values: NDArray[np.float32]
    surprise: NDArray[np.float32]
    since_s: NDArray[np.float32]
    boxes: NDArray[np.float32]
    warm: bool


@dataclass(slots=True)
class Watch:
    """Everything remembered from one second to the next."""

    warm_up_s: float
    normal: Normal = field(default_factory=Normal)
    tracks: Tracks = field(default_factory=Tracks)
    waiting: list[NDArray[np.uint8]] = field(default_factory=list)  # pictures before the empty place is known
    waiting_s: list[float] = field(default_factory=list)
    watched_s: float = 0.0
    last: NDArray[np.uint8] | None = None
    last_s: float = 0.0
    last_level: NDArray[np.float32] | None = None
    busy: NDArray[np.float32] | None = None  # (H, W) share of time each spot stands out
    stir: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    still_for_s: float = 0.0
    ill_since_s: float = -1.0
    floor: float = 0.0
    fine: NDArray[np.float32] = field(default_factory=lambda: np.ones(3, np.float32))  # usual light, likeness, detail
    red: NDArray[np.float32] | None = None  # (3, 18, 32) usual excess of red, recent mean, recent variation
    crowd: float = 0.0
    peak: NDArray[np.float32] = field(default_factory=lambda: np.zeros(len(NAMES), np.float32))
    peak_s: float = 0.0
    habits_s: float = -1e9
    known: Habits | None = None

    def second(self, start_s: float, times_s: NDArray[np.float64], grey: NDArray[np.uint8], colour: NDArray[np.uint8]) -> Second:
        """Take the pictures of one second: times_s (n,), grey (n, 90, 160), colour (m, 18, 32, 3)."""
        if self.normal.background is None:
            self.waiting += list(grey)
            self.waiting_s += [float(t) for t in times_s]
            if not self.waiting or self.waiting_s[-1] - self.waiting_s[0] < min(FIRST_LOOK_S, self.warm_up_s * 0.5) - 1:
                return _blank(start_s)
            self._first_look()
        return self._judge(start_s, times_s, grey, colour)

    def finish(self) -> None:
        """The pictures have ended: what is in sight is learned too, and a place seen only shortly is known all the same."""
        if self.normal.background is None and self.waiting:
            self._first_look()
        for track in self.tracks.active:
            if track.worst < GUARD:
                self.normal.learn_track(track)
        self.tracks.active = []

    def _first_look(self) -> None:
        step = max(1, len(self.waiting) // 60)
        pictures = np.stack(self.waiting[::step])
        self.normal.background, self.normal.view = cells.Background.learn(pictures), np.median(pictures, axis=0).astype(np.float32)
        earlier, self.waiting, self.waiting_s = list(zip(self.waiting_s, self.waiting, strict=True)), [], []
        for time_s, picture in earlier:
            self._picture(time_s, picture, np.zeros(len(NAMES), np.float32), _boxes())

    def _judge(self, start_s: float, times_s: NDArray[np.float64], grey: NDArray[np.uint8], colour: NDArray[np.uint8]) -> Second:
        self.watched_s += 1
        if self.known is None or start_s - self.habits_s >= HABITS_EVERY_S:
            self.known, self.habits_s = habits(self.normal), start_s
        values, boxes = np.zeros(len(NAMES), np.float32), _boxes()
        since = np.full(len(NAMES), start_s, np.float32)
        tails = self.known.tails
        if len(grey):
            self._health(start_s, times_s, grey, values, since)
            ill = float(((values - tails[0]) / tails[1])[:4].max()) > ILL
            self._ill(start_s, ill, grey)
            if not ill:
                for time_s, picture in zip(times_s, grey, strict=True):
                    self._picture(float(time_s), picture, values, boxes, since)
                self._things(start_s, values, boxes, since)
                self._agitation(values, boxes)
                self._colours(colour, values, boxes)
        surprise = self._surprise(values, boxes, tails)
        warm = self.watched_s < self.warm_up_s
        self._learn(start_s, values, surprise, warm, ill=bool(len(grey)) and self.ill_since_s >= 0)
        return Second(start_s, values, surprise, since, boxes, warm)

    def _health(
        self, start_s: float, times_s: NDArray[np.float64], grey: NDArray[np.uint8], values: NDArray[np.float32], since: NDArray[np.float32]
    ) -> None:
        background = self.normal.background
        assert background is not None
        if self.busy is None:
            self.busy = np.zeros_like(background.mean)
        reference = self.normal.view
        assert reference is not None
        now = grey.mean(axis=0, dtype=np.float32)
        view = health.compare(now, reference, self.busy < 0.2)
        usual = self.fine
        values[CUE["blackout"]] = max(0.0, -np.log(max(view.light / usual[0], 0.02)))
        lost = max(0.0, -np.log(max(view.detail / max(usual[2], 0.05), 0.05)))
        unlike = max(0.0, 1 - view.alike / max(usual[1], 0.05))
        elsewhere = view.busy > 0.75 * max(usual[2], 0.2)
        values[CUE["moved" if elsewhere else "defocus"]] = unlike if elsewhere else lost
        self._frozen(times_s, grey)
        values[CUE["freeze"]] = max(0.0, self.still_for_s - 3 * self.normal.longest_freeze_s)
        since[CUE["freeze"]] = start_s - self.still_for_s
        if self.ill_since_s < 0 and lost < 0.3 and unlike < 0.3:
            reference += (now - reference) * np.float32(1 / VIEW_S)
            self.fine += (np.array([view.light, view.alike, view.detail], np.float32) - usual) * np.float32(
                0.2 if self.watched_s < 10 else 0.01
            )

    def _frozen(self, times_s: NDArray[np.float64], grey: NDArray[np.uint8]) -> None:
        for time_s, picture in zip(times_s, grey, strict=True):
            if self.last is not None:
                change = float(np.abs(picture[::2, ::2].astype(np.int16) - self.last[::2, ::2]).mean())
                if self.watched_s <= 60:
                    self.floor = change if self.floor == 0 else min(self.floor * 1.01, max(change, self.floor * 0.5))
                still = change < max(0.02, 0.25 * self.floor)
                self.still_for_s = self.still_for_s + (time_s - self.last_s) if still else max(0.0, self.still_for_s - 0.8)
            self.last, self.last_s = picture, float(time_s)

    def _ill(self, start_s: float, ill: bool, grey: NDArray[np.uint8]) -> None:
        if not ill:
            self.ill_since_s = -1.0
            return
        if self.ill_since_s < 0:
            self.ill_since_s = start_s
            self.tracks.active = []
        if start_s - self.ill_since_s > MOVED_FOR_GOOD_S:
            self.waiting, self.waiting_s, self.ill_since_s = [], [], -1.0
            self.normal.background, self.normal.view, self.watched_s = None, None, 0.0

    def _picture(
        self,
        time_s: float,
        grey: NDArray[np.uint8],
        values: NDArray[np.float32],
        boxes: NDArray[np.float32],
        since: NDArray[np.float32] | None = None,
    ) -> None:
        background = self.normal.background
        assert background is not None
        seen = cells.look(background, grey)
        passed_s = 0.2
        self._stirred(seen)
        cells.follow(background, seen, passed_s, ABSORB_S)
        if self.busy is not None:
            self.busy += (seen.mask - self.busy) * np.float32(0.002)
        share = float(seen.mask.mean())
        self.crowd += (share - self.crowd) * 0.02
        values[CUE["crowd"]] = max(0.0, np.log((self.crowd + 0.005) / (self.normal.most + 0.005))) if self.watched_s > 30 else 0.0
        for track in self.tracks.step(time_s, seen.blobs):
            if track.worst < GUARD:
                self.normal.learn_track(track)
        for track in self.tracks.active:
            if track.seen_s == time_s:
                self._go(track, time_s, passed_s, values, boxes, since)

    def _stirred(self, seen: cells.Seen) -> None:
        """Lasting change where something stands out, per cell and its surroundings."""
        if self.last_level is not None:
            change = np.minimum(cv2.absdiff(seen.level, self.last_level), 80) * seen.mask
            energy = cv2.blur(cv2.resize(change, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), (3, 3))
            self.stir += (energy - self.stir) * np.float32(0.2 / STIR_S)
        self.last_level = seen.level

    def _agitation(self, values: NDArray[np.float32], boxes: NDArray[np.float32]) -> None:
        assert self.known is not None
        excess = np.log((self.stir + 0.3) / (self.known.stir + 0.3 * float(self.known.stir.max()) + 0.3))
        row, column = np.unravel_index(int(np.argmax(excess)), excess.shape)
        _raise(values, boxes, "agitation", float(excess[row, column]), _cell_box(int(row), int(column), 2))

    def _go(
        self,
        track: Track,
        time_s: float,
        passed_s: float,
        values: NDArray[np.float32],
        boxes: NDArray[np.float32],
        since: NDArray[np.float32] | None,
    ) -> None:
        _, x, y, _, h, _ = track.now
        row, column = cell_of(x, y + h / 2 - 1)
        velocity = track.velocity()
        speed = float(np.hypot(*velocity)) if velocity else 0.0
        moving = velocity is not None and speed > 2 + 0.15 * h
        direction = float(np.arctan2(velocity[1], velocity[0])) if velocity else 0.0
        track.path.append((row, column, speed if moving else 0.0, direction))
        if np.hypot(x - track.anchor[1], y - track.anchor[2]) > 4 + 1.2 * h:
            track.anchor = (time_s, x, y)
        if self.known is None or since is None or track.age_s < 0.6:
            return
        known, box = self.known, _track_box(track)
        reach = float(known.away[row, column])
        track.strange_s = (
            track.strange_s + passed_s * min(1.0, reach / (3 + 0.4 * h)) if reach > 5 else max(0.0, track.strange_s - passed_s)
        )
        sure = self.normal.tracks / (self.normal.tracks + 8)
        born = track.born_s
        self._say("intrusion", track.strange_s * sure, box, max(born, time_s - track.strange_s), values, boxes, since)
        self._say("loiter", time_s - track.anchor[0], box, track.anchor[0], values, boxes, since)
        if moving and velocity is not None:
            near = known.count[row, column]
            z = float((np.log(speed) - known.mean[row, column]) / known.spread[row, column]) * near / (near + 2)
            track.fast = min(z, track.fast + 1.0) if z > track.fast else z
            self._say("fast", track.fast, box, born, values, boxes, since)
            flow = known.flow[row, column]
            total, k = float(flow.sum()), direction_bin(direction)
            share = (flow[k - 1] + flow[k] + flow[(k + 1) % len(flow)] + 1) / (total + len(flow) / 3)
            track.wrong += (float(np.log(3 / len(flow) / share)) - track.wrong) * min(1.0, passed_s / WRONG_S)
            self._say("wrong_way", track.wrong, box, born, values, boxes, since)

    def _say(
        self,
        cue: str,
        value: float,
        box: tuple[float, ...],
        since_s: float,
        values: NDArray[np.float32],
        boxes: NDArray[np.float32],
        since: NDArray[np.float32],
    ) -> None:
        if _raise(values, boxes, cue, value, box):
            since[CUE[cue]] = since_s

    def _things(self, start_s: float, values: NDArray[np.float32], boxes: NDArray[np.float32], since: NDArray[np.float32]) -> None:
        background = self.normal.background
        assert background is not None and self.known is not None
        for x, foot, w, h, _, age_s, newness in cells.still_things(background, 3.0):
            row, column = cell_of(x, foot - h / 2)
            window = (slice(max(0, int(foot - h) - 1), int(foot) + 2), slice(max(0, int(x - w / 2) - 1), int(x + w / 2) + 2))
            if newness < 0.8:
                where = np.zeros(background.mean.shape, bool)
                where[window] = background.steady_s[window] > 2
                cells.absorb(background, where)
                continue
            box = ((x - w / 2) / 160, (foot - h) / 90, (x + w / 2) / 160, foot / 90)
            self._say("still", age_s - float(self.known.still_s[row, column]), box, start_s - age_s, values, boxes, since)

    def _colours(self, colour: NDArray[np.uint8], values: NDArray[np.float32], boxes: NDArray[np.float32]) -> None:
        """Fire: a spot that turned red and bright, stays so, and flickers."""
        for picture in colour:
            rgb = picture.astype(np.float32)
            red = np.where((rgb[:, :, 0] > rgb[:, :, 1]) & (rgb[:, :, 0] > 90), rgb[:, :, 0] - rgb[:, :, 2], 0)
            if self.red is None:
                self.red = np.stack([red, red, np.zeros_like(red)])
            usual, recent, unrest = self.red
            unrest += (np.abs(red - recent) - unrest) * np.float32(0.5 / FLICKER_S)
            recent += (red - recent) * np.float32(0.5 / FLICKER_S)
            usual += (recent - usual) * np.float32(0.003 if self.watched_s > 30 else 0.05)
            burn = np.clip((recent - usual) / 60, 0, 1.5) * np.clip(unrest / 8, 0.3, 1.2)
            row, column = np.unravel_index(int(np.argmax(burn)), burn.shape)
            _raise(values, boxes, "fire", float(burn[row, column]), _cell_box(int(row), int(column), 1))

    def _surprise(self, values: NDArray[np.float32], boxes: NDArray[np.float32], tails: NDArray[np.float32]) -> NDArray[np.float32]:
        """(cues,) how far each value is beyond its tail's beginning, in factors of e of rarity; below 0 nothing is unusual."""
        start, step = tails
        start = start.copy()
        for cue, value, x, y in self.normal.exemplars:
            k = int(cue)
            middle = ((boxes[k, 0] + boxes[k, 2]) / 2, (boxes[k, 1] + boxes[k, 3]) / 2)
            if max(abs(middle[0] - x), abs(middle[1] - y)) < NEAR:
                start[k] = max(start[k], value * 1.1)
        return np.asarray((values - start) / step, np.float32)

    def _learn(self, start_s: float, values: NDArray[np.float32], surprise: NDArray[np.float32], warm: bool, ill: bool) -> None:
        calm = warm or float(surprise.max()) < GUARD
        for track in self.tracks.active:
            if not calm:
                track.worst = max(track.worst, float(surprise.max()) if not warm else 0.0)
        if ill:
            return
        assert self.normal.background is not None
        if calm:
            self.normal.seconds += 1
            self.normal.stir = np.maximum(self.normal.stir * np.float32(0.9998), self.stir)
            if warm:
                self.normal.longest_freeze_s = max(self.normal.longest_freeze_s, self.still_for_s)
            self.normal.most = max(self.normal.most * 0.9999, self.crowd)
            steady = self.normal.background.steady_s.reshape(ROWS, CELL_PX, COLUMNS, CELL_PX).max(axis=(1, 3))
            self.normal.still_s = np.maximum(self.normal.still_s, np.where(steady < 60, steady, 0))
        if self.watched_s < self.warm_up_s * 0.5:
            return
        self.peak = np.maximum(self.peak, np.minimum(values, self._capped()))
        self.peak_s += 1
        if self.peak_s >= PEAK_S:
            self.normal.learn_peaks(self.peak)
            self.peak, self.peak_s = np.zeros(len(NAMES), np.float32), 0.0

    def _capped(self) -> NDArray[np.float32]:
        assert self.known is not None
        return np.asarray(self.known.tails[0] + GUARD * self.known.tails[1], np.float32)


def _raise(values: NDArray[np.float32], boxes: NDArray[np.float32], cue: str, value: float, box: tuple[float, ...]) -> bool:
    if value <= values[CUE[cue]]:
        return False
    values[CUE[cue]], boxes[CUE[cue]] = value, box
    return True


def _boxes() -> NDArray[np.float32]:
    return np.tile(np.array([0, 0, 1, 1], np.float32), (len(NAMES), 1))


def _cell_box(row: int, column: int, around: int) -> tuple[float, float, float, float]:
    return (
        max(0, column - around) / COLUMNS,
        max(0, row - around) / ROWS,
        min(COLUMNS, column + around + 1) / COLUMNS,
        min(ROWS, row + around + 1) / ROWS,
    )


def _track_box(track: Track) -> tuple[float, float, float, float]:
    _, x, y, w, h, _ = track.now
    return max(0.0, (x - w / 2) / 160), max(0.0, (y - h / 2) / 90), min(1.0, (x + w / 2) / 160), min(1.0, (y + h / 2) / 90)


def _blank(start_s: float) -> Second:
    nothing = np.zeros(len(NAMES), np.float32)
    return Second(start_s, nothing, nothing.copy(), np.full(len(NAMES), start_s, np.float32), _boxes(), True)

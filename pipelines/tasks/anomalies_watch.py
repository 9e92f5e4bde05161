"""A camera watched second by second: pictures in, how strongly each cue speaks out. Can stop, be saved, and go on.

The outcome for any cutting of the pictures into stretches is the same. Knows no thresholds and no findings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.signals import cells, health
from pipelines.tasks.anomalies_colours import SURE_S, Colours
from pipelines.tasks.anomalies_evidence import CUE, NO_SIGHTS, Box, Evidence, Second, Sights, blank, cell_box
from pipelines.tasks.anomalies_looks import SIDE, Bank, Gaze, look_to_text
from pipelines.tasks.anomalies_normal import (
    CELL_PX,
    COLUMNS,
    CUES,
    HEALTH,
    NAMES,
    PEAK_S,
    ROWS,
    Habits,
    Here,
    Normal,
    cell_of,
    direction_bin,
    habits,
)
from pipelines.tasks.anomalies_tracks import TALLER, Track, Tracks

WIDTH, HEIGHT = COLUMNS * CELL_PX, ROWS * CELL_PX
PICTURE_S = 0.2  # between grey pictures
BUSY_S = 100.0
CROWD_S = 10.0
WAKING_S = 30.0  # before which averages mean little
FIRST_LOOK_S = 40.0  # of pictures from which the empty place is taken
GUARD = 3.0  # surprise above which nothing is learned
ILL = 4.5  # surprise of a health cue above which objects are not judged
ABSORB_S = 300.0  # what stands longer belongs to the place
MOVED_FOR_GOOD_S = 180.0  # a camera that is ill for longer has a new normal
VIEW_S = 120.0  # how long the view of reference takes to follow seasons of the day
FLOOR_PICTURES = 300
LIVELY_PICTURES = 4
STILL_SHARE = 0.35  # of the usual change between pictures: less is no live picture
STIR_S = 4.0
LINGERS_S = 3.0  # about one place, and a track's changes are stir
STIR_LEAST = 2.0  # grey levels a picture: somebody who stands and stirs
DWELL_S = 20.0
DWELL_LEAST = 0.03  # of a spot's time
BIRTHS_S = 3.0
RESTLESS = 3.0  # times as many tracks that begin as usual: rain, whose drops make no ways,
LEAST_BIRTHS = 0.3  # or at least so many more a picture
WRONG_S = 1.0  # how long something must go the wrong way to count by two thirds
CROSSING_S = 10.0  # longest way through the picture that is told as one: older points may be another thing's
DOUBT = 3.0  # tracks of people each way that are assumed before any is seen
SLOWER = 1.0  # log of speed below the usual: what goes slower is hardly under way, and its direction says little
HABITS_EVERY_S = 20.0
NEAR = 0.1  # of the picture: what happens so close to a false alarm of the past is the same thing
LENT = 0.5  # of the surprise at how something looks is added to what else is surprising about it,
LENT_MOST = 3.0  # and no more than this


@dataclass(slots=True)
class Watch:
    """Everything remembered from one second to the next."""

    warm_up_s: float
    without: tuple[str, ...] = ()  # cues that are not listened to
    normal: Normal = field(default_factory=Normal)
    tracks: Tracks = field(default_factory=Tracks)
    waiting: list[NDArray[np.uint8]] = field(default_factory=list)  # pictures before the empty place is known
    waiting_s: list[float] = field(default_factory=list)
    watched_s: float = 0.0
    last: NDArray[np.uint8] | None = None
    last_s: float = 0.0
    last_level: NDArray[np.float32] | None = None
    gaze: Gaze = field(default_factory=Gaze)
    seen_s: float = 0.0  # seconds with trained eyes
    busy: NDArray[np.float32] | None = None  # (H, W) share of time each spot stands out
    stir: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    dwell: NDArray[np.float32] = field(default_factory=lambda: np.zeros((ROWS, COLUMNS), np.float32))
    still_for_s: float = 0.0
    ill_since_s: float = -1.0
    lively: int = 0  # pictures in a row that changed
    floor: float = 0.0
    changes: list[float] = field(default_factory=list)
    fine: NDArray[np.float32] = field(default_factory=lambda: np.ones(3, np.float32))  # usual light, likeness, detail
    colours: Colours = field(default_factory=Colours)
    crowd: float = 0.0
    uneasy_s: float = 0.0  # since when nothing was learned
    births: float = 0.0  # tracks that began in a picture lately
    peak: NDArray[np.float32] = field(default_factory=lambda: np.zeros(len(NAMES), np.float32))
    peak_s: float = 0.0
    habits_s: float = -1e9
    known: Habits | None = None

    def second(
        self, start_s: float, times_s: NDArray[np.float64], grey: NDArray[np.uint8], colour: NDArray[np.uint8], sights: Sights = NO_SIGHTS
    ) -> Second:
        """Take the pictures of one second: times_s (n,), grey (n, 90, 160), colour (m, 18, 32, 3)."""
        if self.normal.background is None:
            self.waiting += list(grey)
            self.waiting_s += [float(t) for t in times_s]
            if not self.waiting or self.waiting_s[-1] - self.waiting_s[0] < min(FIRST_LOOK_S, self.warm_up_s * 0.5) - 1:
                return blank(start_s)
            self._first_look()
        return self._judge(start_s, times_s, grey, colour, sights)

    def finish(self) -> None:
        """The pictures have ended: what is in sight is learned too, and a place seen only shortly is known all the same."""
        if self.normal.background is None and self.waiting:
            self._first_look()
        for track in self.tracks.active:
            if track.worst < GUARD:
                self.normal.learn_track(track)
        self.tracks.active = []
        self.normal.bank.settle()

    def _first_look(self) -> None:
        step = max(1, len(self.waiting) // 60)
        pictures = np.stack(self.waiting[::step])
        self.normal.background, self.normal.view = cells.Background.learn(pictures), np.median(pictures, axis=0).astype(np.float32)
        earlier, self.waiting, self.waiting_s = list(zip(self.waiting_s, self.waiting, strict=True)), [], []
        for time_s, picture in earlier:
            self._picture(time_s, picture, None)

    def _judge(
        self, start_s: float, times_s: NDArray[np.float64], grey: NDArray[np.uint8], colour: NDArray[np.uint8], sights: Sights
    ) -> Second:
        self.watched_s += 1
        if self.known is None or start_s - self.habits_s >= HABITS_EVERY_S:
            self.known, self.habits_s = habits(self.normal), start_s
        evidence = Evidence(start_s)
        if len(grey):
            self._health(start_s, times_s, grey, evidence)
            tails = self.known.tails
            self._ill(start_s, float(((evidence.values - tails[0]) / tails[1])[: len(HEALTH)].max()) > ILL)
            if self.ill_since_s < 0 and self.normal.background is not None:
                self.colours.see(colour, self.known.colourless, self.normal.seconds, self.watched_s, evidence)
                self._look(start_s, times_s, grey, sights, evidence)
        surprise, lent = self._surprise(evidence)
        warm = self.watched_s < self.warm_up_s
        if len(grey) and self.ill_since_s < 0 and self.normal.background is not None:
            self._learn(evidence, surprise, warm)
        return Second(start_s, evidence.values, surprise, evidence.since_s, evidence.boxes, warm, lent, evidence.looks, evidence.sight)

    def _look(self, start_s: float, times_s: NDArray[np.float64], grey: NDArray[np.uint8], sights: Sights, evidence: Evidence) -> None:
        """What moves and stands in the picture."""
        for time_s, picture in zip(times_s, grey, strict=True):
            seen = self._picture(float(time_s), picture, evidence)
        assert self.normal.background is not None and self.busy is not None and self.known is not None
        cells.follow(self.normal.background, seen, 1.0, ABSORB_S)
        self.busy += (seen.mask - self.busy) * np.float32(1 / BUSY_S)
        self.crowd += (float(seen.mask.mean()) - self.crowd) / CROWD_S
        present = np.maximum(
            cv2.resize(seen.mask.astype(np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), self.colours.tinted * 0.7
        )
        present = cv2.blur(present, (5, 5))
        self.dwell += (present - self.dwell) * np.float32(1 / DWELL_S)
        self._things(start_s, evidence)
        if self.watched_s > WAKING_S:
            evidence.say("crowd", float(np.log((self.crowd + 0.005) / (self.normal.most + 0.005))))
            self._lasting("agitation", self.stir, self.known.stir, STIR_LEAST, evidence)
            self._lasting("dwell", self.dwell, self.known.dwell, DWELL_LEAST, evidence)
        shown = np.maximum(cv2.resize(seen.mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA),
                           cv2.resize(self.colours.tinted, (SIDE, SIDE), interpolation=cv2.INTER_AREA) * 0.5)  # fmt: skip
        self._eyes(sights, shown, evidence)

    def _eyes(self, sights: Sights, shown: NDArray[np.float32], evidence: Evidence) -> None:
        """How what stands out looks to a trained encoder."""
        if sights.cells is None:
            return
        self.seen_s += 1
        bank = self.normal.bank
        evidence.look = self.gaze.see(sights.cells, shown)
        evidence.away = bank.away(evidence.look) if bank.is_ready else np.zeros(len(evidence.look), np.float32)
        evidence.sight = sights.new_to(self.normal.sights)
        evidence.sights = sights
        if not bank.is_ready or self._rains():
            return
        evidence.strange = self.gaze.strange(bank, evidence.away)
        row, column = np.unravel_index(int(np.argmax(evidence.strange)), evidence.strange.shape)
        box = (float(column) / SIDE, float(row) / SIDE, float(column + 1) / SIDE, float(row + 1) / SIDE)
        evidence.say("look", float(evidence.strange[row, column]), box)
        evidence.looks = {int(c): look_to_text(evidence.look[c]) for c in np.flatnonzero(evidence.strange.ravel() > CUES["look"][0])}

    def _health(self, start_s: float, times_s: NDArray[np.float64], grey: NDArray[np.uint8], evidence: Evidence) -> None:
        reference = self.normal.view
        assert reference is not None
        if self.busy is None:
            self.busy = np.zeros_like(reference)
        now = grey.mean(axis=0, dtype=np.float32)
        view = health.compare(now, reference, self.busy < 0.2)
        light, alike, detail = (max(0.05, float(v)) for v in self.fine)
        lost = max(0.0, -float(np.log(max(view.detail / detail, 0.05))))
        unlike = max(0.0, 1 - view.alike / alike)
        evidence.say("blackout", -float(np.log(max(view.light / light, 0.02))))
        # Noise keeps a picture busy, so only the place's own structure tells blur; where none of it is left but another is, it moved.
        elsewhere = view.busy > 0.75 * max(detail, 0.2) and view.detail < 0.3 * detail
        evidence.say("moved" if elsewhere else "defocus", unlike if elsewhere else lost)
        self._frozen(times_s, grey)
        evidence.say("freeze", self.still_for_s - 3 * self.normal.longest_freeze_s, since_s=start_s - self.still_for_s)
        if self.ill_since_s < 0 and lost < 0.3 and unlike < 0.3:
            reference += (now - reference) * np.float32(1 / VIEW_S)
            usual = np.array([view.light, view.alike, view.detail], np.float32)
            self.fine += (usual - self.fine) * np.float32(0.2 if self.watched_s < 10 else 0.01)

    def _frozen(self, times_s: NDArray[np.float64], grey: NDArray[np.uint8]) -> None:
        for time_s, picture in zip(times_s, grey, strict=True):
            if self.last is not None:
                change = float(np.abs(picture[::2, ::2].astype(np.int16) - self.last[::2, ::2]).mean())
                self._usual_change(change)
                still = change < max(0.02, STILL_SHARE * self.floor)
                self.lively = 0 if still else self.lively + 1
                # A single change is the codec's key picture; several are life.
                kept_s = max(0.0, self.still_for_s - 0.4) if self.lively < LIVELY_PICTURES else 0.0
                self.still_for_s = self.still_for_s + (time_s - self.last_s) if still else kept_s
            self.last, self.last_s = picture, float(time_s)

    def _usual_change(self, change: float) -> None:
        """Learn what the sensor's noise alone changes: a low quantile, since traffic only adds to it."""
        if len(self.changes) < FLOOR_PICTURES:
            self.changes.append(change)
            self.floor = float(np.quantile(self.changes, 0.1)) if len(self.changes) % 10 == 0 else self.floor
        elif change > 0.6 * self.floor:
            self.floor *= 1.0005 if change > self.floor else 0.995

    def _ill(self, start_s: float, ill: bool) -> None:
        if not ill:
            self.ill_since_s = -1.0
            return
        if self.ill_since_s < 0:
            self.ill_since_s = start_s
            self.tracks.active = []
        if start_s - self.ill_since_s > MOVED_FOR_GOOD_S:
            self.ill_since_s, self.watched_s = -1.0, 0.0
            self.normal.background = self.normal.view = self.busy = self.last_level = None
            self.normal.bank, self.gaze = Bank(spared=self.normal.bank.spared), Gaze()

    def _picture(self, time_s: float, grey: NDArray[np.uint8], evidence: Evidence | None) -> cells.Seen:
        assert self.normal.background is not None
        seen = cells.look(self.normal.background, grey)
        known = self.tracks.count
        ended = self.tracks.step(time_s, seen.blobs)
        self.births += (self.tracks.count - known - self.births) * PICTURE_S / BIRTHS_S
        for track in ended:
            if track.worst < GUARD:
                self.normal.learn_track(track)
        for track in self.tracks.active:
            if track.seen_s == time_s:
                self._go(track, time_s, evidence)
        self._stirred(seen, time_s)
        return seen

    def _learn_look(self, evidence: Evidence, warm: bool) -> None:
        if evidence.look is not None and evidence.sights is not None:
            self.normal.bank.offer(evidence.look, evidence.away)
            if warm and self.watched_s + 1 >= self.warm_up_s:
                self.normal.bank.settle()
            known, classes = self.normal.sights, evidence.sights.classes
            known[classes] = np.maximum(known[classes], evidence.sights.shares)

    def _stirred(self, seen: cells.Seen, time_s: float) -> None:
        """Change of what stays about one place, per cell and its surroundings: what passes by is no stir."""
        if self.last_level is not None:
            stays = np.zeros_like(seen.mask)
            for track in self.tracks.active:
                if time_s - track.anchor[0] > LINGERS_S:
                    x0, y0, x1, y1 = _track_box(track)
                    stays[int(y0 * HEIGHT) : int(y1 * HEIGHT) + 1, int(x0 * WIDTH) : int(x1 * WIDTH) + 1] = 1
            change = np.minimum(cv2.absdiff(seen.level, self.last_level), 80) * (seen.mask * stays)
            energy = cv2.blur(cv2.resize(change, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), (3, 3))
            self.stir += (energy - self.stir) * np.float32(PICTURE_S / STIR_S)
        self.last_level = seen.level

    def _lasting(self, cue: str, now: NDArray[np.float32], most: NDArray[np.float32], least: float, evidence: Evidence) -> None:
        """Say where something goes on more lastingly than it ever did, there and (by a third) anywhere."""
        excess = np.log((now + least) / (most + 0.3 * float(most.max()) + least))
        row, column = np.unravel_index(int(np.argmax(excess)), excess.shape)
        evidence.say(cue, float(excess[row, column]), cell_box(int(row), int(column), 2))

    def _go(self, track: Track, time_s: float, evidence: Evidence | None) -> None:
        """One step of a track: remember it for learning, and compare it with what is usual there."""
        _, x, y, _, h, _ = track.now
        row, column = cell_of(x, y + h / 2 - 1)
        velocity = track.velocity()
        speed = float(np.hypot(*velocity)) if velocity else 0.0
        moving = speed > 2 + 0.15 * h
        direction = float(np.arctan2(velocity[1], velocity[0])) if velocity else 0.0
        track.path.append((row, column, speed if moving else 0.0, direction))
        if np.hypot(x - track.anchor[1], y - track.anchor[2]) > 4 + 1.2 * h:
            track.anchor = (time_s, x, y)
        if self.known is None or evidence is None or track.age_s < 0.4:
            return
        box = _track_box(track)
        self._whereabouts(track, time_s, row, column, box, evidence)
        evidence.say("loiter", time_s - track.anchor[0], box, track.anchor[0])
        if moving and not self._rains():
            self._pace(track, speed, direction_bin(direction), self.known.at(row, column, track.kind), box, evidence)

    def _rains(self) -> bool:
        return self.births >= RESTLESS * (self.normal.births + LEAST_BIRTHS)

    def _whereabouts(self, track: Track, time_s: float, row: int, column: int, box: Box, evidence: Evidence) -> None:
        assert self.known is not None
        reach, height = float(self.known.away[row, column]), track.now[4]
        if reach > 5:
            track.strange_s += PICTURE_S * min(1.0, reach / (3 + 0.4 * height))
        else:
            track.strange_s = max(0.0, track.strange_s - PICTURE_S)
        sure = self.normal.tracks / (self.normal.tracks + 8) * self.normal.seconds / (self.normal.seconds + SURE_S)
        evidence.say("intrusion", track.strange_s * sure, box, max(track.born_s, time_s - track.strange_s))

    def _pace(self, track: Track, speed: float, heading: int, here: Here, box: Box, evidence: Evidence) -> None:
        z = (float(np.log(speed)) - here.mean) / here.spread * here.count / (here.count + 2)
        track.fast = min(z, track.fast + 1.0)
        since_s = max(track.born_s, track.seen_s - CROSSING_S)
        evidence.say("fast", track.fast, box, since_s)
        # People walk both ways more often than not, whatever the first few did.
        against = here.against(heading, DOUBT if track.kind == TALLER else 1.0)
        if against < 0 or np.log(speed) > here.mean - SLOWER:
            track.wrong += (against - track.wrong) * min(1.0, PICTURE_S / WRONG_S)
        evidence.say("wrong_way", track.wrong, box, since_s)

    def _things(self, start_s: float, evidence: Evidence) -> None:
        """What came and stands still; where something left, the ground is taken for background at once."""
        background = self.normal.background
        assert background is not None and self.known is not None
        for x, foot, w, h, _, age_s, newness in cells.still_things(background, 3.0).tolist():
            if newness < 0.8:
                where = np.zeros(background.mean.shape, bool)
                window = (slice(max(0, int(foot - h) - 1), int(foot) + 2), slice(max(0, int(x - w / 2) - 1), int(x + w / 2) + 2))
                where[window] = background.steady_s[window] > 2
                cells.absorb(background, where)
                continue
            usual_s = float(self.known.still_s[cell_of(x, foot - h / 2)])
            box = ((x - w / 2) / WIDTH, (foot - h) / HEIGHT, (x + w / 2) / WIDTH, foot / HEIGHT)
            evidence.say("still", age_s - usual_s, box, start_s - age_s)

    def _surprise(self, evidence: Evidence) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(cues,) how far each value is beyond its tail's beginning, in factors of e of rarity; below 0 nothing is unusual.
        And what of it trained eyes have lent to what is somewhat unusual by itself."""
        assert self.known is not None
        start, step = self.known.tails
        start = start.copy()
        for cue, value, left, top, right, bottom in self.normal.exemplars.tolist():
            x0, y0, x1, y1 = evidence.boxes[int(cue)]
            if left - NEAR < (x0 + x1) / 2 < right + NEAR and top - NEAR < (y0 + y1) / 2 < bottom + NEAR:
                start[int(cue)] = max(start[int(cue)], value * 1.1)
        surprise = np.asarray((evidence.values - start) / step, np.float32)
        for name in self.without:
            surprise[CUE[name]] = -9
        lent = np.zeros_like(surprise)
        if evidence.strange is not None and "look" not in self.without:
            look = CUE["look"]
            for cue in range(len(HEALTH), look):
                if surprise[cue] > 0:
                    strange = evidence.strange_at(evidence.boxes[cue])
                    lent[cue] = min(max(0.0, LENT * (strange - start[look]) / step[look]), LENT_MOST)
        return surprise + lent, lent

    def _learn(self, evidence: Evidence, surprise: NDArray[np.float32], warm: bool) -> None:
        """Take the second for normal unless something speaks against it."""
        assert self.normal.background is not None and self.known is not None
        most = float(surprise.max())
        self.uneasy_s = 0.0 if warm or most < GUARD else self.uneasy_s + 1
        if self.uneasy_s == 0 or self.uneasy_s > ABSORB_S:
            self.normal.seconds += 1
            self.normal.births += (self.births - self.normal.births) / min(self.normal.seconds, 600.0)
            self.normal.stir = np.maximum(self.normal.stir * np.float32(0.9998), self.stir)
            self.normal.tinted_s += self.colours.tinted
            self.normal.dwell = np.maximum(self.normal.dwell * np.float32(0.9998), self.dwell)
            self.normal.most = max(self.normal.most * 0.9999, self.crowd)
            steady = self.normal.background.steady_s.reshape(ROWS, CELL_PX, COLUMNS, CELL_PX).max(axis=(1, 3))
            self.normal.still_s = np.maximum(self.normal.still_s, np.where(steady < 60, steady, 0))
            self._learn_look(evidence, warm)
        else:
            self.normal.bank.forget()
            for track in self.tracks.active:
                track.worst = max(track.worst, most)
        if warm:
            self.normal.longest_freeze_s = max(self.normal.longest_freeze_s, self.still_for_s)
        if self.watched_s >= self.warm_up_s * 0.5:
            self.peak = np.maximum(self.peak, np.where((surprise < GUARD) | warm, evidence.values, 0))
            self.peak_s += 1
        if self.peak_s >= PEAK_S:
            self.normal.learn_peaks(self.peak)
            self.peak, self.peak_s = np.zeros(len(NAMES), np.float32), 0.0


def _track_box(track: Track) -> Box:
    _, x, y, w, h, _ = track.now
    return max(0.0, (x - w / 2) / WIDTH), max(0.0, (y - h / 2) / HEIGHT), min(1.0, (x + w / 2) / WIDTH), min(1.0, (y + h / 2) / HEIGHT)

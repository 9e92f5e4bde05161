"""What a fixed camera has not shown before: a score per second against its own normal, and alarms with a cause.

Judges series, decodes nothing.
Each second, cues measure what may be wrong (pipelines/tasks/anomalies_normal.py lists them). A cue's surprise is how far it is
beyond what this camera's ordinary life shows, so that one threshold, told as false alarms per hour, serves all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.findings import Curve, Finding, Shot, Status, TaskResult
from pipelines.interfaces import WrongRequest
from pipelines.series import Measured, Series
from pipelines.tasks.anomalies_alarms import AlarmRules, alarms, finding_of, score_curve, threshold_for
from pipelines.tasks.anomalies_evidence import NO_SIGHTS, Second, Sights
from pipelines.tasks.anomalies_normal import NAMES, Normal
from pipelines.tasks.anomalies_watch import Watch

__all__ = ["AnomalySettings", "Normal", "Watch", "find_anomalies", "learn_normal", "own_warm_up_s", "watch"]

TASK = "anomalies"
PLACE_PICTURES = 120  # looked at to tell a fixed camera from edited footage
FEW_SHOTS = 6  # a blackout and a knock make some on a fixed camera too
SAME_LEVELS = 8.0  # of 255: what noise, weather and light do to a pixel of 32 x 18
ONE_PLACE = 0.8  # of the picture; handheld cameras keep 0.6, busy streets 0.93
NO_COLOUR = np.zeros((0, 18, 32, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class AnomalySettings:
    """false_alarms_per_hour: what the threshold is set for. warm_up_s: of the file's start that is taken for normal where no other
    recording is given, at most warm_up_share of it. shortest_s: shorter files cannot show their own normal.
    edited_cuts_per_hour: with more it is no fixed camera, nor where most pictures show another place.
    gap_s, least_s, cooldown_s: see AlarmRules. without: cues that are not listened to."""

    false_alarms_per_hour: float = 2.0
    warm_up_s: float = 120.0
    warm_up_share: float = 0.2
    shortest_s: float = 60.0
    edited_cuts_per_hour: float = 150.0
    gap_s: float = 5.0
    least_s: float = 1.0
    cooldown_s: float = 15.0
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0.01 <= self.false_alarms_per_hour <= 3600:
            raise ValueError(f"expected false alarms lie in 0.01..3600 an hour, got {self.false_alarms_per_hour}")
        if not 0 < self.warm_up_share < 1 or self.warm_up_s <= 0:
            raise ValueError(f"the warm-up is a part of the file, got {self.warm_up_s} s and a share of {self.warm_up_share}")
        if unknown := sorted(set(self.without) - set(NAMES)):
            raise ValueError(f"no cue is called {', '.join(unknown)}; there are {', '.join(NAMES)}")

    def rules(self) -> AlarmRules:
        return AlarmRules(threshold_for(self.false_alarms_per_hour), self.gap_s, self.least_s, self.cooldown_s)


def find_anomalies(
    measured: Measured, shots: tuple[Shot, ...], settings: AnomalySettings = AnomalySettings(), normal: Normal | None = None
) -> TaskResult:
    """Alarms and a score per second of one video. normal: of the same camera, from `learn_normal`; without it (or with one that has
    only learned from rejected alarms) the file's own start is taken for normal, and scores 0."""
    if measured.get("frame.luma") is None:
        return _unfit(measured, "the file has no pictures to judge")
    taught = normal is not None and normal.background is not None
    is_edited = len(shots) > FEW_SHOTS and cuts_per_hour(shots, measured.duration_s) > settings.edited_cuts_per_hour
    if is_edited and not taught:
        return _unfit(measured, f"edited footage ({len(shots)} shots in {measured.duration_s / 60:.1f} min) has no normal to judge by")
    if not taught and not shows_one_place(measured):
        return _unfit(measured, "the camera moves, so there is no normal to judge by; a fixed camera is judged, or one with --normal")
    if not taught and measured.duration_s < settings.shortest_s:
        return _unfit(
            measured, f"{measured.duration_s:.0f} s are too short to learn this camera's normal from; give a recording of it (--normal)"
        )
    warm_up_s = 0.0 if taught else own_warm_up_s(settings, measured.duration_s)
    judge = Watch(warm_up_s, settings.without, copy.deepcopy(normal) if normal else Normal())
    seconds = list(watch(judge, measured))
    rules = settings.rules()
    curve = score_curve(seconds, rules.threshold)
    found = tuple(finding_of(alarm, rules, measured.class_names) for alarm in alarms(seconds, rules))
    return TaskResult(
        TASK, Status.OK if found else Status.EMPTY, found, _reason(found, warm_up_s, _blindness(judge, taught)),
        {"anomaly": Curve(tuple(s.time_s for s in seconds), tuple(round(float(v), 4) for v in curve))},
        {"threshold": 0.5, "expected_false_alarms_per_hour": settings.false_alarms_per_hour, "warm_up_s": warm_up_s,
         "normal": "another recording" if warm_up_s == 0 else "the file's own start", "tracks_learned": judge.normal.tracks,
         "seconds_with_eyes": judge.seen_s},
    )  # fmt: skip


def own_warm_up_s(settings: AnomalySettings, duration_s: float) -> float:
    """A share of a long file, but enough of a short one to see what is ordinary."""
    enough_s = min(settings.shortest_s, 0.6 * duration_s)
    return round(min(settings.warm_up_s, max(enough_s, settings.warm_up_share * duration_s)), 1)


def _blindness(judge: Watch, taught: bool) -> str:
    """What was judged without trained eyes, and why; empty where nothing was."""
    if judge.seen_s == 0:
        return "no visual encoder has seen the video, so how things look was not judged"
    if not judge.normal.bank.is_ready:
        return "too little was seen by the visual encoder to know how things usually look, so that was not judged"
    missed_s = judge.watched_s - judge.seen_s
    return f"how things look was judged in all but {missed_s:.0f} s" if missed_s > 0.1 * judge.watched_s and not taught else ""


def _reason(found: Sequence[Finding], warm_up_s: float, blindness: str) -> str:
    start = f"the first {warm_up_s:.0f} s were taken for normal and score 0" if warm_up_s else ""
    return "; ".join(part for part in ("" if found else "nothing stood out from this camera's normal", start, blindness) if part)


def learn_normal(*recordings: Measured) -> Normal:
    """What is ordinary in one camera's recordings, taken in the order given. Raises WrongRequest where none has pictures."""
    if not recordings:
        raise WrongRequest("a normal is learned from one recording at least")
    normal = Normal()
    for measured in recordings:
        for _ in watch(judge := Watch(measured.duration_s + 1, normal=normal), measured):
            pass
        judge.finish()
    if normal.background is None:
        raise WrongRequest("the recordings of normal have no pictures")
    normal.vouch()
    return normal


def watch(judge: Watch, measured: Measured, from_s: float = 0.0) -> Iterator[Second]:
    """Every second of `measured` from `from_s` on, in order; `judge` goes on from whatever it has seen before."""
    end_s = int(np.ceil(measured.duration_s - 1e-6))
    expected = int(from_s)
    colours = _Stretches(measured.blocks("colour"))
    sights = _Seen(measured)
    for block in measured.blocks("grey"):
        numbers = np.floor(block.times_s + 1e-6).astype(np.int64)
        for number in range(int(numbers[0]) if len(numbers) else 0, int(numbers[-1]) + 1 if len(numbers) else 0):
            for gap in range(expected, number):
                yield judge.second(float(gap), np.zeros(0), np.zeros((0, 90, 160), np.uint8), NO_COLOUR)
            first, last = np.searchsorted(numbers, [number, number + 1])
            yield judge.second(
                float(number), block.times_s[first:last], _uint8(block)[first:last], colours.within(number, number + 1), sights.at(number)
            )
            expected = number + 1
    for gap in range(expected, end_s):
        yield judge.second(float(gap), np.zeros(0), np.zeros((0, 90, 160), np.uint8), NO_COLOUR)


class _Stretches:
    """Rows of a series that come block by block, asked for in time order."""

    def __init__(self, blocks: Iterator[Series]) -> None:
        self.blocks = blocks
        self.block: Series | None = next(blocks, None)

    def rows(self, start_s: float, end_s: float) -> Series | None:
        while self.block is not None and (not len(self.block) or self.block.times_s[-1] < start_s - 1e-6):
            self.block = next(self.blocks, None)
        return self.block.within(start_s - 1e-6, end_s - 1e-6) if self.block is not None else None

    def within(self, start_s: float, end_s: float) -> NDArray[np.uint8]:
        rows = self.rows(start_s, end_s)
        return _uint8(rows) if rows is not None else NO_COLOUR


class _Seen:
    """What an encoder saw each second."""

    def __init__(self, measured: Measured) -> None:
        self.parts = [_Stretches(measured.blocks(f"eyes.{name}")) for name in ("cells", "class", "share")]

    def at(self, number: int) -> Sights:
        """The last picture of a second, which after a jump is the settled one; nothing where there is none."""
        rows = [part.rows(number, number + 1) for part in self.parts]
        if any(r is None or not len(r) for r in rows):
            return NO_SIGHTS
        cells, classes, shares = (r.values[-1] for r in rows if r is not None)
        return Sights(cells, np.asarray(classes, np.int16), np.asarray(shares, np.float32))


def _uint8(series: Series) -> NDArray[np.uint8]:
    return np.asarray(series.values, np.uint8)


def cuts_per_hour(shots: Sequence[Shot], duration_s: float) -> float:
    """How often the picture changes to another."""
    return (len(shots) - 1) / max(duration_s, 1.0) * 3600


def shows_one_place(measured: Measured) -> bool:
    """Whether most of the picture is as in the median one, most of the time: a fixed camera is knocked or goes dark only now and then."""
    step = max(1.0, measured.duration_s / PLACE_PICTURES)
    pictures, wanted_s = [], 0.0
    for block in measured.blocks("colour"):
        for time_s, picture in zip(block.times_s, block.values, strict=True):
            if time_s >= wanted_s:
                pictures.append(picture.astype(np.float32).mean(axis=2).ravel())
                wanted_s = float(time_s) + step
    if len(pictures) < 3:
        return True
    rows = np.stack(pictures)
    rows -= np.median(rows, axis=1, keepdims=True)  # whatever the light
    return float(np.median((np.abs(rows - np.median(rows, axis=0)) < SAME_LEVELS).mean(axis=1))) > ONE_PLACE


def _unfit(measured: Measured, reason: str) -> TaskResult:
    """No judgement: scores of 0, and why."""
    times = tuple(float(t) for t in range(int(np.ceil(measured.duration_s))))
    return TaskResult(TASK, Status.EMPTY, reason=reason, curves={"anomaly": Curve(times, (0.0,) * len(times))}, data={"judged": False})

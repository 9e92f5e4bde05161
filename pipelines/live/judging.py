"""What is found in the newest stretch of a stream: the tasks of films where they can judge a part, and faults of the line itself."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

import numpy as np

from model.video import TimeSpan
from pipelines.findings import Finding, Shot
from pipelines.judge import JUDGES, Case
from pipelines.live.window import Block, Newest, Window
from pipelines.profiles import Wanted
from pipelines.series import Measured
from pipelines.signals.fades import runs
from pipelines.signals.technical import find_bars, find_black, find_freezes
from pipelines.spots import Spot
from pipelines.tasks.anomalies import FEW_SHOTS, Normal, Watch, cuts_per_hour, shows_one_place, watch
from pipelines.tasks.anomalies_alarms import alarms, finding_of
from pipelines.tasks.anomalies_evidence import Second
from pipelines.tasks.anomalies_saving import watch_from_bytes, watch_to_bytes

FAULTS = "technical"
SILENT_DB = -60.0
LEAST_S = {"black": 2.0, "freeze": 5.0, "silence": 5.0, "bars": 3.0}  # shorter ones are part of any programme
SAID = {
    "black": "the picture is black",
    "freeze": "the picture stands still",
    "silence": "there is no sound",
    "bars": "colour bars",
}


def find_faults(measured: Measured) -> list[Finding]:
    """Black, frozen and test pictures and silence that last. A steady tone is none: music has them."""
    found = [(t.kind, t.span, t.detail) for find in (find_black, find_freezes, find_bars) for t in find(measured)]
    found += [("silence", span, "") for span in silences(measured)]
    return [
        Finding(FAULTS, kind, span, 1.0, SAID[kind], f"{detail or SAID[kind]}, measured".capitalize() + ".")
        for kind, span, detail in found
        if span.duration_s >= LEAST_S[kind]
    ]


def silences(measured: Measured) -> list[TimeSpan]:
    """Where the sound is below SILENT_DB; nothing of what has no sound at all."""
    level = measured.get("sound.level")
    if level is None:
        return []
    half_s = 0.05  # a level is of 0.1 s around its time
    quiet = np.asarray(level.values, np.float64) < SILENT_DB
    quiet &= np.diff(level.times_s, append=level.times_s[-1:] + 0.1) < 1.0  # a stretch that was not received is no silence
    return [TimeSpan(max(0.0, float(level.times_s[a]) - half_s), float(level.times_s[b]) + half_s) for a, b in runs(quiet)]


@dataclass(slots=True)
class Ads:
    """Ad breaks in the whole window. Looked for again only where something was cut since: a break begins and ends on a cut."""

    wanted: Wanted
    spots: tuple[Spot, ...] = ()
    _seen: tuple[float, ...] = ()
    _found: list[Finding] = field(default_factory=list)

    def judge(self, newest: Newest, shots: Sequence[Shot], *, again: bool = False) -> list[Finding]:
        cuts = tuple(round(newest.start_s + shot.span.start_s, 3) for shot in shots[1:])
        if again or cuts != self._seen:
            self._seen = cuts
            measured = newest.since(newest.start_s)
            result = JUDGES["ads"](Case(measured, tuple(shots), self.wanted, spots=self.spots), {})
            self._found = [moved(finding, newest.start_s) for finding in result.findings]
        return self._found


@dataclass(slots=True)
class Camera:
    """A fixed camera against its own normal, second by second; nothing is judged twice."""

    wanted: Wanted
    normal: Normal | None = None
    watch: Watch = field(init=False)
    seconds: list[Second] = field(default_factory=list)
    next_s: int = 0

    def __post_init__(self) -> None:
        settings = self.wanted.anomalies
        self.watch = Watch(0.0 if self._is_taught else settings.warm_up_s, settings.without, self.normal or Normal())

    @property
    def _is_taught(self) -> bool:
        return self.normal is not None and self.normal.background is not None

    def see(self, block: Block, newest: Newest) -> None:
        """Take the next block's pictures."""
        if block.end_s <= self.next_s:
            return
        alone = Window(newest.blobs, "", block.end_s, class_names=newest.class_names, features="live", parts=[block])
        self.seconds += watch(self.watch, alone, self.next_s)
        self.next_s = ceil(block.end_s - 1e-6)
        self.seconds = [s for s in self.seconds if s.time_s >= block.end_s - newest.length_s]

    def judge(self, newest: Newest, shots: Sequence[Shot]) -> list[Finding]:
        if not self._is_taught:
            measured = newest.since(newest.start_s)
            is_edited = len(shots) > FEW_SHOTS and cuts_per_hour(shots, measured.duration_s) > self.wanted.anomalies.edited_cuts_per_hour
            if is_edited or not shows_one_place(measured):
                return []
        rules = self.wanted.anomalies.rules()
        return [finding_of(alarm, rules, newest.class_names) for alarm in alarms(self.seconds, rules)]

    def to_bytes(self) -> bytes:
        """Everything that `from_bytes` needs to go on exactly as this would."""
        columns = {name: np.array([getattr(s, name) for s in self.seconds], np.float32) for name in ARRAYS}
        rest = [{"time_s": s.time_s, "warm": bool(s.warm), "looks": s.looks, "sight": s.sight} for s in self.seconds]
        out = io.BytesIO()
        text = json.dumps({"next_s": self.next_s, "rest": rest}, default=float).encode()
        np.savez(out, watch=np.frombuffer(watch_to_bytes(self.watch), np.uint8), json=np.frombuffer(text, np.uint8), **columns)  # type: ignore[arg-type]
        return out.getvalue()

    def restore(self, data: bytes) -> None:
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            self.watch = watch_from_bytes(kept["watch"].tobytes())
            told = json.loads(kept["json"].tobytes())
            columns = {name: kept[name] for name in ARRAYS}
        self.next_s = told["next_s"]
        self.seconds = [_second(row, {name: columns[name][k] for name in ARRAYS}) for k, row in enumerate(told["rest"])]


ARRAYS = ("values", "surprise", "since_s", "boxes", "lent")


def _second(row: Mapping[str, Any], columns: Mapping[str, Any]) -> Second:
    sight = (int(row["sight"][0]), float(row["sight"][1])) if row["sight"] else None
    return Second(row["time_s"], warm=row["warm"], looks={int(k): v for k, v in row["looks"].items()}, sight=sight, **columns)


def moved(finding: Finding, by_s: float) -> Finding:
    """The finding of a window, in seconds of the stream."""

    def later(span: TimeSpan) -> TimeSpan:
        return TimeSpan(span.start_s + by_s, span.end_s + by_s)

    evidence = tuple(replace(cue, span=later(cue.span)) if cue.span else cue for cue in finding.evidence)
    return replace(finding, span=later(finding.span), evidence=evidence)

"""Findings, reports and their status: what a person and a dashboard read. Knows no task, no file format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from model.video import Clock, TimeSpan
from pipelines.series import Missing
from pipelines.texts import ScreenText, Spoken

REPORT_VERSION = "1.0"


class Status(StrEnum):
    OK = "ok"
    EMPTY = "empty"  # looked at everything, found nothing: an answer, not a failure
    DEGRADED = "degraded"  # an answer from less than the whole file, or without a cue that should be there
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Cue:
    """One piece of evidence: which measurement said what, when. score: its contribution, task-defined unit told in `detail`."""

    name: str
    score: float
    detail: str = ""
    span: TimeSpan | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer with a time span: one row of a dashboard.

    score: calibrated probability in [0, 1] that the finding is right. `id` is filled by `numbered`.
    ticks: (start, end) in the video stream's time base, None where the video has no pictures.
    """

    task: str
    kind: str
    span: TimeSpan
    score: float
    label: str
    explanation: str = ""
    evidence: tuple[Cue, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)  # task-specific numbers (loudness, zone ...), JSON values only
    ticks: tuple[int, int] | None = None
    id: str = ""
    revision: int = 0  # 0 = as found; a person's corrections count up
    state: str = "found"  # found | corrected | rejected

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"a score lies in [0, 1], got {self.score} for {self.task}/{self.kind}")


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the file the answer rests on."""

    seconds_seen: float
    seconds_total: float

    @property
    def ratio(self) -> float:
        return min(1.0, self.seconds_seen / self.seconds_total) if self.seconds_total > 0 else 0.0


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one task says of one video. `reason`: a sentence wherever status is not plain ok."""

    task: str
    status: Status
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)  # e.g. the summary's text, the storyboard's instants


@dataclass(frozen=True, slots=True)
class Curve:
    """A number per time for the timeline and the scores export. Same lengths."""

    times_s: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.times_s) != len(self.values):
            raise ValueError(f"a curve has a value per time, got {len(self.times_s)} times and {len(self.values)} values")


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Short digest of everything that changes the answer (settings, algorithm versions, weights' digests)."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


def numbered(findings: Iterable[Finding], video_id: str, digest: str, clock: Clock | None = None) -> tuple[Finding, ...]:
    """Findings in time order with their deterministic ids: SHA-256(video, task, settings, kind, ordinal in time).

    Edges are never part of an id, so that a refined edge stays the same finding.
    """
    counts: dict[tuple[str, str], int] = {}
    out = []
    for finding in sorted(findings, key=lambda f: (f.span.start_s, f.span.end_s, f.task, f.kind)):
        key = (finding.task, finding.kind)
        ordinal = counts[key] = counts.get(key, -1) + 1
        text = "\n".join((video_id, finding.task, digest, finding.kind, str(ordinal)))
        ticks = (clock.tick(finding.span.start_s), clock.tick(finding.span.end_s)) if clock else None
        out.append(replace(finding, id=hashlib.sha256(text.encode()).hexdigest()[:32], ticks=ticks))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A picture of the storyboard: when it was on display, and as JPEG."""

    time_s: float
    jpeg: bytes
    label: str = ""


@dataclass(frozen=True, slots=True)
class Shot:
    """An unbroken stretch of one camera. opened_by: how it begins: "start" | "cut" | "dissolve" | "fade" | "wipe".

    transition: the stretch over which it takes the screen from the shot before, None for a cut. score: how sure that it begins here.
    """

    span: TimeSpan
    opened_by: str = "cut"
    transition: TimeSpan | None = None
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one request. `tasks` hold the findings, numbered; `settings` is everything that changes the answer."""

    request_id: str
    video_id: str  # SHA-256 of the bytes
    name: str  # the file's name, never its folder
    status: Status
    reason: str
    coverage: Coverage
    system: str  # which system speaks: "signals" where no model is loaded
    settings: Mapping[str, Any]
    digest: str
    media: Mapping[str, Any]  # what probe said
    tasks: tuple[TaskResult, ...]
    shots: tuple[Shot, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)  # "loudness_lufs", "motion" ... for the timeline
    storyboard: tuple[KeyFrame, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()  # stretches that could not be decoded: drawn as gaps, never as nothing found
    clock: Clock | None = None  # of the video stream: what the findings' ticks count; None for sound only
    texts: tuple[ScreenText, ...] = ()  # read in the pictures
    spoken: tuple[Spoken, ...] = ()  # a rough transcript

    @property
    def findings(self) -> tuple[Finding, ...]:
        found = [finding for task in self.tasks for finding in task.findings]
        return tuple(sorted(found, key=lambda f: (f.span.start_s, -f.span.end_s, f.task)))

    def task(self, name: str) -> TaskResult | None:
        return next((t for t in self.tasks if t.task == name), None)

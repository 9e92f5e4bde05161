"""The stage `live`: chunks of streams become findings that are new, refined or ended, and reports that grow. Knows no broker."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipelines.exports.report_json import finding_to_json, report_to_json
from pipelines.findings import Report
from pipelines.live.chunks import Chunk
from pipelines.live.panel import LiveSettings
from pipelines.live.report import report_of
from pipelines.live.rolling import Change
from pipelines.live.watch import LiveWatch
from pipelines.profiles import PROFILES, wanted
from pipelines.watching import Senses, Store
from services.blobs.claims import claim_put
from services.ingest.streams import chunk_of
from services.messages import JSON, BadMessage, FindingEvent, ReportEvent, StreamStatus
from services.stages import FINDINGS, STREAM_STATUS, STREAMS
from services.topics.base import Delivery
from services.worker import Out

MOST_WATCHED = 32  # streams held in memory; any other is read from the store when it speaks again
TASKS = ("ads", "anomalies")  # of a profile's, those that judge a part of a whole
REPORT_S, LONGEST_REPORT_S, REPORT_SHARE = 60.0, 600.0, 0.05  # between two reports; a share of what was aired so far
STATUS_CHUNKS = 5
SILENT_S = 120.0  # without a chunk until a stream counts as ended


@dataclass(slots=True)
class _Seat:
    """A stream in memory. heard_s: when its last chunk came, by this process's clock."""

    watch: LiveWatch
    lock: threading.Lock = field(default_factory=threading.Lock)
    heard_s: float = 0.0


@dataclass(slots=True)
class Live:
    """Chunks in, `FindingEvent`s, `ReportEvent`s and `StreamStatus`es out."""

    store: Store
    senses: Senses
    settings: LiveSettings = field(default_factory=LiveSettings)
    clock: Callable[[], float] = time.monotonic
    silent_s: float = SILENT_S
    name: str = "live"
    topic: str = STREAMS
    _seats: OrderedDict[tuple[str, str], _Seat] = field(default_factory=OrderedDict)
    _door: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, delivery: Delivery) -> Iterator[Out]:
        chunk = chunk_of(delivery, self.store.blobs)
        if chunk.profile and chunk.profile not in PROFILES:
            raise BadMessage(f"no profile is called {chunk.profile[:40]!r}; there are {', '.join(PROFILES)}")
        seat = self._seat(chunk.stream, chunk.profile)
        with seat.lock:
            changes = seat.watch.take(chunk)
            seat.heard_s = self.clock()
            yield from self._told(seat.watch, changes, chunk)

    def idle(self) -> Iterator[Out]:
        """What is to be said when nothing comes: streams that have been silent for too long are ended."""
        with self._door:
            silent = [s for s in self._seats.values() if self.clock() - s.heard_s > self.silent_s and not s.watch.state.ended]
        for seat in silent:
            with seat.lock:
                changes = seat.watch.end()
                yield from self._told(seat.watch, changes, None)

    def _seat(self, stream: str, profile: str) -> _Seat:
        with self._door:
            key = (stream, profile or "broadcast")
            seat = self._seats.get(key) or _Seat(self._watch(*key))
            self._seats[key] = seat
            self._seats.move_to_end(key)
            while len(self._seats) > MOST_WATCHED:
                self._seats.popitem(last=False)
            return seat

    def _watch(self, stream: str, profile: str) -> LiveWatch:
        preset = PROFILES[profile]
        tasks = tuple(task for task in TASKS if task in preset.tasks)
        return LiveWatch(stream, wanted(profile, tasks), self.store.blobs, self.senses, self.settings)

    def _told(self, watch: LiveWatch, changes: list[Change], chunk: Chunk | None) -> Iterator[Out]:
        state = watch.state
        source = state.source or watch.stream
        for change in changes:
            yield Out(FINDINGS, finding_event(change, watch, source))
        ended = state.ended
        if ended or self._is_due(watch):
            yield Out(FINDINGS, self._report_event(report_of(watch), source, sealed=ended))
        if ended or any(c.finding.task == "stream" for c in changes) or state.counts["chunks"] % STATUS_CHUNKS == 1:
            yield Out(STREAM_STATUS, status_of(watch, chunk))

    def _is_due(self, watch: LiveWatch) -> bool:
        """Once in a while, by the stream's own clock: the same chunk says so whoever takes it."""
        run = watch.state.run
        if run is None or not watch.state.pieces:
            return False
        last = watch.state.pieces[-1]
        every_s = min(LONGEST_REPORT_S, max(REPORT_S, 60.0 * round(REPORT_SHARE * last.end_s / 60.0)))
        return last.end_s // every_s > last.start_s // every_s

    def _report_event(self, report: Report, source: str, *, sealed: bool) -> ReportEvent:
        text = json.dumps(report_to_json(report), separators=(",", ":"), ensure_ascii=False)
        return ReportEvent(
            request_id=report.request_id, video_id=report.video_id, name=report.name, source=source, status=report.status.value,
            reason=report.reason, seconds_seen=report.coverage.seconds_seen, seconds_total=report.coverage.seconds_total,
            system=report.system, digest=report.digest, findings=len(report.findings),
            claim=claim_put(self.store.blobs, "claims/", text.encode(), JSON), sealed=sealed,
        )  # fmt: skip


def finding_event(change: Change, watch: LiveWatch, source: str) -> FindingEvent:
    finding, told = change.finding, finding_to_json(change.finding)
    clock = watch.panel.clock_at(finding.span.start_s)
    return FindingEvent(
        type=change.type, revision=change.revision, id=finding.id, video_id=watch.stream, name=watch.stream, source=source,
        task=finding.task, finding=finding.kind, start_s=told["start_s"], end_s=told["end_s"], score=told["score"], label=finding.label,
        state=finding.state, ticks=finding.ticks, time_base=str(clock.time_base) if clock and finding.ticks else "",
        explanation=finding.explanation, evidence=tuple(told["evidence"]), data=told["data"],
    )  # fmt: skip


def status_of(watch: LiveWatch, chunk: Chunk | None) -> StreamStatus:
    """How the stream is. The lag is by the producer's clock and this machine's, which may differ."""
    state, run = watch.state, watch.state.run
    total_s = run.reached_s if run else 0.0
    now = datetime.now(UTC)
    return StreamStatus(
        stream=watch.stream, source=state.source or watch.stream, state="ended" if state.ended else "on air",
        seconds_total=round(total_s, 3),
        seconds_seen=round(max(0.0, total_s - state.missed_s), 3), lag_s=_lag_s(chunk.wall_clock if chunk else "", now),
        findings=sum(sum(r.counts.values()) for task, r in state.rolling.items() if task != "stream"), counts=dict(state.counts),
        at=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )  # fmt: skip


def _lag_s(wall_clock: str, now: datetime) -> float | None:
    try:
        return round((now - datetime.fromisoformat(wall_clock)).total_seconds(), 3)
    except (ValueError, TypeError):
        return None

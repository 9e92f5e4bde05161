"""What is done with each kind of message: the pipeline's functions between two topics. Knows no broker, no process, no cluster.

    requests -> [cut] -> segments -> [decode] -> pictures -> [encode] -> features -> [watch] -> memories -> [tasks] -> findings -> [record]

A stretch of a film is a segment of its own, so several replicas work on one film; what they have done is what lies in the store, and
whoever finds the last piece there says so. Where `encode` runs beside `decode`, pictures never leave the machine.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.analyze import report_on, settings_for
from pipelines.encode import Encoding
from pipelines.exports.report_json import report_from_json, report_to_json
from pipelines.findings import Report, settings_digest
from pipelines.grounds import Beside, gather
from pipelines.interfaces import Blobs, FilmChanged, WrongRequest
from pipelines.profiles import Wanted, wanted
from pipelines.segments import Work
from pipelines.shares import look_once, measure_share, seal, shares
from pipelines.stores.ledger import Ledger
from pipelines.stores.requests import RequestBook, RequestRow
from pipelines.watching import Run, Senses, Store, Video, identify, series_prefix
from services.blobs.claims import claim_get, claim_put
from services.dead_letters import Death
from services.messages import (
    JSON,
    BadMessage,
    Claim,
    Features,
    FindingEvent,
    Memories,
    Message,
    Pictures,
    ReportEvent,
    Request,
    Segment,
    ce_type,
    decode,
    finding_event,
    kinds_on,
)
from services.sources import Sources
from services.topics.base import Delivery
from services.worker import Out, Stage

logger = logging.getLogger(__name__)
REQUESTS, OBJECTS, STREAMS = "longtake.requests", "longtake.objects", "longtake.streams"
SEGMENTS, PICTURES, FEATURES, MEMORIES = "longtake.segments", "longtake.pictures", "longtake.features", "longtake.memories"
FINDINGS, STREAM_STATUS = "longtake.findings", "longtake.stream-status"


@dataclass(frozen=True, slots=True)
class Parts:
    """All that stages work with. waiting: where pictures wait for an encoder in the same process; workers: decoding processes a message."""

    store: Store
    senses: Senses
    sources: Sources
    ledger: Ledger
    book: RequestBook
    waiting: Blobs
    partitions: int = 1  # of the topic of segments
    workers: int = 1

    def note(self, request: Request, state: str, reason: str = "", video_id: str = "") -> None:
        self.book.put(RequestRow(request.id, request.uri, request.version, request.name, state, reason, video_id))

    @contextmanager
    def wanted_still(self, request: Request) -> Iterator[None]:
        """Ends what is done for a film that was replaced or deleted meanwhile: what lies there now has a request of its own."""
        try:
            yield
        except FilmChanged as error:
            self.note(request, "superseded", str(error))
            logger.info("film changed uri=%s reason=%s", request.uri, error)

    def video(self, request: Request, video_id: str) -> Video:
        return Video(self.sources.open(request.uri, request.version), video_id, request.source or request.series or video_id)

    def work(self, video: Video, wish: Wanted, waiting: Blobs | None) -> Work:
        prefix = series_prefix(video.id, wish)
        look = look_once(video.path, self.store.blobs, prefix)
        return Work(video.path, look, self.senses.plan(wish.plan), self.store.blobs, prefix, waiting)

    def encoding(self, work: Work, among: range | None = None) -> Encoding:
        nets = self.senses.encoder, work.blobs, work.prefix, work.plan, self.senses.cutter
        return Encoding(*nets, among=among, waiting=work.waiting)

    def is_answered(self, video: Video, request: Request, wish: Wanted) -> bool:
        """Whether the result store has the answer, so that nothing need be decoded."""
        grounds = gather(video, Beside(series=request.series), wish, self.store, self.senses)
        digest = settings_digest(settings_for(video, wish, self.senses, grounds))
        return not request.again and self.store.results.load(video.id, digest) is not None


def wish_of(request: Request) -> Wanted:
    return wanted(request.profile, request.tasks)


@dataclass(frozen=True, slots=True)
class Cut:
    """A request becomes the segments that are still to be decoded; none where the film is measured or answered."""

    parts: Parts
    waiting: Blobs | None = None  # as of `Decode`
    name: str = "cut"
    topic: str = REQUESTS

    def __call__(self, delivery: Delivery) -> Iterator[Out]:
        request = decode(delivery, Request)
        self.parts.note(request, "working")
        with self.parts.wanted_still(request):
            yield from self._cut(request)

    def _cut(self, request: Request) -> Iterator[Out]:
        video, wish = self._identified(request), wish_of(request)
        if self.parts.is_answered(video, request, wish):
            yield Out(FEATURES, Features(request, video.id))
            return
        work = self.parts.work(video, wish, self.waiting)
        # Also what others are at already, for another request of the same film: this one wants to hear of its end as well.
        todo = shares(work, self.parts.encoding(work).has_seen)
        first = int(video.id[:8], 16)  # neighbours go to different partitions, so that all replicas have their share
        for number, blocks in enumerate(todo):
            segment = Segment(request, video.id, blocks.start, blocks.stop)
            yield Out(SEGMENTS, segment, (first + number) % self.parts.partitions)
        if not todo:
            yield from _whole(self.parts, work, request, video)

    def _identified(self, request: Request) -> Video:
        known = self.parts.ledger.video_of(request.uri, request.version) if request.version else None
        if known is None:
            known = identify(self.parts.sources.open(request.uri, request.version)).id
            if request.version:
                self.parts.ledger.identified(request.uri, request.version, known)
        return self.parts.video(request, known)


@dataclass(frozen=True, slots=True)
class Decode:
    """A segment becomes series in the store. encodes: its pictures become features here, beside the decoding."""

    parts: Parts
    encodes: bool
    name: str = "decode"
    topic: str = SEGMENTS

    def __call__(self, delivery: Delivery) -> Iterator[Out]:
        segment = decode(delivery, Segment)
        with self.parts.wanted_still(segment.request):
            yield from self._decode(segment)

    def _decode(self, segment: Segment) -> Iterator[Out]:
        video = self.parts.video(segment.request, segment.video_id)
        work = self.parts.work(video, wish_of(segment.request), self.parts.waiting if self.encodes else None)
        if not self.encodes:
            measure_share(work, segment.blocks, workers=self.parts.workers, is_done=self.parts.encoding(work).is_done)
            yield Out(PICTURES, Pictures(segment.request, video.id, segment.start, segment.stop))
            return
        with self.parts.encoding(work, segment.blocks) as encoding:
            measure_share(work, segment.blocks, workers=self.parts.workers, on_block=encoding.add, is_done=encoding.is_done)
        _check(encoding)
        yield from _whole(self.parts, work, segment.request, video)


@dataclass(frozen=True, slots=True)
class Encode:
    """The pictures of a segment become features."""

    parts: Parts
    name: str = "encode"
    topic: str = PICTURES

    def __call__(self, delivery: Delivery) -> Iterator[Out]:
        pictures = decode(delivery, Pictures)
        with self.parts.wanted_still(pictures.request):
            yield from self._encode(pictures)

    def _encode(self, pictures: Pictures) -> Iterator[Out]:
        video = self.parts.video(pictures.request, pictures.video_id)
        work = self.parts.work(video, wish_of(pictures.request), None)
        with self.parts.encoding(work, pictures.blocks) as encoding:
            for block in pictures.blocks:
                encoding.add(block)
        _check(encoding)
        yield from _whole(self.parts, work, pictures.request, video)


def _check(encoding: Encoding) -> None:
    """Here nothing is answered without eyes: a store that was away is waited for, a bug is told."""
    if encoding.error is not None:
        raise encoding.error


def _whole(parts: Parts, work: Work, request: Request, video: Video) -> Iterator[Out]:
    """Says that the film is complete, if it is. Of several who finish at once each may say so; it is the same message."""
    if seal(work, parts.encoding(work).has_seen) is not None:
        yield Out(FEATURES, Features(request, video.id))


@dataclass(frozen=True, slots=True)
class Watch:
    """Where a published system's memory of the video is wanted, it is made here; whatever else passes through."""

    parts: Parts
    remember: Callable[[Video], str] | None = None  # makes the memory, and gives its key; None where no checkpoint is at hand
    name: str = "watch"
    topic: str = FEATURES

    def __call__(self, delivery: Delivery) -> Iterator[Out]:
        features = decode(delivery, Features)
        with self.parts.wanted_still(features.request):
            yield Out(MEMORIES, Memories(features.request, features.video_id, self._memory(features)))

    def _memory(self, features: Features) -> str:
        if features.request.system == "signals":
            return ""
        if self.remember is None:
            raise WrongRequest("no checkpoint of Video-XL is at hand here; LONGTAKE_VIDEO_XL names one")
        return self.remember(self.parts.video(features.request, features.video_id))


@dataclass(frozen=True, slots=True)
class Tasks:
    """Everything is judged: findings one by one, then the report by claim."""

    parts: Parts
    name: str = "tasks"
    topic: str = MEMORIES

    def __call__(self, delivery: Delivery) -> Iterator[Out]:
        ready = decode(delivery, Memories)
        with self.parts.wanted_still(ready.request):
            yield from self._judge(ready)

    def _judge(self, ready: Memories) -> Iterator[Out]:
        request, store = ready.request, self.parts.store
        video = self.parts.video(request, ready.video_id)
        run = Run(workers=self.parts.workers, again=request.again)
        report = report_on(video, wish_of(request), store, self.parts.senses, beside=Beside(series=request.series), run=run)
        for finding in report.findings:
            yield Out(FINDINGS, finding_event(finding, report, video.source, request.id))
        yield Out(FINDINGS, report_event(store.blobs, report, video.source, request, ready.memory))


def report_event(blobs: Blobs, report: Report, source: str, request: Request, memory: str = "") -> ReportEvent:
    """The announcement of a report, which is put into the store first."""
    text = json.dumps(report_to_json(report, with_pictures=True), separators=(",", ":"), ensure_ascii=False)
    return ReportEvent(
        request_id=request.id, video_id=report.video_id, name=report.name, source=source, status=report.status.value,
        reason=report.reason, seconds_seen=report.coverage.seconds_seen, seconds_total=report.coverage.seconds_total,
        system=report.system, digest=report.digest, findings=len(report.findings),
        claim=claim_put(blobs, "claims/", text.encode(), JSON), uri=request.uri, memory=memory,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """Reports become rows of the result store."""

    parts: Parts
    name: str = "record"
    topic: str = FINDINGS

    def wants(self, delivery: Delivery) -> bool:
        """Not the findings one by one: their report has them."""
        return delivery.record.headers.get("ce_type") != ce_type(FindingEvent)

    def __call__(self, delivery: Delivery) -> Iterable[Out]:
        kind: type[Message] = kinds_on(delivery, FindingEvent, ReportEvent)
        if kind is ReportEvent:
            event = decode(delivery, ReportEvent)
            report = report_from_json(json.loads(_claimed(self.parts.store.blobs, event.claim)))
            self.parts.store.results.save(report, event.source)
            self.parts.book.settle(event.request_id, event.status, event.reason, event.video_id)
            logger.info("report saved request_id=%s video_id=%s findings=%d", event.request_id, event.video_id, event.findings)
        return ()


def _claimed(blobs: Blobs, claim: Claim) -> bytes:
    """Raises BadMessage where no patience would bring what was claimed."""
    try:
        return claim_get(blobs, claim)
    except KeyError:
        raise BadMessage(f"{claim.uri} is not in the store; what is claimed there is kept for some days only") from None
    except ValueError as error:
        raise BadMessage(str(error)) from error


def note_death(parts: Parts, delivery: Delivery, death: Death) -> None:
    """Whoever asked is told that nothing will come of it."""
    try:
        told = json.loads(delivery.record.value)
        asked = decode(delivery, Request) if delivery.topic == REQUESTS else Request(**told["request"])
    except (BadMessage, WrongRequest, ValueError, TypeError, KeyError, RecursionError):
        return  # it was nobody's request
    parts.note(asked, "failed", death.reason)


STAGE_TOPICS = {
    "ingest": OBJECTS, "live": STREAMS, "cut": REQUESTS, "decode": SEGMENTS, "encode": PICTURES, "watch": FEATURES, "tasks": MEMORIES,
    "record": FINDINGS,
}  # fmt: skip
STAGES = tuple(STAGE_TOPICS)  # in the order of the flow


def stage_named(name: str, parts: Parts, beside: Iterable[str], remember: Callable[[Video], str] | None = None) -> Stage:
    """The stage called `name` in a process that runs the stages `beside` as well. remember: as of `Watch`."""
    encodes = "encode" in beside
    match name:
        case "cut":
            return Cut(parts, parts.waiting if encodes else None)
        case "decode":
            return Decode(parts, encodes)
        case "encode":
            return Encode(parts)
        case "watch":
            return Watch(parts, remember)
        case "tasks":
            return Tasks(parts)
        case "record":
            return Record(parts)
    raise ValueError(f"no stage is called {name!r}; there are {', '.join(STAGES)}")

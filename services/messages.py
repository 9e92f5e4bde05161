"""What travels on the topics: frozen values with published, versioned schemas and CloudEvents headers. Knows no broker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipelines.exports.report_json import finding_to_json
from pipelines.findings import Finding, Report
from pipelines.profiles import wanted
from services.topics.base import LARGEST_BYTES, Delivery, Record

MOST_BLOCKS = 10_080  # of a minute each: a week, the longest film there is
CLOSED = ConfigDict(extra="forbid")  # a word that is misspelt is told, not passed over; `ext` is for the words of others
JSON = "application/json"
SYSTEMS = ("signals", "video-xl")
Ext = Mapping[str, Any]


class BadMessage(Exception):
    """The record is none of ours, or of a version that is not spoken here. Trying again will not help."""


class Message:
    """A value with a name, a version, a key, and a subject for those who read headers only."""

    __slots__ = ()
    kind: ClassVar[str]
    schema_version: ClassVar[int] = 1

    @property
    def key(self) -> str:
        raise NotImplementedError

    @property
    def subject(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class Claim:
    """Bytes in the blob store, named by their digest."""

    uri: str
    sha256: str
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Request(Message):
    """Please analyse this source.

    uri: `s3://bucket/key`, or `file:///...` below a folder that is allowed. version: the object's eTag; whatever lies there where
    empty. name: the file's, as reports show it. again: although the result store has the answer.
    """

    __pydantic_config__ = CLOSED
    kind: ClassVar[str] = "request"

    uri: str
    version: str = ""
    name: str = ""
    source: str = ""  # the camera or channel
    series: str = ""
    profile: str = "auto"
    tasks: tuple[str, ...] = ()  # the profile's where empty
    system: str = "signals"  # or the published system whose memory of the video is wanted as well
    again: bool = False
    ext: Ext = field(default_factory=dict)

    def __post_init__(self) -> None:
        if urlsplit(self.uri).scheme not in ("s3", "file"):
            raise ValueError(f"a source is s3://bucket/key or file:///path, not {self.uri[:200]!r}")
        for told in (self.uri, self.version, self.name, self.source, self.series):
            if len(told.encode()) > LONGEST_NAME or "\0" in told:  # a database would take neither as a key
                raise ValueError(f"a name has at most {LONGEST_NAME} bytes and none of them is 0, got {told[:100]!r}")
        wanted(self.profile, self.tasks)
        if self.system not in SYSTEMS:
            raise ValueError(f"no system is called {self.system!r}; there are {', '.join(SYSTEMS)}")
        if not self.name:
            path = urlsplit(self.uri).path if self.uri.startswith("file:") else self.uri
            object.__setattr__(self, "name", (unquote(path) if self.uri.startswith("file:") else path).rsplit("/", 1)[-1])

    @property
    def id(self) -> str:
        """The same for the same question about the same bytes."""
        asked = {name: value for name, value in asdict(self).items() if name not in ("ext", "name")}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def key(self) -> str:
        return self.uri


@dataclass(frozen=True, slots=True)
class _Stretch(Message):
    __pydantic_config__ = CLOSED

    request: Request
    video_id: str
    start: int  # the first block of BLOCK_S seconds
    stop: int  # one past the last

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= MOST_BLOCKS:
            raise ValueError(f"a stretch runs forward from 0, to {MOST_BLOCKS} at most, got [{self.start}, {self.stop})")

    @property
    def key(self) -> str:
        return f"{self.video_id}/{self.start:06d}"

    @property
    def blocks(self) -> range:
        return range(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class Segment(_Stretch):
    """A stretch of one video that is still to be decoded."""

    __pydantic_config__ = CLOSED
    kind: ClassVar[str] = "segment"


@dataclass(frozen=True, slots=True)
class Pictures(_Stretch):
    """A stretch whose pictures wait in the store for the encoder."""

    __pydantic_config__ = CLOSED
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True, slots=True)
class Features(Message):
    """All of a video is decoded and encoded, or answered before."""

    __pydantic_config__ = CLOSED
    kind: ClassVar[str] = "features"

    request: Request
    video_id: str

    @property
    def key(self) -> str:
        return self.video_id


@dataclass(frozen=True, slots=True)
class Memories(Message):
    """A video is ready to be judged. memory: the key of what the wanted system keeps of it, empty where none was wanted."""

    __pydantic_config__ = CLOSED
    kind: ClassVar[str] = "memories"

    request: Request
    video_id: str
    memory: str = ""

    @property
    def key(self) -> str:
        return self.video_id


@dataclass(frozen=True, slots=True)
class FindingEvent(Message):
    """One finding as it is known now. Times are seconds on the player's clock; ticks: of the container, null for sound only.

    type: new | update | end; a film's findings come once, as `end`. revision: counts what was said of this finding, from 1.
    state: found | corrected | rejected | withdrawn.
    """

    __pydantic_config__ = CLOSED
    kind: ClassVar[str] = "finding"

    type: Literal["new", "update", "end"]
    revision: int
    id: str
    video_id: str
    name: str
    source: str
    task: str
    finding: str  # its kind: break, spot, black ...
    start_s: float
    end_s: float
    score: float
    label: str
    state: str
    ticks: tuple[int, int] | None = None
    time_base: str = ""  # of the ticks, seconds: "1/90000"
    explanation: str = ""
    evidence: tuple[Mapping[str, Any], ...] = ()
    data: Ext = field(default_factory=dict)  # of the task
    request_id: str = ""
    ext: Ext = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.video_id


@dataclass(frozen=True, slots=True)
class ReportEvent(Message):
    """A whole answer. claim: the report as JSON. sealed: False while a live stream goes on."""

    __pydantic_config__ = CLOSED
    kind: ClassVar[str] = "report"

    request_id: str
    video_id: str
    name: str
    source: str
    status: str  # ok | empty | degraded | failed
    reason: str
    seconds_seen: float
    seconds_total: float
    system: str
    digest: str  # of the settings
    findings: int
    claim: Claim
    uri: str = ""
    memory: str = ""
    sealed: bool = True
    ext: Ext = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.video_id


@dataclass(frozen=True, slots=True)
class StreamStatus(Message):
    """How a live stream is. counts: chunks, bytes, and those that came twice, late, damaged or not at all, since it began.

    state: on air | ended. lag_s: from the producer's clock, when it had read the chunk, to this message.
    """

    __pydantic_config__ = CLOSED
    kind: ClassVar[str] = "stream-status"

    stream: str
    source: str
    state: str
    seconds_total: float
    seconds_seen: float
    lag_s: float | None
    findings: int
    counts: Mapping[str, int]
    at: str  # RFC 3339
    ext: Ext = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.stream


M = TypeVar("M", bound=Message)
KINDS: Mapping[str, type[Message]] = {
    message.kind: message for message in (Request, Segment, Pictures, Features, Memories, FindingEvent, ReportEvent, StreamStatus)
}
LONGEST_NAME = 1200  # bytes; S3 allows keys of 1024, PostgreSQL's indices 2704 for uri and version together
SCHEMAS = Path(__file__).with_name("schemas")


_adapters: dict[type[Message], TypeAdapter[Any]] = {}


def _adapter(message: type[Message]) -> TypeAdapter[Any]:
    return _adapters.get(message) or _adapters.setdefault(message, TypeAdapter(message))


def ce_type(message: Message | type[Message]) -> str:
    return f"longtake.{message.kind}.v{message.schema_version}"


def schema(message: type[Message]) -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of one kind of message."""
    name = f"{message.kind}-{message.schema_version}.0"
    told = _adapter(message).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:longtake:schema:{name}", **told}


def encode(message: Message, stage: str, passed_on: Mapping[str, str] | None = None) -> Record:
    """The record of a message. passed_on: headers of the one it answers, of which the trace goes on.

    CloudEvents 1.0, Kafka protocol binding, binary mode: the value is plain JSON. ce_id is a digest of what is said, so that saying
    it twice is the same event.
    """
    value = _adapter(type(message)).dump_json(message)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = {
        "ce_specversion": "1.0",
        "ce_id": hashlib.sha256(ce_type(message).encode() + b"\n" + value).hexdigest()[:32],
        "ce_source": f"/longtake/{stage}",
        "ce_type": ce_type(message),
        "ce_time": now,
        "ce_subject": message.subject,
        "ce_dataschema": f"urn:longtake:schema:{message.kind}-{message.schema_version}.0",
        "content-type": JSON,
    }
    trace = {name: passed_on[name] for name in ("traceparent", "tracestate") if passed_on and name in passed_on}
    return Record(message.key, value, headers | trace)


def decode(delivery: Delivery, expected: type[M]) -> M:
    """The message of a delivery. A record without CloudEvents headers counts as the first version of what its topic carries.

    Raises BadMessage with a sentence.
    """
    said = delivery.record.headers.get("ce_type", f"longtake.{expected.kind}.v1")
    if said != ce_type(expected):
        raise BadMessage(f"this topic carries {ce_type(expected)}, not {said[:100]!r}{_newer(said, expected)}")
    if len(delivery.record.value) > LARGEST_BYTES:
        raise BadMessage(f"{delivery.topic} takes values of up to {LARGEST_BYTES} bytes, got {len(delivery.record.value)}")
    try:
        message: M = _adapter(expected).validate_json(delivery.record.value)
        return message
    except ValidationError as error:
        raise BadMessage(_sentence(error)) from error


def _newer(said: str, expected: type[Message]) -> str:
    other = said.removeprefix(f"longtake.{expected.kind}.v")
    return "; it was written for a newer Longtake" if other.isdigit() and int(other) > expected.schema_version else ""


def _sentence(error: ValidationError) -> str:
    """Where the value differs from its schema, without quoting much of what a stranger wrote."""
    first, *more = error.errors(include_url=False, include_input=False)
    where = ".".join(map(str, first["loc"])) or "the value"
    rest = f", and {len(more)} more" if more else ""
    return f"{where}: {first['msg'].removeprefix('Value error, ')[:300]}{rest}"


def kinds_on(delivery: Delivery, *expected: type[Message]) -> type[Message]:
    """Which of several kinds a record says it is. Raises BadMessage."""
    said = delivery.record.headers.get("ce_type", "")
    found = next((message for message in expected if ce_type(message) == said), None)
    if found is None:
        raise BadMessage(f"this topic carries {' or '.join(map(ce_type, expected))}, not {said[:100]!r}")
    return found


def finding_event(finding: Finding, report: Report, source: str, request_id: str) -> FindingEvent:
    """One finding of a film's report."""
    clock, told = report.clock, finding_to_json(finding)
    event = FindingEvent(
        type="end", revision=finding.revision + 1, id=finding.id, video_id=report.video_id, name=report.name, source=source,
        task=finding.task, finding=finding.kind, start_s=finding.span.start_s, end_s=finding.span.end_s, score=finding.score,
        label=finding.label, state=finding.state, ticks=finding.ticks, time_base=str(clock.time_base) if clock and finding.ticks else "",
        explanation=finding.explanation, evidence=tuple(told["evidence"]), data=told["data"], request_id=request_id,
    )  # fmt: skip
    if len(_adapter(FindingEvent).dump_json(event)) <= LARGEST_BYTES:
        return event
    return replace(event, evidence=(), data={}, ext={"left_out": "evidence and data: the report has them"})

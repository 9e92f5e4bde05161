"""Messages that nobody can work on, of every kind, and what is said of each. Put by a plain producer, as a stranger would."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafka import KafkaProducer

from services.messages import Features, ReportEvent, Segment, ce_type
from services.stages import FEATURES, FINDINGS, OBJECTS, REQUESTS, SEGMENTS

if TYPE_CHECKING:
    from tests.chaos.field import Field

ZEROS = "0" * 64


@dataclass(frozen=True)
class Poison:
    """mark: a text of this message and no other; reason: a text of what must be said of it."""

    mark: str
    reason: str
    topic: str
    value: bytes | None
    key: bytes | None = b""
    headers: tuple[tuple[str, bytes], ...] = ()


def send(kinds: Iterable[Poison], servers: str) -> None:
    with closing(KafkaProducer(bootstrap_servers=servers)) as producer:
        for sent in [producer.send(kind.topic, kind.value, kind.key, list(kind.headers)) for kind in kinds]:
            sent.get(60)


def poison(field: Field) -> list[Poison]:
    """All kinds; each carries the bucket's name and its own number."""
    return [
        Poison(mark, reason, topic, value, key, headers)
        for number, make in enumerate(_kinds(field))
        for mark in [f"{field.settings.bucket}-poison-{number:02d}"]
        for reason, topic, value, key, headers in [_filled(mark, *make)]
    ]


Kind = tuple[str, str, Any, Any, dict[str, str]]


def _filled(mark: str, reason: str, topic: str, value: Any, key: Any, headers: dict[str, str]) -> Any:
    """The record: texts may hold MARK; values that are no bytes are written as JSON."""
    data = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    told = tuple((name, text.encode().replace(b"MARK", mark.encode())) for name, text in headers.items())
    return (
        reason, topic, data and data.replace(b"MARK", mark.encode()), key if key is None else key.replace(b"MARK", mark.encode()), told,
    )  # fmt: skip


def _kinds(field: Field) -> Iterator[Kind]:
    """(what is said, topic, value, key, headers)"""
    bucket = field.settings.bucket
    film = f"s3://{bucket}/incoming/MARK.mp4"
    request = {"uri": film}

    def of(kind: Any) -> dict[str, str]:
        return {"ce_type": ce_type(kind)}

    # Requests: the value.
    yield "JSON", REQUESTS, b"not JSON: MARK", b"k", {}
    yield "JSON", REQUESTS, b"\xff\xfe\x00", b"MARK", {}
    yield "JSON", REQUESTS, b"", b"MARK", {}
    yield "JSON", REQUESTS, None, b"MARK", {}
    yield "JSON", REQUESTS, b"[" * 60_000, b"MARK", {}
    yield "", REQUESTS, ["MARK"], b"k", {}
    yield "uri: Field required", REQUESTS, {"name": "MARK"}, b"k", {}
    yield "colour: Unexpected keyword argument", REQUESTS, request | {"colour": "red"}, b"k", {}
    yield "not there", REQUESTS, request, None, {}
    yield "not there", REQUESTS, request, b"\xff\x00\xfe", {}
    yield "takes values of up to", REQUESTS, request | {"ext": {"x": "x" * 100_000}}, b"k", {}
    # Requests: the type.
    yield "written for a newer Longtake", REQUESTS, request, b"k", {"ce_type": "longtake.request.v9"}
    yield "this topic carries longtake.request.v1", REQUESTS, request, b"k", {"ce_type": "org.example.order"}
    yield "this topic carries longtake.request.v1", REQUESTS, request, b"k", of(Features)
    yield "not there", REQUESTS, request, b"k", {"ce_id": "x" * 9000}
    # Requests: what they ask for.
    yield "a source is s3://", REQUESTS, {"uri": "http://127.0.0.1/MARK.mp4"}, b"k", {}
    yield "LONGTAKE_ROOTS", REQUESTS, {"uri": "file:///etc/passwd", "name": "MARK"}, b"k", {}
    yield "LONGTAKE_ROOTS", REQUESTS, {"uri": "file:///tmp/../etc/passwd", "name": "MARK"}, b"k", {}
    yield "not the path of a file", REQUESTS, {"uri": "file:///%00", "name": "MARK"}, b"k", {}
    yield "not among those", REQUESTS, {"uri": "s3://other-bucket/MARK.mp4"}, b"k", {}
    yield "leads out of the store", REQUESTS, {"uri": f"s3://{bucket}/incoming/../../MARK.mp4"}, b"k", {}
    yield "leads out of the store", REQUESTS, {"uri": f"s3://{bucket}", "name": "MARK"}, b"k", {}
    yield "none of them is 0", REQUESTS, {"uri": film + "\0"}, b"k", {}
    yield "at most", REQUESTS, {"uri": film + "/x" * 2000}, b"k", {}
    yield "no profile", REQUESTS, request | {"profile": "nonsense"}, b"k", {}
    yield "no system", REQUESTS, request | {"system": "nonsense"}, b"k", {}
    # Topics between stages.
    yield "a stretch runs forward", SEGMENTS, _segment(request, 0, 1 << 40), b"k", of(Segment)
    yield "a stretch runs forward", SEGMENTS, _segment(request, 3, 3), b"k", of(Segment)
    yield "not there", SEGMENTS, _segment(request, 0, 1), b"k", of(Segment)
    yield "request", FEATURES, {"video_id": "MARK"}, b"k", of(Features)
    # Findings: claims.
    yield "this topic carries", FINDINGS, {"id": "MARK"}, b"k", {}
    yield "is damaged", FINDINGS, _report(_claim(field)), b"k", of(ReportEvent)
    yield "not in the store", FINDINGS, _report("claims/" + ZEROS), b"k", of(ReportEvent)
    yield "leads out of the store", FINDINGS, _report("../../etc/passwd"), b"k", of(ReportEvent)
    # Events of buckets.
    yield "no bucket notification", OBJECTS, b"[" * 60_000, b"MARK", {}
    yield "no bucket notification", OBJECTS, ["MARK"], b"k", {}
    yield "no bucket notification", OBJECTS, {"Records": [{"eventName": "s3:ObjectCreated:Put", "MARK": 1}]}, b"k", {}


def _segment(request: dict[str, str], start: int, stop: int) -> dict[str, Any]:
    return {"request": request, "video_id": ZEROS, "start": start, "stop": stop}


def _claim(field: Field) -> str:
    """Where something lies, though not what is claimed."""
    from services.app import MEASURED, open_bucket

    open_bucket(field.settings, field.settings.bucket, MEASURED).put("claims/other", b"other bytes")
    return "claims/other"


def _report(uri: str) -> dict[str, Any]:
    claim = {"uri": uri, "sha256": ZEROS, "size": 1, "content_type": "application/json"}
    numbers = dict.fromkeys(("seconds_seen", "seconds_total", "findings"), 1)
    texts = dict.fromkeys(("name", "source", "reason", "system", "digest"), "")
    return {"request_id": "MARK", "video_id": ZEROS, "status": "ok", "claim": claim} | numbers | texts

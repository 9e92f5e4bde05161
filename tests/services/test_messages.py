"""What travels on the topics keeps its word: published schemas, CloudEvents headers, deterministic ids."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from services.messages import (
    KINDS,
    SCHEMAS,
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
    encode,
    schema,
)
from services.topics.base import Delivery, Record

REQUEST = Request("s3://films/a b/é.mp4", "etag", profile="film", tasks=("shots",), ext={"ours": 1})
MESSAGES: list[Message] = [
    REQUEST,
    Segment(REQUEST, "v" * 64, 0, 10),
    Pictures(REQUEST, "v" * 64, 10, 12),
    Features(REQUEST, "v" * 64),
    Memories(REQUEST, "v" * 64, "m" * 64),
    FindingEvent("new", 1, "f", "v", "a.mp4", "camera", "ads", "spot", 1.0, 2.5, 0.9, "a spot", "found", (10, 25), "1/10"),
    ReportEvent("r", "v", "a.mp4", "v", "ok", "", 10.0, 10.0, "signals", "d", 3, Claim("claims/x", "x", 3, "application/json")),
]


def delivered(record: Record) -> Delivery:
    return Delivery("t", 0, 0, 0, record)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.kind)
def test_a_message_comes_back_as_it_went_and_fits_its_published_schema(message: Message):
    record = encode(message, "test")

    assert decode(delivered(record), type(message)) == message
    jsonschema.validate(json.loads(record.value), published(type(message)), cls=jsonschema.Draft202012Validator)


def published(message: type[Message]) -> Any:
    return json.loads((SCHEMAS / f"{message.kind}-{message.schema_version}.0.schema.json").read_text("utf-8"))


@pytest.mark.parametrize("message", KINDS.values(), ids=lambda m: m.kind)
def test_published_schemas_are_those_of_the_code_and_closed(message: type[Message]):
    """After a change that readers of the same version still understand: python -m services.publish; else raise schema_version."""
    told = published(message)

    assert told == schema(message)
    assert told["additionalProperties"] is False
    assert told["$id"] == f"urn:longtake:schema:{message.kind}-{message.schema_version}.0"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.kind)
def test_what_was_required_and_allowed_stays_so_within_a_version(message: Message):
    """A reader of this version must understand every writer of it: what may be left out has a default, and nothing new is required."""
    told = published(type(message))
    least = {name: value for name, value in json.loads(encode(message, "test").value).items() if name in told.get("required", [])}

    decode(delivered(Record("k", json.dumps(least).encode())), type(message))


def test_headers_are_those_of_cloudevents_and_the_trace_goes_on():
    came = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "other": "x"}
    headers = encode(REQUEST, "cut", came).headers

    assert headers["ce_specversion"] == "1.0"
    assert (headers["ce_type"], headers["ce_source"], headers["ce_subject"]) == ("longtake.request.v1", "/longtake/cut", REQUEST.uri)
    assert headers["ce_time"].endswith("Z")
    assert headers["content-type"] == "application/json"
    assert headers["traceparent"] == came["traceparent"]
    assert "other" not in headers


def test_ids_follow_from_what_is_said():
    again = Request("s3://films/a b/é.mp4", "etag", profile="film", tasks=("shots",), ext={"ours": 1})

    assert encode(again, "a").headers["ce_id"] == encode(REQUEST, "b").headers["ce_id"]
    assert again.id == REQUEST.id == Request("s3://films/a b/é.mp4", "etag", profile="film", tasks=("shots",)).id
    assert Request("s3://films/a b/é.mp4", "other", profile="film", tasks=("shots",)).id != REQUEST.id


def test_plain_json_without_headers_is_a_request_of_the_first_version():
    request = decode(delivered(Record("", b'{"uri": "s3://films/a.mp4"}')), Request)

    assert (request.name, request.profile, request.system) == ("a.mp4", "auto", "signals")


@pytest.mark.parametrize(
    ("value", "headers", "told"),
    [
        (b"", {}, "Invalid JSON"),
        (b"[]", {}, "the value"),
        (b"{}", {}, "uri: Field required"),
        (b'{"uri": "http://10.0.0.1/x"}', {}, "a source is s3://bucket/key or file:///path"),
        (b'{"uri": "s3://a/b", "taks": ["ads"]}', {}, "taks: Unexpected keyword argument"),
        (b'{"uri": "s3://a/b", "tasks": ["nothing"]}', {}, "no task is called nothing"),
        (b'{"uri": "s3://a/b", "profile": "x"}', {}, "no profile is called 'x'"),
        (b'{"uri": "s3://a/b", "system": "x"}', {}, "no system is called 'x'"),
        (b'{"uri": "s3://a/b"}', {"ce_type": "longtake.request.v2"}, "written for a newer Longtake"),
        (b'{"uri": "s3://a/b"}', {"ce_type": "someone.else"}, "this topic carries longtake.request.v1, not 'someone.else'"),
    ],
)
def test_what_is_no_request_is_told_in_a_sentence(value: bytes, headers: dict[str, str], told: str):
    with pytest.raises(BadMessage, match=re.escape(told)):
        decode(delivered(Record("k", value, headers)), Request)


def test_names_of_types_say_kind_and_version():
    assert sorted(map(ce_type, KINDS.values()))[0] == "longtake.features.v1"

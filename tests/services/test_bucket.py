"""Bucket notifications become requests, each version of an object once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.ledger import Ledger
from services.ingest.bucket import Bucket, Ingest, Put, is_film, puts_in
from services.messages import BadMessage, Request
from services.topics.base import Delivery, Record


def event(
    key: str, etag: str = "e1", sequencer: str = "17AA", *, bucket: str = "films", name: str = "s3:ObjectCreated:Put"
) -> dict[str, Any]:
    thing = {"key": key, "size": 10, "eTag": etag, "sequencer": sequencer}
    return {"eventName": name, "s3": {"bucket": {"name": bucket}, "object": thing}}


def told(*events: dict[str, Any]) -> Delivery:
    value = {"EventName": events[0]["eventName"], "Key": "videos/x", "Records": list(events)}
    return Delivery("longtake.objects", 0, 0, 0, Record("k", json.dumps(value).encode()))


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    ledger = Ledger(DatabaseResults(f"sqlite:///{tmp_path}/findings.db"))
    return Ingest(Bucket(FolderBlobs(tmp_path), "incoming/", lambda key: f"s3://films/{key}", "films"), ledger)


def asked(outs: Iterator[Any]) -> list[tuple[str, str]]:
    return [(out.message.uri, out.message.version) for out in outs if isinstance(out.message, Request)]


def test_keys_come_decoded_and_multipart_completions_count(ingest: Ingest):
    whole = event("incoming%2Fmy+film+%C3%A9.mp4")
    parts = event("incoming%2Fparts.mkv", "e2-7", name="s3:ObjectCreated:CompleteMultipartUpload")
    plain = event("incoming/aws+style.mp4", "e3", name="ObjectCreated:Copy")

    assert asked(ingest(told(whole, parts, plain))) == [
        ("s3://films/incoming/my film é.mp4", "e1"),
        ("s3://films/incoming/parts.mkv", "e2-7"),
        ("s3://films/incoming/aws style.mp4", "e3"),
    ]


def test_an_event_that_comes_twice_asks_once_and_a_new_version_asks_again(ingest: Ingest):
    first = told(event("incoming/a.mp4"))

    assert asked(ingest(first)) == [("s3://films/incoming/a.mp4", "e1")]
    assert asked(ingest(first)) == []
    assert asked(ingest(told(event("incoming/a.mp4", "e2", "17AB")))) == [("s3://films/incoming/a.mp4", "e2")]


def test_a_crash_between_asking_and_noting_asks_again(ingest: Ingest):
    outs = ingest(told(event("incoming/a.mp4")))
    next(outs)  # sent; the process ends here
    outs.close()

    assert asked(ingest(told(event("incoming/a.mp4")))) == [("s3://films/incoming/a.mp4", "e1")]


def test_other_buckets_own_prefixes_and_what_is_no_film_are_passed_over(ingest: Ingest):
    events = [
        event("incoming/a.mp4", bucket="other"), event("measured/series/a.npz"), event("incoming/notes.txt"), event("incoming/poster.jpg"),
        event("incoming/film.mp4.part"), event("incoming/.hidden.mp4"), event("incoming/a.mp4", name="s3:ObjectRemoved:Delete"),
    ]  # fmt: skip

    assert asked(ingest(told(*events))) == []


@pytest.mark.parametrize("value", [b"", b"[]", b'{"Records": 7}', b'{"Records": [{"eventName": "s3:ObjectCreated:Put"}]}', b"\xff"])
def test_what_is_no_notification_is_told_in_a_sentence(value: bytes):
    with pytest.raises(BadMessage, match="no bucket notification"):
        puts_in(value)


def test_a_test_event_holds_nothing():
    assert puts_in(b'{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "films"}') == []
    assert puts_in(json.dumps({"Records": [event("a.mp4")]}).encode()) == [Put("films", "a.mp4", "e1", 10, "17AA")]


@pytest.mark.parametrize(
    ("key", "is_one"), [("a.mp4", True), ("a", True), ("a.ts", True), ("x/y z.MKV", True), ("a.srt", False), ("a/", False)]
)
def test_what_may_be_a_film_is_told_by_its_name(key: str, is_one: bool):
    assert is_film(key, 1) is is_one
    assert not is_film(key, 0)

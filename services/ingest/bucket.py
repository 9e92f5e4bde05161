"""Films that are put into a bucket (or a folder) become requests: by the store's own events, and by listing what no event told of."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from pipelines.interfaces import Blobs
from pipelines.stores.ledger import Ledger
from services.messages import BadMessage, Request
from services.topics.base import Delivery
from services.worker import Out

logger = logging.getLogger(__name__)
REQUESTS, OBJECTS = "longtake.requests", "longtake.objects"
NO_FILMS = (  # by suffix: what systems say of a suffix differs, and some take .ts for a text
    ".part", ".tmp", ".crdownload", ".srt", ".vtt", ".ass", ".ssa", ".nfo", ".edl", ".sha256", ".md5", ".txt", ".json", ".xml", ".csv",
    ".jpg", ".jpeg", ".png", ".webp", ".html", ".md", ".pdf", ".zip", ".tar", ".gz", ".yaml", ".yml", ".log", ".db", ".npz",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Put:
    """An object that was put somewhere. version: its eTag; sequencer: orders what happened to one key, empty where unknown."""

    bucket: str
    key: str
    version: str
    size: int
    sequencer: str = ""

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def puts_in(value: bytes) -> list[Put]:
    """The objects that a bucket notification says were created, MinIO's or another S3 store's. Raises BadMessage."""
    try:
        told = json.loads(value)
        records = told.get("Records") or []
        return [_put(record["s3"]) for record in records if "ObjectCreated:" in record["eventName"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadMessage(f"this is no bucket notification: {type(error).__name__} {str(error)[:200]}") from error


def _put(s3: dict[str, Any]) -> Put:
    """Keys come URL-encoded, blanks as plus signs."""
    thing = s3["object"]
    key = unquote_plus(thing["key"])
    return Put(s3["bucket"]["name"], key, thing.get("eTag", "").strip('"'), int(thing.get("size", 0)), thing.get("sequencer", ""))


def is_film(key: str, size: int) -> bool:
    """Whether it may be one: neither empty, nor hidden, nor of a kind that never is. What is in it is found out by reading it."""
    name = key.rsplit("/", 1)[-1]
    return bool(size and name) and not name.startswith(".") and not name.casefold().endswith(NO_FILMS)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where films are dropped: `prefix` of a store whose objects have these URIs. name: the bucket's, empty for a folder."""

    films: Blobs
    prefix: str
    uri: Callable[[str], str]
    name: str = ""
    settled_s: float = 0.0  # what was written to later than so long ago may still be growing; objects appear whole

    def there(self) -> Iterator[Put]:
        """All films that lie there now."""
        latest = time.time() - self.settled_s
        for stored in self.films.stored(self.prefix):
            if is_film(stored.key, stored.size) and stored.changed_at <= latest:
                yield Put(self.name, stored.key, stored.version, stored.size)


@dataclass(frozen=True, slots=True)
class Ingest:
    """The stage that turns bucket notifications into requests, each object version once."""

    bucket: Bucket
    ledger: Ledger
    name: str = "ingest"
    topic: str = OBJECTS

    def __call__(self, delivery: Delivery) -> Iterator[Out]:
        puts = [put for put in puts_in(delivery.record.value) if self._is_ours(put)]
        known = self.ledger.known([put.uri for put in puts])
        for put in puts:
            if known.get(put.uri) != put.version:
                yield from asked(put, put.uri, self.ledger)

    def _is_ours(self, put: Put) -> bool:
        return put.bucket == self.bucket.name and put.key.startswith(self.bucket.prefix) and is_film(put.key, put.size)


def reconciled(bucket: Bucket, ledger: Ledger) -> Iterator[Out]:
    """Requests for what lies there and no event told of."""
    for some in _batches(bucket.there(), 500):
        known = ledger.known([bucket.uri(put.key) for put in some])
        for put in some:
            if known.get(uri := bucket.uri(put.key)) != put.version:
                logger.info("found by listing uri=%s", uri)
                yield from asked(put, uri, ledger)


def asked(put: Put, uri: str, ledger: Ledger) -> Iterator[Out]:
    """The request for one object; noted once it is sent, so that a crash between the two asks twice rather than never."""
    request = Request(uri, put.version)
    yield Out(REQUESTS, request)
    ledger.met(uri, put.version, put.sequencer, request.id)


def _batches(puts: Iterable[Put], size: int) -> Iterator[list[Put]]:
    batch: list[Put] = []
    for put in puts:
        batch.append(put)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch

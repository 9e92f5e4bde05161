"""Blobs in a bucket of MinIO or any other S3-compatible store. Knows the protocol, nothing of what the blobs are."""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any, cast
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3.util import Retry, Timeout

from pipelines.interfaces import FilmChanged, Stored, StoreUnavailable, Stream
from pipelines.stores.keys import checked
from pipelines.stores.ranged import StoredFilm

PART_BYTES = 16 << 20  # of a stream: at most 10,000 parts make an object, so up to 160 GB
REREADS = 2  # of an answer that broke off in the middle
DIGEST, WRITER = "x-amz-meta-sha256", "x-amz-meta-longtake-put"
REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")
BROKEN = (urllib3.exceptions.HTTPError, MinioException, ParseError, OSError)


@dataclass(frozen=True, slots=True)
class MinioBlobs:
    """A part of a bucket. Travels to other processes as what it says here; connections are made where they are used.

    endpoint: `http://host:port` or `https://host`. prefix: of all keys, empty or ending with `/`. ca_file: PEM certificates to trust in
    place of the usual ones. connect_s, read_s: how long one try may take; with `retries` more an outage is told within seconds.
    What `put` and `put_new` keep carries its SHA-256 and is verified when it is read whole. Parts of a stream are verified as they go up.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    region: str = "us-east-1"
    ca_file: str = ""
    connect_s: float = 2.0
    read_s: float = 10.0
    retries: int = 3

    def __post_init__(self) -> None:
        if urlsplit(self.endpoint).scheme not in ("http", "https") or urlsplit(self.endpoint).path.strip("/"):
            raise ValueError(f"an object store's endpoint is http://host:port or https://host:port, got {self.endpoint!r}")
        if self.prefix and not self.prefix.endswith("/"):
            raise ValueError(f"a prefix in a bucket ends with /, got {self.prefix!r}")

    def put(self, key: str, data: bytes) -> None:
        with self.told(key):
            self._put(key, data, {})

    def put_new(self, key: str, data: bytes) -> bool:
        writer = uuid.uuid4().hex
        with self.told(key):
            try:
                self._put(key, data, {"If-None-Match": "*", WRITER: writer})
            except S3Error as error:
                if error.code != "PreconditionFailed":
                    raise
                # The answer to a first try may have been lost: then what lies there is ours.
                return bool((self._head(key).metadata or {}).get(WRITER) == writer)
        return True

    def put_stream(self, key: str, stream: Stream) -> Stored:
        first = _filled(stream, PART_BYTES)
        with self.told(key):
            if len(first) < PART_BYTES:
                self._put(key, first, {})
            else:  # one part after the other, so that memory stays flat; where it breaks off, the client takes the upload back
                rest = cast(Any, _Chained(first, stream))
                self._client.put_object(self.bucket, self._name(key), rest, -1, part_size=PART_BYTES, num_parallel_uploads=1)
        return self.stat(key)

    def get(self, key: str) -> bytes:
        with self.told(key):
            data, headers = self._read(key, 0, 0, {})
        told = headers.get(DIGEST)
        if told is not None and hashlib.sha256(data).hexdigest() != told:
            raise StoreUnavailable(f"{self._where(key)} is damaged: its bytes are not those that were put there")
        return data

    def stat(self, key: str) -> Stored:
        with self.told(key):
            found = self._head(key)
        assert found.size is not None and found.etag is not None
        return Stored(key, found.size, found.etag, found.last_modified.timestamp() if found.last_modified else 0.0)

    def open(self, key: str) -> StoredFilm:
        return StoredFilm(self, self.stat(key))

    def read_range(self, stored: Stored, start: int, length: int) -> bytes:
        try:
            with self.told(stored.key):
                data, _ = self._read(stored.key, start, length, {"If-Match": f'"{stored.version}"'})
        except KeyError:
            raise FilmChanged(f"{self._where(stored.key)} was deleted while it was read") from None
        if len(data) != length:
            raise StoreUnavailable(f"{self.endpoint} gave {len(data)} bytes of {self._where(stored.key)} where {length} were asked for")
        return data

    def keys(self, prefix: str) -> Iterator[str]:
        return (stored.key for stored in self.stored(prefix))

    def stored(self, prefix: str) -> Iterator[Stored]:
        with self.told(prefix):
            for found in self._client.list_objects(self.bucket, self.prefix + prefix, recursive=True):
                changed_at = found.last_modified.timestamp() if found.last_modified else 0.0
                yield Stored(cast(str, found.object_name).removeprefix(self.prefix), found.size or 0, found.etag or "", changed_at)

    def delete(self, key: str) -> None:
        with self.told(key):
            self._client.remove_object(self.bucket, self._name(key))

    @property
    def _client(self) -> Minio:
        return client_of(self)

    def _name(self, key: str) -> str:
        return self.prefix + checked(key)

    def _where(self, key: str) -> str:
        return f"{self.bucket}/{self.prefix}{key} at {self.endpoint}"

    def _put(self, key: str, data: bytes, headers: dict[str, str]) -> None:
        # `put_object` would turn If-None-Match into a word about the object; this is the request that it makes.
        told = {"Content-Type": "application/octet-stream", DIGEST: hashlib.sha256(data).hexdigest()} | headers
        self._client._put_object(self.bucket, self._name(key), data, cast(Any, told))

    def _head(self, key: str) -> Object:
        try:
            return self._client.stat_object(self.bucket, self._name(key))
        except S3Error as error:  # the answer has no words: of a missing bucket it is the same
            if error.code == "NoSuchKey" and not self._client.bucket_exists(self.bucket):
                raise error.copy("NoSuchBucket", "") from error
            raise

    def _read(self, key: str, start: int, length: int, headers: dict[str, str]) -> tuple[bytes, Any]:
        """The bytes (to the end where `length` is 0) and the answer's headers; asked for again where the answer breaks off."""
        for tried in count():
            answer = self._client.get_object(self.bucket, self._name(key), start, length, cast(Any, headers))
            try:
                return answer.read(), answer.headers
            except urllib3.exceptions.HTTPError:
                if tried == REREADS:
                    raise
            finally:
                answer.close()
                answer.release_conn()
        raise AssertionError("counting ends nowhere")

    @contextmanager
    def told(self, key: str) -> Iterator[None]:
        """What can go wrong, in this program's words: KeyError, FilmChanged, StoreUnavailable. No secret is in any of them."""
        try:
            yield
        except S3Error as error:
            if error.code in ("NoSuchKey", "NoSuchVersion"):
                raise KeyError(key) from None
            if error.code == "PreconditionFailed":
                raise FilmChanged(f"{self._where(key)} was replaced by a newer upload while it was read") from None
            raise StoreUnavailable(self._sentence(error)) from error
        except BROKEN as error:
            raise StoreUnavailable(f"the object store {self.endpoint} does not answer: {_reason(error)}") from error

    def _sentence(self, error: S3Error) -> str:
        if error.code in REFUSED:
            return f"the object store {self.endpoint} refuses this access to the bucket {self.bucket!r}: check the keys and their policy"
        if error.code == "NoSuchBucket":
            return f"the object store {self.endpoint} has no bucket {self.bucket!r}; make it, or check the name"
        return f"the object store {self.endpoint} cannot do this now: {error.message or error.code}"


class _Chained:
    """What was read of a stream already, then the rest of it."""

    def __init__(self, first: bytes, rest: Stream) -> None:
        self._first, self._rest = io.BytesIO(first), rest

    def read(self, size: int) -> bytes:
        return self._first.read(size) or self._rest.read(size)


def _filled(stream: Stream, size: int) -> bytes:
    """The next `size` bytes, fewer at the stream's end."""
    parts, wanted = [], size
    while wanted and (part := stream.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


@lru_cache(maxsize=8)
def client_of(store: MinioBlobs) -> Minio:
    """One for each store and process; its connections are shared by all threads."""
    retries = Retry(store.retries, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504))
    limits = Timeout(connect=store.connect_s, read=store.read_s)
    pool = urllib3.PoolManager(timeout=limits, retries=retries, maxsize=16, ca_certs=store.ca_file or certifi.where())
    at = urlsplit(store.endpoint)
    return Minio(
        at.netloc, store.access_key or None, store.secret_key or None, secure=at.scheme == "https", region=store.region, http_client=pool
    )


def _reason(error: Exception) -> str:
    """The innermost words: urllib3 wraps a refused connection three times, with the address of an object each time."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, Exception):
        return _reason(inner)
    if isinstance(error, InvalidResponseError):
        return "what is there does not speak S3"
    words = str(error).rpartition(": ")[2].splitlines() or [type(error).__name__]
    return re.sub(r"^\[Errno -?\d+\] ", "", words[0])

"""Live chunks on `longtake.streams`: how one is written there and read, and the producer that makes them of a source."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import av
from av.container import InputContainer

from pipelines.containers import opened
from pipelines.interfaces import Blobs, StoreUnavailable, UnreadableVideo, WrongRequest
from pipelines.live.chunks import Chunk
from pipelines.live.cutting import AGAIN_S, CHUNK_S, Feed, cut
from services.blobs.claims import claim_get, claim_put
from services.messages import JSON, BadMessage, Claim
from services.topics.base import BrokerUnavailable, Delivery, Record, Topics

logger = logging.getLogger(__name__)
STREAMS = "longtake.streams"
LARGEST_CHUNK = 4 << 20  # bytes on the topic; larger chunks go by claim
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0  # between two connections
SILENT_S = 15.0  # without a byte from the source until the connection counts as lost
CE_TYPE = "longtake.chunk.v1"
CLAIMED = "longtake-claim"


def chunk_record(chunk: Chunk, blobs: Blobs | None, largest: int = LARGEST_CHUNK) -> Record:
    """The record of a chunk. Larger than `largest`, its bytes go into `blobs`. Raises StoreUnavailable, WrongRequest without a store."""
    value, claim = chunk.data, {}
    if len(value) > largest:
        if blobs is None:
            raise WrongRequest(
                f"a chunk has {len(value) / 1e6:.1f} MB, the topic takes {largest / 1e6:.1f}: name a store for what is larger "
                "(LONGTAKE_S3 or LONGTAKE_FOLDER), or take a smaller --chunk-s"
            )
        value, claim = json.dumps(asdict(claim_put(blobs, "claims/", value, chunk.content_type))).encode(), {CLAIMED: "1"}
    headers = {
        "ce_specversion": "1.0",
        "ce_id": hashlib.sha256(f"{chunk.stream}\n{chunk.run}\n{chunk.sequence}".encode()).hexdigest()[:32],
        "ce_source": "/longtake/push",
        "ce_type": CE_TYPE,
        "ce_time": chunk.wall_clock,
        "ce_subject": chunk.stream,
        "content-type": JSON if claim else chunk.content_type,
        "longtake-run": chunk.run,
        "longtake-sequence": str(chunk.sequence),
        "longtake-start-tick": str(chunk.start_tick),
        "longtake-end-tick": str(chunk.end_tick),
        "longtake-time-base": str(chunk.time_base),
    }
    told = {
        "longtake-origin-us": "" if chunk.origin_us is None else str(chunk.origin_us),
        "longtake-source": chunk.source,
        "longtake-profile": chunk.profile,
        "longtake-last": "1" if chunk.is_last else "",
    }
    return Record(chunk.stream, value, headers | {name: text for name, text in told.items() if text} | claim)


def chunk_of(delivery: Delivery, blobs: Blobs) -> Chunk:
    """The chunk of a delivery. Raises BadMessage, StoreUnavailable, KeyError where the bytes claimed are gone."""
    record, said = delivery.record, delivery.record.headers
    if (kind := said.get("ce_type", CE_TYPE)) != CE_TYPE:
        raise BadMessage(f"this topic carries {CE_TYPE}, not {kind[:100]!r}")
    try:
        claim = Claim(**json.loads(record.value)) if said.get(CLAIMED) else None
        origin = said.get("longtake-origin-us")
        chunk = Chunk(
            record.key, said["longtake-run"], int(said["longtake-sequence"]), record.value,
            claim.content_type if claim else said.get("content-type", ""), int(said.get("longtake-start-tick", 0)),
            int(said.get("longtake-end-tick", said.get("longtake-start-tick", 0))), Fraction(said.get("longtake-time-base", "1/90000")),
            int(origin) if origin else None, said.get("ce_time", ""), said.get("longtake-source", ""),
            said.get("longtake-profile", ""), said.get("longtake-last") == "1",
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise BadMessage(f"a chunk's headers say its run, sequence, ticks and time base; here {error} is wrong or missing") from error
    return replace(chunk, data=claim_get(blobs, claim)) if claim else chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What to send, and how. pace: as fast as life where True (a file); network sources come so by themselves."""

    source: str
    name: str = ""
    pace: bool = False
    chunk_s: float = CHUNK_S
    largest: int = LARGEST_CHUNK
    give_up_s: float = 300.0  # without a chunk, all connections together
    channel: str = ""
    profile: str = "broadcast"

    @property
    def is_file(self) -> bool:
        return "://" not in self.source

    @property
    def stream(self) -> str:
        """The stream's id: the name given, else one made of the source, without what is secret in it."""
        made = self.name or (Path(self.source).stem if self.is_file else told_source(self.source))
        return re.sub(r"[^\w.-]+", "-", made).strip("-")[:120] or "stream"


@dataclass(slots=True)
class Sent:
    """How far a push has come."""

    stream: str
    chunks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    speed: float = 0.0  # seconds of the stream for each that passed
    reconnects: int = 0
    trouble: str = ""  # of now, empty where all goes well


def told_source(url: str) -> str:
    """An address as it may be shown: without user, password and query.

    >>> told_source("rtsp://root:secret@camera.lan:554/door?token=1")
    'rtsp://camera.lan:554/door'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def push(
    wish: Push,
    topics: Topics,
    blobs: Blobs | None,
    on_progress: Callable[[Sent], None] = lambda sent: None,
    stop: threading.Event | None = None,
) -> Sent:
    """Send a source until it ends or `stop` is set, and then the last mark. Connections that break are made again, with patience.

    Raises UnreadableVideo where nothing was ever read, WrongRequest for a source of another kind.
    """
    stop = stop or threading.Event()
    feed = Feed(wish.stream, _new_run(), _wall_clock, wish.channel, wish.profile)
    sender = _Sender(wish, topics, blobs, on_progress, stop, Sent(wish.stream))
    try:
        _send_all(wish, feed, sender, stop)
    finally:
        if feed.run:
            sender.put(feed.last())
    return sender.sent


def _send_all(wish: Push, feed: Feed, sender: _Sender, stop: threading.Event) -> None:
    wait_s, heard_s = FIRST_WAIT_S, time.monotonic()
    while not stop.is_set():
        before, trouble = sender.sent.chunks, "the source ended"
        try:
            with _opened(wish.source) as container:
                has_end = wish.is_file or bool(container.duration)
                for chunk in cut(container, feed, wish.chunk_s, inf if has_end else AGAIN_S):
                    sender.pace_and_put(chunk)
                    if stop.is_set():
                        return
            if has_end:
                return
        except (av.FFmpegError, UnreadableVideo, OSError) as error:
            if wish.is_file or not feed.run:
                raise UnreadableVideo(f"{_told(wish)} cannot be read: {_words(error)}") from None  # the cause may name the password
            trouble = _words(error)
        if sender.sent.chunks > before:
            wait_s, heard_s = FIRST_WAIT_S, time.monotonic()
        if time.monotonic() - heard_s > wish.give_up_s:
            logger.warning("stream given up stream=%s seconds=%.0f trouble=%s", wish.stream, wish.give_up_s, trouble)
            return
        sender.tell(trouble, reconnects=1)
        logger.warning("connection lost stream=%s wait_s=%.0f trouble=%s", wish.stream, wait_s, trouble)
        stop.wait(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


@dataclass(slots=True)
class _Sender:
    """Puts chunks on the topic, not before their time where they are paced."""

    wish: Push
    topics: Topics
    blobs: Blobs | None
    on_progress: Callable[[Sent], None]
    stop: threading.Event
    sent: Sent
    start_s: float = field(default_factory=time.monotonic)
    began: tuple[str, float, float] = ("", 0.0, 0.0)  # run; by the wall clock; on the run's own clock

    def pace_and_put(self, chunk: Chunk) -> None:
        if self.wish.pace:
            end_s = float(chunk.end_tick * chunk.time_base)
            if self.began[0] != chunk.run:
                self.began = (chunk.run, time.monotonic(), float(chunk.start_tick * chunk.time_base))
            self.stop.wait(max(0.0, self.began[1] + end_s - self.began[2] - time.monotonic()))
            chunk = replace(chunk, wall_clock=_wall_clock())
        self.put(chunk)
        self.sent.chunks += 1
        self.sent.bytes += len(chunk.data)
        self.sent.seconds += chunk.duration_s
        self.sent.speed = self.sent.seconds / max(time.monotonic() - self.start_s, 1e-3)
        self.tell("")

    def put(self, chunk: Chunk) -> None:
        """Until it is durable: a broker or store that is away holds the stream up, and loses nothing."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                self.topics.put(STREAMS, [chunk_record(chunk, self.blobs, self.wish.largest)])
                return
            except (BrokerUnavailable, StoreUnavailable) as error:
                self.tell(str(error))
                logger.warning("chunk not taken stream=%s sequence=%d error=%s", chunk.stream, chunk.sequence, error)
                if self.stop.wait(wait_s):
                    return
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def tell(self, trouble: str, reconnects: int = 0) -> None:
        self.sent.trouble, self.sent.reconnects = trouble, self.sent.reconnects + reconnects
        self.on_progress(self.sent)


@contextmanager
def _opened(source: str) -> Iterator[InputContainer]:
    """A file, or an address that its owner named himself. Raises av.FFmpegError, UnreadableVideo, WrongRequest."""
    if "://" not in source:
        with opened(Path(source)) as container:
            yield container
        return
    scheme = urlsplit(source).scheme.lower()
    if scheme in ("rtsp", "rtsps"):
        options, form = {"rtsp_transport": "tcp", "timeout": str(int(SILENT_S * 1e6))}, "rtsp"
    elif scheme in ("http", "https"):
        options, form = {"protocol_whitelist": "http,https,tcp,tls,crypto", "rw_timeout": str(int(SILENT_S * 1e6))}, "hls"
    else:
        raise WrongRequest(f"a stream is a file, rtsp://... or the http(s):// address of an HLS playlist, not {scheme}://")
    with av.open(source, format=form, options=options, timeout=(SILENT_S, SILENT_S)) as container:
        yield container


def _told(wish: Push) -> str:
    return Path(wish.source).name if wish.is_file else told_source(wish.source)


def _words(error: Exception) -> str:
    """What went wrong, without the address it went wrong at."""
    return str(error) if isinstance(error, UnreadableVideo) else (getattr(error, "strerror", None) or type(error).__name__)


def _wall_clock() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_run() -> Callable[[], str]:
    """Names of runs: when the first began, and a number."""
    began, count = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ"), iter(range(1 << 30))
    return lambda: f"{began}-{next(count)}"

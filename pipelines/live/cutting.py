"""Cuts what a source sends into chunks at its key frames. Copies packets, encodes and decodes nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from pipelines.containers import video_stream
from pipelines.interfaces import UnreadableVideo
from pipelines.live.chunks import FRAGMENTED_MP4, MPEG_TS, Chunk, unwrapped
from pipelines.timeline import DEEPEST_REORDER

CHUNK_S = 2.0
MOST_BYTES = 64 << 20  # of one chunk: a source without key frames must not fill the memory
BACK_S = 1.0  # a clock that steps back further begins anew
AGAIN_S = 60.0  # ... but a connection made again may repeat this much: a playlist's last segments
FORTH_S = 3 * 3600.0  # ... and so does one that leaps this far
TS_CODECS = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "aac", "mp2", "mp3", "ac3", "eac3"})
WRITERS = {
    MPEG_TS: ("mpegts", {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"}),
    # Without an edit list, and each fragment where it says it is: the ticks in the chunk are those of the source.
    FRAGMENTED_MP4: (
        "mp4",
        {"movflags": "frag_keyframe+empty_moov+default_base_moof+frag_discont", "use_editlist": "0", "avoid_negative_ts": "disabled"},
    ),
}


@dataclass(slots=True)
class Feed:
    """One stream's numbering, kept over reconnections. reached: until where, in seconds of the source's clock, chunks were made."""

    stream: str
    new_run: Callable[[], str]
    wall_clock: Callable[[], str]
    source: str = ""
    profile: str = ""
    run: str = ""
    sequence: int = 0
    origin_us: int | None = None
    reached_s: float | None = None
    dropped: int = 0  # packets whose times made no sense

    def begin(self, origin_us: int | None) -> None:
        self.run, self.sequence, self.origin_us, self.reached_s = self.new_run(), 0, origin_us, None

    def numbered(self, chunk: Chunk) -> Chunk:
        made = replace(chunk, sequence=self.sequence, source=self.source, profile=self.profile)
        self.sequence += 1
        return made

    def last(self) -> Chunk:
        """The mark behind everything that was sent."""
        if not self.run:
            self.begin(None)
        return self.numbered(Chunk(self.stream, self.run, 0, wall_clock=self.wall_clock(), is_last=True))


@dataclass(slots=True)
class _Draft:
    """A chunk in the making."""

    feed: Feed
    streams: Sequence[Stream]
    content_type: str
    start_s: float
    out: OutputContainer = field(init=False)
    into: io.BytesIO = field(default_factory=io.BytesIO)
    copies: dict[int, Any] = field(default_factory=dict)
    bytes: int = 0
    low: int | None = None
    high: int | None = None

    def __post_init__(self) -> None:
        form, options = WRITERS[self.content_type]
        self.out = av.open(self.into, "w", format=form, container_options=dict(options))
        for stream in self.streams:
            copy = self.copies[stream.index] = self.out.add_stream_from_template(stream, opaque=True)  # no encoder is needed
            copy.time_base = stream.time_base

    def add(self, packet: Packet[Any], leads: bool) -> None:
        if leads and packet.pts is not None:
            self.low = packet.pts if self.low is None else min(self.low, packet.pts)
            end = packet.pts + (packet.duration or 0)
            self.high = end if self.high is None else max(self.high, end)
        self.bytes += packet.size
        packet.stream = self.copies[packet.stream.index]
        try:
            self.out.mux(packet)
        except (av.error.ArgumentError, ValueError):  # a time that steps back within its stream
            self.feed.dropped += 1

    def finish(self) -> Chunk:
        self.out.close()
        lead = self.streams[0]
        assert lead.time_base is not None
        return self.feed.numbered(
            Chunk(
                self.feed.stream, self.feed.run, 0, self.into.getvalue(), self.content_type, self.low or 0, self.high or 0,
                lead.time_base, self.feed.origin_us, self.feed.wall_clock(),
            )
        )  # fmt: skip


def cut(container: InputContainer, feed: Feed, chunk_s: float = CHUNK_S, again_s: float = AGAIN_S) -> Iterator[Chunk]:
    """Chunks of about `chunk_s`, longer where key frames are rarer, until the source ends.

    A connection made again goes on with its run where the source's clock went on, without what was sent before, of which it may repeat
    `again_s`. Raises UnreadableVideo where there is neither picture nor sound, av.FFmpegError where the source breaks off.
    """
    streams = played(container)
    draft: _Draft | None = None
    clock = _Clock(feed, again_s if feed.run else BACK_S, is_again=bool(feed.run))
    if not feed.run:
        feed.begin(container.start_time)
    for packet in _packets(container, streams):
        leads = packet.stream_index == streams[0].index
        at_s = clock.seconds(packet)
        if at_s is None:
            continue
        if leads and (packet.is_keyframe or streams[0].type == "audio"):
            origin_us = container.start_time if clock.is_again else None
            anew = clock.begins_anew(at_s)
            if draft is not None and (anew or at_s - draft.start_s >= chunk_s - 1e-3 or draft.bytes > MOST_BYTES):
                yield draft.finish()
                draft = None
            if anew:
                feed.begin(origin_us)
            if draft is None and clock.is_behind(at_s):
                draft = _Draft(feed, streams, wrapping(streams), at_s)
        if draft is not None:
            draft.add(packet, leads)
            if leads:
                feed.reached_s = max(feed.reached_s or at_s, at_s + float((packet.duration or 0) * packet.time_base))
    if draft is not None:
        yield draft.finish()


@dataclass(slots=True)
class _Clock:
    """Follows one connection's time: unwraps it, and says where it does not go on.

    back_s: by how much it may step back. is_again: until a connection made again is where the one before broke off.
    """

    feed: Feed
    back_s: float
    is_again: bool
    last: dict[int, int] = field(default_factory=dict)

    def seconds(self, packet: Packet[Any]) -> float | None:
        """When the packet is shown, its own stamps set straight; None where it has no time at all."""
        base = packet.time_base
        if packet.dts is None and packet.pts is not None:
            before = self.last.get(packet.stream_index, packet.pts - DEEPEST_REORDER * max(1, packet.duration or 1))
            packet.dts = min(packet.pts, before + 1)  # Matroska does not tell when its first pictures are decoded
        packet.pts = packet.dts if packet.pts is None else packet.pts
        if packet.dts is None or packet.pts is None:
            return None
        near = self.last.get(packet.stream_index, None if self.feed.reached_s is None else round(self.feed.reached_s / base))
        added = 0 if near is None else unwrapped(packet.dts, near, base) - packet.dts
        packet.dts, packet.pts = packet.dts + added, packet.pts + added
        self.last[packet.stream_index] = packet.dts
        return float(packet.pts * base)

    def begins_anew(self, at_s: float) -> bool:
        reached_s = self.feed.reached_s
        return reached_s is not None and not reached_s - self.back_s <= at_s <= reached_s + FORTH_S

    def is_behind(self, at_s: float) -> bool:
        """Whether the key frame lies behind what was sent by the connection before this one."""
        if self.feed.reached_s is not None and self.is_again and at_s < self.feed.reached_s - 0.01:
            return False
        self.back_s, self.is_again = BACK_S, False
        return True


def played(container: InputContainer) -> list[Stream]:
    """The streams that a player would play, the leading one first. Raises UnreadableVideo."""
    film, sound = video_stream(container), container.streams.best("audio")
    streams = [s for s in (film, sound) if s is not None and s.codec_context is not None and s.time_base]
    if not streams:
        raise UnreadableVideo("the source holds neither pictures nor sound")
    return streams


def wrapping(streams: Sequence[Stream]) -> str:
    """MPEG-TS for what came in it, whose ticks it keeps; fragmented MP4, which keeps any time base, for all else."""
    came_in_ts = all(s.time_base == Fraction(1, 90_000) and s.codec_context.name in TS_CODECS for s in streams)
    has_header = any((s.codec_context.extradata or b"\0")[0] == 1 for s in streams if s.type == "video")
    return MPEG_TS if came_in_ts and not has_header else FRAGMENTED_MP4


def _packets(container: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
    """Past damage; a connection that breaks is told by what it raises."""
    stumbles = 0
    while stumbles < 64:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    stumbles = 0
                    yield packet
            return
        except av.error.InvalidDataError:
            stumbles += 1

"""Hands out a film's pictures on the player's clock.

Packets are numbered in file order, and a picture carries its packet's number through the decoder: what it is and when it is
shown never depends on where decoding began, nor on what a decoder makes of broken stamps.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from math import floor

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from pipelines.containers import decoded, opened, packets, told_name, video_stream
from pipelines.film_index import VideoIndex
from pipelines.interfaces import FilmFile, UnreadableVideo
from pipelines.timeline import UNKNOWN

NEAR = 50  # packets: reading on is cheaper than a seek
SEEK_BACK = (0, 1, 4)  # by how many clean starts earlier a seek is tried where it did not lead to the one wanted


@dataclass(frozen=True, slots=True)
class Shown:
    """A decoded picture and how long it stays on display, `[start_s, end_s)`."""

    frame: av.VideoFrame
    tick: int
    start_s: float
    end_s: float


class Reel:
    """An open film that can be played from any of its clean starts. Use it in a `with` block."""

    def __init__(self, path: FilmFile, index: VideoIndex) -> None:
        self.path, self.index = path, index
        self._files = ExitStack()
        self._at = 0  # the number of the packet that the tape gives next, or of an earlier one
        self._seekable = index.stamps is not None
        self._tape: Iterator[tuple[int, Packet[VideoStream]]] = iter(())

    def __enter__(self) -> Reel:
        self._open()
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def play(self, start: int, last: int | None = None, wanted: Container[int] | None = None) -> Iterator[tuple[int, av.VideoFrame]]:
        """(tick, picture) for what is shown from packet `start` on, ascending, until packet `last` is decoded or the film ends.

        start: one of the index's clean starts. wanted: packets whose pictures matter; of the others those that none refers to are skipped.
        """
        context = self.stream.codec_context
        context.flush_buffers()
        latest = int(self.index.packet_ticks[start]) - 1 if start else UNKNOWN
        for packet in self._fed(start, last, wanted):
            for picture in decoded(self.stream, packet):
                if picture.pts is not None and (tick := int(self.index.packet_ticks[picture.pts])) > latest:
                    picture.pts = latest = tick
                    yield tick, picture

    def _fed(self, start: int, last: int | None, wanted: Container[int] | None) -> Iterator[Packet[VideoStream] | None]:
        context = self.stream.codec_context
        for number, packet in self._read(start):
            packet.pts, packet.dts = number, None
            if wanted is not None:
                context.skip_frame = "DEFAULT" if number in wanted else "NONREF"
            yield packet
            if number == last:
                break
        yield None

    def _read(self, start: int) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """(number, packet) from packet `start` on: by a seek where the container can, else by counting on from where the tape is."""
        if not self._at <= start <= self._at + NEAR:
            self._wind(start)
        for number, packet in self._tape:
            self._at = number + 1
            if number >= start:
                yield number, packet

    def _wind(self, start: int) -> None:
        if self._seekable and (found := self._sought(start)) is not None:
            self._at, self._tape = found
            return
        if self._seekable or start < self._at:
            self._open()
            self._seekable = False

    def _open(self) -> None:
        self._files.close()
        self.container = self._files.enter_context(opened(self.path))
        stream = video_stream(self.container)
        if stream is None or stream.time_base != self.index.clock.time_base:
            raise UnreadableVideo(f"{told_name(self.path)} has changed since it was indexed")
        self.stream = stream
        self._tape, self._at = enumerate(packets(self.container, [self.stream])), 0

    def _sought(self, start: int) -> tuple[int, Iterator[tuple[int, Packet[VideoStream]]]] | None:
        """The tape from packet `start` on, by a seek there or a little before; None where seeks do not lead there.

        A parser that is thrown into a stream may give half a packet first: the start must come whole.
        """
        place = int(np.searchsorted(self.index.starts, start))
        for back in SEEK_BACK:
            with suppress(av.FFmpegError):
                self.container.seek(int(self.index.seeks[max(0, place - back)]), stream=self.stream)
                tape = self._numbered(packets(self.container, [self.stream]))
                number, packet = next(((n, p) for n, p in tape if n >= start), (-1, None))
                if number == start and packet is not None and packet.size == self.index.start_bytes[place]:
                    return start, chain([(start, packet)], tape)
        return None

    def _numbered(self, tape: Iterator[Packet[VideoStream]]) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """Find each packet's number by its stamp; packets that the index does not know are left out."""
        stamps, by_pts = self.index.stamps, self.index.stamped_by == "pts"
        assert stamps is not None
        number = -1
        for packet in tape:
            stamp = packet.pts if by_pts else packet.dts
            if stamp is None:
                continue
            if not (number + 1 < len(stamps) and stamps[number + 1] == stamp):
                if not len(found := np.flatnonzero(stamps == stamp)):
                    continue
                number = int(found[0]) - 1
            number += 1
            yield number, packet


def shown_frames(path: FilmFile, index: VideoIndex, start_s: float, end_s: float) -> Iterator[Shown]:
    """Every frame on display in `[start_s, end_s)`, in order, exactly as a full decode gives it.

    A picture that cannot be decoded leaves the one before it on display, as players do; `index.ticks` tells what should have come.
    """
    clock = index.clock
    with Reel(path, index) as reel:
        held: Shown | None = None
        for tick, frame in _played_from(reel, floor((Fraction(start_s) + clock.origin_s) / clock.time_base)):
            at_s = clock.seconds(tick)
            if held is not None and at_s > start_s:
                yield replace(held, end_s=at_s)
            if at_s >= end_s:
                return
            held = Shown(frame, tick, max(0.0, at_s), index.duration_s)
        if held is not None and held.end_s > start_s:
            yield held


def _played_from(reel: Reel, tick: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Play from the last clean start whose pictures include the one on display at `tick`; further back where damage hides it."""
    starts, back = reel.index.starts, 1
    at = reel.index.start_at(tick)
    while True:
        playing = reel.play(int(starts[at]))
        first = next(playing, None)
        if at == 0 or (first is not None and first[0] <= tick):
            break
        at, back = max(0, at - back), back * 2
    if first is not None:
        yield first
        yield from playing

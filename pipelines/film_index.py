"""When every picture of a file is shown, and from where it can be decoded: one demuxing pass, decoding only where stamps do not tell."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.video import Clock
from pipelines.bitstream import is_clean_start, is_shown
from pipelines.containers import decoded, opened, origin_s, packets, told_name, video_stream
from pipelines.interfaces import FilmFile, UnreadableVideo
from pipelines.timeline import UNKNOWN, DisplayOrder, Stamps, lay_out


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Every picture's time, from one demuxing pass. P = packets in file order, K = clean starts.

    ticks: (N,) ascending, what the file means to show; key_ticks: where decoding can begin; end_tick: when the last picture leaves.
    """

    clock: Clock
    ticks: NDArray[np.int64]
    key_ticks: NDArray[np.int64]
    end_tick: int
    packet_ticks: NDArray[np.int64]  # (P,) when each packet's picture is shown
    starts: NDArray[np.int64]  # (K,) packets from which all that is shown later comes out right; the first is 0
    stamps: NDArray[np.int64] | None  # (P,) what tells packets apart after a seek; None where nothing does
    stamped_by: str  # "pts" or "dts"
    seeks: NDArray[np.int64]  # (K,) where to seek to for each start
    start_bytes: NDArray[np.int64]  # (K,) by which a start is known to have come whole
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        return self.clock.seconds(self.end_tick)

    @property
    def times_s(self) -> NDArray[np.float64]:
        """(N,) seconds at which each picture appears, equal to `clock.seconds` of each tick."""
        base, origin = self.clock.time_base, self.clock.origin_s
        parts = lcm(base.denominator, origin.denominator)  # whole numbers up to here, so that the one division rounds as a fraction's does
        whole = self.ticks * (base.numerator * (parts // base.denominator)) - origin.numerator * (parts // origin.denominator)
        seconds: NDArray[np.float64] = whole / parts
        return seconds

    def start_at(self, tick: int) -> int:
        """Which of `starts` is the last from which the picture on display at `tick` comes out right."""
        return max(0, int(np.searchsorted(self.packet_ticks[self.starts], tick, side="right")) - 1)


@dataclass(slots=True)
class Log:
    """What one demuxing pass notes of a video stream's packets, in file order.

    believes_pts: not in AVI, which has none; the parser's guesses there are wrong where DivX packs two pictures into one packet.
    """

    believes_pts: bool = True

    pts: array[int] = field(default_factory=lambda: array("q"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    durations: array[int] = field(default_factory=lambda: array("q"))
    hidden: array[int] = field(default_factory=lambda: array("b"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    starts: array[int] = field(default_factory=lambda: array("q"))

    def add(self, packet: Packet[VideoStream], codec: str, extradata: bytes | None) -> None:
        if packet.is_keyframe and is_clean_start(codec, extradata, bytes(packet)):
            self.starts.append(len(self.pts))
        self.pts.append(UNKNOWN if packet.pts is None or not self.believes_pts else packet.pts)
        self.dts.append(UNKNOWN if packet.dts is None else packet.dts)
        self.sizes.append(packet.size)
        self.durations.append(packet.duration or 0)
        self.hidden.append(packet.is_discard or not is_shown(codec, memoryview(packet)[0]))


def index_video(path: FilmFile) -> VideoIndex | None:
    """Times of all pictures of the film in the file; None where there is none (sound only). Raises UnreadableVideo."""
    with opened(path) as container:
        stream = video_stream(container)
        if stream is None:
            return None
        log, codec, extradata = Log(container.format.name != "avi"), stream.codec_context.name, stream.codec_context.extradata
        for packet in packets(container, [stream]):
            log.add(packet, codec, extradata)
        return index_of(log, path, stream, origin_s(container))


def index_of(log: Log, path: FilmFile, stream: VideoStream, origin: Fraction) -> VideoIndex:
    """Make the index from a finished pass. Raises UnreadableVideo where it saw no picture."""
    if not len(log.pts):
        raise UnreadableVideo(f"{told_name(path)} announces video but holds no picture")
    base = stream.time_base or Fraction(1, 90_000)
    pts, dts, durations = (np.frombuffer(column, np.int64) for column in (log.pts, log.dts, log.durations))
    reorders = bool(stream.codec_context.has_b_frames)
    frame_ticks = _frame_ticks(durations, stream, base)
    stamps = Stamps(pts, dts, frame_ticks, float(1 / base))
    timeline = lay_out(stamps, lambda: _decoded_order(path) if reorders else DisplayOrder(np.arange(len(pts))))
    ticks = timeline.ticks
    shown = (np.frombuffer(log.hidden, np.int8) == 0) & (ticks != UNKNOWN)
    if not shown.any():
        raise UnreadableVideo(
            f"{told_name(path)} has no picture to show: its {len(ticks)} pictures are hidden by an edit list or cannot be decoded"
        )
    starts = _ordered_starts(np.frombuffer(log.starts, np.int64), ticks)
    last = int(ticks[shown].argmax())
    lasts = int(durations[shown][last])
    origin, warnings = _believed_origin(origin, int(ticks[shown].min()), base, timeline.warnings)
    stamped_by = next((name for name, column in (("pts", pts), ("dts", dts)) if _tell_apart(column)), "")
    return VideoIndex(
        clock=Clock(base, origin),
        ticks=np.unique(ticks[shown]),
        key_ticks=np.unique(ticks[starts[shown[starts]]]),
        end_tick=int(ticks[shown][last]) + (lasts if 0 < lasts * base < 3600 else frame_ticks),
        packet_ticks=ticks,
        starts=starts,
        stamps={"pts": pts, "dts": dts}.get(stamped_by),
        stamped_by=stamped_by,
        seeks=np.where(dts[starts] != UNKNOWN, dts[starts], pts[starts]),
        start_bytes=np.frombuffer(log.sizes, np.int64)[starts],
        warnings=tuple(warnings),
    )


def _tell_apart(column: NDArray[np.int64]) -> bool:
    return bool((column != UNKNOWN).all()) and len(np.unique(column)) == len(column)


def _frame_ticks(durations: NDArray[np.int64], stream: VideoStream, base: Fraction) -> int:
    lasting = durations[durations > 0]
    if len(lasting):
        return int(np.median(lasting))
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return max(1, round(1 / (rate * base)))


def _ordered_starts(keys: NDArray[np.int64], ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Key packets before which everything is shown earlier, and the first packet of all."""
    latest_before = np.maximum.accumulate(ticks)
    keys = keys[keys > 0]
    return np.concatenate([[0], keys[latest_before[keys - 1] < ticks[keys]]])


def _believed_origin(origin: Fraction, first_tick: int, base: Fraction, warnings: list[str]) -> tuple[Fraction, list[str]]:
    if abs(first_tick * base - origin) < 3600:
        return origin, warnings
    return first_tick * base, [*warnings, "the header's start time is far from the first picture; times count from the first picture"]


def _decoded_order(path: FilmFile) -> DisplayOrder:
    """What a decoder shows in which order. Costs a full decode."""
    with opened(path) as container:
        stream = video_stream(container)
        assert stream is not None
        order: list[int | None] = []
        held_back = 0
        for number, packet in enumerate(packets(container, [stream])):
            packet.pts, packet.dts = number, None
            order += [frame.pts for frame in decoded(stream, packet)]
            held_back = held_back if order else number + 1
        order += [frame.pts for frame in decoded(stream, None)]
    return DisplayOrder(np.array(list(dict.fromkeys(number for number in order if number is not None)), np.intp), held_back)

"""Sound on the player's clock: decodes the default sound stream, fills its gaps, hands blocks to the signals. Judges nothing.

Every block is decoded by a decoder, a resampler and a loudness filter of its own that start OVERLAP_S before it, so its values are
the same whatever was read before.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from model.video import SOUND_RATE_HZ, Sound, TimeSpan
from pipelines.containers import opened, origin_s, packets
from pipelines.interfaces import FilmFile
from pipelines.series import BLOCK_S, OVERLAP_S, Series
from pipelines.signals.sound import BlockSound, measure_block_sound

if TYPE_CHECKING:
    _Packet = av.Packet[av.AudioStream]

logger = logging.getLogger(__name__)

WARM_UP_S = 0.5  # AAC's overlap, Opus' 80 ms and an MP3 bit reservoir are full long before
SEEK_LEAD_S = 2.0  # Ogg pages and MPEG-TS packets just behind a seek may carry no time
GAP_S = 0.025  # containers round and recorders jitter; less than this is no gap
JUMP_S = 10.0  # a single packet this far from its neighbours has a broken time stamp
# Their time stamps are guessed from the bit rate after a seek: read them from the start.
GUESSED_TIMES = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "truehd", "amr", "loas"})
LOWEST_RATE_HZ, HIGHEST_RATE_HZ, MOST_CHANNELS = 8_000, 48_000, 8
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
KNOWN_LAYOUTS = frozenset(LAYOUTS.values()) | {"3.0", "quad", "5.0(side)", "5.1(side)"}


def read_sound(path: FilmFile, start_s: float, end_s: float) -> Sound | None:
    """Mono sound of `[start_s, end_s)`, sample k of the file at k / 16000 s; None where the file has no sound stream.

    Ends early where the file's sound ends. Raises UnreadableVideo where the file cannot be opened.
    """
    first, last = math.ceil(start_s * SOUND_RATE_HZ - 1e-6), math.ceil(end_s * SOUND_RATE_HZ - 1e-6)
    whole_s = math.floor(start_s)  # whole seconds are whole samples at every rate, so the grid stays the player's
    for heard in _stretches(path, iter([(whole_s - 1, math.ceil(end_s) + 1)]), with_loudness=False):
        if heard is None:
            return None
        offset = (whole_s - 1) * SOUND_RATE_HZ
        stop = max(first, min(last, math.ceil(min(heard.ended_s, end_s) * SOUND_RATE_HZ)))
        mono = heard.samples.mean(axis=0, dtype=np.float32)[first - offset : stop - offset]
        return Sound(mono, first / SOUND_RATE_HZ, tuple(_clipped(heard.gaps, max(0.0, start_s), min(end_s, heard.ended_s))))
    return None


def measure_sound(path: FilmFile, block: int) -> dict[str, Series]:
    """The sound series of one block; {} where the file has no sound there. See `measure_block_sound` for the names."""
    return next(sound_blocks(path, range(block, block + 1)))[1]


def sound_blocks(path: FilmFile, blocks: range) -> Iterator[tuple[int, dict[str, Series]]]:
    """(number, series) of each block in order, from one pass over the file; the same values as `measure_sound` alone."""
    spans = ((n * BLOCK_S - OVERLAP_S, (n + 1) * BLOCK_S + OVERLAP_S) for n in blocks)
    for number, heard in zip(blocks, _stretches(path, spans, with_loudness=True), strict=False):
        yield number, _measured(heard, number * BLOCK_S, (number + 1) * BLOCK_S)


def measure_sound_piece(path: FilmFile, start_s: float, end_s: float, origin: Callable[[Fraction], Fraction]) -> dict[str, Series]:
    """The same series of `[start_s, end_s)`, whole seconds, of a stream of which `path` holds a piece, read from its beginning.

    origin: tells, of where the piece starts on its container's axis, where the stream's clock begins there.
    """
    spans = iter([(start_s - OVERLAP_S, end_s + OVERLAP_S)])
    return _measured(next(_stretches(path, spans, with_loudness=True, origin=origin)), start_s, end_s)


def _measured(heard: _Heard | None, start_s: float, end_s: float) -> dict[str, Series]:
    if heard is None or heard.ended_s <= start_s:
        return {}
    gaps = _clipped(heard.gaps, start_s, min(end_s, heard.ended_s))
    sound = BlockSound(start_s, min(end_s, heard.ended_s), heard.start_s, heard.samples, heard.loudness)
    told = Series(np.array([g.start_s for g in gaps], np.float64), np.array([g.end_s for g in gaps], np.float64))
    return measure_block_sound(sound) | {"sound.gap": told}


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a stretch sounds like. samples: (1 or 2, n) at 16 kHz from start_s; loudness: (n, 2) LUFS, a row per 0.1 s."""

    start_s: float
    ended_s: float  # where the file's sound ends, inf where it goes on behind this stretch
    samples: NDArray[np.float32]
    loudness: NDArray[np.float32]
    gaps: list[TimeSpan]


def _stretches(
    path: FilmFile, spans: Iterator[tuple[float, float]], *, with_loudness: bool, origin: Callable[[Fraction], Fraction] | None = None
) -> Iterator[_Heard | None]:
    """The sound of each span (ascending, they may overlap), None where the file has no sound stream.

    origin: of the piece of a stream that `path` is; None where it is a whole of its own.
    """
    wanted = list(spans)
    if not wanted:
        return
    with opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, av.AudioStream) or stream.codec_context is None or not stream.time_base:
            yield from (None for _ in wanted)
            return
        active: list[_Stretch] = []
        begin_s = float(origin(origin_s(container)) if origin else origin_s(container))
        for packet, start_s, end_s in _timed_packets(container, stream, -math.inf if origin else wanted[0][0], begin_s):
            while wanted and end_s > wanted[0][0] - WARM_UP_S:
                active.append(_Stretch(stream, begin_s, wanted.pop(0), with_loudness))
            while active and start_s >= active[0].end_s:
                yield active.pop(0).finish(goes_on=True)
            if not active and not wanted:
                return
            for stretch in active:
                stretch.feed(packet)
        active += [_Stretch(stream, begin_s, span, with_loudness) for span in wanted]
        yield from (stretch.finish(goes_on=False) for stretch in active)


def _timed_packets(
    container: InputContainer, stream: av.AudioStream, start_s: float, begin_s: float
) -> Iterator[tuple[_Packet, float, float]]:
    """(packet, start_s, end_s) in file order from a little before `start_s` on; packets with a broken time left out.

    begin_s: where 0 s lies on the container's axis.
    """
    assert stream.time_base is not None
    tick_s = float(stream.time_base)  # Fractions cost more than decoding here
    target_s = start_s - SEEK_LEAD_S
    if target_s > 0 and not GUESSED_TIMES & set(container.format.name.split(",")):
        found = _seek(container, stream, round((target_s + begin_s) / tick_s))
    else:
        found = packets(container, [stream])
    held: tuple[_Packet, float, float] | None = None
    end_s = -math.inf
    for packet in found:
        if packet.pts is None and end_s == -math.inf:
            continue
        began_s = end_s if packet.pts is None else packet.pts * tick_s - begin_s
        timed = (packet, began_s, began_s + (packet.duration or 0) * tick_s)
        if end_s != -math.inf and abs(began_s - end_s) > JUMP_S:
            if held is None or abs(began_s - held[2]) > JUMP_S:
                held = timed
                continue
            yield held
        held = None
        end_s = timed[2]
        yield timed


def _seek(container: InputContainer, stream: av.AudioStream, tick: int) -> Iterator[_Packet]:
    """Packets from `tick` or before; from the start where the file's index leads behind it."""
    try:
        container.seek(tick, stream=stream)
        after = packets(container, [stream])
        first = next((p for p in after if p.pts is not None), None)
        if first is not None and first.pts is not None and first.pts <= tick:
            yield first
            yield from after
            return
        container.seek(stream.start_time or 0, stream=stream)
    except av.error.FFmpegError as error:
        logger.info("seek failed, reading on from where it led tick=%d error=%s", tick, error)
    yield from packets(container, [stream])


class _Stretch:
    """Decodes one stretch with a decoder and filters of its own."""

    def __init__(self, stream: av.AudioStream, origin_s: float, span: tuple[float, float], with_loudness: bool) -> None:
        self.start_s, self.end_s = span
        self.with_loudness = with_loudness
        self.decoder = _fresh_decoder(stream)
        self.time_base = float(stream.time_base or 0)
        self.origin_s = origin_s
        self.line: _Line | None = None
        self.first: av.AudioFrame | None = None

    def feed(self, packet: _Packet | None) -> None:
        """Decode one packet (None: what the decoder still holds); what cannot be decoded becomes a gap."""
        try:
            frames = self.decoder.decode(packet)
        except (av.error.FFmpegError, ValueError) as error:
            logger.debug("sound packet lost error=%s", error)
            return
        for frame in frames:
            if self.line is None and self.first is None:
                self.first = frame
            else:
                self._add_first(frame)
                self._add(frame, self._seconds(frame))

    def finish(self, *, goes_on: bool) -> _Heard:
        """goes_on: the file has sound behind this stretch, so silence up to its end is a gap and not the sound's end."""
        self.feed(None)
        self._add_first(None)
        line = self.line or _Line(SOUND_RATE_HZ, "mono", self.end_s - self.start_s, self.with_loudness)
        ended_s = math.inf if goes_on else self.start_s + line.reached_s
        samples, loudness = line.finish(goes_on=goes_on)
        gaps = [TimeSpan(max(0.0, self.start_s + a), self.start_s + b) for a, b in line.gaps_s if self.start_s + b > 0]
        return _Heard(self.start_s, ended_s, samples, loudness, gaps)

    def _seconds(self, frame: av.AudioFrame) -> float | None:
        return None if frame.pts is None else frame.pts * self.time_base - self.origin_s - self.start_s

    def _add_first(self, second: av.AudioFrame | None) -> None:
        """A first frame that lost its encoder's priming kept its time: it is late by what it lost."""
        first, self.first = self.first, None
        if first is None:
            return
        at_s = self._seconds(first)
        if second is not None and at_s is not None:
            at_s += max(0, second.samples - first.samples) / first.sample_rate
        self._add(first, at_s)

    def _add(self, frame: av.AudioFrame, at_s: float | None) -> None:
        try:
            if self.line is None:
                rate_hz = min(max(frame.sample_rate, LOWEST_RATE_HZ), HIGHEST_RATE_HZ)
                self.line = _Line(rate_hz, _known_layout(frame), self.end_s - self.start_s, self.with_loudness)
            self.line.place(frame, at_s)
        except (av.error.FFmpegError, ValueError) as error:
            logger.debug("sound frame lost error=%s", error)


class _Line:
    """Samples of one rate and layout laid end to end from 0 on, and the filters behind them. Times are seconds on the line."""

    def __init__(self, rate_hz: int, layout: str, length_s: float, with_loudness: bool) -> None:
        self.rate_hz, self.layout, self.length_s = rate_hz, layout, length_s
        self.length = round(length_s * rate_hz)
        self.next: int | None = None  # where the next sample belongs; negative before the line begins
        self.gaps_s: list[tuple[float, float]] = []
        self.filters = _Filters(rate_hz, layout, with_loudness)
        self.converter = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
        self.source = ("fltp", layout, rate_hz)

    @property
    def reached_s(self) -> float:
        return max(0, self.next or 0) / self.rate_hz

    def place(self, frame: av.AudioFrame, at_s: float | None) -> None:
        """Put a frame where its time says, or right behind the last one where that is less than a gap away."""
        at = self.next if at_s is None else round(at_s * self.rate_hz)
        if at is None:
            return
        tolerance = GAP_S * self.rate_hz
        if self.next is None:
            self.next, tolerance = min(at, 0), 0.0
        drift = at - self.next
        if drift > tolerance:
            self._silence(drift)
        cut = -drift if drift < -tolerance else 0
        for converted in self._converted(frame):
            self._append(converted, cut)
            cut = max(0, cut - converted.samples)

    def finish(self, *, goes_on: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """((C, n) samples at 16 kHz, (n, 2) momentary and short-term loudness per 0.1 s), of the full length where the sound goes on."""
        reached = max(0, self.next or 0)
        # Windows reach 1.5 s behind the sound's end, and a clip of 2 s need not cost as much as a minute. Whole seconds: the meter
        # tells nothing of less than 0.1 s.
        needed_s = math.ceil(reached / self.rate_hz + OVERLAP_S)
        self._silence((self.length if goes_on else min(self.length, needed_s * self.rate_hz)) - reached)
        return self.filters.finish(self.length_s)

    def _converted(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """The frame as planar floats in the rate and channels of the line, whatever the stream changed to."""
        if frame.layout.name == self.layout and frame.sample_rate == self.rate_hz and frame.format.name == "fltp":
            return [frame]
        frame = _labelled(frame)
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self.source:
            self.source, self.converter = source, av.AudioResampler(format="fltp", layout=self.layout, rate=self.rate_hz)
        frame.pts = None
        return self.converter.resample(frame)

    def _append(self, frame: av.AudioFrame, cut: int) -> None:
        """The frame without its first `cut` samples, and without what lies before or behind the line."""
        assert self.next is not None
        first, last = cut + max(0, -self.next), min(frame.samples, cut + self.length - self.next)
        if first < last:
            whole = first == 0 and last == frame.samples
            self.filters.push(frame if whole else _planar(_floats(frame)[:, first:last], self.layout, self.rate_hz))
        self.next += max(0, frame.samples - cut)

    def _silence(self, count: int) -> None:
        begin = self.next or 0
        self.next = begin + count
        first, last = max(0, begin), min(self.length, begin + count)
        if last - first > GAP_S * self.rate_hz:
            self.gaps_s.append((first / self.rate_hz, last / self.rate_hz))
        channels = _channel_count(self.layout)
        for at in range(first, last, self.rate_hz):
            zeros = np.zeros((channels, min(self.rate_hz, last - at)), np.float32)
            self.filters.push(_planar(zeros, self.layout, self.rate_hz))


class _Filters:
    """One filter graph: loudness of the original channels (EBU R128), and at most two channels at 16 kHz."""

    def __init__(self, rate_hz: int, layout: str, with_loudness: bool) -> None:
        self.rate_hz, self.tick = rate_hz, Fraction(1, rate_hz)
        self.channels = min(2, _channel_count(layout))
        self.graph = av.filter.Graph()
        self.source = self.graph.add_abuffer(sample_rate=rate_hz, format="fltp", layout=layout, time_base=self.tick)
        resample = self.graph.add("aresample", f"{SOUND_RATE_HZ}:rematrix_maxval=1:filter_size=16")
        form = self.graph.add("aformat", f"sample_fmts=fltp:sample_rates={SOUND_RATE_HZ}:channel_layouts={LAYOUTS[self.channels]}")
        seconds = self.graph.add("asetnsamples", f"n={SOUND_RATE_HZ}:p=0")
        self.sound_sink = self.graph.add("abuffersink")
        self.meter_sink: av.filter.context.FilterContext | None = None
        if with_loudness:
            split, meter = self.graph.add("asplit"), self.graph.add("ebur128", "metadata=1")
            self.meter_sink = self.graph.add("abuffersink")
            self.source.link_to(split)
            split.link_to(resample, 0)
            split.link_to(meter, 1)
            meter.link_to(self.meter_sink)
        else:
            self.source.link_to(resample)
        resample.link_to(form)
        form.link_to(seconds)
        seconds.link_to(self.sound_sink)
        self.graph.configure()
        self.position = self.drained = 0
        self.samples: list[NDArray[np.float32]] = []
        self.loudness: list[tuple[float, float]] = []

    def push(self, frame: av.AudioFrame) -> None:
        frame.pts, frame.time_base = self.position, self.tick
        self.source.push(frame)
        self.position += frame.samples
        if self.position - self.drained >= self.rate_hz:
            self._drain()

    def finish(self, length_s: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.source.push(None)
        self._drain()
        samples = np.zeros((self.channels, round(length_s * SOUND_RATE_HZ)), np.float32)
        heard = np.concatenate(self.samples, axis=1)[:, : samples.shape[1]] if self.samples else samples[:, :0]
        samples[:, : heard.shape[1]] = heard
        return samples, np.array(self.loudness, np.float32).reshape(-1, 2)

    def _drain(self) -> None:
        self.drained = self.position
        self.samples += [_floats(frame) for frame in _pulled(self.sound_sink)]
        if self.meter_sink is not None:
            self.loudness += [
                (float(frame.metadata["lavfi.r128.M"]), float(frame.metadata["lavfi.r128.S"])) for frame in _pulled(self.meter_sink)
            ]


def _pulled(sink: av.filter.context.FilterContext) -> Iterator[av.AudioFrame]:
    while True:
        try:
            frame = sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.AudioFrame)
        yield frame


def _fresh_decoder(stream: av.AudioStream) -> av.AudioCodecContext:
    """A decoder without a past (noise substitution and dither go on from block to block otherwise), without opening the file again."""
    with av.open(os.devnull, "w", format="null") as nowhere:
        context = nowhere.add_stream_from_template(stream, opaque=True).codec_context
    assert isinstance(context, av.AudioCodecContext)
    context.thread_count = 1
    return context


def _known_layout(frame: av.AudioFrame) -> str:
    """The frame's layout; the usual one of as many channels where the file does not say which is which."""
    count = frame.layout.nb_channels
    if frame.layout.name in KNOWN_LAYOUTS:
        return frame.layout.name
    return LAYOUTS[min(count, MOST_CHANNELS)]


def _labelled(frame: av.AudioFrame) -> av.AudioFrame:
    """The frame itself, or as planar floats with a layout that the filters know."""
    layout = _known_layout(frame)
    if layout == frame.layout.name:
        return frame
    samples: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind in "iu":
        info = np.iinfo(samples.dtype)
        zero = 128 if samples.dtype.kind == "u" else 0
        samples = (samples.astype(np.float32) - zero) / (float(info.max) - zero + 1)
    return _planar(samples[: _channel_count(layout)].astype(np.float32), layout, frame.sample_rate)


def _floats(frame: av.AudioFrame) -> NDArray[np.float32]:
    """(C, n) samples of a frame that is in planar floats already."""
    return np.asarray(frame.to_ndarray(), np.float32)


def _planar(samples: NDArray[np.float32], layout: str, rate_hz: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
    frame.sample_rate = rate_hz
    return frame


def _channel_count(layout: str) -> int:
    return int(av.AudioLayout(layout).nb_channels)


def _clipped(spans: list[TimeSpan], start_s: float, end_s: float) -> list[TimeSpan]:
    return [TimeSpan(max(s.start_s, start_s), min(s.end_s, end_s)) for s in spans if s.start_s < end_s and s.end_s > start_s]

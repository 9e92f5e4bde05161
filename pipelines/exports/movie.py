"""Writes MP4 that any browser plays: H.264 and AAC, pictures and sound at the times they are given. Knows PyAV's encoders, no report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipelines.containers import opened, origin_s, packets
from pipelines.pixels import display_size, rotation_deg

RATE_HZ = 48_000
TICKS_HZ = 90_000  # fine enough for every frame rate in use, 30000/1001 exactly
SOUND_CHUNK = RATE_HZ // 4
JITTER_S = 0.05  # containers round sound times to milliseconds; more than this is a gap
LEAD_IN_S = 0.5  # decoders of compressed sound need a little before the place that is wanted


@dataclass(frozen=True, slots=True)
class Quality:
    """How much of the picture to keep. longer_side_px: at most; None keeps the size. crf: x264's, lower is better."""

    longer_side_px: int | None = None
    crf: int = 18
    preset: str = "veryfast"
    sound_bits_per_s: int = 160_000


class MovieWriter:
    """An MP4 file that grows. Pictures and sound may come in any order as long as each goes forward; use it in a `with` block."""

    def __init__(self, out: Path, quality: Quality, *, sound: bool) -> None:
        self._file = av.open(str(out.absolute()), "w", format="mp4", options={"movflags": "+faststart"})
        self._quality, self._scale = quality, VideoReformatter()
        self._film: VideoStream | None = None
        self._size = (0, 0)
        self._shown_for: dict[int, int] = {}  # ticks a picture stays, by its tick: encoders forget it
        self._last_tick = -1
        self._samples = 0
        self.with_sound = sound
        self._sound: AudioStream | None = None

    def __enter__(self) -> MovieWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._file.close()

    def add_picture(self, frame: av.VideoFrame, start_s: Fraction, end_s: Fraction, pixel_aspect: Fraction | None) -> None:
        """Show `frame` in [start_s, end_s) of the new film. A picture shorter than a tick is left out."""
        start, end = round(start_s * TICKS_HZ), round(end_s * TICKS_HZ)
        if start <= self._last_tick or end <= start:
            return
        if self._film is None:
            self._film = self._add_film(frame, pixel_aspect)
            self._sound = self._add_sound() if self.with_sound else None  # before anything is written: files announce their streams first
        picture = self._fitted(frame)
        picture.pts, picture.time_base, picture.pict_type = start, Fraction(1, TICKS_HZ), av.video.frame.PictureType.NONE
        self._last_tick, self._shown_for[start] = start, end - start
        self._write_film(self._film, picture)

    def add_sound(self, samples: NDArray[np.float32]) -> None:
        """Append samples, (2, N) at RATE_HZ: sound has no holes, so that it cannot drift from the pictures."""
        if self._sound is None:
            self._sound = self._add_sound()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._samples, Fraction(1, RATE_HZ)
        self._samples += samples.shape[1]
        self._file.mux(self._sound.encode(frame))

    @property
    def sound_s(self) -> Fraction:
        return Fraction(self._samples, RATE_HZ)

    def _add_sound(self) -> AudioStream:
        # The other coder takes as long as the pictures do, for what is only listened to in a page or a clip.
        stream = self._file.add_stream("aac", rate=RATE_HZ, layout="stereo", options={"aac_coder": "fast"})
        stream.bit_rate = self._quality.sound_bits_per_s
        return stream

    def _add_film(self, frame: av.VideoFrame, pixel_aspect: Fraction | None) -> VideoStream:
        self._size = _even_size(display_size(frame, pixel_aspect), self._quality.longer_side_px)
        # No B-pictures: then nothing is decoded before its time, and every player starts the film at 0.
        options = {"crf": str(self._quality.crf), "preset": self._quality.preset, "bf": "0", "g": "50"}
        stream = self._file.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *self._size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS_HZ)
        stream.codec_context.color_primaries, stream.codec_context.color_trc = frame.color_primaries, frame.color_trc
        stream.codec_context.colorspace, stream.codec_context.color_range = int(frame.colorspace), 1
        return stream

    def _fitted(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Upright, in square pixels, at the film's size."""
        turns = rotation_deg(frame) // 90
        width, height = self._size[::-1] if turns % 2 else self._size
        picture = self._scale.reformat(frame, width, height, "yuv420p", interpolation=Interpolation.AREA, dst_color_range="MPEG")
        return _turned(picture, turns) if turns else picture

    def _write_film(self, stream: VideoStream, picture: av.VideoFrame | None) -> None:
        for packet in stream.encode(picture):
            assert packet.pts is not None
            packet.duration = self._shown_for.pop(packet.pts)
            self._file.mux(packet)

    def _flush(self) -> None:
        if self._film is not None:
            self._write_film(self._film, None)
        if self._sound is not None:
            self._file.mux(self._sound.encode(None))


def _even_size(size: tuple[int, int], longer_side_px: int | None) -> tuple[int, int]:
    scale = min(1.0, longer_side_px / max(size)) if longer_side_px else 1.0
    width, height = (max(2, round(side * scale / 2) * 2) for side in size)
    return width, height


def _turned(picture: av.VideoFrame, turns: int) -> av.VideoFrame:
    """A YUV 4:2:0 picture turned counterclockwise by quarter turns."""
    height, width = picture.height, picture.width
    flat = picture.to_ndarray().reshape(-1)
    luma = height * width
    planes = [flat[:luma].reshape(height, width), *flat[luma:].reshape(2, height // 2, width // 2)]
    turned = [np.rot90(plane, turns) for plane in planes]
    rows = np.concatenate([plane.reshape(-1) for plane in turned]).reshape(-1, turned[0].shape[1])
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(rows), "yuv420p")


def has_sound(path: Path) -> bool:
    with opened(path) as container:
        return any(s.type == "audio" and s.codec_context is not None for s in container.streams)


def sound_of(path: Path, start_s: Fraction, end_s: Fraction) -> Iterator[NDArray[np.float32]]:
    """Stereo sound of [start_s, end_s) as chunks (2, N): sample n is heard at start_s + n / RATE_HZ; zeros where there is none."""
    total, written = round((end_s - start_s) * RATE_HZ), 0
    for at, samples in _placed_sound(path, start_s, end_s):
        first = round((at - start_s) * RATE_HZ)
        if abs(first - written) < JITTER_S * RATE_HZ and written > 0:
            first = written
        for silence in _silence(min(first, total) - written):
            yield silence
            written += silence.shape[1]
        kept = samples[:, max(0, written - first) : total - first] if total > first else samples[:, :0]
        if kept.shape[1]:
            yield kept
            written += kept.shape[1]
    yield from _silence(total - written)


def _silence(length: int) -> Iterator[NDArray[np.float32]]:
    for first in range(0, length, SOUND_CHUNK):
        yield np.zeros((2, min(SOUND_CHUNK, length - first)), np.float32)


def _placed_sound(path: Path, start_s: Fraction, end_s: Fraction) -> Iterator[tuple[Fraction, NDArray[np.float32]]]:
    """(player time, samples (2, N) at RATE_HZ) of what is decoded around [start_s, end_s)."""
    with opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream) or stream.codec_context is None:
            return
        origin, base = origin_s(container), stream.time_base or Fraction(1, RATE_HZ)
        if start_s > LEAD_IN_S:
            container.seek(int((start_s + origin - Fraction(LEAD_IN_S)) / base), stream=stream)
        resampler, shape = None, ("", "", 0)
        for packet in packets(container, [stream]):
            for frame in _heard(stream, packet):
                if frame.pts is None:
                    continue
                at = frame.pts * (frame.time_base or base) - origin
                if at >= end_s:
                    return
                if (frame.format.name, frame.layout.name, frame.sample_rate) != shape:
                    shape = (frame.format.name, frame.layout.name, frame.sample_rate)
                    resampler = av.AudioResampler("fltp", "stereo", RATE_HZ)
                assert resampler is not None
                for part in resampler.resample(frame):
                    placed = part.pts * part.time_base - origin if part.pts is not None and part.time_base else at
                    yield placed, part.to_ndarray().astype(np.float32, copy=False)


def _heard(stream: AudioStream, packet: av.Packet[AudioStream]) -> list[av.AudioFrame]:
    try:
        return stream.codec_context.decode(packet)
    except av.FFmpegError:  # damage is silence
        return []

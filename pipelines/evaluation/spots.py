"""Airs spots again: a reel of spots and other material under a change (codec, size, speed, level, logo), with the truth.

Spots and the material between them are stretches of files that are there; `paint_spots` makes such a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from model.video import SOUND_RATE_HZ, TimeSpan
from pipelines.evaluation.broadcast_pictures import Grain
from pipelines.evaluation.broadcast_pieces import Piece, make_programme, make_spot
from pipelines.media import VideoIndex, index_video, shown_frames
from pipelines.pixels import Scaler
from pipelines.sound import read_sound

Wave = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """What an airing does to a spot. padded: (rows, columns) of the picture given to black bars, each side; logo: which corner, 0 to 3."""

    name: str
    speed: float = 1.0  # picture and sound, with its pitch
    level_db: float = 0.0
    size: tuple[int, int] = (320, 180)
    padded: tuple[float, float] = (0.0, 0.0)
    logo: int | None = None
    crf: int = 24
    codec: str = "libx264"
    sound: tuple[str, int, int] = ("aac", 44_100, 128_000)  # codec, rate in Hz, bits a second
    fps: int = 25
    format: str = "mp4"


CHANGES = (
    Change("plain"),
    Change("low rate", crf=38, sound=("aac", 24_000, 24_000)),
    Change("mpeg-2", codec="mpeg2video", crf=24, sound=("mp2", 48_000, 64_000), format="mpegts"),
    Change("opus", crf=34, sound=("libopus", 24_000, 16_000), format="matroska"),
    Change("half size", size=(160, 90)),
    Change("4:3 stretched", size=(320, 240), fps=30),
    Change("4:3 with bars", size=(320, 240), padded=(0.125, 0.0)),
    Change("speed +1 %", speed=1.01),
    Change("speed -1 %", speed=0.99),
    Change("speed +2 %", speed=1.02),
    Change("speed -2 %", speed=0.98),
    Change("-12 dB", level_db=-12.0),
    Change("+6 dB", level_db=6.0),
    Change("logo", logo=1),
    Change("all, fast", speed=1.02, level_db=-12.0, size=(208, 160), logo=0, crf=36, sound=("aac", 24_000, 24_000), fps=30),
    Change("all, slow", speed=0.98, level_db=6.0, size=(160, 90), logo=3, crf=36, sound=("mp2", 48_000, 48_000), format="mpegts"),
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a file. spot: which one it is, None for other material."""

    path: Path
    span: TimeSpan
    spot: int | None = None


@dataclass(frozen=True, slots=True)
class Aired:
    """The truth: this spot was on air then."""

    spot: int
    span: TimeSpan


def make_reel(path: Path, schedule: Sequence[Stretch], change: Change) -> tuple[Aired, ...]:
    """Write the stretches one after the other, each under the change, and say when which spot is on air."""
    truth: list[Aired] = []
    with av.open(str(path), "w", format=change.format) as out:
        writer = _Writer(out, change)
        for stretch in schedule:
            start_s = writer.seconds
            writer.add(stretch)
            if stretch.spot is not None:
                truth.append(Aired(stretch.spot, TimeSpan(start_s, writer.seconds)))
        writer.finish()
    return tuple(truth)


class _Writer:
    def __init__(self, out: av.container.OutputContainer, change: Change) -> None:
        self.out, self.change = out, change
        quality = {"crf": str(change.crf), "preset": "ultrafast"} if change.codec == "libx264" else {"qscale": "8", "g": "12"}
        self.video = cast("av.VideoStream", out.add_stream(change.codec, rate=change.fps, options=quality))
        self.video.width, self.video.height = change.size
        self.video.pix_fmt = "yuv420p"
        codec, self.rate_hz, bits = change.sound
        options = {"aac_coder": "fast"} if codec == "aac" else {}
        self.audio = cast("av.AudioStream", out.add_stream(codec, rate=self.rate_hz, layout="mono", options=options))
        self.audio.bit_rate = bits
        context = self.audio.codec_context
        self.resampler = av.AudioResampler(context.format.name, "mono", self.rate_hz, frame_size=context.frame_size or 1024)
        self.frames = self.samples = 0
        self.logo = _logo(change.size)

    @property
    def seconds(self) -> float:
        return self.frames / self.change.fps

    def add(self, stretch: Stretch) -> None:
        count = round(stretch.span.duration_s / self.change.speed * self.change.fps)
        moments = stretch.span.start_s + np.arange(count) / self.change.fps * self.change.speed
        wave = _wave(stretch, self.change, self._samples_until(self.frames + count) - self.samples)
        begin = self.samples
        for planes in _pictures(stretch.path, moments, self.change):
            if self.change.logo is not None:
                _draw(planes, self.logo, self.change.logo, self.change.size[1])
            self._show(planes, wave, begin)

    def paint(self, piece: Piece, grain: Grain) -> None:
        """A made-up shot with its sound."""
        count, begin = round(piece.seconds * self.change.fps), self.samples
        wave = piece.wave(self.rate_hz, self._samples_until(self.frames + count) - begin)
        for number in range(count):
            luma, *colours = piece.draw(number / self.change.fps)
            planes = np.concatenate([grain.add(luma).ravel(), *(np.ravel(c) for c in colours)])
            self._show(planes.reshape(-1, self.change.size[0]), wave, begin)

    def _show(self, planes: NDArray[np.uint8], wave: Wave, begin: int) -> None:
        """One more picture, and the sound up to its end. wave: from sample `begin` of the reel on."""
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts, frame.time_base = self.frames, Fraction(1, self.change.fps)
        self.out.mux(self.video.encode(frame))
        self.frames += 1
        # Sound goes in beside each picture: a transport stream whose sound comes seconds late is taken for another codec.
        self._sound(wave[self.samples - begin : self._samples_until(self.frames) - begin])

    def _samples_until(self, frames: int) -> int:
        return round(frames / self.change.fps * self.rate_hz)

    def _sound(self, wave: Wave) -> None:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[None]), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = self.rate_hz, self.samples, Fraction(1, self.rate_hz)
        self.samples += len(wave)
        for ready in self.resampler.resample(frame):
            self.out.mux(self.audio.encode(ready))

    def finish(self) -> None:
        self.out.mux(self.video.encode(None))
        for ready in self.resampler.resample(None):
            self.out.mux(self.audio.encode(ready))
        self.out.mux(self.audio.encode(None))


def _pictures(path: Path, moments: NDArray[np.float64], change: Change) -> Iterator[NDArray[np.uint8]]:
    """The picture on display at each moment, as planes of the wanted size one under the other."""
    width, height = change.size
    rows, columns = (int(share * side) // 4 * 4 for share, side in zip(change.padded, (height, width), strict=True))
    scaler = Scaler(width - 2 * columns, height - 2 * rows, "yuv420p", Interpolation.AREA)
    due, last = 0, None
    for shown in shown_frames(path, _index(path), max(0.0, float(moments[0]) - 0.5), float(moments[-1]) + 0.5):
        while due < len(moments) and moments[due] < shown.start_s and last is not None:
            yield last.copy()
            due += 1
        if due == len(moments):
            return
        last = _padded(scaler(shown.frame), rows, columns, height - 2 * rows)
    for _ in range(due, len(moments)):
        assert last is not None
        yield last.copy()


@lru_cache(maxsize=16)
def _index(path: Path) -> VideoIndex:
    index = index_video(path)
    assert index is not None, f"{path} has no pictures"
    return index


def _padded(planes: NDArray[np.uint8], rows: int, columns: int, height: int) -> NDArray[np.uint8]:
    width = planes.shape[1]
    luma, chroma = planes[:height], planes[height:].reshape(2, height // 2, width // 2)
    framed = np.pad(luma, ((rows, rows), (columns, columns)), constant_values=16)
    colours = np.pad(chroma, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2)), constant_values=128)
    return np.concatenate([framed.ravel(), colours.ravel()]).reshape(-1, width + 2 * columns)


def _wave(stretch: Stretch, change: Change, count: int) -> Wave:
    sound = read_sound(stretch.path, stretch.span.start_s, stretch.span.end_s)
    heard = sound.samples if sound is not None else np.zeros(0, np.float32)
    if not len(heard):
        return np.zeros(count, np.float32)
    at = np.arange(count) * (change.speed * SOUND_RATE_HZ / change.sound[1])
    played = np.interp(at, np.arange(len(heard)), heard, right=0.0) * 10 ** (change.level_db / 20)
    return np.asarray(np.clip(played, -1, 1), np.float32)


def _logo(size: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) opacity of a channel's mark, about a seventh of the picture wide: a disc with a bar through it."""
    height, width = size[1] // 8 // 2 * 2, size[0] // 7 // 2 * 2
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    return np.asarray(0.85 * ((np.hypot(x, y) < 1) & (np.abs(x - y) > 0.25)), np.float32)


def _draw(planes: NDArray[np.uint8], logo: NDArray[np.float32], corner: int, height: int) -> None:
    luma = planes[:height]
    top = (height - len(logo) - height // 16) if corner & 2 else height // 16
    left = (luma.shape[1] - logo.shape[1] - luma.shape[1] // 16) if corner & 1 else luma.shape[1] // 16
    place = luma[top : top + logo.shape[0], left : left + logo.shape[1]]
    place[:] = (place * (1 - logo) + 225 * logo).astype(np.uint8)


def paint_spots(path: Path, seed: int, lengths_s: Sequence[float], *, silent_every: int = 5) -> tuple[TimeSpan, ...]:
    """Write made-up spots one after the other, each with a look and a tune of its own, and say where each lies."""
    rng, size, rate_hz, fps = np.random.default_rng(seed), (320, 180), 24_000, 25
    spans: list[TimeSpan] = []
    with av.open(str(path), "w") as out:
        writer = _Writer(out, Change("source", crf=18, sound=("aac", rate_hz, 96_000), fps=fps))
        for number, length_s in enumerate(lengths_s):
            if number % 5 == 0:
                programme = make_programme(rng, size, rate_hz)
            start_s = writer.seconds
            for piece in make_spot(rng, float(length_s), programme, size, rate_hz):
                writer.paint(replace(piece, silent=number % silent_every == silent_every - 1), programme.grain)
            spans.append(TimeSpan(start_s, writer.seconds))
        writer.finish()
    return tuple(spans)

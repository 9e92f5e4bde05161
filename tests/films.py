"""Makes small true films for the tests: every picture carries its own number as bright and dark blocks.

Row 0 holds the number's bits, row 1 their opposites, so that a picture that does not decode right is not misread but refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS, BLOCK_PX = 12, 16
WIDTH, HEIGHT = BITS * BLOCK_PX, 112
CLOSED_GOP = {"g": "25", "bf": "2", "flags": "+cgop", "x264-params": "open-gop=0:scenecut=0", "preset": "veryfast"}
OPEN_GOP = {"g": "25", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-pyramid=normal:bframes=3:b-adapt=0", "preset": "veryfast"}
NO_B_FRAMES = {"g": "25", "bf": "0", "preset": "ultrafast"}
HEVC_OPEN = {
    "x265-params": "keyint=25:min-keyint=25:bframes=3:open-gop=1:scenecut=0:log-level=none:pools=1:frame-threads=1",
    "preset": "ultrafast",
}
HEVC_CLOSED = {"x265-params": "keyint=25:bframes=3:open-gop=0:log-level=none:pools=1:frame-threads=1", "preset": "ultrafast"}

ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize\r\nStyle: Default,Arial,16\r\n\r\n"
    b"[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


@dataclass(frozen=True)
class Recipe:
    """How to make a film. ticks: when picture n appears, in time_base; by default one after the other at `rate`."""

    name: str
    count: int = 100
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: dict(CLOSED_GOP))
    rate: Fraction = Fraction(25)
    ticks: Callable[[int], int] | None = None
    time_base: Fraction | None = None
    pix_fmt: str = "yuv420p"
    format: str | None = None
    container_options: dict[str, str] = field(default_factory=dict)
    shift_s: Fraction = Fraction(0)  # added to every packet's times when it is written
    rotation_deg: int = 0
    sound: bool = False
    size_px: tuple[int, int] = (WIDTH, HEIGHT)

    def time_s(self, number: int) -> Fraction:
        base = self.time_base or 1 / self.rate
        return (self.ticks(number) if self.ticks else number) * base


@lru_cache(maxsize=256)
def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: the number's blocks above a moving texture that no picture shares with another."""
    y, x = np.mgrid[0:height, 0:width]
    wave = 90 + 50 * np.sin((x + 3 * number) / 9) + 40 * np.sin((y - 2 * number) / 7 + number // 40)
    pixels = np.stack([wave, np.roll(wave, number, axis=1), 220 - wave], axis=-1).clip(0, 255).astype(np.uint8)
    for bit in range(BITS):
        value = 235 if number >> bit & 1 else 20
        column = slice(bit * BLOCK_PX, (bit + 1) * BLOCK_PX)
        pixels[:BLOCK_PX, column] = value
        pixels[BLOCK_PX : 2 * BLOCK_PX, column] = 255 - value
    return pixels


def read_number(pixels: NDArray[np.uint8]) -> int:
    """The number in a picture of any size, (H, W, 3) or (H, W). AssertionError where it is not legible."""
    grey = pixels.mean(axis=-1) if pixels.ndim == 3 else pixels.astype(float)
    high, wide = grey.shape[0] * BLOCK_PX / HEIGHT, grey.shape[1] / BITS
    columns = [int((bit + 0.5) * wide) for bit in range(BITS)]
    above, below = grey[int(high / 2), columns], grey[int(1.5 * high), columns]
    assert (np.abs(above - below) > 80).all(), "the picture's number is not legible"
    return sum(1 << bit for bit in range(BITS) if above[bit] > below[bit])


def make_film(folder: Path, recipe: Recipe) -> Path:
    """Write the film and return its path. Encoders run on one thread, so that the same recipe gives the same bytes."""
    path = folder / recipe.name
    with av.open(str(path), "w", format=recipe.format, container_options=recipe.container_options) as out:
        stream = out.add_stream(recipe.codec, rate=recipe.rate, options=dict(recipe.options))
        stream.width, stream.height = recipe.size_px
        stream.pix_fmt = recipe.pix_fmt
        base = recipe.time_base or 1 / recipe.rate
        stream.codec_context.time_base = base
        stream.codec_context.thread_count = 1
        if recipe.rotation_deg:
            stream.set_display_rotation(recipe.rotation_deg)
        voice = out.add_stream("aac", rate=16000) if recipe.sound else None
        for number in range(recipe.count):
            frame = av.VideoFrame.from_ndarray(picture(number, *recipe.size_px), "rgb24")
            frame.pts, frame.time_base = (recipe.ticks(number) if recipe.ticks else number), base
            _write(out, stream.encode(frame), recipe.shift_s)
        _write(out, stream.encode(None), recipe.shift_s)
        if voice is not None:
            _write(out, _tone(voice, recipe.time_s(recipe.count - 1)), recipe.shift_s)
    return path


def _write(out: av.container.OutputContainer, packets: Sequence[av.Packet], shift_s: Fraction) -> None:
    for packet in packets:
        if shift_s:
            ticks = int(shift_s / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        out.mux(packet)


def _tone(stream: av.AudioStream, length_s: Fraction) -> list[av.Packet]:
    packets = []
    for first in range(0, int(length_s * 16000), 1024):
        wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(first, first + 1024) / 16000)
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, first, Fraction(1, 16000)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def add_subtitles(path: Path, source: Path, codec: str, lines: Sequence[tuple[float, float, str]], **metadata: str) -> Path:
    """Copy the film `source` to `path` with a text subtitle stream. lines: (start_s, end_s, text as the codec writes it)."""
    with av.open(str(source)) as film, av.open(str(path), "w") as out:
        kept = out.add_stream_from_template(film.streams.video[0])
        words = out.add_stream(codec)
        words.metadata.update(metadata)
        words.codec_context.time_base = Fraction(1, 1000)
        words.codec_context.subtitle_header = ASS_HEADER
        packets = [p for p in film.demux(film.streams.video[0]) if p.dts is not None]
        for packet in packets:
            packet.stream = kept
        said = []
        for start_s, end_s, text in lines:
            packet = av.Packet(text.encode())
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = round(start_s * 1000)
            packet.duration = round((end_s - start_s) * 1000)
            said.append(packet)
        for packet in sorted([*packets, *said], key=lambda p: p.dts * p.time_base):
            out.mux(packet)
    return path


def joined(path: Path, *parts: Path) -> Path:
    """Byte after byte, as recorders join transport streams."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def truncated(path: Path, source: Path, share: float) -> Path:
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def _gap(number: int) -> int:
    return number if number < 40 else number + 70


def _vfr(number: int) -> int:
    return 40 * number + (13 * number * number) % 31


PTS_BASE = Fraction(1, 90_000)
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("closed.mp4"),
        Recipe("open.mp4", options=OPEN_GOP),
        Recipe("open.ts", options=OPEN_GOP),
        Recipe("no_b.mp4", options=NO_B_FRAMES),
        Recipe("hevc_open.mp4", codec="libx265", options=HEVC_OPEN),
        Recipe("hevc_closed.mkv", codec="libx265", options=HEVC_CLOSED),
        Recipe("refresh.mp4", options={"x264-params": "intra-refresh=1:keyint=25:bframes=0", "preset": "veryfast"}),
        Recipe("vfr.mkv", ticks=_vfr, time_base=Fraction(1, 1000)),
        Recipe("gap.mp4", ticks=_gap),
        Recipe("late.mp4", shift_s=Fraction(3, 5)),
        Recipe("edit.mp4", shift_s=Fraction(-2, 5), container_options={"avoid_negative_ts": "disabled"}),
        Recipe("closed.ts", format="mpegts", sound=True),
        Recipe("wrap.ts", shift_s=Fraction(2**33, 90_000) - 2, container_options={"avoid_negative_ts": "disabled"}),
        Recipe("fragments.mp4", container_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
        Recipe("closed.mkv"),
        Recipe(
            "vp9.webm",
            codec="libvpx-vp9",
            options={"g": "25", "deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "10"},
        ),
        Recipe(
            "vp8.webm", codec="libvpx", options={"g": "25", "deadline": "good", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "10"}
        ),
        Recipe("av1.mp4", count=60, codec="libsvtav1", options={"g": "25", "preset": "12", "svtav1-params": "lp=1"}),
        Recipe("h264.avi"),
        Recipe("mpeg4.avi", codec="mpeg4", options={"g": "25", "bf": "2", "qscale": "3"}),
        Recipe("mpeg2.mpg", codec="mpeg2video", options={"g": "12", "bf": "2", "b": "3000000"}, format="mpeg"),
        Recipe("mpeg2.ts", codec="mpeg2video", options={"g": "12", "bf": "2", "b": "3000000"}),
        Recipe("raw.h264", format="h264"),
        Recipe("raw.hevc", codec="libx265", options=HEVC_CLOSED, format="hevc"),
        Recipe("moving.gif", count=40, codec="gif", options={}, pix_fmt="rgb8", rate=Fraction(10)),
        Recipe("slow.mp4", count=8, rate=Fraction(1)),
        Recipe("fast.mp4", rate=Fraction(120)),
        Recipe("single.mp4", count=1),
        Recipe("interlaced.mp4", options={**CLOSED_GOP, "flags": "+ilme+ildct"}),
        Recipe(
            "hdr.mkv",
            codec="libx265",
            options={
                "x265-params": HEVC_OPEN["x265-params"] + ":transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc",
                "preset": "ultrafast",
            },
            pix_fmt="yuv420p10le",
        ),
        Recipe("full.mp4", pix_fmt="yuvj420p"),
        Recipe("turned.mp4", rotation_deg=-90),
        Recipe("portrait.mp4", size_px=(WIDTH, 352)),
    )
}

"""Small films of every kind, written by PyAV: moving noise with cuts, and a voice-like tone. Knows containers, nothing of the product."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

SOUND_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Film:
    """What to write. pts: presentation times in 1 / `ticks_per_s`, by default every 1 / rate_fps from 0 on."""

    seconds: float = 2.0
    rate_fps: int = 10
    width_px: int = 160
    height_px: int = 90
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    codec_options: Mapping[str, str] = field(default_factory=dict)
    sound: str = ""  # an audio codec; none where empty
    format_options: Mapping[str, str] = field(default_factory=dict)
    pts: tuple[int, ...] = ()
    ticks_per_s: int = 1000
    seed: int = 0


def write_film(path: Path, film: Film) -> Path:
    with av.open(str(path), "w", options=dict(film.format_options)) as out:
        pictures = _add_pictures(out, film) if film.codec else None
        sound = out.add_stream(film.sound, rate=SOUND_RATE_HZ, layout="mono") if film.sound else None
        if pictures is not None:
            for frame in _frames(film):
                out.mux(pictures.encode(frame))
            out.mux(pictures.encode(None))
        if sound is not None:
            for block in _sound(film.seconds, sound.codec_context):
                out.mux(sound.encode(block))
            out.mux(sound.encode(None))
    return path


def _add_pictures(out: av.container.OutputContainer, film: Film) -> av.VideoStream:
    stream = out.add_stream(film.codec, rate=film.rate_fps, options=dict(film.codec_options))
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = film.width_px, film.height_px, film.pixel_format
    if film.pts:
        stream.codec_context.time_base = Fraction(1, film.ticks_per_s)
    return stream


def _frames(film: Film) -> Iterable[av.VideoFrame]:
    """A scene of drifting blocks that changes every 7 s; a bright flash on every tenth picture."""
    scenes = [_scene(film, k) for k in range(4)]
    convert = VideoReformatter()
    for k in range(len(film.pts) or round(film.seconds * film.rate_fps)):
        scene = scenes[k // (7 * film.rate_fps) % len(scenes)]
        left = k % film.width_px
        picture = scene[:, left : left + film.width_px] + np.uint8(40 * (k % 10 == 0))
        frame = convert.reformat(av.VideoFrame.from_ndarray(picture, format="rgb24"), format=film.pixel_format)
        frame.pts = film.pts[k] if film.pts else k
        frame.time_base = Fraction(1, film.ticks_per_s if film.pts else film.rate_fps)
        yield frame


def _scene(film: Film, number: int) -> NDArray[np.uint8]:
    """(H, 2 W, 3): blocks of colour, twice as wide as a picture."""
    texture = np.random.default_rng([film.seed, number]).integers(16, 200, (film.height_px // 8 + 2, film.width_px // 4 + 2, 3), np.uint8)
    return texture.repeat(8, 0).repeat(8, 1)[: film.height_px, : 2 * film.width_px]


def _sound(seconds: float, codec: av.CodecContext) -> Iterable[av.AudioFrame]:
    """A tone that swells each second, over faint noise."""
    size = SOUND_RATE_HZ // 10
    noise = np.random.default_rng(5)
    for k in range(round(seconds * 10)):
        t = (k * size + np.arange(size)) / SOUND_RATE_HZ
        samples = 0.3 * np.sin(2 * np.pi * 330 * t) * (t % 1) + 0.01 * noise.standard_normal(size)
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE_HZ, k * size, Fraction(1, SOUND_RATE_HZ)
        yield frame


def rewritten(source: Path, target: Path, pts_of: Callable[[int, int], int | None]) -> Path:
    """The same packets under other display times: pts_of(packet number, pts in milliseconds)."""
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0])
        for number, packet in enumerate(p for p in film.demux(video=0) if p.size):
            packet.pts, packet.dts = pts_of(number, packet.pts or 0), number - 10_000  # a muxer wants decoding times to ascend
            packet.stream = stream
            out.mux(packet)
    return target


def attach(source: Path, target: Path, count: int) -> Path:
    """The same film with `count` attachments, as fonts and covers come along in Matroska."""
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0])
        for number in range(count):
            out.add_attachment(f"font {number}.ttf", "font/ttf", bytes(range(256)))
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return target


def quarter_turned(mp4: bytes) -> bytes:
    """An MP4's bytes with the display matrix of a phone held upright."""
    upright = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    at = mp4.index(upright, mp4.index(b"tkhd"))
    return mp4[:at] + turned + mp4[at + len(upright) :]


def huge_gif(width_px: int, height_px: int) -> bytes:
    """A GIF of a few bytes whose header claims this size."""
    size = struct.pack("<HH", width_px, height_px)
    pixels = b"\x2c\0\0\0\0" + size + b"\0\x02\x02\x4c\x01\0"
    return b"GIF89a" + size + b"\x80\0\0" + b"\0\0\0\xff\xff\xff" + pixels + b"\x3b"

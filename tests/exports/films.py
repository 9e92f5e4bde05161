"""Small films whose picture and sound both say what time it is: a white frame and a beep at every whole second."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipelines.exports.movie import RATE_HZ, sound_of
from pipelines.media import index_video, shown_frames

BEEP_S = 0.08
QUICK = {"libx264": {"crf": "20", "g": "30", "preset": "veryfast"}, "libvpx": {"deadline": "realtime", "cpu-used": "8"}}


def make_film(
    path: Path,
    seconds: float,
    *,
    rate: int = 25,
    codec: str = "libx264",
    sound: str | None = "aac",
    container: str | None = None,
    drop: float = 0.0,
    start_s: float = 0.0,
    size: tuple[int, int] = (160, 90),
) -> Path:
    """A grey film with a white picture for BEEP_S at every whole second, and a beep with it.

    drop: share of the pictures left out, so that the frame rate varies. start_s: where both streams begin on the container's axis.
    """
    rng = np.random.default_rng(5)
    with av.open(str(path), "w", format=container) as out:
        film = out.add_stream(codec, rate=rate, options=QUICK.get(codec, {}))
        film.width, film.height, film.pix_fmt = *size, "yuv420p"
        film.time_base = film.codec_context.time_base = Fraction(1, 90_000) if drop else Fraction(1, rate)
        heard = out.add_stream(sound, rate=RATE_HZ, layout="stereo") if sound else None
        for second in range(int(np.ceil(seconds))):
            ticks = [
                k for k in range(second * rate, min((second + 1) * rate, round(seconds * rate))) if k % rate < 3 or rng.random() >= drop
            ]
            for k in ticks:
                luma = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
                luma[: size[1]] = 235 if k % rate < round(BEEP_S * rate) else 60
                frame = av.VideoFrame.from_ndarray(luma, "yuv420p")
                frame.time_base = film.codec_context.time_base
                frame.pts = round((start_s + Fraction(k, rate)) / frame.time_base)
                out.mux(film.encode(frame))
            if heard is not None:
                _beep(out, heard, second, min(1.0, seconds - second), start_s)
        for stream in (film, heard):
            if stream is not None:
                out.mux(stream.encode(None))
    return path


def _beep(out: av.container.OutputContainer, stream: av.AudioStream, second: int, length_s: float, start_s: float) -> None:
    times = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    tone = np.where(times < BEEP_S, 0.7 * np.sin(2 * np.pi * 1000 * times), 0).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
    frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
    frame.pts = round((start_s + second) * RATE_HZ)
    out.mux(stream.encode(frame))


def flashes_s(path: Path) -> list[float]:
    """When the picture turns white."""
    index = index_video(path)
    assert index is not None
    white = [(s.start_s, bool(s.frame.to_ndarray(format="gray").mean() > 150)) for s in shown_frames(path, index, 0.0, 1e9)]
    return [time_s for (time_s, on), (_, before) in zip(white, [(0.0, False), *white], strict=False) if on and not before]


def picture_times_s(path: Path) -> list[tuple[float, float]]:
    index = index_video(path)
    assert index is not None
    return [(s.start_s, s.end_s) for s in shown_frames(path, index, 0.0, 1e9)]


def beeps_s(path: Path, seconds: float) -> list[float]:
    """When the sound begins."""
    samples = np.concatenate(list(sound_of(path, Fraction(0), Fraction(seconds))), axis=1)
    loud = np.abs(samples[0]) > 0.2
    starts = np.flatnonzero(loud)
    return [float(n) / RATE_HZ for i, n in enumerate(starts) if i == 0 or n - starts[i - 1] > RATE_HZ // 20]

"""Small sound files with known content, made by PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def sine(seconds: float, rate_hz: int = 48_000, *, hz: float = 1000.0, peak: float = 0.1, channels: int = 2) -> NDArray[np.float32]:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.tile((peak * np.sin(2 * np.pi * hz * times)).astype(np.float32), (channels, 1))


def clicks(seconds: float, at_s: list[float], rate_hz: int = 48_000, channels: int = 2) -> NDArray[np.float32]:
    """Silence with a burst of 2 ms at each instant."""
    samples = np.zeros((channels, round(seconds * rate_hz)), np.float32)
    for instant in at_s:
        first = round(instant * rate_hz)
        samples[:, first : first + rate_hz // 500] = 0.8
    return samples


def busy(seconds: float, seed: int, rate_hz: int = 48_000) -> NDArray[np.float32]:
    """(1, n) chords, beats and breath that never come again: notes of random pitch, length and colour."""
    rng = np.random.default_rng(seed)
    out = rng.normal(0, 0.01, round(seconds * rate_hz))
    start_s = 0.0
    while start_s < seconds - 0.5:
        length_s = rng.uniform(0.1, 0.5)
        times = np.arange(round(length_s * rate_hz)) / rate_hz
        note = sum(rng.uniform(0.1, 1) * np.sin(2 * np.pi * hz * times) for hz in rng.uniform(150, 4000, 4))
        note = (note + rng.normal(0, rng.uniform(0, 0.7), len(times))) * np.exp(-times * rng.uniform(1, 8))
        first = round(start_s * rate_hz)
        out[first : first + len(times)] += note
        start_s += rng.uniform(0.05, 0.3)
    return (0.3 * out / np.abs(out).max()).astype(np.float32)[None]


def write(
    path: Path, pieces: list[tuple[float, NDArray[np.float32]]], rate_hz: int = 48_000, codec: str = "pcm_s16le", **options: str
) -> Path:
    """A file whose sound has each piece (C, n) at its time in seconds, with nothing in between."""
    channels = len(pieces[0][1])
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream)
        stream.time_base = Fraction(1, rate_hz)
        form = stream.codec_context.format.name
        for start_s, samples in pieces:
            resampler = av.AudioResampler(format=form, layout=layout, rate=rate_hz, frame_size=stream.codec_context.frame_size or 1024)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, round(start_s * rate_hz), Fraction(1, rate_hz)
            for ready in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return path

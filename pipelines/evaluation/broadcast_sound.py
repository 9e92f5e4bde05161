"""Makes sound that is like speech, music and ambience enough to have loudness, pauses, timbre and rhythm. Float32 mono in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Wave = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker: a stock of syllables, and how fast and with which pauses (seconds) they follow one another."""

    syllables: tuple[Wave, ...]
    phrase: tuple[int, int]
    pause_s: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tune:
    """A piece of music: notes of one instrument, their order, a drum, seconds a beat."""

    notes: tuple[Wave, ...]
    order: tuple[int, ...]
    drum: Wave
    beat_s: float


def make_voice(rng: Generator, rate_hz: int, hurried: bool = False) -> Voice:
    pitch = rng.uniform(85, 240)
    syllables = tuple(_syllable(rng, rate_hz, pitch * rng.uniform(0.85, 1.2), rng.uniform(0.09, 0.22)) for _ in range(24))
    return Voice(syllables, (8, 20), (0.05, 0.25)) if hurried else Voice(syllables, (3, 14), (0.2, float(rng.uniform(0.6, 2.5))))


def _syllable(rng: Generator, rate_hz: int, pitch_hz: float, length_s: float) -> Wave:
    t = np.arange(int(length_s * rate_hz)) / rate_hz
    formants = (rng.uniform(300, 800), rng.uniform(900, 2200), rng.uniform(2300, 3200))
    wave = np.zeros(len(t))
    for k in range(1, int(min(3800, rate_hz * 0.45) / pitch_hz)):
        weight = sum(np.exp(-(((k * pitch_hz - f) / 180) ** 2)) for f in formants) + 0.02
        wave += weight * np.sin(2 * np.pi * k * pitch_hz * (t - 0.1 * t * t) + k)
    hiss = rng.normal(0, 1, len(t)) * np.exp(-t / 0.02) * rng.uniform(0, 1.5)
    return _even((wave + hiss) * np.hanning(len(t)))


def speak(rng: Generator, voice: Voice, samples: int, rate_hz: int) -> Wave:
    parts: list[Wave] = []
    length = 0
    while length < samples:
        for _ in range(rng.integers(*voice.phrase)):
            parts.append(voice.syllables[rng.integers(len(voice.syllables))] * np.float32(rng.uniform(0.5, 1)))
        parts.append(np.zeros(int(rng.uniform(*voice.pause_s) * rate_hz), np.float32))
        length = sum(map(len, parts)) if len(parts) < 50 else length + sum(map(len, parts[-25:]))
        if length >= samples:
            length = sum(map(len, parts))
    return np.concatenate(parts)[:samples]


def make_tune(rng: Generator, rate_hz: int, fast: bool = False) -> Tune:
    beat = rng.uniform(0.22, 0.4) if fast else rng.uniform(0.35, 0.8)
    root, timbre = rng.uniform(110, 330), rng.uniform(0.3, 0.8)
    scale = rng.choice([0, 2, 3, 4, 5, 7, 9, 10, 12], 6, replace=False)
    notes = tuple(_note(rate_hz, root * 2 ** (step / 12), timbre, beat * rng.uniform(1, 2)) for step in scale)
    t = np.arange(int(0.15 * rate_hz)) / rate_hz
    drum = _even(rng.normal(0, 1, len(t)) * np.exp(-t / 0.03)) * np.float32(rng.choice([0.0, 0.5, 1.0]))
    return Tune(notes, tuple(int(k) for k in rng.integers(0, 6, 16)), drum, float(beat))


def _note(rate_hz: int, pitch_hz: float, timbre: float, length_s: float) -> Wave:
    t = np.arange(int(length_s * rate_hz)) / rate_hz
    wave = sum(timbre**k * np.sin(2 * np.pi * pitch_hz * k * t) for k in range(1, 9) if k * pitch_hz < rate_hz / 2)
    chord = wave + 0.5 * np.sin(2 * np.pi * pitch_hz * 1.5 * t)
    return _even(chord * np.exp(-t / (0.6 * length_s)) * np.minimum(1, t / 0.01))


def play(rng: Generator, tune: Tune, samples: int, rate_hz: int) -> Wave:
    """The tune for so many samples; like a player, never twice quite the same."""
    step = int(tune.beat_s * rate_hz)
    wave = np.zeros(samples + 4 * step, np.float32)
    for k in range(samples // step + 1):
        note = tune.notes[tune.order[k % len(tune.order)] if rng.random() < 0.7 else rng.integers(len(tune.notes))]
        wave[k * step : k * step + len(note)] += note[: 4 * step]
        wave[k * step : k * step + len(tune.drum)] += tune.drum[: 4 * step]
    return wave[:samples]


def make_ambience(rng: Generator, rate_hz: int, seconds: float = 8.0) -> Wave:
    """A place's background: some seconds of noise of its own colour, a stock for `rustle`."""
    n = int(seconds * rate_hz)
    frequency = np.fft.rfftfreq(n, 1 / rate_hz)
    shape = (1 + frequency / 60) ** -rng.uniform(0.3, 1.3) + np.exp(-(((frequency - rng.uniform(200, 3000)) / 150) ** 2)) * rng.uniform(
        0, 0.2
    )
    return _even(np.fft.irfft(np.fft.rfft(rng.normal(0, 1, n)) * shape, n))


def rustle(rng: Generator, stock: Wave, samples: int, rate_hz: int) -> Wave:
    """Background of any length without a period: short cuts of the stock in random order."""
    cut = rate_hz // 2
    starts = rng.integers(0, len(stock) - cut, samples // cut + 1)
    return np.concatenate([stock[k : k + cut] for k in starts])[:samples]


def at_level(wave: Wave, level_db: float) -> Wave:
    """The wave scaled to this root mean square in dB below full scale, peaks rounded off."""
    rms = float(np.sqrt(np.mean(np.square(wave)))) if len(wave) else 0.0
    scaled = wave * np.float32(10 ** (level_db / 20) / max(rms, 1e-6))
    return np.asarray(np.tanh(scaled), np.float32)


def _even(wave: NDArray[np.floating]) -> Wave:
    return np.asarray(wave / max(float(np.sqrt(np.mean(wave**2))), 1e-9), np.float32)

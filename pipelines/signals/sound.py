"""Numbers from one block's sound. Pure functions of arrays on a fixed grid; the time of a value is the middle of its window.

C = channels (1 or 2), S = samples at 16 kHz, J = short spectra, one per HOP, M = mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import SOUND_RATE_HZ
from pipelines.series import Series
from pipelines.signals.fingerprint import WORD_S, words_of
from pipelines.signals.speech import EVERY_S, speech_probability

HOP = 320  # 20 ms: whole numbers of hops make 0.04, 0.1 and 0.2 s, and all of them make a minute
WINDOW = 640  # 40 ms: 25 Hz a bin
LEVEL_S, LOUDNESS_S, TEXTURE_S = 0.1, 0.1, 0.2
HOPS_A_TEXTURE = round(TEXTURE_S * SOUND_RATE_HZ / HOP)
SILENCE_DB = -120.0
FLUX_FLOOR_DB = -70.0  # what is softer than this rises and falls unheard
MEL_BANDS = 24
MEL_STEP_DB, MEL_FLOOR_DB = 0.5, -110.0  # a stored band value v is MEL_FLOOR_DB + v * MEL_STEP_DB


@dataclass(frozen=True, slots=True)
class BlockSound:
    """A block's sound and what lies around it.

    samples: (C, S) at 16 kHz from `first_s` on; loudness: (n, 2) momentary and short-term LUFS at first_s + 0.1 (i + 1).
    The block owns `[start_s, end_s)`; `end_s` is where the sound ends if that is inside the block.
    """

    start_s: float
    end_s: float
    first_s: float
    samples: NDArray[np.float32]
    loudness: NDArray[np.float32]


def measure_block_sound(sound: BlockSound) -> dict[str, Series]:
    """The series of one block.

    sound.momentary, sound.loudness  LUFS of 0.4 s and 3 s (EBU R128, original channels), 10 Hz
    sound.level                      RMS of the louder channel, dBFS, 10 Hz
    sound.mel                        (24,) uint8 per 0.2 s: mean power in mel bands, 0.5 dB steps from -110 dB
    sound.tone, sound.tone_hz        share of the power in the strongest spectral line, and where it lies, per 0.2 s
    sound.centroid                   Hz, power-weighted mean frequency, per 0.2 s
    sound.flux                       mean rise of the mel bands in dB per 20 ms, per 0.2 s
    sound.speech                     probability that somebody speaks, listened to for 0.3 s every 3 s
    sound.fingerprint                uint32 per 0.04 s: see `pipelines.signals.fingerprint`
    sound.width                      share of the power that the two channels do not share, per 0.2 s (0 = mono)
    """
    power_JF = short_spectra(sound.samples.mean(axis=0, dtype=np.float32))
    textures = {
        name: _own(sound, _middles(sound, TEXTURE_S, len(values)), values) for name, values in _textures(sound.samples, power_JF).items()
    }
    return {
        "sound.momentary": _loudness(sound, 0, 0.4),
        "sound.loudness": _loudness(sound, 1, 3.0),
        "sound.level": _level(sound),
        "sound.speech": _speech(sound),
        "sound.fingerprint": _fingerprint(sound, power_JF),
    } | textures


def _own(sound: BlockSound, times_s: NDArray[np.float64], values: NDArray[np.generic]) -> Series:
    return Series(times_s, values).within(sound.start_s, sound.end_s)


def _loudness(sound: BlockSound, column: int, window_s: float) -> Series:
    values = np.fmax(sound.loudness[:, column], SILENCE_DB)  # the filter says "nan" of digital silence
    # In tenths of a second, so that a value's time is the same double in whatever block it is measured.
    tenths = round(sound.first_s * 10) + np.arange(1, len(values) + 1) - round(window_s * 5)
    return _own(sound, tenths / 10, values)


def _level(sound: BlockSound) -> Series:
    window = round(LEVEL_S * SOUND_RATE_HZ)
    count = sound.samples.shape[1] // window
    power = np.square(sound.samples[:, : count * window]).reshape(-1, count, window).mean(axis=2).max(axis=0)
    times = _middles(sound, LEVEL_S, count)
    return _own(sound, times, decibels(power))


def _middles(sound: BlockSound, step_s: float, count: int) -> NDArray[np.float64]:
    """Middles of the windows of `step_s` from the first sample on; the same doubles in whatever block they are measured."""
    return np.asarray((round(sound.first_s / step_s) + np.arange(count) + 0.5) * step_s, np.float64)


def short_spectra(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """(J, 321) power of bins 25 Hz apart; spectrum j is centred on hop j, and a full-scale sine sums to 1/2 over its bins."""
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    window *= np.float32(1 / np.sqrt(WINDOW * np.square(window).sum() / 2))
    around = np.pad(mono, (WINDOW - HOP) // 2)
    spectra = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(around, WINDOW)[::HOP] * window, axis=1)
    return np.asarray(np.square(spectra.real) + np.square(spectra.imag))


def _speech(sound: BlockSound) -> Series:
    """The detector's memory begins with the block, so only the block's own sound goes in."""
    own = sound.samples[:, round((sound.start_s - sound.first_s) * SOUND_RATE_HZ) :].mean(axis=0, dtype=np.float32)
    values = speech_probability(own)
    return _own(sound, sound.start_s + EVERY_S * (np.arange(len(values), dtype=np.float64) + 0.5), values)


def _fingerprint(sound: BlockSound, power_JF: NDArray[np.float32]) -> Series:
    words = words_of(power_JF)
    return _own(sound, _middles(sound, WORD_S, len(words)), words)


def _textures(samples: NDArray[np.float32], power_JF: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    """What stretches of 0.2 s sound like."""
    mono = samples.mean(axis=0, dtype=np.float32)
    mel_JM = np.add.reduceat(power_JF, MEL_EDGES, axis=1)[:, :MEL_BANDS]
    mel_dB = decibels(mel_JM)
    rises = np.maximum(np.diff(np.maximum(mel_dB, FLUX_FLOOR_DB), axis=0, prepend=mel_dB[:1]), 0).mean(axis=1)
    mean_TF = power_JF.reshape(-1, HOPS_A_TEXTURE, power_JF.shape[1]).mean(axis=1)
    total = np.maximum(mean_TF[:, 1:].sum(axis=1), 1e-12)
    peak = mean_TF[:, 1:-1].argmax(axis=1) + 1
    line = sum(
        np.take_along_axis(mean_TF, np.clip(peak + k, 1, None)[:, None].clip(max=mean_TF.shape[1] - 1), 1)[:, 0] for k in (-2, -1, 0, 1, 2)
    )
    width = np.square(samples[0] - samples[-1]).reshape(len(total), -1).mean(axis=1) / 4
    stored = (decibels(mel_JM.reshape(-1, HOPS_A_TEXTURE, MEL_BANDS).mean(axis=1)) - MEL_FLOOR_DB) / MEL_STEP_DB
    return {
        "sound.mel": np.clip(np.rint(stored), 0, 255).astype(np.uint8),
        "sound.tone": np.minimum(line / total, 1).astype(np.float32),
        "sound.tone_hz": (peak * (SOUND_RATE_HZ / WINDOW)).astype(np.float32),
        "sound.centroid": ((mean_TF * BIN_HZ).sum(axis=1) / total).astype(np.float32),
        "sound.flux": rises.reshape(-1, HOPS_A_TEXTURE).mean(axis=1).astype(np.float32),
        "sound.width": (width / np.maximum(width + np.square(mono).reshape(len(total), -1).mean(axis=1), 1e-12)).astype(np.float32),
    }


def _mel_edges() -> NDArray[np.intp]:
    """First bins of the bands: equally wide in mel from 50 Hz up, at least one bin each, and the end of the last."""
    mel = np.linspace(2595 * np.log10(1 + 50 / 700), 2595 * np.log10(1 + 7800 / 700), MEL_BANDS + 1)
    bins = np.rint(700 * (10 ** (mel / 2595) - 1) / (SOUND_RATE_HZ / WINDOW)).astype(np.intp)
    return np.asarray(np.maximum(bins, bins[0] + np.arange(MEL_BANDS + 1)))


MEL_EDGES = _mel_edges()
BIN_HZ = np.arange(WINDOW // 2 + 1, dtype=np.float32) * np.float32(SOUND_RATE_HZ / WINDOW)


def decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power, 1e-30)), SILENCE_DB), np.float32)

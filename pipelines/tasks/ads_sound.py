"""What a stretch sounds like, against the rest of the film. Knows the sound's series, judges nothing.

n = values of a series, B = mel bands, W = windows of the film, k = stretches asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.series import Measured, Series
from pipelines.tasks.ads_clips import Numbers

WINDOW_S, HOP_S = 8.0, 4.0
HORIZON_S = 1800.0  # how far a sound may return from
NEAREST = 3
SILENCE_DB = -120.0
GATE_LU = 12.0  # below the median: a pause, not a level
QUIET_DB = 22.0  # below the film's usual level: a silence


@dataclass(frozen=True, slots=True)
class Sums:
    """Running sums of a series: the mean over any stretch in constant time. totals: (n + 1, ...)."""

    times_s: Numbers
    totals: NDArray[np.float64]

    def mean(self, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
        """(k, ...) means of the values in each `[start, end)`; nan where there is none."""
        first, last = np.searchsorted(self.times_s, starts), np.searchsorted(self.times_s, ends)
        count = (last - first).astype(np.float64)
        sums = self.totals[last] - self.totals[first]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums / count.reshape(-1, *(1,) * (sums.ndim - 1)))


def sums_of(times_s: Numbers, values: NDArray[np.floating]) -> Sums:
    return Sums(times_s, np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)]))


@dataclass(frozen=True, slots=True)
class Hearing:
    """A film's sound, ready to be asked about stretches."""

    power: Sums  # of momentary loudness
    sounding: Sums  # LUFS where there is sound, (n,); pauses are left out
    usual_lufs: float  # the same for the whole film: the median
    timbre: Sums  # mel bands and their squares, dB, (n, 2 B)
    window_s: Numbers  # (W,) where each comparison window begins
    windows: NDArray[np.float32]  # (W, 2 B)
    usual_novelty: float
    level: Series
    usual_level: float

    def lufs(self, starts: Numbers, ends: Numbers) -> Numbers:
        return np.asarray(10 * np.log10(np.maximum(self.power.mean(starts, ends), 1e-12)))

    def louder(self, starts: Numbers, ends: Numbers) -> Numbers:
        """(k,) LU by which each stretch's sounding moments are above the film's, on average: pauses and peaks weigh little."""
        return np.clip(np.nan_to_num(self.sounding.mean(starts, ends) - self.usual_lufs), -8, 8)

    def novelty(self, starts: Numbers, ends: Numbers) -> Numbers:
        """(k,) log of the distance to the nearest windows outside each stretch over the usual such distance. 0 where nothing is heard."""
        described = _describe(self.timbre.mean(starts, ends))
        near = self._nearest(described, starts, ends)
        return np.nan_to_num(np.log(np.maximum(near, 1e-3) / self.usual_novelty), nan=0.0, posinf=0.0)

    def _nearest(self, described: NDArray[np.float32], starts: Numbers, ends: Numbers) -> Numbers:
        first, last = np.searchsorted(self.window_s, [starts.min() - HORIZON_S, ends.max() + HORIZON_S])
        begins, windows = self.window_s[first:last], self.windows[first:last]
        if len(begins) < NEAREST + 1:
            return np.full(len(starts), np.nan)
        apart = _apart(described, windows)
        apart[(begins[None] + WINDOW_S > starts[:, None] - 1) & (begins[None] < ends[:, None] + 1)] = np.inf
        return np.asarray(np.partition(apart, NEAREST - 1, axis=1)[:, :NEAREST].mean(axis=1), np.float64)

    def jumps(self, at_s: Numbers) -> Numbers:
        """(k,) how much the timbre changes at each instant, 1 = as usual at such instants."""
        step = _describe(self.timbre.mean(at_s - 1.7, at_s - 0.1)) - _describe(self.timbre.mean(at_s + 0.1, at_s + 1.7))
        size = np.nan_to_num(np.sqrt(np.mean(step.astype(np.float64) ** 2, axis=1)))
        usual = float(np.median(size[size > 0])) if np.any(size > 0) else 1.0
        return np.asarray(size / max(usual, 1e-6))

    def silences(self, starts: Numbers, ends: Numbers) -> NDArray[np.bool_]:
        """(k,) whether the sound stops somewhere between each joint's begin and end."""
        first, last = np.searchsorted(self.level.times_s, [starts - 0.15, ends + 0.15])
        values = self.level.values
        quiet = [bool(b > a and values[a:b].min() < self.usual_level - QUIET_DB) for a, b in zip(first, last, strict=True)]
        return np.array(quiet, bool)


def listen(measured: Measured) -> Hearing | None:
    """None where the film has no sound to speak of."""
    loudness, mel, level = (measured.get(f"sound.{name}") for name in ("momentary", "mel", "level"))
    return None if loudness is None or mel is None or level is None else hearing_of(loudness, mel, level)


def hearing_of(loudness: Series, mel: Series, level: Series) -> Hearing | None:
    """None where there is next to nothing but silence."""
    lufs = np.nan_to_num(loudness.values.astype(np.float64), nan=SILENCE_DB)  # the meter says nan of digital silence
    sounding = lufs[lufs > -60]
    if len(sounding) < 0.2 * len(lufs) or len(sounding) < 100:
        return None
    bands = mel.values.astype(np.float32) * 0.5
    bands -= bands.mean(axis=1, keepdims=True)  # timbre, not loudness: levels are told apart elsewhere
    timbre = sums_of(mel.times_s, np.concatenate([bands, bands**2], axis=1))
    begins = np.arange(0, max(mel.times_s[-1] - WINDOW_S, 0), HOP_S)
    windows = np.nan_to_num(_describe(timbre.mean(begins, begins + WINDOW_S)))
    usual = _usual_novelty(begins, windows)
    levels = np.nan_to_num(level.values.astype(np.float64), nan=SILENCE_DB)
    power = sums_of(loudness.times_s, 10 ** (lufs / 10))
    heard = lufs > np.median(sounding) - GATE_LU
    return Hearing(
        power,
        sums_of(loudness.times_s[heard], lufs[heard]),
        float(np.median(lufs[heard])),
        timbre,
        begins,
        windows,
        usual,
        level,
        float(np.median(levels[levels > -60])),
    )


def _describe(means: NDArray[np.float64]) -> NDArray[np.float32]:
    """(k, 2 B): the mean of each band and how much it varies, dB."""
    bands = means.shape[1] // 2
    spread = np.sqrt(np.maximum(means[:, bands:] - means[:, :bands] ** 2, 0))
    return np.concatenate([means[:, :bands], spread], axis=1).astype(np.float32)


def _apart(rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
    square = (rows**2).sum(1)[:, None] + (columns**2).sum(1)[None] - 2 * rows @ columns.T
    return np.asarray(np.sqrt(np.maximum(square, 0) / rows.shape[1]), np.float32)


def _usual_novelty(begins: Numbers, windows: NDArray[np.float32]) -> float:
    """Median over the film of a window's distance to its nearest ones a quarter of a minute and more away."""
    found = []
    for first in range(0, len(begins), 200):
        rows = slice(first, first + 200)
        apart = _apart(windows[rows], windows[max(0, first - 450) : first + 650])
        lag = np.abs(begins[rows, None] - begins[None, max(0, first - 450) : first + 650])
        apart[lag < 15 + WINDOW_S] = np.inf
        if apart.shape[1] > NEAREST:
            found.append(np.partition(apart, NEAREST - 1, axis=1)[:, :NEAREST].mean(axis=1))
    values = np.concatenate(found) if found else np.zeros(0)
    values = values[np.isfinite(values)]
    return max(float(np.median(values)), 0.3) if len(values) else 1.0

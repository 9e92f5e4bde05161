"""Pictures, sound and time: the values every layer speaks. Knows numpy and the player's clock, nothing of files or nets.

N = frames, H = height in pixels, W = width in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

SOUND_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True, order=True)
class TimeSpan:
    """A half-open stretch of a video, `[start_s, end_s)`, in seconds on the player's clock."""

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"a time span runs forward from 0, got [{self.start_s}, {self.end_s})")

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    def overlap_s(self, other: TimeSpan) -> float:
        """Seconds that both spans share, 0 when they do not touch."""
        return max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))


@dataclass(frozen=True, slots=True)
class Clock:
    """How a stream's ticks become seconds: 0 s is the container's start, as a player shows it.

    time_base: seconds a tick. origin_s: the container's start time on the stream's own axis, seconds.
    """

    time_base: Fraction
    origin_s: Fraction = Fraction(0)

    def seconds(self, tick: int) -> float:
        # One division of whole numbers rounds as the fraction would, in a tenth of the time; this runs once a picture.
        base, origin = self.time_base, self.origin_s
        parts = base.denominator * origin.denominator
        return (tick * base.numerator * origin.denominator - origin.numerator * base.denominator) / parts

    def tick(self, seconds: float) -> int:
        """The tick nearest to a time on the player's clock."""
        return round((Fraction(seconds).limit_denominator(10**9) + self.origin_s) / self.time_base)


@dataclass(frozen=True, slots=True)
class Frames:
    """Pixels with their times. pixels: (N, H, W, 3) uint8 RGB; times_s: (N,) float64 on the player's clock; ticks: (N,) int64."""

    pixels: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    ticks: NDArray[np.int64]

    def __post_init__(self) -> None:
        counts = (len(self.pixels), len(self.times_s), len(self.ticks))
        if len(set(counts)) != 1:
            raise ValueError(f"pictures and times must agree in number, got {counts} (pixels, times, ticks)")

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono sound on the player's clock. samples: float32 in [-1, 1] at 16 kHz; the first sample is at `start_s`.

    Stretches the file has no sound for are zeros here and listed in `gaps`.
    """

    samples: NDArray[np.float32]
    start_s: float
    gaps: tuple[TimeSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a visual encoder saw in N pictures.

    embeddings: (N, D) float32 of length 1; cells: (N, h, w, C) float32, one vector for each part of the picture;
    classes: (N, K) int16, the likeliest first; shares: (N, K) float32, their probabilities.
    """

    embeddings: NDArray[np.float32]
    cells: NDArray[np.float32]
    classes: NDArray[np.int16]
    shares: NDArray[np.float32]

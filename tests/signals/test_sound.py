from pathlib import Path

import numpy as np
import pytest

from pipelines.series import Series
from pipelines.signals.sound import MEL_FLOOR_DB, MEL_STEP_DB, SILENCE_DB, BlockSound, measure_block_sound
from pipelines.sound import measure_sound
from tests.soundtracks import busy, sine, write

# EBU Tech 3341, test 1: a stereo sine of 1 kHz at -23 dBFS peak reads -23 LUFS.
PEAK_23 = 10 ** (-23 / 20)


def measured(samples: np.ndarray) -> dict[str, Series]:
    """Series of a block that holds these samples at 16 kHz and nothing else."""
    whole = np.zeros((len(samples), 64 * 16_000), np.float32)
    whole[:, 32_000 : 32_000 + samples.shape[1]] = samples
    loudness = np.full((640, 2), -40.0, np.float32)
    return measure_block_sound(BlockSound(0.0, samples.shape[1] / 16_000, -2.0, whole, loudness))


@pytest.mark.parametrize("rate_hz", [48_000, 44_100])
def test_a_sine_reads_as_the_standard_says(tmp_path: Path, rate_hz: int):
    path = write(tmp_path / "a.wav", [(0, sine(6, rate_hz, peak=PEAK_23))], rate_hz)

    series = measure_sound(path, 0)

    assert series["sound.loudness"].within(2, 4).values == pytest.approx(-23.0, abs=0.1)
    assert series["sound.momentary"].within(1, 5).values == pytest.approx(-23.0, abs=0.1)
    assert series["sound.level"].within(1, 5).values == pytest.approx(-26.01, abs=0.1)  # RMS lies 3 dB below the peak


def test_surround_counts_its_channels(tmp_path: Path):
    front_only = np.zeros((6, 5 * 48_000), np.float32)
    front_only[:2] = sine(5, peak=PEAK_23)
    path = write(tmp_path / "a.mkv", [(0, front_only)], codec="ac3")

    assert measure_sound(path, 0)["sound.loudness"].within(2, 3).values == pytest.approx(-23.0, abs=0.3)


def test_loudness_changes_where_the_sound_does(tmp_path: Path):
    samples = np.concatenate([sine(5, peak=0.01), sine(5, peak=0.1)], axis=1)
    path = write(tmp_path / "a.wav", [(0, samples)])

    loudness = measure_sound(path, 0)["sound.loudness"]

    halfway = loudness.times_s[np.flatnonzero(10 ** (loudness.values / 10) > 0.5 * 10 ** (loudness.values.max() / 10))[0]]
    assert halfway == pytest.approx(5.0, abs=0.11)  # a value's time is the middle of its 3 s


def test_silence_is_silent_and_says_nothing():
    series = measured(np.zeros((1, 5 * 16_000), np.float32))

    assert set(series["sound.level"].values.tolist()) == {SILENCE_DB}
    assert not series["sound.fingerprint"].values.any()
    assert not series["sound.speech"].values.any()
    assert not series["sound.tone"].values.any()
    assert not series["sound.mel"].values.any()


def test_a_test_tone_stands_out_and_busy_sound_does_not():
    tone, other = measured(sine(5, 16_000, channels=1)), measured(busy(5, 4, 16_000))

    assert tone["sound.tone"].within(0.2, 4.8).values.min() > 0.99
    assert set(tone["sound.tone_hz"].within(0.2, 4.8).values.tolist()) == {1000.0}
    assert not tone["sound.fingerprint"].within(1, 4).values.any()  # a sustained tone cannot be recognised
    assert np.median(other["sound.tone"].values) < 0.7
    assert other["sound.fingerprint"].within(1, 4).values.all()


def test_mel_bands_hold_power_where_the_sound_is():
    bands = measured(sine(2, 16_000, hz=3000, channels=1))["sound.mel"].within(0.5, 1.5).values[0]

    level = MEL_FLOOR_DB + float(bands.max()) * MEL_STEP_DB
    assert level == pytest.approx(-23.0, abs=0.5)  # a sine of peak 0.1
    assert 14 <= bands.argmax() <= 16  # 3 kHz is 60 % of the way from 50 to 7800 Hz in mel


def test_width_tells_mono_from_opposite_channels():
    mono = np.tile(busy(2, 5, 16_000), (2, 1))
    opposite = mono * np.array([[1], [-1]], np.float32)

    assert measured(mono)["sound.width"].values.max() == 0
    assert measured(opposite)["sound.width"].within(0.5, 1.5).values == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_array_equal(measured(opposite)["sound.level"].values, measured(mono)["sound.level"].values)

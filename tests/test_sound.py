from pathlib import Path

import numpy as np
import pytest

from pipelines.interfaces import UnreadableVideo
from pipelines.sound import measure_sound, read_sound, sound_blocks
from tests.soundtracks import busy, clicks, sine, write

PRIMING_S = 1024 / 48_000  # MPEG-TS cannot hide the encoder's first frame: the file begins with it


def onsets_s(path: Path, start_s: float = 0, end_s: float = 20) -> list[float]:
    sound = read_sound(path, start_s, end_s)
    assert sound is not None
    loud = np.flatnonzero(np.abs(sound.samples) > 0.3)
    first = loud[np.diff(loud, prepend=-8000) > 1600]
    return [sound.start_s + int(k) / 16_000 for k in first]


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "channels"),
    [
        ("a.wav", "pcm_s16le", 44_100, 2),
        ("a.mp4", "aac", 48_000, 2),  # priming hidden by an edit list
        ("a.mkv", "aac", 44_100, 1),
        ("a.mkv", "libopus", 48_000, 2),  # 6.5 ms of priming inside the first packet
        ("a.ogg", "libopus", 48_000, 2),
        ("a.mkv", "ac3", 48_000, 6),
        ("a.mp3", "libmp3lame", 32_000, 2),
        ("a.mkv", "flac", 96_000, 2),
        ("a.wav", "pcm_s16le", 8_000, 1),
    ],
)
def test_a_click_lands_at_its_time_in_every_format(tmp_path: Path, name: str, codec: str, rate_hz: int, channels: int):
    path = write(tmp_path / name, [(0, clicks(4, [1.0, 2.5], rate_hz, channels))], rate_hz, codec)

    assert onsets_s(path) == pytest.approx([1.0, 2.5], abs=0.006)


def test_sound_behind_a_gap_keeps_its_time_and_the_gap_is_told(tmp_path: Path):
    path = write(tmp_path / "gap.mkv", [(0, clicks(2, [1.0])), (3.5, clicks(2, [0.5]))])

    assert onsets_s(path) == pytest.approx([1.0, 4.0], abs=0.002)
    sound = read_sound(path, 0, 10)
    assert sound is not None
    assert [(g.start_s, g.end_s) for g in sound.gaps] == [pytest.approx((2.0, 3.5), abs=0.002)]
    told = measure_sound(path, 0)["sound.gap"]
    assert (told.times_s.tolist(), told.values.tolist()) == (pytest.approx([2.0], abs=0.002), pytest.approx([3.5], abs=0.002))


def test_time_counts_from_the_containers_start(tmp_path: Path):
    path = write(tmp_path / "late.ts", [(7.0, clicks(3, [1.0]))], codec="aac")

    assert onsets_s(path) == pytest.approx([1.0 + PRIMING_S], abs=0.002)


def test_a_part_is_cut_from_the_same_samples_as_the_whole(tmp_path: Path):
    path = write(tmp_path / "a.wav", [(0, busy(6, 1))])

    whole, part = read_sound(path, 0, 6), read_sound(path, 2.25, 4.75)

    assert whole is not None and part is not None
    assert (part.start_s, len(part.samples)) == (2.25, 40_000)
    np.testing.assert_allclose(part.samples, whole.samples[36_000:76_000], atol=1e-4)  # resamplers begin at different seconds


def test_sound_that_ends_is_not_made_longer(tmp_path: Path):
    path = write(tmp_path / "a.wav", [(0, sine(2.5))])

    sound = read_sound(path, 0, 100)

    assert sound is not None
    assert (len(sound.samples), sound.gaps) == (40_000, ())
    assert measure_sound(path, 1) == {}


def test_each_block_is_the_same_alone_and_in_company(tmp_path: Path):
    path = write(tmp_path / "a.mp4", [(0, np.tile(busy(64, 2, 16_000), (2, 1)))], 16_000, "aac")

    together = dict(sound_blocks(path, range(2)))

    assert set(together[0]) >= {"sound.loudness", "sound.level", "sound.mel", "sound.fingerprint", "sound.speech"}
    for block in (1, 0):
        alone = measure_sound(path, block)
        assert set(alone) == set(together[block])
        for name, series in alone.items():
            np.testing.assert_array_equal(series.times_s, together[block][name].times_s, err_msg=name)
            np.testing.assert_array_equal(series.values, together[block][name].values, err_msg=name)


def test_blocks_join_without_a_seam(tmp_path: Path):
    path = write(tmp_path / "a.wav", [(0, np.tile(busy(70, 3, 16_000), (2, 1)))], 16_000)

    blocks = dict(sound_blocks(path, range(2)))

    times = np.concatenate([blocks[k]["sound.fingerprint"].times_s for k in (0, 1)])
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-9)
    assert blocks[1]["sound.loudness"].times_s[0] == 60.0
    assert abs(blocks[1]["sound.loudness"].values[0] - blocks[0]["sound.loudness"].values[-1]) < 2


def test_damage_costs_only_what_is_damaged(tmp_path: Path):
    path = write(tmp_path / "a.ts", [(0, clicks(12, [1.0, 11.0]))], codec="aac")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(np.random.default_rng(0).integers(0, 256, 4000, np.uint8))
    path.write_bytes(data)

    assert onsets_s(path) == pytest.approx([1.0 + PRIMING_S, 11.0 + PRIMING_S], abs=0.002)
    assert set(measure_sound(path, 0)) >= {"sound.loudness", "sound.gap"}


def test_no_sound_and_no_media_are_told_apart(tmp_path: Path):
    text = tmp_path / "text.mp4"
    text.write_text("not a film")

    with pytest.raises(UnreadableVideo):
        measure_sound(text, 0)

"""Odd but honest films: each gives its pictures at their times, and nothing is said to be missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.series import Measured, unpack
from tests.hostile.making import Film, attach, quarter_turned, rewritten, write_film

Measure = Callable[[Path], Measured]

FAST = {"preset": "veryfast"}
HDR = {"preset": "ultrafast", "x265-params": "log-level=none:transfer=smpte2084:colorprim=bt2020"}
WRAP_S = 2**33 / 90_000
FILMS = {
    "one picture.mp4": Film(0.1, 10, codec_options=FAST),
    "portrait.mp4": Film(2, 10, 90, 160, codec_options=FAST),
    "interlaced.ts": Film(2, 25, 96, 64, codec="mpeg2video", codec_options={"flags": "+ildct+ilme", "top": "1"}),
    "ten bits.mkv": Film(2, 10, codec="libx265", pixel_format="yuv420p10le", codec_options=HDR),
    "full range.avi": Film(2, 10, codec="mjpeg", pixel_format="yuvj420p"),
    "uneven.mp4": Film(pts=tuple(range(0, 1000, 40)) + tuple(range(1000, 3000, 200)), codec_options=FAST),
    "wrapping clock.ts": Film(4, 25, codec_options=FAST, format_options={"output_ts_offset": str(WRAP_S - 2)}, sound="mp2"),
    "in fragments.mp4": Film(2, 25, codec_options=FAST, format_options={"movflags": "frag_keyframe+empty_moov"}, sound="aac"),
    "matroska.mkv": Film(2, 25, codec_options=FAST, sound="flac"),
    "web.webm": Film(2, 10, codec="libvpx", codec_options={"deadline": "realtime", "cpu-used": "8"}, sound="libopus"),
    "old.avi": Film(2, 25, codec="mpeg4", sound="mp2"),
    "moving.gif": Film(2, 10, codec="gif", pixel_format="rgb8"),
    "slow.mp4": Film(5, 1, codec_options=FAST),
    "fast.mp4": Film(1, 120, codec_options=FAST),
    "elementary.h264": Film(2, 25, codec_options=FAST),
    "with spaces 'quotes' \"two\".mp4": Film(1, 10, codec_options=FAST),
    "line\nbreak.mp4": Film(1, 10, codec_options=FAST),
    "Überlänge 映画 🎬.mp4": Film(1, 10, codec_options=FAST),
    "-y http:%03d.mp4": Film(1, 10, codec_options=FAST),
}  # fmt: skip


def sound_series(measured: Measured) -> list[str]:
    return [
        name for key in measured.blobs.keys(measured.prefix + "/0") for name in unpack(measured.blobs.get(key)) if name.startswith("sound.")
    ]


@pytest.mark.parametrize("name", FILMS)
def test_an_odd_film_gives_all_its_pictures(name: str, tmp_path: Path, measure: Measure):
    film = FILMS[name]
    measured = measure(write_film(tmp_path / name, film))

    expected_s = np.array(film.pts) / film.ticks_per_s if film.pts else np.arange(round(film.seconds * film.rate_fps)) / film.rate_fps
    times_s = measured["frame.luma"].times_s
    np.testing.assert_allclose(times_s - times_s[0], expected_s, atol=0.0011)  # Matroska counts milliseconds
    assert measured.missing == ()
    assert bool(sound_series(measured)) == bool(film.sound)


def test_sound_alone_gives_sound_alone(tmp_path: Path, measure: Measure):
    measured = measure(write_film(tmp_path / "song.m4a", Film(3, codec="", sound="aac")))

    assert measured.get("frame.luma") is None
    assert measured.clock is None
    assert measured.duration_s == pytest.approx(3, abs=0.1)
    assert measured.missing == ()
    assert sound_series(measured)


def test_a_turned_film_is_measured_as_players_show_it(tmp_path: Path, measure: Measure):
    path = write_film(tmp_path / "turned.mp4", Film(1, 10, codec_options=FAST))
    path.write_bytes(quarter_turned(path.read_bytes()))

    measured = measure(path)

    assert (measured.facts["width_px"], measured.facts["height_px"]) == (90, 160)
    assert measured.facts["rotation_deg"] in (90, 270)
    assert len(measured["frame.luma"]) == 10


def test_times_that_go_back_are_put_in_order(tmp_path: Path, measure: Measure):
    slips = rewritten(
        write_film(tmp_path / "even.mkv", Film(4, 25, codec="mpeg4")), tmp_path / "slips.mkv", lambda k, pts: pts - 700 * (k % 20 == 10)
    )
    measured = measure(slips)

    times_s = measured["frame.luma"].times_s
    assert (np.diff(times_s) > 0).all()
    assert len(times_s) >= 95
    assert times_s[-1] - times_s[0] == pytest.approx(3.96, abs=0.05)


def test_attachments_and_data_are_passed_over(tmp_path: Path, measure: Measure):
    path = attach(write_film(tmp_path / "plain.mkv", Film(1, 10, codec_options=FAST)), tmp_path / "loaded.mkv", 40)

    measured = measure(path)

    assert len(measured["frame.luma"]) == 10
    assert sum(s["kind"] == "attachment" for s in measured.facts["streams"]) == 40

"""Clips, cuts and proxies are read back: edges to the frame, sound with its picture."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from model.video import TimeSpan
from pipelines.exports.cut import clip, clip_path, cut, kept_spans
from pipelines.exports.proxy import needs_proxy, write_proxy
from pipelines.interfaces import UnreadableVideo, WrongRequest
from pipelines.media import probe
from tests.exports.films import beeps_s, flashes_s, make_film, picture_times_s

FRAME_S = 1 / 25
SYNC_S = 0.012  # half of AAC's 1024 samples: where in its frame a beep begins to be loud


def test_a_clip_runs_from_its_first_to_its_last_instant(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 8.0)

    clip(film, TimeSpan(2.6, 5.92), tmp_path / "clip.mp4")

    times = picture_times_s(tmp_path / "clip.mp4")
    assert times[0][0] == 0.0 and times[-1][1] == pytest.approx(3.32, abs=1e-4)
    assert len(times) == 83
    assert flashes_s(tmp_path / "clip.mp4") == pytest.approx([0.4, 1.4, 2.4], abs=1e-4)
    assert beeps_s(tmp_path / "clip.mp4", 3.32) == pytest.approx([0.4, 1.4, 2.4], abs=SYNC_S)


def test_a_clip_that_begins_inside_a_frame_shows_the_rest_of_that_frame(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 4.0)

    clip(film, TimeSpan(1.03, 2.01), tmp_path / "clip.mp4")

    times = picture_times_s(tmp_path / "clip.mp4")
    assert times[0] == pytest.approx((0.0, 0.01), abs=1e-4)  # the frame [1.00, 1.04)
    assert times[-1][1] == pytest.approx(0.98, abs=1e-4)


def test_a_film_without_its_ads_keeps_sound_and_picture_together_over_every_join(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 20.0)
    shares: list[float] = []

    cut(film, [TimeSpan(3.52, 5.76), TimeSpan(9.0, 12.48), TimeSpan(15.2, 16.4)], tmp_path / "cut.mp4", shares.append)

    out = tmp_path / "cut.mp4"
    assert probe(out).duration_s == pytest.approx(20 - 2.24 - 3.48 - 1.2, abs=FRAME_S)
    seen, heard = flashes_s(out), beeps_s(out, 13.08)
    removed = {4, 5, 9, 10, 11, 12, 16}
    assert seen == pytest.approx([k - 2.24 * (k > 4) - 3.48 * (k > 10) - 1.2 * (k > 16) for k in range(20) if k not in removed], abs=1e-3)
    assert heard == pytest.approx(seen, abs=SYNC_S)
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_a_proxy_keeps_every_frame_of_a_varying_rate_at_its_time(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", 5.0, drop=0.4, size=(1280, 720))

    write_proxy(film, tmp_path / "proxy.mp4")

    source, copy = picture_times_s(film), picture_times_s(tmp_path / "proxy.mp4")
    assert len({round(b - a, 3) for a, b in source}) > 2
    assert np.array(copy) == pytest.approx(np.array(source), abs=2e-5)
    facts = probe(tmp_path / "proxy.mp4")
    assert (facts.width_px, facts.height_px) == (640, 360)
    assert [s.codec for s in facts.streams] == ["h264", "aac"]
    assert not needs_proxy({"streams": [{"kind": s.kind, "codec": s.codec} for s in facts.streams]}, "proxy.mp4")


def test_a_proxy_of_a_broadcast_that_starts_late_starts_at_nought(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.ts", 4.0, codec="mpeg2video", sound="mp2", container="mpegts", start_s=100.0)

    write_proxy(film, tmp_path / "proxy.mp4")

    assert flashes_s(tmp_path / "proxy.mp4") == pytest.approx(flashes_s(film), abs=1e-4)
    assert beeps_s(tmp_path / "proxy.mp4", 3.9) == pytest.approx(beeps_s(film, 3.9), abs=SYNC_S)
    assert beeps_s(tmp_path / "proxy.mp4", 3.9) == pytest.approx(flashes_s(film), abs=SYNC_S)


def test_its_table_of_contents_comes_first_so_that_it_plays_while_it_loads(tmp_path: Path) -> None:
    write_proxy(make_film(tmp_path / "film.avi", 1.0, codec="mpeg4", sound=None), tmp_path / "proxy.mp4")

    data = (tmp_path / "proxy.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_pictures_without_sound_and_sound_without_pictures_are_copied_too(tmp_path: Path) -> None:
    silent = make_film(tmp_path / "silent.mp4", 2.0, sound=None)
    cut(silent, [TimeSpan(0.0, 1.0)], tmp_path / "rest.mp4")
    assert picture_times_s(tmp_path / "rest.mp4")[-1][1] == pytest.approx(1.0, abs=1e-4)

    radio = tmp_path / "radio.wav"
    with av.open(str(radio), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.full((1, 96_000 * 2), 8000, np.int16), "s16", "stereo")
        frame.sample_rate = 48_000
        out.mux(stream.encode(frame))
    clip(radio, TimeSpan(0.5, 1.25), tmp_path / "radio.mp4")
    assert probe(tmp_path / "radio.mp4").duration_s == pytest.approx(0.75, abs=0.03)


def test_what_is_kept_is_the_rest_of_the_film() -> None:
    spans = kept_spans([TimeSpan(5, 7), TimeSpan(6, 9), TimeSpan(0, 1)], 12.0)

    assert spans == [TimeSpan(1, 5), TimeSpan(9, 12)]
    assert kept_spans([], 3.0) == [TimeSpan(0, 3)]
    assert kept_spans([TimeSpan(0, 3)], 3.0) == []
    assert kept_spans([TimeSpan(2, 9)], 3.0) == [TimeSpan(0, 2)]


def test_a_film_that_is_nothing_but_ads_is_refused(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 1.0, sound=None)

    with pytest.raises(WrongRequest, match="nothing of film"):
        cut(film, [TimeSpan(0.0, 2.0)], tmp_path / "cut.mp4")
    with pytest.raises(WrongRequest, match="overwrite"):
        clip(film, TimeSpan(0.0, 0.5), film)
    with pytest.raises(UnreadableVideo):
        clip(tmp_path / "none.mp4", TimeSpan(0.0, 0.5), tmp_path / "clip.mp4")


def test_a_clip_ends_where_its_film_does(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 3.0)

    clip(film, TimeSpan(2.0, 9.0), tmp_path / "clip.mp4")

    with av.open(str(tmp_path / "clip.mp4")) as container:
        lengths = [float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base]
    assert lengths == pytest.approx([1.0, 1.0], abs=FRAME_S)
    with pytest.raises(WrongRequest, match="nothing of film"):
        clip(film, TimeSpan(20.0, 21.0), tmp_path / "late.mp4")


def test_a_film_that_was_stopped_half_way_leaves_nothing(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 2.0, sound=None)

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clip(film, TimeSpan(0.0, 1.0), tmp_path / "clip.mp4", stop)
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_a_clip_is_named_by_what_and_when() -> None:
    assert clip_path(Path("out"), Path("a film.ts"), TimeSpan(1218.44, 1300.0), 'Ad break: "one"/2') == Path(
        "out/a film 0-20-18.4 Ad break one 2.mp4"
    )


@pytest.mark.parametrize(
    ("name", "codecs", "pixel_format", "needed"),
    [
        ("film.mp4", ("h264", "aac"), "yuv420p", False),
        ("FILM.MP4", ("h264", "aac"), "", False),
        ("film.mp4", ("h264", "aac"), "yuv420p10le", True),
        ("film.mp4", ("hevc", "aac"), "yuv420p", True),
        ("film.mov", ("h264", "aac"), "yuv420p", True),
        ("film.mp4", ("h264", "ac3"), "yuv420p", True),
        ("film.ts", ("mpeg2video", "mp2"), "yuv420p", True),
        ("film.mkv", ("h264", "aac"), "yuv420p", True),
        ("film.webm", ("vp9", "opus"), "yuv420p", False),
        ("film.avi", ("mpeg4", None), "yuv420p", True),
        ("radio.mp3", (None, "mp3float"), "", False),
    ],
)  # fmt: skip
def test_browsers_play_some_files_as_they_are(name: str, codecs: tuple[str | None, str | None], pixel_format: str, needed: bool) -> None:
    streams = [{"kind": kind, "codec": codec} for kind, codec in zip(("video", "audio"), codecs, strict=True) if codec]

    assert needs_proxy({"streams": streams, "pixel_format": pixel_format}, name) is needed

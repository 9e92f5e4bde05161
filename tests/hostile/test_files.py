"""What is no video, or not the video it says, is refused in a sentence a person understands; nothing else is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.interfaces import UnreadableVideo
from pipelines.series import Measured
from tests.hostile.making import Film, huge_gif, write_film

Measure = Callable[[Path], Measured]
FAST = {"preset": "veryfast"}


def sentence(measure: Measure, path: Path) -> str:
    with pytest.raises(UnreadableVideo) as refusal:
        measure(path)
    words = str(refusal.value)
    assert words.isprintable()
    assert "Errno" not in words
    assert "fault of this program" not in words
    return words


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("nothing.mp4", b"", "empty"),
        ("letter.mp4", b"Dear Sir or Madam,\n" * 1000, "not a video"),
        ("noise.mkv", os.urandom(100_000), "not a video"),
        ("head only.mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "not a video"),
        ("page.mp4", b"<!DOCTYPE html><html><body>404</body></html>", "not a video"),
    ],
)
def test_what_is_no_video_is_refused(name: str, content: bytes, expected: str, tmp_path: Path, measure: Measure):
    (tmp_path / name).write_bytes(content)

    words = sentence(measure, tmp_path / name)

    assert name in words
    assert expected in words


@pytest.mark.parametrize(
    ("size", "expected"), [((16_000, 12_000), "claims pictures of 16000x12000 pixels"), ((16_384, 16_384), "can be decoded")]
)
def test_a_header_that_claims_a_huge_picture_is_refused(size: tuple[int, int], expected: str, tmp_path: Path, measure: Measure):
    (tmp_path / "huge.gif").write_bytes(huge_gif(*size))

    assert expected in sentence(measure, tmp_path / "huge.gif")


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{film}\n#EXT-X-ENDLIST\n",
    "concat.mp4": "ffconcat version 1.0\nfile '{film}'\n",
    "scene.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "show.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{film}</BaseURL></Period></MPD>',
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_opens_no_other_file(name: str, tmp_path: Path, measure: Measure):
    film = write_film(tmp_path / "secret.ts", Film(1, 10, codec="mpeg2video"))
    (tmp_path / name).write_text(PLAYLISTS[name].format(film=film))

    assert name in sentence(measure, tmp_path / name)


def test_folders_pipes_and_devices_are_refused_without_waiting(tmp_path: Path, measure: Measure):
    os.mkfifo(tmp_path / "pipe.mp4")

    assert "a folder" in sentence(measure, tmp_path)
    assert "a pipe" in sentence(measure, tmp_path / "pipe.mp4")
    assert "a device" in sentence(measure, Path("/dev/zero"))


def test_a_missing_file_and_links_to_nowhere_are_named(tmp_path: Path, measure: Measure):
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "gone.mp4")
    (tmp_path / "circle.mp4").symlink_to(tmp_path / "circle.mp4")

    assert "gone.mp4 does not exist" in sentence(measure, tmp_path / "gone.mp4")
    assert "dangling.mp4 does not exist" in sentence(measure, tmp_path / "dangling.mp4")
    assert "circle.mp4" in sentence(measure, tmp_path / "circle.mp4")
    assert "does not exist" in sentence(measure, Path("nul\0byte.mp4"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read_is_named(tmp_path: Path, measure: Measure):
    path = write_film(tmp_path / "private.mp4", Film(1, 10, codec_options=FAST))
    path.chmod(0)

    assert "permission" in sentence(measure, path).lower()


def test_a_link_to_a_film_is_that_film(tmp_path: Path, measure: Measure):
    film = write_film(tmp_path / "film.mp4", Film(1, 10, codec_options=FAST))
    (tmp_path / "link.mp4").symlink_to(film)

    assert len(measure(tmp_path / "link.mp4")["frame.luma"]) == 10


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_film_cut_off_gives_what_is_readable_and_tells_the_rest(tenths: int, tmp_path: Path, measure: Measure):
    options = {"movflags": "faststart"}
    whole = write_film(tmp_path / "whole.mp4", Film(20, 10, codec_options=FAST, format_options=options)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * tenths // 10])

    if tenths == 1 and b"mdat" not in whole[: len(whole) // 10]:
        sentence(measure, tmp_path / "cut.mp4")
        return
    measured = measure(tmp_path / "cut.mp4")

    assert measured.total_s == pytest.approx(20, abs=0.1)
    assert measured.seen_s == pytest.approx(2 * tenths, abs=1.5)
    assert measured.missing[-1].end_s == pytest.approx(20, abs=0.1)
    assert len(measured["frame.luma"]) == pytest.approx(20 * tenths, abs=15)

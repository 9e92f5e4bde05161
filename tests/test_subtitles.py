"""Subtitles: what is said and when, from streams and from files beside the film, in the encodings people use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from model.video import TimeSpan
from pipelines.subtitles import decode_text, parse_cues, plain_text, read_subtitles
from tests.films import add_subtitles

LINES = [(0.5, 1.5, "Hello there."), (2.0, 3.25, "<i>Second</i> line")]
EXPECTED = ((TimeSpan(0.5, 1.5), "Hello there."), (TimeSpan(2.0, 3.25), "Second line"))
SRT = "1\n00:00:00,500 --> 00:00:01,500\nHello there.\n\n2\n00:00:02,000 --> 00:00:03,250\n<i>Second</i> line\n"
VTT = (
    "WEBVTT\n\nNOTE ignored\n\nSTYLE\n::cue {}\n\nintro\n00:00.500 --> 00:01.500 align:start\n<v Ann>Hello there.\n\n"
    "00:02.000 --> 00:03.250\n<c.loud>Second</c> line\n"
)


@pytest.mark.parametrize(("codec", "name"), [("subrip", "film.mkv"), ("webvtt", "film.webm"), ("mov_text", "film.mp4")])
def test_text_streams_are_read(tmp_path: Path, film: Callable[[str], Path], codec: str, name: str) -> None:
    source = film("vp9.webm" if name.endswith("webm") else "closed.mp4")
    lines = [(a, b, len(t).to_bytes(2, "big").decode("latin1") + t if codec == "mov_text" else t) for a, b, t in LINES]
    path = add_subtitles(tmp_path / name, source, codec, lines, language="eng")
    said = read_subtitles(path)
    assert [s for s, _ in said] == [TimeSpan(0.5, 1.5), TimeSpan(2.0, 3.25)]
    assert [t for _, t in said] == ["Hello there.", "Second line"]


def test_styled_subtitles_lose_style_and_drawings(tmp_path: Path, film: Callable[[str], Path]) -> None:
    lines = [
        (0.5, 1.5, r"0,0,Default,,0,0,0,,{\an8}Hello,\Nthere."),
        (1.6, 1.9, r"1,0,Default,,0,0,0,,{\p1}m 0 0 l 10 10{\p0}"),
        (2.0, 3.25, r"2,0,Default,,0,0,0,,{\i1}Second{\i0} line"),
    ]
    path = add_subtitles(tmp_path / "film.mkv", film("closed.mp4"), "ass", lines)
    assert [t for _, t in read_subtitles(path)] == ["Hello, there.", "Second line"]


def test_times_are_on_the_players_clock(tmp_path: Path, film: Callable[[str], Path]) -> None:
    path = add_subtitles(tmp_path / "film.mkv", film("late.mp4"), "subrip", [(1.1, 2.1, "Late.")])
    assert read_subtitles(path) == ((TimeSpan(0.5, 1.5), "Late."),)


def test_a_file_beside_the_film_goes_first(tmp_path: Path, film: Callable[[str], Path]) -> None:
    path = add_subtitles(tmp_path / "a [film].mkv", film("closed.mp4"), "subrip", [(0.1, 0.2, "From inside.")])
    (tmp_path / "a [film].srt").write_text(SRT)
    assert read_subtitles(path) == EXPECTED


def test_the_wanted_language_is_taken(tmp_path: Path, film: Callable[[str], Path]) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film("no_b.mp4").read_bytes())
    for suffix, said in {"de.srt": "Guten Tag", "en.forced.srt": "SIGN", "eng.vtt": "Good day", "director.notes.srt": "No"}.items():
        (tmp_path / f"film.{suffix}").write_text(SRT.replace("Hello there.", said))
    assert [read_subtitles(path, language)[0][1] for language in ("de", "ger", "en", None)] == [
        "Guten Tag",
        "Guten Tag",
        "Good day",
        "Guten Tag",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings_are_recognised(encoding: str) -> None:
    text = SRT.replace("Hello there.", "Où est le café ? “Là-bas…”")
    assert decode_text(text.encode(encoding)) == text


def test_webvtt_keeps_only_cues() -> None:
    assert parse_cues(VTT) == EXPECTED


def test_line_ends_and_slips_do_not_matter() -> None:
    assert parse_cues(SRT.replace("\n", "\r\n")) == EXPECTED
    assert parse_cues("1\n00:00:03,000 --> 00:00:01,000\nbackwards\n\n" + SRT) == EXPECTED
    assert parse_cues(SRT.replace("00:00:02,000", "100:00:02,000").replace("00:00:03,250", "100:00:03,250"))[1][0] == TimeSpan(
        360002.0, 360003.25
    )


def test_the_same_words_without_a_pause_are_one_line() -> None:
    twice = "00:01.000 --> 00:02.000\nAgain\n\n00:02.000 --> 00:03.000\nAgain\n\n00:05.000 --> 00:06.000\nAgain\n"
    assert parse_cues(twice) == ((TimeSpan(1, 3), "Again"), (TimeSpan(5, 6), "Again"))


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("[DOOR SLAMS]", ""),
        ("(sighs) Fine.", "Fine."),
        ("JOHN: Come in.", "Come in."),
        ("- Yes.\n- No.", "Yes. No."),
        ("♪ la la ♪", ""),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("Note: this stays, and #1 too", "Note: this stays, and #1 too"),
        ("<font color=\"#fff\">a < b</font>", "a < b"),
    ],
)  # fmt: skip
def test_only_what_is_said_stays(marked: str, plain: str) -> None:
    assert plain_text(marked) == plain


def test_a_film_without_subtitles_has_none(film: Callable[[str], Path]) -> None:
    assert read_subtitles(film("closed.ts")) == ()

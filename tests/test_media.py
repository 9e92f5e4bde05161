"""What is shown when, for every kind of file; the same from wherever decoding begins; what is said about files that lie."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.interfaces import UnreadableVideo
from pipelines.media import Shown, VideoFacts, examine, index_video, probe, shown_frames
from pipelines.pixels import Scaler
from pipelines.timeline import DECODING_TIMES, NO_TIMES
from tests.films import HEIGHT, RECIPES, WIDTH, Recipe, joined, make_film, picture, read_number, truncated

ALL = sorted(RECIPES)
HIDDEN_BY_EDIT_LIST = 10


def numbers(shown: list[Shown], height: int = HEIGHT) -> list[int]:
    scaler = Scaler(WIDTH, height)
    return [read_number(scaler(s.frame)[:HEIGHT]) for s in shown]


def all_shown(path: Path) -> list[Shown]:
    index = index_video(path)
    assert index is not None
    return list(shown_frames(path, index, 0, index.duration_s))


def pixels(frame: av.VideoFrame) -> bytes:
    return frame.to_ndarray().tobytes()


@pytest.mark.parametrize("name", [n for n in ALL if n != "turned.mp4"])
def test_every_picture_is_shown_at_its_time(film: Callable[[str], Path], name: str) -> None:
    recipe = RECIPES[name]
    shown = all_shown(film(name))

    first = HIDDEN_BY_EDIT_LIST if name == "edit.mp4" else 0
    made = list(range(first, recipe.count))
    assert numbers(shown, recipe.size_px[1]) == made
    lead_s = shown[0].start_s  # sound may begin before the picture, and AVI counts from the first decoding time
    assert [s.start_s - lead_s for s in shown] == pytest.approx([float(recipe.time_s(n) - recipe.time_s(first)) for n in made], abs=1e-9)
    assert [s.end_s for s in shown[:-1]] == [s.start_s for s in shown[1:]]
    assert lead_s == pytest.approx(
        {"closed.ts": 0.064, "mpeg4.avi": 0.04, "h264.avi": 0.08}.get(name, 0), abs=1e-6
    )  # containers tell their start in whole us


@pytest.mark.parametrize(
    "name", ["closed.mp4", "open.ts", "hevc_open.mp4", "vfr.mkv", "edit.mp4", "mpeg2.mpg", "h264.avi", "refresh.mp4", "wrap.ts"]
)
def test_any_span_gives_what_a_full_decode_gives(film: Callable[[str], Path], name: str) -> None:
    path, dice = film(name), random.Random(name)
    index = index_video(path)
    assert index is not None
    full = [(s.tick, s.start_s, s.end_s, pixels(s.frame)) for s in shown_frames(path, index, 0, index.duration_s)]
    with av.open(str(path)) as container:
        assert [f[3] for f in full] == [pixels(f) for f in container.decode(video=0)]

    for _ in range(8):
        start_s = dice.choice([dice.uniform(0, index.duration_s), dice.choice(full)[1]])
        end_s = start_s + dice.choice([0.001, 0.2, 1.5])
        got = [(s.tick, s.start_s, s.end_s, pixels(s.frame)) for s in shown_frames(path, index, start_s, end_s)]
        assert got == [f for f in full if f[2] > start_s and f[1] < end_s]


def test_the_index_lists_pictures_key_pictures_and_the_end(film: Callable[[str], Path]) -> None:
    index = index_video(film("late.mp4"))
    assert index is not None
    assert index.times_s == pytest.approx([n / 25 for n in range(100)], abs=1e-12)
    assert [index.clock.seconds(t) for t in index.key_ticks.tolist()] == [0, 1, 2, 3]
    assert index.clock.origin_s == Fraction(3, 5)
    assert index.duration_s == 4
    assert index.times_s.tolist() == [index.clock.seconds(t) for t in index.ticks.tolist()]


def test_intra_refresh_starts_from_its_only_clean_picture(film: Callable[[str], Path]) -> None:
    index = index_video(film("refresh.mp4"))
    assert index is not None
    assert index.starts.tolist() == [0]


FACTS = {
    "closed.mp4": {
        "frame_rate": Fraction(25),
        "duration_s": 4.0,
        "frame_count": 100,
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "warnings": (),
    },
    "vfr.mkv": {"warnings": ("the frame rate varies",)},
    "gap.mp4": {"duration_s": 6.8, "frame_rate": Fraction(25), "warnings": ()},
    "late.mp4": {"duration_s": 4.0, "warnings": ()},
    "edit.mp4": {"frame_count": 90, "duration_s": 3.6, "warnings": ("the header announces 100 pictures, but 90 are to be shown",)},
    "slow.mp4": {"frame_rate": Fraction(1), "duration_s": 8.0},
    "fast.mp4": {"frame_rate": Fraction(120)},
    "single.mp4": {"frame_rate": None, "frame_count": 1, "duration_s": 0.04},
    "interlaced.mp4": {"interlaced": True},
    "hdr.mkv": {
        "colour_range": "limited",
        "pixel_format": "yuv420p10le",
        "warnings": ("high dynamic range (PQ); pictures are converted without tone mapping",),
    },
    "full.mp4": {"colour_range": "full"},
    "turned.mp4": {"rotation_deg": 270, "width_px": HEIGHT, "height_px": WIDTH},
    "portrait.mp4": {"width_px": WIDTH, "height_px": 352},
    "raw.h264": {
        "announced_s": None,
        "duration_s": 4.0,
        "warnings": ("the header gives no duration", NO_TIMES),
    },
    "h264.avi": {"warnings": (DECODING_TIMES,)},
    "moving.gif": {"frame_rate": Fraction(10), "duration_s": 4.0},
}


@pytest.mark.parametrize("name", sorted(FACTS))
def test_probe_measures_what_headers_claim(film: Callable[[str], Path], name: str) -> None:
    facts = probe(film(name))
    assert {key: getattr(facts, key) for key in FACTS[name]} == FACTS[name]


def test_probe_names_streams_and_counts_sound_into_the_length(film: Callable[[str], Path]) -> None:
    facts = probe(film("closed.ts"))
    assert [(s.kind, s.codec) for s in facts.streams] == [("video", "h264"), ("audio", "aac")]
    assert facts.duration_s == pytest.approx(4.064, abs=1e-3)


def test_turned_pictures_are_handed_out_upright(film: Callable[[str], Path]) -> None:
    shown = all_shown(film("turned.mp4"))
    upright = Scaler(HEIGHT, WIDTH)(shown[7].frame)
    assert upright.shape == (WIDTH, HEIGHT, 3)
    assert read_number(np.rot90(upright)) == 7  # turned clockwise for display, so turned back here
    planes = Scaler(HEIGHT, WIDTH, "yuv420p")(shown[7].frame)
    assert planes.shape == (WIDTH * 3 // 2, HEIGHT)
    assert read_number(np.rot90(planes[:WIDTH])) == 7


def test_joined_transport_streams_run_on(tmp_path: Path, film: Callable[[str], Path]) -> None:
    path = joined(tmp_path / "twice.ts", film("open.ts"), film("open.ts"))
    facts, index = examine(path)
    assert index is not None
    assert len(index.ticks) == 200
    assert facts.duration_s == pytest.approx(8.0, abs=0.05)
    assert "time stamps jump once; what follows was laid end to end" in facts.warnings
    shown = numbers(all_shown(path))
    assert shown[:100] == list(range(100))
    assert shown[-75:] == list(range(25, 100))


@pytest.mark.parametrize("name", ["closed.mkv", "closed.ts", "fragments.mp4", "mpeg2.mpg", "vp9.webm"])
def test_a_truncated_file_gives_its_beginning(tmp_path: Path, film: Callable[[str], Path], name: str) -> None:
    counts = []
    for tenth in range(1, 10):
        try:
            shown = numbers(all_shown(truncated(tmp_path / f"{tenth}-{name}", film(name), tenth / 10))[:-3])
        except UnreadableVideo as error:
            assert str(error).startswith(f"{tenth}-{name} ")
            shown = []
        assert shown == list(range(len(shown)))
        counts.append(len(shown))
    assert counts == sorted(counts)
    assert counts[-1] > 60


def test_a_truncated_file_says_what_was_announced(tmp_path: Path, film: Callable[[str], Path]) -> None:
    facts = probe(truncated(tmp_path / "half.mkv", film("closed.mkv"), 0.5))
    assert facts.announced_s == 4.0
    assert 1.0 < facts.duration_s < 3.0
    assert f"the header announces 4.0 s, but {facts.duration_s:.1f} s are there" in facts.warnings


@pytest.mark.parametrize("name", ["closed.mp4", "closed.ts", "hevc_open.mp4", "mpeg2.mpg"])
def test_damage_in_the_middle_costs_only_its_surroundings(tmp_path: Path, film: Callable[[str], Path], name: str) -> None:
    sound = all_shown(film(name))
    data = bytearray(film(name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = random.Random(1).randbytes(200)
    path = tmp_path / name
    path.write_bytes(data)

    index = index_video(path)
    assert index is not None
    hurt = {round(s.start_s, 3): pixels(s.frame) for s in shown_frames(path, index, 0, 99)}
    whole = [s for s in sound if s.start_s < 1 or s.start_s >= 3.2]
    assert [pixels(s.frame) == hurt.get(round(s.start_s, 3)) for s in whole] == [True] * len(whole)
    late = list(shown_frames(path, index, 3.2, 99))
    assert [pixels(s.frame) for s in late] == [p for t, p in hurt.items() if t + 0.04 > 3.2 + 1e-6]


def test_a_span_inside_a_hole_shows_the_picture_left_standing(tmp_path: Path, film: Callable[[str], Path]) -> None:
    source = film("no_b.mp4")
    with av.open(str(source)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(source.read_bytes())
    for pos, size in places[25:75]:
        data[pos + 4 : pos + size] = bytes(size - 4)  # two whole stretches between clean starts
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)
    index = index_video(path)
    assert index is not None

    shown = list(shown_frames(path, index, 2.5, 2.6))

    assert [(s.start_s, s.end_s) for s in shown] == [(0.96, 3.0)]
    assert numbers(shown) == [24]
    assert len(index.ticks) == 100


NAMES = [
    "a film.mp4",
    'it\'s "quoted".mp4',
    "new\nline.mp4",
    "фильм-映画.mp4",
    "-dash.mp4",
    "http:colon.mp4",
    "100%d.mp4",
    "a%03d.jpg",
    "x.m3u8",
    "\udcff.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_only_a_name(tmp_path: Path, film: Callable[[str], Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(film("no_b.mp4").read_bytes())
    assert probe(Path(name)).frame_count == 100


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.mp4", "ffconcat version 1.0\nfile 'closed.mp4'\n"),
        ("live.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nclosed.mp4\n#EXT-X-ENDLIST\n"),
        ("dash.mpd", "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>"),
        ("session.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
    ],
)
def test_files_that_lead_to_other_files_are_refused(tmp_path: Path, film: Callable[[str], Path], name: str, text: str) -> None:
    (tmp_path / "closed.mp4").write_bytes(film("closed.mp4").read_bytes())
    (tmp_path / name).write_text(text)
    with pytest.raises(UnreadableVideo, match=r"is of a kind that is not opened|is not a video"):
        probe(tmp_path / name)


def test_what_is_no_video_is_said_in_words(tmp_path: Path, film: Callable[[str], Path]) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam, " * 500)
    (tmp_path / "moov.mp4").write_bytes(film("closed.mp4").read_bytes()[:5000])
    cases = {
        "empty.mp4": "empty.mp4 is empty",
        "letter.mp4": "letter.mp4 is not a video, or it is damaged",
        "moov.mp4": "moov.mp4 is not a video, or it is damaged or cut off",
        "absent.mp4": "absent.mp4 is not there",
        ".": "is not a regular file",
        "two\nlines.mp4": r"two\\nlines.mp4 is not there",
    }
    for name, words in cases.items():
        with pytest.raises(UnreadableVideo, match=words):
            probe(tmp_path / name)


def _song(path: Path, cover: bool) -> Path:
    with av.open(str(path), "w") as out:
        voice = out.add_stream("aac", rate=16000)
        art = out.add_stream("mjpeg", rate=1) if cover else None
        if art is not None:
            art.width, art.height, art.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
            out.mux(art.encode(av.VideoFrame.from_ndarray(picture(1), "rgb24")))
            out.mux(art.encode(None))
        for first in range(0, 32000, 1024):
            frame = av.AudioFrame.from_ndarray(np.full((1, 1024), 0.1, np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16000, first
            out.mux(voice.encode(frame))
        out.mux(voice.encode(None))
    return path


@pytest.mark.parametrize("cover", [False, True])
def test_sound_alone_has_no_index_but_a_length(tmp_path: Path, cover: bool) -> None:
    facts, index = examine(_song(tmp_path / "song.mp4", cover))
    assert index is None
    assert facts.duration_s == pytest.approx(2.0, abs=0.1)
    assert (facts.frame_count, facts.width_px, facts.frame_rate) == (0, 0, None)
    assert [s.kind for s in facts.streams] == ["audio", *(["cover"] if cover else [])]


def test_chapters_are_on_the_players_clock(tmp_path: Path, film: Callable[[str], Path]) -> None:
    path = tmp_path / "chapters.mkv"
    with av.open(str(film("late.mp4"))) as source, av.open(str(path), "w") as out:
        kept = out.add_stream_from_template(source.streams.video[0])
        spans = [(600, 2600, "One"), (2600, 4600, "Two")]
        out.set_chapters(
            [{"id": i, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": t}} for i, (a, b, t) in enumerate(spans)]
        )
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = kept
                out.mux(packet)
    facts: VideoFacts = probe(path)
    start_s = 0.6 - float(Fraction(av.open(str(path)).start_time, av.time_base))
    assert facts.chapters == (pytest.approx((start_s, start_s + 2, "One")), pytest.approx((start_s + 2, start_s + 4, "Two")))


def test_a_film_cut_off_before_its_first_picture_is_not_a_film(tmp_path: Path) -> None:
    path = make_film(tmp_path, Recipe("few.mkv", count=1))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(bytes.fromhex("1F43B675"))])  # Matroska's first cluster
    with pytest.raises(UnreadableVideo):
        probe(path)

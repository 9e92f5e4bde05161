"""A film in an object store gives what the same film on a disk gives, and its store's failures are never taken for damage."""

from __future__ import annotations

import os
import pickle
import random
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import pytest

from pipelines.containers import opened, packets, video_stream
from pipelines.decode_plan import DecodePlan
from pipelines.interfaces import FilmChanged, FilmFile, StoreUnavailable, UnreadableVideo
from pipelines.limits import Limits
from pipelines.looking import in_worker, look_at, probe_video
from pipelines.media import examine, index_video, shown_frames
from pipelines.segments import Work, measure_segment, measure_video
from pipelines.series import unpack
from pipelines.sound import read_sound
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.ranged import RangedFile
from pipelines.subtitles import sidecars
from pipelines.watching import identify
from tests.hostile.making import Film, write_film
from tests.hostile.test_files import PLAYLISTS
from tests.stores.ranges import FolderRanges

FAST = {"preset": "ultrafast", "g": "50"}
LARGE = {"preset": "ultrafast", "g": "50", "qp": "1"}  # nearly lossless noise: tens of MB
FILMS = {
    "contents at the end.mp4": Film(64, 3, 96, 64, codec_options=FAST, sound="aac"),
    "contents first.mp4": Film(64, 3, 96, 64, codec_options=FAST, sound="aac", format_options={"movflags": "faststart"}),
    "broadcast.ts": Film(64, 3, 96, 64, codec="mpeg2video", codec_options={"g": "15"}, sound="mp2"),
    "film.mkv": Film(64, 3, 96, 64, codec_options=FAST, sound="aac"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderRanges:
    folder = tmp_path_factory.mktemp("bucket")
    for name, film in FILMS.items():
        write_film(folder / name, film)
    return FolderRanges(folder)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("large") / "large.mp4", Film(40, 10, 640, 360, codec_options=LARGE))


def remuxed(source: Path, target: Path) -> Path:
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return target


Blocks = dict[str, dict[str, tuple[bytes, bytes]]]


def blocks(film: FilmFile, folder: Path) -> Blocks:
    """Key -> name -> the bytes of each series' times and values."""
    blobs = FolderBlobs(folder)
    measure_video(film, blobs, "m", DecodePlan(), workers=2)
    found = {key: unpack(blobs.get(key)) for key in blobs.keys("m") if key.endswith(".npz")}
    return {key: {name: (s.times_s.tobytes(), s.values.tobytes()) for name, s in series.items()} for key, series in found.items()}


@pytest.fixture(scope="module")
def from_disk(store: FolderRanges, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Blocks]:
    return cache(lambda name: blocks(store.folder / name, tmp_path_factory.mktemp("disk")))


@pytest.mark.parametrize("name", FILMS)
def test_series_are_equal_byte_for_byte_to_those_of_the_file(
    name: str, store: FolderRanges, from_disk: Callable[[str], Blocks], tmp_path: Path
):
    assert blocks(store.film(name), tmp_path) == from_disk(name)
    assert len(from_disk(name)) == 4  # two blocks and their pictures
    assert probe_video(store.film(name)) == probe_video(store.folder / name)


@pytest.mark.parametrize("name", FILMS)
def test_any_moment_is_reached_by_a_seek(name: str, store: FolderRanges):
    film, path = store.film(name), store.folder / name
    index = index_video(path)
    assert index is not None
    for start_s in (50.0, 3.0, 31.4):
        shown, expected = (list(shown_frames(file, index, start_s, start_s + 0.5)) for file in (film, path))
        assert [(s.tick, s.frame.to_ndarray().tobytes()) for s in shown] == [(s.tick, s.frame.to_ndarray().tobytes()) for s in expected]
    heard, expected_sound = (read_sound(file, 40, 42) for file in (film, path))
    assert (heard and heard.samples.tobytes()) == (expected_sound and expected_sound.samples.tobytes())


@pytest.mark.parametrize("name", ["large.mp4", "large.ts"])
def test_the_first_picture_costs_a_few_megabytes_of_a_large_film(name: str, large: Path):
    path = large if name == large.name else remuxed(large, large.with_name(name))
    assert path.stat().st_size > 20e6
    store = FolderRanges(path.parent)

    with opened(store.film(name)) as container:
        stream = video_stream(container)
        assert stream is not None
        picture = next(frame for packet in packets(container, [stream]) for frame in stream.codec_context.decode(packet))

    assert (picture.width, picture.height) == (640, 360)
    assert sum(store.told) < 4e6


def test_a_stored_film_is_a_value_that_travels(store: FolderRanges):
    film = store.film("film.mkv")

    assert pickle.loads(pickle.dumps(film)) == film
    assert len({film, store.film("film.mkv")}) == 1
    assert (film.name, film.stem, film.suffix) == ("film.mkv", "film", ".mkv")
    assert in_worker(look_at, film).facts == examine(store.folder / "film.mkv")[0]
    assert identify(film).id == identify(store.folder / "film.mkv").id


def test_nothing_is_looked_for_beside_a_stored_film(store: FolderRanges):
    (store.folder / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")

    assert sidecars(store.folder / "film.mkv") != []
    assert sidecars(store.film("film.mkv")) == []


# --- a store that fails ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILMS)
def test_a_store_that_goes_away_while_a_film_is_decoded_is_no_damage(
    name: str, store: FolderRanges, from_disk: Callable[[str], Blocks], tmp_path: Path
):
    look, blobs = look_at(store.folder / name), FolderBlobs(tmp_path)
    for share in (0.97, 0.4):
        dark = FolderRanges(store.folder, int((store.folder / name).stat().st_size * share)).film(name)
        with pytest.raises(StoreUnavailable, match="connection refused"):
            measure_segment(lambda message: None, Work(dark, look, DecodePlan(), blobs, f"{share}"), range(2))
        with pytest.raises(StoreUnavailable, match="connection refused"):
            read_sound(dark, 60, 64)
        with pytest.raises(StoreUnavailable, match="connection refused"):
            examine(dark)

    whole = from_disk(name)
    for key in [key for key in blobs.keys("") if key.endswith(".npz") and "pictures" not in key]:  # what was kept before is right
        assert {n: (s.times_s.tobytes(), s.values.tobytes()) for n, s in unpack(blobs.get(key)).items()} == whole[f"m/{key[-10:]}"]


def test_workers_say_so_too_and_live_on(store: FolderRanges, tmp_path: Path):
    dark = FolderRanges(store.folder, dark_from=100_000)

    with pytest.raises(StoreUnavailable, match="connection refused"):
        measure_video(dark.film("film.mkv"), FolderBlobs(tmp_path), "m", DecodePlan())
    with pytest.raises(StoreUnavailable, match="connection refused"):
        identify(dark.film("film.mkv"))
    assert list(FolderBlobs(tmp_path).keys("")) == []


def test_a_store_that_goes_away_while_workers_decode_leaves_no_block(large: Path, tmp_path: Path):
    film, blobs, dark = FolderRanges(large.parent).film(large.name), FolderBlobs(tmp_path / "m"), large.with_name("dark")

    with pytest.raises(StoreUnavailable, match="connection refused"):
        measure_video(film, blobs, "m", DecodePlan(), workers=1, on_progress=lambda done_s, total_s: dark.touch())
    assert list(blobs.keys("")) == []

    dark.unlink()
    assert measure_video(film, blobs, "m", DecodePlan(), workers=1).facts == probe_video(large)


def test_a_film_replaced_while_it_is_read_is_told_as_such(tmp_path: Path):
    path = write_film(tmp_path / "film.mp4", FILMS["contents first.mp4"])
    film, look = FolderRanges(tmp_path).film("film.mp4"), look_at(path)
    write_film(path, Film(64, 3, 96, 64, codec_options=FAST, sound="aac", seed=1))
    os.utime(path, (0, 0))

    with pytest.raises(FilmChanged, match=r"film\.mp4 was replaced by a newer upload while it was read"):
        measure_segment(lambda message: None, Work(film, look, DecodePlan(), FolderBlobs(tmp_path / "m"), "m"), range(1))


# --- what else might be opened ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_in_a_store_opens_nothing(name: str, tmp_path: Path):
    secret = write_film(tmp_path / "secret.ts", Film(1, 10, codec="mpeg2video"))
    (tmp_path / name).write_text(PLAYLISTS[name].format(film=secret))

    with pytest.raises(UnreadableVideo, match=name):
        measure_video(
            FolderRanges(tmp_path).film(name), FolderBlobs(tmp_path / "b"), "m", DecodePlan(), workers=1, limits=Limits(look_s=20)
        )


def with_data_elsewhere(mp4: bytes, target: Path) -> bytes:
    """An MP4 (contents at the end) whose pictures are said to lie in another file: its data reference becomes an alias to `target`."""
    name = str(target).encode()
    told = struct.pack(">HH", 2, len(name)) + name + b"\0" * (len(name) % 2)
    levels = struct.pack(">hh", 1, 1)
    alias = bytes(10) + bytes(28) + bytes(12) + b"\x04film" + bytes(59) + bytes(16) + levels + bytes(16) + told + struct.pack(">hh", -1, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    at = mp4.index(b"\0\0\0\x0curl \0\0\0\x01")
    out = bytearray(mp4[:at] + entry + mp4[at + 12 :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = mp4.rindex(box, 0, at) - 4
        struct.pack_into(">I", out, place, struct.unpack_from(">I", mp4, place)[0] + len(entry) - 12)
    return bytes(out)


@pytest.mark.parametrize("stored", [False, True])
def test_data_in_another_file_is_not_read(stored: bool, tmp_path: Path):
    elsewhere = write_film(tmp_path / "elsewhere.mp4", Film(2, 10, codec_options=FAST))
    (tmp_path / "film.mp4").write_bytes(with_data_elsewhere(elsewhere.read_bytes(), elsewhere))
    film: FilmFile = FolderRanges(tmp_path).film("film.mp4") if stored else tmp_path / "film.mp4"

    with pytest.raises(UnreadableVideo):
        examine(film)


# --- the file itself ---------------------------------------------------------------------------------------------------------


def test_reads_and_seeks_give_what_a_file_gives(tmp_path: Path):
    data = random.Random(1).randbytes(3_000_001)
    (tmp_path / "bytes").write_bytes(data)
    dice = random.Random(2)
    ours = RangedFile(lambda start, length: data[start : start + length], len(data))
    with (tmp_path / "bytes").open("rb") as theirs:
        for _ in range(400):
            offset, size = dice.randrange(-10, len(data) + 10), dice.choice([0, 1, 7, 32_768, 700_000])
            whence = dice.choice([os.SEEK_SET, os.SEEK_END])
            place = max(0, offset if whence == os.SEEK_SET else offset - len(data)) if whence == os.SEEK_SET else -min(offset, len(data))
            assert ours.seek(place, whence) == theirs.seek(place, whence)
            assert ours.read(size) == theirs.read(size)
            assert ours.tell() == theirs.tell()


def test_a_run_is_read_in_growing_pieces_each_byte_once():
    asked: list[tuple[int, int]] = []

    def fetch(start: int, length: int) -> bytes:
        asked.append((start, length))
        return bytes(length)

    with RangedFile(fetch, 20 << 20) as file:
        while file.read(32_768):
            pass

    assert sum(length for _, length in asked) == 20 << 20
    assert [length >> 10 for _, length in asked[:6]] == [256, 512, 1024, 2048, 4096, 4096]
    assert [start for start, _ in asked[1:]] == [start + length for start, length in asked[:-1]]

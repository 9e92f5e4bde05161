"""A film measured by several through one store is the film measured by one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.encoders.imagenet import ImageNetEncoder
from pipelines.decode_plan import DecodePlan
from pipelines.encode import Encoding
from pipelines.interfaces import UnreadableVideo
from pipelines.limits import Limits
from pipelines.looking import Look, look_at
from pipelines.segments import Work, measure_video
from pipelines.series import Series, unpack
from pipelines.shares import look_once, measure_share, pack_look, seal, shares, unpack_look
from pipelines.stores.folder import FolderBlobs
from tests.hostile.making import Film, write_film

SMALL = Film(150, 4, width_px=96, height_px=64, codec_options={"preset": "veryfast", "g": "24"}, sound="aac")


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("shares") / "film.mp4", SMALL)


def series_of(blobs: FolderBlobs, prefix: str) -> dict[str, dict[str, Series]]:
    return {key: unpack(blobs.get(key)) for key in blobs.keys(prefix) if key.endswith(".npz")}


def assert_equal(one: dict[str, dict[str, Series]], other: dict[str, dict[str, Series]]) -> None:
    assert one.keys() == other.keys()
    for key, block in one.items():
        assert block.keys() == other[key].keys()
        for name, series in block.items():
            np.testing.assert_array_equal(series.times_s, other[key][name].times_s)
            np.testing.assert_array_equal(series.values, other[key][name].values)


def test_shares_taken_by_two_give_the_series_features_and_manifest_of_one(long_film: Path, tmp_path: Path, eyes: ImageNetEncoder):
    alone, shared, near = FolderBlobs(tmp_path / "alone"), FolderBlobs(tmp_path / "shared"), FolderBlobs(tmp_path / "near")
    plan = DecodePlan()
    with Encoding(eyes, alone, "m", plan) as encoding:
        whole = measure_video(long_film, alone, "m", plan, on_block=encoding.add, is_done=encoding.is_done)

    work = Work(long_film, look_once(long_film, shared, "m"), plan, shared, "m", waiting=near)
    todo = shares(work, Encoding(eyes, shared, "m", plan, waiting=near).is_done)
    sealed = []
    for blocks in reversed(todo):
        with Encoding(eyes, shared, "m", plan, among=blocks, waiting=near) as encoding:
            measure_share(work, blocks, on_block=encoding.add, is_done=encoding.is_done)
        sealed.append(seal(work, encoding.has_seen))

    assert sorted(block for blocks in todo for block in blocks) == [0, 1, 2]
    assert [measured is not None for measured in sealed] == [*[False] * (len(todo) - 1), True]
    assert shared.get("m/manifest.json") == alone.get("m/manifest.json")
    assert (sealed[-1].duration_s, sealed[-1].facts) == (whole.duration_s, whole.facts)
    assert_equal(series_of(shared, "m/"), series_of(alone, "m/"))
    assert_equal(series_of(shared, encoding.features), series_of(alone, encoding.features))
    assert list(near.keys("m")) == []  # no pictures are left waiting
    assert shares(work, encoding.has_seen) == []


def test_pictures_that_wait_for_another_process_are_encoded_there(long_film: Path, tmp_path: Path, eyes: ImageNetEncoder):
    blobs, plan = FolderBlobs(tmp_path), DecodePlan()
    work = Work(long_film, look_once(long_film, blobs, "m"), plan, blobs, "m")

    measure_share(work, range(3))
    assert seal(work, Encoding(eyes, blobs, "m", plan).has_seen) is None
    with Encoding(eyes, blobs, "m", plan, among=range(1, 3)) as encoding:
        pass
    assert [block for block in range(3) if encoding.has_seen(block)] == [1, 2]


def test_a_block_that_ends_every_worker_is_a_hole_for_all(long_film: Path, tmp_path: Path):
    blobs = FolderBlobs(tmp_path)
    work = Work(long_film, look_once(long_film, blobs, "m"), DecodePlan(), blobs, "m")
    hopeless = Limits(block_s=0.01, patience_s=0.0)

    measure_share(work, range(1, 2), limits=hopeless)
    assert shares(work, lambda block: True) == [range(1), range(2, 3)]
    measure_share(work, range(3))
    measured = seal(work, lambda block: True)

    assert measured is not None
    assert [(gap.start_s, gap.end_s) for gap in measured.missing] == [(60.0, 120.0)]
    assert "took more than" in measured.missing[0].reason
    assert measured.seen_s == pytest.approx(90, abs=0.5)


def test_a_film_of_which_nothing_could_be_decoded_is_unreadable(long_film: Path, tmp_path: Path):
    blobs = FolderBlobs(tmp_path)
    work = Work(long_film, look_once(long_film, blobs, "m"), DecodePlan(), blobs, "m")

    measure_share(work, range(3), limits=Limits(block_s=0.01, patience_s=0.0))

    with pytest.raises(UnreadableVideo, match=r"film\.mp4 cannot be decoded: a minute of video took more than"):
        seal(work, lambda block: True)


@pytest.mark.parametrize("recipe", ["open.mp4", "closed.ts", "vfr.mkv", "h264.avi"])
def test_a_look_comes_back_from_the_store_as_it_was(film: Callable[[str], Path], recipe: str):
    look = look_at(film(recipe))

    back = unpack_look(pack_look(look))

    assert back.facts == look.facts
    assert same_index(back, look)


def same_index(one: Look, other: Look) -> bool:
    if one.index is None or other.index is None:
        return one.index is other.index
    plain = ("clock", "end_tick", "stamped_by", "warnings")
    arrays = ("ticks", "key_ticks", "packet_ticks", "starts", "stamps", "seeks", "start_bytes")
    return all(getattr(one.index, n) == getattr(other.index, n) for n in plain) and all(
        np.array_equal(getattr(one.index, n), getattr(other.index, n)) for n in arrays
    )

"""The stage encode: every picture once, beside decoding, and after a stop only what is left. A real encoder, small films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.encoders.imagenet import ImageNetEncoder
from model.video import Seen, TimeSpan
from pipelines.decode_plan import CUTTER_PICTURES, DecodePlan
from pipelines.encode import Encoding
from pipelines.findings import Shot
from pipelines.measure import Jumps
from pipelines.segments import measure_video
from pipelines.series import Measured, Series, pack
from pipelines.signals.eyes import shot_embeddings
from pipelines.stores.folder import FolderBlobs
from tests.hostile.making import Film, write_film

LENGTH_S = 64.0  # two blocks, the last one short


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", Film(LENGTH_S, 4, width_px=96, height_px=64))


def encoded(film: Path, blobs: FolderBlobs, encoder: object) -> tuple[Measured, Encoding]:
    with Encoding(encoder, blobs, "m", DecodePlan()) as encoding:  # type: ignore[arg-type]
        measured = measure_video(film, blobs, "m", DecodePlan(), workers=1, on_block=encoding.add, is_done=encoding.is_done)
    measured.features = encoding.features
    return measured, encoding


class Counting:
    """The real encoder, which also counts what it is given."""

    def __init__(self, eyes: ImageNetEncoder, fails_from: int = 1 << 30) -> None:
        self.eyes, self.count, self.fails_from = eyes, 0, fails_from
        self.name, self.digest, self.size_px, self.class_names = eyes.name, eyes.digest, eyes.size_px, eyes.class_names

    def encode(self, pictures: NDArray[np.uint8]) -> Seen:
        if self.count + len(pictures) > self.fails_from:
            raise RuntimeError("out of memory\nat some depth")
        self.count += len(pictures)
        return self.eyes.encode(pictures)


def test_every_second_is_seen_once_and_no_picture_is_kept(film: Path, tmp_path: Path, eyes: ImageNetEncoder) -> None:
    blobs = FolderBlobs(tmp_path)
    measured, encoding = encoded(film, blobs, counting := Counting(eyes))

    times = measured["eyes.embedding"].times_s
    assert set(range(64)) <= set(times.tolist())
    assert counting.count == len(times)
    assert measured["eyes.embedding"].values.shape == (len(times), 1280)
    assert [cells.values.shape[1:] for cells in measured.blocks("eyes.cells")] == [(7, 7, 64)] * 2
    assert (measured["eyes.share"].values[:, 0] >= measured["eyes.share"].values[:, 7]).all()
    assert list(blobs.keys("m-pictures")) == []
    assert encoding.trouble == ""


def test_a_second_run_encodes_nothing(film: Path, tmp_path: Path, eyes: ImageNetEncoder) -> None:
    blobs = FolderBlobs(tmp_path)
    encoded(film, blobs, Counting(eyes))
    before = {key: blobs.get(key) for key in blobs.keys("m")}

    _, encoding = encoded(film, blobs, again := Counting(eyes))

    assert again.count == 0
    assert encoding.spans_s == []
    assert {key: blobs.get(key) for key in blobs.keys("m")} == before


def test_what_a_stopped_run_left_is_encoded_and_not_decoded_again(film: Path, tmp_path: Path, eyes: ImageNetEncoder) -> None:
    whole, stopped = FolderBlobs(tmp_path / "whole"), FolderBlobs(tmp_path / "stopped")
    expected, _ = encoded(film, whole, eyes)
    measure_video(film, stopped, "m", DecodePlan(), workers=1)  # its encoder never came to work
    Path(moved := tmp_path / "elsewhere.mp4").write_bytes(film.read_bytes())

    found, _ = encoded(tmp_path / "there is no such film.mp4", stopped, eyes)

    assert moved.exists()
    np.testing.assert_array_equal(found["eyes.embedding"].values, expected["eyes.embedding"].values)


def test_pictures_that_are_gone_are_decoded_once_more(film: Path, tmp_path: Path, eyes: ImageNetEncoder) -> None:
    blobs = FolderBlobs(tmp_path)
    measure_video(film, blobs, "m", DecodePlan(eyes=None), workers=1)

    measured, _ = encoded(film, blobs, eyes)

    assert set(range(64)) <= set(measured["eyes.class"].times_s.tolist())


def test_an_encoder_that_fails_costs_the_features_only(film: Path, tmp_path: Path, eyes: ImageNetEncoder) -> None:
    measured, encoding = encoded(film, FolderBlobs(tmp_path), Counting(eyes, fails_from=61))

    assert encoding.trouble == "the trained eyes stopped looking: out of memory"
    assert len(measured["frame.luma"]) == LENGTH_S * 4


def test_the_shot_detector_looks_at_every_frame_of_every_block_once(film: Path, tmp_path: Path) -> None:
    blobs, plan = FolderBlobs(tmp_path), DecodePlan(eyes=None, cutter=CUTTER_PICTURES)
    with Encoding(None, blobs, "m", plan, Numbering()) as encoding:
        measured = measure_video(film, blobs, "m", plan, workers=1, on_block=encoding.add, is_done=encoding.is_done)
    measured.cuts = encoding.cuts

    assert measured["cuts.cut"].times_s.tolist() == measured["frame.luma"].times_s.tolist()
    # The second block's first frame came with the two seconds before it.
    assert measured["cuts.cut"].values[[0, 239, 240]].tolist() == [0, 239, 8]
    assert list(blobs.keys("m-pictures")) == []


class Numbering:
    """A detector that answers each frame with its number."""

    name, digest = "numbers", "0"

    def cuts(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        assert pictures.shape[1:] == (27, 48, 3)
        numbers = np.arange(len(pictures), dtype=np.float32)
        return numbers, numbers


def seen_at(times_s: list[float], directions: list[int], folder: Path) -> Measured:
    values = np.eye(4, dtype=np.float16)[directions]
    blobs = FolderBlobs(folder)
    blobs.put("f/000000.npz", pack({"eyes.embedding": Series(np.array(times_s), values)}))
    return Measured(blobs, "m", 60.0, features="f")


def test_a_shot_looks_like_the_pictures_inside_it(tmp_path: Path) -> None:
    measured = seen_at([0.0, 1.0, 2.0, 3.0, 4.0, 5.05], [0, 0, 1, 1, 2, 3], tmp_path)
    shots = [Shot(TimeSpan(0, 2)), Shot(TimeSpan(3.5, 5)), Shot(TimeSpan(5, 5.1))]

    found = shot_embeddings(measured, shots)

    assert found is not None
    np.testing.assert_allclose(found, [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], atol=1e-6)


def test_without_an_encoder_shots_have_no_embeddings(tmp_path: Path) -> None:
    assert shot_embeddings(Measured(FolderBlobs(tmp_path), "m", 60.0), [Shot(TimeSpan(0, 2))]) is None


@pytest.mark.parametrize(
    ("jumps_at", "settled_at"),
    [
        ((), []),
        ((25,), [30]),
        ((25, 26), [31]),  # a flash: there and back
        (tuple(range(10, 50)), []),  # a strobe up to the last frame
        ((10, 30), [15, 35]),
    ],
)
def test_a_jump_gives_the_shot_behind_it_one_picture(jumps_at: tuple[int, ...], settled_at: list[int]) -> None:
    level, jumps, settled = 0, Jumps(), []
    for frame in range(50):
        level = 200 - level if frame in jumps_at else level
        if jumps.settled(frame * 0.04, np.full((36, 64), level, np.uint8)):
            settled.append(frame)

    assert settled == settled_at

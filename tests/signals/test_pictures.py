"""What is measured of every frame, against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.series import Series
from pipelines.signals.details import bars, edge_bits, measure_details, sharpness, text_share
from pipelines.signals.pictures import CHUNK, BlockPictures, measure_pictures
from tests.signals.scenery import block_pictures, pan, still


def grey_block(luma: np.ndarray) -> BlockPictures:
    count = len(luma)
    chroma = np.full((count, 2, 18, 32), 128, np.uint8)
    return BlockPictures(0, 60, np.arange(count) / 25, np.arange(count), luma.astype(np.uint8), chroma, slice(0, count))


def test_the_numbers_of_a_frame_are_those_of_plain_arithmetic():
    luma = np.random.default_rng(1).integers(0, 256, (3, 36, 64), dtype=np.uint8)

    numbers = measure_pictures(grey_block(luma))

    one, other = luma[1].astype(float), luma[2].astype(float)
    assert numbers["frame.luma"].values[2] == pytest.approx(other.mean())
    assert numbers["frame.spread"].values[2] == pytest.approx(other.std(), rel=1e-6)
    assert numbers["frame.change"].values[2] == pytest.approx(np.abs(other - one).mean())
    assert numbers["frame.peak"].values[2] == np.abs(other - one).max()
    assert numbers["frame.black"].values[2] == pytest.approx((other < 20).mean())
    assert numbers["frame.likeness"].values[2] == pytest.approx(np.corrcoef(one.ravel(), other.ravel())[0, 1], abs=1e-3)
    assert numbers["frame.tiny"].values[2, 0, 1, 2] == round(other[4:8, 8:12].mean())


def test_the_first_frame_has_nothing_to_differ_from():
    numbers = measure_pictures(grey_block(np.full((2, 36, 64), 90)))

    assert numbers["frame.change"].values[0] == 0
    assert numbers["frame.likeness"].values.tolist() == [1, 1]


def test_a_block_longer_than_a_chunk_equals_its_frames_measured_in_pairs():
    film = pan(2, CHUNK + 20)
    whole = measure_pictures(block_pictures(film))

    pair = measure_pictures(block_pictures(film[CHUNK - 1 : CHUNK + 1]))

    for name in ("luma", "spread", "change", "colour", "likeness"):
        assert whole[f"frame.{name}"].values[CHUNK] == pair[f"frame.{name}"].values[1]


def test_two_cuttings_of_a_film_give_equal_values():
    """The block's neighbours are seen for two seconds either side, whoever decodes them."""
    film = np.concatenate([pan(3, 1450), still(4, 200)])
    short = block_pictures(film, block=0)
    again = block_pictures(film[: 25 * 62], block=0)  # a segment that ends where the overlap does

    one, other = measure_pictures(short), measure_pictures(again)

    assert all(np.array_equal(one[name].values, other[name].values) for name in one)


def test_a_moved_picture_leaves_less_than_another_picture_does():
    one, other = np.random.default_rng(5).integers(0, 256, (2, 36, 64))
    calm = np.repeat(one[None], 10, axis=0)

    shifted = measure_pictures(grey_block(np.concatenate([calm, np.roll(one, 4, axis=1)[None]])))
    replaced = measure_pictures(grey_block(np.concatenate([calm, other[None]])))

    assert shifted["frame.residue"].values[10] < 0.4 * shifted["frame.change"].values[10]
    assert replaced["frame.residue"].values[10] > 0.4 * replaced["frame.change"].values[10]


def test_a_faint_step_is_an_edge_and_a_gentle_slope_is_none():
    grey = np.full((180, 320), 100, np.uint8)
    grey[:, 160:] = 120

    edges = np.unpackbits(edge_bits(grey)).reshape(180, 320)

    assert edges[1:-1, 159:161].all()
    assert edges.sum() == 2 * 178
    assert edge_bits(np.tile(np.linspace(0, 255, 320).astype(np.uint8), (180, 1))).sum() == 0


def test_dark_borders_are_measured_and_a_black_picture_has_none():
    grey = np.full((180, 320), 128, np.uint8)
    grey[:18], grey[-36:], grey[:, :32] = 0, 5, 0

    assert bars(grey) == pytest.approx([0.1, 0, 0.1, 0.2])
    assert bars(np.zeros((180, 320), np.uint8)).tolist() == [0, 0, 0, 0]


def test_blur_takes_sharpness_away_and_letters_are_told_from_noise():
    rng = np.random.default_rng(7)
    sharp = rng.integers(0, 256, (180, 320)).astype(np.uint8)
    soft = ((sharp[:, :-1].astype(int) + sharp[:, 1:]) // 2).astype(np.uint8)
    letters = np.zeros((180, 320), np.uint8)
    letters[100:110, ::8] = 255

    assert sharpness(soft) < sharpness(sharp)
    assert text_share(sharp) == 0  # every cell is full of steps
    assert text_share(letters) == pytest.approx(1 / 18, abs=0.01)


def test_a_block_without_pictures_has_empty_details():
    details = measure_details(Series(np.zeros(0), np.zeros((0, 180, 320), np.uint8)))

    assert details["detail.edges"].values.shape == (0, 7200)
    assert details["detail.bars"].values.shape == (0, 4)

"""Pixels come out as CLIP's own processor makes them, and frames are those the published rules choose."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model.preprocess import best_grid, crops, fit, normalise, one_fps_indices, training_indices, uniform_indices

SIZES = [  # (width, height), size: wide, tall, square, equal to the size, smaller than it, single lines and single pixels
    ((128, 72), 56), ((71, 130), 56), ((99, 99), 28), ((56, 56), 56), ((336, 400), 336), ((13, 7), 56), ((640, 361), 224),
    ((1, 1), 28), ((1, 40), 28), ((500, 1), 14), ((2, 3), 336), ((57, 56), 56), ((801, 600), 33),
]  # fmt: skip


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("wh", "size_px"), SIZES)
def test_pixels_are_those_of_the_processor_to_the_last_bit(wh: tuple[int, int], size_px: int) -> None:
    transformers = pytest.importorskip("transformers")
    processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": size_px}, crop_size={"height": size_px, "width": size_px})
    picture = noise(*wh)
    expected = processor(Image.fromarray(picture), return_tensors="np")["pixel_values"]

    found = normalise(fit(picture, size_px)[None])

    assert found.dtype == expected.dtype == np.float32
    assert np.array_equal(found, expected)


def test_normalising_is_the_formula() -> None:
    pixels = normalise(np.array([0, 51, 255], np.uint8).repeat(3).reshape(1, 1, 3, 3))

    assert pixels.shape == (1, 3, 1, 3)
    np.testing.assert_allclose(pixels[0, 1, 0], (np.array([0, 0.2, 1]) - 0.4578275) / 0.26130258, atol=1e-6)


def test_the_middle_of_a_wide_picture_is_kept() -> None:
    picture = np.zeros((10, 31, 3), np.uint8)
    picture[:, 10:20] = 200  # columns (31 - 10) // 2 = 10 to 19

    assert fit(picture, 10).min() == 200


def test_a_picture_is_cut_row_by_row_behind_its_base_view() -> None:
    picture = noise(30, 20)

    cut = crops(picture, [(30, 20), (10, 20)], 10)

    assert cut.shape == (7, 10, 10, 3)
    assert np.array_equal(cut[0], np.asarray(Image.fromarray(picture).resize((10, 10))))
    assert np.array_equal(np.concatenate([np.concatenate(list(cut[1:4]), 1), np.concatenate(list(cut[4:]), 1)]), picture)


@pytest.mark.parametrize(
    ("wh", "inner", "corner"),  # of a grid of 40 x 20: the picture's size in it, and where it lies
    [((30, 10), (40, 14), (0, 3)), ((10, 30), (7, 20), (16, 0)), ((80, 40), (40, 20), (0, 0)), ((1, 50), (1, 20), (19, 0))],
)
def test_what_the_picture_leaves_is_black(wh: tuple[int, int], inner: tuple[int, int], corner: tuple[int, int]) -> None:
    picture = np.maximum(noise(*wh), 1)

    canvas = np.concatenate(list(crops(picture, [(40, 20)], 20)[1:]), axis=1)

    x, y = corner
    expected = np.zeros((20, 40, 3), np.uint8)
    expected[y : y + inner[1], x : x + inner[0]] = np.asarray(Image.fromarray(picture).resize(inner, Image.Resampling.BICUBIC))
    assert np.array_equal(canvas, expected)


@pytest.mark.parametrize(
    ("wh", "expected"),
    [
        ((600, 300), (672, 336)),  # the shape itself
        ((10, 10), (336, 672)),  # small: all keep 100 pixels, the smallest two waste least, the first of them wins
        ((2000, 2000), (672, 672)),  # keeps most
        ((5000, 200), (1008, 336)),  # a strip: the widest keeps most
        ((1, 9000), (336, 672)),  # nothing is kept by any, the smallest wastes least
    ],
)
def test_the_grid_keeps_most_then_wastes_least_then_comes_first(wh: tuple[int, int], expected: tuple[int, int]) -> None:
    grid = [(336, 672), (672, 336), (672, 672), (1008, 336)]

    assert best_grid(*wh, grid) == expected


def test_uniform_frames_end_at_the_last_and_repeat_in_short_videos() -> None:
    assert uniform_indices(10, 4).tolist() == [0, 3, 6, 9]
    assert uniform_indices(3, 7).tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert uniform_indices(1, 3).tolist() == [0, 0, 0]
    assert uniform_indices(9, 1).tolist() == [0]
    assert uniform_indices(900, 900).tolist() == list(range(900))


@pytest.mark.parametrize(("total", "n"), [(142, 1024), (5400, 128), (100_000, 2048), (29, 87), (7, 1000), (86_400, 86_399)])
def test_uniform_frames_are_truncated_in_float64(total: int, n: int) -> None:
    step = (total - 1) / (n - 1)

    assert uniform_indices(total, n).tolist() == [*(int(i * step) for i in range(n - 1)), total - 1]


def test_whole_numbers_would_choose_other_frames() -> None:
    assert uniform_indices(142, 1024).tolist() != [i * 141 // 1023 for i in range(1024)]


@pytest.mark.parametrize("fps", [25.0, 29.97, 23.976, 12.5, 0.7, Fraction(30_000, 1001), Fraction(15, 2)])
@pytest.mark.parametrize("total", [1, 17, 901, 5400, 200_001])
def test_one_frame_a_second_is_the_published_loop(total: int, fps: float | Fraction) -> None:
    rate = float(fps)

    assert one_fps_indices(total, fps).tolist() == [int(i * rate) for i in range(int(total / rate))]


def test_less_than_a_second_gives_no_frame() -> None:
    assert one_fps_indices(24, 25.0).tolist() == []
    assert one_fps_indices(25, 25.0).tolist() == [0]


@pytest.mark.parametrize(
    ("fps", "video_fps", "step"),
    [
        (29.97, 1, 30),
        (Fraction(25, 2), 1, 12),
        (2.5, 1, 2),
        (3.5, 1, 4),
        (0.6, 1, 1),
        (25, 2, 12),
        (Fraction(24_000, 1001), 1, 24),
        (30, 4, 8),
    ],
)
def test_training_takes_every_rounded_step(fps: float | Fraction, video_fps: int, step: int) -> None:
    assert training_indices(1000, fps, video_fps, 1000).tolist() == list(range(0, 1000, step))


def test_training_thins_out_only_what_is_strictly_more() -> None:
    assert training_indices(100, 25.0, 1, 4).tolist() == [0, 25, 50, 75]
    assert training_indices(101, 25.0, 1, 4).tolist() == [0, 33, 66, 100]


def test_what_cannot_be_is_told_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"\(height, width, 3\) uint8 RGB.*\(4, 4\)"):
        fit(np.zeros((4, 4), np.uint8), 4)
    with pytest.raises(ValueError, match="float64"):
        fit(np.zeros((4, 4, 3)), 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(0, 4, 3\)"):
        crops(np.zeros((0, 4, 3), np.uint8), [(4, 4)], 4)
    with pytest.raises(ValueError, match=r"too narrow.*20160000 pixels"):
        fit(np.zeros((60_000, 1, 3), np.uint8), 336)
    with pytest.raises(ValueError, match="30 x 25 cannot be cut into squares of 10"):
        crops(noise(30, 20), [(30, 25)], 10)
    with pytest.raises(ValueError, match="none is given"):
        best_grid(10, 10, [])
    with pytest.raises(ValueError, match="4 of 0"):
        uniform_indices(0, 4)
    with pytest.raises(ValueError, match="too few to take 1 a second"):
        training_indices(100, 0.4, 1, 4)
    with pytest.raises(ValueError, match="a positive number, got nan"):
        one_fps_indices(10, float("nan"))

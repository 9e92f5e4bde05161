"""From pictures of any size to the pixels CLIP was trained on, and which frames of a video are looked at. Knows numpy and Pillow.

N = pictures, H, W = a picture's height and width in pixels, S = the encoder's side in pixels, n = crops of one picture.
Bit for bit what Hugging Face's CLIPImageProcessor makes of the same pictures: Pillow's bicubic filter rounds to 8 bits after each of its
two passes, and one grey level is 0.015 after normalising, so no other resizer will do. Pillow 9.5 to 12 agree; Pillow 13 swaps the passes
for pictures that grow in width and shrink in height.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MOST_RESIZED_PX = 1 << 27  # 400 MB; of an ordinary video's frames none reaches a hundredth of it

Pictures = NDArray[np.uint8]


def fit(picture: Pictures, size_px: int) -> Pictures:
    """(H, W, 3) RGB to (S, S, 3): shortest edge to S, bicubic; the middle of the longer side is kept, of 16:9 that is 56 %.

    Raises ValueError for another shape or type, and for a picture so narrow that its longer side would become gigantic.
    """
    height, width = _checked(picture).shape[:2]
    short, long = min(height, width), max(height, width)
    long_px = int(size_px * long / short)  # truncated, as the processor does
    if size_px * long_px > MOST_RESIZED_PX:
        raise ValueError(f"a picture of {width} x {height} is too narrow: its longer side would become {long_px} pixels; crop it first")
    wide, high = (long_px, size_px) if width > height else (size_px, long_px)
    left, top = (wide - size_px) // 2, (high - size_px) // 2
    resized = Image.fromarray(picture).resize((wide, high), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size_px, top + size_px)))


def normalise(pictures: Pictures) -> NDArray[np.float32]:
    """(N, S, S, 3) uint8 to (N, 3, S, S) float32: scaled to 0..1, less CLIP's mean, over its deviation."""
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
        raise ValueError(f"pictures to normalise are (N, S, S, 3) uint8, got {pictures.shape} {pictures.dtype}")
    scaled = (np.arange(256) * (1 / 255)).astype(np.float32)[:, None]
    levels = (scaled - np.array(CLIP_MEAN, np.float32)) / np.array(CLIP_STD, np.float32)  # (256, 3): all there can be
    return np.stack([levels[pictures[..., channel], channel] for channel in range(3)], axis=1)


def crops(picture: Pictures, grid_px: Sequence[tuple[int, int]], size_px: int) -> Pictures:
    """One picture as (1 + n, S, S, 3): the whole of it squashed to a square, then squares of it row by row.

    The picture is fitted into the best of `grid_px` ((width, height), multiples of S) and centred on black.
    """
    height, width = _checked(picture).shape[:2]
    wide, high = best_grid(width, height, grid_px)
    if wide % size_px or high % size_px:
        raise ValueError(f"a grid of {wide} x {high} cannot be cut into squares of {size_px}; image_grid_pinpoints must be multiples of it")
    image = Image.fromarray(picture)
    canvas = Image.new("RGB", (wide, high))
    inner = _fitted(width, height, wide, high)
    canvas.paste(image.resize(inner, Image.Resampling.BICUBIC), ((wide - inner[0]) // 2, (high - inner[1]) // 2))
    squares = np.asarray(canvas).reshape(high // size_px, size_px, wide // size_px, size_px, 3).transpose(0, 2, 1, 3, 4)
    base = np.asarray(image.resize((size_px, size_px), Image.Resampling.BICUBIC))
    return np.concatenate([base[None], squares.reshape(-1, size_px, size_px, 3)])


def best_grid(width: int, height: int, grid_px: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The (width, height) that keeps most of the picture's pixels, then wastes least, then comes first."""
    if not grid_px:
        raise ValueError("a picture is fitted into one of several grids, but none is given (image_grid_pinpoints)")
    if width < 1 or height < 1:
        raise ValueError(f"a picture has a pixel or more on either side, got {width} x {height}")

    def merit(grid: tuple[int, int]) -> tuple[int, int]:
        scale = min(grid[0] / width, grid[1] / height)  # float64 and truncated, as the authors' code; exact fractions choose differently
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - grid[0] * grid[1]

    return max(grid_px, key=merit)  # the first of equals


def _fitted(width: int, height: int, wide: int, high: int) -> tuple[int, int]:
    """The largest size of the picture's shape inside wide x high; the side that does not fill it is rounded up."""
    across, down = wide / width, high / height
    if across < down:
        return wide, min(ceil(height * across), high)
    return min(ceil(width * down), wide), high


def uniform_indices(total: int, n: int) -> NDArray[np.int64]:
    """n frames spread evenly over `total`, the first and the last among them; frames repeat where n is the larger."""
    if total < 1 or n < 1:
        raise ValueError(f"frames are chosen from one or more, and one or more of them; got {n} of {total}")
    return np.linspace(0, total - 1, n, dtype=np.int64)  # float64, truncated: whole-number division differs by one for some pairs


def one_fps_indices(total: int, fps: float | Fraction) -> NDArray[np.int64]:
    """A frame for every whole second; none for a video shorter than one. In float64, as the authors count."""
    rate = _checked_rate(fps)
    return (np.arange(int(max(total, 0) / rate)) * rate).astype(np.int64)


def training_indices(total: int, fps: float | Fraction, video_fps: float | Fraction, most: int) -> NDArray[np.int64]:
    """Every round(fps / video_fps)-th frame, halves to the even number; where that is more than `most`, `most` uniform ones."""
    _checked_rate(fps), _checked_rate(video_fps)
    step = round(Fraction(fps) / Fraction(video_fps))
    if step < 1:
        raise ValueError(f"a video of {float(fps):g} frames a second has too few to take {float(video_fps):g} a second")
    every = np.arange(0, total, step)
    return every if len(every) <= most else uniform_indices(total, most)


def _checked(picture: Pictures) -> Pictures:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise ValueError(f"a picture is (height, width, 3) uint8 RGB with a pixel or more, got {picture.shape} {picture.dtype}")
    return picture


def _checked_rate(fps: float | Fraction) -> float:
    if not (isfinite(fps) and fps > 0):
        raise ValueError(f"a frame rate is a positive number, got {fps}")
    return float(fps)

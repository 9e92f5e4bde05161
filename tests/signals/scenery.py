"""Films of small pictures for tests of what is judged from them: no decoding, every value known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.video import Clock
from pipelines.evaluation.edit_scenes import texture
from pipelines.series import BLOCK_S, OVERLAP_S, Measured, Series, pack
from pipelines.signals.pictures import BlockPictures, measure_pictures
from pipelines.stores.folder import FolderBlobs

Pictures = NDArray[np.uint8]
HEIGHT, WIDTH = 36, 64


def still(seed: int, count: int) -> Pictures:
    """(count, 36, 64, 3) one picture of a place of its own, shown `count` times."""
    place = _place(seed, WIDTH)
    return np.repeat(place[None], count, axis=0)


def pan(seed: int, count: int, step_px: int = 1) -> Pictures:
    place = _place(seed, WIDTH + step_px * count)
    return np.stack([place[:, k * step_px : k * step_px + WIDTH] for k in range(count)])


def _place(seed: int, width: int) -> Pictures:
    """(36, width, 3) of full contrast."""
    place = texture(np.random.default_rng(seed), HEIGHT, width, coarsest_px=24)
    return ((place - place.min()) / np.ptp(place) * 255).astype(np.uint8)


def dissolve(before: Pictures, after: Pictures) -> Pictures:
    """Picture by picture from one film to the other; the ends are not pure."""
    share = (np.arange(len(before)) + 1)[:, None, None, None] / (len(before) + 1)
    return (before * (1 - share) + after * share).astype(np.uint8)


def fade(before: Pictures, after: Pictures) -> Pictures:
    down = before * np.linspace(1, 0, len(before))[:, None, None, None]
    up = after * np.linspace(0, 1, len(after))[:, None, None, None]
    return np.concatenate([down, up]).astype(np.uint8)


def block_pictures(rgb: Pictures, rate: float = 25.0, block: int = 0) -> BlockPictures:
    """Block `block` of a film of small RGB pictures, with what lies around it."""
    times = np.arange(len(rgb)) / rate
    start_s, end_s = block * BLOCK_S, (block + 1) * BLOCK_S
    used = np.flatnonzero((times >= start_s - OVERLAP_S) & (times < end_s + OVERLAP_S))
    wide = rgb[used].astype(np.float64)
    luma = wide @ [0.299, 0.587, 0.114]
    colours = np.stack([(wide[..., 2] - luma) * 0.564, (wide[..., 0] - luma) * 0.713], axis=1)[:, :, ::2, ::2] + 128
    first, last = np.searchsorted(times[used], [start_s, end_s])
    detail_at = np.flatnonzero((used % round(rate) == 0) & (times[used] >= start_s) & (times[used] < end_s))
    grey = np.repeat(np.repeat(luma[detail_at].astype(np.uint8), 5, axis=1), 5, axis=2)
    return BlockPictures(
        start_s, end_s, times[used], used.astype(np.int64), luma.round().astype(np.uint8), colours.round().clip(0, 255).astype(np.uint8),
        slice(int(first), int(last)), {"detail": Series(times[used][detail_at], grey)},
    )  # fmt: skip


def measured_film(folder: Path, parts: Sequence[Pictures], rate: float = 25.0) -> Measured:
    """The series of the parts shown one after the other."""
    rgb = np.concatenate(list(parts))
    blobs = FolderBlobs(folder)
    for block in range(int(np.ceil(len(rgb) / rate / BLOCK_S))):
        blobs.put(f"film/{block:06d}.npz", pack(measure_pictures(block_pictures(rgb, rate, block))))
    return Measured(blobs, "film", len(rgb) / rate, Clock(Fraction(1, round(rate))))

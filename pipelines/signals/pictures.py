"""Numbers from small pictures of one block. Pure functions of arrays; integer sums, so that equal pictures give equal values.

F = frames of the block and its overlap, H, W = rows and columns of the small luma picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.series import Series


@dataclass(frozen=True, slots=True)
class BlockPictures:
    """One block's pictures. The block owns frames `own`; those around it are there for measurements that look aside."""

    start_s: float
    end_s: float
    times_s: NDArray[np.float64]  # (F,) when each frame appears
    ticks: NDArray[np.int64]  # (F,)
    luma: NDArray[np.uint8]  # (F, H, W)
    chroma: NDArray[np.uint8]  # (F, 2, H / 2, W / 2)
    own: slice
    sampled: dict[str, Series] = field(default_factory=dict)  # name -> pictures at instants of the plan's grid, own ones only


def measure_pictures(block: BlockPictures) -> dict[str, Series]:
    """frame.tick, frame.luma (mean), frame.spread (standard deviation), frame.change (mean |difference| to the frame before)."""
    luma = block.luma.astype(np.int32)
    pixels = luma.shape[1] * luma.shape[2]
    total = luma.sum(axis=(1, 2))
    squares = (luma * luma).sum(axis=(1, 2))
    change = np.zeros(len(luma))
    change[1:] = np.abs(np.diff(luma, axis=0)).sum(axis=(1, 2)) / pixels
    mean = total / pixels
    spread = np.sqrt(np.maximum(squares / pixels - mean * mean, 0))
    numbers = {"tick": block.ticks, "luma": mean.astype(np.float32), "spread": spread.astype(np.float32), "change": change.astype(np.float32)}
    times = block.times_s[block.own]
    series = {f"frame.{name}": Series(times, values[block.own]) for name, values in numbers.items()}
    kept = {name: s for name, s in block.sampled.items() if name != "detail"}
    return series | kept

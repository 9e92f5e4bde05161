"""Walks the tiny pictures of every frame block by block, with a margin around each block, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.series import Measured, Series


def walk_tiny(measured: Measured, margin_s: float) -> Iterator[tuple[int, Series, int]]:
    """(frames of the block, its tiny pictures with `margin_s` around them, how many come before the block), block by block."""
    blocks = (block for block in measured.blocks("frame.tiny") if len(block))
    before: Series | None = None
    block = next(blocks, None)
    while block is not None:
        after = next(blocks, None)
        lead = before.within(block.times_s[0] - margin_s, np.inf) if before is not None else block.within(0, 0)
        trail = after.within(-np.inf, block.times_s[-1] + margin_s) if after is not None else block.within(0, 0)
        parts = (lead, block, trail)
        yield len(block), Series(np.concatenate([p.times_s for p in parts]), np.concatenate([p.values for p in parts])), len(lead)
        before, block = block, after


def tiny_at(measured: Measured, instants_s: Sequence[float]) -> NDArray[np.int16]:
    """(len(instants_s), P) the tiny pictures on display at instants in ascending order; P numbers each."""
    found: list[NDArray[np.int16]] = []
    last: NDArray[np.int16] | None = None
    for block in measured.blocks("frame.tiny"):
        if not len(block):
            continue
        while len(found) < len(instants_s) and instants_s[len(found)] < block.times_s[-1]:
            k = int(np.searchsorted(block.times_s, instants_s[len(found)] + 1e-6, side="right")) - 1
            found.append(block.values[k].astype(np.int16).ravel() if k >= 0 or last is None else last)
        last = block.values[-1].astype(np.int16).ravel()
    return np.array(found + [last] * (len(instants_s) - len(found)), np.int16)

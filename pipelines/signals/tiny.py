"""Walks the tiny pictures of every frame block by block, with a margin around each block, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

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

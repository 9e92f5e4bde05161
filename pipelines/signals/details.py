"""Numbers from the grey pictures of 320 x 180 that are looked at once a second: edges, sharpness, bars, text. Integer sums throughout.

n = pictures, H, W = their rows and columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.series import Series

EDGE_LEVEL = 64  # |Sobel x| + |Sobel y|; a step of 16 levels: a half transparent logo on a mid-grey ground
BAR_LEVEL = 20  # full-range mean of a row or column of a bar at the picture's border
TEXT_STEP = 40  # levels between neighbouring pixels on the side of a letter
TEXT_CELL_PX = (10, 20)
TEXT_SHARE = (0.15, 0.6)  # share of such steps in a cell of letters; more is fine texture


def measure_details(pictures: Series) -> dict[str, Series]:
    """detail.edges ((n, H W / 8) uint8, bits packed row by row), detail.sharpness (root mean square of the Laplacian, levels),
    detail.bars ((n, 4) dark border left, right, top, bottom as shares of the picture; 0 for an all dark one),
    detail.text (share of cells that look like letters)."""
    grey = pictures.values
    count, pixels = len(grey), int(np.prod(grey.shape[1:]))
    values: dict[str, NDArray[np.generic]] = {
        "edges": np.array([edge_bits(g) for g in grey], np.uint8).reshape(count, pixels // 8),
        "sharpness": np.array([sharpness(g) for g in grey], np.float32),
        "bars": np.array([bars(g) for g in grey], np.float32).reshape(count, 4),
        "text": np.array([text_share(g) for g in grey], np.float32),
    }
    return {f"detail.{name}": Series(pictures.times_s, numbers) for name, numbers in values.items()}


def edge_bits(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H W / 8,) uint8: where the Sobel magnitude passes EDGE_LEVEL, packed row by row; the outermost pixels never do."""
    wide = grey.astype(np.int16)
    smooth_down = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    smooth_across = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    across = np.abs(smooth_down[:, 2:] - smooth_down[:, :-2])
    down = np.abs(smooth_across[2:] - smooth_across[:-2])
    edges = np.zeros(grey.shape, bool)
    edges[1:-1, 1:-1] = across + down >= EDGE_LEVEL
    return np.packbits(edges)


def sharpness(grey: NDArray[np.uint8]) -> np.float32:
    wide = grey.astype(np.int16)
    laplacian = 4 * wide[1:-1, 1:-1] - wide[:-2, 1:-1] - wide[2:, 1:-1] - wide[1:-1, :-2] - wide[1:-1, 2:]
    flat = laplacian.ravel().astype(np.float64)  # whole numbers far below 2^53: the sum is exact in any order
    return np.float32(np.sqrt(np.einsum("p,p->", flat, flat) / flat.size))


def bars(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(4,) dark border at left, right, top, bottom, as shares of width and height."""
    height, width = grey.shape
    wide = grey.astype(np.float32)  # sums of whole numbers below 2^24 are exact
    dark_columns = wide.sum(0) < BAR_LEVEL * height
    dark_rows = wide.sum(1) < BAR_LEVEL * width
    if dark_columns.all() or dark_rows.all():
        return np.zeros(4, np.float32)
    sides = (dark_columns, dark_columns[::-1], dark_rows, dark_rows[::-1])
    return np.array([np.argmin(side) / len(side) for side in sides], np.float32)


def text_share(grey: NDArray[np.uint8]) -> np.float32:
    """Share of cells in which steep steps from pixel to pixel are as frequent as letters make them."""
    rows, columns = TEXT_CELL_PX
    steep = np.zeros(grey.shape, np.uint8)
    steep[:, 1:] = np.maximum(grey[:, 1:], grey[:, :-1]) - np.minimum(grey[:, 1:], grey[:, :-1]) >= TEXT_STEP
    high_cells, wide_cells = grey.shape[0] // rows, grey.shape[1] // columns
    tall = steep[: high_cells * rows, : wide_cells * columns].reshape(high_cells, rows, -1).sum(1, dtype=np.uint8)
    counts = tall.reshape(high_cells, wide_cells, columns).sum(2, dtype=np.uint16)
    low, high = (share * rows * columns for share in TEXT_SHARE)
    return np.float32(((counts >= low) & (counts <= high)).mean())

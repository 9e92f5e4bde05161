"""Where letters may stand and how long, from the edges that are measured once a second. Reads nothing.

n = seconds, C = cells of a picture (ROWS x COLUMNS of them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured

HEIGHT, WIDTH = 180, 320  # of the pictures whose edges are kept
ROWS, COLUMNS = 18, 20
CELL = (HEIGHT // ROWS) * (WIDTH // COLUMNS)  # pixels
LETTERS = (0.12, 0.8)  # share of edge pixels in a cell of letters
STROKES = 10  # edges that begin in the rows of such a cell
KEPT = 0.4  # of a cell's edges stand for a second where letters stand still on moving scenery
STANDS = 0.55  # of the edges of a text are there while it stands; half are there by chance on the busiest ground
ROLLS = 0.25  # of the edges of credits at their fullest are there while they come and go
FEW = 12  # edge pixels; fewer tell nothing
BUSY = 10  # edge pixels of a cell that is not plain
PLAIN_CELLS = (3, 0.35)  # busy cells of a card: more than a few, and no more than this share of all

Box = tuple[float, float, float, float]
Bits = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Edges:
    """The edges of a stretch of film. times_s: (n,); bits: (n, HEIGHT, COLUMNS) uint16, 16 pixels of a row in each."""

    times_s: NDArray[np.float64]
    bits: Bits

    def __len__(self) -> int:
        return len(self.times_s)

    def at(self, seconds: float) -> int:
        """The second that shows what stands at `seconds`."""
        return int(np.clip(np.searchsorted(self.times_s, seconds + 1e-6, side="right") - 1, 0, len(self) - 1))

    def standing(self) -> Bits:
        """(n, HEIGHT, COLUMNS) edges that the second before or after has as well, whichever keeps more of them."""
        before, after = np.zeros_like(self.bits), np.zeros_like(self.bits)
        before[1:] = self.bits[1:] & self.bits[:-1]
        after[:-1] = before[1:]
        keeps_more = np.bitwise_count(after).sum((1, 2), dtype=np.int64) >= np.bitwise_count(before).sum((1, 2), dtype=np.int64)
        return np.where(keeps_more[:, None, None], after, before)

    def stretch(self, box: Box, at: int) -> range:
        """The seconds around `at` in which what stands in the box now stands there too; one second of bad luck is passed over."""
        rows, columns = _inside(box)
        part = self.bits[:, rows, columns]
        before, after = part[at] & part[max(0, at - 1)], part[at] & part[min(len(self) - 1, at + 1)]
        kept = max((p for k, p in ((at - 1, before), (at + 1, after)) if 0 <= k < len(self)), key=_count, default=part[at])
        pattern = kept if _count(kept) >= max(FEW, 0.5 * _count(part[at])) else part[at]
        if _count(pattern) < FEW:
            return range(at, at + 1)
        stands = np.bitwise_count(part & pattern).sum((1, 2), dtype=np.int64) >= STANDS * _count(pattern)
        stands[at] = True
        return range(at - _run(stands[at::-1]) + 1, at + _run(stands[at:]))

    def filled(self, box: Box, at: int) -> range:
        """The seconds around `at` in which the box's columns hold edges as they do now, wherever these move: for texts that roll."""
        counts = np.bitwise_count(self.bits[:, :, _inside(box)[1]]).sum((1, 2), dtype=np.int64)
        holds = counts >= max(FEW, ROLLS * counts[at])
        holds[at] = True
        return range(at - _run(holds[at::-1]) + 1, at + _run(holds[at:]))


def _count(bits: Bits) -> int:
    return int(np.bitwise_count(bits).sum())


def _run(stands: NDArray[np.bool_]) -> int:
    """How many of the first values are true, a single false one between two true ones passed over."""
    held = stands.copy()
    held[1:-1] |= stands[:-2] & stands[2:]
    return int(np.argmin(held)) if not held.all() else len(held)


def _inside(box: Box) -> tuple[slice, slice]:
    """Rows and 16-pixel columns of the grid that a box covers, one at least."""
    left, top, right, bottom = box
    first, last = int(top * HEIGHT), int(np.ceil(bottom * HEIGHT))
    begin, end = round(left * COLUMNS), round(right * COLUMNS)
    first, begin = min(first, HEIGHT - 1), min(begin, COLUMNS - 1)
    return slice(first, max(last, first + 1)), slice(begin, max(end, begin + 1))


def edges_between(measured: Measured, span: TimeSpan) -> Edges:
    """The edges of the seconds inside `span`; empty where details were not measured."""
    parts = [part.within(span.start_s, span.end_s) for part in measured.blocks("detail.edges")]
    kept = [part for part in parts if len(part)]
    if not kept:
        return Edges(np.empty(0), np.empty((0, HEIGHT, COLUMNS), np.uint16))
    rows = np.concatenate([part.values for part in kept]).reshape(-1, HEIGHT, WIDTH // 8)
    return Edges(np.concatenate([part.times_s for part in kept]), np.ascontiguousarray(rows).view(np.uint16))


def letter_cells(standing: Bits, bits: Bits) -> NDArray[np.bool_]:
    """(n, ROWS, COLUMNS) where standing edges are as dense as letters and begin as often, next to another such cell in the row."""
    count, every = _by_cell(np.bitwise_count(standing)), _by_cell(np.bitwise_count(bits))
    # Edges are packed with the leftmost pixel in the lowest byte's highest bit; whether a stroke begins is asked within bytes only.
    octets = standing.view(np.uint8)
    begins = _by_cell(np.bitwise_count(octets & ~(octets >> 1)).reshape(*standing.shape, 2).sum(3, dtype=np.uint8))
    low, high = (share * CELL for share in LETTERS)
    alike = (count >= low) & (count <= high) & (begins >= STROKES) & (count >= KEPT * every)
    beside = np.zeros_like(alike)
    beside[:, :, 1:] |= alike[:, :, :-1]
    beside[:, :, :-1] |= alike[:, :, 1:]
    return np.asarray(alike & beside)


def _by_cell(counts: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.asarray(counts.reshape(len(counts), ROWS, -1, COLUMNS).sum(2, dtype=np.int64))


def new_letters(edges: Edges) -> NDArray[np.int64]:
    """(n,) cells that look like letters and looked otherwise the second before."""
    standing = edges.standing()
    cells = letter_cells(standing, edges.bits)
    old = np.zeros(standing.shape, np.uint16)
    old[1:] = standing[1:] & edges.bits[:-1]
    changed = _by_cell(np.bitwise_count(old)) < 0.5 * _by_cell(np.bitwise_count(standing))
    return np.asarray((cells & changed).sum((1, 2)))


def new_cards(edges: Edges) -> NDArray[np.bool_]:
    """(n,) where a plain, still picture with something on it begins, as titles, brand cards and slates are. Their letters may be too big
    for `new_letters`."""
    standing = edges.standing()
    busy = (_by_cell(np.bitwise_count(edges.bits)) >= BUSY).sum((1, 2))
    every, kept = (np.bitwise_count(bits).sum((1, 2), dtype=np.int64) for bits in (edges.bits, standing))
    plain = (busy >= PLAIN_CELLS[0]) & (busy <= PLAIN_CELLS[1] * ROWS * COLUMNS) & (kept >= 0.6 * every)
    old = np.zeros(len(edges), np.int64)
    old[1:] = np.bitwise_count(standing[1:] & edges.bits[:-1]).sum((1, 2), dtype=np.int64)
    return np.asarray(plain & (old < 0.5 * kept))

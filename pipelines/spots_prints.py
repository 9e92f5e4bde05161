"""The fingerprint of a stretch of video, a spot or a whole film: its sound as words, its pictures as small looks. Judges nothing.

W = words of 40 ms, P = pictures, L = numbers of a look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.series import Measured, Series, join, pack, unpack
from pipelines.signals.fingerprint import NOTHING, WORD_S

GRID_S = 0.2  # pictures are kept at multiples of this ...
EDGE_S = 0.6  # ... and, of a spot, every one this near to its ends: airings are cut on the frame
SAME_FRAME_S = 0.004  # people type times with three digits
CORNER = (3, 4)  # rows and columns of a tiny picture (9 x 16) that a channel's mark may hide, in every corner
COLOUR_WEIGHT = 1.5  # colours span less of their range than luma does
FLOOR = 3.0  # levels of contrast below which a picture says little

Look = NDArray[np.float32]


@dataclass(frozen=True)
class Print:
    """What was heard and seen, in seconds from its start.

    words: (W,) uint32, word k is about `(k + 1/2) WORD_S` after `words_at_s`; NOTHING where nothing was heard.
    pictures: (P, 3, 9, 16) uint8 with the times at which each appears, ascending.
    """

    length_s: float
    words: NDArray[np.uint32]
    pictures: Series
    words_at_s: float = 0.0

    @cached_property
    def signs(self) -> NDArray[np.float32]:
        """(W, 32): +1 and -1 for a word's bits, 0 where nothing was heard."""
        bits = np.unpackbits(self.words.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1).astype(np.float32) * 2 - 1
        bits[self.words == NOTHING] = 0.0
        return bits

    @cached_property
    def looks(self) -> Look:
        """(P, L) what the pictures look like: lengths between 0 (flat) and 1."""
        return looks_of(self.pictures.values)

    @cached_property
    def contrast(self) -> NDArray[np.float32]:
        """(P,) lengths of the looks."""
        return np.asarray(np.linalg.norm(self.looks, axis=1), np.float32)

    def picture_at(self, times_s: NDArray[np.floating]) -> NDArray[np.intp]:
        """Which picture is on display at each time; the first one before it appears."""
        return np.maximum(np.searchsorted(self.pictures.times_s, times_s + 1e-4, side="right") - 1, 0)


def print_of(measured: Measured, start_s: float = 0.0, end_s: float = np.inf, *, every_s: float = 0.0) -> Print:
    """The fingerprint of `[start_s, end_s)`. every_s: how long at either end every picture is kept."""
    end_s = min(end_s, measured.duration_s)
    words, words_at_s = _words(measured, start_s, end_s)
    pictures = _pictures(measured, start_s, end_s, every_s)
    return Print(end_s - start_s, words, pictures, words_at_s)


def looks_of(tiny: NDArray[np.generic]) -> Look:
    """(P, 3, 9, 16) -> (P, L): luma and colours against their means, corners left out; soft length, so that plain pictures are short."""
    levels = tiny.astype(np.float32)
    levels[:, 1:] *= COLOUR_WEIGHT
    kept = levels[:, :, INNER]
    kept -= kept.mean(axis=2, keepdims=True)
    flat = kept.reshape(len(kept), 3 * int(INNER.sum()))
    square = np.square(flat).mean(axis=1, keepdims=True)
    return np.asarray(flat / np.sqrt((square + FLOOR**2) * flat.shape[1]), np.float32)


def framed(one: Print, rows: float, columns: float) -> Print:
    """The same with black bars: this share of the height above and below, and of the width on either side."""
    down, across = _squeezed(9, rows), _squeezed(16, columns)
    black = np.array([0.0, 128.0, 128.0])[:, None, None]
    bars = 1 - down.sum(axis=1)[:, None] * across.sum(axis=1)[None]
    tiny = down @ one.pictures.values.astype(np.float64) @ across.T + bars * black
    return replace(one, pictures=Series(one.pictures.times_s, np.rint(tiny).astype(np.uint8)))


def _squeezed(count: int, bar: float) -> NDArray[np.float64]:
    """(count, count): which share of each cell is filled by each cell of a picture that is squeezed between two bars."""
    size = 1 - 2 * bar
    begins = count * bar + size * np.arange(count)
    cells = np.arange(count)[:, None]
    return np.asarray(np.clip(np.minimum(cells + 1, begins + size) - np.maximum(cells, begins), 0, None), np.float64)


def pack_print(one: Print) -> bytes:
    grid = np.asarray(np.arange(len(one.words)) * WORD_S + one.words_at_s, np.float64)
    return pack({"words": Series(grid, one.words), "pictures": one.pictures})


def unpack_print(data: bytes, length_s: float) -> Print:
    held = unpack(data)
    words = held["words"]
    return Print(length_s, words.values.astype(np.uint32), held["pictures"], float(words.times_s[0]) if len(words) else 0.0)


def _words(measured: Measured, start_s: float, end_s: float) -> tuple[NDArray[np.uint32], float]:
    """One word per 40 ms, NOTHING where none was measured, and when the first one begins, from `start_s`."""
    series = measured.get("sound.fingerprint")
    part = series.within(start_s + WORD_S / 2 - 1e-6, end_s - WORD_S / 2 + 1e-6) if series is not None else None
    if part is None or not len(part):
        return np.zeros(0, np.uint32), 0.0
    at = np.rint((part.times_s - part.times_s[0]) / WORD_S).astype(np.int64)
    words = np.full(int(at[-1]) + 1, NOTHING, np.uint32)
    words[at] = part.values.astype(np.uint32)
    return words, float(part.times_s[0]) - WORD_S / 2 - start_s


def _pictures(measured: Measured, start_s: float, end_s: float, every_s: float) -> Series:
    parts = list(_sampled(measured, start_s, end_s, every_s))
    if not parts:
        return Series(np.zeros(0), np.zeros((0, 3, 9, 16), np.uint8))
    joined = join(parts)
    return Series(np.maximum(joined.times_s - start_s, 0.0), joined.values)


def _sampled(measured: Measured, start_s: float, end_s: float, every_s: float) -> Iterator[Series]:
    """Of each block the pictures on display at the grid's instants, and all that appear near the ends."""
    for block in measured.blocks("frame.tiny"):
        last = int(np.searchsorted(block.times_s, end_s - SAME_FRAME_S))
        first = max(0, int(np.searchsorted(block.times_s, start_s + SAME_FRAME_S, side="right")) - 1)
        if last <= first or not len(block):
            continue
        times = block.times_s[first:last]
        slot = np.ceil((times - start_s) / GRID_S - 1e-3)
        kept = np.append(np.diff(slot) > 0, True)  # the last picture up to each instant is the one on display then
        kept |= (times < start_s + every_s) | (times >= end_s - every_s)
        yield Series(times[kept], block.values[first:last][kept])


def _inner() -> NDArray[np.bool_]:
    inner = np.ones((9, 16), bool)
    for rows in (slice(0, CORNER[0]), slice(-CORNER[0], None)):
        for columns in (slice(0, CORNER[1]), slice(-CORNER[1], None)):
            inner[rows, columns] = False
    return inner


INNER = _inner()


def joined_words(prints: Sequence[Print], gap_words: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Several fingerprints' words in one row with nothing between them, and where each begins."""
    silence = np.full(gap_words, NOTHING, np.uint32)
    starts = np.cumsum([0] + [len(p.words) + gap_words for p in prints])[:-1]
    return np.concatenate([np.concatenate([p.words, silence]) for p in prints]) if prints else silence, starts.astype(np.int64)

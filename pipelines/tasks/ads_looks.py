"""How unlike the rest of the film a stretch looks: a programme returns to its places, an ad does not. Knows clips, judges nothing.

C = clips, W = clips of a window, R = looks a clip, D = numbers of a look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.tasks.ads_clips import Clips, Numbers
from pipelines.tasks.ads_eyes import Eyes, Likeness, likeness_around

HORIZON = 500  # clips either side in which a place may return: half an hour and more of most films
ROWS = 256  # clips worked on at a time
FLEETING_S = 1.5
COPY_LEVELS = 4.0  # two clips this alike may be the same recording ...
COPY_LENGTH_S = 0.12  # ... if they last equally long ...
COPY_CLIPS, COPY_S = 3, 6.0  # ... and so many of them follow one another


@dataclass(frozen=True, slots=True)
class Window:
    """Distances of clips `first` to `first + W` to all clips within the horizon.

    before[s, k]: distance from clip first + s to its nearest among the clips before first + k (inf for none); after[s, k]: among those
    behind first + k. Both (W, W). copied: (W,) whether the clip is part of a sequence that comes again.
    """

    first: int
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    copied: NDArray[np.bool_]
    near: NDArray[np.float32]  # (W, W) distances among the window's own clips
    likeness: Likeness | None  # the same to trained eyes


def windows(clips: Clips, reach: int, set_aside: NDArray[np.bool_], eyes: Eyes | None = None) -> Iterator[tuple[range, Window]]:
    """(start clips, window) such that all runs from those starts of at most `reach` clips lie in the window.

    set_aside: (C,) clips that are no measure of the film: advertising, as far as is known.
    """
    count = len(clips.start_s)
    for start in range(0, count, ROWS):
        first, stop = max(0, start - 2), min(count, start + ROWS + reach)  # what comes just before a run is asked about, too
        low, high = max(0, first - HORIZON), min(count, stop + HORIZON)
        apart = distances(clips.looks[first:stop], clips.looks[low:high])
        weighed = apart * fleeting(clips.length_s[low:high])
        copies = _copies(apart, clips.length_s, first, low)
        ignored = copies | set_aside[None, low:high]
        usable = np.where(ignored, np.inf, weighed)
        own = slice(first - low, stop - low)
        before = np.minimum.accumulate(np.pad(usable, ((0, 0), (1, 0)), constant_values=np.inf), axis=1)[:, own]
        after = np.minimum.accumulate(np.pad(usable, ((0, 0), (0, 1)), constant_values=np.inf)[:, ::-1], axis=1)[:, ::-1][:, 1:][:, own]
        likeness = likeness_around(eyes, slice(first, stop), slice(low, high), ignored) if eyes else None
        window = Window(first, before, after, np.asarray(copies.any(axis=1)), apart[:, own], likeness)
        yield range(start, min(count, start + ROWS)), window


def fleeting(length_s: Numbers) -> NDArray[np.float32]:
    """By how much further away a place counts for being shown briefly: a programme dwells on its places, other ads flash by."""
    return (1 + FLEETING_S / np.maximum(length_s, 0.5)).astype(np.float32)


def distances(rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, m) levels: for each moment of a row's clip, its nearest moment of the column's clip; the mean over the moments."""
    total = np.zeros((len(rows), len(columns)), np.float32)
    size = rows.shape[2]
    squares = np.einsum("nrd,nrd->nr", columns, columns)
    for moment in range(rows.shape[1]):
        look = rows[:, moment]
        square = (
            np.einsum("nd,nd->n", look, look)[:, None, None] + squares[None] - 2 * np.einsum("nd,mrd->nmr", look, columns, optimize=True)
        )
        total += np.sqrt(np.maximum(square.min(axis=2), 0) / size)
    return np.asarray(total / rows.shape[1], np.float32)


def _copies(apart: NDArray[np.float32], length_s: Numbers, first: int, low: int) -> NDArray[np.bool_]:
    """(n, m): pairs that belong to a run of equal clips in equal order with equal lengths."""
    rows, columns = length_s[first : first + len(apart)], length_s[low : low + apart.shape[1]]
    same = (apart < COPY_LEVELS) & (np.abs(rows[:, None] - columns[None]) < COPY_LENGTH_S)
    found = np.zeros(same.shape, bool)
    for lag in np.unique(np.subtract(*np.nonzero(same)[::-1])):  # column minus row
        if lag == first - low:
            continue
        row = np.flatnonzero(np.diagonal(same, lag)) + max(0, -lag)
        for run in np.split(row, np.flatnonzero(np.diff(row) > 1) + 1):
            if len(run) >= COPY_CLIPS and rows[run].sum() >= COPY_S:
                found[run, run + lag] = True
    return found

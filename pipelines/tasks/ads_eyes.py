"""How little of a stretch the film shows elsewhere, to trained eyes: a programme's sets return, an ad's do not. Judges nothing.

C = clips, P = pieces of them, D = width of an embedding, W = clips of a window, R = pieces of those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipelines.series import Measured
from pipelines.signals.eyes import EYES_EMBEDDING
from pipelines.tasks.ads_clips import Numbers

Values = NDArray[np.float32]

PIECE_S = 5.0  # a long clip is compared piece by piece: a camera that never cuts is its own return
EDGE_S = 0.1  # pictures this near to a clip's edge may still show its neighbour
NEAREST = 3
ROWS = 256
HORIZON = 1500  # pieces either side in which a set may return
USUAL_SHARE = 0.6  # of the film's time is as familiar as its programme; ads are less
LEAST_SPREAD = 0.03  # of likeness: two codecs' worth
LEAST_STEP, MOST = 0.1, 4.0
AROUND = 2  # clips on either side that may show where the film goes on


@dataclass(frozen=True, slots=True)
class Eyes:
    """A film's clips in pieces. embeddings: (P, D) of length 1; bounds: (C + 1,) each clip's first piece; length_s: (P,).

    usual, spread: how like its NEAREST likest others a piece of the programme is, and how much that varies.
    """

    embeddings: NDArray[np.float16]
    bounds: NDArray[np.int64]
    length_s: Numbers
    usual: float
    spread: float

    def likeness(self, rows: slice, columns: slice) -> Values:
        return np.asarray(self.embeddings[rows].astype(np.float32) @ self.embeddings[columns].astype(np.float32).T, np.float32)

    def clips(self) -> Values:
        """(C, D) of length 1: the mean of each clip's pieces, all of a clip being equally long."""
        sums = np.add.reduceat(self.embeddings.astype(np.float32), self.bounds[:-1], axis=0)
        return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9), np.float32)

    def foreign(self, alike: NDArray[np.floating]) -> Numbers:
        """By how much less alike than usual, in steps that mean something in this film: -1 more than usual, 0 as usual, 4 most foreign."""
        return np.clip((self.usual - alike.astype(np.float64)) / max(LEAST_STEP, 2 * self.spread), -1, MOST)

    def across(self, start: int, lasts: NDArray[np.int64]) -> Numbers:
        """(runs,) how alike the film is before clip `start` and behind each of `lasts`, the likest of AROUND clips; 0 at its ends."""
        best = np.zeros(len(lasts))
        for back in range(min(start, AROUND)):
            row = self.embeddings[self.bounds[start - back] - 1].astype(np.float32)
            for forth in range(1, AROUND + 1):
                there = lasts + forth < len(self.bounds) - 1
                columns = self.embeddings[self.bounds[lasts[there] + forth]].astype(np.float32)
                best[there] = np.maximum(best[there], columns @ row)
        return best


@dataclass(frozen=True, slots=True)
class Likeness:
    """Of the pieces of the window's clips to those outside. first: the window's first piece.

    before[k, r]: sums of the 1, 2 and 3 greatest likenesses of piece first + r to pieces of clips before the window's clip k;
    after[k, r]: to those of clip k and behind. Both (W + 1, R, NEAREST).
    """

    first: int
    before: Values
    after: Values

    def outside(self, rows: slice, begin: int, ends: NDArray[np.int64]) -> Values:
        """(pieces, runs): mean likeness of the window's pieces `rows` to their nearest outside clips `[begin, end)` of the window."""
        before, after = self.before[begin, rows], self.after[ends][:, rows]
        sums = np.maximum(before[None, :, 2], after[:, :, 2])
        sums = np.maximum(sums, before[None, :, 1] + after[:, :, 0])
        return np.asarray(np.maximum(sums, before[None, :, 0] + after[:, :, 1]).T / NEAREST, np.float32)


def look_through(measured: Measured, starts: Numbers, ends: Numbers) -> Eyes | None:
    """starts, ends: (C,) of the clips. None where no encoder has looked."""
    begins, length_s, bounds = pieces_of(starts, ends)
    embeddings = _mean_embeddings(measured, begins, begins + length_s)
    return None if embeddings is None else eyes_of(embeddings, bounds, length_s)


def pieces_of(starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers, NDArray[np.int64]]:
    """(P,) begins and lengths of the clips' pieces, and (C + 1,) each clip's first piece."""
    count = np.maximum(1, np.ceil((ends - starts) / PIECE_S)).astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(count)])
    length_s = np.repeat((ends - starts) / count, count)
    part = np.arange(bounds[-1]) - np.repeat(bounds[:-1], count)
    return np.repeat(starts, count) + part * length_s, length_s, bounds


def eyes_of(embeddings: NDArray[np.float16], bounds: NDArray[np.int64], length_s: Numbers) -> Eyes:
    eyes = Eyes(embeddings, bounds, length_s, 0.0, 1.0)
    alike = _alike_elsewhere(eyes)
    usual = _quantile(alike, length_s, 1 - USUAL_SHARE)
    return replace(eyes, usual=usual, spread=max(LEAST_SPREAD, _quantile(np.abs(alike - usual), length_s, 0.5)))


def _mean_embeddings(measured: Measured, begins: Numbers, ends: Numbers) -> NDArray[np.float16] | None:
    """(P, D); pictures at the very edges count next to nothing, and a piece without any takes the one before."""
    sums: Values | None = None
    for block in measured.blocks(EYES_EMBEDDING):
        if not len(block):
            continue
        sums = np.zeros((len(begins), block.values.shape[1]), np.float32) if sums is None else sums
        at = np.maximum(np.searchsorted(begins, block.times_s, side="right") - 1, 0)
        inner = (block.times_s >= begins[at] + EDGE_S) & (block.times_s < ends[at] - EDGE_S)
        np.add.at(sums, at, block.values.astype(np.float32) * np.where(inner, 1, 1e-3)[:, None])
    if sums is None:
        return None
    seen = np.linalg.norm(sums, axis=1)
    filled = np.maximum.accumulate(np.where(seen > 0, np.arange(len(seen)), 0))
    return np.asarray(sums[filled] / np.maximum(seen[filled, None], 1e-9), np.float16)


def _alike_elsewhere(eyes: Eyes) -> Numbers:
    """(P,) how like its NEAREST likest others outside its clip each piece is."""
    clip = np.repeat(np.arange(len(eyes.bounds) - 1), np.diff(eyes.bounds))
    found = []
    for first in range(0, len(clip), ROWS):
        rows, columns = slice(first, first + ROWS), slice(max(0, first - HORIZON), first + ROWS + HORIZON)
        alike = eyes.likeness(rows, columns)
        alike[clip[rows, None] == clip[None, columns]] = 0
        found.append(np.sort(alike, axis=1)[:, -NEAREST:].mean(axis=1))
    return np.concatenate(found).astype(np.float64)


def _quantile(values: Numbers, weights: Numbers, share: float) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), weights.sum() * share)])


def likeness_around(eyes: Eyes, own: slice, around: slice, ignored: NDArray[np.bool_]) -> Likeness:
    """own, around: clips of the window and of its horizon; ignored: (own, around) pairs of clips that say nothing of each other."""
    bounds = eyes.bounds
    rows, columns = slice(bounds[own.start], bounds[own.stop]), slice(bounds[around.start], bounds[around.stop])
    alike = eyes.likeness(rows, columns)
    row_clip = np.repeat(np.arange(own.stop - own.start), np.diff(bounds[own.start : own.stop + 1]))
    column_clip = np.repeat(np.arange(around.stop - around.start), np.diff(bounds[around.start : around.stop + 1]))
    alike[ignored[row_clip][:, column_clip]] = 0
    inside = bounds[own.start : own.stop + 1] - bounds[around.start]  # columns at which the window's clips begin, and the last ends
    before = _running(alike, inside)
    after = _running(alike[:, ::-1], alike.shape[1] - inside[::-1])[::-1]
    return Likeness(int(bounds[own.start]), before, after)


def _running(alike: Values, stops: NDArray[np.int64]) -> Values:
    """(len(stops), R, NEAREST): sums of the greatest of the first `stop` columns, for each stop; nothing is worth 0."""
    best = np.zeros((NEAREST, len(alike)), np.float32)
    if stops[0]:
        top = np.sort(alike[:, : stops[0]], axis=1)[:, : -NEAREST - 1 : -1]
        best[: top.shape[1]] = np.maximum(top.T, 0)
    sums = [np.cumsum(best, axis=0)]
    for first, stop in pairwise(stops):
        for value in alike[:, first:stop].T:
            best = np.maximum(best, np.minimum(np.concatenate([np.full((1, len(alike)), np.inf, np.float32), best[:-1]]), value))
        sums.append(np.cumsum(best, axis=0))
    return np.asarray(np.stack(sums).transpose(0, 2, 1), np.float32)

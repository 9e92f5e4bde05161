"""Where in a film any of many spots may be on air: windows of spots against every moment of the film, as matrix products. Finds
candidates; does not judge them.

A hash table of exact words would be faster still, but finds nothing where a third of the bits differ, as at 2 % speed and a low rate;
the product costs 1 s for a thousand windows and an hour, and measures every likeness there is.

K = windows of spots, T = moments of the film, D = numbers of a window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipelines.signals.fingerprint import NOTHING, WORD_S
from pipelines.spots_prints import Print

WINDOW_S = 3.2  # 2 % of speed shift its ends by 32 ms, less than a word
WORDS, WORD_STEP = 80, 4  # of a window, and every how many of them is looked at: words are smooth over 0.4 s
HEARD_EVERY = 2  # words between the moments listened to
LOOKS, LOOK_S, SEEN_EVERY_S = 8, 0.4, 0.2
MOST_WINDOWS = 2  # of one spot; a third found no more airings and cost half as much again
TOLD = 0.6  # share of a window's words that must say something
FEWEST_DIFFERENT = 0.25  # words of a window; fewer are a tone or a loop
LEAST_CONTRAST = 0.35  # mean square of a window's looks; less is flat
HEARD, SEEN = 0.34, 0.8  # likeness from which a moment is a candidate; chance reaches .30 in an hour of tunes
ROWS = 4096
MOST_HITS = 20_000


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of spots. vectors: (K, D) of length 1; spot: (K,) whose; at_s: (K,) the window's begin, seconds into the spot."""

    vectors: NDArray[np.float32]
    spot: NDArray[np.intp]
    at_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where a spot may be on air: `spot_s` of it would be at `film_s`. likeness: of one window, 1 = equal."""

    spot: int
    film_s: float
    spot_s: float
    likeness: float
    cue: str  # sound | picture


def sound_windows(spots: Sequence[Print]) -> Windows:
    return _gathered([_sound_of(spot) for spot in spots], WORDS // WORD_STEP * 32)


def picture_windows(spots: Sequence[Print]) -> Windows:
    size = spots[0].looks.shape[1] if spots else 1
    return _gathered([_pictures_of(spot) for spot in spots], LOOKS * size)


def heard(film: Print, windows: Windows) -> list[Hit]:
    if len(film.words) < WORDS or not len(windows.spot):
        return []
    signs = film.signs

    def rows(first: int, last: int) -> NDArray[np.float32]:
        at = np.arange(first, last) * HEARD_EVERY
        return np.asarray(signs[at[:, None] + np.arange(0, WORDS, WORD_STEP)].reshape(len(at), -1))

    count = (len(signs) - WORDS) // HEARD_EVERY + 1
    times_s = film.words_at_s + np.arange(count) * HEARD_EVERY * WORD_S
    return _hits(rows, times_s, windows, HEARD, "sound")


def seen(film: Print, windows: Windows) -> list[Hit]:
    count = int((film.length_s - (LOOKS - 1) * LOOK_S) / SEEN_EVERY_S) + 1
    if not len(film.pictures) or count < 1 or not len(windows.spot):
        return []
    step = round(LOOK_S / SEEN_EVERY_S)
    grid = film.looks[film.picture_at(np.arange(count + (LOOKS - 1) * step) * SEEN_EVERY_S)]

    def rows(first: int, last: int) -> NDArray[np.float32]:
        at = np.arange(first, last)
        return np.asarray(grid[at[:, None] + np.arange(LOOKS) * step].reshape(len(at), -1))

    return _hits(rows, np.arange(count) * SEEN_EVERY_S, windows, SEEN, "picture")


def _gathered(parts: list[tuple[NDArray[np.float32], NDArray[np.float64]]], size: int) -> Windows:
    vectors = [p[0] for p in parts if len(p[0])]
    spot = np.repeat(np.arange(len(parts)), [len(p[0]) for p in parts])
    stacked = np.concatenate(vectors) if vectors else np.zeros((0, size), np.float32)
    return Windows(stacked, spot, np.concatenate([np.zeros(0), *(p[1] for p in parts)]))


def _sound_of(spot: Print) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    if len(spot.words) < WORDS:
        return np.zeros((0, 1), np.float32), np.zeros(0)
    views = sliding_window_view(spot.words, WORDS)[::5]
    told = (views != NOTHING).mean(axis=1)
    fresh = (np.diff(np.sort(views, axis=1), axis=1) != 0).mean(axis=1)  # different words
    worth = np.where((told >= TOLD) & (fresh >= FEWEST_DIFFERENT), told + fresh, 0.0)
    starts = [5 * k for k in _apart(worth, WORDS // 5)]
    vectors = np.array([spot.signs[k : k + WORDS : WORD_STEP].ravel() for k in starts], np.float32)
    return _unit(vectors), spot.words_at_s + np.array(starts, np.float64) * WORD_S


def _pictures_of(spot: Print) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    starts = np.arange(0.0, spot.length_s - (LOOKS - 1) * LOOK_S, LOOK_S)
    if not len(spot.pictures) or not len(starts):
        return np.zeros((0, 1), np.float32), np.zeros(0)
    vectors = spot.looks[spot.picture_at(starts[:, None] + np.arange(LOOKS) * LOOK_S)]  # (starts, LOOKS, L)
    contrast = np.square(vectors).sum(axis=2).mean(axis=1)
    moving = np.linalg.norm(np.diff(vectors, axis=1), axis=2).mean(axis=1)
    worth = np.where(contrast >= LEAST_CONTRAST, contrast + moving, 0.0)
    chosen = _apart(worth, round(WINDOW_S / LOOK_S))
    return _unit(vectors[chosen].reshape(len(chosen), LOOKS * vectors.shape[2])), starts[chosen]


def _apart(worth: NDArray[np.float64], distance: int) -> list[int]:
    """The most worthy places, at least `distance` from one another, in order."""
    left = worth.astype(np.float64).copy()
    chosen: list[int] = []
    while len(chosen) < MOST_WINDOWS and len(left) and left.max() > 0:
        best = int(left.argmax())
        chosen.append(best)
        left[max(0, best - distance + 1) : best + distance] = 0.0
    return sorted(chosen)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(vectors):
        return np.zeros((0, 1), np.float32)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), np.float32)


def _hits(
    rows: Callable[[int, int], NDArray[np.float32]], times_s: NDArray[np.floating], windows: Windows, least: float, cue: str
) -> list[Hit]:
    """Every (moment, window) whose likeness is at least `least`, the likeliest of each spot and moment."""
    found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]] = []
    for first in range(0, len(times_s), ROWS):
        last = min(first + ROWS, len(times_s))
        likeness = _unit(rows(first, last)) @ windows.vectors.T
        moment, window = np.nonzero(likeness >= least)
        found.append((moment + first, window, likeness[moment, window]))
    moment, window, likeness = (np.concatenate(part) for part in zip(*found, strict=True))
    best = np.argsort(-likeness, kind="stable")[:MOST_HITS]
    return [
        Hit(int(windows.spot[w]), float(times_s[m]) + WINDOW_S / 2, float(windows.at_s[w]) + WINDOW_S / 2, float(v), cue)
        for m, w, v in zip(moment[best], window[best], likeness[best], strict=True)
    ]

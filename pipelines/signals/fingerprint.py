"""What was heard before: 32-bit words that survive re-encoding, level and tone changes, and the search for repeats among them.

After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): each bit says whether the balance of two
bands rises. Longer windows than theirs (0.4 s) make words agree whatever the offset to the grid.

J = hops of 20 ms, B = bands, W = words of 40 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Series

HOPS_A_WORD = 2
WORD_S = 0.04
BANDS, APART = 36, 4  # a bit compares bands b and b + 4, about half an octave apart
LOWEST_HZ, HIGHEST_HZ, BIN_HZ = 250.0, 4200.0, 25.0
SMOOTH_HOPS, RISE_HOPS = 20, 20
QUIET_POWER, MASKED_SHARE = 1e-7, 1e-6  # -70 dBFS; what lies 60 dB below the rest is coding noise
LEAST_CHANGE_DB = 0.5  # silence and sustained tones change less, and say nothing
NOTHING = 0  # the word of a moment that cannot be recognised

NEIGHBOURS = 12  # a word is compared with its next 12 occurrences; common words are jingles' business, not spots'
STUTTER_WORDS = 375  # a word that comes again within 15 s belongs to a beat or a loop
LAG_BIN, REGION_WORDS = 3, 250
LEAST_HITS = 3
MOST_REGIONS = 20_000
CHANCE_MARGIN = 0.34  # a word speaks for a repeat while fewer of its bits differ
GIVE_UP = 6.0  # 1.5 s of chance
CHUNK_WORDS = 1_000
MOST_ALIKE = 0.2  # a stretch with fewer different words than this share is a drone
LEAST_STRENGTH = 0.4


@dataclass(frozen=True, slots=True)
class Repeat:
    """Two stretches of equal length that sound the same. strength: 1 = every bit agrees, 0 = chance; hits: words that agree exactly."""

    first: TimeSpan
    second: TimeSpan
    strength: float
    hits: int

    @property
    def lag_s(self) -> float:
        return self.second.start_s - self.first.start_s


def words_of(power_JF: NDArray[np.float32]) -> NDArray[np.uint32]:
    """(J // 2,) words from short power spectra (25 Hz bins, 20 ms hops); word w is centred between hops 2 w and 2 w + 1.

    Words nearer than 0.4 s to either end look past it and are NOTHING.
    """
    band_JB = np.add.reduceat(power_JF, BAND_EDGES, axis=1)[:, :BANDS]
    band_JB = np.maximum(band_JB, QUIET_POWER / BANDS) + MASKED_SHARE * band_JB.sum(axis=1, keepdims=True)
    balance = 10 * np.log10(_moving_sum(_moving_sum(band_JB, SMOOTH_HOPS // 2), SMOOTH_HOPS // 2 + 1))
    balance = balance[:, :-APART] - balance[:, APART:]
    rises = balance[RISE_HOPS:] - balance[:-RISE_HOPS]
    bits = np.packbits(rises > 0, axis=1).view(">u4")[:, 0].astype(np.uint32)
    bits[np.abs(rises).mean(axis=1) < LEAST_CHANGE_DB] = NOTHING
    words = np.full(len(power_JF) // HOPS_A_WORD, NOTHING, np.uint32)
    edge = (SMOOTH_HOPS + RISE_HOPS) // 2 // HOPS_A_WORD
    inner = bits[1::HOPS_A_WORD]
    words[edge : edge + len(inner)] = inner[: len(words) - edge]
    return words


def find_repeats(fingerprints: Series, *, shortest_s: float = 5.0, least_lag_s: float = 20.0) -> list[Repeat]:
    """Pairs of stretches that sound the same, in order of the first; a spot aired three times gives two or three pairs.

    Background music that loops is a repeat too: the caller judges by length, place and strength.
    fingerprints: `sound.fingerprint`, gaps allowed. Time and memory grow with its length, not with the square.
    """
    if len(fingerprints) < 2:
        return []
    words = _on_grid(fingerprints)
    origin_s = float(fingerprints.times_s[0])
    found: dict[int, list[tuple[int, int]]] = {}
    repeats = []
    for begin, lag, hits in _regions(words, round(least_lag_s / WORD_S)):
        if any(a <= begin + REGION_WORDS and begin <= b for near in range(lag - 3, lag + 4) for a, b in found.get(near, [])):
            continue
        stretch = _extended(words, begin, lag)
        if stretch is None or (stretch[1] - stretch[0]) * WORD_S < shortest_s:
            continue
        first, last, lag, strength = stretch
        if any(a < last and first < b for near in range(lag - 3, lag + 4) for a, b in found.get(near, [])):
            continue
        found.setdefault(lag, []).append((first, last))
        start_s, end_s = origin_s + first * WORD_S, origin_s + last * WORD_S
        spans = TimeSpan(max(0.0, start_s), end_s), TimeSpan(start_s + lag * WORD_S, end_s + lag * WORD_S)
        repeats.append(Repeat(*spans, strength=strength, hits=hits))
    return sorted(repeats, key=lambda r: (r.first.start_s, r.second.start_s))


def _moving_sum(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Sums of `count` rows; a running total would carry the past of the block into it."""
    windows: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(values, count, axis=0)
    return np.asarray(windows.sum(axis=-1))


def _on_grid(fingerprints: Series) -> NDArray[np.uint32]:
    """One word per 40 ms from the first time on, NOTHING where none was measured."""
    at = np.rint((fingerprints.times_s - fingerprints.times_s[0]) / WORD_S).astype(np.int64)
    words = np.full(int(at[-1]) + 1, NOTHING, np.uint32)
    words[at] = fingerprints.values.astype(np.uint32)
    return words


def _regions(words: NDArray[np.uint32], least_lag: int) -> Iterator[tuple[int, int, int]]:
    """(first word, lag, hits) of stretches of 10 s in which several words come again at one lag, the surest first."""
    first, lag = _hits(words, least_lag)
    if not len(first):
        return
    key = (lag // LAG_BIN) * (len(words) // REGION_WORDS + 1) + first // REGION_WORDS
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    sure = np.flatnonzero(counts >= LEAST_HITS)
    for group in sure[np.argsort(-counts[sure], kind="stable")][:MOST_REGIONS]:
        members = order[starts[group] : starts[group] + counts[group]]
        yield int(np.median(first[members])), int(np.median(lag[members])), int(counts[group])


def _hits(words: NDArray[np.uint32], least_lag: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(where, lag) of words that come again; not those that stutter, and each run of one word counts once."""
    fresh = np.flatnonzero((words != NOTHING) & (np.diff(words, prepend=np.uint32(NOTHING)) != 0))
    order = fresh[np.argsort(words[fresh], kind="stable")]  # by word, then by time
    same = words[order[1:]] == words[order[:-1]]
    near = same & (np.diff(order) < STUTTER_WORDS)
    order = order[~(np.append(near, False) | np.insert(near, 0, False))]
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for step in range(1, NEIGHBOURS + 1):
        here, there = order[:-step], order[step:]
        pair = (words[here] == words[there]) & (there - here >= least_lag)
        found.append((here[pair], (there - here)[pair]))
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def _extended(words: NDArray[np.uint32], middle: int, lag: int) -> tuple[int, int, int, float] | None:
    """(first, last, lag, strength) of the stretch around `middle` that sounds like itself `lag` words later; None where it does not."""
    around = range(max(LAG_BIN, lag - LAG_BIN), lag + LAG_BIN + 1)
    window = slice(max(0, middle - 125), middle + 125)
    lag = max(around, key=lambda candidate: float(_agreement(words, window, candidate).sum()))
    rightwards = _reach(words, middle, lag, 1)
    leftwards = _reach(words, middle - 1, lag, -1)
    first, last = middle - leftwards, middle + rightwards
    if last <= first:
        return None
    here, there = words[first:last], words[first + lag : last + lag]
    told = (here != NOTHING) & (there != NOTHING)
    if told.mean() < 0.5 or len(np.unique(here[told])) < MOST_ALIKE * told.sum():
        return None
    strength = 1 - 2 * float(np.bitwise_count(here[told] ^ there[told]).mean()) / 32
    return (first, last, lag, strength) if strength >= LEAST_STRENGTH else None


def _reach(words: NDArray[np.uint32], start: int, lag: int, step: int) -> int:
    """How many words from `start` on (step 1: later, -1: earlier) speak for the repeat, on balance, before chance takes over."""
    reached, total, best, best_at = 0, 0.0, 0.0, 0
    while True:
        lower, upper = (
            (start + reached, start + reached + CHUNK_WORDS) if step > 0 else (start - reached - CHUNK_WORDS + 1, start - reached + 1)
        )
        window = slice(max(0, lower), min(len(words) - lag, upper))
        if window.stop <= window.start:
            return best_at
        sums = total + np.cumsum(_agreement(words, window, lag)[::step])
        peaks = np.maximum.accumulate(np.maximum(sums, best))
        given_up = np.flatnonzero(peaks - sums > GIVE_UP)
        end = int(given_up[0]) + 1 if len(given_up) else len(sums)
        at = int(sums[:end].argmax())
        if sums[at] > best:
            best, best_at = float(sums[at]), reached + at + 1
        if len(given_up):
            return best_at
        reached, total = reached + len(sums), float(sums[-1])


def _agreement(words: NDArray[np.uint32], window: slice, lag: int) -> NDArray[np.float64]:
    """How much each word of the window speaks for a repeat at `lag`: positive for, negative against, 0 where both say nothing."""
    here = words[window]
    there = words[window.start + lag : window.stop + lag]
    here = here[: len(there)]
    agreement: NDArray[np.float64] = CHANCE_MARGIN - np.bitwise_count(here ^ there) / 32
    silent = (here == NOTHING).astype(np.int8) + (there == NOTHING)
    agreement[silent == 1] = CHANCE_MARGIN - 0.5
    agreement[silent == 2] = 0.0
    return agreement


def _band_edges() -> NDArray[np.intp]:
    edges = np.rint(np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) / BIN_HZ).astype(np.intp)
    return np.asarray(np.maximum(edges, edges[0] + np.arange(BANDS + 1)))


BAND_EDGES = _band_edges()

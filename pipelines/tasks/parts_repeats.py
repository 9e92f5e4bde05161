"""What a film shares with another: stretches that sound the same, and pictures seen again in one order. Knows nothing of intros.

I = pictures here, J = pictures there, D = width of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured, Series, join
from pipelines.signals.eyes import EYES_EMBEDDING
from pipelines.signals.fingerprint import WORD_S, find_repeats

SOUND_S = 3.0  # shorter stretches of equal sound are chance too often
APART_S = 600.0  # between the two films laid end to end
ALIKE = 0.95  # cosine of two encodings of one picture; of one set at another moment it is less, as a rule
RARE = 0.08  # a picture that meets more of the other film than this is a standing set, and says nothing
LAG_S = 1.0  # pictures are taken once a second, so one lag may look like its neighbour
RUN, RUN_GAP_S = 3, 2.5  # pictures of a run at least, and seconds between them at most


@dataclass(frozen=True, slots=True)
class Shared:
    """A stretch here that is there too. lag_s: how much later here; by: "sound" | "pictures"."""

    span: TimeSpan
    lag_s: float
    by: str

    @property
    def there_s(self) -> float:
        return self.span.start_s - self.lag_s


def shared_with(here: Measured, there: Measured) -> list[Shared]:
    """Everything that both films hold, in order; [] where neither sound nor eyes can tell."""
    return sorted([*_by_sound(here, there), *_by_pictures(here, there)], key=lambda s: s.span)


def _series(measured: Measured, name: str) -> Series | None:
    """From the blocks, one by one: joining everything of a film that is only compared with would read all of it."""
    parts = [part for part in measured.blocks(name) if len(part)]
    return join(parts) if parts else None


def _by_sound(here: Measured, there: Measured) -> list[Shared]:
    mine, theirs = _series(here, "sound.fingerprint"), _series(there, "sound.fingerprint")
    if mine is None or theirs is None:
        return []
    shift_s = round((mine.times_s[-1] + APART_S - theirs.times_s[0]) / WORD_S) * WORD_S
    both = Series(np.concatenate([mine.times_s, theirs.times_s + shift_s]), np.concatenate([mine.values, theirs.values]))
    pairs = find_repeats(both, shortest_s=SOUND_S, least_lag_s=APART_S / 2)
    crossing = [p for p in pairs if p.first.end_s <= mine.times_s[-1] + 1 and p.second.start_s >= theirs.times_s[0] + shift_s - 1]
    return [Shared(p.first, shift_s - p.lag_s, "sound") for p in crossing]


def _by_pictures(here: Measured, there: Measured) -> list[Shared]:
    mine, theirs = _series(here, EYES_EMBEDDING), _series(there, EYES_EMBEDDING)
    if mine is None or theirs is None:
        return []
    i, j = _met(mine.values.astype(np.float32), theirs.values.astype(np.float32))
    at_s, lags_s = mine.times_s[i], mine.times_s[i] - theirs.times_s[j]
    found: list[Shared] = []
    for lag_s in np.unique(np.rint(lags_s / LAG_S) * LAG_S):
        times = np.unique(at_s[np.abs(lags_s - lag_s) <= LAG_S])
        found += [Shared(span, float(lag_s), "pictures") for span in _runs(times)]
    return _longest_first(found)


def _met(mine_ID: NDArray[np.float32], theirs_JD: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(i, j) of rare pictures that are alike, walked in rows so that memory stays flat."""
    rows: list[NDArray[np.intp]] = []
    columns: list[NDArray[np.intp]] = []
    for first in range(0, len(mine_ID), 512):
        alike = mine_ID[first : first + 512] @ theirs_JD.T >= ALIKE
        alike &= (alike.sum(1) <= max(3, RARE * len(theirs_JD)))[:, None]
        i, j = np.nonzero(alike)
        rows.append(i + first)
        columns.append(j)
    return np.concatenate(rows), np.concatenate(columns)


def _runs(times_s: NDArray[np.float64]) -> list[TimeSpan]:
    edges = [0, *(np.flatnonzero(np.diff(times_s) > RUN_GAP_S) + 1).tolist(), len(times_s)]
    return [TimeSpan(float(times_s[a]), float(times_s[b - 1])) for a, b in pairwise(edges) if b - a >= RUN and times_s[b - 1] > times_s[a]]


def _longest_first(found: list[Shared]) -> list[Shared]:
    """Neighbouring lags tell one run several times: the longest stays."""
    kept: list[Shared] = []
    for one in sorted(found, key=lambda s: -s.span.duration_s):
        if not any(abs(one.lag_s - k.lag_s) <= 2 * LAG_S and one.span.overlap_s(k.span) > 0.3 * one.span.duration_s for k in kept):
            kept.append(one)
    return kept

"""Lays a spot over a stretch of film: at which offset and rate, how much of it agrees, and where it begins and ends. Stores nothing.

The film's time of a spot's second t is `offset_s + rate t`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured, Series, join
from pipelines.signals.fingerprint import NOTHING, WORD_S
from pipelines.spots_prints import GRID_S, Print, looks_of
from pipelines.spots_search import Hit

RATES = 1 + np.arange(-10, 11) * 0.0025  # 2 % of speed and a little more
SLACK_WORDS, SLACK_PICTURES = 5, 3
MOST_WORDS, MOST_MOMENTS = 150, 40  # of a spot, that are compared while offset and rate are sought
SMOOTH_S = 1.0
FLAT = 0.5  # length of a look that says nothing
AGREES, ALIKE = 0.22, 0.8  # of a second's sound and pictures, from which it counts as aired
STILL = 0.02  # mean square by which a spot's looks vary; less is a still picture, which says little about time
BESIDE_S, OTHER = 0.5, 0.9  # where the film is asked whether it shows something else, and the likeness below which it does
NEAR_S = 0.5  # how far from where it should be an edge is looked for
LAST_FRAME_S = 0.06  # an airing this near the film's end lasts to it: no later picture tells the edge
UNLIKE = 0.6  # pictures less alike than this are simply others: how much less says nothing of where an edge is
STEP = 0.12  # by how much the pictures must change at an edge

Numbers = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Fit:
    """A spot laid over a film.

    heard: agreement of the words where both say something, 0 chance, 1 equal; heard_s: seconds of them.
    seen: mean likeness of the pictures; moved: likeness of how they change; seen_s: seconds that say something. still: the spot's
    pictures hardly change; bounded: the film's pictures differ before and behind it.
    aired: (first, last) second of the spot that is on air.
    """

    offset_s: float
    rate: float
    heard: float
    heard_s: float
    seen: float
    seen_s: float
    moved: float
    still: bool
    bounded: bool
    aired: tuple[float, float]

    @property
    def start_s(self) -> float:
        return self.offset_s + self.rate * self.aired[0]

    @property
    def end_s(self) -> float:
        return self.offset_s + self.rate * self.aired[1]


def fitted(spot: Print, film: Print, hit: Hit) -> Fit:
    """The best way to lay the spot over the film around a hit."""
    offset_s, rate, agrees = _by_sound(spot, film, hit)
    if hit.cue == "sound" and _mean(agrees) >= AGREES:
        offset_s, rate, alike = _by_pictures(spot, film, np.array([offset_s]), np.array([rate]), 1)
        offset_s, rate, agrees = _by_sound_near(spot, film, offset_s, rate)
    else:
        rates = RATES[::2]
        offset_s, rate, alike = _by_pictures(spot, film, hit.film_s - rates * hit.spot_s, rates, SLACK_PICTURES)
        offset_s, rate, agrees = _by_sound_near(spot, film, offset_s, rate)
    return _told(spot, film, offset_s, rate, agrees, alike)


def _by_sound(spot: Print, film: Print, hit: Hit) -> tuple[float, float, Numbers]:
    """(offset, rate, agreement per word; NaN where either says nothing) with the most agreement around a hit."""
    told = _thinned(np.flatnonzero(spot.words != NOTHING), MOST_WORDS)
    if not len(told) or not len(film.words):
        return hit.film_s - hit.spot_s, 1.0, _agreement(spot, film, np.array([[0.0]]), np.array([[1.0]]))[0]
    rates = np.repeat(RATES, 2 * SLACK_WORDS + 1)[:, None]
    shifts = np.tile(np.arange(-SLACK_WORDS, SLACK_WORDS + 1) * WORD_S, len(RATES))[:, None]
    offsets_s = hit.film_s - rates * hit.spot_s + shifts
    best = int(_agreement(spot, film, offsets_s, rates, told).sum(axis=1).argmax())
    return float(offsets_s[best, 0]), float(rates[best, 0]), _agreement(spot, film, offsets_s[best], rates[best])


def _by_sound_near(spot: Print, film: Print, offset_s: float, rate: float) -> tuple[float, float, Numbers]:
    """The same within a tenth of a second of a known place and rate, to a fraction of a word; the place itself where no sound speaks."""
    shifts, turns = np.meshgrid(np.arange(-3, 4) * WORD_S, [-0.00125, 0.0, 0.00125])
    rates = (rate + turns).reshape(-1, 1)
    offsets_s = (offset_s + shifts - turns * spot.length_s / 2).reshape(-1, 1)
    agreements = _agreement(spot, film, offsets_s, rates)
    totals = np.nansum(agreements, axis=1)
    best = int(totals.argmax())
    if _mean(agreements[best]) < AGREES:
        return offset_s, rate, agreements[best]
    place = best % shifts.shape[1]
    finer = 0.0
    if 0 < place < shifts.shape[1] - 1:
        before, at, after = totals[best - 1 : best + 2]
        finer = 0.5 * (before - after) / min(before + after - 2 * at, -1e-9)
    return float(offsets_s[best, 0] + np.clip(finer, -0.5, 0.5) * WORD_S), float(rates[best, 0]), agreements[best]


def _thinned(places: NDArray[Any], most: int) -> NDArray[Any]:
    return places[:: -(-len(places) // most)] if len(places) > most else places


def _agreement(spot: Print, film: Print, offset_s: Numbers, rate: Numbers, which: NDArray[np.intp] | None = None) -> Numbers:
    """Per word (of all, or of `which`): 1 where all bits agree, 0 for chance and where the film says nothing, NaN where the spot does.

    offset_s, rate: (1,) for one place, (n, 1) for n of them at once.
    """
    which = np.arange(len(spot.words)) if which is None else which
    here, there = spot.words[which], _words_there(spot, film, offset_s, rate, which)
    agrees = 1 - np.bitwise_count(here ^ there) / 16.0
    agrees[there == NOTHING] = 0.0
    agrees[..., here == NOTHING] = np.nan
    return np.asarray(agrees, np.float64)


def _words_there(spot: Print, film: Print, offset_s: Numbers, rate: Numbers, which: NDArray[np.intp]) -> NDArray[np.uint32]:
    """The film's words where the spot's would be, NOTHING outside of the film."""
    middles = offset_s + rate * (spot.words_at_s + (which + 0.5) * WORD_S)
    if not len(film.words):
        return np.full(middles.shape, NOTHING, np.uint32)
    at = np.rint((middles - film.words_at_s) / WORD_S - 0.5).astype(np.int64)
    inside = (at >= 0) & (at < len(film.words))
    return np.where(inside, film.words[np.clip(at, 0, len(film.words) - 1)], np.uint32(NOTHING))


def _by_pictures(spot: Print, film: Print, offsets_s: Numbers, rates: Numbers, slack: int) -> tuple[float, float, Numbers]:
    """(offset, rate, likeness per moment) with the likest pictures; offsets: (R,) one for each rate, moved by up to `slack` tenths."""
    best = (-np.inf, float(offsets_s[len(offsets_s) // 2]), float(rates[len(rates) // 2]))
    if not len(spot.pictures) or not len(film.pictures):
        return best[1], best[2], np.zeros(0)
    moments = _thinned(moments_of(spot), MOST_MOMENTS)
    looks, lengths = _looks_at(spot, moments)
    shifts = np.arange(-slack, slack + 1)
    for offset_s, rate in zip(offsets_s, rates, strict=True):
        begins_s = offset_s + shifts * GRID_S / 2
        alike = _likeness(looks, lengths, film, begins_s[:, None] + rate * moments)
        totals = np.nansum(alike, axis=1) - 0.01 * np.abs(shifts)
        if (top := float(totals.max())) > best[0]:
            best = (top, float(begins_s[totals.argmax()]), float(rate))
    looks, lengths = _looks_at(spot, moments_of(spot))
    return best[1], best[2], _likeness(looks, lengths, film, best[1] + best[2] * moments_of(spot))


def moments_of(spot: Print) -> Numbers:
    return np.arange(GRID_S / 2, spot.length_s, GRID_S)


def _looks_at(spot: Print, moments: Numbers) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    looks = spot.looks[spot.picture_at(moments)]
    return looks, np.linalg.norm(looks, axis=1)


def _likeness(looks: NDArray[np.float32], lengths: NDArray[np.float32], film: Print, at_s: Numbers) -> Numbers:
    """Per look, how alike the film's picture at that time is; NaN where the look is flat, 0 where the film has none. at_s: (..., M)."""
    places = film.picture_at(at_s)
    alike = np.einsum("ml,...ml->...m", looks, film.looks[places]) / np.maximum(lengths * film.contrast[places], 0.05)
    alike[(at_s < 0) | (at_s >= film.length_s)] = 0.0
    alike[..., lengths < FLAT] = np.nan
    return np.asarray(alike, np.float64)


def _told(spot: Print, film: Print, offset_s: float, rate: float, agrees: Numbers, alike: Numbers) -> Fit:
    aired = _aired(spot, agrees, alike)
    which = np.arange(len(agrees))
    words = spot.words_at_s + (which + 0.5) * WORD_S
    both = _words_there(spot, film, np.array([offset_s]), np.array([rate]), which) != NOTHING
    heard = agrees[(words >= aired[0]) & (words < aired[1]) & both]
    moments = moments_of(spot)[: len(alike)]
    inside = (moments >= aired[0]) & (moments < aired[1])
    seen = alike[inside]
    moved, still = _movement(spot, film, moments[inside], offset_s, rate) if len(seen) else (0.0, True)
    told_s = float(np.isfinite(heard).sum()) * WORD_S, float(np.isfinite(seen).sum()) * GRID_S
    return Fit(
        offset_s, rate, _mean(heard), told_s[0], _mean(seen), told_s[1], moved, still, _bounded(spot, film, offset_s, rate, aired), aired
    )


def _bounded(spot: Print, film: Print, offset_s: float, rate: float, aired: tuple[float, float]) -> bool:
    """Whether the film shows something else just before and just behind, or nothing."""
    if not len(spot.pictures) or not len(film.pictures):
        return False
    outside_s = offset_s + rate * np.array([aired[0] - BESIDE_S, aired[1] + BESIDE_S])
    inside = spot.looks[spot.picture_at(np.array([aired[0] + GRID_S, aired[1] - GRID_S]))]
    looks = film.looks[film.picture_at(outside_s)]
    lengths = np.linalg.norm(inside, axis=1) * np.linalg.norm(looks, axis=1)
    alike = np.einsum("nl,nl->n", inside, looks) / np.maximum(lengths, 0.05)
    return bool(((alike < OTHER) | (outside_s < 0) | (outside_s >= film.length_s)).all())


def _movement(spot: Print, film: Print, moments: Numbers, offset_s: float, rate: float) -> tuple[float, bool]:
    """(correlation of how the looks differ from their own mean, whether the spot's hardly do)."""
    a = spot.looks[spot.picture_at(moments)]
    b = film.looks[film.picture_at(offset_s + rate * moments)]
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    energy = float(np.square(a).sum(axis=1).mean()), float(np.square(b).sum(axis=1).mean())
    shared = float(np.einsum("ml,ml->m", a, b).mean())
    return shared / max(float(np.sqrt(energy[0] * energy[1])), STILL / 4), energy[0] < STILL


def _aired(spot: Print, agrees: Numbers, alike: Numbers) -> tuple[float, float]:
    """From the first to the last second of the spot of which sound or pictures say that it is on air; its ends where nothing denies it."""
    count = max(1, int(np.ceil(spot.length_s / GRID_S - 1e-6)))
    says, denies = np.zeros(count, bool), np.zeros(count, bool)
    for values, step_s, at_s, least in ((agrees, WORD_S, spot.words_at_s, AGREES), (alike, GRID_S, 0.0, ALIKE)):
        mean = _binned(values, at_s + (np.arange(len(values)) + 0.5) * step_s, count)
        says |= mean >= least
        denies |= mean < least
    found = np.flatnonzero(says)
    if not len(found):
        return 0.0, spot.length_s
    denied = denies & ~says
    ends = round(SMOOTH_S / GRID_S)  # a mean over a second reaches beyond an edge
    first = found[0] if denied[: max(0, found[0] - ends + 1)].any() else 0
    last = found[-1] + 1 if denied[found[-1] + ends :].any() else count
    return float(first) * GRID_S, min(float(last) * GRID_S, spot.length_s)


def _binned(values: Numbers, times_s: Numbers, count: int) -> Numbers:
    """Means over a second around each moment of the grid, NaN left out; NaN where there are none."""
    slot = np.minimum((times_s / GRID_S).astype(np.int64).clip(0), count - 1)
    told = np.isfinite(values)
    sums = np.bincount(slot[told], values[told], count), np.bincount(slot[told], minlength=count).astype(np.float64)
    window = np.ones(round(SMOOTH_S / GRID_S))
    total, number = (np.convolve(part, window, "same") for part in sums)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan), np.float64)


def _mean(values: Numbers) -> float:
    told = values[np.isfinite(values)]
    return float(told.mean()) if len(told) else 0.0


# --- edges -----------------------------------------------------------------------------------------------------------------


def on_frames(measured: Measured, fits: Sequence[tuple[Print, Fit]]) -> list[TimeSpan]:
    """When each fitted spot is on air, cut on the film's frames where its pictures show the change; where there are none, as heard."""
    wanted = [edge for _, fit in fits for edge in (fit.start_s, fit.end_s)]
    near = pictures_near(measured, wanted)
    spans = []
    for number, (spot, fit) in enumerate(fits):
        start_s = _edge(near[2 * number], fit.start_s, spot, fit, is_end=False)
        end_s = _edge(near[2 * number + 1], fit.end_s, spot, fit, is_end=True)
        start_s, end_s = max(0.0, start_s), min(measured.duration_s, end_s)
        if measured.duration_s - fit.end_s < LAST_FRAME_S:
            end_s = measured.duration_s
        spans.append(TimeSpan(start_s, end_s if end_s > start_s else start_s + WORD_S))
    return spans


def pictures_near(measured: Measured, instants_s: Sequence[float], within_s: float = NEAR_S) -> list[Series | None]:
    """Every picture within a time of each instant, from one walk over the film; None where there is none."""
    parts: list[list[Series]] = [[] for _ in instants_s]
    for block in measured.blocks("frame.tiny"):
        for number, instant_s in enumerate(instants_s):
            part = block.within(instant_s - within_s, instant_s + within_s)
            if len(part):
                parts[number].append(part)
    return [join(found) if found else None for found in parts]


def _edge(near: Series | None, at_s: float, spot: Print, fit: Fit, *, is_end: bool) -> float:
    """The frame at which the film's pictures begin or cease to be the spot's; `at_s` on a frame where no step is to be seen."""
    if near is None or not len(spot.pictures):
        return at_s
    own = spot.pictures.times_s
    head = (own >= fit.aired[1] - 2 * NEAR_S) if is_end else (own <= fit.aired[0] + 2 * NEAR_S)
    alike = looks_of(near.values) @ spot.looks[head].T
    # A picture may only be one that is on air about then; before the begin and behind the end the first and last ones stand for it.
    due_s = np.clip((near.times_s - fit.offset_s) / fit.rate, *fit.aired)
    score = np.where(np.abs(due_s[:, None] - own[head][None]) < 0.3, alike, UNLIKE).max(axis=1, initial=UNLIKE)
    inside = near.times_s >= at_s - 1e-6 if not is_end else near.times_s < at_s - 1e-6
    nearest = int(np.abs(near.times_s - at_s).argmin())
    fallback = float(near.times_s[nearest]) if abs(near.times_s[nearest] - at_s) < 0.1 else at_s
    if not inside.any() or score[inside].max() <= UNLIKE:
        return fallback
    steps = np.array([step_at(score, k, is_end) - 0.3 * abs(float(near.times_s[k]) - at_s) for k in range(1, len(score))])
    if not len(steps) or steps.max() < STEP:
        return fallback
    return float(near.times_s[int(steps.argmax()) + 1])


def step_at(score: Numbers, at: int, is_end: bool) -> float:
    """By how much the likeness of four pictures either side of `at` rises, or falls at an end."""
    before, after = float(score[max(0, at - 4) : at].mean()), float(score[at : at + 4].mean())
    return before - after if is_end else after - before

"""Describes every run of whole clips that might be one spot, by a few numbers each. Knows clips, looks and sound; weighs nothing.

C = clips, n = runs of one window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.tasks.ads_clips import Clips, Flags, Joints, Numbers
from pipelines.tasks.ads_eyes import Eyes
from pipelines.tasks.ads_looks import HORIZON, ROWS, Window, distances, fleeting, windows
from pipelines.tasks.ads_sound import Hearing, Sums

SHORTEST_S, LONGEST_S = 3.5, 95.0
SPARSE_S = 4.0
CARD_S = 4.0  # before its end, an ad shows whose it is
AIRED_S = 0.7  # black at a known spot's ends may or may not be part of it
ANOTHER_SET, SAME_SET = 0.8, 0.9  # likeness of pictures
MOST_CLIPS = 110  # of one spot
USUAL_SHARE = 0.35
LEAST_USUAL = 4.0  # levels: below it, likeness is a matter of grain
SPOT_LENGTHS_S = np.array([10.0, 15.0, 20.0, 30.0, 45.0, 60.0])

FEATURES = (
    "logo",  # mean log-odds that the logo is away, 0 where no logo is trusted
    "bars",  # share of the run framed unlike the film; 0 where the film keeps one frame
    "look",  # log of how far its clips are from the nearest outside, over what is usual
    "look_least",  # the same for its most familiar fifth
    "seen",  # 1 where trained eyes have looked at the film; without them the next three are 0
    "foreign",  # how much less like the nearest outside than usual its most familiar fifth is, to trained eyes
    "known",  # share of it whose set the film shows outside
    "goes_on",  # `foreign`, where the clips before and behind it show one set
    "deaf",  # 1 where the film has no sound
    "outer",  # 1 where the film begins or ends with it
    "card",  # 1 where a brand card is read at its end; 0 where nobody read
    "aired",  # the probability that it is a known spot, aired from its first to its last picture
    "return",  # log of how alike the clips before and behind it are, over what is usual
    "resume",  # log of how much nearer the clips on either side are to each other than it is to anything; 0 unless it is novel
    "copy",  # share of it that comes again as a whole
    "pace",  # log of the film's usual clip length over its own
    "loud",  # LU above the film's usual loudness
    "timbre",  # log of how far its sound is from the nearest outside, over what is usual
    "jump",  # how much the timbre changes at its ends, the smaller of the two
    "black",  # ends set off by black: 0, 1, 2
    "silence",  # ends at which the sound stops: 0, 1, 2
    "standard",  # 1 where it lasts as long as spots do
    "sparse",  # log of the film's mean clip length over SPARSE_S: where little is cut, a cut says more; 0 in films cut faster
    "still",  # 1 where its last clip is a still of 1 to 5 s
)


@dataclass(frozen=True, slots=True)
class Film:
    """All that is known of a film's clips. logo: log-odds that it is away; bars: 1 where framed unlike the film."""

    joints: Joints
    clips: Clips
    logo: Sums | None
    bars: Sums | None
    eyes: Eyes | None
    hearing: Hearing | None
    usual_look: float
    usual_clip_s: float
    jumps: Numbers  # (J,)
    silences: Flags  # (J,)
    sets: NDArray[np.int64] | None = None  # (C,) which set each clip is of; None where no encoder has looked
    cards: tuple[TimeSpan, ...] = ()  # brand cards, as read from the pictures
    airings: tuple[tuple[TimeSpan, float], ...] = ()  # of known spots, and how sure they are


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of clips `first` to `last` inclusive, ordered by first, then last. features: (n, len(FEATURES))."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    features: NDArray[np.float64]


def describe_runs(film: Film, set_aside: Flags | None = None) -> Iterator[Runs]:
    """All runs of a spot's possible length, some hundred start clips at a time.

    set_aside: (C,) clips that need not be compared with, being advertising themselves.
    """
    if len(film.clips.start_s) < 2:
        return
    aside = np.zeros(len(film.clips.start_s), bool) if set_aside is None else set_aside
    for starts, window in windows(film.clips, MOST_CLIPS, aside, film.eyes):
        parts = [part for start in starts if (part := _runs_from(film, start, window)) is not None]
        if parts:
            yield Runs(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("first", "last", "features")))


def _runs_from(film: Film, start: int, window: Window) -> Runs | None:
    clips = film.clips
    lasts = np.arange(start, min(len(clips.start_s), start + MOST_CLIPS))
    length_s = clips.end_s[lasts] - clips.start_s[start]
    lasts = lasts[(length_s >= SHORTEST_S) & (length_s <= LONGEST_S)]
    if start == 0 or not len(lasts):
        lasts = lasts[lasts < len(clips.start_s) - 1] if start == 0 else lasts
    if not len(lasts):
        return None
    begins, ends = np.full(len(lasts), clips.start_s[start]), clips.end_s[lasts]
    columns = {
        "logo": _mean(film.logo, begins, ends),
        **_looks(film, start, lasts, window),
        **_seen(film.eyes, start, lasts, window),
        "deaf": np.full(len(lasts), float(film.hearing is None)),
        "card": _carded(film.cards, ends),
        "aired": _aired(film.airings, begins, ends),
        "outer": np.maximum(start == 0, lasts == len(clips.start_s) - 1) * 1.0,
        **_sounds(film, start, lasts, begins, ends),
        "bars": _mean(film.bars, begins, ends),
        "pace": np.log(film.usual_clip_s * (lasts - start + 1) / (ends - begins)),
        "black": film.joints.is_black[start] + film.joints.is_black[lasts + 1] * 1.0,
        "standard": _is_standard(film.joints, start, lasts),
        "still": _ends_still(film, lasts),
        "sparse": np.full(len(lasts), _sparse(clips)),
    }
    return Runs(np.full(len(lasts), start), lasts, np.stack([columns[name] for name in FEATURES], axis=1))


def _looks(film: Film, start: int, lasts: NDArray[np.int64], window: Window) -> dict[str, Numbers]:
    """look, look_least, return and copy of the runs from `start` to each of `lasts`."""
    low, high = start - window.first, int(lasts[-1]) - window.first + 1
    columns = lasts - window.first
    nearest = np.minimum(window.before[low:high, low, None], window.after[low:high, columns])  # (clips, runs)
    novelty = np.log(np.maximum(nearest, 0.5) / film.usual_look)
    novelty = np.where(np.isfinite(novelty), np.clip(novelty, -3, 2), 2)
    weight = film.clips.length_s[start : int(lasts[-1]) + 1, None] * (np.arange(high - low)[:, None] <= (lasts - start)[None])
    mean, least = _summed(novelty, weight)
    return {
        "look": mean,
        "look_least": least,
        "resume": np.clip(least + _closed(film, start, lasts, window), 0, 3) * np.clip(least, 0, 1),
        "return": _return(film, start, lasts, window),
        "copy": (weight * window.copied[low:high, None]).sum(0) / weight.sum(0),
    }


def _seen(eyes: Eyes | None, start: int, lasts: NDArray[np.int64], window: Window) -> dict[str, Numbers]:
    """What trained eyes say of the runs from `start` to each of `lasts`."""
    if eyes is None or window.likeness is None:
        return {name: np.zeros(len(lasts)) for name in ("seen", "foreign", "known", "goes_on")}
    low, high, stops = eyes.bounds[start], eyes.bounds[lasts[-1] + 1], eyes.bounds[lasts + 1]
    rows = slice(int(low) - window.likeness.first, int(high) - window.likeness.first)
    alike = window.likeness.outside(rows, start - window.first, lasts + 1 - window.first)
    weight = eyes.length_s[low:high, None] * (np.arange(low, high)[:, None] < stops[None])
    _, foreign = _summed(eyes.foreign(alike), weight)
    closed = np.clip(1 - eyes.foreign(eyes.across(start, lasts)), 0, 1)
    known = (weight * np.clip((alike - ANOTHER_SET) / (SAME_SET - ANOTHER_SET), 0, 1)).sum(0) / weight.sum(0)
    return {"seen": np.ones(len(lasts)), "foreign": foreign, "known": known, "goes_on": np.clip(foreign, 0, None) * closed}


def _summed(novelty: Numbers, weight: Numbers) -> tuple[Numbers, Numbers]:
    """(parts, runs) -> (runs,) twice: the mean, and the mean of the fifth of the run that is the least novel."""
    total = weight.sum(0)
    order = np.argsort(np.where(weight > 0, novelty, np.inf), axis=0)
    novelty, sorted_weight = np.take_along_axis(novelty, order, 0), np.take_along_axis(weight, order, 0)
    fifth = np.clip(0.2 * total - (np.cumsum(sorted_weight, axis=0) - sorted_weight), 0, sorted_weight)
    return (sorted_weight * novelty).sum(0) / total, (fifth * novelty).sum(0) / fifth.sum(0)


def _closed(film: Film, start: int, lasts: NDArray[np.int64], window: Window) -> Numbers:
    """Log of the usual distance over that between the clip before and the clip behind each run; -inf at the film's ends."""
    row, columns = start - window.first - 1, lasts - window.first + 1
    apart = np.full(len(lasts), np.inf)
    if row >= 0:
        there = columns < window.near.shape[0]
        apart[there] = window.near[row, columns[there]]
    return np.asarray(-np.log(np.maximum(apart, 1.0) / film.usual_look), np.float64)


def _return(film: Film, start: int, lasts: NDArray[np.int64], window: Window) -> Numbers:
    """Whether the film goes on behind the run where it left off before it: the nearest of the two clips either side."""
    low = start - window.first
    count = window.near.shape[0]
    best = np.full(len(lasts), np.inf)
    for back in (1, 2):
        for forth in (1, 2):
            row, columns = low - back, lasts - window.first + forth
            if row < 0:
                continue
            there = columns < count
            best[there] = np.minimum(best[there], window.near[row, columns[there]])
    return np.where(np.isfinite(best), np.clip(-np.log(np.maximum(best, 0.5) / film.usual_look), -2, 3), 0)


def _sounds(film: Film, start: int, lasts: NDArray[np.int64], begins: Numbers, ends: Numbers) -> dict[str, Numbers]:
    if film.hearing is None:
        return {name: np.zeros(len(lasts)) for name in ("loud", "timbre", "jump", "silence")}
    return {
        "loud": film.hearing.louder(begins, ends),
        "timbre": np.clip(film.hearing.novelty(begins, ends), -2, 2),
        "jump": np.clip(np.minimum(film.jumps[start], film.jumps[lasts + 1]), 0, 4),
        "silence": film.silences[start] + film.silences[lasts + 1] * 1.0,
    }


def _carded(cards: tuple[TimeSpan, ...], ends: Numbers) -> Numbers:
    """A card that goes on behind the end belongs to something else."""
    found = np.zeros(len(ends))
    for card in cards:
        found[(card.end_s > ends - CARD_S) & (card.end_s <= ends + AIRED_S) & (card.start_s < ends)] = 1
    return found


def _aired(airings: tuple[tuple[TimeSpan, float], ...], begins: Numbers, ends: Numbers) -> Numbers:
    found = np.zeros(len(ends))
    for span, score in airings:
        found[(np.abs(begins - span.start_s) <= AIRED_S) & (np.abs(ends - span.end_s) <= AIRED_S)] = score
    return found


def _mean(sums: Sums | None, begins: Numbers, ends: Numbers) -> Numbers:
    return np.zeros(len(begins)) if sums is None else np.nan_to_num(sums.mean(begins, ends))


def _is_standard(joints: Joints, start: int, lasts: NDArray[np.int64]) -> Numbers:
    """Measured from picture to picture, or from middle to middle of the blacks around."""
    pictures = joints.start_s[lasts + 1] - joints.end_s[start]
    middles = joints.at_s[lasts + 1] - joints.at_s[start]
    off = [np.abs(lengths[:, None] - SPOT_LENGTHS_S).min(axis=1) for lengths in (pictures, middles)]
    nearest = np.minimum(*off)
    return np.asarray((nearest <= 0.55) * 0.5 + (nearest <= 0.15) * 0.5)


def _sparse(clips: Clips) -> float:
    return float(np.log(np.clip(np.mean(clips.length_s) / SPARSE_S, 1, 12)))


def _ends_still(film: Film, lasts: NDArray[np.int64]) -> Numbers:
    change, length_s = film.clips.change[lasts], film.clips.length_s[lasts]
    usual = float(np.median(film.clips.change))
    return np.asarray((change < 0.5 * usual) & (length_s >= 0.9) & (length_s <= 5.5), np.float64)


def usual_look(clips: Clips) -> float:
    """A clip's usual distance to the nearest one a quarter of a minute and more away, levels: a low quantile, for ads lie above."""
    found = []
    for first in range(0, len(clips.start_s), ROWS):
        rows = slice(first, first + ROWS)
        columns = slice(max(0, first - HORIZON), first + ROWS + HORIZON)
        apart = distances(clips.looks[rows], clips.looks[columns]) * fleeting(clips.length_s[columns])
        gap = np.maximum(clips.start_s[None, columns] - clips.end_s[rows, None], clips.start_s[rows, None] - clips.end_s[None, columns])
        apart[gap < 15] = np.inf
        found.append(apart.min(axis=1))
    values = np.concatenate(found)
    known = np.isfinite(values)
    return max(LEAST_USUAL, _quantile(values[known], clips.length_s[known], USUAL_SHARE)) if known.any() else LEAST_USUAL


def _quantile(values: Numbers, weights: Numbers, share: float) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), weights.sum() * share)])

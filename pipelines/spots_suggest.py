"""Unknown repeats over many videos: what sounds or looks the same in several places, gathered for naming. Names nothing itself.

C = cuts of all videos together, D = numbers of a window of looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured, Series
from pipelines.signals.fingerprint import WORD_S, find_repeats
from pipelines.spots import LONGEST_S, SHORTEST_S
from pipelines.spots_fit import STEP, UNLIKE, pictures_near, step_at
from pipelines.spots_prints import GRID_S, Print, joined_words, looks_of, print_of
from pipelines.spots_search import LEAST_CONTRAST

GAP_S = 120.0  # of silence between videos, so that no repeat reaches from one into the next
LEAST_LAG_S = 8.0
CUT = 0.35  # distance of two neighbouring looks that a cut makes
AFTER_CUT = np.arange(2, 18, 2)  # steps of the grid that are compared behind a cut: 3.2 s
SAME, GOES_ON = 0.94, 0.85  # likeness of windows that are one recording, and of pictures as it goes on
MOVES = 0.03  # mean square by which a window's looks must vary; a still card repeats without being a spot
MOST_CUTS = 40_000
ROWS = 1024
ONE_PLACE = 0.6  # of the union, that two stretches must share to be one airing
SNAP_S, SAME_MOMENT_S = 1.2, 0.1  # how far from its true end a repeat may have been given up, and by how much its lag may be off
MOST_INSIDE = 0.5  # of a repeat, that a better one may hold already


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A stretch of one of the videos."""

    video: int
    span: TimeSpan


@dataclass(frozen=True, slots=True)
class Repeated:
    """Stretches of equal length that are the same. places: in order; the first is the one to name it by; cue: sound | picture."""

    places: tuple[Place, ...]
    cues: tuple[str, ...]

    @property
    def length_s(self) -> float:
        return self.places[0].span.duration_s


def unknown_repeats(videos: Sequence[Measured], known: Sequence[Sequence[TimeSpan]] = ()) -> tuple[Repeated, ...]:
    """What is on air more than once over all videos, most airings first. known: per video, stretches that have a name already."""
    prints = [print_of(video) for video in videos]
    pairs = [*_heard_twice(prints), *_seen_twice(prints)]
    fresh = [p for p in pairs if not any(_is_known(place, known) for place in p[:2])]
    clusters = _clustered(fresh)
    sharp = [_on_cuts(videos, one) for one in clusters]
    usable = [one for one in sharp if SHORTEST_S <= one.length_s <= LONGEST_S and len(one.places) > 1]
    kept: list[Repeated] = []
    for one in sorted(usable, key=lambda one: (-len(one.places), -one.length_s, one.places)):
        if not any(_is_inside(one.places[0], other) for better in kept for other in better.places):
            kept.append(one)
    return tuple(kept)


def _is_inside(place: Place, other: Place) -> bool:
    return place.video == other.video and place.span.overlap_s(other.span) > MOST_INSIDE * place.span.duration_s


Pair = tuple[Place, Place, str]


def _heard_twice(prints: Sequence[Print]) -> Iterator[Pair]:
    words, starts = joined_words(prints, round(GAP_S / WORD_S))
    series = Series(np.asarray((np.arange(len(words)) + 0.5) * WORD_S, np.float64), words)
    for repeat in find_repeats(series, shortest_s=SHORTEST_S, least_lag_s=LEAST_LAG_S):
        if repeat.first.duration_s <= LONGEST_S:
            first, second = (_place(prints, starts, span) for span in (repeat.first, repeat.second))
            yield first, second, "sound"


def _place(prints: Sequence[Print], starts: NDArray[np.int64], span: TimeSpan) -> Place:
    video = int(np.searchsorted(starts * WORD_S, (span.start_s + span.end_s) / 2, side="right")) - 1
    shift_s = prints[video].words_at_s - float(starts[video]) * WORD_S
    start_s = max(0.0, span.start_s + shift_s)
    return Place(video, TimeSpan(start_s, max(start_s + WORD_S, min(prints[video].length_s, span.end_s + shift_s))))


def _seen_twice(prints: Sequence[Print]) -> Iterator[Pair]:
    """Stretches behind cuts that look the same and go on alike: spots without sound, too."""
    grids = [p.looks[p.picture_at(np.arange(int(p.length_s / GRID_S)) * GRID_S)] if len(p.pictures) else p.looks[:0] for p in prints]
    owner, cut, vectors = _windows(grids)
    reached: dict[tuple[int, int, int], int] = {}
    for first in range(0, len(cut), ROWS):
        likeness = vectors[first : first + ROWS] @ vectors.T
        for row, column in np.argwhere(likeness >= SAME):
            here, there = int(row) + first, int(column)
            near = owner[here] == owner[there] and (cut[there] - cut[here]) * GRID_S < LEAST_LAG_S
            if there <= here or near:
                continue
            lag = int(cut[there] - cut[here])
            if any(reached.get((int(owner[here]), int(owner[there]), lag + d), -1) > cut[here] for d in (-1, 0, 1)):
                continue
            begin, end = _extent(grids[owner[here]], grids[owner[there]], int(cut[here]), int(cut[there]))
            reached[int(owner[here]), int(owner[there]), lag] = int(cut[here]) + end
            if SHORTEST_S <= (end - begin) * GRID_S <= LONGEST_S:
                yield _stretch(owner[here], cut[here], begin, end), _stretch(owner[there], cut[there], begin, end), "picture"


def _windows(grids: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """(owner, grid place, vector) of what follows each cut."""
    owners, places, vectors = [], [], []
    for number, grid in enumerate(grids):
        cuts = np.flatnonzero(np.linalg.norm(np.diff(grid, axis=0), axis=1) > CUT) + 1
        cuts = cuts[cuts + AFTER_CUT[-1] < len(grid)]
        windows = grid[cuts[:, None] + AFTER_CUT]
        varied = np.square(windows - windows.mean(axis=1, keepdims=True)).sum(axis=2).mean(axis=1)
        clear = np.square(windows).sum(axis=2).mean(axis=1)
        worth = (varied >= MOVES) & (clear >= LEAST_CONTRAST)
        owners.append(np.full(int(worth.sum()), number))
        places.append(cuts[worth])
        vectors.append(windows[worth].reshape(int(worth.sum()), windows.shape[1] * windows.shape[2]))
    if not vectors:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros((0, 1), np.float32)
    joined = np.concatenate(vectors)[:MOST_CUTS]
    unit = joined / np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-6)
    return np.concatenate(owners)[:MOST_CUTS], np.concatenate(places)[:MOST_CUTS], unit


def _extent(here: NDArray[np.float32], there: NDArray[np.float32], a: int, b: int) -> tuple[int, int]:
    """(first, last) step around places a and b within which the pictures go on alike."""
    back = min(a, b, round(LONGEST_S / GRID_S))
    ahead = min(len(here) - a, len(there) - b, round(LONGEST_S / GRID_S) + 1)
    return -_alike_for(here[a - back : a][::-1], there[b - back : b][::-1]), _alike_for(here[a : a + ahead], there[b : b + ahead])


def _alike_for(here: NDArray[np.float32], there: NDArray[np.float32]) -> int:
    """For how many steps two rows of looks are alike; one odd picture, as at a cut between two grid points, is let pass."""
    own = np.linalg.norm(here, axis=1), np.linalg.norm(there, axis=1)
    alike = np.einsum("nl,nl->n", here, there) / np.maximum(own[0] * own[1], 0.05)
    bad = np.flatnonzero((alike < GOES_ON) & (np.append(alike[1:], 0.0) < GOES_ON))
    return int(bad[0]) if len(bad) else len(here)


def _stretch(owner: np.intp, cut: np.intp, begin: int, end: int) -> Place:
    return Place(int(owner), TimeSpan(float((cut + begin) * GRID_S), float((cut + end) * GRID_S)))


def _is_known(place: Place, known: Sequence[Sequence[TimeSpan]]) -> bool:
    named = known[place.video] if known else ()
    return any(place.span.overlap_s(span) > place.span.duration_s / 2 for span in named)


def _clustered(pairs: Sequence[Pair]) -> list[Repeated]:
    """Pairs that share a place are one repeat."""
    nodes: list[Place] = []
    groups: list[int] = []
    cues: list[set[str]] = []

    def node(place: Place, cue: str) -> int:
        for number, other in enumerate(nodes):
            if _is_one(place, other):
                cues[number].add(cue)
                return number
        nodes.append(place)
        groups.append(len(nodes) - 1)
        cues.append({cue})
        return len(nodes) - 1

    for first, second, cue in sorted(pairs, key=lambda p: (p[2] != "sound", p[0], p[1])):
        a, b = groups[node(first, cue)], groups[node(second, cue)]
        groups = [a if group == b else group for group in groups]
    members = [[k for k, group in enumerate(groups) if group == one] for one in dict.fromkeys(groups)]
    return [
        Repeated(tuple(sorted(nodes[k] for k in own)), tuple(sorted(set().union(*(cues[k] for k in own)), reverse=True))) for own in members
    ]


def _is_one(one: Place, other: Place) -> bool:
    if one.video != other.video:
        return False
    shared = one.span.overlap_s(other.span)
    return shared > ONE_PLACE * (one.span.duration_s + other.span.duration_s - shared)


def _on_cuts(videos: Sequence[Measured], one: Repeated) -> Repeated:
    """The same with the first place's ends on the frames at which its pictures and the second one's begin and cease to be the same."""
    if len(one.places) < 2:
        return one
    first, second = one.places[:2]
    edges = (first.span.start_s, first.span.end_s)
    lag_s = second.span.start_s - first.span.start_s
    here = pictures_near(videos[first.video], edges, SNAP_S)
    there = pictures_near(videos[second.video], [at_s + lag_s for at_s in edges], SNAP_S + SAME_MOMENT_S)
    start_s, end_s = (_parting(here[k], there[k], edges[k], lag_s, is_end=k == 1) for k in (0, 1))
    return Repeated((Place(first.video, TimeSpan(start_s, end_s)), *one.places[1:]), one.cues) if end_s > start_s else one


def _parting(here: Series | None, there: Series | None, at_s: float, lag_s: float, *, is_end: bool) -> float:
    """The frame near `at_s` where two places' pictures part or meet; `at_s` itself where none such is to be seen."""
    if here is None or there is None or len(here) < 3:
        return at_s
    a, b = looks_of(here.values), looks_of(there.values)
    same_moment = np.abs(here.times_s[:, None] + lag_s - there.times_s[None]) < SAME_MOMENT_S
    score = np.where(same_moment, a @ b.T, UNLIKE).max(axis=1, initial=UNLIKE)
    steps = np.array([step_at(score, k, is_end) for k in range(1, len(score))])
    return float(here.times_s[int(steps.argmax()) + 1]) if steps.max() >= STEP else at_s

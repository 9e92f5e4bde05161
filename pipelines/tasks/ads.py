"""Finds ad breaks and the spots in them from what was measured. Needs no single cue: says which it had, and what each contributed.

A break begins and ends on a cut, or in the middle of the black that sets it off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Cue, Curve, Finding, Shot, Status, TaskResult
from pipelines.series import Measured
from pipelines.tasks.ads_clips import Flags, Numbers
from pipelines.tasks.ads_decode import Beliefs, Lattice, believe, best_spots
from pipelines.tasks.ads_film import gather
from pipelines.tasks.ads_runs import Film, describe_runs
from pipelines.tasks.ads_score import FITTED, TERMS, Weights, terms

if TYPE_CHECKING:
    from pipelines.spots import Airing

TASK = "ads"
SURE = 0.8  # breaks this probable are set aside before the film is looked at again: other ads are no measure of it
WORDS = {
    "logo": "the channel's logo is away",
    "bars": "the picture is framed otherwise",
    "look": "it looks like nothing else in the film",
    "look_least": "not one of its pictures is seen elsewhere",
    "copy": "it is shown again as a whole",
    "pace": "it is cut faster",
    "loud": "it is louder",
    "timbre": "it sounds like nothing else in the film",
    "foreign": "trained eyes see nothing like it elsewhere in the film",
    "known": "trained eyes know its sets from the rest of the film",
    "strange": "it looks and sounds like nothing else in the film",
    "goes_on": "the set before it is the set behind it",
    "card": "a brand card is read at its end",
    "aired": "it is a known spot",
    "return": "the programme goes on behind it where it stopped",
    "resume": "the same picture stands before and behind it",
    "jump": "the sound changes at its ends",
    "black": "it is set off by black",
    "silence": "it is set off by silence",
    "standard": "it lasts as long as spots do",
    "still": "it ends with a still card",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdSettings:
    """What counts as a break."""

    least_score: float = 0.5  # breaks less probable than this are not reported
    least_film_s: float = 20.0  # a shorter video has no programme to compare with
    least_film_unseen_s: float = 60.0  # the same where no trained eyes have looked


@dataclass(frozen=True, slots=True)
class Spot:
    """Clips `first` to `last`, inclusive."""

    first: int
    last: int
    contributions: Numbers  # log-odds, one per term


@dataclass(frozen=True, slots=True)
class Judgement:
    """A film, its likeliest spots, and the probabilities over all other ways to see it."""

    film: Film
    spots: list[Spot]
    beliefs: Beliefs


def find_ads(
    measured: Measured, shots: tuple[Shot, ...], settings: AdSettings = AdSettings(), airings: Sequence[Airing] = ()
) -> TaskResult:
    """Breaks and spots with their probability and evidence, and the probability of advertising second by second.

    airings: of known spots (`pipelines.spots.known_airings`).
    """
    if (refusal := _refusal(measured, shots, settings)) is not None:
        return TaskResult(TASK, Status.EMPTY, reason=refusal)
    film = gather(measured, shots, airings)
    judged = judge(film)
    findings = findings_of(judged, settings)
    status = Status.DEGRADED if measured.missing else Status.OK if findings else Status.EMPTY
    reason = " ".join(filter(None, ["" if findings else "No advertising found.", _without(film, measured), _missing(measured)]))
    return TaskResult(TASK, status, tuple(findings), reason, {"ads": _curve(judged, measured.duration_s)})


def _refusal(measured: Measured, shots: tuple[Shot, ...], settings: AdSettings) -> str | None:
    if measured.get("frame.tiny") is None:
        return "There are no pictures to look for advertising in."
    if measured.duration_s < (settings.least_film_s if measured.features else settings.least_film_unseen_s):
        return f"With {measured.duration_s:.0f} s the video is too short to tell a programme from advertising."
    if len(shots) < 3:
        return "The picture is never cut to another and back, so nothing is inserted."
    return None


def judge(film: Film, weights: Weights = FITTED) -> Judgement:
    """The likeliest sequence of programme and spots, and how sure it is."""
    first = _look(film, None, weights)
    aside = np.zeros(len(film.clips.start_s), bool)
    for spots in _breaks(first.spots):
        if _score(first, spots) >= SURE:
            aside[spots[0].first : spots[-1].last + 1] = True
    return _look(film, aside, weights) if aside.any() and aside.mean() < 0.5 else first


def _look(film: Film, set_aside: Flags | None, weights: Weights) -> Judgement:
    runs = list(describe_runs(film, set_aside))
    if not runs:
        count = len(film.clips.start_s)
        return Judgement(film, [], Beliefs(np.zeros(0), np.zeros(count), 0.0, 0.0, 0.0))
    first, last = (np.concatenate([getattr(r, name) for r in runs]) for name in ("first", "last"))
    length_s = film.clips.end_s[last] - film.clips.start_s[first]
    weighed = terms(np.concatenate([r.features for r in runs]), length_s) * weights.vector()
    lattice = Lattice(len(film.clips.start_s), first, last, weighed.sum(axis=1), weights.begin, weights.follow)
    places = {(int(a), int(b)): k for k, (a, b) in enumerate(zip(first, last, strict=True))}
    spots = [Spot(a, b, weighed[places[a, b]]) for a, b in best_spots(lattice)]
    return Judgement(film, spots, believe(lattice))


def _breaks(spots: Sequence[Spot]) -> list[list[Spot]]:
    """Spots that follow one another without programme between make a break."""
    groups: list[list[Spot]] = []
    for spot in spots:
        if groups and groups[-1][-1].last + 1 == spot.first:
            groups[-1].append(spot)
        else:
            groups.append([spot])
    return groups


def findings_of(judged: Judgement, settings: AdSettings) -> list[Finding]:
    return [finding for spots in _breaks(judged.spots) for finding in _findings(judged, spots, settings)]


def _findings(judged: Judgement, spots: list[Spot], settings: AdSettings) -> list[Finding]:
    score = _score(judged, spots)
    if score < settings.least_score:
        return []
    number = f"{len(spots)} spots" if len(spots) > 1 else "1 spot"
    found = [_finding(judged, "break", spots, score, f"Ad break, {number}")]
    return found + [_finding(judged, "spot", [spot], min(score, _score(judged, [spot])), "Spot") for spot in spots]


def _finding(judged: Judgement, kind: str, spots: list[Spot], score: float, label: str) -> Finding:
    film = judged.film
    span = TimeSpan(float(film.joints.at_s[spots[0].first]), float(film.joints.at_s[spots[-1].last + 1]))
    total = dict(zip(TERMS, np.sum([spot.contributions for spot in spots], axis=0).tolist(), strict=True))
    total["foreign"] += total.pop("foreign_time")
    cues = tuple(Cue(name, round(value, 2), WORDS[name]) for name, value in total.items() if name in WORDS and abs(value) >= 0.05)
    strongest = sorted((cue for cue in cues if cue.score > 0.5), key=lambda cue: -cue.score)[:3]
    because = ", ".join(cue.detail for cue in strongest) or "no single cue stands out"
    data = {"spots": len(spots)} | _sets(film, slice(spots[0].first, spots[-1].last + 1)) | _loudness(film, span)
    return Finding(TASK, kind, span, round(score, 4), f"{label}, {span.duration_s:.1f} s", because.capitalize() + ".", cues, data)


def _sets(film: Film, own: slice) -> dict[str, float]:
    """How many shots it has, and how many of them are of sets that the film shows elsewhere."""
    if film.sets is None:
        return {}
    elsewhere = np.isin(film.sets[own], np.delete(film.sets, own))
    return {"shots": len(elsewhere), "shots_seen_elsewhere": int(elsewhere.sum())}


def _loudness(film: Film, span: TimeSpan) -> dict[str, float]:
    """Integrated over the stretch, without gates, against the programme's usual momentary loudness."""
    if film.hearing is None:
        return {}
    lufs = float(film.hearing.lufs(np.array([span.start_s]), np.array([span.end_s]))[0])
    if not np.isfinite(lufs):
        return {}
    return {"loudness_lufs": round(lufs, 1), "above_programme_lu": round(lufs - film.hearing.usual_lufs, 1)}


def _score(judged: Judgement, spots: list[Spot]) -> float:
    """The probability that a moment of it is advertising, over its whole length."""
    clips = slice(spots[0].first, spots[-1].last + 1)
    return float(np.average(judged.beliefs.clip[clips], weights=judged.film.clips.length_s[clips]))


def _curve(judged: Judgement, duration_s: float) -> Curve:
    seconds = np.arange(int(duration_s))
    at: NDArray[np.intp] = np.searchsorted(judged.film.clips.start_s, seconds + 0.5, side="right") - 1
    return Curve(tuple(map(float, seconds)), tuple(round(float(p), 3) for p in judged.beliefs.clip[np.maximum(at, 0)]))


def _without(film: Film, measured: Measured) -> str:
    missing = [
        name
        for name, is_there in (
            ("trained eyes", film.eyes is not None),
            ("a logo that comes and goes", film.logo is not None),
            ("sound", film.hearing is not None),
            ("black between scenes", bool(film.joints.is_black.any())),
            ("texts that were read in pictures", bool(measured.texts)),
        )
        if not is_there
    ]
    return f"Judged without {', '.join(missing)}." if missing else ""


def _missing(measured: Measured) -> str:
    lost_s = sum(m.duration_s for m in measured.missing)
    return f"{lost_s:.0f} s could not be decoded and were not looked at." if lost_s else ""

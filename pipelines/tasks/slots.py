"""The slots task: the best moments to insert a break. A moment is good where a scene ends, nothing is said, and the cut forces nothing.

Places are borders between shots only. What is doubtful is refused with its reason; no place is better than a bad one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Cue, Finding, Shot, Status, TaskResult
from pipelines.series import Measured
from pipelines.tasks.scenes import BLACK_SHARE, Border, find_borders
from pipelines.tasks.slots_pauses import FAR_S, Pauses, pauses_of

TASK = "slots"
NEAR_S, ALONE = 5.0, 0.5  # a border is compared with those near it: in a montage all change as much, and none ends a scene
LONGEST_BLACK_S = 10.0
FULL_S, CLEAR_FULL_S = 0.5, 1.0  # so much black or silence, so far from speech, says all that it can
LISTENED_PER_HOUR = 120  # the likeliest places; what is left unheard is refused
# Log-odds that a border ends a scene and suits a break, in the order of `_features`; fitted on made films and rounded (DECISIONS.md).
BIAS, WEIGHTS = -4.5, (3.0, 4.5, 1.5, 1.5, 0.5)
NAMES = ("change", "contrast", "black", "silence", "speech")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSettings:
    """Where breaks may go, and how many."""

    skip_first_s: float = 120.0  # nobody stays through a break before the story holds them; at most a tenth of the film
    skip_last_s: float = 120.0
    least_apart_s: float = 240.0  # also from ad breaks that are there already
    most_apart_s: float = 900.0  # behind so long a stretch without a break a weaker place will do
    per_hour: float = 8.0
    least_score: float = 0.5
    least_overdue: float = 0.3  # the weaker place's
    clear_s: float = 0.2  # nobody speaks so long before and behind
    least_film_s: float = 120.0  # a shorter video is no place for a break


@dataclass(frozen=True, slots=True)
class Place:
    """A border between two shots as a place for a break. gap: the black that parts them, or one frame; at_s lies in it or at its end."""

    at_s: float
    gap: TimeSpan
    border: Border
    contrast: float  # how much more it changes than its neighbours do
    black_s: float
    silence_s: float
    clear_s: float  # until somebody speaks, before or behind, whichever is nearer
    refused: str = ""

    @property
    def features(self) -> tuple[float, ...]:
        told = (self.black_s / FULL_S, self.silence_s / FULL_S, self.clear_s / CLEAR_FULL_S)
        return (self.border.strength, self.contrast, *(min(1.0, value) for value in told))

    @property
    def contributions(self) -> tuple[float, ...]:
        return tuple(weight * value for weight, value in zip(WEIGHTS, self.features, strict=True))

    @property
    def score(self) -> float:
        return 1 / (1 + math.exp(-BIAS - sum(self.contributions)))


def find_slots(
    measured: Measured, shots: Sequence[Shot], settings: SlotSettings = SlotSettings(), ads: Sequence[TimeSpan] = ()
) -> TaskResult:
    """The chosen places in time order, ranked in `data`; EMPTY with the reason where no place is good enough.

    shots: of the programme. ads: breaks that are there already. `data["alternatives"]`: other good places, the best first.
    """
    if measured.duration_s < settings.least_film_s:
        return _none(f"With {measured.duration_s:.0f} s the video is too short for a break.", "", measured)
    places = judged_places(measured, shots, settings, ads)
    chosen = choose(places, measured.duration_s, settings, ads)
    if not chosen:
        return _none(_why_none(places, settings), _without(measured), measured)
    ranked = sorted(chosen, key=lambda place: -place.score)
    findings = tuple(_finding(place, number, ranked.index(place) + 1, measured) for number, place in enumerate(chosen, 1))
    spare = [p for p in places if not p.refused and p.score >= settings.least_score and p not in chosen]
    others = [{"at_s": round(p.at_s, 6), "score": round(p.score, 4)} for p in sorted(spare, key=lambda p: -p.score)]
    data = {"looked_at": len(places), "alternatives": others}
    return TaskResult(TASK, Status.DEGRADED if measured.missing else Status.OK, findings, _without(measured), data=data)


def _none(reason: str, without: str, measured: Measured) -> TaskResult:
    return TaskResult(TASK, Status.DEGRADED if measured.missing else Status.EMPTY, reason=f"{reason} {without}".strip())


def places_to_hear(measured: Measured, shots: Sequence[Shot], settings: SlotSettings = SlotSettings()) -> list[TimeSpan]:
    """Where to listen for speech before places can be judged: around the likeliest of them."""
    places = [p for p in _places(measured, shots) if not _out_of_bounds(p, measured, settings)]
    most = math.ceil(LISTENED_PER_HOUR * max(measured.duration_s, 900) / 3600)
    likely = sorted(places, key=lambda place: (-place.score, place.at_s))[:most]
    return [TimeSpan(max(0.0, p.gap.start_s - FAR_S), p.gap.end_s + FAR_S) for p in likely]


def judged_places(
    measured: Measured, shots: Sequence[Shot], settings: SlotSettings = SlotSettings(), ads: Sequence[TimeSpan] = ()
) -> list[Place]:
    """Every border between two shots, scored; `refused` says why one is out of the question."""
    pauses = pauses_of(measured)
    gradual = {shot.span.start_s for shot in shots if shot.opened_by in ("dissolve", "wipe")}
    return [replace(p, refused=_refusal(p, measured, pauses, settings, ads, gradual)) for p in _places(measured, shots)]


def _places(measured: Measured, shots: Sequence[Shot]) -> list[Place]:
    pauses = pauses_of(measured)
    borders = [border for border in find_borders(measured, shots) if border.cues]
    at, strengths = np.array([b.at_s for b in borders]), np.array([b.strength for b in borders])
    return [_place(measured, pauses, border, _contrast(at, strengths, k)) for k, border in enumerate(borders)]


def _contrast(at: NDArray[np.float64], strengths: NDArray[np.float64], k: int) -> float:
    """How much more a border changes than its neighbours do, who count less with their distance."""
    weights = np.exp(-np.abs(at - at[k]) / NEAR_S)
    weights[k] = 0.0
    return float(strengths[k] - (weights * strengths).sum() / (weights.sum() + ALONE))


def _place(measured: Measured, pauses: Pauses, border: Border, contrast: float) -> Place:
    times, is_black = _frames_between(measured, border.at_s)
    gap = TimeSpan(times[0], times[-1]) if len(times) > 1 else TimeSpan(border.at_s, border.at_s + 0.04)
    instants = times if is_black else [border.at_s]
    middle_s = (gap.start_s + gap.end_s) / 2
    at_s = max(instants, key=lambda t: (round(min(pauses.clear_s(t), CLEAR_FULL_S), 2), -abs(t - middle_s)))
    black_s = gap.duration_s if is_black else 0.0
    return Place(at_s, gap, border, contrast, black_s, pauses.silence_s(gap), pauses.clear_s(at_s))


def _frames_between(measured: Measured, at_s: float) -> tuple[list[float], bool]:
    """When the black frames around a border appear, and the first one behind them; of a straight cut its one frame and the next."""
    dark = measured.get("frame.black")
    if dark is None:
        return [at_s], False
    near = dark.within(at_s - LONGEST_BLACK_S, at_s + LONGEST_BLACK_S)
    black = near.values.astype(np.float64) > BLACK_SHARE
    own = min(int(np.searchsorted(near.times_s, at_s - 1e-3)), len(near) - 1)
    first = last = own if own >= 0 and black[own] else own - 1
    if own < 0 or first < 0 or not black[first]:
        return [at_s, *near.times_s[own + 1 : own + 2].tolist()], False
    while first > 0 and black[first - 1]:
        first -= 1
    while last + 1 < len(near) and black[last + 1]:
        last += 1
    return near.times_s[first : last + 2].tolist(), True


def _out_of_bounds(place: Place, measured: Measured, settings: SlotSettings) -> str:
    tenth_s = measured.duration_s / 10
    if place.at_s < min(settings.skip_first_s, tenth_s) or place.at_s > measured.duration_s - min(settings.skip_last_s, tenth_s):
        return "too near the film's begin or end"
    return "next to what could not be decoded" if any(m.start_s - 1 < place.at_s < m.end_s + 1 for m in measured.missing) else ""


def _refusal(place: Place, measured: Measured, pauses: Pauses, settings: SlotSettings, ads: Sequence[TimeSpan], gradual: set[float]) -> str:
    if why := _out_of_bounds(place, measured, settings):
        return why
    if any(ad.start_s - settings.least_apart_s < place.at_s < ad.end_s + settings.least_apart_s for ad in ads):
        return "in or near an ad break"
    if place.border.at_s in gradual:
        return "in the middle of a dissolve"
    if not pauses.is_known(place.at_s, settings.clear_s):
        return "not listened to, for others are likelier"
    return "in speech" if place.clear_s < settings.clear_s else ""


def choose(places: Sequence[Place], duration_s: float, settings: SlotSettings, ads: Sequence[TimeSpan] = ()) -> list[Place]:
    """The best places that keep their distance, in time order; a weaker one where a break is overdue. Of places about equally good, the
    one furthest from other breaks and from the film's ends."""
    most = math.ceil(settings.per_hour * duration_s / 3600)
    usable = [place for place in places if not place.refused]
    chosen: list[Place] = []
    for least, longest_s in ((settings.least_score, 0.0), (settings.least_overdue, settings.most_apart_s)):
        while len(chosen) < most:
            breaks = sorted([0.0, duration_s, *(place.at_s for place in chosen), *(ad.start_s for ad in ads)])
            free = [p for p in usable if p.score >= least and _keeps_apart(p, chosen, settings) and _stretch_s(p, breaks) > longest_s]
            if not free:
                break
            chosen.append(max(free, key=lambda p: (round(p.score, 1), min(abs(p.at_s - other) for other in breaks), -p.at_s)))
    return sorted(chosen, key=lambda place: place.at_s)


def _stretch_s(place: Place, breaks: Sequence[float]) -> float:
    """How long the film goes on around a place without a break."""
    after = bisect_left(breaks, place.at_s)
    return breaks[min(after, len(breaks) - 1)] - breaks[max(0, after - 1)]


def _keeps_apart(place: Place, chosen: Sequence[Place], settings: SlotSettings) -> bool:
    return all(abs(place.at_s - other.at_s) >= settings.least_apart_s for other in chosen)


def _finding(place: Place, number: int, rank: int, measured: Measured) -> Finding:
    details = {
        "change": "the setting changes",
        "contrast": "nothing near it changes as much",
        "black": f"black for {place.black_s:.2f} s",
        "silence": f"silent for {place.silence_s:.1f} s",
        "speech": "nobody speaks " + (f"within {FAR_S:.0f} s" if place.clear_s >= FAR_S else f"for {place.clear_s:.1f} s before or behind"),
    }
    cues = tuple(
        Cue(name, round(value, 2), details[name]) for name, value in zip(NAMES, place.contributions, strict=True) if abs(value) >= 0.05
    )
    because = ", ".join(cue.detail for cue in sorted(cues, key=lambda cue: -cue.score) if cue.score > 0.3)
    data = {
        "at_s": round(place.at_s, 6),
        "tick": measured.clock.tick(place.at_s) if measured.clock else None,
        "rank": rank,
        "black_s": round(place.black_s, 3),
        "silence_s": round(place.silence_s, 3),
        "clear_of_speech_s": round(place.clear_s, 3),
    }
    return Finding(TASK, "slot", place.gap, round(place.score, 4), f"Slot {number}", because.capitalize() + ".", cues, data)


def _why_none(places: Sequence[Place], settings: SlotSettings) -> str:
    if not places:
        return "The picture is never cut, so every break would be a forced cut."
    refused = Counter(place.refused for place in places if place.refused)
    weak = sum(1 for place in places if not place.refused and place.score < settings.least_score)
    told = [*(f"{count} {why}" for why, count in refused.most_common()), *([f"{weak} where no scene ends clearly"] if weak else [])]
    return f"No good place among {len(places)} borders between shots: {', '.join(told)}."


def _without(measured: Measured) -> str:
    missing = [
        name
        for name, is_there in (
            ("sound", measured.get("sound.level") is not None),
            ("a voice detector", measured.voice is not None or measured.get("sound.level") is None),
            ("trained eyes", measured.get("eyes.embedding") is not None),
        )
        if not is_there
    ]
    return f"Judged without {', '.join(missing)}." if missing else ""

"""Known spots: names given to stretches of video, recognised when they air again. Decodes nothing, stores nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from model.video import TimeSpan
from pipelines.findings import Cue
from pipelines.interfaces import WrongRequest
from pipelines.series import Measured
from pipelines.spots_fit import Fit, fitted, on_frames
from pipelines.spots_prints import EDGE_S, Print, framed, pack_print, print_of
from pipelines.spots_search import Hit, heard, picture_windows, seen, sound_windows

SHORTEST_S, LONGEST_S = 3.6, 180.0
LEAST_COVER = 0.6  # of a spot that must be on air; less is another one with the same end, or a cut of it
LEAST_SCORE = 0.5
MOST_SHARED = 0.3  # of the shorter of two airings; with more they cannot both be right
SAME_PLACE_S = 0.6
SAME_LENGTH = 0.1
OTHER_PICTURES = 0.25  # likeness of pictures that have nothing in common
PRIOR = -1.5  # log odds of a place that nothing speaks for
LEAST_TOLD_S = 1.5  # of sound or pictures that say something; less is no evidence
BARS = ((0.125, 0.0), (0.0, 0.125))  # 16:9 in 4:3, and 4:3 in 16:9
ENOUGH_ALIKE = 0.7  # pictures less alike than this are tried between bars


@dataclass(frozen=True)
class Spot:
    """A stretch of video with a name. id: SHA-256 of its fingerprint. origin: the file it was taken from, and which part of it."""

    id: str
    name: str
    print: Print
    advertiser: str = ""
    product: str = ""
    note: str = ""
    origin: str = ""

    @property
    def length_s(self) -> float:
        return self.print.length_s

    @property
    def cues(self) -> tuple[str, ...]:
        """What it can be recognised by: sound, picture or both."""
        told = (("sound", sound_windows([self.print])), ("picture", picture_windows([self.print])))
        return tuple(name for name, windows in told if len(windows.spot))


@dataclass(frozen=True, slots=True)
class Airing:
    """A spot on air. score: probability that it is; evidence: what sound and pictures said; share: of the spot, 1 = all of it."""

    spot: Spot
    span: TimeSpan
    score: float
    share: float
    rate: float  # seconds of the film a second of the spot
    evidence: tuple[Cue, ...]

    @property
    def reason(self) -> str:
        return "; ".join(f"{cue.name}: {cue.detail}" for cue in self.evidence)


def spot_of(measured: Measured, name: str, span: TimeSpan | None = None, **words: str) -> Spot:
    """The spot that a measured video, or `span` of it, shows. Raises WrongRequest for what could not be recognised again."""
    span = span or TimeSpan(0.0, max(measured.duration_s, 1e-3))
    if span.start_s >= measured.duration_s:
        raise WrongRequest(f"the video ends at {measured.duration_s:.2f} s, before {span.start_s:.2f} s")
    taken = print_of(measured, span.start_s, span.end_s, every_s=EDGE_S)
    if taken.length_s < SHORTEST_S:
        raise WrongRequest(f"{taken.length_s:.2f} s are too short to be recognised; a spot has at least {SHORTEST_S} s")
    if taken.length_s > LONGEST_S:
        raise WrongRequest(f"{taken.length_s:.1f} s are no spot but a programme; give --from and --to, at most {LONGEST_S:.0f} s apart")
    if not len(sound_windows([taken]).spot) and not len(picture_windows([taken]).spot):
        raise WrongRequest(
            "it has neither sound nor pictures that could be recognised: silence or a steady tone, and black or plain pictures"
        )
    return Spot(hashlib.sha256(pack_print(taken)).hexdigest(), name, taken, **words)


def known_airings(measured: Measured, spots: Sequence[Spot]) -> tuple[Airing, ...]:
    """Where known spots are on air in a measured video, in order of time; of spots that claim the same stretch, the surest."""
    if not spots:
        return ()
    fits = _fits([spot.print for spot in spots], print_of(measured))
    kept = _apart(sorted(fits, key=lambda f: (-f.score * _length_s(f.fit), f.fit.start_s)))
    spans = on_frames(measured, [(one.print, one.fit) for one in kept])
    airings = [
        Airing(spots[one.spot], span, round(one.score, 4), round(one.share, 3), one.fit.rate, evidence_of(one.fit))
        for one, span in zip(kept, spans, strict=True)
    ]
    return tuple(sorted(airings, key=lambda a: (a.span, a.spot.name)))


def alike(spot: Spot, known: Sequence[Spot]) -> Spot | None:
    """The known spot that is this one again: as long, and on air all through it. None where it is new."""
    near = [one for one in known if abs(one.length_s / spot.length_s - 1) < SAME_LENGTH]
    fits = _fits([one.print for one in near], spot.print)
    best = max(fits, key=lambda f: f.score, default=None)
    return near[best.spot] if best and best.share > 1 - SAME_LENGTH else None


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A spot, by its number, as it lies over the film. print: its fingerprint, with bars around the picture where these fit better."""

    spot: int
    print: Print
    fit: Fit

    @property
    def score(self) -> float:
        return score_of(self.fit)

    @property
    def share(self) -> float:
        return (self.fit.aired[1] - self.fit.aired[0]) / self.print.length_s


def _fits(prints: Sequence[Print], film: Print) -> list[_Fitted]:
    """Every place where a spot is on air, as far as it alone is asked."""
    sounds = sound_windows(prints)
    mute = sorted(set(range(len(prints))) - set(sounds.spot.tolist()))
    barred = [(k, framed(prints[k], *bars)) for bars in BARS for k in mute]  # those with sound are found by it in any frame
    forms = [*enumerate(prints), *barred]
    found: list[_Fitted] = []
    tried: dict[int, list[float]] = {}
    for hit in sorted(
        heard(film, sounds) + seen(film, picture_windows([p for _, p in forms])), key=lambda h: (h.cue != "sound", -h.likeness)
    ):
        spot, form = forms[hit.spot]
        offsets = tried.setdefault(hit.spot, [])
        slack_s = SAME_PLACE_S + 0.025 * hit.spot_s
        if any(abs(hit.film_s - hit.spot_s - other) < slack_s for other in offsets):
            continue
        offsets.append(hit.film_s - hit.spot_s)
        one = _best_framed(_Fitted(spot, form, fitted(form, film, hit)), film, hit)
        if one.score >= LEAST_SCORE and one.share >= LEAST_COVER:
            found.append(one)
    return found


def _best_framed(one: _Fitted, film: Print, hit: Hit) -> _Fitted:
    """Where the sound is the spot's and the pictures are not, they may be so between bars."""
    if hit.cue != "sound" or one.fit.seen_s < LEAST_TOLD_S or one.fit.seen > ENOUGH_ALIKE or _sound_says(one.fit) <= 0:
        return one
    others = [_Fitted(one.spot, form, fitted(form, film, hit)) for form in (framed(one.print, *bars) for bars in BARS)]
    return max((one, *others), key=lambda f: f.fit.seen)


def _apart(fits: Sequence[_Fitted]) -> list[_Fitted]:
    """The best first, without those that claim a stretch which a better one has."""
    kept: list[_Fitted] = []
    for one in fits:
        if all(_shared_s(one.fit, other.fit) <= MOST_SHARED * min(_length_s(one.fit), _length_s(other.fit)) for other in kept):
            kept.append(one)
    return kept


def _shared_s(one: Fit, other: Fit) -> float:
    return max(0.0, min(one.end_s, other.end_s) - max(one.start_s, other.start_s))


def _length_s(fit: Fit) -> float:
    return fit.end_s - fit.start_s


def score_of(fit: Fit) -> float:
    """The probability that the spot is on air there, from what sound and pictures said."""
    return 1 / (1 + math.exp(-(PRIOR + _sound_says(fit) + _pictures_say(fit))))


def _sound_says(fit: Fit) -> float:
    """Log odds. Chance reaches .35 in three seconds of tunes; other sound under the same pictures may be another language."""
    if fit.heard_s < LEAST_TOLD_S:
        return 0.0
    return min(6.0, max(-2.0, 30.0 * (fit.heard - 0.31 - 0.25 / fit.heard_s)))


def _pictures_say(fit: Fit) -> float:
    """Log odds. What stands still says little, and nothing where the film stands still around it as well. Wholly other pictures under
    the same sound are another spot with its music; half alike they may be framed in another way."""
    if fit.seen_s < LEAST_TOLD_S:
        return 0.0
    if fit.still:
        return min(2.7, max(-2.0, 30.0 * (fit.seen - 0.9))) if fit.bounded else min(0.0, 20.0 * (fit.seen - 0.92))
    return min(5.0, max(-2.0 if fit.seen > OTHER_PICTURES else -8.0, 20.0 * (min(fit.seen, fit.moved) - 0.7)))


def evidence_of(fit: Fit) -> tuple[Cue, ...]:
    span = TimeSpan(max(0.0, fit.start_s), max(fit.end_s, 1e-3))
    heard_as = f"{fit.heard:.0%} alike over {fit.heard_s:.1f} s" if fit.heard_s >= LEAST_TOLD_S else "none to compare"
    seen_as = f"{fit.seen:.0%} alike over {fit.seen_s:.1f} s" if fit.seen_s >= LEAST_TOLD_S else "none to compare"
    return Cue("sound", fit.heard, heard_as, span), Cue("picture", fit.seen, seen_as, span)

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
from pipelines.spots_prints import EDGE_S, Print, pack_print, print_of
from pipelines.spots_search import Hit, heard, picture_windows, seen, sound_windows

SHORTEST_S, LONGEST_S = 3.6, 180.0
LEAST_COVER = 0.6  # of a spot that must be on air; less is another one with the same end, or a cut of it
LEAST_SCORE = 0.5
MOST_SHARED = 0.3  # of the shorter of two airings; with more they cannot both be right
SAME_PLACE_S = 0.6
SAME_LENGTH = 0.1
LEAST_TOLD_S = 1.5  # of sound or pictures that say something; less is no evidence
MOST_FITS = 2_000


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
    film = print_of(measured)
    prints = [spot.print for spot in spots]
    hits = heard(film, sound_windows(prints)) + seen(film, picture_windows(prints))
    fits = _fits(prints, film, hits)
    kept = _apart(sorted(fits, key=lambda f: (-f[2] * (f[1].end_s - f[1].start_s), f[1].start_s)))
    spans = on_frames(measured, [(prints[number], fit) for number, fit, _ in kept])
    airings = [
        Airing(spots[number], span, round(score, 4), round(share_of(prints[number], fit), 3), fit.rate, evidence_of(fit))
        for (number, fit, score), span in zip(kept, spans, strict=True)
    ]
    return tuple(sorted(airings, key=lambda a: (a.span, a.spot.name)))


def alike(spot: Spot, known: Sequence[Spot]) -> Spot | None:
    """The known spot that is this one again: as long, and on air all through it. None where it is new."""
    near = [one for one in known if abs(one.length_s / spot.length_s - 1) < SAME_LENGTH]
    prints = [one.print for one in near]
    hits = heard(spot.print, sound_windows(prints)) + seen(spot.print, picture_windows(prints))
    fits = _fits(prints, spot.print, hits)
    best = max(fits, key=lambda f: f[2], default=None)
    return near[best[0]] if best and share_of(prints[best[0]], best[1]) > 1 - SAME_LENGTH else None


Fitted = tuple[int, Fit, float]  # which spot, how it lies, how sure


def _fits(prints: Sequence[Print], film: Print, hits: Sequence[Hit]) -> list[Fitted]:
    """Every hit laid over the film, the likeliest first; hits where the spot lies already, or was tried in vain, are done."""
    found: list[Fitted] = []
    tried: dict[int, list[float]] = {}
    for hit in sorted(hits, key=lambda h: (h.cue != "sound", -h.likeness))[: 50 * MOST_FITS]:
        offsets = tried.setdefault(hit.spot, [])
        slack_s = SAME_PLACE_S + 0.025 * hit.spot_s
        if any(abs(hit.film_s - hit.spot_s - other) < slack_s for other in offsets):
            continue
        offsets.append(hit.film_s - hit.spot_s)
        fit = fitted(prints[hit.spot], film, hit)
        score = score_of(fit)
        if score >= LEAST_SCORE and share_of(prints[hit.spot], fit) >= LEAST_COVER:
            found.append((hit.spot, fit, score))
    return found


def _apart(fits: Sequence[Fitted]) -> list[Fitted]:
    """The best first, without those that claim a stretch which a better one has."""
    kept: list[Fitted] = []
    for one in fits:
        if all(_shared_s(one[1], other[1]) <= MOST_SHARED * min(_length_s(one[1]), _length_s(other[1])) for other in kept):
            kept.append(one)
    return kept


def _shared_s(one: Fit, other: Fit) -> float:
    return max(0.0, min(one.end_s, other.end_s) - max(one.start_s, other.start_s))


def _length_s(fit: Fit) -> float:
    return fit.end_s - fit.start_s


def share_of(spot: Print, fit: Fit) -> float:
    return (fit.aired[1] - fit.aired[0]) / spot.length_s


def score_of(fit: Fit) -> float:
    """The probability that the spot is on air there, from what sound and pictures said."""
    return 1 / (1 + math.exp(-(_sound_says(fit) + _pictures_say(fit))))


def _sound_says(fit: Fit) -> float:
    """Log odds. Chance reaches .35 in three seconds of tunes; other sound under the same pictures may be another language."""
    if fit.heard_s < LEAST_TOLD_S:
        return 0.0
    return min(5.0, max(-2.0, 30.0 * (fit.heard - 0.36 - 0.3 / fit.heard_s)))


def _pictures_say(fit: Fit) -> float:
    """Log odds. What stands still says little, and nothing where the film stands still around it as well."""
    if fit.seen_s < LEAST_TOLD_S:
        return 0.0
    if fit.still:
        return min(1.5, max(-2.0, 25.0 * (fit.seen - 0.92))) if fit.bounded else min(0.0, 20.0 * (fit.seen - 0.92))
    return min(4.0, max(-2.0, 20.0 * (min(fit.seen, fit.moved) - 0.7)))


def evidence_of(fit: Fit) -> tuple[Cue, ...]:
    span = TimeSpan(max(0.0, fit.start_s), max(fit.end_s, 1e-3))
    heard_as = f"{fit.heard:.0%} alike over {fit.heard_s:.1f} s" if fit.heard_s >= LEAST_TOLD_S else "none to compare"
    seen_as = f"{fit.seen:.0%} alike over {fit.seen_s:.1f} s" if fit.seen_s >= LEAST_TOLD_S else "none to compare"
    return Cue("sound", fit.heard, heard_as, span), Cue("picture", fit.seen, seen_as, span)

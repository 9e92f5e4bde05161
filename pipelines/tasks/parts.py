"""The parts task: intro, recap and credits. By what other episodes share, by credits on the screen, and by place. Invents none.

An intro is one stretch near the begin that most other episodes hold too; a recap is made of pieces of them; credits end the film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Cue, Finding, Shot, Status, TaskResult
from pipelines.series import Measured
from pipelines.tasks.parts_repeats import Shared, shared_with

TASK = "parts"
GRID_S = 0.2
SNAP_S = 1.2  # a shot's edge this near is the part's edge
TELLING = ("previously on", "previously in", "last time on", "last week on", "was bisher geschah", "précédemment dans")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSettings:
    """What may be a part, and where."""

    intro_s: tuple[float, float] = (8.0, 150.0)  # as intro skippers do; a shorter one is a sting
    intro_until: float = 0.5  # of the film; a cold open may be long
    intro_until_s: float = 900.0
    recap_s: tuple[float, float] = (8.0, 240.0)
    recap_until_s: float = 300.0  # its begin; at most a quarter of the film
    recap_gap_s: float = 8.0  # between two recognised pieces
    credits_s: tuple[float, float] = (8.0, 900.0)
    credits_last: float = 0.3  # of the film
    most_to_end_s: float = 20.0  # behind shared credits: a logo, a last word
    least_share: float = 0.5  # of the other episodes that must hold it


Mask = NDArray[np.bool_]


def find_parts(
    measured: Measured,
    shots: Sequence[Shot],
    episodes: Sequence[Measured] = (),
    settings: PartSettings = PartSettings(),
    ads: Sequence[TimeSpan] = (),
) -> TaskResult:
    """At most one intro, recap and credits. episodes: others of the series. EMPTY with the reason where nothing can be compared or found.

    ads: a spot that several episodes carry is no intro; but a "spot" that is a break by itself and shared may well be one.
    """
    shared = [[s for s in shared_with(measured, other) if not _one_of_several(s.span, ads)] for other in episodes]
    found: list[Finding] = []
    intro = _intro(measured, shots, episodes, shared, settings)
    found += [intro] if intro else []
    recap = _recap(measured, shots, shared, settings, intro.span if intro else None)
    found += [recap] if recap else []
    credits = _credits(measured, shots, shared, settings)
    found += [credits] if credits else []
    status = Status.DEGRADED if measured.missing else Status.OK if found else Status.EMPTY
    return TaskResult(
        TASK, status, tuple(sorted(found, key=lambda f: f.span)), _reason(measured, episodes, found), data={"episodes": len(episodes)}
    )


def _reason(measured: Measured, episodes: Sequence[Measured], found: Sequence[Finding]) -> str:
    nothing = "" if found else "No intro, recap or credits found."
    alone = "" if episodes else "Judged without other episodes: analyse several files of a series together."
    silent = "" if measured.texts else "No text was read in its pictures."
    return " ".join(filter(None, [nothing, alone, silent]))


def _one_of_several(span: TimeSpan, breaks: Sequence[TimeSpan]) -> bool:
    """Whether a stretch is a part of a longer ad break."""
    return any(span.overlap_s(ads) > span.duration_s / 2 and ads.duration_s > 1.3 * span.duration_s for ads in breaks)


def _intro(
    measured: Measured, shots: Sequence[Shot], episodes: Sequence[Measured], shared: Sequence[Sequence[Shared]], settings: PartSettings
) -> Finding | None:
    until_s, *theirs_s = (min(settings.intro_until * m.duration_s, settings.intro_until_s) for m in (measured, *episodes))
    near = [[s for s in one if s.span.start_s < until_s and s.there_s < there_s] for one, there_s in zip(shared, theirs_s, strict=True)]
    where = TimeSpan(0.0, until_s + settings.intro_s[1])
    return _agreed("intro", "Intro", measured, shots, near, settings, where, settings.intro_s)


def _credits(measured: Measured, shots: Sequence[Shot], shared: Sequence[Sequence[Shared]], settings: PartSettings) -> Finding | None:
    from_s = (1 - settings.credits_last) * measured.duration_s
    where = TimeSpan(from_s, measured.duration_s)
    written = [text for text in measured.texts if text.kind == "credits" and text.span.end_s > from_s]
    by_repeat = _agreed("credits", "Credits", measured, shots, shared, settings, where, settings.credits_s)
    if by_repeat is not None and measured.duration_s - by_repeat.span.end_s > settings.most_to_end_s:
        by_repeat = None
    if not written:
        return by_repeat
    start_s = max(from_s, min(text.span.start_s for text in written))
    span = _snapped(TimeSpan(start_s, max(text.span.end_s for text in written)), shots, measured.duration_s)
    if by_repeat is not None and by_repeat.span.overlap_s(span) > 0:
        span = TimeSpan(min(span.start_s, by_repeat.span.start_s), max(span.end_s, by_repeat.span.end_s))
    if not settings.credits_s[0] <= span.duration_s <= settings.credits_s[1]:
        return by_repeat
    cue = Cue("text", float(len(written)), f"{len(written)} texts that read like credits", span)
    cues = (cue, *(by_repeat.evidence if by_repeat else ()))
    sure = float(np.mean([text.confidence for text in written]))
    score = min(0.98, 0.5 + 0.3 * sure + 0.05 * min(len(written), 4) + (0.1 if by_repeat else 0.0))
    return _finding("credits", "Credits", span, score, cues)


def _agreed(
    kind: str, label: str, measured: Measured, shots: Sequence[Shot], shared: Sequence[Sequence[Shared]], settings: PartSettings,
    where: TimeSpan, length_s: tuple[float, float],
) -> Finding | None:  # fmt: skip
    """The longest stretch within `where` that enough other episodes hold at one lag each."""
    if not shared:
        return None
    masks = np.array([_mask(one, measured.duration_s, length_s[0]) for one in shared])
    needed = max(1, int(np.ceil(settings.least_share * len(shared))))
    agreed = masks.sum(0) >= needed
    # Whole stretches: a longer one means that the episodes are copies of one film.
    least_s, most_s = length_s
    inside = [s for s in _stretches(agreed) if where.start_s <= s.start_s and s.end_s <= where.end_s + 1]
    spans = [s for s in inside if least_s <= s.duration_s <= most_s]
    if not spans:
        return None
    longest = max(spans, key=lambda s: s.duration_s)
    span = _snapped(longest, shots, measured.duration_s)
    votes = int(sum(mask[round(longest.start_s / GRID_S) : round(longest.end_s / GRID_S)].mean() > 0.5 for mask in masks))
    means = {s.by for one in shared for s in one if s.span.overlap_s(longest) > longest.duration_s / 2}
    cues = tuple(
        Cue(by, float(votes), f"the same {by} in {votes} of {len(shared)} other episodes", span) for by in sorted(means, reverse=True)
    )
    score = 0.5 + 0.25 * votes / len(shared) + 0.1 * min(2, len(means)) + 0.02 * min(5, len(shared) - 1)
    return _finding(kind, label, span, min(0.99, score), cues)


def _mask(shared: Sequence[Shared], duration_s: float, least_s: float) -> Mask:
    """Which grid steps lie in a stretch that is shared at one lag for at least `least_s`; sound and pictures may complete each other."""
    out = np.zeros(int(duration_s / GRID_S) + 1, bool)
    for one in shared:
        same = [s for s in shared if abs(s.lag_s - one.lag_s) <= 1.5]
        steps = np.zeros_like(out)
        for s in same:
            steps[round(s.span.start_s / GRID_S) : round(s.span.end_s / GRID_S)] = True
        for span in _stretches(_closed(steps)):
            if span.duration_s >= least_s:
                out[round(span.start_s / GRID_S) : round(span.end_s / GRID_S)] = True
    return out


def _closed(steps: Mask) -> Mask:
    """Holes of up to two seconds filled: a word spoken over a tune, a picture between two seconds."""
    for hole in _stretches(~steps):
        first, last = round(hole.start_s / GRID_S), round(hole.end_s / GRID_S)
        if hole.duration_s <= 2.0 and first > 0 and last < len(steps):
            steps[first:last] = True
    return steps


def _stretches(steps: Mask) -> list[TimeSpan]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], steps, [False]]).astype(np.int8)))
    return [TimeSpan(float(a) * GRID_S, float(b) * GRID_S) for a, b in edges.reshape(-1, 2)]


def _recap(
    measured: Measured, shots: Sequence[Shot], shared: Sequence[Sequence[Shared]], settings: PartSettings, intro: TimeSpan | None
) -> Finding | None:
    """Pieces near the begin that come from several places of other episodes' stories."""
    until_s = min(settings.recap_until_s, measured.duration_s / 4)
    pieces = sorted(
        (s for one in shared for s in one if s.span.start_s < until_s + settings.recap_s[1] and s.there_s > s.span.start_s + 5),
        key=lambda s: s.span,
    )
    if any(s.by == "pictures" for one in shared for s in one):  # then pieces are seen; lines that merely sound alike are none
        pieces = [s for s in pieces if s.by == "pictures"]
    pieces = [s for s in pieces if intro is None or s.span.overlap_s(intro) < s.span.duration_s / 3]
    best: list[Shared] = []
    group: list[Shared] = []
    for piece in pieces:
        if group and piece.span.start_s - max(s.span.end_s for s in group) > settings.recap_gap_s:
            group = []
        if any(abs(piece.there_s - s.there_s) < 3 and piece.span.start_s > s.span.end_s - 1 for s in group):
            continue  # one moment there that is like a long shot here
        group.append(piece)
        if group[0].span.start_s < until_s and _sources(group) > _sources(best):
            best = list(group)
    sources = _sources(best)
    if sources < 2:
        return None
    span = _snapped(TimeSpan(best[0].span.start_s, max(s.span.end_s for s in best)), shots, measured.duration_s)
    if not settings.recap_s[0] <= span.duration_s <= settings.recap_s[1]:
        return None
    cues = [Cue("pieces", float(sources), f"pieces of {sources} places in other episodes", span)]
    said = [text for at, text in _words(measured) if at.overlap_s(TimeSpan(max(0.0, span.start_s - 5), span.start_s + 15)) > 0]
    told = any(phrase in text.lower() for text in said for phrase in TELLING)
    cues += [Cue("words", 1.0, "it says that it is a recap", span)] if told else []
    return _finding("recap", "Recap", span, min(0.98, 0.45 + 0.1 * min(4, sources) + (0.3 if told else 0.0)), tuple(cues))


def _sources(pieces: Sequence[Shared]) -> int:
    """How many places of the others the pieces come from."""
    return len({round(piece.there_s / 4) for piece in pieces})


def _words(measured: Measured) -> list[tuple[TimeSpan, str]]:
    return [*measured.subtitles, *((s.span, s.text) for s in measured.spoken), *((t.span, t.text) for t in measured.texts)]


def _snapped(span: TimeSpan, shots: Sequence[Shot], duration_s: float) -> TimeSpan:
    """Edges on the nearest border between shots where one is near."""
    borders = np.array([0.0, *(shot.span.start_s for shot in shots), duration_s])
    start_s, end_s = (float(borders[np.argmin(np.abs(borders - at))]) for at in (span.start_s, span.end_s))
    start_s = start_s if abs(start_s - span.start_s) <= SNAP_S else span.start_s
    end_s = end_s if abs(end_s - span.end_s) <= SNAP_S else min(span.end_s, duration_s)
    return TimeSpan(start_s, end_s) if end_s > start_s else span


def _finding(kind: str, label: str, span: TimeSpan, score: float, cues: tuple[Cue, ...]) -> Finding:
    because = ", ".join(cue.detail for cue in cues)
    return Finding(TASK, kind, span, round(score, 4), f"{label}, {span.duration_s:.1f} s", because.capitalize() + ".", cues)

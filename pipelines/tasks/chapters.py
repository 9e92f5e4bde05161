"""The chapters task: a film in a handful of parts with times, titled by words that are there. Parts begin where shots do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.video import TimeSpan
from pipelines.findings import Cue, Finding, Shot, Status, TaskResult
from pipelines.series import Measured
from pipelines.tasks.scenes import Border, GroupSettings, find_borders, group, spans_between
from pipelines.tasks.words import keywords

LEAST_S = 10.0
CUE_WORDS = {
    "pictures": "the pictures change",
    "opening": "a fade or dissolve opens it",
    "sound": "the sound changes",
    "speech": "speech pauses",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterSettings:
    """How a film is divided."""

    usual_s: float | None = None  # the usual length of a chapter; None: by the film's length, see `usual_length_s`
    least_strength: float = 0.35  # how much must change between two shots for a chapter to begin, 0..1
    trust_file: bool = True  # chapters that the file itself names go before any of ours
    title_words: int = 3


def usual_length_s(duration_s: float) -> float:
    """About 45 s in a film of one minute, 2 minutes in one of ten, 5 in one of an hour, 8 in one of two."""
    return max(20.0, 5.5 * float(np.sqrt(duration_s)))


def find_chapters(measured: Measured, shots: Sequence[Shot], settings: ChapterSettings = ChapterSettings()) -> TaskResult:
    """Chapters tile the video, the first at 0; OK with one chapter where nothing divides it. EMPTY without pictures and file chapters."""
    own = _file_chapters(measured) if settings.trust_file else ()
    if own:
        return TaskResult("chapters", Status.OK, own, reason="the file names its chapters itself")
    if not shots:
        return TaskResult("chapters", Status.EMPTY, reason="the video has no pictures, and chapters are told from pictures first")
    usual_s = settings.usual_s or usual_length_s(measured.duration_s)
    rules = GroupSettings(least_s=max(LEAST_S, usual_s / 4), most_s=usual_s * 4, usual_s=usual_s, least_strength=settings.least_strength)
    chosen = group(find_borders(measured, shots), measured.duration_s, rules)
    spans = spans_between(chosen, measured.duration_s)
    findings = tuple(
        _chapter(number, span, border, measured, settings)
        for number, (span, border) in enumerate(zip(spans, [None, *chosen], strict=True), 1)
    )
    missing = [name for name, there in (("subtitles", measured.subtitles), ("sound", measured.get("sound.mel"))) if not there]
    reason = f"judged without {' and '.join(missing)}" if missing else ""
    return TaskResult("chapters", Status.OK, findings, reason=reason, data={"usual_s": round(usual_s, 1)})


def _chapter(number: int, span: TimeSpan, border: Border | None, measured: Measured, settings: ChapterSettings) -> Finding:
    title = _title(measured, span, settings.title_words)
    cues = tuple(Cue(name, round(value, 3), CUE_WORDS[name]) for name, value in border.cues if value) if border else ()
    return Finding(
        task="chapters",
        kind="chapter",
        span=span,
        score=round(border.strength, 3) if border else 1.0,
        label=title or f"Chapter {number}",
        explanation="; ".join(cue.detail for cue in cues if cue.score > 0.05) if cues else "the video begins",
        evidence=cues,
        data={"number": number, "title_from": "subtitles" if title else ""},
    )


def _title(measured: Measured, span: TimeSpan, count: int) -> str:
    """The words that this part says often and the rest does not; empty where nothing stands out."""
    here = " ".join(text for at, text in measured.subtitles if span.start_s <= at.start_s < span.end_s)
    elsewhere = " ".join(text for at, text in measured.subtitles if not span.start_s <= at.start_s < span.end_s)
    found = keywords(here, elsewhere, count)
    return ", ".join([found[0][:1].upper() + found[0][1:], *found[1:]]) if found else ""


def _file_chapters(measured: Measured) -> tuple[Finding, ...]:
    """The file's own chapters where it names two or more, clipped to the video."""
    told = [(max(0.0, float(a)), min(float(b), measured.duration_s), str(title)) for a, b, title in measured.facts.get("chapters", ())]
    told = [chapter for chapter in told if chapter[1] > chapter[0]]
    if len(told) < 2:
        return ()
    return tuple(
        Finding("chapters", "file_chapter", TimeSpan(a, b), 1.0, title or f"Chapter {number}", "named by the file", data={"number": number})
        for number, (a, b, title) in enumerate(told, 1)
    )

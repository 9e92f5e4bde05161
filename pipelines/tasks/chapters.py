"""The chapters task: a film in a handful of parts with times, titled by words that are there. Parts begin where shots do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.video import TimeSpan
from pipelines.findings import Cue, Finding, Shot, Status, TaskResult
from pipelines.interfaces import Meaning
from pipelines.meaning import Said, said_in, turns
from pipelines.series import Measured
from pipelines.tasks.scenes import Border, GroupSettings, find_borders, group, spans_between
from pipelines.tasks.words import keywords

LEAST_S = 10.0
TITLE_BEFORE_S, TITLE_AFTER_S = 3.0, 15.0  # a card this near the chapter's beginning is its title
TITLE_CHARS = 60
CUE_WORDS = {
    "pictures": "the pictures change",
    "opening": "a fade or dissolve opens it",
    "sound": "the sound changes",
    "speech": "speech pauses",
    "topic": "the talk turns to something else",
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


def find_chapters(
    measured: Measured, shots: Sequence[Shot], settings: ChapterSettings = ChapterSettings(), meaning: Meaning | None = None
) -> TaskResult:
    """Chapters tile the video, the first at 0; OK with one chapter where nothing divides it. EMPTY without pictures and file chapters.

    meaning: says when the talk turns to something else; without it, the words themselves do.
    """
    own = _file_chapters(measured) if settings.trust_file else ()
    if own:
        return TaskResult("chapters", Status.OK, own, reason="the file names its chapters itself")
    if not shots:
        return TaskResult("chapters", Status.EMPTY, reason="the video has no pictures, and chapters are told from pictures first")
    usual_s = settings.usual_s or usual_length_s(measured.duration_s)
    rules = GroupSettings(least_s=max(LEAST_S, usual_s / 4), most_s=usual_s * 4, usual_s=usual_s, least_strength=settings.least_strength)
    said = said_in(measured)
    chosen = group(with_topics(find_borders(measured, shots), said, meaning), measured.duration_s, rules)
    spans = spans_between(chosen, measured.duration_s)
    findings = tuple(
        _chapter(number, span, border, _title(measured, said, shots, span, settings.title_words))
        for number, (span, border) in enumerate(zip(spans, [None, *chosen], strict=True), 1)
    )
    missing = [
        name
        for name, there in (("subtitles", said.source in ("subtitles", "transcript")), ("sound", measured.get("sound.mel")))
        if not there
    ]
    if said.source and meaning is None:
        missing.append("a model of what words mean")
    reason = f"judged without {' and '.join(missing)}" if missing else ""
    return TaskResult("chapters", Status.OK, findings, reason=reason, data={"usual_s": round(usual_s, 1)})


def with_topics(borders: Sequence[Border], said: Said, meaning: Meaning | None) -> list[Border]:
    """The borders, stronger where the talk turns to something else there, weaker where it goes on."""
    turned = turns(said.sentences, [border.at_s for border in borders], meaning)
    return [
        replace(border, strength=float(np.clip(border.strength + turn, 0, 1)), cues=(*border.cues, ("topic", float(turn))))
        if turn
        else border
        for border, turn in zip(borders, turned, strict=True)
    ]


def _chapter(number: int, span: TimeSpan, border: Border | None, title: tuple[str, str]) -> Finding:
    cues = tuple(Cue(name, round(value, 3), CUE_WORDS[name]) for name, value in border.cues if value) if border else ()
    return Finding(
        task="chapters",
        kind="chapter",
        span=span,
        score=round(border.strength, 3) if border else 1.0,
        label=title[0] or f"Chapter {number}",
        explanation="; ".join(cue.detail for cue in cues if cue.score > 0.05) if cues else "the video begins",
        evidence=cues,
        data={"number": number, "title_from": title[1]},
    )


def _title(measured: Measured, said: Said, shots: Sequence[Shot], span: TimeSpan, count: int) -> tuple[str, str]:
    """(title, where it is from): a card at the beginning, else the words that this part says often and the rest does not."""
    if card := _card(measured, shots, span):
        return card, "screen"
    here: list[str] = []
    elsewhere: list[str] = []
    for sentence in said.sentences if said.source in ("subtitles", "transcript") else ():
        (here if span.start_s <= sentence.span.start_s < span.end_s else elsewhere).append(sentence.text)
    found = keywords(" ".join(here), " ".join(elsewhere), count)
    return (", ".join([found[0][:1].upper() + found[0][1:], *found[1:]]), said.source) if found else ("", "")


def _card(measured: Measured, shots: Sequence[Shot], span: TimeSpan) -> str:
    """The title card near the chapter's beginning, empty where there is none. Cards outside `shots` are those of ads."""
    near = [text for text in measured.texts if text.kind == "card" and -TITLE_BEFORE_S <= text.span.start_s - span.start_s <= TITLE_AFTER_S]
    own = [text for text in near if any(shot.span.overlap_s(text.span) > text.span.duration_s / 2 for shot in shots)]
    title = " – ".join(max(own, key=lambda t: t.confidence).text.split("\n")) if own else ""
    return title if len(title) <= TITLE_CHARS else title[: TITLE_CHARS - 1].rstrip() + "…"


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

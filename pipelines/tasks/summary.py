"""The summary task: the instants that show a film, and the lines of its subtitles or its transcript that tell it. Invents no word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.findings import Cue, Finding, Shot, Status, TaskResult
from pipelines.interfaces import Meaning
from pipelines.meaning import Said, said_in, weighed
from pipelines.series import Measured
from pipelines.tasks.key_moments import choose_moments, storyboard_size
from pipelines.tasks.scenes import find_borders, group, spans_between
from pipelines.tasks.words import Sentence, Weighed, words

WORDS_WANTED = (5, 30)  # a sentence this long tells something and can be read at a glance
REPEATS = 0.6  # how much being said already counts against a sentence


def summarise(measured: Measured, shots: Sequence[Shot], meaning: Meaning | None = None) -> TaskResult:
    """`data`: {"storyboard": [instants in s], "scenes": [[start, end]], "lines": [{"text", "start_s", "end_s"}]}; a finding a line.

    meaning: says which sentences stand for the others; without it, the rare words they share do.
    EMPTY where there is neither a picture worth showing nor a text.
    """
    scenes = spans_between(group(find_borders(measured, shots), measured.duration_s), measured.duration_s) if shots else []
    moments = choose_moments(measured, shots, storyboard_size(measured.duration_s), scenes)
    said = said_in(measured)
    quoted = said if said.source in ("subtitles", "transcript") else Said((), "")
    lines = choose_lines(quoted.sentences, measured.duration_s, meaning)
    data = {
        "storyboard": [round(t, 3) for t in moments],
        "scenes": [[round(s.start_s, 3), round(s.end_s, 3)] for s in scenes],
        "lines": [{"text": s.text, "start_s": round(s.span.start_s, 3), "end_s": round(s.span.end_s, 3)} for s, _ in lines],
    }
    source = f"the rough transcript ({measured.spoken[0].engine})" if quoted.source == "transcript" else "the subtitles"
    findings = tuple(_line(sentence, score, source, meaning is not None) for sentence, score in lines)
    status = Status.OK if moments or lines else Status.EMPTY
    return TaskResult("summary", status, findings, _reason(bool(moments), bool(lines), measured), data=data)


def _reason(has_moments: bool, has_lines: bool, measured: Measured) -> str:
    if has_moments and has_lines:
        return ""
    if has_lines:
        return "no picture is worth showing, so the summary is text only"
    words = "subtitles" if measured.subtitles else "transcript"
    has_words = bool(measured.subtitles or measured.spoken)
    why = f"there is too little in the {words} to choose from" if has_words else "the video has no subtitles to quote"
    return f"{why}, so the summary is a storyboard without text" if has_moments else f"{why}, and no picture is worth showing"


def _line(sentence: Sentence, score: float, source: str, by_meaning: bool) -> Finding:
    why = "means what many other lines mean" if by_meaning else "shares its rare words with many other lines"
    cue = Cue("centrality", round(score, 3), why, sentence.span)
    return Finding("summary", "line", sentence.span, round(score, 3), sentence.text, f"quoted from {source}", (cue,))


def line_count(spoken: int, duration_s: float) -> int:
    """4 lines for a minute, 8 for ten, 14 for an hour, but at most a third of what is said."""
    return int(min(round(2 + 1.6 * np.sqrt(duration_s / 60)), 20, max(1, spoken // 3))) if spoken else 0


def choose_lines(spoken: Sequence[Sentence], duration_s: float, meaning: Meaning | None = None) -> list[tuple[Sentence, float]]:
    """The sentences that say most, one from each stretch of equally much speech, in time order, each with its worth 0..1."""
    count = line_count(len(spoken), duration_s)
    about = weighed(spoken, meaning)
    chosen: list[tuple[int, float]] = []
    for stretch in np.array_split(np.arange(len(spoken)), count) if count else []:
        worth = [_worth(spoken, about, int(k), [c for c, _ in chosen]) for k in stretch]
        best = int(np.argmax(worth))
        chosen.append((int(stretch[best]), worth[best]))
    return [(spoken[k], float(np.clip(worth, 0, 1))) for k, worth in chosen]


def _worth(spoken: Sequence[Sentence], about: Weighed, k: int, chosen: Sequence[int]) -> float:
    length = len(words(spoken[k].text))
    low, high = WORDS_WANTED
    readable = min(1.0, length / low, high / max(1, length))
    return readable * (0.2 + 0.8 * float(about.central[k])) * (1 - REPEATS * max(0.0, about.alike(k, chosen)))

"""Words that were seen and heard: on-screen texts and a rough transcript, each with its time, and both as JSON. Reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.video import TimeSpan

KINDS = ("caption", "lower_third", "card", "credits", "slate", "text")

Box = tuple[float, float, float, float]  # left, top, right, bottom as shares of the upright picture's width and height


@dataclass(frozen=True, slots=True)
class ScreenText:
    """A text that stood in the picture. confidence: of its reading, 0..1.

    kind: "caption" (as subtitles stand) | "lower_third" (a name or a headline) | "card" (a brand or a title, big on a plain or still
    picture) | "credits" (many lines, or rolling) | "slate" | "text" (everything else: signs, logos, scenery). "\\n" parts its lines.
    """

    span: TimeSpan
    text: str
    confidence: float
    box: Box
    kind: str = "text"

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (0 <= left <= right <= 1 and 0 <= top <= bottom <= 1):
            raise ValueError(f"a text's place is shares of the picture, left before right and top before bottom, got {self.box}")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"a confidence lies in [0, 1], got {self.confidence} for {self.text!r}")
        if self.kind not in KINDS:
            raise ValueError(f"a text is one of {', '.join(KINDS)}, got {self.kind!r}")


@dataclass(frozen=True, slots=True)
class Word:
    """One word that an engine heard. confidence: 0..1, None where the engine tells none."""

    span: TimeSpan
    text: str
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line of a rough transcript. confidence: mean over its words, 1 where the engine tells none; engine: who heard it
    ("pocketsphinx 5.1.1"); words: one by one."""

    span: TimeSpan
    text: str
    confidence: float
    engine: str
    words: tuple[Word, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"a confidence lies in [0, 1], got {self.confidence} for {self.text!r}")


def texts_to_json(texts: Sequence[ScreenText]) -> list[dict[str, Any]]:
    return [
        {**_span(t.span), "text": t.text, "confidence": round(t.confidence, 3), "box": [round(x, 4) for x in t.box], "kind": t.kind}
        for t in texts
    ]


def texts_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[ScreenText, ...]:
    """Raises KeyError, TypeError or ValueError where a row is no text."""
    return tuple(ScreenText(_read_span(row), row["text"], row["confidence"], _read_box(row["box"]), row["kind"]) for row in rows)


def spoken_to_json(lines: Sequence[Spoken]) -> list[dict[str, Any]]:
    return [
        {**_span(s.span), "text": s.text, "confidence": round(s.confidence, 3), "engine": s.engine, "words": [_word(w) for w in s.words]}
        for s in lines
    ]


def spoken_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Spoken, ...]:
    """Raises KeyError, TypeError or ValueError where a row is no line."""
    return tuple(
        Spoken(_read_span(row), row["text"], row["confidence"], row["engine"], tuple(_read_word(w) for w in row["words"])) for row in rows
    )


def _word(word: Word) -> dict[str, Any]:
    return {**_span(word.span), "text": word.text, "confidence": None if word.confidence is None else round(word.confidence, 3)}


def _read_word(row: Mapping[str, Any]) -> Word:
    return Word(_read_span(row), row["text"], row["confidence"])


def _span(span: TimeSpan) -> dict[str, float]:
    return {"start_s": round(span.start_s, 6), "end_s": round(span.end_s, 6)}


def _read_span(row: Mapping[str, Any]) -> TimeSpan:
    return TimeSpan(row["start_s"], row["end_s"])


def _read_box(sides: Sequence[float]) -> Box:
    left, top, right, bottom = sides
    return left, top, right, bottom

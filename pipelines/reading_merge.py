"""Lines read in single pictures become texts with a time, a place and a kind. Decodes nothing, reads nothing.

A text's time comes from what is measured all along (edges once a second, small grey pictures five times), not from the moments read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from model.ocr import ReadLine
from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.series import Series
from pipelines.signals.lettering import Box, Edges
from pipelines.texts import ScreenText

SAME_TEXT = 0.75  # likeness of two readings of one text
SAME_PLACE = 0.4  # of their boxes, intersection over union
GAP_S = 2.0  # a text that is gone for less than this was only misread
SNAP_S = 0.45  # a text that begins or ends this near a cut does so with it
FIXTURE = (3, 0.3)  # readings, and share of them, in which a logo stands
CREDIT_LINES = 5
PLAIN = 0.05  # share of the picture outside its letters that may be lively on a card
SLATE = re.compile(
    r"\b(scene|take|roll|slate|prod|production|director|camera|dop|date|fps|programme|duration|clock|tape|aspect|timecode)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one picture says. lively: share of steep pixels outside its lines, 0 on a plain ground."""

    time_s: float
    lines: tuple[ReadLine, ...]
    lively: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is known of a stretch of film besides its readings. grey: small pictures, None where there are none."""

    span: TimeSpan
    edges: Edges
    grey: Series | None
    shots: tuple[Shot, ...]


def liveliness(picture: NDArray[np.uint8], lines: Sequence[ReadLine]) -> float:
    """(H, W, 3) -> share of its pixels outside the lines' boxes that differ much from their neighbours."""
    luma = picture.mean(axis=2).astype(np.int16)
    steep = np.zeros(luma.shape, bool)
    steep[:, 1:] = np.abs(np.diff(luma, axis=1)) > 16
    steep[1:] |= np.abs(np.diff(luma, axis=0)) > 16
    height, width = luma.shape
    outside = np.ones(luma.shape, bool)
    for line in lines:
        left, top, right, bottom = line.box
        outside[max(0, int(top * height) - 2) : int(bottom * height) + 3, max(0, int(left * width) - 2) : int(right * width) + 3] = False
    return float(steep[outside].mean()) if outside.any() else 0.0


def as_texts(readings: Sequence[Reading], stretch: Stretch, least_confidence: float) -> list[ScreenText]:
    """The texts of a stretch, in time order."""
    logos = fixtures(readings)
    found = [text for reading in readings for text in _texts_of(reading, stretch, least_confidence, logos)]
    return joined(found)


def fixtures(readings: Sequence[Reading]) -> list[ReadLine]:
    """Lines that stand in the same place time and again, whatever else is shown: a channel's logo is no part of a card."""
    often = max(FIXTURE[0], FIXTURE[1] * len(readings))
    found: list[ReadLine] = []
    for reading in readings:
        for line in reading.lines:
            if _is_any(line, found):
                continue
            if sum(_is_any(line, other.lines) for other in readings) >= often:
                found.append(line)
    return found


def _is_any(line: ReadLine, lines: Sequence[ReadLine]) -> bool:
    return any(_overlap(line.box, k.box) >= SAME_PLACE and likeness(line.text, k.text) >= SAME_TEXT for k in lines)


def joined(texts: Sequence[ScreenText]) -> list[ScreenText]:
    """One text for every one that was read more than once; the surest reading is kept, credits gather their lines."""
    out: list[ScreenText] = []
    for text in sorted(texts, key=lambda t: (t.span.start_s, t.box[1], t.box[0])):
        k = next((k for k in range(len(out) - 1, max(-1, len(out) - 40), -1) if _is_same(out[k], text)), None)
        if k is None:
            out.append(text)
        else:
            out[k] = _one_of(out[k], text)
    return sorted(out, key=lambda t: (t.span.start_s, t.box[1], t.box[0]))


def _is_same(one: ScreenText, other: ScreenText) -> bool:
    apart = max(one.span.start_s, other.span.start_s) - min(one.span.end_s, other.span.end_s)
    if apart > GAP_S:
        return False
    if one.kind == other.kind == "credits":
        return True
    return _overlap(one.box, other.box) >= SAME_PLACE and likeness(one.text, other.text) >= SAME_TEXT


def _one_of(one: ScreenText, other: ScreenText) -> ScreenText:
    span = TimeSpan(min(one.span.start_s, other.span.start_s), max(one.span.end_s, other.span.end_s))
    if one.kind == other.kind == "credits":
        sides = [min, min, max, max]
        box = tuple(pick(a, b) for pick, a, b in zip(sides, one.box, other.box, strict=True))
        lines = one.text.split("\n")
        lines += [line for line in other.text.split("\n") if all(likeness(line, said) < SAME_TEXT for said in lines)]
        return ScreenText(span, "\n".join(lines), min(one.confidence, other.confidence), (box[0], box[1], box[2], box[3]), "credits")
    return replace(max(one, other, key=lambda t: t.confidence), span=span)


def likeness(one: str, other: str) -> float:
    """0..1, deaf to case, spaces and punctuation."""
    plain, compared = ("".join(c for c in text.lower() if c.isalnum()) for text in (one, other))
    return SequenceMatcher(None, plain, compared, autojunk=False).ratio()


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, wide) * max(0.0, high)
    whole = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)) - shared
    return shared / whole if whole > 0 else 0.0


# --- one picture ------------------------------------------------------------------------------------------------------------


def _texts_of(reading: Reading, stretch: Stretch, least_confidence: float, logos: Sequence[ReadLine] = ()) -> list[ScreenText]:
    legible = [line for line in reading.lines if _is_legible(line, least_confidence)]
    lines = [line for line in legible if not _is_any(line, logos)]
    plain = reading.lively < PLAIN
    if _are_credits(lines, plain):
        blocks, kind = [lines], "slate" if _is_slate(lines) else "credits"
    else:
        blocks, kind = grouped(lines, loosely=plain and _is_card(lines)), ""
    texts = []
    for block in blocks:
        box = _around(block)
        letters = sum(len(line.text) for line in block)
        confidence = sum(line.confidence * len(line.text) for line in block) / letters
        text = "\n".join(line.text for line in block)
        span = _span(box, reading.time_s, stretch, rolls=kind == "credits" and plain)
        texts.append(ScreenText(span, text, confidence, box, kind or _kind(block, box, plain)))
    fixed = (line for line in legible if line not in lines)
    return texts + [ScreenText(_span(k.box, reading.time_s, stretch), k.text, k.confidence, k.box) for k in fixed]


def _is_legible(line: ReadLine, least: float) -> bool:
    """Short lines must be surer; a single letter or figure is nearly always a pole or a corner, a single ideograph may be a word."""
    letters = [c for c in line.text if c.isalnum()]
    if not letters or (len(letters) == 1 and letters[0] < "\u2e80"):
        return False
    return line.confidence >= (least if len(letters) > 2 else (1 + least) / 2)


def grouped(lines: Sequence[ReadLine], *, loosely: bool = False) -> list[list[ReadLine]]:
    """Lines that stand below each other as one text would, top to bottom. loosely: whatever the space between them."""
    blocks: list[list[ReadLine]] = []
    for line in sorted(lines, key=lambda k: (k.box[1], k.box[0])):
        home = next((b for b in blocks if loosely or any(_belong(above, line) for above in b)), None)
        if home is None:
            blocks.append([line])
        else:
            home.append(line)
    return blocks


def _belong(above: ReadLine, line: ReadLine) -> bool:
    (left, top, right, bottom), (own_left, own_top, own_right, own_bottom) = above.box, line.box
    heights = sorted((bottom - top, own_bottom - own_top))
    beside = abs((top + bottom) - (own_top + own_bottom)) / 2 < 0.5 * heights[0]
    if beside:  # pieces of one line
        return max(left, own_left) - min(right, own_right) < 1.5 * heights[1]
    shared = min(right, own_right) - max(left, own_left)
    return own_top - bottom < 0.8 * heights[1] and heights[0] > 0.45 * heights[1] and shared > 0.4 * min(right - left, own_right - own_left)


def _around(lines: Sequence[ReadLine]) -> Box:
    left, top, right, bottom = zip(*(line.box for line in lines), strict=True)
    return min(left), min(top), max(right), max(bottom)


# --- kinds ------------------------------------------------------------------------------------------------------------------


def _are_credits(lines: Sequence[ReadLine], plain: bool) -> bool:
    if len(lines) < CREDIT_LINES:
        return False
    _, top, _, bottom = _around(lines)
    heights = [line.box[3] - line.box[1] for line in lines]
    even = sorted(heights)[len(heights) // 4 :]
    return bottom - top > 0.35 and max(heights) < 0.16 and (plain or len(lines) >= 7) and even[0] > 0.4 * even[-1]


def _is_slate(lines: Sequence[ReadLine]) -> bool:
    words = {word.lower() for line in lines for word in SLATE.findall(line.text)}
    return len(words) >= 3 and any(c.isdigit() for line in lines for c in line.text)


def _is_card(lines: Sequence[ReadLine]) -> bool:
    """Few lines around the middle, one of them big or all of them centred."""
    if not lines:
        return False
    left, top, right, bottom = _around(lines)
    tallest = max(line.box[3] - line.box[1] for line in lines)
    in_middle = 0.2 < (top + bottom) / 2 < 0.75 and top < 0.62
    return in_middle and (tallest > 0.1 or abs((left + right) / 2 - 0.5) < 0.1)


def _kind(block: Sequence[ReadLine], box: Box, plain: bool) -> str:
    left, top, right, bottom = box
    tallest = max(line.box[3] - line.box[1] for line in block)
    if _is_slate(block):
        return "slate"
    if _is_card(block) and (plain or tallest > 0.22):
        return "card"
    centre, middle = (left + right) / 2, (top + bottom) / 2
    if middle > 0.62 and len(block) <= 3 and tallest < 0.14:
        if abs(centre - 0.5) < 0.06 and middle > 0.7:
            return "caption"
        if left < 0.35 or right - left > 0.5:
            return "lower_third"
    return "text"


# --- times ------------------------------------------------------------------------------------------------------------------


def _span(box: Box, time_s: float, stretch: Stretch, *, rolls: bool = False) -> TimeSpan:
    """From when to when the text stands: by the second from the edges, then by a fifth from the grey pictures, or with a cut.

    rolls: its lines may move, on a plain ground.
    """
    if not len(stretch.edges):
        return TimeSpan(time_s, min(time_s + 1, max(stretch.span.end_s, time_s + 1e-3)))
    find = stretch.edges.filled if rolls else stretch.edges.stretch
    seconds = find(box, stretch.edges.at(time_s))
    times = stretch.edges.times_s
    first, last = float(times[seconds.start]), float(times[seconds.stop - 1])
    start_s = first if seconds.start == 0 else _turn(box, float(times[seconds.start - 1]), first, stretch)
    end_s = stretch.span.end_s if seconds.stop == len(times) else _turn(box, last, float(times[seconds.stop]), stretch)
    return TimeSpan(min(start_s, time_s), max(end_s, time_s + 1e-3))


def _turn(box: Box, after_s: float, until_s: float, stretch: Stretch) -> float:
    """When the box changed most between two seconds that look different there."""
    at_s = (after_s + until_s) / 2
    pictures = stretch.grey.within(after_s - 1e-3, until_s + 0.3) if stretch.grey is not None else None
    if pictures is not None and len(pictures) > 1:
        high, wide = pictures.values.shape[1:3]
        rows = slice(int(box[1] * high), max(int(box[1] * high) + 1, int(np.ceil(box[3] * high))))
        columns = slice(int(box[0] * wide), max(int(box[0] * wide) + 1, int(np.ceil(box[2] * wide))))
        steps = np.abs(np.diff(pictures.values[:, rows, columns].astype(np.int16), axis=0)).mean((1, 2))
        at_s = float(pictures.times_s[1 + int(np.argmax(steps))])
    cuts = [s.span.start_s for s in stretch.shots if after_s < s.span.start_s <= until_s + 0.1 and abs(s.span.start_s - at_s) < SNAP_S]
    return min(cuts, key=lambda cut: abs(cut - at_s)) if cuts else at_s

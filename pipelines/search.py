"""Finds moments in every video of a store: those that look like a picture, and those that hold words or mean them.

Every hit is an interval with its reason. Reads what was remembered (pipelines.glimpses), decodes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.glimpses import Line, codes_of
from pipelines.interfaces import Meaning
from pipelines.stores.seen import SeenShelf, SeenVideo

# Cosines of pictures that have nothing to do with each other lie below 0.43 on real clips, those of one scene above 0.65.
STRANGE, SAME = 0.40, 0.90
SHORTLIST, SHORTLIST_VIDEOS = 200, 8  # glimpses, and videos, whose embeddings are compared in full
SHORTLIST_LINES = 400
JOIN_S = 1.5  # hits of one kind this near to each other are one
SAID_SCORE = {"subtitle": 0.95, "screen": 0.9, "speech": 0.75}  # how sure words of each origin are the words that were meant
NAME_SCORE = 0.3
MEANS_NOTHING, MEANS_SAME = 0.35, 0.9  # cosines of wordllama's embeddings: of unlike and of equal sentences
LEAST_CLASS, LEAST_MEANT = 0.03, 0.1
_WORD = re.compile(r"\w+", re.UNICODE)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Hit:
    """A moment that was found. score: 0..1, comparable within one search; kind: "picture" | "class" | "said" | "meaning" | "name"."""

    video_id: str
    video: str
    span: TimeSpan
    score: float
    reason: str
    kind: str


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """What the encoder's classes are called, and a sentence about each, by class id."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def search_like(embedding: NDArray[np.float32], shelf: SeenShelf, only: Collection[str] | None = None) -> list[Hit]:
    """Moments that look like the picture with this (D,) embedding, best first."""
    codes = {video_id: rows for video_id, rows in shelf.codes(only).items() if len(rows)}
    if not codes:
        return []
    apart = _bits_apart(np.concatenate(list(codes.values())), codes_of(embedding[None]))
    within = int(np.searchsorted(np.cumsum(np.bincount(apart)), min(SHORTLIST, len(apart))))  # so few bits apart are the nearest ones
    near = np.flatnonzero(apart <= within)
    near = near[np.argsort(apart[near], kind="stable")][:SHORTLIST]
    ids, starts = list(codes), np.cumsum([0, *(len(rows) for rows in codes.values())])
    owners = np.searchsorted(starts, near, side="right") - 1
    best_first = list(dict.fromkeys(owners.tolist()))[:SHORTLIST_VIDEOS]
    return _ranked([hit for k in best_first for hit in _alike(embedding, ids[k], np.sort(near[owners == k] - starts[k]), shelf)])


def _bits_apart(codes: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """(n, 4), (1, 4) -> (n,) how many of the 256 signs differ."""
    counts = np.bitwise_count(codes ^ wanted).astype(np.uint16)
    return np.asarray(counts[:, 0] + counts[:, 1] + counts[:, 2] + counts[:, 3])  # summing along so short an axis takes four times as long


def _alike(embedding: NDArray[np.float32], video_id: str, glimpses: NDArray[np.intp], shelf: SeenShelf) -> list[Hit]:
    """The shortlisted glimpses of one video, compared in full."""
    (video,) = shelf.videos([video_id])
    cosines = shelf.embeddings(video_id)[glimpses].astype(np.float32) @ embedding
    return [
        Hit(video_id, video.name, _span(video, int(k)), _between(cosine, STRANGE, SAME), f"looks like it (cosine {cosine:.2f})", "picture")
        for k, cosine in zip(glimpses, cosines.tolist(), strict=True)
        if cosine > STRANGE
    ]


def search_text(
    query: str, shelf: SeenShelf, classes: ClassTexts, meaning: Meaning | None = None, only: Collection[str] | None = None
) -> list[Hit]:
    """Moments in which the words are said or written, that look like them, or whose words mean them; best first.

    meaning: without it only words and class names count.
    """
    pieces = words_of(query)
    if not pieces:
        return []
    named = shelf.names(only)
    names = {video_id: name for video_id, (name, _) in named.items()}
    hits = [
        *_said(pieces, shelf, names),
        *_looked(class_fits(pieces, query, classes, meaning), shelf, only, classes),
        *_named(pieces, named),
    ]
    if meaning is not None:
        hits += _meant(query, shelf, names, meaning)
    return _ranked(hits)


def words_of(text: str) -> list[str]:
    """Casefolded words without an ending "s"; signs of unspaced scripts stay as they stand."""
    words = _WORD.findall(text.casefold())
    return [w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in words]


def share_found(pieces: Sequence[str], text: str) -> float:
    """Which share of the words the text holds, as whole words, or as pieces in scripts that put no blanks between words."""
    there = set(words_of(text))
    folded = text.casefold()
    return sum(piece in there or (bool(_UNSPACED.search(piece)) and piece in folded) for piece in pieces) / len(pieces)


def _said(pieces: Sequence[str], shelf: SeenShelf, names: dict[str, str]) -> list[Hit]:
    hits = []
    for video_id, line in shelf.lines(list(names), pieces):
        share = share_found(pieces, line.text)
        if share >= 0.5:
            hits.append(_line_hit(names[video_id], video_id, line, share * SAID_SCORE[line.origin] * line.confidence, "said"))
    return hits


def _line_hit(name: str, video_id: str, line: Line, score: float, kind: str) -> Hit:
    text = " ".join(line.text.split())
    quoted = text if len(text) <= 80 else f"{text[:77]}..."
    return Hit(video_id, name, line.span, min(1.0, score), f"{line.how}: {quoted!r}", kind)


def _looked(fits: NDArray[np.float32], shelf: SeenShelf, only: Collection[str] | None, classes: ClassTexts) -> list[Hit]:
    """Stretches whose likeliest classes are what the words name. Of many breeds of dog each may be unlikely, and a dog certain."""
    is_meant = fits > 0
    if not is_meant.any():
        return []
    holding = [video_id for video_id, ids in shelf.classes(only).items() if is_meant[ids].any()]
    return [hit for video in shelf.videos(holding) for hit in _classed(fits, video, classes)]


def _classed(fits: NDArray[np.float32], video: SeenVideo, classes: ClassTexts) -> list[Hit]:
    kept = fits[video.classes]
    sure = np.zeros(len(kept), np.float32)
    some = np.flatnonzero(kept.any(1))
    sure[some] = (kept[some] * video.shares[some].astype(np.float32)).sum(1)
    hits = []
    for k in np.flatnonzero(sure >= LEAST_CLASS).tolist():
        rows = zip(video.classes[k], video.shares[k], kept[k], strict=True)
        told = ", ".join([f"{_first(classes.names[c])} {share:.2f}" for c, share, fit in rows if fit > 0.3][:3])
        hits.append(Hit(video.video_id, video.name, _span(video, k), min(1.0, float(sure[k])), f"looks like: {told}", "class"))
    return hits


def class_fits(pieces: Sequence[str], query: str, classes: ClassTexts, meaning: Meaning | None) -> NDArray[np.float32]:
    """(classes + 1,) how well each class is what the words name, 0..1; the last, 0, answers for class -1 (none)."""
    by_name = np.array([share_found(pieces, name) == 1.0 for name in classes.names], np.float32)
    fits = by_name
    if classes.notes:
        fits = np.maximum(fits, [0.8 * (share_found(pieces, note.split(". ")[0]) == 1.0) for note in classes.notes])
    if meaning is not None:
        texts = [f"{name}. {note}" for name, note in zip(classes.names, classes.notes or classes.names, strict=True)]
        cosines = meaning.embed(texts) @ meaning.embed([query])[0]
        fits = np.maximum(fits, 0.8 * np.clip((cosines - 0.18) / 0.12, 0, 1))
    return np.append(fits, 0).astype(np.float32)


def _named(pieces: Sequence[str], named: Mapping[str, tuple[str, float]]) -> list[Hit]:
    """Whole videos whose file name says it: little to go by, but what people type."""
    return [
        Hit(video_id, name, TimeSpan(0.0, max(duration_s, 1e-3)), NAME_SCORE, "its file name says so", "name")
        for video_id, (name, duration_s) in named.items()
        if share_found(pieces, re.sub(r"[_\W]+", " ", name)) == 1.0
    ]


def _meant(query: str, shelf: SeenShelf, names: dict[str, str], meaning: Meaning) -> list[Hit]:
    """Lines that mean what the query means, in other words: a shortlist by codes, then compared in full."""
    wanted = meaning.embed([query])[0]
    codes = {video_id: shelf.meanings(video_id, meaning) for video_id in names}
    owner = [(video_id, k) for video_id, rows in codes.items() for k in range(len(rows))]
    if not owner:
        return []
    apart = _bits_apart(np.concatenate(list(codes.values())), codes_of(wanted[None]))
    near = sorted(owner[k] for k in np.argsort(apart, kind="stable")[:SHORTLIST_LINES])
    lines = [(video_id, line) for video_id in dict(near) for _, line in shelf.lines([video_id], at=[k for v, k in near if v == video_id])]
    cosines = meaning.embed([line.text for _, line in lines]) @ wanted
    hits = []
    for (video_id, line), cosine in zip(lines, cosines.tolist(), strict=True):
        score = 0.8 * _between(cosine, MEANS_NOTHING, MEANS_SAME) * line.confidence
        if score >= LEAST_MEANT:
            told = replace(line, how=f"means something alike (cosine {cosine:.2f}); {line.how}")
            hits.append(_line_hit(names[video_id], video_id, told, score, "meaning"))
    return hits


def _ranked(hits: Sequence[Hit]) -> list[Hit]:
    """Neighbours of one kind joined, best first."""
    joined: list[Hit] = []
    for hit in sorted(hits, key=lambda h: (h.kind, h.video_id, h.span)):
        last = joined[-1] if joined else None
        if last and _near(last, hit):
            better = hit if hit.score > last.score else last
            joined[-1] = replace(better, span=TimeSpan(last.span.start_s, max(last.span.end_s, hit.span.end_s)))
        else:
            joined.append(hit)
    return sorted(joined, key=lambda h: (-h.score, h.video, h.span))


def _near(a: Hit, b: Hit) -> bool:
    """One moment, and not a clear hit beside a doubtful one, whose interval it would blur."""
    is_one_look = a.kind == b.kind and a.video_id == b.video_id and a.kind in ("picture", "class")
    return is_one_look and b.span.start_s - a.span.end_s <= JOIN_S and abs(a.score - b.score) < 0.25


def _between(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))


def _span(video: SeenVideo, k: int) -> TimeSpan:
    start_s, end_s = (round(float(v), 3) for v in video.spans_s[k])
    return TimeSpan(start_s, max(end_s, start_s + 1e-3))


def _first(names: str) -> str:
    return names.split(",")[0]

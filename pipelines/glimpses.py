"""What is remembered of a video so that it can be found: how its stretches look, and the words in it. Searches nothing itself.

n = glimpses: stretches of one shot that look alike; D = width of an embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.series import Measured, Series
from pipelines.signals.eyes import EYES_EMBEDDING

ALIKE = 0.85  # cosine to the first picture of a glimpse, above which it goes on; a still shot's pictures lie above 0.9
CODE_BITS = 256
KEPT_CLASSES = 8


@dataclass(frozen=True, slots=True)
class Line:
    """Words with a time. origin: "subtitle" | "screen" | "speech"; how: what a person is told about where they come from."""

    span: TimeSpan
    text: str
    origin: str
    confidence: float = 1.0
    how: str = ""


@dataclass(frozen=True, slots=True)
class Glimpses:
    """How a video looks, glimpse by glimpse. spans_s: (n, 2) float32; embeddings: (n, D) float16 of length 1;
    classes: (n, 8) int16, likeliest first; shares: (n, 8) float16, their mean probabilities."""

    spans_s: NDArray[np.float32]
    embeddings: NDArray[np.float16]
    classes: NDArray[np.int16]
    shares: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.spans_s)


_NO_CLASSES = (0, KEPT_CLASSES)
NOTHING_SEEN = Glimpses(
    np.empty((0, 2), np.float32), np.empty((0, 0), np.float16), np.empty(_NO_CLASSES, np.int16), np.empty(_NO_CLASSES, np.float16)
)


def glimpses_of(measured: Measured, shots: Sequence[Shot]) -> Glimpses:
    """The glimpses of all shots in time order; none where no encoder has looked."""
    seen, classes, shares = (measured.get(name) for name in (EYES_EMBEDDING, "eyes.class", "eyes.share"))
    if seen is None or classes is None or shares is None:
        return NOTHING_SEEN
    runs = list(_runs(seen, shots or [Shot(TimeSpan(0, max(measured.duration_s, 1e-3)))]))
    if not runs:
        return NOTHING_SEEN
    means = np.array([seen.values[a:b].astype(np.float32).mean(0) for a, b, _ in runs])
    kept = [_mean_classes(classes.values[a:b], shares.values[a:b]) for a, b, _ in runs]
    return Glimpses(
        np.array([[span.start_s, span.end_s] for _, _, span in runs], np.float32),
        (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).astype(np.float16),
        np.array([ids for ids, _ in kept], np.int16),
        np.array([values for _, values in kept], np.float16),
    )


def _runs(seen: Series, shots: Sequence[Shot]) -> Iterator[tuple[int, int, TimeSpan]]:
    """(first picture, one past the last, stretch): each within one shot, its edges halfway between its pictures and the next ones."""
    for shot in shots:
        first, last = (int(k) for k in np.searchsorted(seen.times_s, [shot.span.start_s, shot.span.end_s]))
        starts = [first] if last > first else []
        for k in range(first + 1, last):
            if float(seen.values[k].astype(np.float32) @ seen.values[starts[-1]].astype(np.float32)) < ALIKE:
                starts.append(k)
        edges = [shot.span.start_s, *((seen.times_s[k - 1] + seen.times_s[k]) / 2 for k in starts[1:]), shot.span.end_s]
        for a, b, start_s, end_s in zip(starts, [*starts[1:], last], edges, edges[1:], strict=False):
            yield a, b, TimeSpan(float(start_s), float(end_s))


def _mean_classes(ids: NDArray[np.generic], shares: NDArray[np.generic]) -> tuple[list[int], list[float]]:
    """The likeliest classes of some pictures, by their mean probability."""
    present, where = np.unique(ids, return_inverse=True)
    means = np.bincount(where.ravel(), shares.astype(np.float64).ravel()) / len(ids)
    best = np.argsort(-means, kind="stable")[:KEPT_CLASSES]
    pad = KEPT_CLASSES - len(best)
    return [*present[best].tolist(), *[-1] * pad], [*means[best].tolist(), *[0.0] * pad]


def lines_of(measured: Measured) -> list[Line]:
    """Every word of a video that has a time."""
    return [
        *(Line(span, text, "subtitle", 1.0, "the subtitles say") for span, text in measured.subtitles),
        *(Line(t.span, t.text, "screen", t.confidence, "on the screen stands") for t in measured.texts),
        *(Line(s.span, s.text, "speech", s.confidence, f"a rough transcript ({s.engine}) says") for s in measured.spoken),
    ]


def codes_of(embeddings: NDArray[np.generic]) -> NDArray[np.uint64]:
    """(n, D) -> (n, 4) uint64: the signs of 256 fixed random directions. Few different bits: a small angle (Charikar 2002)."""
    if not len(embeddings):
        return np.empty((0, CODE_BITS // 64), np.uint64)
    wide = embeddings.astype(np.float32)
    signs = (wide @ _directions(wide.shape[1]).T) > 0
    return np.ascontiguousarray(np.packbits(signs, axis=1)).view(np.uint64)


def _directions(width: int) -> NDArray[np.float32]:
    """(256, D) signs, each row adding up to 0: rectified features all point to one side, which tells nothing."""
    # A counter through a fixed mixer (splitmix64), not numpy's generator: codes are stored, its streams may change.
    with np.errstate(over="ignore"):
        x = np.arange(1, CODE_BITS * width + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    signs = ((x >> np.uint64(63)).astype(np.float32) * 2 - 1).reshape(CODE_BITS, width)
    return np.asarray(signs - signs.mean(1, keepdims=True), np.float32)

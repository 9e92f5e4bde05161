"""What the words of a film are about: where its talk turns to something else, and which sentences stand for it. Works without a model,
from words alone, where none is installed.

s = sentences, b = borders, D = width of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.interfaces import Meaning
from pipelines.series import Measured
from pipelines.tasks.words import Sentence, Weighed, sentences, weigh

LEAST_CONFIDENCE = 0.5  # of a line of a rough transcript: below this it is more noise than speech
REACH_S, REACH = 60.0, 8  # sentences either side of a border that are compared: so near, so many at most
FEWEST = 2
TURN = 0.35  # what a turn of the talk adds to a border at most
GOES_ON = 0.15  # what going on about the same takes
STRANGERS = 0.15  # cosine of sentences that have nothing to do with each other; the same in other words lies above .5


@dataclass(frozen=True, slots=True)
class Said:
    """The words of a film that tell what it is about. source: "subtitles", "transcript", "screen" or "" where there are none."""

    sentences: tuple[Sentence, ...]
    source: str


def said_in(measured: Measured) -> Said:
    """The best words there are: the film's own, then a rough transcript's surer lines, then what stands in the pictures."""
    if measured.subtitles:
        return Said(tuple(sentences(measured.subtitles)), "subtitles")
    if heard := [(line.span, line.text) for line in measured.spoken if line.confidence >= LEAST_CONFIDENCE]:
        return Said(tuple(sentences(heard)), "transcript")
    shown = [Sentence(" ".join(text.text.split()), text.span) for text in measured.texts if text.kind != "credits"]
    return Said(tuple(shown), "screen" if shown else "")


def weighed(spoken: Sequence[Sentence], meaning: Meaning | None) -> Weighed:
    """What the sentences are about: by meaning, or by the rare words they share where there is no model for it."""
    if meaning is None or not spoken:
        return weigh(spoken)
    embedded = meaning.embed([sentence.text for sentence in spoken])
    near = np.clip((embedded @ embedded.T - STRANGERS) / (1 - STRANGERS), 0, 1)
    np.fill_diagonal(near, 0)
    central = near.sum(1)
    return Weighed(embedded, np.asarray(central / max(float(central.max(initial=0)), 1e-9), np.float32))


def turns(spoken: Sequence[Sentence], at_s: Sequence[float], meaning: Meaning | None) -> NDArray[np.float64]:
    """(b,) how much the talk turns at each of these moments, -GOES_ON..TURN; 0 where too little is said around it.

    Text tiling (Hearst 1997) over embeddings: the sentences before a moment against those behind it, told on the film's own scale.
    """
    if len(spoken) < 2 * FEWEST or not len(at_s):
        return np.zeros(len(at_s))
    about = weighed(spoken, meaning).weights.astype(np.float64)
    middles = np.array([(s.span.start_s + s.span.end_s) / 2 for s in spoken])
    alike = np.array([_alike(about, middles, at) for at in at_s])
    usual = np.array([_alike(about, middles, at) for at in (middles[:-1] + middles[1:]) / 2])
    known, scale = np.isfinite(alike), usual[np.isfinite(usual)]
    if not known.any() or len(scale) < FEWEST:
        return np.zeros(len(at_s))
    low, middle = np.percentile(scale, [5, 50])
    turn = (middle - alike) / max(middle - low, 0.05)  # 0: as everywhere in this film, 1: as its sharpest turns
    return np.where(known, np.clip(np.where(turn > 0, turn * TURN, turn * GOES_ON), -GOES_ON, TURN), 0.0)


def _alike(about: NDArray[np.float64], middles: NDArray[np.float64], at_s: float) -> float:
    """Cosine of what is said before and behind a moment; NaN where that is too little."""
    first, here, last = np.searchsorted(middles, [at_s - REACH_S, at_s, at_s + REACH_S])
    before, behind = about[max(first, here - REACH) : here], about[here : min(last, here + REACH)]
    if min(len(before), len(behind)) < FEWEST:
        return float("nan")
    one, other = before.sum(0), behind.sum(0)
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9))

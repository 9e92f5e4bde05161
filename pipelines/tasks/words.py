"""Words of subtitles: sentences, what they are about, and which of them say most. Knows no language, only how often words come."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan

PAUSE_S = 2.0  # a sentence does not run on across a longer silence
LONGEST_CHARS = 240
MOST_WORDS = 1500
COMMON_SHARE = 0.12  # words in more of the sentences than this carry no meaning, whatever the language

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?", re.UNICODE)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # Chinese, Japanese, Korean: pairs of signs stand for words
_END = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
# The commonest words of English, for films too short to tell which words are common.
_COMMON_ENGLISH = """
a about after again all also am an and any are aren't as at back be been before being but by can can't come could did didn't do does
doesn't doing don't down for from get go going gonna good got had has have haven't he he's hello her here here's hey him his how i
i'd i'll i'm i've if in into is isn't it it's its just know let let's like little look make man many may me mean more much must my
need never no not now of off oh ok okay on one only or our out over please really right said say see she she's should so some
something sure take tell than thank thanks that that's the their them then there there's these they they're thing things think this
those to too two up us very wait want was we we'll we're well went were what what's when where which while who why will with won't
would yeah yes yet you you'll you're you've your
"""
_COMMON = frozenset(_COMMON_ENGLISH.split())


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    span: TimeSpan


def sentences(subtitles: Sequence[tuple[TimeSpan, str]]) -> list[Sentence]:
    """Subtitle lines joined until a sentence ends, a pause comes, or it grows too long."""
    out: list[Sentence] = []
    for span, text in subtitles:
        text = " ".join(text.split())
        if not text:
            continue
        last = out[-1] if out else None
        goes_on = (
            last and not _END.search(last.text) and span.start_s - last.span.end_s < PAUSE_S and len(last.text) + len(text) < LONGEST_CHARS
        )
        if last and goes_on:
            out[-1] = Sentence(f"{last.text} {text}", TimeSpan(last.span.start_s, max(last.span.end_s, span.end_s)))
        else:
            out.append(Sentence(text, span))
    return out


def words(text: str) -> list[str]:
    """Lower-case words; pairs of neighbouring signs where a script has no spaces.

    >>> words("Don't go to Rome!")
    ["don't", 'go', 'to', 'rome']
    """
    found: list[str] = []
    for word in _WORD.findall(text.lower().replace("’", "'")):
        if _UNSPACED.search(word):
            found += [word[k : k + 2] for k in range(max(1, len(word) - 1))]
        else:
            found.append(word)
    return found


def telling(text: str) -> list[str]:
    return [word for word in words(text) if word not in _COMMON and len(word) > 1]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What sentences are about. weights: (s, w) rare words weigh more, rows of length 1 (or 0); central: (s,) 0..1, how much each
    sentence shares with all others."""

    weights: NDArray[np.float32]
    central: NDArray[np.float32]

    def alike(self, one: int, others: Sequence[int]) -> float:
        """How much of sentence `one` the nearest of `others` says already, 0..1."""
        return float((self.weights[list(others)] @ self.weights[one]).max()) if others else 0.0


def weigh(spoken: Sequence[Sentence]) -> Weighed:
    bags = [Counter(telling(sentence.text)) for sentence in spoken]
    spread = Counter(word for bag in bags for word in bag)
    kept = [w for w, n in spread.items() if 2 <= n <= max(3, COMMON_SHARE * len(bags))]
    column = {word: k for k, word in enumerate(sorted(kept, key=lambda w: (-spread[w], w))[:MOST_WORDS])}
    weights = np.zeros((len(bags), max(1, len(column))), np.float32)
    for row, bag in enumerate(bags):
        for word in bag.keys() & column.keys():
            weights[row, column[word]] = (1 + np.log(bag[word])) * np.log(1 + len(bags) / spread[word])
    length = np.linalg.norm(weights, axis=1, keepdims=True)
    weights /= np.maximum(length, 1e-9)
    central = weights @ weights.sum(0) - (length[:, 0] > 0)
    return Weighed(weights, central / max(float(central.max(initial=0)), 1e-9))


def keywords(text: str, elsewhere: str, count: int = 3) -> list[str]:
    """Words that `text` says often and `elsewhere` does not, as they are written in it, most telling first."""
    here, there = Counter(telling(text)), Counter(telling(elsewhere))
    total_here, total_there = max(1, here.total()), max(1, there.total())
    score = {w: n * np.log((n / total_here) / ((there[w] + 0.5) / total_there)) for w, n in here.items() if n >= 2 and len(w) > 2}
    best = sorted((w for w in score if score[w] > 1), key=lambda w: (-score[w], w))[:count]
    spelling = Counter(_WORD.findall(text))
    return [max((s for s in spelling if s.lower().replace("’", "'") == w), key=lambda s: spelling[s], default=w) for w in best]

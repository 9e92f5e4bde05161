"""Scenes: neighbouring shots that belong together. Knows likeness of pictures, gaps in sound and speech, nothing of chapters or text.

Where an encoder has looked, its features say which shots show one setting; tiny pictures and colours do where none has.

n = shots, b = n - 1 borders between them, P = numbers of a tiny picture, B = bins of a histogram, D = width of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.series import Measured
from pipelines.signals.eyes import shot_embeddings
from pipelines.signals.tiny import tiny_at

Numbers = NDArray[np.float64]

PLACES = (0.15, 0.5, 0.85)  # where a shot is looked at
BINS = (16, 16, 16)  # luma, blue, red
WINDOW_SHOTS = 10  # shots either side of a border that are compared: shot and reverse shot stay together
FORGET_S = 90.0  # a set that comes back after this time counts 1 / e
SPEECH_GAP_S = 3.0
BLACK_SHARE = 0.9  # of its pictures' pixels: such a "shot" is a pause between two scenes and belongs to neither

SEEN_SHOTS, SEEN_FORGET_S = 8, 60.0  # with eyes: who belongs together is seen surely, so the memory may be shorter
ONE_SETTING = 0.3  # from strangers to one setting, cosines of embeddings; at most three quarters of what is left up to 1
STRANGERS = (0.35, 0.85)  # at least and at most; between them a bit more than shots of this film that lie far apart


@dataclass(frozen=True, slots=True)
class Border:
    """Between two shots. strength: 0 (one scene goes on) .. 1 (nothing in common), from the cues."""

    at_s: float
    strength: float
    cues: tuple[tuple[str, float], ...] = ()  # what each added or took


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """How long a group of shots may be, and how different the next one must be."""

    least_s: float = 20.0
    most_s: float = 300.0  # but a shot is never split
    usual_s: float = 90.0
    least_strength: float = 0.35  # a border below this is not worth a new group


def find_borders(measured: Measured, shots: Sequence[Shot]) -> list[Border]:
    """Every border between two shots with how much of a change of scene it is; 0 where a black begins, for the scene begins behind it."""
    shown = [shot for shot, black in zip(shots, blacks(measured, shots), strict=True) if not black]
    told = {border.at_s: border for border in _borders(measured, shown)}
    return [told.get(shot.span.start_s, Border(shot.span.start_s, 0.0)) for shot in shots[1:]]


def _borders(measured: Measured, shots: Sequence[Shot]) -> list[Border]:
    if len(shots) < 2:
        return []
    pictures = 1 - _coherence_of(measured, shots)
    openings = np.array([{"fade": 0.3, "dissolve": 0.1}.get(shot.opened_by, 0.0) for shot in shots[1:]])
    at = np.array([shot.span.start_s for shot in shots[1:]])
    cues = {"pictures": 0.8 * pictures, "opening": openings, "sound": _sound_change(measured, at), "speech": _speech(measured, at)}
    total = np.clip(sum(cues.values(), start=np.zeros(len(at))), 0, 1)
    return [
        Border(float(t), float(s), tuple((name, float(c[k])) for name, c in cues.items()))
        for k, (t, s) in enumerate(zip(at, total, strict=True))
    ]


def blacks(measured: Measured, shots: Sequence[Shot]) -> list[bool]:
    """Which shots are nothing but black."""
    dark = measured.get("frame.black")
    if dark is None:
        return [False] * len(shots)
    inside = [dark.within(shot.span.start_s, shot.span.end_s).values for shot in shots]
    return [bool(len(values) and (values.astype(np.float64) > BLACK_SHARE).mean() > 0.5) for values in inside]


def group(borders: Sequence[Border], duration_s: float, settings: GroupSettings = GroupSettings()) -> list[Border]:
    """The borders that begin a group: greatest total strength above `least_strength`, less what unusual lengths cost."""
    at = np.array([0.0, *(b.at_s for b in borders), duration_s])
    gains = np.array([0.0, *(b.strength - settings.least_strength for b in borders), 0.0])
    best, came_from = np.full(len(at), -np.inf), np.zeros(len(at), int)
    best[0] = 0.0
    for k in range(1, len(at)):
        first = int(np.searchsorted(at[:k], at[k] - 2 * settings.most_s))
        earlier = np.arange(min(first, k - 1), k)
        totals = best[earlier] - _cost(at[k] - at[earlier], settings)
        came_from[k] = earlier[int(np.argmax(totals))]
        best[k] = totals.max() + gains[k]
    chosen, k = [], int(came_from[-1])
    while k > 0:
        chosen.append(borders[k - 1])
        k = int(came_from[k])
    return chosen[::-1]


def _cost(lengths_s: Numbers, settings: GroupSettings) -> Numbers:
    """What a group of this length costs: little around the usual one, much beyond the limits."""
    unusual = 0.05 * np.log(np.maximum(lengths_s, 1e-3) / settings.usual_s) ** 2
    short = np.maximum(0, settings.least_s - lengths_s) / settings.least_s
    long = np.maximum(0, lengths_s - settings.most_s) / settings.most_s
    return np.asarray(unusual + 4 * short + 2 * long)


@dataclass(frozen=True, slots=True)
class Looks:
    """How shots look. pictures: (n, len(PLACES), P); histograms: (n, B), each adding up to 1."""

    pictures: Numbers
    histograms: Numbers


def _looks(measured: Measured, shots: Sequence[Shot]) -> Looks:
    instants = [shot.span.start_s + place * shot.span.duration_s for shot in shots for place in PLACES]
    tiny = tiny_at(measured, instants).reshape(len(shots), len(PLACES), 3, -1)
    channels = tiny.transpose(0, 2, 1, 3).reshape(len(shots), 3, -1)
    return Looks(
        tiny.reshape(len(shots), len(PLACES), -1).astype(np.float64), np.hstack([_shares(channels[:, c], BINS[c]) for c in range(3)]) / 3
    )


def _shares(values: NDArray[np.int16], bins: int) -> Numbers:
    """(n, bins) share of the values in each of `bins` steps, smoothed so that neighbours count as near."""
    steps = np.clip(values * bins // 256, 0, bins - 1)
    counts = np.stack([(steps == k).mean(1) for k in range(bins)], axis=1)
    padded = np.pad(counts, ((0, 0), (1, 1)), mode="edge")
    smooth = 0.25 * padded[:, :-2] + 0.5 * counts + 0.25 * padded[:, 2:]
    return np.asarray(smooth / smooth.sum(1, keepdims=True))


def _coherence_of(measured: Measured, shots: Sequence[Shot]) -> Numbers:
    """(b,) how much of what is before each border comes again after it, 0..1."""
    embeddings = shot_embeddings(measured, shots)
    return _coherence(_looks(measured, shots), shots) if embeddings is None else _seen_coherence(embeddings, shots)


def _seen_coherence(embeddings: NDArray[np.float32], shots: Sequence[Shot]) -> Numbers:
    """One shot that returns from behind the border makes it the middle of a scene, as a reverse shot is; more of them make it surer."""
    starts, ends = (np.array([getattr(shot.span, edge) for shot in shots]) for edge in ("start_s", "end_s"))
    strangers = _strangers(embeddings)
    apart = min(ONE_SETTING, 0.75 * (1 - strangers))
    out = np.zeros(len(shots) - 1)
    for k in range(len(out)):
        before = slice(max(0, k + 1 - SEEN_SHOTS), k + 1)
        after = slice(k + 1, min(len(shots), k + 1 + SEEN_SHOTS))
        alike = np.clip((embeddings[before] @ embeddings[after].T - strangers) / apart, 0, 1)
        alike = alike * np.exp(-np.maximum(0, starts[after][None] - ends[before][:, None]) / SEEN_FORGET_S)
        out[k] = 0.7 * alike.max() + 0.3 * _remembered(alike)
    return out


def _strangers(embeddings: NDArray[np.float32]) -> float:
    """The cosine up to which two shots say nothing of one setting. A film that is all faces, or all grass, has a high one."""
    if len(embeddings) < SEEN_SHOTS:
        return STRANGERS[0]
    far = np.concatenate([(embeddings * np.roll(embeddings, len(embeddings) // part, axis=0)).sum(1) for part in (2, 3)])
    return float(np.clip(np.median(far) + 0.1, *STRANGERS))


def _remembered(alike: Numbers) -> float:
    """How well the nearest shots on one side are met on the other, whichever side is met better. alike: (before, after)."""
    near, far = 1 / (1 + np.arange(alike.shape[1])), 1 / (1 + np.arange(alike.shape[0])[::-1])
    return float(max((alike.max(0) * near).sum() / near.sum(), (alike.max(1) * far).sum() / far.sum()))


def _coherence(looks: Looks, shots: Sequence[Shot]) -> Numbers:
    """(b,) how well the shots after each border are remembered from before it, 0..1."""
    alike = _band(looks, shots)
    out = np.zeros(len(shots) - 1)
    for k in range(len(out)):
        before = np.arange(max(0, k + 1 - WINDOW_SHOTS), k + 1)
        after = np.arange(k + 1, min(len(shots), k + 1 + WINDOW_SHOTS))
        pairs = alike[before[:, None], after[None] - before[:, None]]
        # The nearest shots decide; that any pair far apart agrees says little.
        out[k] = max(_remembered(pairs), pairs[-1, 0])
    return out


def _band(looks: Looks, shots: Sequence[Shot]) -> Numbers:
    """(n, 2 WINDOW_SHOTS) likeness 0..1 of shot i with shot i + lag, fading with time: of the colours they hold, or of a picture
    of one with a picture of the other."""
    count = len(shots)
    middle = np.array([(s.span.start_s + s.span.end_s) / 2 for s in shots])
    band = np.zeros((count, 2 * WINDOW_SHOTS))
    for lag in range(1, min(2 * WINDOW_SHOTS, count)):
        one, other = slice(0, count - lag), slice(lag, count)
        shared = np.minimum(looks.histograms[one], looks.histograms[other]).sum(1)
        pairs = [np.abs(looks.pictures[one, p] - looks.pictures[other, q]).mean(1) for p in range(len(PLACES)) for q in range(len(PLACES))]
        likeness = np.maximum(np.clip((shared - 0.55) / 0.4, 0, 1), np.clip(1 - np.min(pairs, axis=0) / 24, 0, 1))
        band[one, lag] = likeness * np.exp(-(middle[other] - middle[one]) / FORGET_S)
    return band


def _sound_change(measured: Measured, at_s: Numbers) -> Numbers:
    """(b,) up to 0.25 where the sound of the ten seconds before and after differ, or where there is a silence."""
    mel, level = measured.get("sound.mel"), measured.get("sound.level")
    if mel is None or level is None:
        return np.zeros(len(at_s))
    out = np.zeros(len(at_s))
    for k, t in enumerate(at_s):
        before, after = (mel.within(t + a, t + b).values.astype(np.float64) for a, b in ((-10, 0), (0, 10)))
        if len(before) > 10 and len(after) > 10:
            apart = np.abs(before.mean(0) - after.mean(0)).mean() / 2  # half decibels
            out[k] = min(0.2, apart / 50)
        around = level.within(t - 0.5, t + 0.5).values
        out[k] += 0.05 * float(len(around) > 0 and around.min() < -60)
    return out


def _speech(measured: Measured, at_s: Numbers) -> Numbers:
    """(b,) below 0 where a subtitle runs across the border, above 0 where nobody has spoken for a while."""
    if not measured.subtitles:
        return np.zeros(len(at_s))
    starts = np.array([span.start_s for span, _ in measured.subtitles])
    ends = np.maximum.accumulate([span.end_s for span, _ in measured.subtitles])
    out = np.zeros(len(at_s))
    for k, t in enumerate(at_s):
        begun = int(np.searchsorted(starts, t))
        last_end = ends[begun - 1] if begun else -np.inf
        next_start = starts[begun] if begun < len(starts) else np.inf
        out[k] = -0.25 if last_end > t + 0.2 else 0.15 if next_start - last_end >= SPEECH_GAP_S else 0.0
    return out


def spans_between(borders: Sequence[Border], duration_s: float) -> list[TimeSpan]:
    """The groups that `borders` open, the first at 0."""
    edges = [0.0, *(b.at_s for b in borders), duration_s]
    return [TimeSpan(a, b) for a, b in pairwise(edges) if b > a]

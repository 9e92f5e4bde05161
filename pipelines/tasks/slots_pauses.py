"""When nobody speaks, and when nothing is heard. From a voice detector, subtitles and a transcript, whichever are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured, Series
from pipelines.signals.sound import LEVEL_S
from pipelines.signals.speech import STEP_S

Numbers = NDArray[np.float64]

SPEAKING = 0.35  # the detector hears a voice; half of it at a word's faint end
FAR_S = 2.0  # nothing is known of speech further off, for nobody listened
QUIET_DB, SILENT_DB = 26.0, -56.0  # below the film's usual level, or below anything heard
LEAST_SILENCE_S = 0.8  # a shorter one may be a breath
SUBTITLE_SLACK_S = 0.15  # subtitles stand a little longer than what they say


@dataclass(frozen=True, slots=True)
class Pauses:
    """starts, ends: (n,) of everything said, in order of starts. heard: (k, 2) where the voice detector listened; None: no sound at all."""

    starts: Numbers
    ends: Numbers
    heard: Numbers | None
    level_s: Numbers  # when the level was measured, every LEVEL_S
    level_db: Numbers
    quiet_db: float

    def clear_s(self, at_s: float) -> float:
        """Seconds until somebody speaks, before or behind, whichever is nearer; 0 within speech, FAR_S at most."""
        apart = np.maximum(0, np.maximum(self.starts - at_s, at_s - self.ends))
        return float(min(FAR_S, apart.min(initial=FAR_S)))

    def is_known(self, at_s: float, around_s: float) -> bool:
        """Whether a voice would have been noticed: somebody listened, or there is nothing to hear for longer than between two words."""
        if self.heard is None or self.silence_s(TimeSpan(at_s, at_s + 1e-3)) >= LEAST_SILENCE_S:
            return True
        return bool(((self.heard[:, 0] <= max(0.0, at_s - around_s)) & (self.heard[:, 1] >= at_s + around_s)).any())

    def silence_s(self, gap: TimeSpan) -> float:
        """How long the silence lasts that touches `gap`; 0 where there is none, and where the film has no sound."""
        quiet = self.level_db < self.quiet_db
        first, last = np.searchsorted(self.level_s, [gap.start_s - LEVEL_S, gap.end_s + LEVEL_S])
        inside = np.flatnonzero(quiet[first:last])
        if not len(inside):
            return 0.0
        loud = np.concatenate([[-1], np.flatnonzero(~quiet), [len(quiet)]])
        after = int(np.searchsorted(loud, first + inside[0]))
        return float(loud[after] - loud[after - 1] - 1) * LEVEL_S


def pauses_of(measured: Measured) -> Pauses:
    said = sorted([*_voiced(measured.voice), *_written(measured)])
    starts, ends = np.array([a for a, _ in said]), np.array([b for _, b in said])
    level = measured.get("sound.level")
    if level is None:
        return Pauses(starts, ends, None, np.zeros(0), np.zeros(0), SILENT_DB)
    decibels = level.values.astype(np.float64)
    sounding = decibels[decibels > SILENT_DB]
    quiet_db = max(SILENT_DB, float(np.median(sounding)) - QUIET_DB) if len(sounding) else SILENT_DB
    return Pauses(starts, ends, _listened(measured.voice), level.times_s, decibels, quiet_db)


def _voiced(voice: Series | None) -> list[tuple[float, float]]:
    if voice is None:
        return []
    at = voice.times_s[voice.values.astype(np.float64) >= SPEAKING]
    return [(float(t) - STEP_S / 2, float(t) + STEP_S / 2) for t in at]


def _written(measured: Measured) -> list[tuple[float, float]]:
    slack = SUBTITLE_SLACK_S
    shown = [(span.start_s + slack, span.end_s - slack) for span, _ in measured.subtitles if span.duration_s > 3 * slack]
    return shown + [(line.span.start_s, line.span.end_s) for line in measured.spoken]


def _listened(voice: Series | None) -> Numbers:
    """(k, 2) stretches without a gap in which the detector listened."""
    if voice is None or not len(voice):
        return np.zeros((0, 2))
    breaks = np.flatnonzero(np.diff(voice.times_s) > 1.5 * STEP_S)
    firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(voice) - 1)
    return np.stack([voice.times_s[firsts] - STEP_S, voice.times_s[lasts] + STEP_S], axis=1)

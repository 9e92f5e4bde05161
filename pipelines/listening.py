"""The stage `listening`: whether somebody speaks around chosen moments, step by step. All of a film so closely would cost too much."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.video import TimeSpan
from pipelines.interfaces import Blobs, FilmFile, UnreadableVideo
from pipelines.looking import in_worker
from pipelines.series import Measured, Series, join, pack, unpack
from pipelines.signals.speech import STEP_S, speech_steps
from pipelines.sound import read_sound
from pipelines.workers import WorkerDied

LISTENING_VERSION = "1"  # raise it whenever the same sound would be heard otherwise
LEAD_S = 1.0  # for the detector's memory to catch up


def with_voice(path: FilmFile, measured: Measured, windows: Sequence[TimeSpan], blobs: Blobs) -> Measured:
    """`measured` with `voice`: the probability of speech every STEP_S within `windows`, heard now or in an earlier run."""
    if not windows or measured.get("sound.level") is None:
        return measured
    spans = merged(windows, measured.duration_s)
    told = f"{LISTENING_VERSION} {[(s.start_s, s.end_s) for s in spans]}"
    key = f"{measured.prefix}-voice/{hashlib.sha256(told.encode()).hexdigest()[:16]}.npz"
    try:
        return replace(measured, voice=unpack(blobs.get(key))["voice"])
    except KeyError:
        pass
    try:
        voice = in_worker(listen, path.absolute(), spans)
    except (WorkerDied, UnreadableVideo) as error:
        return replace(measured, lost=(*measured.lost, f"nobody could listen for speech between scenes: {error}"))
    blobs.put(key, pack({"voice": voice}))
    return replace(measured, voice=voice)


def merged(windows: Sequence[TimeSpan], duration_s: float) -> list[TimeSpan]:
    """The same stretches, apart and in order, inside the video; one that begins in another's lead belongs to it."""
    out: list[TimeSpan] = []
    for window in sorted(windows):
        end_s = min(window.end_s, duration_s)
        if out and window.start_s <= out[-1].end_s + LEAD_S:
            out[-1] = TimeSpan(out[-1].start_s, max(out[-1].end_s, end_s))
        elif end_s > window.start_s:
            out.append(TimeSpan(window.start_s, end_s))
    return out


def listen(path: FilmFile, spans: Sequence[TimeSpan]) -> Series:
    """Runs in a worker. Stretches of a film that has no sound there stay away."""
    parts = [Series(np.zeros(0), np.zeros(0, np.float32))]
    for span in spans:
        lead_s = min(LEAD_S, span.start_s)
        sound = read_sound(path, span.start_s - lead_s, span.end_s)
        if sound is not None and len(sound.samples):
            steps = speech_steps(sound.samples)
            heard = Series(sound.start_s + STEP_S * (np.arange(len(steps), dtype=np.float64) + 0.5), steps)
            parts.append(heard.within(span.start_s, span.end_s))
    return join(parts)

"""Films whose scenes and speech are known: dialogues cut back and forth, long takes, montages; pauses, blacks or speech at their ends.

Drawn settings need no file; photographs and clips make real ones. Everything else follows from the style and the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from model.video import SOUND_RATE_HZ, TimeSpan
from pipelines.evaluation.broadcast_sound import Wave, at_level, make_ambience, make_tune, make_voice, play, rustle, speak
from pipelines.evaluation.edit_scenes import HEIGHT_PX, WIDTH_PX, Picture, Scene, any_scene, panned, talk, texture

STYLES = ("drama", "takes", "places", "through", "fast")
FPS = 15
LEAST_PAUSE_S = 0.35  # a shorter silence is a breath within a line
Setting = tuple[Scene, ...]  # camera angles of one place


@dataclass(frozen=True, slots=True)
class SceneEnd:
    """Between two scenes: [start_s, end_s] is black, or one instant. in_speech: somebody talks across it."""

    start_s: float
    end_s: float
    in_speech: bool


@dataclass(frozen=True, slots=True)
class SceneTruth:
    """What a made film contains."""

    style: str
    duration_s: float
    ends: tuple[SceneEnd, ...]
    speech: tuple[TimeSpan, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What films are made from. settings: places to choose from without repeating; voices: lines, mono at 16 kHz."""

    settings: Sequence[Callable[[Generator], Setting]]
    voices: Sequence[Wave]


@dataclass(frozen=True, slots=True)
class Part:
    """A scene: its shots, its sound, and the black behind it (0: a straight cut)."""

    shots: tuple[tuple[Scene, float], ...]
    sound: Wave
    speech: tuple[TimeSpan, ...]  # from the scene's begin; the last line may end behind the scene
    black_s: float

    @property
    def length_s(self) -> float:
        return sum(length for _, length in self.shots)


def drawn_material(seed: int) -> Material:
    rng = default_rng(seed)
    voices = [speak(rng, make_voice(rng, SOUND_RATE_HZ), int(rng.uniform(1, 4) * SOUND_RATE_HZ), SOUND_RATE_HZ) for _ in range(12)]
    return Material([drawn_setting] * 60, voices)


def drawn_setting(rng: Generator) -> Setting:
    set_ = texture(rng, HEIGHT_PX * 2, WIDTH_PX * 2)
    return talk(rng, set_), talk(rng, set_), panned(rng, set_, 6.0)


def picture_setting(pixels: NDArray[np.uint8]) -> Callable[[Generator], Setting]:
    """Angles of one photograph, (h, w, 3): parts of it, slowly panned over. It must be at least 1.3 times as large as a film's picture."""

    def setting(rng: Generator) -> Setting:
        return tuple(panned(rng, pixels.astype(np.float32), float(rng.choice([3, 8, 15]))) for _ in range(3))

    return setting


def clip_setting(frames: NDArray[np.uint8], fps: float) -> Callable[[Generator], Setting]:
    """Angles of one recording, (n, h, w, 3) at least 1.2 times as large as a film's picture: other moments, other parts of the picture."""

    def setting(rng: Generator) -> Setting:
        return tuple(_played(rng, frames, fps) for _ in range(3))

    return setting


def _played(rng: Generator, frames: NDArray[np.uint8], fps: float) -> Scene:
    y, x = (int(rng.integers(0, have - want + 1)) for have, want in zip(frames.shape[1:3], (HEIGHT_PX, WIDTH_PX), strict=True))
    first = int(rng.integers(len(frames)))

    def scene(t: float) -> Picture:
        k = (first + int(t * fps)) % (2 * len(frames))
        return frames[min(k, 2 * len(frames) - 1 - k), y : y + HEIGHT_PX, x : x + WIDTH_PX]

    return scene


def make_scene_film(path: Path, style: str, seed: int, material: Material, minutes: float = 5.0) -> SceneTruth:
    """Write a film of `style` (one of STYLES) and say where its scenes end and when somebody speaks."""
    rng = default_rng([seed, STYLES.index(style)])
    order = rng.permutation(len(material.settings))
    parts: list[Part] = []
    while sum(p.length_s + p.black_s for p in parts) < 60 * minutes:
        settings = [material.settings[order[(2 * len(parts) + k) % len(order)]](rng) for k in range(2)]
        parts.append(_part(rng, style, settings, material.voices))
    parts[-1] = Part(parts[-1].shots, parts[-1].sound, parts[-1].speech, 0.0)
    starts = [0.0, *np.cumsum([p.length_s + p.black_s for p in parts]).tolist()]
    _write(path, parts, starts)
    speech = [TimeSpan(at + s.start_s, at + s.end_s) for at, p in zip(starts, parts, strict=False) for s in p.speech]
    ends = tuple(_end(at + p.length_s, p.black_s, speech) for at, p in zip(starts, parts[:-1], strict=False)) if style != "fast" else ()
    return SceneTruth(style, starts[-1], ends, tuple(speech))


def _end(at_s: float, black_s: float, speech: Sequence[TimeSpan]) -> SceneEnd:
    return SceneEnd(at_s, at_s + black_s, any(s.start_s < at_s + max(black_s, 0.01) and s.end_s > at_s for s in speech))


def _part(rng: Generator, style: str, settings: Sequence[Setting], voices: Sequence[Wave]) -> Part:
    shots = tuple((scene, round(length * FPS) / FPS) for scene, length in _shots(rng, style, settings))
    length_s = sum(length for _, length in shots)
    black_s = 0.0 if style in ("through", "fast") or rng.random() < 0.5 else round(rng.uniform(0.2, 1.5) * FPS) / FPS
    sound = _bed(rng, style, length_s + black_s)
    if black_s and rng.random() < 0.7:
        sound[round(length_s * SOUND_RATE_HZ) :] = 0
    speech = _lines(rng, sound, length_s, voices, through=style == "through") if style != "fast" else []
    return Part(shots, sound, tuple(speech), black_s)


def _shots(rng: Generator, style: str, settings: Sequence[Setting]) -> list[tuple[Scene, float]]:
    one, other = settings
    if style == "fast":
        return [(any_scene(rng), float(rng.uniform(0.6, 2.2))) for _ in range(20)]
    if style == "takes":
        return [(one[k], float(rng.uniform(8, 25))) for k in range(int(rng.integers(1, 3)))]
    if style == "places" and rng.random() < 0.5:  # a talk between two places
        pool: Setting = (one[0], other[0])
    else:
        pool = one[: int(rng.integers(2, len(one) + 1))]
    order = [k % len(pool) if rng.random() < 0.8 else int(rng.integers(len(pool))) for k in range(int(rng.integers(6, 16)))]
    kept = [k for k, before in zip(order, [-1, *order], strict=False) if k != before]
    return [(pool[k], float(rng.uniform(1.8, 7))) for k in kept]


def _bed(rng: Generator, style: str, length_s: float) -> Wave:
    samples = round(length_s * SOUND_RATE_HZ)
    bed = at_level(rustle(rng, make_ambience(rng, SOUND_RATE_HZ), samples, SOUND_RATE_HZ), float(rng.uniform(-52, -34)))
    if style == "fast" or rng.random() < 0.25:
        bed = bed + at_level(play(rng, make_tune(rng, SOUND_RATE_HZ), samples, SOUND_RATE_HZ), float(rng.uniform(-35, -22)))
    return bed.astype(np.float32)


def _lines(rng: Generator, sound: Wave, length_s: float, voices: Sequence[Wave], *, through: bool) -> list[TimeSpan]:
    """Put lines on the bed, in place; the last one ends before the scene does, or is cut off by its end."""
    level_db, at_s, spans = float(rng.uniform(-24, -16)), float(rng.uniform(0.3, 2.0)), list[TimeSpan]()
    quiet_s = float(rng.choice([0.25, 0.6, 1.5]))
    while True:
        line = at_level(voices[int(rng.integers(len(voices)))], level_db)
        end_s = at_s + len(line) / SOUND_RATE_HZ
        if end_s > length_s - quiet_s and not through:
            return spans
        if at_s >= length_s:
            return spans
        first = round(at_s * SOUND_RATE_HZ)
        line = line[: len(sound) - first]
        sound[first : first + len(line)] += line
        spans += [TimeSpan(at_s + s.start_s, at_s + s.end_s) for s in voiced(line)]
        at_s = end_s + float(rng.uniform(0.05, 0.3) if through else rng.choice([0.2, 0.5, 1.0, 3.0]))


def voiced(line: Wave) -> list[TimeSpan]:
    """Where a line of nothing but speech sounds, pauses of LEAST_PAUSE_S and more left out."""
    step = SOUND_RATE_HZ // 50
    power = np.square(line[: len(line) // step * step]).reshape(-1, step).mean(1)
    loud = np.flatnonzero(power > 10**-3.5 * power.max(initial=1e-12))
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > LEAST_PAUSE_S * 50)
    edges = [0, *(breaks + 1).tolist(), len(loud)]
    return [TimeSpan(float(loud[a]) / 50, float(loud[b - 1] + 1) / 50) for a, b in pairwise(edges)]


def _write(path: Path, parts: Sequence[Part], starts: Sequence[float]) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "25", "g": str(FPS * 4)})
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono", options={"b": "64k"})
        sample = number = 0
        for part, end_s in zip(parts, starts[1:], strict=True):
            for picture in _pictures(part):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                container.mux(video.encode(frame))
                number += 1
            wave = part.sound[: round(end_s * SOUND_RATE_HZ) - sample]
            for first in range(0, len(wave), 1024):
                heard = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
                heard.rate, heard.pts, heard.time_base = SOUND_RATE_HZ, sample + first, Fraction(1, SOUND_RATE_HZ)
                container.mux(audio.encode(heard))
            sample += len(wave)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _pictures(part: Part) -> list[Picture]:
    shown = [scene(n / FPS) for scene, length in part.shots for n in range(round(length * FPS))]
    return shown + [np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)] * round(part.black_s * FPS)

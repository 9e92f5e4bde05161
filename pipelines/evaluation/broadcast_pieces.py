"""Cuts made-up programmes and spots into pieces: one shot of picture each, with its sound. Knows no container and no schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import count
from typing import Any

import numpy as np
from numpy.random import Generator

from pipelines.evaluation.broadcast_pictures import (
    Grain,
    Palette,
    Planes,
    Sprite,
    View,
    draw_view,
    make_card,
    make_grain,
    make_sprite,
    make_view,
    paint_set,
)  # fmt: skip
from pipelines.evaluation.broadcast_sound import Voice, Wave, at_level, make_ambience, make_tune, make_voice, play, rustle, speak

BLACK: Planes = (np.zeros((0, 0), np.uint8),) * 3
PROGRAMME_DB = -24.0
_spot_numbers = count()


@dataclass(slots=True)
class Track:
    """Sound that runs on through many pieces: written once, read piece by piece."""

    wave: Wave
    read: int = 0

    def next(self, samples: int) -> Wave:
        places = (self.read + np.arange(samples)) % len(self.wave)
        self.read += samples
        return self.wave[places]


@dataclass(frozen=True, slots=True)
class Piece:
    """A shot. draw: seconds since its begin -> picture. what: programme | spot | ident | black. dip_s: fade from and to black."""

    seconds: float
    draw: Callable[[float], Planes]
    what: str
    track: Track | None = None
    level_db: float = PROGRAMME_DB
    spot: int = -1
    dip_s: tuple[float, float] = (0.0, 0.0)
    silent: bool = False

    def fields(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def wave(self, rate_hz: int, samples: int) -> Wave:
        if samples <= 0 or self.silent:
            return np.zeros(max(0, samples), np.float32)
        if self.track is None:
            return (np.random.default_rng(samples).normal(0, 10 ** (-38 / 20), samples)).astype(np.float32)
        return np.asarray(np.tanh(self.track.next(samples) * np.float32(10 ** (self.level_db / 20))), np.float32)

    def dimmed(self, planes: Planes, seconds: float) -> Planes:
        light = 1.0
        if self.dip_s[0]:
            light = min(light, seconds / self.dip_s[0])
        if self.dip_s[1]:
            light = min(light, (self.seconds - seconds) / self.dip_s[1])
        if light >= 1:
            return planes
        luma, *colour = planes
        dim = np.float32(max(0.0, light))
        return (((luma - 16.0) * dim + 16).astype(np.uint8), *(((c - 128.0) * dim + 128).astype(np.uint8) for c in colour))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Style:
    """What a genre does. shot_s: median shot; sets: how many; scene_s: how long one is stayed with; again: chance that it returns."""

    shot_s: float
    sets: tuple[int, int]
    scene_s: tuple[float, float]
    again: float
    angles: int
    motion: float
    talk: float
    look: dict[str, tuple[float, float]] = field(default_factory=dict)
    flat: bool = False
    fresh_reports: bool = False


STYLES = {
    "drama": Style(4.0, (6, 12), (35, 120), 0.6, 4, 1.0, 0.8),
    "talk": Style(9.0, (1, 1), (300, 600), 1.0, 5, 0.4, 1.0),
    "sport": Style(12.0, (2, 3), (60, 200), 0.8, 4, 3.0, 0.9, {"hue": (3.6, 4.2), "hue_spread": (0.1, 0.3)}),
    "cartoon": Style(3.5, (6, 10), (25, 80), 0.5, 4, 1.2, 0.7, {"saturation": (35, 60), "bright": (180, 225)}, flat=True),
    "news": Style(4.5, (1, 1), (15, 40), 1.0, 2, 0.7, 1.0, fresh_reports=True),
    "documentary": Style(6.0, (12, 20), (20, 70), 0.25, 5, 1.3, 0.7),
    "dark": Style(6.0, (5, 9), (40, 140), 0.6, 3, 0.7, 0.6, {"dark": (16, 22), "bright": (45, 80), "saturation": (3, 12)}),
    "music": Style(2.0, (3, 5), (60, 150), 0.9, 6, 1.8, 0.0),
}
_LOOKS = {
    "dark": (18, 60),
    "bright": (130, 215),
    "hue": (0.0, 6.28),
    "hue_spread": (0.3, 1.2),
    "saturation": (8, 40),
    "detail": (2, 14),
    "grain": (0.3, 4),
}


def make_palette(rng: Generator, look: dict[str, tuple[float, float]], flat: bool = False) -> Palette:
    chosen = {name: float(rng.uniform(*span)) for name, span in (_LOOKS | look).items()}
    return Palette(**chosen, flat=flat)


@dataclass(slots=True)
class Programme:
    """A production with its places, people and voices."""

    name: str
    style: Style
    palette: Palette
    grain: Grain
    size: tuple[int, int]
    rate_hz: int
    sets: list[list[View]]
    variety: float  # how far a returning camera stands from where it stood
    cast: list[Sprite]
    voices: list[Voice]
    ambience: list[Wave]
    seen: list[int] = field(default_factory=list)

    def stretch(self, rng: Generator, seconds: float, *, is_first: bool, is_last: bool) -> Iterator[Piece]:
        """Programme for so many seconds: titles at the beginning, credits at the end, scenes, dips to black and montages between."""
        if is_first and seconds > 90 and rng.random() < 0.5:
            yield from self._montage(rng, float(rng.uniform(8, 20)))
            yield card_piece(rng, self.palette, self.size, float(rng.uniform(3, 6)), "ident", self.rate_hz)
            seconds -= 20
        credits_s = float(rng.uniform(15, 30)) if is_last and seconds > 120 and rng.random() < 0.5 else 0.0
        left_s = seconds - credits_s
        while left_s > 0:
            length_s = min(left_s, float(rng.uniform(*self.style.scene_s)))
            length_s = left_s if left_s - length_s < 8 else length_s
            yield from self._between(rng)
            is_montage = rng.random() < 0.06 and length_s > 15
            yield from self._montage(rng, min(length_s, 25.0)) if is_montage else self._scene(rng, length_s)
            left_s -= min(length_s, 25.0) if is_montage else length_s
        if credits_s:
            yield from self._credits(rng, credits_s)

    def _between(self, rng: Generator) -> Iterator[Piece]:
        if rng.random() < 0.2:
            yield Piece(float(rng.uniform(0.3, 1.5)), lambda _: BLACK, "black", silent=bool(rng.random() < 0.6))

    def _place(self, rng: Generator) -> list[View]:
        fresh = [k for k in range(len(self.sets)) if k not in self.seen]
        number = int(rng.choice(self.seen)) if self.seen and (not fresh or rng.random() < self.style.again) else fresh[0]
        self.seen.append(number)
        return self.sets[number]

    def _scene(self, rng: Generator, seconds: float) -> Iterator[Piece]:
        angles = self._place(rng)
        track = self._track(rng, seconds)
        level_db = PROGRAMME_DB + float(rng.normal(0, 1.5))
        is_report = self.style.fresh_reports and rng.random() < 0.6
        last = -1
        dips = (float(rng.uniform(0.3, 1)) * (rng.random() < 0.15), float(rng.uniform(0.3, 1)) * (rng.random() < 0.15))
        lengths = _shot_lengths(rng, self.style.shot_s, seconds)
        for k, length_s in enumerate(lengths):
            if is_report:
                draw = self._shown(rng, self._new_view(rng, paint_set(rng, self.palette, self.size)))
            else:
                last = int(rng.choice([a for a in range(len(angles)) if a != last] or [0]))
                draw = self._shown(rng, angles[last])
            yield Piece(length_s, draw, "programme", track, level_db, dip_s=(dips[0] * (k == 0), dips[1] * (k == len(lengths) - 1)))

    def _track(self, rng: Generator, seconds: float) -> Track:
        samples = int((seconds + 1) * self.rate_hz)
        wave = at_level(rustle(rng, self.ambience[rng.integers(len(self.ambience))], samples, self.rate_hz), float(rng.uniform(-28, -12)))
        if rng.random() < self.style.talk:
            for voice in rng.choice(len(self.voices), 2):
                wave = wave + speak(rng, self.voices[voice], samples, self.rate_hz) * np.float32(0.7)
        if rng.random() < (0.25 if self.style.talk else 1.0):
            wave = wave + play(rng, make_tune(rng, self.rate_hz), samples, self.rate_hz) * np.float32(rng.uniform(0.2, 0.8))
        return Track(_levelled(wave))

    def _montage(self, rng: Generator, seconds: float) -> Iterator[Piece]:
        """Fast pictures to music: from known places or new ones of the same look."""
        track = Track(_levelled(play(rng, make_tune(rng, self.rate_hz, fast=True), int((seconds + 1) * self.rate_hz), self.rate_hz)))
        is_new = rng.random() < 0.4
        level_db = PROGRAMME_DB + float(rng.uniform(0, 3))
        for length_s in _shot_lengths(rng, 1.0, seconds):
            angles = self.sets[int(rng.integers(len(self.sets)))]
            view = self._new_view(rng, paint_set(rng, self.palette, self.size)) if is_new else angles[int(rng.integers(len(angles)))]
            yield Piece(length_s, self._shown(rng, view), "programme", track, level_db)

    def _credits(self, rng: Generator, seconds: float) -> Iterator[Piece]:
        card = make_card(rng, Palette(16, 24, 0, 0, 0, 0, 0), self.size)
        tall = tuple(np.concatenate([p, p]) for p in card)
        track = self._track(rng, seconds)

        def draw(t: float) -> Planes:
            y = int(t * 12) % self.size[1] // 2 * 2
            return tuple(p[y // k : (y + self.size[1]) // k] for p, k in zip(tall, (1, 2, 2), strict=True))  # type: ignore[return-value]

        yield Piece(seconds, draw, "programme", track)

    def _new_view(self, rng: Generator, scenery: Planes) -> View:
        cast = tuple(self.cast[k] for k in rng.choice(len(self.cast), rng.integers(0, 3), replace=False))
        return make_view(rng, scenery, cast, self.style.motion)

    def _shown(self, rng: Generator, view: View) -> Callable[[float], Planes]:
        """The view as it looks this time: nobody stands twice in quite the same place."""
        moved = rng.normal(0, self.variety, 2 + 2 * len(view.actors))
        actors = tuple(
            (s, x + dx, y + dy / 2, a, turns) for (s, x, y, a, turns), dx, dy in zip(view.actors, moved[2::2], moved[3::2], strict=True)
        )
        seen = replace(view, at=(view.at[0] + float(moved[0]), view.at[1] + float(moved[1])), actors=actors)
        return lambda t: draw_view(seen, t, self.size)


def make_programme(rng: Generator, size: tuple[int, int], rate_hz: int, style: str = "") -> Programme:
    name = style or str(rng.choice(list(STYLES)))
    chosen = STYLES[name]
    palette = make_palette(rng, chosen.look, chosen.flat)
    cast = [make_sprite(rng, palette, int(size[1] * rng.uniform(0.3, 0.8))) for _ in range(6)]
    variety = float(rng.choice([0, 0.02, 0.06, 0.15]))
    voices, places = [make_voice(rng, rate_hz) for _ in range(5)], [make_ambience(rng, rate_hz) for _ in range(4)]
    made = Programme(name, chosen, palette, make_grain(rng, palette.grain, size), size, rate_hz, [], variety, cast, voices, places)
    for _ in range(rng.integers(*chosen.sets, endpoint=True)):
        scenery = paint_set(rng, palette, size)
        made.sets.append([made._new_view(rng, scenery) for _ in range(chosen.angles)])
    return made


def make_spot(rng: Generator, seconds: float, programme: Programme, size: tuple[int, int], rate_hz: int) -> list[Piece]:
    """One advertisement: a look and a tune of its own, quick shots, a brand card at the end."""
    look = {"bright": (150.0, 230.0), "saturation": (10.0, 55.0), "dark": (18.0, 90.0)}
    palette = make_palette(rng, look, flat=bool(rng.random() < 0.2))
    seconds += float(rng.uniform(-0.5, 0.5)) if rng.random() < 0.5 else 0.0
    card_s = float(rng.uniform(1.5, 3.5)) if rng.random() < 0.85 else 0.0
    scenery = [paint_set(rng, palette, size) for _ in range(rng.integers(1, 7))]
    cast = tuple(make_sprite(rng, palette, int(size[1] * rng.uniform(0.3, 0.9))) for _ in range(3))
    number = next(_spot_numbers)
    samples = int((seconds + 1) * rate_hz)
    manner = rng.random()
    wave = play(rng, make_tune(rng, rate_hz, fast=manner < 0.5), samples, rate_hz) * np.float32(0.6 if manner < 0.8 else 0.05)
    if manner > 0.25:
        wave = wave + speak(rng, make_voice(rng, rate_hz, hurried=True), samples, rate_hz)
    track = Track(_levelled(wave))
    pieces = []
    for length_s in _shot_lengths(rng, float(rng.choice([1.0, 1.6, 2.2, 3.5])), seconds - card_s):
        view = make_view(rng, scenery[int(rng.integers(len(scenery)))], tuple(s for s in cast if rng.random() < 0.4), 1.5)
        pieces.append(Piece(length_s, lambda t, v=view: draw_view(v, t, size), "spot", track, spot=number))  # type: ignore[misc]
    if card_s:
        card = make_card(rng, palette, size)
        pieces.append(Piece(card_s, lambda _: card, "spot", track, spot=number))
    return pieces


def card_piece(rng: Generator, palette: Palette, size: tuple[int, int], seconds: float, what: str, rate_hz: int) -> Piece:
    """A title, an ident or a sponsor's card with a jingle."""
    card = make_card(rng, palette, size)
    track = Track(_levelled(play(rng, make_tune(rng, rate_hz, fast=True), int((seconds + 1) * rate_hz), rate_hz)))
    return Piece(seconds, lambda _: card, what, track)


def _shot_lengths(rng: Generator, median_s: float, total_s: float) -> list[float]:
    lengths: list[float] = []
    left_s = total_s
    while left_s > 0:
        length_s = float(np.clip(median_s * np.exp(rng.normal(0, 0.5)), 0.4, 6 * median_s))
        length_s = left_s if left_s - length_s < 0.4 else length_s
        lengths.append(length_s)
        left_s -= length_s
    return lengths


def _levelled(wave: Wave) -> Wave:
    """Root mean square 1: `Piece.level_db` sets the level."""
    return np.asarray(wave / max(float(np.sqrt(np.mean(np.square(wave)))), 1e-6), np.float32)

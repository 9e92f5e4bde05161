"""Paints made-up television: sets, actors, logos, brand cards. Knows planes and random numbers, nothing of schedules.

A picture is three uint8 planes of YUV 4:2:0: luma (H, W), blue and red difference (H / 2, W / 2). Every random choice comes from the
generator handed in, so a seed names a film.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
MARGIN = 1.6  # a set is this much larger than the picture, so that a camera can look at other parts of it


@dataclass(frozen=True, slots=True)
class Palette:
    """The look of a production. Luma in 16-235, hue in radians on the colour-difference plane, detail and grain in luma steps."""

    dark: float
    bright: float
    hue: float
    hue_spread: float
    saturation: float
    detail: float
    grain: float
    flat: bool = False  # cartoon: plain areas with outlines


@dataclass(frozen=True, slots=True)
class Sprite:
    """A figure. luma: (h, w), colour: (2,), mask: (h, w) bool; h and w are even."""

    luma: Plane
    colour: tuple[int, int]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class View:
    """One camera position: where it looks, how it moves, who walks through. Positions and speeds as shares of the picture's width."""

    scenery: Planes
    at: tuple[float, float]
    pan: tuple[float, float] = (0.0, 0.0)
    shake: float = 0.0
    actors: tuple[tuple[Sprite, float, float, float, float], ...] = ()  # sprite, x, y, amplitude, turns a second
    mirrored: bool = False
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Overlay:
    """Something drawn over the picture. alpha: (h, w) in 0..1. period_s: 0 = still, else it turns about its axis that often."""

    x: int
    y: int
    luma: Plane
    alpha: NDArray[np.float32]
    period_s: float = 0.0
    scrolls_px_s: float = 0.0


@dataclass(slots=True)
class Grain:
    """Film grain: one tile of noise, read at another place every frame."""

    tile: NDArray[np.int16]
    rng: Generator = field(repr=False)

    def add(self, luma: Plane) -> Plane:
        y, x = self.rng.integers(0, 64, 2)
        return np.asarray(np.clip(luma + self.tile[y : y + luma.shape[0], x : x + luma.shape[1]], 0, 255), np.uint8)


def make_grain(rng: Generator, amount: float, size: tuple[int, int]) -> Grain:
    return Grain(np.rint(rng.normal(0, amount, (size[1] + 64, size[0] + 64))).astype(np.int16), rng)


def smooth_noise(rng: Generator, height: int, width: int, cells: int) -> NDArray[np.float32]:
    """Noise of mean 0 that changes over about 1 / cells of the width."""
    rows = max(2, cells * height // width + 1)
    grid = rng.normal(0, 1, (rows + 1, cells + 2)).astype(np.float32)
    y, x = np.linspace(0, rows - 1e-3, height), np.linspace(0, cells + 1 - 1e-3, width)
    across = grid[:, x.astype(int)] * (1 - x % 1) + grid[:, x.astype(int) + 1] * (x % 1)
    mixed = across[y.astype(int)] * (1 - y % 1)[:, None] + across[y.astype(int) + 1] * (y % 1)[:, None]
    return np.asarray(mixed, np.float32)


def paint_set(rng: Generator, palette: Palette, size: tuple[int, int]) -> Planes:
    """A place: sky or wall, floor, furniture, texture."""
    width, height = int(size[0] * MARGIN) // 2 * 2, int(size[1] * MARGIN) // 2 * 2
    luma = np.empty((height, width), np.float32)
    colour = np.empty((2, height, width), np.float32)
    horizon = int(height * rng.uniform(0.3, 0.8))
    for rows in (slice(0, horizon), slice(horizon, height)):
        luma[rows], colour[:, rows] = _tone(rng, palette), _hue(rng, palette)[:, :, None]
    luma += np.linspace(rng.uniform(-15, 15), rng.uniform(-15, 15), height)[:, None] * (not palette.flat)
    for _ in range(rng.integers(4, 16)):
        _furniture(rng, palette, luma, colour)
    if not palette.flat:
        for cells in (5, 17, 60, 150):
            luma += smooth_noise(rng, height, width, cells) * palette.detail * rng.uniform(0.4, 1.2)
        colour += smooth_noise(rng, height, width, 6) * palette.saturation * 0.25
    return _planes(luma, colour)


def _furniture(rng: Generator, palette: Palette, luma: NDArray[np.float32], colour: NDArray[np.float32]) -> None:
    height, width = luma.shape
    y, x = rng.integers(0, height - 12), rng.integers(0, width - 12)
    h, w = rng.integers(8, height // 2), rng.integers(8, width // 3)
    area = (slice(y, y + h), slice(x, x + w))
    tone = _tone(rng, palette)
    if rng.random() < 0.4:
        rows, columns = np.ogrid[: luma[area].shape[0], : luma[area].shape[1]]
        inside = ((rows - h / 2) / (h / 2)) ** 2 + ((columns - w / 2) / (w / 2)) ** 2 < 1
    else:
        inside = np.ones(luma[area].shape, bool)
    luma[area][inside] = tone
    colour[:, area[0], area[1]][:, inside] = _hue(rng, palette)
    if palette.flat:
        luma[y : y + 2, x : x + w] = luma[y : y + h, x : x + 2] = 20


def _tone(rng: Generator, palette: Palette) -> float:
    return float(rng.uniform(palette.dark, palette.bright))


def _hue(rng: Generator, palette: Palette) -> NDArray[np.float32]:
    angle = palette.hue + rng.normal(0, palette.hue_spread)
    strength = palette.saturation * rng.uniform(0.4, 1.2)
    return np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * strength


def _planes(luma: NDArray[np.float32], colour: NDArray[np.float32]) -> Planes:
    small = np.clip(colour[:, ::2, ::2] + 128, 16, 240).astype(np.uint8)
    return np.clip(luma, 16, 235).astype(np.uint8), small[0], small[1]


def make_sprite(rng: Generator, palette: Palette, height: int) -> Sprite:
    """A person: a head on shoulders."""
    h, w = max(12, height // 2 * 2), max(8, int(height * rng.uniform(0.4, 0.7)) // 2 * 2)
    rows, columns = np.ogrid[:h, :w]
    head = ((rows - h * 0.22) / (h * 0.2)) ** 2 + ((columns - w / 2) / (w * 0.24)) ** 2 < 1
    body = ((rows - h) / (h * 0.6)) ** 2 + ((columns - w / 2) / (w * 0.5)) ** 2 < 1
    luma = np.where(head, rng.uniform(90, 190), _tone(rng, palette)) + rng.normal(0, 4, (h, w))
    u, v = (int(128 + c) for c in _hue(rng, palette)[:, 0])
    return Sprite(np.clip(luma, 16, 235).astype(np.uint8), (u, v), head | body)


def make_view(rng: Generator, scenery: Planes, cast: tuple[Sprite, ...], motion: float) -> View:
    actors = tuple((sprite, *_place(rng, motion)) for sprite in cast)
    pan = (float(rng.normal(0, 0.02 * motion)), float(rng.normal(0, 0.004 * motion))) if rng.random() < 0.5 else (0.0, 0.0)
    at, shake = (float(rng.random()), float(rng.random())), float(rng.uniform(0, 0.004) * motion)
    return View(scenery, at, pan, shake, actors, bool(rng.random() < 0.3), float(rng.uniform(0.92, 1.08)))


def _place(rng: Generator, motion: float) -> tuple[float, float, float, float]:
    x, y, amplitude, turns = rng.uniform((0.05, 0.2, 0, 0.1), (0.7, 0.6, 0.06 * motion, 0.8))
    return float(x), float(y), float(amplitude), float(turns)


def draw_view(view: View, seconds: float, size: tuple[int, int]) -> Planes:
    """The view `seconds` after its beginning."""
    width, height = size
    room_x, room_y = view.scenery[0].shape[1] - width, view.scenery[0].shape[0] - height
    wobble = view.shake * np.sin(np.array([3.1, 2.3]) * seconds)
    x = int(_bounce(view.at[0] * room_x + (view.pan[0] * seconds + wobble[0]) * width, room_x)) // 2 * 2
    y = int(_bounce(view.at[1] * room_y + (view.pan[1] * seconds + wobble[1]) * width, room_y)) // 2 * 2
    luma, u, v = (p[y // k : (y + height) // k, x // k : (x + width) // k] for p, k in zip(view.scenery, (1, 2, 2), strict=True))
    step = -1 if view.mirrored else 1
    planes = (np.array(luma[:, ::step]), np.array(u[:, ::step]), np.array(v[:, ::step]))
    for sprite, at_x, at_y, amplitude, turns in view.actors:
        sway = amplitude * np.sin(2 * np.pi * turns * seconds)
        _stamp(planes, sprite, int((at_x + sway) * width), int(at_y * height + sway * height * 0.3))
    if view.gain != 1:
        planes = (np.minimum(planes[0] * np.float32(view.gain), 235).astype(np.uint8), planes[1], planes[2])
    return planes


def _bounce(place: float, room: int) -> float:
    """Reflect a camera that would leave its set."""
    place = abs(place) % (2 * room) if room else 0.0
    return 2 * room - place if place > room else place


def _stamp(planes: Planes, sprite: Sprite, x: int, y: int) -> None:
    x, y = max(0, x // 2 * 2), max(0, y // 2 * 2)
    height, width = planes[0].shape
    h, w = min(sprite.mask.shape[0], height - y) // 2 * 2, min(sprite.mask.shape[1], width - x) // 2 * 2
    if h <= 0 or w <= 0:
        return
    mask = sprite.mask[:h, :w]
    planes[0][y : y + h, x : x + w][mask] = sprite.luma[:h, :w][mask]
    for plane, value in zip(planes[1:], sprite.colour, strict=True):
        plane[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2][mask[::2, ::2]] = value


def make_glyphs(rng: Generator, letters: int, height: int) -> NDArray[np.float32]:
    """Something that looks like a word: strokes in boxes. (height, about letters * 0.8 * height) in 0..1."""
    side = max(4, int(height * 0.8))
    word = np.zeros((height, letters * side), np.float32)
    stroke = max(1, height // 6)
    for k in range(letters):
        box = word[:, k * side : (k + 1) * side - max(1, side // 5)]
        for chosen, area in zip(rng.random(5) < 0.6, _strokes(stroke, box.shape), strict=True):
            box[area] = max(float(chosen), float(box[area].max()) if box[area].size else 0.0)
    return word


def _strokes(s: int, shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    everything = slice(None)
    middle = slice(shape[0] // 2, shape[0] // 2 + s)
    return [
        (everything, slice(0, s)),
        (everything, slice(shape[1] - s, None)),
        (slice(0, s), everything),
        (slice(-s, None), everything),
        (middle, everything),
    ]


def make_logo(rng: Generator, size: tuple[int, int]) -> Overlay:
    """A channel's logo in a random corner, of random size, opacity and manner."""
    height = int(rng.uniform(0.055, 0.12) * size[1])
    glyphs = make_glyphs(rng, int(rng.integers(2, 5)), height)
    if rng.random() < 0.5:
        glyphs = np.maximum(glyphs, 0.5 * _disc(glyphs.shape))
    margin_x, margin_y = int(size[0] * rng.uniform(0.03, 0.08)), int(size[1] * rng.uniform(0.04, 0.1))
    x = margin_x if rng.random() < 0.5 else size[0] - margin_x - glyphs.shape[1]
    y = margin_y if rng.random() < 0.7 else size[1] - margin_y - height
    period = float(rng.uniform(6, 14)) if rng.random() < 0.15 else 0.0
    return Overlay(
        x, y, np.full(glyphs.shape, rng.choice([235, 235, 200]), np.uint8), np.asarray(glyphs * rng.uniform(0.4, 1.0), np.float32), period
    )


def _disc(shape: tuple[int, ...]) -> NDArray[np.float32]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    ring = ((rows - shape[0] / 2) / (shape[0] / 2)) ** 2 + ((columns - shape[1] / 2) / (shape[1] / 2)) ** 2
    return np.asarray((ring < 1) & (ring > 0.5), np.float32)


def make_caption(rng: Generator, size: tuple[int, int], scrolls: bool) -> Overlay:
    """A ticker along the bottom, or a still name plate or clock."""
    height = max(8, int(size[1] * 0.07))
    width = size[0] if scrolls else int(size[0] * rng.uniform(0.15, 0.5))
    glyphs = make_glyphs(rng, 3 * width // height, height - 2)
    luma = np.full((height, glyphs.shape[1] if scrolls else width), 40, np.uint8)
    luma[1:-1, : glyphs.shape[1]] += (glyphs * 180).astype(np.uint8)[:, : luma.shape[1]]
    x = 0 if scrolls else int(rng.uniform(0, size[0] - width))
    alpha = np.full((height, width), rng.uniform(0.7, 1.0), np.float32)
    return Overlay(x, size[1] - 2 * height, luma, alpha, scrolls_px_s=30.0 if scrolls else 0.0)


def draw_overlay(planes: Planes, overlay: Overlay, seconds: float) -> None:
    luma, alpha = overlay.luma, overlay.alpha
    if overlay.scrolls_px_s:
        luma = np.roll(luma, -int(seconds * overlay.scrolls_px_s), axis=1)[:, : alpha.shape[1]]
    if overlay.period_s:
        shown = np.abs(np.cos(np.pi * seconds / overlay.period_s)) if seconds % (3 * overlay.period_s) < overlay.period_s else 1.0
        columns = np.clip((np.arange(alpha.shape[1]) - alpha.shape[1] / 2) / max(shown, 0.1) + alpha.shape[1] / 2, 0, alpha.shape[1] - 1)
        alpha = alpha[:, columns.astype(int)]
    area = planes[0][overlay.y : overlay.y + alpha.shape[0], overlay.x : overlay.x + alpha.shape[1]]
    area[:] = (area * (1 - alpha) + luma[:, : alpha.shape[1]] * alpha).astype(np.uint8)


def make_card(rng: Generator, palette: Palette, size: tuple[int, int]) -> Planes:
    """A brand card or title card: a sign and two lines of words on a plain ground."""
    width, height = size
    luma = np.full((height, width), _tone(rng, palette), np.float32)
    luma += np.linspace(rng.uniform(-25, 25), rng.uniform(-25, 25), width)
    colour = np.repeat(np.repeat(_hue(rng, palette)[:, :, None], height, 1), width, 2).astype(np.float32)
    for share, top in ((0.28, 0.25), (0.1, 0.65)):
        glyphs = make_glyphs(rng, int(rng.integers(4, 9)), max(8, int(height * share)))[:, : width - 8]
        y, x = int(height * top), (width - glyphs.shape[1]) // 2
        area = luma[y : y + glyphs.shape[0], x : x + glyphs.shape[1]]
        area += glyphs * (120 if area.mean() < 125 else -110)
    return _planes(luma, colour)

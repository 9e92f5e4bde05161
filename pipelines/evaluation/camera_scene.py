"""Places a fixed camera looks at, and the people, cars and bags in them, drawn from a seed. Knows no time and no anomaly.

Coordinates are pixels of the recorded picture: x to the right, y downwards, an actor stands with the middle of its feet at (x, y).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # (H, W, 3) RGB in 0..255
Sprite = NDArray[Any]  # (h, w, 4) RGB in 0..255 and alpha in 0..1

SCENES = ("street", "pavement", "square", "corridor", "carpark")
SIZES_PX = ((320, 180), (320, 180), (320, 240), (384, 216), (480, 270), (640, 360))
RATES_HZ = (10, 10, 12, 15, 25)


@dataclass(frozen=True, slots=True)
class Path:
    """A way actors take. points: (K, 2); one_way: never walked backwards; spread_px: how far to the sides they stray."""

    points: NDArray[np.float64]
    actor: str  # car | walker
    per_minute: float
    speed_px_s: float
    spread_px: float
    one_way: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """One camera. `empty`: a spot's (x, y) that no actor ever comes near; `style`: how actors are drawn, 0..2."""

    name: str
    width_px: int
    height_px: int
    rate_hz: int
    background: Picture
    paths: tuple[Path, ...]
    walker_px: float  # height of a walker in the middle of the picture
    perspective: float  # 0 = all sizes equal, 0.6 = far ones much smaller
    empty: tuple[float, float]
    tree: tuple[int, int, int, int] | None  # x0, y0, x1, y1
    style: int
    night: bool
    noise: float  # standard deviation of the sensor's noise
    quality_crf: int
    pauses: float = 0.0  # share of walkers that stop for a few seconds
    red_light_s: float = 0.0  # cars stop this long, every minute, where 0 there is no traffic light

    def scale(self, y: float) -> float:
        return 1 - self.perspective * (1 - y / self.height_px)


def make_scene(seed: int, name: str | None = None) -> Scene:
    rng = np.random.default_rng([seed, 77])
    name = name or str(rng.choice(SCENES))
    width, height = SIZES_PX[int(rng.integers(len(SIZES_PX)))]
    night = bool(rng.random() < 0.2)
    walker = height * rng.uniform(0.10, 0.2) * (1.3 if name == "corridor" else 1.0)
    background, paths, empty = _LAYOUTS[name](rng, width, height, walker)
    tree = (int(width * 0.78), 0, width - 2, int(height * 0.3)) if name != "corridor" and rng.random() < 0.5 else None
    if tree:
        _plant(rng, background, tree)
    if night:
        background *= rng.uniform(0.3, 0.5)
    return Scene(
        name, width, height, int(rng.choice(RATES_HZ)), background.astype(np.float32), tuple(paths), walker,
        perspective=float(rng.choice([0, 0.3, 0.5])) if name in ("square", "pavement", "corridor") else 0.0,
        empty=empty, tree=tree, style=int(rng.integers(3)), night=night, noise=float(rng.uniform(1, 6)),
        quality_crf=int(rng.integers(23, 34)), pauses=float(rng.choice([0, 0.15, 0.3])),
        red_light_s=float(rng.choice([0, 0, 12])) if name == "street" else 0.0,
    )  # fmt: skip


def _ground(rng: np.random.Generator, width: int, height: int) -> Picture:
    """A tinted plane with texture at several grains."""
    base = np.full((height, width, 3), rng.uniform(70, 170), np.float32) + rng.uniform(-25, 25, 3).astype(np.float32)
    base += np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * rng.uniform(-25, 25)
    for grain in (4, 16, 64):
        rough = rng.normal(0, 1, (max(2, height // grain), max(2, width // grain), 1)).astype(np.float32)
        base += cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)[:, :, None] * rng.uniform(1, 9)
    return base + rng.normal(0, rng.uniform(0, 7), (height, width, 1)).astype(np.float32)


def _box(picture: Picture, x0: float, y0: float, x1: float, y1: float, colour: NDArray[np.float64]) -> None:
    picture[max(0, int(y0)) : max(0, int(y1)), max(0, int(x0)) : max(0, int(x1))] *= 0.15
    picture[max(0, int(y0)) : max(0, int(y1)), max(0, int(x0)) : max(0, int(x1))] += 0.85 * colour.astype(np.float32)


def _houses(rng: np.random.Generator, picture: Picture, to_y: float) -> None:
    """Walls with windows down to `to_y`."""
    width, x = picture.shape[1], 0.0
    while x < width:
        wide = width * rng.uniform(0.12, 0.35)
        _box(picture, x, 0, x + wide, to_y, rng.uniform(50, 200, 3))
        for window in np.arange(x + 4, x + wide - 8, max(10, wide / 5)):
            _box(picture, window, to_y * 0.25, window + 6, to_y * 0.6, rng.uniform(20, 90, 3))
        x += wide


def _plant(rng: np.random.Generator, picture: Picture, tree: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = tree
    leaves = rng.normal(0, 1, ((y1 - y0) // 3 + 1, (x1 - x0) // 3 + 1, 1)).astype(np.float32)
    rough = cv2.resize(leaves, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)[:, :, None]
    picture[y0:y1, x0:x1] = np.array([60, 100, 50], np.float32) + rough * np.array([20, 32, 16], np.float32)


Layout = tuple[Picture, list[Path], tuple[float, float]]


def _line(*points: tuple[float, float]) -> NDArray[np.float64]:
    return np.array(points, np.float64)


def _street(rng: np.random.Generator, width: int, height: int, walker: float) -> Layout:
    ground = _ground(rng, width, height)
    top, lane = height * rng.uniform(0.5, 0.58), height * rng.uniform(0.13, 0.17)
    lanes = int(rng.integers(1, 3))
    _houses(rng, ground, height * 0.3)
    _box(ground, 0, top, width, top + lane * 2 * lanes, np.full(3, rng.uniform(50, 100)))
    for x in range(0, width, 24):
        _box(ground, x, top + lane * lanes - 1, x + 12, top + lane * lanes + 1, np.full(3, 220.0))
    paths = []
    for k in range(2 * lanes):
        y = top + lane * (k + 0.85)
        ends = ((-60.0, y), (width + 60.0, y))
        paths.append(
            Path(_line(*(ends if k < lanes else ends[::-1])), "car", rng.uniform(3, 9) / lanes, width * rng.uniform(0.15, 0.35), 1.0, True)
        )
    y = height * 0.42
    paths.append(Path(_line((-20, y), (width + 20, y)), "walker", rng.uniform(1, 6), walker * rng.uniform(0.6, 1.0), height * 0.02, False))
    return ground, paths, (width * rng.uniform(0.2, 0.7), top + lane * lanes + 2)


def _pavement(rng: np.random.Generator, width: int, height: int, walker: float) -> Layout:
    ground = _ground(rng, width, height)
    _houses(rng, ground, height * 0.35)
    y0, y1 = height * rng.uniform(0.5, 0.6), height * rng.uniform(0.62, 0.72)
    _box(ground, 0, height * 0.8, width, height, np.array([50.0, 90.0, 45.0]))
    speed = walker * rng.uniform(0.6, 1.1)
    one_way = bool(rng.random() < 0.3)
    paths = [Path(_line((-20, y0), (width + 20, y0)), "walker", rng.uniform(3, 9), speed, height * 0.03, one_way)]
    paths.append(Path(_line((width + 20, y1), (-20, y1)), "walker", rng.uniform(2, 8), speed, height * 0.03, one_way))
    return ground, paths, (width * rng.uniform(0.15, 0.85), height * 0.93)


def _square(rng: np.random.Generator, width: int, height: int, walker: float) -> Layout:
    ground = _ground(rng, width, height)
    _houses(rng, ground, height * 0.2)
    paths = []
    doors = [
        (-20.0, height * 0.5),
        (width + 20.0, height * 0.6),
        (width * 0.3, height * 0.25),
        (width * 0.8, height + 40.0),
        (width * 0.2, height + 40.0),
    ]
    _box(ground, width * 0.45, height * 0.5, width * 0.6, height * 0.68, np.array([90.0, 120.0, 150.0]))
    for a in range(len(doors)):
        for b in range(a + 1, len(doors)):
            around = (
                (width * rng.uniform(0.3, 0.4), height * rng.uniform(0.4, 0.8))
                if rng.random() < 0.5
                else (width * 0.7, height * rng.uniform(0.4, 0.8))
            )
            paths.append(
                Path(
                    _line(doors[a], around, doors[b]), "walker", rng.uniform(0.3, 1.8), walker * rng.uniform(0.5, 0.9), height * 0.04, False
                )
            )
    return ground, paths, (width * 0.52, height * 0.64)


def _corridor(rng: np.random.Generator, width: int, height: int, walker: float) -> Layout:
    ground = _ground(rng, width, height)
    _box(ground, 0, 0, width * 0.2, height * 0.8, rng.uniform(120, 220, 3))
    _box(ground, width * 0.8, 0, width, height * 0.8, rng.uniform(120, 220, 3))
    _box(ground, width * 0.84, height * 0.25, width * 0.96, height * 0.75, rng.uniform(40, 110, 3))
    path = _line((width * 0.45, height * 0.3), (width * 0.4, height * 0.7), (width * 0.35, height + 50))
    speed = walker * rng.uniform(0.5, 0.9)
    door = _line((width * 0.8, height * 0.72), (width * 0.5, height * 0.8), (width * 0.55, height + 50))
    paths = [
        Path(path, "walker", rng.uniform(1, 6), speed, width * 0.04, False),
        Path(door, "walker", rng.uniform(0.5, 2), speed, 3, False),
    ]
    return ground, paths, (width * 0.1, height * 0.93)


def _carpark(rng: np.random.Generator, width: int, height: int, walker: float) -> Layout:
    ground = _ground(rng, width, height)
    for row in (0.32, 0.95):
        for x in np.arange(0.05, 0.9, 0.12):
            if rng.random() < 0.8:
                sprite = car_look(rng, walker * 1.9, 0, bool(rng.random() < 0.5))[0]
                blit(ground, sprite, width * x + walker, height * row)
    y = height * 0.62
    out = _line((-60, y), (width + 60, y))
    back = _line((width + 60, y + height * 0.14), (-60, y + height * 0.14))
    speed = width * rng.uniform(0.08, 0.2)
    paths = [Path(p, "car", rng.uniform(0.5, 2.5), speed, 2, True) for p in (out, back)]
    paths.append(
        Path(_line((-20, height * 0.45), (width + 20, height * 0.45)), "walker", rng.uniform(1, 4), walker * 0.8, height * 0.03, False)
    )
    return ground, paths, (width * rng.uniform(0.2, 0.8), height * 0.16)


_LAYOUTS = {"street": _street, "pavement": _pavement, "square": _square, "corridor": _corridor, "carpark": _carpark}


def walker_look(rng: np.random.Generator, height_px: float, style: int) -> list[Sprite]:
    """Four phases of a step. Style 0: a bar, 1: an ellipse and a head, 2: body, head, legs and arms."""
    h, w = max(6, round(height_px)), max(4, round(height_px * 0.5))
    coat, trousers, skin = (rng.uniform(10, 235, 3), rng.uniform(10, 160, 3), np.array([200.0, 160.0, 130.0]) * rng.uniform(0.4, 1.1))
    looks = []
    for phase in (0.0, 0.5, 1.0, 0.5):
        art = np.zeros((h * 4, w * 4, 4), np.float32)
        mid, swing = w * 2, int(phase * w * 0.8)
        if style == 0:
            cv2.rectangle(art, (w + swing // 3, 0), (w * 3 - swing // 3, h * 4), (*coat, 1), -1)
        elif style == 1:
            cv2.ellipse(art, (mid, round(h * 2.5)), (round(w * 1.1), round(h * 1.5)), 0, 0, 360, (*coat, 1), -1)
            cv2.circle(art, (mid, round(h * 0.5)), round(h * 0.45), (*skin, 1), -1)
        else:
            for side in (-1, 1):
                cv2.line(art, (mid, round(h * 2)), (mid + side * (swing + 1), h * 4 - 1), (*trousers, 1), max(1, round(w * 0.7)))
                cv2.line(art, (mid, round(h * 1.1)), (mid + side * (w - swing // 2), round(h * 2.1)), (*coat, 1), max(1, round(w * 0.4)))
            cv2.ellipse(art, (mid, round(h * 1.6)), (round(w * 0.75), round(h * 0.9)), 0, 0, 360, (*coat, 1), -1)
            cv2.circle(art, (mid, round(h * 0.4)), round(h * 0.38), (*skin, 1), -1)
        looks.append(cv2.resize(art, (w, h), interpolation=cv2.INTER_AREA))
    return looks


def car_look(rng: np.random.Generator, length_px: float, style: int, to_right: bool) -> list[Sprite]:
    """A car from the side (styles 1, 2) or a box (style 0)."""
    w, h = max(10, round(length_px)), max(6, round(length_px * rng.uniform(0.36, 0.5)))
    art = np.zeros((h * 4, w * 4, 4), np.float32)
    paint = rng.uniform(15, 240, 3)
    cv2.rectangle(art, (0, round(h * (0 if style == 0 else 1.4))), (w * 4, round(h * 3.6)), (*paint, 1), -1)
    if style:
        cabin = np.array([[w * 0.7, h * 1.5], [w * 1.2, 0], [w * 2.8, 0], [w * 3.4, h * 1.5]], np.int32)
        cv2.fillPoly(art, [cabin], (*(paint * 0.8), 1))
        cv2.rectangle(art, (round(w * 1.25), round(h * 0.3)), (round(w * 2.7), round(h * 1.3)), (60, 70, 80, 1), -1)
        for x in (0.9, 3.1):
            cv2.circle(art, (round(w * x), round(h * 3.3)), round(h * 0.7), (20, 20, 20, 1), -1)
    small = cv2.resize(art, (w, h), interpolation=cv2.INTER_AREA)
    return [small if to_right else small[:, ::-1]]


def bag_look(rng: np.random.Generator, size_px: float) -> list[Sprite]:
    h, w = max(4, round(size_px)), max(4, round(size_px * rng.uniform(0.9, 1.5)))
    bag = np.ones((h, w, 4), np.float32)
    bag[:, :, :3] = rng.uniform(0, 70, 3) if rng.random() < 0.6 else rng.uniform(160, 250, 3)
    bag[: h // 4, : w // 4, 3] = bag[: h // 4, -w // 4 :, 3] = 0
    return [bag]


def blit(picture: Picture, sprite: Sprite, x: float, y: float, shade: float = 1.0) -> None:
    """Draw with the middle of the feet at (x, y); parts outside the picture are cut off."""
    h, w = sprite.shape[:2]
    x0, y0 = round(x - w / 2), round(y - h)
    left, top = max(0, -x0), max(0, -y0)
    right, bottom = min(w, picture.shape[1] - x0), min(h, picture.shape[0] - y0)
    if left >= right or top >= bottom:
        return
    part = sprite[top:bottom, left:right]
    under = picture[y0 + top : y0 + bottom, x0 + left : x0 + right]
    alpha = part[:, :, 3:]
    under += alpha * (part[:, :, :3] * shade - under)


@dataclass(slots=True)
class Actor:
    """Somebody on the move. times_s: (K,); xy: (K, 2). size: 1 = as drawn. jitter_px: trembling, for a fight."""

    look: list[Sprite]
    times_s: NDArray[np.float64]
    xy: NDArray[np.float64]
    stride_s: float = 0.25
    jitter_px: float = 0.0
    lit: bool = False  # headlights on
    _scaled: dict[tuple[int, int], Sprite] = field(default_factory=dict)

    def at(self, time_s: float) -> tuple[float, float]:
        return float(np.interp(time_s, self.times_s, self.xy[:, 0])), float(np.interp(time_s, self.times_s, self.xy[:, 1]))

    def sprite(self, time_s: float, scale: float) -> Sprite:
        phase, step = int(time_s / self.stride_s) % len(self.look), max(1, round(scale * 10))
        if (phase, step) not in self._scaled:
            sprite = self.look[phase]
            size = (max(2, round(sprite.shape[1] * step / 10)), max(3, round(sprite.shape[0] * step / 10)))
            self._scaled[phase, step] = sprite if step == 10 else cv2.resize(sprite, size, interpolation=cv2.INTER_AREA)
        return self._scaled[phase, step]

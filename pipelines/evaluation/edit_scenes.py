"""Moving pictures made of nothing but numbers, for films whose edits are known. Knows colours and motion, no edits and no files.

A scene is a function of the seconds since it began that gives (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Scene = Callable[[float], Picture]
HEIGHT_PX, WIDTH_PX = 180, 320


def texture(rng: np.random.Generator, height: int, width: int, coarsest_px: int = 90) -> NDArray[np.float32]:
    """(height, width, 3) smooth to fine noise in a palette of its own, 0..255: what a landscape or an interior is to a detector."""
    cloud = np.zeros((height, width), np.float32)
    size, weight = coarsest_px, 1.0
    while size >= 3:
        cloud += weight * _stretched(rng.normal(size=(height // size + 2, width // size + 2)), size, height, width)
        size, weight = size // 2, weight * rng.uniform(0.4, 0.75)
    ranks = np.clip((cloud - cloud.min()) / (np.ptp(cloud) + 1e-6), 0, 1)
    palette = rng.uniform(0, 255, (4, 3)) * rng.uniform(0.5, 1)
    stops = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(ranks, stops, palette[:, c]) for c in range(3)], axis=-1).astype(np.float32)


def _stretched(coarse: NDArray[np.float64], size: int, height: int, width: int) -> NDArray[np.float32]:
    """Bilinear enlargement of a coarse grid by `size`."""
    y, x = np.arange(height) / size, np.arange(width) / size
    top, left = y.astype(int), x.astype(int)
    v, h = (y - top)[:, None], (x - left)[None, :]
    rows = coarse[top] * (1 - v) + coarse[top + 1] * v
    return np.asarray(rows[:, left] * (1 - h) + rows[:, left + 1] * h, np.float32)


def panned(rng: np.random.Generator, set_: NDArray[np.float32] | None = None, speed_px: float | None = None) -> Scene:
    """A camera that glides over a large picture."""
    big = texture(rng, HEIGHT_PX * 2, WIDTH_PX * 3) if set_ is None else set_
    pixels = big.astype(np.uint8)
    speed = rng.choice([0, 6, 20, 60]) if speed_px is None else speed_px
    angle, x0, y0 = rng.uniform(0, 6.3), rng.uniform(0, 1), rng.uniform(0, 1)

    def scene(t: float) -> Picture:
        y = _bounced(y0 * HEIGHT_PX + np.sin(angle) * speed * t / 3, big.shape[0] - HEIGHT_PX)
        x = _bounced(x0 * WIDTH_PX + np.cos(angle) * speed * t, big.shape[1] - WIDTH_PX)
        return pixels[y : y + HEIGHT_PX, x : x + WIDTH_PX]

    return scene


def _bounced(position: float, room: int) -> int:
    return int(abs((position + room) % (2 * room) - room)) if room > 0 else 0


def zoomed(rng: np.random.Generator, set_: NDArray[np.float32] | None = None) -> Scene:
    big = (texture(rng, HEIGHT_PX * 2, WIDTH_PX * 2) if set_ is None else set_).astype(np.uint8)
    rate, turned = rng.uniform(0.03, 0.2), rng.random() < 0.5

    def scene(t: float) -> Picture:
        scale = 1 + min(rate * t, 1)
        scale = 3 - scale if turned else scale
        y = ((np.arange(HEIGHT_PX) - HEIGHT_PX / 2) / scale + big.shape[0] / 2).astype(int)
        x = ((np.arange(WIDTH_PX) - WIDTH_PX / 2) / scale + big.shape[1] / 2).astype(int)
        return np.asarray(big[y][:, x])

    return scene


def shaken(rng: np.random.Generator) -> Scene:
    """A hand-held camera: two slow swings and a tremble."""
    big = texture(rng, HEIGHT_PX * 2, WIDTH_PX * 2).astype(np.uint8)
    swings = rng.uniform(0.3, 3.0, 4)
    reach = rng.uniform(4, 25)

    def scene(t: float) -> Picture:
        x = WIDTH_PX / 2 + reach * (np.sin(swings[0] * 6 * t) + 0.3 * np.sin(swings[1] * 25 * t))
        y = HEIGHT_PX / 2 + reach * (np.sin(swings[2] * 5 * t) + 0.3 * np.sin(swings[3] * 21 * t)) / 2
        return big[int(y) : int(y) + HEIGHT_PX, int(x) : int(x) + WIDTH_PX]

    return scene


@dataclass(frozen=True, slots=True)
class Body:
    """An ellipse or a box that moves along a line and swings."""

    colour: NDArray[np.float64]
    centre: tuple[float, float]
    half: tuple[float, float]
    velocity: tuple[float, float]
    swing_hz: float
    is_round: bool


def bodies(rng: np.random.Generator, count: int, speed_px: float, size_px: tuple[float, float] = (8, 40)) -> list[Body]:
    return [
        Body(
            colour=rng.uniform(0, 255, 3),
            centre=(rng.uniform(0, HEIGHT_PX), rng.uniform(0, WIDTH_PX)),
            half=(rng.uniform(*size_px), rng.uniform(*size_px)),
            velocity=(rng.normal(0, speed_px / 3), rng.normal(0, speed_px)),
            swing_hz=rng.uniform(0.2, 1.5),
            is_round=rng.random() < 0.6,
        )
        for _ in range(count)
    ]


def peopled(ground: Scene, moving: list[Body]) -> Scene:
    """Bodies in front of a scene; they re-enter on the other side."""

    def scene(t: float) -> Picture:
        picture = np.array(ground(t))
        for body in moving:
            _paint(picture, body, t)
        return picture

    return scene


def _paint(picture: Picture, body: Body, t: float) -> None:
    height, width = picture.shape[:2]
    (h, w), swing = body.half, 3 * np.sin(6.28 * body.swing_hz * t)
    y = (body.centre[0] + body.velocity[0] * t + swing + h) % (height + 2 * h) - h
    x = (body.centre[1] + body.velocity[1] * t + w) % (width + 2 * w) - w
    rows = np.arange(max(0, int(y - h)), min(height, int(y + h)))
    columns = np.arange(max(0, int(x - w)), min(width, int(x + w)))
    if not len(rows) or not len(columns):
        return
    part = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if body.is_round:
        part[((rows - y) / h)[:, None] ** 2 + ((columns - x) / w)[None] ** 2 <= 1] = body.colour
    else:
        part[:] = body.colour


def gradient(rng: np.random.Generator) -> Scene:
    corners = rng.uniform(0, 255, (2, 2, 3))
    v, h = np.linspace(0, 1, HEIGHT_PX)[:, None, None], np.linspace(0, 1, WIDTH_PX)[None, :, None]
    picture = (
        corners[0, 0] * (1 - v) * (1 - h) + corners[0, 1] * (1 - v) * h + corners[1, 0] * v * (1 - h) + corners[1, 1] * v * h
    ).astype(np.uint8)
    return lambda t: picture


def cartoon(rng: np.random.Generator) -> Scene:
    """Flat colours, nothing moves but one mouth, and only eight times a second."""
    still = peopled(gradient(rng), bodies(rng, 12, 0))(0.0)
    mouth = bodies(rng, 1, 0, (4, 10))
    talking = peopled(lambda t: still, mouth)
    return lambda t: talking(np.floor(8 * t) / 8)


def talk(rng: np.random.Generator, set_: NDArray[np.float32]) -> Scene:
    """A head and shoulders before a part of a set; other calls with the same set are other camera angles."""
    height, width = set_.shape[:2]
    y, x = int(rng.integers(0, height - HEIGHT_PX)), int(rng.integers(0, width - WIDTH_PX))
    ground = set_[y : y + HEIGHT_PX, x : x + WIDTH_PX].astype(np.uint8)
    middle, skin = rng.uniform(80, 240), np.array([rng.uniform(120, 230), rng.uniform(90, 170), rng.uniform(70, 140)])
    head = Body(skin, (rng.uniform(60, 90), middle), (rng.uniform(28, 45), rng.uniform(20, 34)), (0, 0), rng.uniform(0.1, 0.5), True)
    coat = Body(rng.uniform(0, 200, 3), (175, middle), (60, rng.uniform(50, 80)), (0, 0), 0.1, True)
    return peopled(lambda t: ground, [coat, head])


def credits(rng: np.random.Generator) -> Scene:
    """Bright lines of words scrolling up a dark ground."""
    page = np.full((HEIGHT_PX * 6, WIDTH_PX, 3), rng.integers(0, 20), np.uint8)
    for top in range(0, len(page) - 12, 16):
        for left in range(60, 250, 14):
            if rng.random() < 0.6:
                page[top : top + 9, left : left + int(rng.integers(3, 12))] = 230
    speed = rng.uniform(20, 60)
    return lambda t: np.roll(page, -int(speed * t), axis=0)[:HEIGHT_PX]


def split(left: Scene, right: Scene) -> Scene:
    half = WIDTH_PX // 2
    return lambda t: np.hstack([left(t)[:, half // 2 : half // 2 + half], right(t)[:, half // 2 : half // 2 + half]])


def dimmed(scene: Scene, gain: float) -> Scene:
    return lambda t: (scene(t) * gain).astype(np.uint8)


def any_scene(rng: np.random.Generator) -> Scene:
    """One of many kinds, drawn at random."""
    kinds: list[Callable[[], Scene]] = [
        lambda: panned(rng),
        lambda: zoomed(rng),
        lambda: shaken(rng),
        lambda: peopled(gradient(rng), bodies(rng, int(rng.integers(2, 10)), rng.uniform(5, 120))),
        lambda: peopled(panned(rng, speed_px=0), bodies(rng, int(rng.integers(3, 25)), rng.uniform(10, 200))),
        lambda: peopled(panned(rng, speed_px=10), bodies(rng, 2, rng.uniform(100, 300), (40, 80))),
        lambda: cartoon(rng),
        lambda: credits(rng),
        lambda: dimmed(any_scene(rng), rng.uniform(0.1, 0.3)),
        lambda: split(panned(rng), peopled(gradient(rng), bodies(rng, 5, 60))),
    ]
    return kinds[int(rng.integers(len(kinds)))]()

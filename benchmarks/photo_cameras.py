"""Cameras over photographs, with people cut from real footage: material that no tuning of the anomalies task has touched.

python -m benchmarks.photo_cameras FOLDER [--seeds 0-5] [--minutes 7] needs Debian's package opencv-doc; benchmarks.anomalies --photos
judges what lies in FOLDER. Other scenes, sizes, rates and codecs than pipelines.evaluation.camera, and kinds of its own (animal, thing).
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.evaluation.camera import Happening, Truth
from pipelines.evaluation.camera_scene import Picture, Sprite, blit

PHOTOS = Path("/usr/share/doc/opencv-doc/examples/data")
PLACES = ("vtest.avi", "building.jpg", "leuvenA.jpg", "home.jpg", "left12.jpg", "basketball1.png")
THINGS = ("box.png", "fruits.jpg", "cards.png", "chicky_512.png", "butterfly.jpg")
ANIMALS = ("baboon.jpg", "squirrel_cls.jpg", "HappyFish.jpg")
FORMATS = (  # width, height, pictures a second, codec and how it is set
    (352, 288, 8, "mpeg4", {"qmin": "9", "qmax": "14"}),
    (426, 240, 12, "libx264", {"crf": "36", "preset": "veryfast"}),
    (704, 576, 6, "libx264", {"crf": "27", "preset": "veryfast"}),
    (848, 480, 6, "libx265", {"crf": "34", "preset": "ultrafast", "x265-params": "log-level=none"}),
    (240, 180, 10, "mjpeg", {"qmin": "6", "qmax": "10"}),
    (640, 360, 12, "libx264", {"crf": "30", "preset": "superfast", "bf": "2"}),
)
KINDS = (
    "blackout", "freeze", "defocus", "moved", "wrong_way", "fast", "stopped", "intrusion", "loiter", "abandoned",
    "agitation", "crowd", "fire", "animal", "thing",
)  # fmt: skip
ORDINARY = ("light_step", "rain", "headlights", "cloud", "gain")
LASTS_S = {"loiter": (40, 80), "abandoned": (35, 70), "stopped": (20, 50), "crowd": (20, 45), "thing": (15, 40), "freeze": (6, 25)}
BLUR, DARK = (1.5, 3.0), (0.0, 0.12)
FIRST_S = 95.0  # nothing unusual before
Way = Callable[[float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Walk:
    """One on the move. looks: sprites, shown one each look_s; from start_s to end_s at way(time)."""

    looks: list[Sprite]
    look_s: float
    start_s: float
    end_s: float
    way: Way


@dataclass(frozen=True, slots=True)
class Lane:
    """A way across the picture: ends in pixels, speed in pixels a second, who goes there and how often a minute, and whether both ways."""

    ends: tuple[NDArray[np.float64], NDArray[np.float64]]
    speed: float
    cars: bool
    per_minute: float
    both_ways: bool


@dataclass(slots=True)
class Place:
    """One camera."""

    ground: Picture
    lanes: list[Lane]
    tall: float  # height of a person, pixels
    empty: NDArray[np.float64]  # far from every lane
    noise: float
    people: list[list[Sprite]]
    walks: list[Walk] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)
    ordinary: list[Happening] = field(default_factory=list)
    fires: list[tuple[TimeSpan, NDArray[np.float64]]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="0-5")
    parser.add_argument("--minutes", type=float, default=7.0)
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    options.folder.mkdir(parents=True, exist_ok=True)
    people = cut_people(PHOTOS / "vtest.avi")
    for seed in range(int(first), int(last or first) + 1):
        for take, minutes in ((0, options.minutes), (2, options.minutes / 2)):
            path = options.folder / f"f{seed}_{take}.mkv"
            path.with_suffix(".pkl").write_bytes(pickle.dumps(make(path, seed, minutes, people, take)))


def make(path: Path, seed: int, minutes: float, people: list[list[Sprite]], take: int) -> Truth:
    """Take 0 has events, any other take of the same seed is the camera's ordinary life."""
    width, height, rate, codec, options = FORMATS[seed % len(FORMATS)]
    place = make_place(np.random.default_rng([seed, 9]), width, height, people, PLACES[(seed * 5 + seed // 6) % len(PLACES)])
    rng = np.random.default_rng([seed, take, 11])
    _traffic(rng, place, minutes * 60)
    if take == 0:
        _plan(rng, place, minutes * 60)
    with av.open(str(path), "w") as out:
        stream = cast("av.VideoStream", out.add_stream(codec, rate=rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count, stream.codec_context.time_base = 1, Fraction(1, rate)
        for n, picture in enumerate(_pictures(rng, place, minutes * 60, rate)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = n
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return Truth(f"photo {seed} {width}x{height} {codec}", minutes * 60, FIRST_S - 5, tuple(place.events), tuple(place.ordinary))


def cut_people(film: Path) -> list[list[Sprite]]:
    """Walking people as sprites: what stands out from a real street's median picture, followed for two seconds at least."""
    with av.open(str(film)) as container:
        pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
    ground = np.median(np.stack(pictures[::10]), axis=0).astype(np.int16)
    open_ends: list[tuple[NDArray[np.float64], list[Sprite]]] = []
    done: list[list[Sprite]] = []
    for picture in pictures[::2]:
        found = _cut_outs(picture, ground)
        kept = []
        for at, sprites in open_ends:
            near = [
                k for k, (xy, cut) in enumerate(found) if np.abs(xy - at).max() < 25 and 0.7 < cut.shape[0] / sprites[-1].shape[0] < 1.4
            ]
            if near:
                xy, cut = found.pop(near[0])
                kept.append((xy, [*sprites, cut]))
            else:
                done.append(sprites)
        open_ends = kept + [(xy, [cut]) for xy, cut in found]
    return [sprites for sprites in (*done, *(s for _, s in open_ends)) if len(sprites) >= 10]


def _cut_outs(picture: NDArray[np.uint8], ground: NDArray[np.int16]) -> list[tuple[NDArray[np.float64], Sprite]]:
    away = np.abs(picture.astype(np.int16) - ground).max(axis=2)
    mask = cv2.morphologyEx((away > 30).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8))
    _, labels, stats, middles = cv2.connectedComponentsWithStats(mask)
    found = []
    for k, (x, y, w, h, area) in enumerate(stats[1:].tolist(), 1):
        if 600 < area < 8000 and 1.7 < h / w < 4 and x > 2 and y > 2 and x + w < picture.shape[1] - 2:
            alpha = cv2.blur((labels[y : y + h, x : x + w] == k).astype(np.float32), (3, 3))
            found.append((middles[k], np.dstack([picture[y : y + h, x : x + w].astype(np.float32), alpha])))
    return found


def make_place(rng: np.random.Generator, width: int, height: int, people: list[list[Sprite]], photo: str) -> Place:
    ground = _photo(photo, width, height)
    shade = rng.uniform(0.5, 1.0)  # the ground that people walk on: the photo, toned down so that they show
    ground[height // 3 :] = ground[height // 3 :] * (0.4 * shade) + rng.uniform(50, 110) * (1 - 0.4 * shade)
    tall = height * rng.uniform(0.11, 0.2)
    middle, slope = rng.uniform(0.55, 0.75) * height, rng.uniform(-0.12, 0.12) * height
    lanes = []
    if rng.random() < 0.55:
        pace = width * rng.uniform(0.12, 0.3)
        for k in (0, 1):
            ends = (np.array([-tall * 2, middle - slope + k * tall * 0.9]), np.array([width + tall * 2, middle + slope + k * tall * 0.9]))
            lanes.append(Lane(ends if k else ends[::-1], pace, True, rng.uniform(2, 7), False))
    for _ in range(int(rng.integers(1, 4))):
        y0, y1 = rng.uniform(0.42, 0.6, 2) * height
        ends = (np.array([-tall, y0]), np.array([width + tall, y1]))
        if rng.random() < 0.3:
            ends = (np.array([width * rng.uniform(0.2, 0.8), height * 0.4]), np.array([width * rng.uniform(0.2, 0.8), height + tall]))
        lanes.append(Lane(ends, tall * rng.uniform(0.5, 1.0), False, rng.uniform(1, 7), bool(rng.random() < 0.7)))
    spots = rng.uniform([0.1, 0.4], [0.9, 0.95], (60, 2)) * [width, height]
    empty = spots[int(np.argmax([min(_to_lane(spot, lane) for lane in lanes) for spot in spots]))]
    return Place(ground.astype(np.float32), lanes, tall, empty, float(rng.uniform(0.5, 5)), people)


def _photo(name: str, width: int, height: int) -> Picture:
    if name.endswith(".avi"):
        with av.open(str(PHOTOS / name)) as container:
            frames = [np.asarray(f.to_ndarray(format="rgb24"), np.float32) for n, f in enumerate(container.decode(video=0)) if n % 16 == 0]
        picture = np.median(np.stack(frames), axis=0)
    else:
        photo = cv2.imread(str(PHOTOS / name))
        assert photo is not None, f"{PHOTOS / name} is missing: apt-get install opencv-doc"
        picture = np.asarray(photo[:, :, ::-1], np.float32)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _to_lane(spot: NDArray[np.float64], lane: Lane) -> float:
    a, b = lane.ends
    share = np.clip(np.dot(spot - a, b - a) / np.dot(b - a, b - a), 0, 1)
    return float(np.hypot(*(spot - a - share * (b - a))))


def _sized(sprite: Sprite, high: float) -> Sprite:
    h = max(5, round(high))
    return cv2.resize(sprite, (max(3, round(sprite.shape[1] * h / sprite.shape[0])), h), interpolation=cv2.INTER_AREA)


def _person(rng: np.random.Generator, place: Place) -> list[Sprite]:
    sprites = place.people[int(rng.integers(len(place.people)))]
    flip = slice(None, None, int(rng.choice([-1, 1])))
    high = place.tall * rng.uniform(0.85, 1.15)
    there = [_sized(s[:, flip], high) for s in sprites[:24]]
    return there + there[::-1]


def _car(rng: np.random.Generator, place: Place) -> list[Sprite]:
    long, high = place.tall * rng.uniform(1.5, 2.4), place.tall * rng.uniform(0.6, 0.9)
    art = np.zeros((80, 200, 4), np.float32)
    paint = rng.uniform(20, 235, 3)
    cv2.fillPoly(art, [np.array([[5, 70], [5, 40], [50, 36], [75, 8], [150, 8], [175, 38], [196, 44], [196, 70]])], (*paint, 1))
    cv2.fillPoly(art, [np.array([[60, 36], [80, 12], [145, 12], [165, 36]])], (50, 60, 75, 1))
    art[:, :, :3] *= np.linspace(1.15, 0.7, 80, dtype=np.float32)[:, None, None]
    for x in (45, 155):
        cv2.circle(art, (x, 68), 12, (25, 25, 25, 1), -1)
    return [cv2.resize(art, (round(long), round(high)), interpolation=cv2.INTER_AREA)]


def _along(lane: Lane, start_s: float, speed: float, offset: NDArray[np.float64], backwards: bool) -> tuple[Way, float]:
    a, b = lane.ends[::-1] if backwards else lane.ends
    lasts_s = float(np.hypot(*(b - a)) / speed)
    return lambda t: tuple(a + (b - a) * ((t - start_s) / lasts_s) + offset), lasts_s


def _goes(rng: np.random.Generator, place: Place, lane: Lane, start_s: float, factor: float = 1.0, wrong: bool = False) -> Walk:
    backwards = wrong if not lane.both_ways else bool(rng.random() < 0.5)
    offset = rng.normal(0, 0.01 if lane.cars else 0.08, 2) * place.tall
    way, lasts_s = _along(lane, start_s, lane.speed * factor * rng.uniform(0.85, 1.15), offset, backwards)
    looks = _car(rng, place) if lane.cars else _person(rng, place)
    if lane.cars and way(start_s)[0] > way(start_s + 1)[0]:
        looks = [look[:, ::-1] for look in looks]
    return Walk(looks, 0.2 / factor, start_s, start_s + lasts_s, way)


def _traffic(rng: np.random.Generator, place: Place, end_s: float) -> None:
    for lane in place.lanes:
        t = -15.0
        while (t := t + max(2.5 if lane.cars else 0.3, rng.exponential(60 / lane.per_minute))) < end_s:
            place.walks.append(_goes(rng, place, lane, t))


def _plan(rng: np.random.Generator, place: Place, end_s: float) -> None:
    t, kinds = FIRST_S, list[str]()
    while True:
        kinds = kinds or list(rng.permutation([*KINDS, *ORDINARY]))
        kind = str(kinds.pop())
        lasts_s = float(rng.uniform(*LASTS_S.get(kind, (8, 25))))
        if t + lasts_s + 10 > end_s:
            return
        if kind in ORDINARY:
            place.ordinary.append(Happening(kind, TimeSpan(t, t + lasts_s)))
        elif (lasts_s := _stage(kind, rng, place, t, lasts_s)) > 0:
            place.events.append(Happening(kind, TimeSpan(t, t + lasts_s)))
        t += lasts_s + rng.uniform(12, 40)


def _stage(kind: str, rng: np.random.Generator, place: Place, start_s: float, lasts_s: float) -> float:
    """Add one event's actors; returns how long it lasts, 0 where this place cannot have it."""
    end_s, tall = start_s + lasts_s, place.tall
    one_way = [lane for lane in place.lanes if not lane.both_ways]
    cars = [lane for lane in place.lanes if lane.cars]
    lane = place.lanes[int(rng.integers(len(place.lanes)))]
    share = rng.uniform(0.25, 0.75)
    spot = np.clip(lane.ends[0] * (1 - share) + lane.ends[1] * share, tall * 1.2, np.array(place.ground.shape[1::-1]) - tall * 0.3)

    def stays(looks: list[Sprite], at: NDArray[np.float64], sway: float, pace: float, look_s: float = 0.2) -> None:
        phase = rng.uniform(0, 6, 2)

        def way(t: float) -> tuple[float, float]:
            x, y = at + sway * np.sin(pace * (t - start_s) * np.array([1.0, 0.63]) + phase) * [1, 0.35]
            return float(x), float(y)

        place.walks.append(Walk(looks, look_s, start_s, end_s, way))

    if kind in ("wrong_way", "fast"):
        ways = one_way if kind == "wrong_way" else place.lanes
        if not ways:
            return 0.0
        walk = _goes(
            rng,
            place,
            ways[int(rng.integers(len(ways)))],
            start_s,
            1.0 if kind == "wrong_way" else rng.uniform(2.3, 3.5),
            kind == "wrong_way",
        )
        place.walks.append(walk)
        return walk.end_s - walk.start_s
    if kind == "stopped":
        if not cars:
            return 0.0
        way, _ = _along(cars[0], 0.0, cars[0].speed, np.zeros(2), False)
        halt_s = float(rng.uniform(0.35, 0.65) * np.hypot(*(cars[0].ends[1] - cars[0].ends[0])) / cars[0].speed)

        def halted(t: float) -> tuple[float, float]:
            return way(halt_s + min(0.0, t - start_s) + max(0.0, t - end_s))

        place.walks.append(Walk(_car(rng, place), 1.0, start_s - halt_s, end_s + 10, halted))
    elif kind == "intrusion":
        stays(_person(rng, place), place.empty, tall * 0.6, 0.5)
    elif kind == "loiter":
        stays(_person(rng, place), spot, tall * 0.5, 0.3)
    elif kind == "abandoned":
        bag = np.ones((20, 28, 4), np.float32)
        bag[:, :, :3] = rng.uniform(0, 60, 3) if rng.random() < 0.6 else rng.uniform(170, 250, 3)
        bag[:5, :8, 3] = bag[:5, -8:, 3] = 0
        stays([_sized(bag, tall * rng.uniform(0.25, 0.4))], spot, 0.0, 1.0)
    elif kind == "agitation":
        for _ in range(int(rng.integers(3, 5))):
            stays(_person(rng, place), spot + rng.normal(0, 0.2, 2) * tall, tall * 0.4, float(rng.uniform(6, 11)), 0.08)
    elif kind == "crowd":
        for _ in range(int(rng.integers(7, 12))):
            stays(_person(rng, place), spot + rng.normal(0, [1.5, 0.3]) * tall, tall * 0.3, 0.4)
    elif kind == "fire":
        place.fires.append((TimeSpan(start_s, end_s), spot))
    elif kind in ("animal", "thing"):
        names = ANIMALS if kind == "animal" else THINGS
        stays(
            [_cut_photo(names[int(rng.integers(len(names)))], tall * rng.uniform(0.6, 1.1))],
            spot,
            tall * (0.8 if kind == "animal" else 0),
            0.8,
        )
    return lasts_s


def _cut_photo(name: str, high: float) -> Sprite:
    """A photo's middle as an oval."""
    photo = _photo(name, 80, 80)
    alpha = np.zeros((80, 80, 1), np.float32)
    cv2.ellipse(alpha, (40, 40), (38, 38), 0, 0, 360, 1.0, -1)
    return _sized(np.dstack([photo, alpha]), high)


def _pictures(rng: np.random.Generator, place: Place, end_s: float, rate: int) -> Iterator[NDArray[np.uint8]]:
    height, width = place.ground.shape[:2]
    waiting, active = sorted(place.walks, key=lambda w: -w.start_s), list[Walk]()
    grains = [rng.normal(0, place.noise, (height, width, 1)).astype(np.float32) for _ in range(9)]
    lens = _Lens(rng, place)
    last: NDArray[np.uint8] | None = None
    for n in range(round(end_s * rate)):
        t = n / rate
        while waiting and waiting[-1].start_s <= t:
            active.append(waiting.pop())
        active = [w for w in active if w.end_s > t]
        if last is None or not lens.on("freeze", t):
            picture = place.ground.copy()
            for walk in sorted(active, key=lambda w: w.way(t)[1]):
                blit(picture, walk.looks[int((t - walk.start_s) / walk.look_s) % len(walk.looks)], *walk.way(t))
            for span, (x, y) in place.fires:
                for _ in range(7 if span.start_s <= t < span.end_s else 0):
                    size, up = rng.uniform(0.1, 0.3) * place.tall, abs(rng.normal(0, 0.35)) * place.tall
                    colour = (255.0, float(rng.uniform(90, 210)), float(rng.uniform(0, 60)))
                    cv2.circle(picture, (round(x + rng.normal(0, 0.2) * place.tall), round(y - up)), max(1, round(size)), colour, -1)
            last = np.clip(lens(picture, t, grains[int(rng.integers(9))]), 0, 255).astype(np.uint8)
        yield last


class _Lens:
    """Weather, light and the camera's own troubles."""

    def __init__(self, rng: np.random.Generator, place: Place) -> None:
        self.rng, self.place = rng, place
        self.blur, self.dark, self.step = rng.uniform(*BLUR), rng.uniform(*DARK), rng.choice([-1, 1]) * rng.uniform(0.15, 0.3)
        self.turn_deg, self.shift = rng.uniform(2, 6), rng.choice([-1, 1], 2) * rng.uniform(0.03, 0.1, 2)
        self.drift = rng.uniform(0, 0.12), rng.uniform(150, 900)
        self.slant = int(rng.integers(-3, 4))

    def on(self, kind: str, t: float) -> TimeSpan | None:
        return next(
            (h.span for h in (*self.place.events, *self.place.ordinary) if h.kind == kind and h.span.start_s <= t < h.span.end_s), None
        )

    def __call__(self, picture: Picture, t: float, grain: Picture) -> Picture:
        height, width = picture.shape[:2]
        light = 1 + self.drift[0] * np.sin(2 * np.pi * t / self.drift[1])
        if self.on("light_step", t):
            light *= 1 + self.step
        if cloud := self.on("cloud", t):  # its shadow goes across the picture
            edge = ((t - cloud.start_s) / cloud.duration_s * 2.4 - 0.7) * width
            picture *= (1 - 0.3 * np.exp(-(((np.arange(width) - edge) / (0.5 * width)) ** 4)))[None, :, None].astype(np.float32)
        if lamps := self.on("headlights", t):
            x = ((t - lamps.start_s) / 5 % 1) * 1.4 - 0.2
            far = ((np.arange(width) / width - x) / 0.12)[None] ** 2 + ((np.arange(height) / height - 0.62) / 0.16)[:, None] ** 2
            picture += np.asarray(75 * np.clip(1 - far, 0, 1), np.float32)[:, :, None]
        if self.on("rain", t):
            long = max(3, height // 22)
            for x, y in zip(self.rng.integers(width, size=70).tolist(), self.rng.integers(height, size=70).tolist(), strict=True):
                cv2.line(picture, (x, y), (x + self.slant, y + long), (190, 190, 195), 1)
        if self.on("moved", t):
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), self.turn_deg, 1.0)
            turn[:, 2] += np.asarray(self.shift * [width, height], np.float64)
            picture = np.asarray(cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.float32)
        if self.on("defocus", t):
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self.blur * width / 320), np.float32)
        if self.on("blackout", t):
            light = self.dark
        return picture * np.float32(light) + grain * (2.0 if self.on("gain", t) else 1.0)


if __name__ == "__main__":
    main()

"""Fixed-camera footage with ground truth, made from a seed. Knows how anomalies look, nothing of how they are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path as FilePath

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.evaluation.camera_scene import Actor, Path, Picture, Scene, bag_look, blit, car_look, make_scene, walker_look

HEALTH = ("blackout", "freeze", "defocus", "moved")
ON_FOOT = ("intrusion", "loiter", "abandoned", "agitation", "fire", "crowd")
EVENTS = {
    "street": (*HEALTH, "wrong_way", "fast", "stopped", "fire", "intrusion", "abandoned", "agitation", "loiter"),
    "pavement": (*HEALTH, "fast", *ON_FOOT),
    "square": (*HEALTH, "fast", *ON_FOOT),
    "corridor": (*HEALTH, "fast", "intrusion", "loiter", "abandoned", "agitation"),
    "carpark": (*HEALTH, "wrong_way", "fast", "stopped", "fire", "loiter", "abandoned", "agitation"),
}
DISTRACTIONS = ("light_step", "rain", "cloud", "headlights", "gusts")
LASTS_S = {  # shortest and longest
    "blackout": (4, 25),
    "freeze": (5, 30),
    "defocus": (8, 40),
    "moved": (8, 40),
    "fire": (12, 45),
    "intrusion": (8, 25),
    "loiter": (40, 90),
    "abandoned": (35, 90),
    "agitation": (10, 30),
    "stopped": (20, 60),
    "crowd": (20, 50),
    "light_step": (20, 60),
    "rain": (25, 60),
    "cloud": (20, 60),
    "headlights": (15, 40),
    "gusts": (20, 40),
}


@dataclass(frozen=True, slots=True)
class Happening:
    kind: str
    span: TimeSpan


@dataclass(frozen=True, slots=True)
class Truth:
    """What is in a recording. events: to be found; distractions: not to be found. Nothing unusual before `warm_up_s`."""

    scene: str
    duration_s: float
    warm_up_s: float
    events: tuple[Happening, ...]
    distractions: tuple[Happening, ...]


@dataclass(slots=True)
class _Script:
    """Everything that will happen, before a picture is drawn."""

    actors: list[Actor] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)
    distractions: list[Happening] = field(default_factory=list)
    fires: list[tuple[TimeSpan, float, float, float]] = field(default_factory=list)  # when, x, y, size


def make_camera(
    path: FilePath, seed: int, minutes: float, scene: str | None = None, *, events: bool = True, take: int = 0, warm_up_s: float = 180.0
) -> Truth:
    """Record one camera to `path` (the suffix names the container) as H.264 and tell what happens in it.

    `seed` (and `scene`) make the camera; `take` makes another recording of the same one. Without `events` everything is normal,
    distractions too are left out then.
    """
    place = make_scene(seed, scene)
    rng = np.random.default_rng([seed, take])
    script = _Script()
    _traffic(rng, place, script, minutes * 60)
    if events:
        _plan(rng, place, script, warm_up_s, minutes * 60)
    script.actors.sort(key=lambda a: a.times_s[0])
    _record(path, rng, place, script, minutes * 60)
    return Truth(place.name, minutes * 60, warm_up_s, tuple(script.events), tuple(script.distractions))


def _walk(
    path: Path, rng: np.random.Generator, start_s: float, speed: float, pause_s: float = 0.0, backwards: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times and points along a way, strayed sideways, perhaps with a halt somewhere."""
    points = (path.points[::-1] if backwards else path.points) + rng.uniform(-path.spread_px, path.spread_px, 2)
    lengths = np.hypot(*np.diff(points, axis=0).T)
    times = start_s + np.concatenate([[0], np.cumsum(lengths)]) / speed
    if pause_s <= 0:
        return times, points
    halt_s = rng.uniform(times[0] + 0.2 * (times[-1] - times[0]), times[-1] - 0.2 * (times[-1] - times[0]))
    here = np.array([np.interp(halt_s, times, points[:, k]) for k in (0, 1)])
    at = int(np.searchsorted(times, halt_s))
    return np.concatenate([times[:at], [halt_s, halt_s + pause_s], times[at:] + pause_s]), np.concatenate(
        [points[:at], [here, here], points[at:]]
    )


def _someone(
    rng: np.random.Generator, place: Scene, path: Path, start_s: float, factor: float = 1.0, pause_s: float = 0.0, wrong: bool = False
) -> Actor:
    backwards = wrong if path.one_way else bool(rng.random() < 0.5)
    speed = path.speed_px_s * factor * rng.uniform(0.8, 1.2)
    times, xy = _walk(path, rng, start_s, speed, pause_s, backwards)
    if path.actor == "car":
        look = car_look(rng, place.walker_px * rng.uniform(1.6, 2.6), place.style, bool(xy[-1, 0] > xy[0, 0]))
        return Actor(look, times, xy, lit=place.night)
    return Actor(walker_look(rng, place.walker_px * rng.uniform(0.85, 1.15), place.style), times, xy, stride_s=0.25 / factor)


def _traffic(rng: np.random.Generator, place: Scene, script: _Script, duration_s: float) -> None:
    for path in place.paths:
        t, free_s = -20.0, -1e9
        while (t := t + rng.exponential(60 / path.per_minute)) < duration_s:
            pause = rng.uniform(2, 7) if path.actor == "walker" and rng.random() < place.pauses else 0.0
            if path.actor == "car":
                t = max(t, free_s + 2.0)
                free_s = t
            actor = _someone(rng, place, path, t, pause_s=pause)
            if path.actor == "car" and place.red_light_s:
                _stop_at_red(actor, place)
            script.actors.append(actor)


def _stop_at_red(actor: Actor, place: Scene) -> None:
    """Cars due at the stop line in the first part of each minute wait there until it is over."""
    line = place.width_px * (0.4 if actor.xy[-1, 0] > actor.xy[0, 0] else 0.6)
    forward = actor.xy[-1, 0] > actor.xy[0, 0]
    order = slice(None) if forward else slice(None, None, -1)
    due_s = float(np.interp(line, actor.xy[order, 0], actor.times_s[order]))
    left_s = place.red_light_s - due_s % 60
    if left_s > 0.5:
        actor.xy = np.array([actor.xy[0], [line, actor.xy[0, 1]], [line, actor.xy[0, 1]], actor.xy[-1]])
        actor.times_s = np.array([actor.times_s[0], due_s, due_s + left_s, actor.times_s[-1] + left_s])


def _plan(rng: np.random.Generator, place: Scene, script: _Script, start_s: float, end_s: float) -> None:
    """Events and distractions one after the other with quiet between them, every kind once before one comes again."""
    kinds: list[str] = []
    t = start_s + rng.uniform(5, 20)
    while True:
        if not kinds:
            kinds = list(rng.permutation([*EVENTS[place.name], *DISTRACTIONS]))
        kind = str(kinds.pop())
        lasts_s = float(rng.uniform(*LASTS_S.get(kind, (10, 20))))
        if t + lasts_s + 10 > end_s:
            return
        if kind in DISTRACTIONS:
            script.distractions.append(Happening(kind, TimeSpan(t, t + lasts_s)))
        else:
            lasts_s = _stage(kind, rng, place, script, t, lasts_s)
            script.events.append(Happening(kind, TimeSpan(t, t + lasts_s)))
        t += lasts_s + rng.uniform(15, 50)


def _stage(kind: str, rng: np.random.Generator, place: Scene, script: _Script, start_s: float, lasts_s: float) -> float:
    """Add the actors of one event; returns how long it really lasts."""
    ways = [p for p in place.paths if p.actor == "car"] if kind in ("wrong_way", "stopped") else list(place.paths)
    path = ways[int(rng.integers(len(ways)))]
    x, y = place.empty
    size = place.walker_px
    if kind in ("wrong_way", "fast"):
        factor = 1.0 if kind == "wrong_way" else rng.uniform(2.2, 3.5)
        actor = _someone(rng, place, path, start_s, factor, wrong=kind == "wrong_way")
        script.actors.append(actor)
        return float(actor.times_s[-1] - start_s)
    if kind == "stopped":
        actor = _someone(rng, place, path, start_s - 6, 1.0)
        middle = (actor.xy[0] + actor.xy[-1]) / 2 + [rng.uniform(-0.2, 0.2) * place.width_px, 0]
        actor.times_s = np.array([start_s - 3, start_s, start_s + lasts_s, start_s + lasts_s + 3])
        actor.xy = np.array([actor.xy[0], middle, middle, actor.xy[-1]])
        script.actors.append(actor)
    elif kind == "intrusion":
        steps = np.cumsum(rng.normal(0, size * 0.3, (8, 2)), axis=0) * [1, 0.3]
        script.actors.append(_stand(rng, place, start_s, lasts_s, np.array([x, y]) + steps))
    elif kind == "loiter":
        spot = _on_the_way(rng, place)
        steps = spot + rng.normal(0, size * 0.5, (max(3, int(lasts_s / 6)), 2)) * [1, 0.3]
        script.actors.append(_stand(rng, place, start_s, lasts_s, steps))
    elif kind == "abandoned":
        spot = _on_the_way(rng, place)
        script.actors.append(
            Actor(bag_look(rng, size * rng.uniform(0.35, 0.6)), np.array([start_s, start_s + lasts_s]), np.array([spot, spot]))
        )
        way = np.array([place.width_px * 0.6 * rng.choice([-1, 1]), 0])
        pace = place.width_px * 0.6 / size
        times = np.array([start_s - pace, start_s, start_s + 1, start_s + 1 + pace])
        script.actors.append(Actor(walker_look(rng, size, place.style), times, np.array([spot - way, spot, spot, spot + way])))
    elif kind in ("agitation", "crowd"):
        spot = _on_the_way(rng, place)
        for _ in range(int(rng.integers(3, 6)) if kind == "agitation" else int(rng.integers(8, 14))):
            steps = spot + rng.normal(
                0, size * (0.5 if kind == "agitation" else 1.2), (max(4, int(lasts_s * (2 if kind == "agitation" else 0.3))), 2)
            ) * [1, 0.5]
            script.actors.append(_stand(rng, place, start_s, lasts_s, steps))
            script.actors[-1].jitter_px = size * 0.15 if kind == "agitation" else 0.0
            script.actors[-1].stride_s = 0.12
    elif kind == "fire":
        spot = _on_the_way(rng, place)
        script.fires.append((TimeSpan(start_s, start_s + lasts_s), float(spot[0]), float(spot[1]), size * rng.uniform(0.7, 1.6)))
    return lasts_s


def _on_the_way(rng: np.random.Generator, place: Scene) -> NDArray[np.float64]:
    """A spot on or beside the walkers' ways, well inside the picture."""
    walked = [p for p in place.paths if p.actor == "walker"]
    path = walked[int(rng.integers(len(walked)))]
    low, high = np.array([0.12, 0.3]) * [place.width_px, place.height_px], np.array([0.88, 0.95]) * [place.width_px, place.height_px]
    share = rng.uniform(0.2, 0.8)
    steps = np.linspace(0, 1, len(path.points))
    return np.clip([np.interp(share, steps, path.points[:, k]) for k in (0, 1)], low, high)


def _stand(rng: np.random.Generator, place: Scene, start_s: float, lasts_s: float, xy: NDArray[np.float64]) -> Actor:
    """A walker that stays about a place. xy: (K, 2) where it goes meanwhile."""
    return Actor(
        walker_look(rng, place.walker_px * rng.uniform(0.85, 1.15), place.style), np.linspace(start_s, start_s + lasts_s, len(xy)), xy
    )


def _record(path: FilePath, rng: np.random.Generator, place: Scene, script: _Script, duration_s: float) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=place.rate_hz, options={"crf": str(place.quality_crf), "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = place.width_px, place.height_px, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = place.rate_hz * 4
        stream.codec_context.time_base = Fraction(1, place.rate_hz)
        for n, picture in enumerate(_Camera(place, script, rng, duration_s)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = n
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


class _Camera:
    """Draws the script picture by picture."""

    def __init__(self, place: Scene, script: _Script, rng: np.random.Generator, duration_s: float) -> None:
        self.place, self.script, self.rng, self.duration_s = place, script, rng, duration_s
        shape = (place.height_px + 16, place.width_px + 16, 1)
        self.grain = [rng.normal(0, place.noise, shape).astype(np.float32) for _ in range(12)]
        self.drift = (rng.uniform(0, 0.15), rng.uniform(120, 900), rng.uniform(0, 6))
        self.steps = {h.span.start_s: rng.choice([-1, 1]) * rng.uniform(0.15, 0.35) for h in script.distractions}
        self.shifts = {
            h.span.start_s: rng.choice([-1, 1], 2) * rng.uniform(0.03, 0.12, 2) * [place.width_px, place.height_px] for h in script.events
        }
        self.dark = rng.uniform(0, 0.12)
        self.blur = rng.uniform(1.2, 3.5) * place.width_px / 320
        self.shadow = not place.night and rng.random() < 0.6

    def __iter__(self):  # type: ignore[no-untyped-def]
        waiting, active = list(self.script.actors[::-1]), list[Actor]()
        last: NDArray[np.uint8] | None = None
        for n in range(round(self.duration_s * self.place.rate_hz)):
            t = n / self.place.rate_hz
            while waiting and waiting[-1].times_s[0] <= t:
                active.append(waiting.pop())
            active = [a for a in active if a.times_s[-1] >= t]
            if last is None or not self._on("freeze", t):
                last = self._through_the_lens(self._world(active, t), t)
            yield last

    def _on(self, kind: str, t: float) -> TimeSpan | None:
        return next(
            (h.span for h in (*self.script.events, *self.script.distractions) if h.kind == kind and h.span.start_s <= t < h.span.end_s),
            None,
        )

    def _world(self, active: list[Actor], t: float) -> Picture:
        picture = self.place.background.copy()
        if self.place.tree:
            self._sway(picture, t)
        for actor in sorted(active, key=lambda a: a.at(t)[1]):
            x, y = actor.at(t)
            if actor.jitter_px:
                x, y = x + self.rng.normal(0, actor.jitter_px), y + self.rng.normal(0, actor.jitter_px * 0.5)
            sprite = actor.sprite(t, self.place.scale(y))
            if self.shadow:
                _darken(picture, x + sprite.shape[1] * 0.4, y, sprite.shape[1] * 0.6, max(2.0, sprite.shape[0] * 0.12))
            blit(picture, sprite, x, y, 0.5 if self.place.night else 1.0)
            if actor.lit:
                _glow(
                    picture, x + np.sign(actor.xy[-1, 0] - x) * sprite.shape[1], y - sprite.shape[0] * 0.2, self.place.walker_px * 0.5, 130
                )
        for span, x, y, size in self.script.fires:
            if span.start_s <= t < span.end_s:
                self._burn(picture, x, y, size * min(1.0, 0.3 + (t - span.start_s) / 6))
        if lights := self._on("headlights", t):
            share = (t - lights.start_s) / 4 % 1
            _glow(
                picture,
                share * self.place.width_px * 1.4 - 0.2 * self.place.width_px,
                self.place.height_px * 0.6,
                self.place.height_px * 0.35,
                70,
            )
        return picture

    def _sway(self, picture: Picture, t: float) -> None:
        assert self.place.tree
        x0, y0, x1, y1 = self.place.tree
        force = 3.0 if self._on("gusts", t) else 1.0
        shift = round(force * self.place.width_px / 320 * 1.2 * np.sin(t * 2.1) + force * 0.7 * np.sin(t * 5.3))
        picture[y0:y1, x0:x1] = np.roll(picture[y0:y1, x0:x1], shift, axis=1)

    def _burn(self, picture: Picture, x: float, y: float, size: float) -> None:
        for _ in range(6):
            flame = np.zeros((max(3, round(size)), max(3, round(size * 0.7)), 4), np.float32)
            colour = (255, float(self.rng.uniform(90, 220)), float(self.rng.uniform(0, 60)), 1.0)
            h, w = flame.shape[:2]
            cv2.ellipse(flame, (w // 2, h // 2), (max(1, w // 3), max(1, h // 2 - 1)), 0, 0, 360, colour, -1)
            blit(
                picture,
                flame * np.array([1, 1, 1, 0.8], np.float32),
                x + self.rng.normal(0, size * 0.25),
                y - abs(self.rng.normal(0, size * 0.3)),
            )

    def _through_the_lens(self, picture: Picture, t: float) -> NDArray[np.uint8]:
        amount, period_s, phase = self.drift
        gain = 1 + amount * np.sin(2 * np.pi * t / period_s + phase)
        if step := self._on("light_step", t):
            gain *= 1 + self.steps[step.start_s]
        if cloud := self._on("cloud", t):
            gain *= 1 + self.steps[cloud.start_s] * np.sin(np.pi * (t - cloud.start_s) / cloud.duration_s)
        if self._on("rain", t):
            self._rain(picture)
        if moved := self._on("moved", t):
            x, y = self.shifts[moved.start_s]
            picture = cv2.warpAffine(
                picture,
                np.array([[1, 0, x], [0, 1, y]], np.float32),
                (self.place.width_px, self.place.height_px),
                borderMode=cv2.BORDER_REFLECT,
            )  # type: ignore[assignment]
        if self._on("defocus", t):
            picture = cv2.GaussianBlur(picture, (0, 0), self.blur)  # type: ignore[assignment]
        if self._on("blackout", t):
            gain = self.dark
        grain = self.grain[int(self.rng.integers(len(self.grain)))]
        y, x = self.rng.integers(16, size=2)
        picture *= np.float32(gain)
        picture += grain[y : y + self.place.height_px, x : x + self.place.width_px]
        return np.clip(picture, 0, 255).astype(np.uint8)

    def _rain(self, picture: Picture) -> None:
        h, w = self.place.height_px, self.place.width_px
        length = max(3, h // 25)
        for x, y in zip(self.rng.integers(w, size=60), self.rng.integers(h - length, size=60), strict=True):
            picture[y : y + length, x] += 45


def _darken(picture: Picture, x: float, y: float, wide: float, high: float) -> None:
    y0, y1, x0, x1 = (max(0, round(v)) for v in (y - high, y + high / 2, x - wide, x + wide))
    picture[y0:y1, x0:x1] *= 0.6


def _glow(picture: Picture, x: float, y: float, radius: float, strength: float) -> None:
    h, w = picture.shape[:2]
    y0, y1, x0, x1 = max(0, round(y - radius)), min(h, round(y + radius)), max(0, round(x - radius * 1.5)), min(w, round(x + radius * 1.5))
    if y0 >= y1 or x0 >= x1:
        return
    away = ((np.arange(y0, y1) - y)[:, None] / radius) ** 2 + ((np.arange(x0, x1) - x)[None] / (radius * 1.5)) ** 2
    picture[y0:y1, x0:x1] += (strength * np.clip(1 - away, 0, 1))[:, :, None].astype(np.float32)

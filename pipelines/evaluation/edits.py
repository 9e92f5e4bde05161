"""Edited films whose cuts, fades, dissolves and wipes are known, and the score of a shot detector on them. Seeded; reads no files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from model.video import TimeSpan
from pipelines.evaluation.edit_scenes import HEIGHT_PX, WIDTH_PX, Picture, Scene, any_scene, panned, talk, texture
from pipelines.findings import Shot

STYLES = ("mixed", "drama", "montage", "sport", "gradual", "dark", "single")


@dataclass(frozen=True, slots=True)
class Edit:
    """How the next shot takes the screen. span: the transition; of a cut, the one frame that it begins with."""

    kind: str  # cut | dissolve | fade | wipe
    span: TimeSpan


@dataclass(frozen=True, slots=True)
class Take:
    """A scene on screen for `length_s`, opened over `opening_s` seconds (0 for a cut) centred on its start."""

    scene: Scene
    length_s: float
    kind: str = "cut"
    opening_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Film:
    """A film to be written. flashes: instants at which everything brightens for a moment; light_steps: brightness changes for good."""

    takes: tuple[Take, ...]
    frame_rate: Fraction
    repeat_every: int = 0  # a frame in so many is shown twice, as 24 to 30 conversion does; 0 never
    grain: float = 0.0  # standard deviation, levels
    flashes: tuple[float, ...] = ()
    light_steps: tuple[float, ...] = ()
    seed: int = 0

    @property
    def starts_s(self) -> list[float]:
        """When each take begins, on a frame: the cut, or the middle of the transition."""
        ends = np.cumsum([0.0] + [take.length_s for take in self.takes[:-1]])
        return [float(round(Fraction(float(e)) * self.frame_rate) / self.frame_rate) for e in ends]

    @property
    def duration_s(self) -> float:
        return self.starts_s[-1] + self.takes[-1].length_s

    @property
    def edits(self) -> tuple[Edit, ...]:
        frame_s = float(1 / self.frame_rate)
        pairs = list(zip(self.takes, self.starts_s, strict=True))[1:]
        return tuple(Edit(t.kind, TimeSpan(s - t.opening_s / 2, s + max(t.opening_s / 2, frame_s))) for t, s in pairs)


def draw_film(seed: int, style: str, minutes: float = 1.5) -> Film:
    """A film drawn at random: one of STYLES sets its takes, everything else (rate, grain, flashes ...) varies with the seed."""
    rng = np.random.default_rng([seed, STYLES.index(style)])
    rate = Fraction(*((25, 1), (24, 1), (30_000, 1_001), (15, 1), (50, 1), (12, 1))[int(rng.choice(6, p=[0.35, 0.2, 0.2, 0.1, 0.1, 0.05]))])
    takes: list[Take] = []
    while sum(t.length_s for t in takes) < 60 * minutes:
        takes += _takes(rng, style)
    length = sum(t.length_s for t in takes)
    flashes = tuple(rng.uniform(1, length - 1, rng.poisson(4 if style in ("sport", "single", "mixed") else 0.5)))
    return Film(
        takes=tuple(takes),
        frame_rate=rate,
        repeat_every=4 if rate.denominator > 1 and rng.random() < 0.6 else 0,
        grain=float(rng.choice([0, 0, 3, 8])) if style != "dark" else float(rng.uniform(3, 9)),
        flashes=flashes,
        light_steps=tuple(rng.uniform(1, length - 1, rng.poisson(1))),
        seed=seed,
    )


def _takes(rng: np.random.Generator, style: str) -> list[Take]:
    if style == "drama":
        set_ = texture(rng, HEIGHT_PX * 2, WIDTH_PX * 2)
        angles = [talk(rng, set_) for _ in range(int(rng.integers(2, 4)))]
        return [Take(angles[k % len(angles)], rng.uniform(1.5, 7)) for k in range(int(rng.integers(4, 9)))]
    if style == "montage":
        return [Take(any_scene(rng), rng.uniform(0.5, 2))]
    if style == "sport":
        set_ = texture(rng, HEIGHT_PX * 2, WIDTH_PX * 4)
        return [Take(panned(rng, set_, float(rng.choice([30, 200, 500, 900]))), rng.uniform(2, 6))]
    if style == "dark":
        dark = any_scene(rng)
        gain = rng.uniform(0.06, 0.25)
        return [_opened(rng, Take(lambda t: (dark(t) * gain).astype(np.uint8), rng.uniform(2, 7)), 0.2)]
    if style == "single":
        return [Take(any_scene(rng), 95.0)]
    return [_opened(rng, Take(any_scene(rng), rng.uniform(2.5, 8)), 0.7 if style == "gradual" else 0.25)]


def _opened(rng: np.random.Generator, take: Take, gradual: float) -> Take:
    if rng.random() > gradual:
        return take
    kind = str(rng.choice(["dissolve", "fade", "wipe"], p=[0.5, 0.35, 0.15]))
    return Take(take.scene, take.length_s, kind, float(rng.uniform(0.3, 2.0)))


def film_pictures(film: Film) -> Iterator[Picture]:
    """Every frame, (H, W, 3) uint8, in order."""
    rng = np.random.default_rng(film.seed)
    noise = rng.normal(0, film.grain, (7, HEIGHT_PX, WIDTH_PX, 1)).astype(np.int16)
    picture = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for n in range(round(Fraction(film.duration_s) * film.frame_rate)):
        if not film.repeat_every or n % (film.repeat_every + 1) != film.repeat_every:
            picture = _lit(film, _mixed(film, float(n / film.frame_rate)), float(n / film.frame_rate))
            if film.grain:
                picture = np.clip(picture + np.roll(noise[n % 7], 37 * n, axis=1), 0, 255).astype(np.uint8)
        yield picture


def _lit(film: Film, picture: Picture, time_s: float) -> Picture:
    """The picture under the film's flashes and light steps."""
    gain = 1 + sum(1.2 * np.exp(-(time_s - f) / 0.06) for f in film.flashes if 0 <= time_s - f < 0.25)
    gain *= np.prod([0.7 if k % 2 else 1.4 for k, f in enumerate(film.light_steps) if time_s >= f])
    return picture if gain == 1 else np.clip(picture * np.float32(gain), 0, 255).astype(np.uint8)


def _mixed(film: Film, time_s: float) -> Picture:
    """What is on screen, transitions included."""
    starts, takes = film.starts_s, film.takes
    k = int(np.searchsorted(starts, time_s, side="right")) - 1
    for j in (k, k + 1):
        if 0 < j < len(takes) and abs(time_s - starts[j]) < takes[j].opening_s / 2:
            before = takes[j - 1].scene(time_s - starts[j - 1])
            after = takes[j].scene(max(0.0, time_s - starts[j] + takes[j].opening_s / 2))
            return _blend(before, after, 0.5 + (time_s - starts[j]) / takes[j].opening_s, takes[j].kind, j)
    return takes[k].scene(time_s - starts[k] + takes[k].opening_s / 2)


def _blend(before: Picture, after: Picture, share: float, kind: str, ordinal: int) -> Picture:
    """share: how far the transition has come, 0..1."""
    if kind == "fade":
        source, gain = (before, 1 - 2 * share) if share < 0.5 else (after, 2 * share - 1)
        return (source * max(0.0, gain)).astype(np.uint8)
    if kind == "wipe":
        axis = ordinal % 2
        edge = round(share * before.shape[axis])
        parts = (after[:edge], before[edge:]) if axis == 0 else (after[:, :edge], before[:, edge:])
        return np.concatenate(parts, axis=axis)
    return (before * (1 - share) + after * share).astype(np.uint8)


def write_film(film: Film, path: Path, crf: int = 23) -> None:
    """Encode as H.264 in whatever container the path's suffix names."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=film.frame_rate, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for n, picture in enumerate(film_pictures(film)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = n, 1 / film.frame_rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@dataclass(frozen=True, slots=True)
class EditScore:
    """Edits found, missed and invented; add scores up to pool films."""

    found: int = 0
    missed: int = 0
    invented: int = 0

    def __add__(self, other: EditScore) -> EditScore:
        return EditScore(self.found + other.found, self.missed + other.missed, self.invented + other.invented)

    @property
    def f1(self) -> float:
        whole = 2 * self.found + self.missed + self.invented
        return 2 * self.found / whole if whole else 1.0


def score_shots(shots: Sequence[Shot], edits: Sequence[Edit], tolerance_s: float = 0.085) -> tuple[EditScore, EditScore]:
    """(cuts, gradual). A cut counts within `tolerance_s` (two frames at 25 a second); a transition counts where they overlap.

    A true edit found as the other kind counts as found, once, in its own class; what is left over is invented in the found class.
    """
    found = [(s.span.start_s, s.transition, s.opened_by == "cut") for s in shots if s.opened_by != "start"]
    scores = {True: EditScore(), False: EditScore()}
    for edit in sorted(edits, key=lambda e: e.kind != "cut"):
        is_cut = edit.kind == "cut"
        hits = [f for f in found if _meets(f[0], f[1], edit, tolerance_s)]
        if hits:
            found.remove(min(hits, key=lambda f: abs(f[0] - edit.span.start_s)))
        scores[is_cut] += EditScore(found=int(bool(hits)), missed=int(not hits))
    for _, _, is_cut in found:
        scores[is_cut] += EditScore(invented=1)
    return scores[True], scores[False]


def _meets(start_s: float, transition: TimeSpan | None, edit: Edit, tolerance_s: float) -> bool:
    if edit.kind == "cut":
        return abs(start_s - edit.span.start_s) <= tolerance_s
    widened = TimeSpan(max(0.0, edit.span.start_s - tolerance_s), edit.span.end_s + tolerance_s)
    return widened.start_s <= start_s < widened.end_s or (transition is not None and transition.overlap_s(widened) > 0)

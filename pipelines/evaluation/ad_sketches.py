"""Sketches of films: what would be measured, made up directly, without painting pictures. Thousands of ways to join programme and ads.

The weights of the ads task are fitted to these; painted films (`broadcast.py`) and real ones judge the result. So every habit an
author of broadcasts may have is drawn at random here: sets that return or never do, ads in the programme's own colours, spots of one
shot, equal loudness, breaks in mid-scene, missed cuts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Series
from pipelines.tasks.ads_clips import LOOKS, Clips, Joints, look_of
from pipelines.tasks.ads_eyes import Eyes, eyes_of, pieces_of
from pipelines.tasks.ads_film import usual_clip_s
from pipelines.tasks.ads_runs import Film, usual_look
from pipelines.tasks.ads_sound import Sums, hearing_of, sums_of

Texture = NDArray[np.float32]  # (3, 15, 26): more of a place than one picture shows
EYES = 64  # numbers of a sketched embedding
MEL_STEP_S, LEVEL_STEP_S = 0.2, 0.1
SPOT_LENGTHS_S = (10, 15, 15, 20, 20, 30, 30, 30, 45, 60)


@dataclass(frozen=True, slots=True)
class Sketch:
    film: Film
    duration_s: float
    breaks: tuple[TimeSpan, ...]
    spots: tuple[TimeSpan, ...]


@dataclass(frozen=True, slots=True)
class _Shot:
    start_s: float
    end_s: float
    texture: Texture | None  # None: black
    at: tuple[float, float]
    pan: float
    still: bool
    spot: int  # -1: programme
    timbre: int
    level_db: float
    ident: bool = False


class _Author:
    """One author's habits, and the film so far."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self.shots: list[_Shot] = []
        self.timbres: list[tuple[NDArray[np.float64], float, float, bool]] = []  # band levels, depth, roughness, music
        self.mean = np.array([rng.uniform(40, 170), rng.normal(128, 12), rng.normal(128, 12)])
        self.spread = np.array([rng.uniform(10, 45), *rng.uniform(2, 18, 2)])
        self.same_colours = rng.random() < 0.35
        self.fresh = float(rng.choice([0, 0, 0, 0.2, 0.6, 1]))  # share of scenes whose every shot is new
        self.angles = int(rng.integers(1, 7))
        self.variety = float(rng.choice([0, 0.03, 0.1, 0.25]))
        self.motion = float(rng.choice([0, 0.3, 1, 3]))
        self.shot_s, self.scene_s = float(rng.choice([2, 3, 4, 6, 9, 14, 40])), float(rng.choice([20, 40, 80, 200]))
        self.cutaways = float(rng.choice([0, 0.03, 0.1]))  # shots of something seen once, in mid-scene
        self.resume: tuple[int, tuple[float, float]] | None = None  # where the film goes on after a break
        self.again = float(rng.uniform(0.1, 1))
        self.places = [[self.paint(self.mean, self.spread)] * 1 for _ in range(int(rng.choice([1, 2, 4, 8, 14])))]
        self.angle_at = [[(float(rng.random()), float(rng.random())) for _ in range(self.angles)] for _ in self.places]
        self.spot_shot_s = float(rng.choice([0.8, 1.2, 1.8, 2.5, 4.0]))
        self.spot_cards, self.programme_cards = float(rng.choice([0, 0.5, 0.9, 1])), float(rng.choice([0, 0.05, 0.15]))
        self.dips, self.montages = float(rng.choice([0, 0.1, 0.3, 0.6])), float(rng.choice([0, 0.1, 0.2]))
        self.voices = [self.timbre(music=False) for _ in range(int(rng.integers(1, 6)))]
        self.same_sounds = rng.random() < 0.25
        self.sound_by_shot = rng.random() < 0.15
        self.louder_db = float(rng.choice([0, 0, rng.uniform(-2, 7)]))
        self.seen: list[int] = []

    @property
    def now_s(self) -> float:
        return self.shots[-1].end_s if self.shots else 0.0

    def paint(self, mean: NDArray[np.float64], spread: NDArray[np.float64]) -> Texture:
        picture = self.rng.normal(mean, spread * self.rng.uniform(0.3, 1))[:, None, None] + np.zeros((3, 15, 26))
        for rows, columns in ((3, 4), (5, 9), (8, 13)):
            grid = self.rng.normal(0, 1, (3, rows, columns)) * (0.6 * spread)[:, None, None]
            picture += np.repeat(np.repeat(grid, -(-15 // rows), 1)[:, :15], -(-26 // columns), 2)[:, :, :26]
        for _ in range(self.rng.integers(0, 8)):
            y, x = self.rng.integers(0, 12), self.rng.integers(0, 22)
            picture[:, y : y + self.rng.integers(2, 8), x : x + self.rng.integers(2, 10)] = self.rng.normal(mean, spread)[:, None, None]
        return np.clip(picture, 0, 255).astype(np.float32)

    def timbre(self, *, music: bool) -> int:
        bands = np.cumsum(self.rng.normal(0, 3, 24))
        self.timbres.append(
            (bands - bands.mean() - 0.7 * np.arange(24), float(self.rng.uniform(1, 7)), float(self.rng.uniform(0.2, 1)), music)
        )
        return len(self.timbres) - 1

    def shoot(self, seconds: float, texture: Texture | None, at: tuple[float, float], **how: object) -> None:
        start_s = self.now_s
        given = {"still": False, "spot": -1, "timbre": self.voices[0], "level_db": 0.0} | how
        self.shots.append(_Shot(start_s, start_s + seconds, texture, at, float(self.rng.normal(0, 0.1) * self.motion), **given))  # type: ignore[arg-type]

    def scene(self, seconds: float) -> None:
        rng = self.rng
        fresh = [k for k in range(len(self.places)) if k not in self.seen]
        resumed, self.resume = self.resume, None
        place = (
            resumed[0] if resumed else int(rng.choice(self.seen)) if self.seen and (not fresh or rng.random() < self.again) else fresh[0]
        )
        self.seen.append(place)
        is_fresh = not resumed and rng.random() < self.fresh
        is_montage = not resumed and rng.random() < self.montages
        timbre = self.timbre(music=True) if is_montage or rng.random() < 0.15 else int(rng.choice(self.voices))
        level_db = float(rng.normal(0, 1.5))
        if not resumed and rng.random() < self.dips:
            self.shoot(float(rng.uniform(0.2, 1.5)), None, (0, 0), timbre=-1 if rng.random() < 0.6 else timbre)
        if not resumed and rng.random() < self.programme_cards:
            self.shoot(
                float(rng.uniform(2, 6)), self.paint(self.mean, self.spread), (0, 0), still=True, timbre=self.timbre(music=True), ident=True
            )
        for k, length_s in enumerate(self.lengths(1.0 if is_montage else self.shot_s, min(seconds, 25) if is_montage else seconds)):
            is_new = is_fresh or rng.random() < self.cutaways
            texture = self.paint(self.mean, self.spread) if is_new else self.places[place][0]
            at = resumed[1] if resumed and k == 0 else self.angle_at[place][int(rng.integers(self.angles))]
            heard = int(rng.choice(self.voices)) if self.sound_by_shot else timbre
            self.shoot(
                length_s,
                texture,
                (at[0] + rng.normal(0, self.variety), at[1] + rng.normal(0, self.variety)),
                timbre=heard,
                level_db=level_db,
            )

    def spot(self, number: int, seconds: float) -> list[_Shot]:
        rng = self.rng
        mean = self.mean if self.same_colours else np.array([rng.uniform(60, 190), rng.normal(128, 18), rng.normal(128, 18)])
        spread = self.spread if self.same_colours else np.array([rng.uniform(15, 50), *rng.uniform(4, 22, 2)])
        places = [self.paint(mean, spread) for _ in range(rng.integers(1, 8))]
        timbre = int(rng.choice(self.voices)) if self.same_sounds else self.timbre(music=bool(rng.random() < 0.7))
        card_s = float(rng.uniform(1.5, 3.5)) if rng.random() < self.spot_cards else 0.0
        shot_s = seconds if rng.random() < 0.08 else self.spot_shot_s
        how = {"spot": number, "timbre": timbre, "level_db": self.louder_db + float(rng.normal(0, 0.7))}
        begin = len(self.shots)
        for length_s in self.lengths(shot_s, seconds - card_s):
            self.shoot(length_s, places[rng.integers(len(places))], (float(rng.random()), float(rng.random())), **how)
        if card_s:
            self.shoot(card_s, self.paint(mean, spread * 0.5), (0, 0), still=True, **how)
        made, self.shots = self.shots[begin:], self.shots[:begin]
        return made

    def add(self, shots: list[_Shot]) -> None:
        shift_s = self.now_s - shots[0].start_s
        self.shots += [_moved(shot, shift_s) for shot in shots]

    def lengths(self, median_s: float, total_s: float) -> list[float]:
        found: list[float] = []
        while (left_s := total_s - sum(found)) > 1e-6:
            length_s = float(np.clip(median_s * np.exp(self.rng.normal(0, 0.5)), 0.4, 6 * median_s))
            found.append(left_s if left_s - length_s < 0.4 else length_s)
        return found


def _moved(shot: _Shot, by_s: float) -> _Shot:
    values = {name: getattr(shot, name) for name in _Shot.__slots__}
    return _Shot(**(values | {"start_s": shot.start_s + by_s, "end_s": shot.end_s + by_s}))


def sketch(seed: int) -> Sketch:
    """A film's measurements and its true breaks and spots, all from the seed."""
    rng = default_rng([seed, 77])
    author = _Author(rng)
    is_short = bool(rng.random() < 0.35)  # a recording of some minutes with spots spliced into it
    black_s = None if is_short or rng.random() < 0.55 else (0.1, float(rng.uniform(0.2, 1.0)))
    silent = bool(rng.random() < 0.6)
    count, most = int(rng.choice([0, 1, 2, 3, 4])), int(rng.choice([1, 1, 3, 8]))
    if is_short:
        count, most = int(rng.choice([0, 1, 2, 3])), int(rng.choice([1, 1, 1, 2]))
    pool = [author.spot(k, float(rng.choice(SPOT_LENGTHS_S))) for k in range(4)] if rng.random() < 0.15 else []
    mid_scene = bool(rng.random() < (0.7 if is_short else 0.4))
    number = 100
    total_s = rng.uniform(20 + 25 * count, 240) if is_short else rng.uniform(360, 1200)
    programme_s = total_s * rng.dirichlet(np.full(count + 1, 4.0))
    for part, seconds in enumerate(programme_s):
        _programme(author, float(seconds))
        if part == count:
            break
        if mid_scene:
            author.resume = (author.seen[-1], author.shots[-1].at if rng.random() < 0.6 else author.angle_at[author.seen[-1]][0])
        for k in range(int(rng.integers(1, most, endpoint=True))):
            if black_s and k == 0:
                author.shoot(float(rng.uniform(*black_s)), None, (0, 0), timbre=-1 if silent else author.voices[0])
            number += 1
            length_s = float(rng.choice(SPOT_LENGTHS_S)) + float(rng.uniform(-0.5, 0.5)) * (rng.random() < 0.5)
            length_s = length_s if rng.random() < 0.88 else float(rng.uniform(6, 60))
            length_s = float(rng.uniform(4, 15)) if is_short else length_s
            spot = pool[rng.integers(len(pool))] if pool else author.spot(number, length_s)
            author.add([_renumbered(shot, number) for shot in spot])
            if black_s:
                author.shoot(float(rng.uniform(*black_s)), None, (0, 0), timbre=-1 if silent else author.voices[0])
    return _measured(author)


def _renumbered(shot: _Shot, number: int) -> _Shot:
    return _Shot(**({name: getattr(shot, name) for name in _Shot.__slots__} | {"spot": number}))


def _programme(author: _Author, seconds: float) -> None:
    end_s = author.now_s + seconds
    while (left_s := end_s - author.now_s) > 0.1:
        author.scene(float(min(left_s, max(5.0, author.scene_s * author.rng.uniform(0.4, 1.6)))) if left_s > 12 else left_s)


def _measured(author: _Author) -> Sketch:
    rng, shots = author.rng, author.shots
    miss, extra = float(rng.choice([0, 0, 0.02, 0.05])), float(rng.choice([0, 0, 0.02]))
    edges: list[tuple[float, float]] = [(0.0, 0.0)]
    for before, shot in pairwise(shots):
        if shot.texture is None:
            edges.append((shot.start_s, shot.end_s))
        elif before.texture is not None and rng.random() >= miss:
            edges.append((shot.start_s, shot.start_s))
        if rng.random() < extra and shot.texture is not None and shot.end_s - shot.start_s > 2:
            edges.append(((shot.start_s + shot.end_s) / 2,) * 2)
    end_s = shots[-1].end_s
    edges.append((end_s, end_s))
    joints = Joints(np.array([e[0] for e in edges]), np.array([e[1] for e in edges]))
    clips = Clips(joints.end_s[:-1], joints.start_s[1:], _looks(author, joints), _changes(author, joints))
    hearing = hearing_of(*_sounds(author)) if rng.random() < 0.87 else None
    eyes = _eyes(author, joints) if rng.random() < 0.7 else None
    count = len(joints.start_s)
    film = Film(
        joints, clips, _logo(author), _bars(author), eyes, hearing, usual_look(clips), usual_clip_s(clips.length_s),
        hearing.jumps(joints.at_s) if hearing else np.zeros(count),
        hearing.silences(joints.start_s, joints.end_s) if hearing else np.zeros(count, bool),
    )  # fmt: skip
    return Sketch(film, end_s, *_truth(shots))


def _truth(shots: list[_Shot]) -> tuple[tuple[TimeSpan, ...], tuple[TimeSpan, ...]]:
    spots: dict[int, TimeSpan] = {}
    breaks: list[TimeSpan] = []
    for k, shot in enumerate(shots):
        if shot.spot < 0:
            continue
        span = spots.get(shot.spot)
        spots[shot.spot] = TimeSpan(span.start_s if span else shot.start_s, shot.end_s)
        goes_on = bool(breaks) and all(s.texture is None or s.spot >= 0 for s in shots[:k] if s.start_s >= breaks[-1].end_s - 1e-9)
        breaks = [*breaks[:-1], TimeSpan(breaks[-1].start_s, shot.end_s)] if goes_on else [*breaks, TimeSpan(shot.start_s, shot.end_s)]
    return tuple(breaks), tuple(spots.values())


def _shot_at(shots: list[_Shot], times_s: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.searchsorted([s.start_s for s in shots], times_s, side="right") - 1


def _looks(author: _Author, joints: Joints) -> NDArray[np.float32]:
    starts, ends = joints.end_s[:-1], joints.start_s[1:]
    moments = (starts[:, None] + (ends - starts)[:, None] * (np.arange(LOOKS) + 0.5) / LOOKS).ravel()
    pictures = np.zeros((len(moments), 3, 9, 16), np.float32)
    for row, (time_s, k) in enumerate(zip(moments, _shot_at(author.shots, moments), strict=True)):
        shot = author.shots[k]
        if shot.texture is not None:
            y, x = _place(shot.at[1], 6), _place(shot.at[0] + shot.pan * (time_s - shot.start_s) / 10, 10)
            pictures[row] = shot.texture[:, y : y + 9, x : x + 16]
    pictures += author.rng.normal(0, 1.5, pictures.shape) * (pictures.any(axis=(1, 2, 3), keepdims=True))
    return look_of(np.clip(pictures, 0, 255)).reshape(len(starts), LOOKS, -1)


def _place(share: float, room: int) -> int:
    share = abs(share) % 2
    return round((2 - share if share > 1 else share) * room)


def _eyes(author: _Author, joints: Joints) -> Eyes:
    """What trained eyes make of it: they tell places apart better than colours do, cameras in a place less well."""
    rng = author.rng
    common, place, camera, moment = 1.0, rng.uniform(0.5, 1.2), rng.uniform(0, 0.5), rng.uniform(0.1, 0.4)
    whole = rng.normal(0, 1, EYES)
    places: dict[tuple[int, ...], NDArray[np.float64]] = {}

    def kept(*key: int) -> NDArray[np.float64]:
        return places.setdefault(key, rng.normal(0, 1, EYES))

    starts, ends = joints.end_s[:-1], joints.start_s[1:]
    begins, length_s, bounds = pieces_of(starts, ends)
    seen = np.zeros((len(begins), EYES))
    for row, k in enumerate(_shot_at(author.shots, begins + length_s / 2)):
        shot = author.shots[k]
        if shot.texture is not None:
            angle = kept(id(shot.texture), *(round(3 * v) for v in shot.at))
            seen[row] = common * whole + place * kept(id(shot.texture)) + camera * angle + moment * rng.normal(0, 1, EYES)
    embeddings = (seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-9)).astype(np.float16)
    return eyes_of(embeddings, bounds, length_s)


def _changes(author: _Author, joints: Joints) -> NDArray[np.float64]:
    middles = (joints.end_s[:-1] + joints.start_s[1:]) / 2
    usual = float(author.rng.uniform(0.5, 6))
    shots = [author.shots[k] for k in _shot_at(author.shots, middles)]
    return np.array([author.rng.lognormal(0, 0.4) * (0.2 if s.still else 1) * usual + 0.15 for s in shots])


def _logo(author: _Author) -> Sums | None:
    """None half of the time; else as reliable as logos are, and mostly away during idents."""
    rng = author.rng
    if rng.random() < 0.5 or not any(s.spot >= 0 for s in author.shots):
        return None
    times = np.arange(0, author.shots[-1].end_s, 1.0)
    shots = [author.shots[k] for k in _shot_at(author.shots, times)]
    away = np.array([s.spot >= 0 or s.texture is None or (s.ident and rng.random() < 0.7) for s in shots])
    noise = float(rng.choice([0.3, 1.0, 2.0]))
    return sums_of(times, np.clip(np.where(away, 2.7, -2.7) + rng.normal(0, noise, len(times)), -3, 3))


def _bars(author: _Author) -> Sums | None:
    if author.rng.random() < 0.85 or not any(s.spot >= 0 for s in author.shots):
        return None
    times = np.arange(0, author.shots[-1].end_s, 1.0)
    other = np.array([author.shots[k].spot >= 0 for k in _shot_at(author.shots, times)])
    other ^= author.rng.random(len(times)) < author.rng.choice([0, 0.03])
    return sums_of(times, other.astype(np.float64))


def _sounds(author: _Author) -> tuple[Series, Series, Series]:
    """(momentary loudness, mel, level) as the sound's measurements name them."""
    rng = author.rng
    times = np.arange(MEL_STEP_S / 2, author.shots[-1].end_s, MEL_STEP_S, dtype=np.float64)
    shots = [author.shots[k] for k in _shot_at(author.shots, times)]
    count = len(times)
    gains, notes = _wander(rng, count, 0.6), rng.integers(0, 5, count // 2 + 1).repeat(2)[:count]
    bands = np.stack([_wander(rng, count, 0.5) for _ in range(24)], axis=1)
    melodies = rng.normal(0, 5, (5, 24))
    mel, level = np.full((count, 24), -90.0), np.full(count, -75.0)
    for k, shot in enumerate(shots):
        if shot.timbre < 0:
            continue
        base, depth, roughness, music = author.timbres[shot.timbre]
        gain = shot.level_db + gains[k] * depth
        mel[k] = -45 + base + gain + bands[k] * 4 * roughness + (melodies[notes[k]] if music else 0)
        level[k] = -24 + gain
    tenths = np.repeat(level, 2)
    tenths_s = np.arange(len(tenths), dtype=np.float64) * LEVEL_STEP_S + LEVEL_STEP_S / 2
    power = np.convolve(10 ** (tenths / 10), np.ones(4) / 4, mode="same")
    stored = np.clip(np.rint((mel + 110) / 0.5), 0, 255).astype(np.uint8)
    return Series(tenths_s, np.asarray(10 * np.log10(power), np.float64)), Series(times, stored), Series(tenths_s, tenths)


def _wander(rng: Generator, count: int, keep: float) -> NDArray[np.float64]:
    """Noise of variance 1 that remembers: a moving average, for speed."""
    width = max(1, round(1 / (1 - keep)))
    noise = np.convolve(rng.normal(0, 1, count + width), np.ones(width) / np.sqrt(width), mode="same")
    return noise[:count]

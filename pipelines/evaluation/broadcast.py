"""Makes broadcasts with known ad breaks: a programme, spots, and all that programmes do to be mistaken for ads.

Everything follows from the kind and the seed. Pictures and sound are painted by numpy and encoded by PyAV (x264, AAC).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.random import Generator, default_rng

from model.video import TimeSpan
from pipelines.evaluation.broadcast_pictures import (
    Grain,
    Overlay,
    Planes,
    draw_overlay,
    make_caption,
    make_logo,
)  # fmt: skip
from pipelines.evaluation.broadcast_pieces import BLACK, Piece, Programme, card_piece, make_programme, make_spot
from pipelines.evaluation.broadcast_sound import Wave

KINDS = (
    "classic",
    "straight",
    "no_logo",
    "equal_loudness",
    "bare",
    "letterbox",
    "no_sound",
    "mid_roll",
    "sound_through_black",
    "repeats",
    "sponsored",
    "clean",
)
MOST_ADS = 0.35  # of a film
SPOT_LENGTHS_S = (10, 15, 15, 20, 20, 30, 30, 30, 45, 60)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a made film contains. breaks and spots: from an ad's first picture to the end of the last one, without the black around."""

    path: Path
    kind: str
    seed: int
    duration_s: float
    breaks: tuple[TimeSpan, ...]
    spots: tuple[TimeSpan, ...]
    style: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of broadcast joins programme and ads."""

    black_s: tuple[float, float] | None  # between spots and around a break; None: straight cuts
    silent_black: bool
    logo: bool
    louder_db: tuple[float, float]
    bars: str = ""  # "programme" | "ads" | "both" | ""
    sound: bool = True
    spots: tuple[int, int] = (2, 8)
    breaks: tuple[int, int] = (2, 4)
    same_spots: bool = False
    sponsor: bool = False


def recipe_of(kind: str, rng: Generator) -> Recipe:
    coin = bool(rng.random() < 0.5)
    black = (0.1, 1.0) if coin else (0.2, 0.5)
    straight = {
        "straight": Recipe(None, False, True, (2, 6)),
        "equal_loudness": Recipe(None, False, True, (-0.5, 0.5)),
        "bare": Recipe(None, False, False, (-0.5, 0.5)),
        "letterbox": Recipe(None, False, coin, (0, 3), bars="programme" if rng.random() < 0.6 else "ads"),
        "mid_roll": Recipe(None, False, bool(rng.random() < 0.3), (-0.5, 2), spots=(1, 2), breaks=(1, 4)),
    }
    blacks = {
        "classic": Recipe(black, True, True, (2, 7)),
        "no_logo": Recipe(black, True, False, (0, 6)),
        "no_sound": Recipe(black if rng.random() < 0.6 else None, True, coin, (0, 0), sound=False),
        "sound_through_black": Recipe(black, False, coin, (0, 5)),
        "repeats": Recipe(black if coin else None, True, bool(rng.random() < 0.5), (0, 4), same_spots=True),
        "sponsored": Recipe(black if coin else None, True, bool(rng.random() < 0.7), (0, 4), sponsor=True),
        "clean": Recipe(black, True, coin, (0, 0), breaks=(0, 1)),
    }
    return (straight | blacks)[kind]


def make_broadcast(
    path: Path, kind: str, seed: int, *, minutes: float = 20.0, fps: int | None = None, size: tuple[int, int] | None = None, style: str = ""
) -> Truth:
    """Render a film of `kind` (one of KINDS) to `path` and say where its ads are. What is not given is drawn from the seed."""
    rng = default_rng([seed, KINDS.index(kind)])
    recipe = recipe_of(kind, rng)
    fps = fps or int(rng.choice([15, 15, 25, 30]))
    size = size or [(320, 180), (320, 180), (320, 240), (426, 240)][int(rng.integers(4))]
    rate_hz = int(rng.choice([24_000, 44_100, 48_000]))
    programme = make_programme(rng, size, rate_hz, style)
    pieces = list(_schedule(rng, recipe, programme, minutes * 60, size, rate_hz))
    pieces = _on_frames(pieces, fps)
    overlays = _overlays(rng, recipe, size)
    _render(path, pieces, overlays, recipe, programme.grain, size, fps, rate_hz)
    breaks, spots = _truth(pieces)
    return Truth(path, kind, seed, sum(p.seconds for p in pieces), breaks, spots, programme.name)


def make_sample(path: Path, seed: int, *, fps: int = 15, size: tuple[int, int] = (320, 180), rate_hz: int = 24_000) -> Truth:
    """A short broadcast for trying things: a drama with a logo, a break set off by black, a single spot by straight cuts."""
    rng = default_rng([seed, len(KINDS)])
    programme = make_programme(rng, size, rate_hz, "drama")
    set_off, spliced = (Recipe((0.3, 0.6), True, True, (3, 5)), Recipe(None, False, True, (0, 1), spots=(1, 1)))
    pieces = [
        *programme.stretch(rng, 75, is_first=True, is_last=False),
        *_break(rng, set_off, programme, [], size, rate_hz, 300, number=3),
        *programme.stretch(rng, 60, is_first=False, is_last=False),
        *_break(rng, spliced, programme, [], size, rate_hz, 300, number=1),
        *programme.stretch(rng, 60, is_first=False, is_last=True),
    ]
    pieces = _on_frames(pieces, fps)
    _render(path, pieces, _overlays(rng, set_off, size), set_off, programme.grain, size, fps, rate_hz)
    breaks, spots = _truth(pieces)
    return Truth(path, "sample", seed, sum(p.seconds for p in pieces), breaks, spots, programme.name)


def _schedule(rng: Generator, recipe: Recipe, programme: Programme, total_s: float, size: tuple[int, int], rate_hz: int) -> Iterator[Piece]:
    """Programme and breaks by turns until the time is up."""
    count = int(rng.integers(*recipe.breaks, endpoint=True)) if recipe.breaks != (0, 1) else 0
    if total_s < 600:
        count = min(count, max(1, int(total_s // 100))) if count else 0
    pool = [make_spot(rng, length, programme, size, rate_hz) for length in rng.choice(SPOT_LENGTHS_S, 5)] if recipe.same_spots else []
    breaks = [list(_break(rng, recipe, programme, pool, size, rate_hz, total_s)) for _ in range(count)]
    while len(breaks) > 1 and sum(p.seconds for b in breaks for p in b) > MOST_ADS * total_s:
        breaks.pop()
    count = len(breaks)
    left_s = total_s - sum(p.seconds for b in breaks for p in b)
    shares = rng.dirichlet(np.full(count + 1, 4.0)) * max(left_s, total_s * 0.4)
    for number, share_s in enumerate(shares):
        yield from programme.stretch(rng, float(share_s), is_first=number == 0, is_last=number == count)
        if number < count:
            yield from breaks[number]


def _break(
    rng: Generator, recipe: Recipe, programme: Programme, pool: list[list[Piece]], size: tuple[int, int], rate_hz: int, total_s: float,
    number: int | None = None,
) -> Iterator[Piece]:  # fmt: skip
    def gap() -> Iterator[Piece]:
        if recipe.black_s is not None:
            yield Piece(float(rng.uniform(*recipe.black_s)), lambda _: BLACK, "black", silent=recipe.silent_black)

    louder_db = float(rng.uniform(*recipe.louder_db))
    if recipe.sponsor:
        yield card_piece(rng, programme.palette, size, float(rng.uniform(4, 8)), "ident", rate_hz)
    yield from gap()
    drawn = int(rng.integers(*recipe.spots, endpoint=True)) if total_s >= 600 else int(rng.integers(1, 3, endpoint=True))
    number = number or drawn
    lengths = rng.choice(SPOT_LENGTHS_S[:6] if total_s < 600 else SPOT_LENGTHS_S, number)
    for length in lengths:
        spot = pool[rng.integers(len(pool))] if pool else make_spot(rng, float(length), programme, size, rate_hz)
        for piece in spot:
            yield Piece(**(piece.fields() | {"level_db": piece.level_db + louder_db}))
        yield from gap()
    if recipe.sponsor and rng.random() < 0.7:
        yield card_piece(rng, programme.palette, size, float(rng.uniform(4, 8)), "ident", rate_hz)


def _on_frames(pieces: list[Piece], fps: int) -> list[Piece]:
    """Round lengths such that every piece begins on a frame, without the errors adding up."""
    edges = np.rint(np.cumsum([0.0] + [p.seconds for p in pieces]) * fps)
    return [Piece(**(p.fields() | {"seconds": float(n) / fps})) for p, n in zip(pieces, np.diff(edges), strict=True) if n > 0]


def _truth(pieces: list[Piece]) -> tuple[tuple[TimeSpan, ...], tuple[TimeSpan, ...]]:
    spots: list[TimeSpan] = []
    breaks: list[TimeSpan] = []
    last_spot, only_black = -1, False
    start_s = 0.0
    for piece in pieces:
        end_s = start_s + piece.seconds
        if piece.what == "spot":
            if piece.spot == last_spot:
                spots[-1] = TimeSpan(spots[-1].start_s, end_s)
            else:
                spots.append(TimeSpan(start_s, end_s))
            is_same_break = bool(breaks) and (piece.spot == last_spot or only_black or breaks[-1].end_s == start_s)
            breaks = [*breaks[:-1], TimeSpan(breaks[-1].start_s, end_s)] if is_same_break else [*breaks, TimeSpan(start_s, end_s)]
            last_spot, only_black = piece.spot, True
        elif piece.what != "black":
            last_spot, only_black = -1, False
        else:
            last_spot = -1
        start_s = end_s
    return tuple(breaks), tuple(spots)


def _overlays(rng: Generator, recipe: Recipe, size: tuple[int, int]) -> list[Overlay]:
    """The logo, and now and then what a logo detector may take for one: a ticker, a clock, a name plate."""
    found = [make_logo(rng, size)] if recipe.logo else []
    if rng.random() < 0.25:
        found.append(make_caption(rng, size, scrolls=bool(rng.random() < 0.5)))
    return found


def _render(
    path: Path, pieces: list[Piece], overlays: list[Overlay], recipe: Recipe, grain: Grain, size: tuple[int, int], fps: int, rate_hz: int
) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "25", "g": str(fps * 4)})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.time_base = Fraction(1, fps)
        audio = container.add_stream("aac", rate=rate_hz, layout="mono", options={"b": "64k"}) if recipe.sound else None
        frame_number = sample_number = 0
        wave = np.zeros(0, np.float32)
        for piece in pieces:
            for k in range(round(piece.seconds * fps)):
                planes = _compose(piece, k / fps, frame_number / fps, overlays, recipe, grain)
                frame = av.VideoFrame.from_ndarray(np.concatenate([p.reshape(-1, size[0]) for p in planes]), format="yuv420p")
                frame.pts = frame_number
                frame.time_base = Fraction(1, fps)
                container.mux(video.encode(frame))
                frame_number += 1
            if audio is not None:
                target = round(frame_number / fps * rate_hz)
                wave = np.concatenate([wave, piece.wave(rate_hz, target - sample_number - len(wave))])
                whole = len(wave) // 1024 * 1024
                sample_number += _encode_sound(container, audio, wave[:whole], sample_number, rate_hz)
                wave = wave[whole:]
        container.mux(video.encode(None))
        if audio is not None:
            _encode_sound(container, audio, wave, sample_number, rate_hz)
            container.mux(audio.encode(None))


def _encode_sound(container: av.container.OutputContainer, stream: av.AudioStream, wave: Wave, at: int, rate_hz: int) -> int:
    for first in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
        frame.rate, frame.pts, frame.time_base = rate_hz, at + first, Fraction(1, rate_hz)
        container.mux(stream.encode(frame))
    return len(wave)


def _compose(piece: Piece, seconds: float, clock_s: float, overlays: list[Overlay], recipe: Recipe, grain: Grain) -> Planes:
    drawn = piece.draw(seconds)
    if drawn is BLACK:
        return _black((grain.tile.shape[1] - 64, grain.tile.shape[0] - 64))
    planes = (grain.add(drawn[0]), np.ascontiguousarray(drawn[1]), np.ascontiguousarray(drawn[2]))
    planes = piece.dimmed(planes, seconds)
    is_ad = piece.what == "spot"
    if recipe.bars in ("both", "ads" if is_ad else "programme"):
        rows = planes[0].shape[0] // 16 * 2
        for plane, at, value in zip(planes, (rows, rows // 2, rows // 2), (16, 128, 128), strict=True):
            plane[:at] = plane[-at:] = value
    if not is_ad:
        for overlay in overlays:
            draw_overlay(planes, overlay, clock_s)
    return planes


def _black(size: tuple[int, int]) -> Planes:
    half = (size[1] // 2, size[0] // 2)
    return np.full((size[1], size[0]), 16, np.uint8), np.full(half, 128, np.uint8), np.full(half, 128, np.uint8)

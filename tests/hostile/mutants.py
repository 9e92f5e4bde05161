"""Broken files by the hundred: real films of several formats, damaged in ways that a seed decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.hostile.making import Film, write_film

ORIGINALS = {
    "mp4": Film(2, 25, codec_options={"preset": "veryfast", "g": "12"}, sound="aac"),
    "mkv": Film(2, 25, codec="mpeg4", sound="libmp3lame"),
    "ts": Film(2, 25, codec="mpeg2video", sound="mp2"),
    "avi": Film(2, 25, codec="mpeg4", sound="libmp3lame"),
    "webm": Film(2, 25, codec="libvpx", codec_options={"deadline": "realtime", "cpu-used": "8"}, sound="libopus"),
    "gif": Film(2, 10, codec="gif", pixel_format="rgb8"),
    "fragmented.mp4": Film(2, 25, format_options={"movflags": "frag_keyframe+empty_moov"}, codec_options={"preset": "veryfast", "g": "12"}),
}
EXTREMES = [b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00"]

Damage = Callable[[np.random.Generator, bytearray], bytearray]


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str  # format, number and damage: enough to make it again
    suffix: str
    data: bytes


def flipped_bits(rng: np.random.Generator, data: bytearray) -> bytearray:
    for place in rng.integers(0, len(data), int(2 ** rng.uniform(0, 9))):
        data[place] ^= 1 << int(rng.integers(8))
    return data


def flipped_header_bits(rng: np.random.Generator, data: bytearray) -> bytearray:
    for place in rng.integers(0, min(len(data), 1500), int(2 ** rng.uniform(0, 5))):
        data[place] ^= 1 << int(rng.integers(8))
    return data


def truncated(rng: np.random.Generator, data: bytearray) -> bytearray:
    return data[: len(data) * int(rng.integers(1, 11)) // 11 + int(rng.integers(0, 7))]


def zeroed(rng: np.random.Generator, data: bytearray) -> bytearray:
    start, length = _stretch(rng, data)
    data[start : start + length] = bytes(length)
    return data


def cut_out(rng: np.random.Generator, data: bytearray) -> bytearray:
    start, length = _stretch(rng, data)
    del data[start : start + length]
    return data


def spliced(rng: np.random.Generator, data: bytearray) -> bytearray:
    start, length = _stretch(rng, data)
    target = int(rng.integers(len(data)))
    data[target:target] = data[start : start + length]
    return data


def random_stretch(rng: np.random.Generator, data: bytearray) -> bytearray:
    start, length = _stretch(rng, data)
    data[start : start + length] = rng.bytes(length)
    return data


def extreme_lengths(rng: np.random.Generator, data: bytearray) -> bytearray:
    """Four bytes near the head or the tail (an index may lie there) set to what a length must never be."""
    for _ in range(int(rng.integers(1, 4))):
        reach = min(len(data) - 4, 4000)
        place = int(rng.integers(reach))
        place = place if rng.random() < 0.6 else len(data) - 4 - place
        data[place : place + 4] = EXTREMES[int(rng.integers(len(EXTREMES)))]
    return data


DAMAGES: list[Damage] = [
    flipped_bits, flipped_header_bits, truncated, zeroed, cut_out, spliced, random_stretch, extreme_lengths
]  # fmt: skip


def mutants(folder: Path, count: int, seed: int = 0) -> Iterator[Mutant]:
    """`count` damaged films; the same seed gives the same ones as long as the encoders do."""
    whole = {suffix: write_film(folder / f"whole.{suffix}", film).read_bytes() for suffix, film in ORIGINALS.items()}
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        suffix = list(whole)[number % len(whole)]
        damage = DAMAGES[number // len(whole) % len(DAMAGES)]
        yield Mutant(f"{number:03d} {suffix} {damage.__name__}", suffix, bytes(damage(rng, bytearray(whole[suffix]))))


def _stretch(rng: np.random.Generator, data: bytearray) -> tuple[int, int]:
    length = int(len(data) * rng.uniform(0.001, 0.3)) + 1
    return int(rng.integers(0, len(data) - length)), length

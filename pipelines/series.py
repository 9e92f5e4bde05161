"""What decode measured, as plain arrays with times. Knows blocks and blobs, judges nothing.

A block is a fixed minute of the player's clock, `[60 k, 60 (k + 1))`: the unit in which measurements are made and stored.
Every value depends on its block and OVERLAP_S around it only, so any cutting of the work into segments gives the same series.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from model.video import Clock, TimeSpan
from pipelines.interfaces import Blobs, StoreUnavailable
from pipelines.texts import ScreenText, Spoken

BLOCK_S = 60.0
OVERLAP_S = 2.0
EYES = "eyes."  # what an encoder saw, beside what was measured
CUTS = "cuts."  # where an accurate shot detector sees shots end
NUMBERS_BYTES = 64  # a row; what is larger is a picture, and walked block by block


@dataclass(frozen=True, slots=True)
class Series:
    """One measurement over time. times_s: (N,) float64 ascending; values: (N, ...) of any dtype."""

    times_s: NDArray[np.float64]
    values: NDArray[np.generic]

    def __post_init__(self) -> None:
        if len(self.times_s) != len(self.values):
            raise ValueError(f"a series has a value per time, got {len(self.times_s)} times and {len(self.values)} values")

    def __len__(self) -> int:
        return len(self.times_s)

    def within(self, start_s: float, end_s: float) -> Series:
        first, last = np.searchsorted(self.times_s, [start_s, end_s])
        return Series(self.times_s[first:last], self.values[first:last])


def join(parts: list[Series]) -> Series:
    return Series(np.concatenate([p.times_s for p in parts]), np.concatenate([p.values for p in parts]))


def pack(block: Mapping[str, Series]) -> bytes:
    """One block's series as an uncompressed npz: `name` and `name@times`, times shared where equal."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, series in block.items():
        arrays[name] = series.values
        arrays[f"{name}@times"] = series.times_s
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def unpack(data: bytes, names: list[str] | None = None) -> dict[str, Series]:
    """The series that `pack` stored. Raises StoreUnavailable where the bytes are damaged, as a failing disk leaves them."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            wanted = names if names is not None else [n for n in arrays.files if not n.endswith("@times")]
            return {n: Series(arrays[f"{n}@times"], arrays[n]) for n in wanted if n in arrays.files}
    except (BadZipFile, ValueError, EOFError) as error:
        raise StoreUnavailable(f"a stored measurement is damaged ({error}); delete the store's folder `measured` and run again") from error


@dataclass(frozen=True, slots=True)
class Missing(TimeSpan):
    """A stretch whose pictures or sound could not be decoded, and why."""

    reason: str = ""


@dataclass(slots=True)
class Measured:
    """All series of one video under one plan, joined on demand.

    Small series (numbers per frame or per 0.1 s) are joined whole by `measured["frame.luma"]`; pictures are walked block by
    block by `measured.blocks("grey")`, so that memory stays flat for any length.
    """

    blobs: Blobs
    prefix: str  # blobs lie at f"{prefix}/{block:06d}.npz"
    duration_s: float
    clock: Clock | None = None  # of the video stream; None for sound only
    subtitles: tuple[tuple[TimeSpan, str], ...] = ()
    missing: tuple[Missing, ...] = ()  # stretches that could not be decoded, apart and in order
    facts: Mapping[str, Any] = field(default_factory=dict)  # what probe said, JSON values only
    features: str = ""  # series named `eyes.*` lie at f"{features}/{block:06d}.npz"; empty: no encoder has seen the video
    cuts: str = ""  # ... and series named `cuts.*`; empty: no accurate shot detector has looked
    class_names: tuple[str, ...] = ()  # what `eyes.class` counts
    texts: tuple[ScreenText, ...] = ()  # read from the pictures
    spoken: tuple[Spoken, ...] = ()  # a rough transcript
    voice: Series | None = None  # how sure somebody speaks, every 32 ms, around the moments where a task wanted to know
    lost: tuple[str, ...] = ()  # sentences: what should be here and could not be had
    _joined: dict[str, Series] = field(default_factory=dict)

    @property
    def total_s(self) -> float:
        """How long the whole would be: with what a broken download lacks at its end."""
        return max([self.duration_s, *(m.end_s for m in self.missing)])

    @property
    def seen_s(self) -> float:
        """Seconds that could be decoded, of `total_s`."""
        return max(0.0, self.total_s - sum(m.duration_s for m in self.missing))

    def __getitem__(self, name: str) -> Series:
        """The whole series. KeyError where the plan did not ask for it or the video has no such stream."""
        if not self._joined:
            self._joined = self._numbers()
        if name not in self._joined:
            parts = [part for part in self.blocks(name) if len(part)]
            if not parts:
                raise KeyError(name)
            self._joined[name] = join(parts)
        return self._joined[name]

    def get(self, name: str) -> Series | None:
        try:
            return self[name]
        except KeyError:
            return None

    def _numbers(self) -> dict[str, Series]:
        """All series but pictures, from one reading of the blocks; one by one, every block would be read some thirty times."""
        parts: dict[str, list[Series]] = {}
        for key in self.blobs.keys(self.prefix + "/"):
            if key.endswith(".npz"):
                for name, part in unpack(self.blobs.get(key)).items():
                    if len(part) and part.values[0].nbytes <= NUMBERS_BYTES:
                        parts.setdefault(name, []).append(part)
        return {name: join(found) for name, found in parts.items()}

    def blocks(self, name: str) -> Iterator[Series]:
        """The series block by block, in time order; blocks without it are left out."""
        prefix = {EYES: self.features, CUTS: self.cuts}.get(f"{name.split('.')[0]}.", self.prefix)
        for key in self.blobs.keys(prefix + "/") if prefix else ():
            if not key.endswith(".npz"):
                continue  # the manifest
            part = unpack(self.blobs.get(key), [name]).get(name)
            if part is not None:
                yield part

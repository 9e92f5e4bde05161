"""What a memory was made of, and which seconds its tokens stand for. Knows no tensor, so that a memory can be judged before it is read.

N = frames watched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan

FORMAT_VERSION = 1
LOOK_BACK_AT_ALL = "all windows"
BITS = (32, 16, 8, 4)  # of a stored number; below 16 it is a step on a scale


class UnreadableMemory(Exception):
    """The bytes are not a memory that this version can read. Trying again will not help; watching again will."""


class MemoryMismatch(Exception):
    """The memory is whole, but of another video or made in another way than was asked for. The message lists what differs."""

    def __init__(self, made: Recipe, asked: Recipe, place: str = "the memory") -> None:
        self.differences = made.differences(asked)
        super().__init__(f"{place} cannot answer this: {'; '.join(self.differences)}; watch the video again, or ask as it was made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that makes a memory what it is. Two memories with equal recipes are the same memory."""

    system: str = "video-xl"
    video_id: str  # SHA-256 over the video's bytes, or a stream's name
    sampling: str  # "1 fps", "128 frames"
    preprocessing: str  # its name and version
    prompt_ids: tuple[int, ...]  # the text before the video
    ratios: str  # as `Ratios` writes itself
    weights: str  # SHA-256 of configuration and weights
    dtype: str  # of the computation
    look_back: str = LOOK_BACK_AT_ALL  # that a window saw; "32 windows" where watching was told to look no further back
    format_version: int = FORMAT_VERSION

    @property
    def key(self) -> str:
        """SHA-256 of all of it, in hex: the memory's name in a store."""
        return sha256(json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def differences(self, other: Recipe) -> list[str]:
        """What `other`, which was asked for, has otherwise; one sentence each.

        >>> one = Recipe(video_id="a", sampling="1 fps", preprocessing="p", prompt_ids=(1,), ratios="16", weights="w", dtype="float32")
        >>> from dataclasses import replace
        >>> one.differences(replace(one, sampling="2 fps"))
        ['it was made with 1 fps, 2 fps was asked']
        """
        return [_SAID[name](*pair) for name in _SAID if len(set(pair := (getattr(self, name), getattr(other, name)))) > 1]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "prompt_ids": list(self.prompt_ids)}

    @classmethod
    def from_json(cls, found: object) -> Recipe:
        """Raises UnreadableMemory, which names the field."""
        table = _table(found, "the recipe")
        version = table.get("format_version")
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise UnreadableMemory(
                f"the memory has format version {version!r}, this Longtake reads version {FORMAT_VERSION}; watch the video again"
            )
        _exactly(table, {f.name for f in fields(cls)}, "the recipe")
        texts: dict[str, Any] = {name: _told(table[name], str, name) for name in table if name not in ("prompt_ids", "format_version")}
        return cls(**texts, prompt_ids=tuple(_whole_numbers(table["prompt_ids"], "prompt_ids").tolist()))


def _named(what: str) -> Any:
    return lambda made, asked: f"it was made with {what} {made}, {asked} was asked"


_SAID: Mapping[str, Any] = {
    "format_version": _named("format version"),
    "system": lambda made, asked: f"it was made by {made}, {asked} was asked",
    "video_id": lambda made, asked: f"it is of the video {_short(made)}, the video asked about is {_short(asked)}",
    "sampling": lambda made, asked: f"it was made with {made}, {asked} was asked",
    "preprocessing": _named("pictures prepared by"),
    "prompt_ids": lambda made, asked: f"it was made behind another prompt ({len(made)} tokens, {len(asked)} were asked, and they differ)",
    "ratios": _named("ratio"),
    "weights": lambda made, asked: f"it was made with other weights ({_short(made)}, {_short(asked)} are loaded)",
    "look_back": lambda made, asked: f"its windows looked back at {made}, {asked} was asked",
    "dtype": lambda made, asked: f"it was computed in {made}, {asked} was asked",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manifest:
    """A memory's recipe, and the frames it has seen so far.

    times_s: (N,) float64 on the player's clock, never falling; ticks: (N,) int64, the same in the stream's time base;
    duration_s: of the file, None for a live stream; is_complete: the video was watched to its end;
    bits: 32 and 16 keep numbers as they are; key_loss, value_loss: what fewer bits cost, relative error over the whole memory.
    """

    recipe: Recipe
    tokens_per_frame: int
    times_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    ticks: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    duration_s: float | None = None
    is_complete: bool = False
    bits: int = 32
    window: int = 1440  # visual tokens
    key_loss: float = 0.0
    value_loss: float = 0.0

    def __post_init__(self) -> None:
        if len(self.times_s) != len(self.ticks):
            raise ValueError(f"times and ticks must agree in number, got {len(self.times_s)} and {len(self.ticks)}")
        if not np.isfinite(self.times_s).all() or (np.diff(self.times_s) < 0).any():
            raise ValueError("frames come in the order of their times, and every one has a time")
        if self.tokens_per_frame < 1 or self.window < 1:
            raise ValueError(f"a frame and a window hold 1 token or more, got {self.tokens_per_frame} and {self.window}")
        if self.bits not in BITS:
            raise ValueError(f"numbers are kept in {', '.join(map(str, BITS))} bits, got {self.bits}")
        if self.duration_s is not None and not 0 <= self.duration_s < math.inf:
            raise ValueError(f"a file lasts 0 seconds or more, got {self.duration_s}")
        if not (0 <= self.key_loss < math.inf and 0 <= self.value_loss < math.inf):
            raise ValueError(f"a loss is 0 or more, got {self.key_loss} and {self.value_loss}")

    def span(self, start_token: int, end_token: int) -> TimeSpan:
        """The seconds that the visual tokens [start_token, end_token) show: from their first frame to the frame after their last.

        Behind the last frame stands the end of the file. Where nothing tells how long the last frame is shown (a live stream),
        it counts for as long as the one before it.
        """
        first, last = start_token // self.tokens_per_frame, (end_token - 1) // self.tokens_per_frame
        if not 0 <= first <= last < len(self.times_s):
            raise ValueError(f"tokens [{start_token}, {end_token}) are not all of the {len(self.times_s)} frames watched")
        start_s = max(0.0, float(self.times_s[first]))
        return TimeSpan(start_s, max(self._end_s(last), math.nextafter(start_s, math.inf)))

    def _end_s(self, frame: int) -> float:
        shown = self.times_s[frame]
        later = int(np.searchsorted(self.times_s, shown, "right"))  # a film shorter than the frames asked for repeats some
        if later < len(self.times_s):
            return float(self.times_s[later])
        if self.duration_s is not None and self.duration_s > shown:
            return self.duration_s
        earlier = int(np.searchsorted(self.times_s, shown, "left")) - 1
        return float(shown + (shown - self.times_s[earlier])) if earlier >= 0 else float(shown)

    @property
    def covered_s(self) -> float:
        """Seconds of the video that the frames watched stand for."""
        frames = len(self.times_s)
        return self.span(0, frames * self.tokens_per_frame).duration_s if frames else 0.0

    def to_json(self) -> dict[str, Any]:
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**plain, "recipe": self.recipe.to_json(), "times_s": self.times_s.tolist(), "ticks": self.ticks.tolist()}

    @classmethod
    def from_json(cls, found: object) -> Manifest:
        """Raises UnreadableMemory, which says what is wrong."""
        table = _table(found, "the manifest")
        recipe = Recipe.from_json(table.get("recipe"))
        _exactly(table, {f.name for f in fields(cls)}, "the manifest")
        duration = table["duration_s"]
        counts: dict[str, Any] = {name: _told(table[name], int, name) for name in ("tokens_per_frame", "bits", "window")}
        losses: dict[str, Any] = {name: _number(table[name], name) for name in ("key_loss", "value_loss")}
        try:
            return cls(
                recipe=recipe,
                times_s=np.array([_number(t, "times_s") for t in _list(table["times_s"], "times_s")], np.float64),
                ticks=_whole_numbers(table["ticks"], "ticks"),
                duration_s=None if duration is None else _number(duration, "duration_s"),
                is_complete=_told(table["is_complete"], bool, "is_complete"),
                **counts,
                **losses,
            )
        except (ValueError, OverflowError) as error:
            raise UnreadableMemory(f"the manifest contradicts itself: {error}") from error


def _table(found: object, what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise UnreadableMemory(f"{what} of the memory is not a table")
    return found


def _exactly(table: Mapping[str, Any], wanted: set[str], what: str) -> None:
    if odd := wanted ^ set(table):
        raise UnreadableMemory(f"{what} of the memory misses or should not have: {', '.join(sorted(odd))}")


def _told(found: object, kind: type, name: str) -> Any:
    if type(found) is not kind:
        raise UnreadableMemory(f"{name} in the memory's manifest is {_short(found)}, expected {kind.__name__}")
    return found


def _list(found: object, name: str) -> list[Any]:
    return list(_told(found, list, name))


def _number(found: object, name: str) -> float:
    return float(found) if type(found) is int else float(_told(found, float, name))


def _whole_numbers(found: object, name: str) -> NDArray[np.int64]:
    try:
        return np.array([_told(n, int, name) for n in _list(found, name)], np.int64)
    except OverflowError as error:
        raise UnreadableMemory(f"{name} in the memory's manifest holds a number beyond 64 bits") from error


def _short(found: object) -> str:
    text = str(found)
    return text if len(text) <= 16 else f"{text[:12]}…"

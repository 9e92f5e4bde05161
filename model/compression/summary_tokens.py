"""Which visual tokens share a window and where its summary tokens stand (Video-XL, section 3.2 of its paper). Counts only, no tensors.

A window is read with one summary token behind every `ratio` visual tokens; only the summary tokens' keys and values are kept. Visual
tokens behind a window's last summary token are carried: they count towards the first one of the next window.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

SEED = 42  # of the authors' drawing of ratios; theirs goes on from film to film, ours begins anew with each


class WrongRatio(ValueError):
    """No summary tokens can be placed with this ratio."""


@dataclass(frozen=True)
class Window:
    """`raw` visual tokens from the `start`-th on, at one ratio; `carried`: of the window before, without a summary token yet."""

    start: int
    raw: int
    ratio: int
    carried: int = 0

    def __post_init__(self) -> None:
        if self.ratio < 1:
            raise WrongRatio(f"a summary token stands for 1 visual token or more, got the ratio {self.ratio}")
        if self.carried >= self.ratio:
            raise WrongRatio(
                f"{self.carried} visual tokens wait for a summary token, more than the next window's ratio {self.ratio} takes; "
                "give ratios that divide the window"
            )

    @property
    def end(self) -> int:
        return self.start + self.raw

    @property
    def summaries(self) -> int:
        return (self.raw + self.carried) // self.ratio

    @property
    def length(self) -> int:
        """Visual and summary tokens together: what the decoder reads."""
        return self.raw + self.summaries

    @property
    def left_over(self) -> int:
        return (self.raw + self.carried) % self.ratio

    @cached_property
    def summary_places(self) -> NDArray[np.int64]:
        """Where summary tokens stand among the `length` tokens read."""
        return (self.ratio - self.carried) + np.arange(self.summaries, dtype=np.int64) * (self.ratio + 1)

    @cached_property
    def visual_places(self) -> NDArray[np.int64]:
        return np.setdiff1d(np.arange(self.length, dtype=np.int64), self.summary_places, assume_unique=True)


@dataclass(frozen=True, slots=True)
class Ratios:
    """Which ratio each window gets.

    mix: `single` (the one value), `listed` (one value a window, in order, exactly), `sequence` (the values in turn), `step-random`
    (drawn anew for each window), `instance-random` (drawn once a film), `adapt-K` (the smallest whose memory has room for the film and
    K tokens more). As published, all but the first two draw only from values that divide the window.
    """

    values: tuple[int, ...]
    mix: str = "single"
    seed: int = SEED

    def __post_init__(self) -> None:
        if not self.values or min(self.values) < 1:
            raise WrongRatio(f"a ratio is a number from 1 on, got {', '.join(map(str, self.values)) or 'none'}")
        if self.mix == "single" and len(self.values) != 1:
            raise WrongRatio(f"a single ratio was announced, but {len(self.values)} are given")
        if self.mix not in ("single", "listed", "sequence", "step-random", "instance-random") and not re.fullmatch(r"adapt-\d+", self.mix):
            raise WrongRatio(f"there is no way {self.mix!r} to mix ratios")

    @classmethod
    def parse(cls, text: str) -> Ratios:
        """`16`; `4,8,8` one for each window; `random:2,4,8` drawn for each window; `cycle:2,4`; `adapt-1024:2,4,8`.

        >>> Ratios.parse("random:2,4,8")
        Ratios(values=(2, 4, 8), mix='step-random', seed=42)
        """
        mix, _, numbers = text.rpartition(":")
        try:
            values = tuple(int(n) for n in numbers.split(","))
        except ValueError as error:
            raise WrongRatio(f"a ratio is a number (16), a list (4,8,8) or random:2,4,8, got {text!r}") from error
        mixes = {"": "listed" if len(values) > 1 else "single", "random": "step-random", "cycle": "sequence"}
        return cls(values, mixes.get(mix, mix))

    def __str__(self) -> str:
        names = {"single": "", "listed": "", "step-random": "random:", "sequence": "cycle:"}
        return names.get(self.mix, f"{self.mix}:") + ",".join(map(str, self.values))

    def of_windows(self, window: int, visual_tokens: int | None = None, room: int = 0) -> Iterator[int]:
        """Ratios of the first, second, ... window.

        visual_tokens: of the whole film, which only adapt-K must know; room: tokens of the model's context.
        """
        if self.mix in ("single", "listed"):
            return iter(self.values) if self.mix == "listed" else cycle(self.values)
        fitting = [ratio for ratio in self.values if window % ratio == 0 and ratio <= window]
        if not fitting:
            raise WrongRatio(f"none of the ratios {', '.join(map(str, self.values))} divides the window of {window} tokens")
        return self._mixed(fitting, window, visual_tokens, room)

    def _mixed(self, fitting: Sequence[int], window: int, visual_tokens: int | None, room: int) -> Iterator[int]:
        if self.mix == "sequence":
            return cycle(fitting)
        if self.mix.startswith("adapt-"):
            return cycle([self._adapted(sorted(fitting), window, visual_tokens, room)])
        draw = np.random.default_rng(self.seed).choice
        if self.mix == "instance-random":
            return cycle([int(draw(fitting))])
        return (int(draw(fitting)) for _ in cycle([0]))

    def _adapted(self, fitting: Sequence[int], window: int, visual_tokens: int | None, room: int) -> int:
        if visual_tokens is None:
            raise WrongRatio(f"{self.mix} chooses by the film's length, and a stream has none yet; name a ratio")
        wanted = visual_tokens + int(self.mix.removeprefix("adapt-"))
        for ratio in fitting:
            if (room - window) * ratio + window >= wanted:
                return ratio
        raise WrongRatio(f"no ratio of {', '.join(map(str, fitting))} makes {wanted} tokens fit into {room}")


class Windows:
    """Cuts a growing run of visual tokens into windows. The last one, which may be shorter, is cut by `rest`."""

    def __init__(self, size: int, ratios: Iterator[int], *, start: int = 0, carried: int = 0) -> None:
        self.size, self._ratios = size, ratios
        self.start, self.carried = start, carried

    def full(self, visual_tokens: int) -> Window | None:
        """The next whole window, where that many tokens reach to its end."""
        return self._cut(self.size) if visual_tokens - self.start >= self.size else None

    def rest(self, visual_tokens: int) -> Window | None:
        """What is left when no more tokens come."""
        return self._cut(visual_tokens - self.start) if visual_tokens > self.start else None

    def _cut(self, raw: int) -> Window:
        ratio = next(self._ratios, None)
        if ratio is None:
            raise WrongRatio(f"the list of ratios ends before visual token {self.start}; give one for every window, or a single one")
        window = Window(self.start, raw, ratio, self.carried)
        self.start, self.carried = window.end, window.left_over
        return window


def plan_windows(visual_tokens: int, size: int, ratios: Ratios, room: int = 0) -> list[Window]:
    """All windows of a film of that many visual tokens.

    >>> [(w.raw, w.summaries) for w in plan_windows(100, 40, Ratios((16,)))]
    [(40, 2), (40, 3), (20, 1)]
    """
    windows = Windows(size, ratios.of_windows(size, visual_tokens, room))
    found = []
    while (window := windows.full(visual_tokens)) or (window := windows.rest(visual_tokens)):
        found.append(window)
    return found

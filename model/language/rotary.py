"""Rotary positions, rotate-half form (Su et al. 2021; as in Qwen2 and LLaMA). T = rows, E = width of a head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Angles:
    """cos, sin: (T, E) of the rows' positions, made in float32, kept in the type of what they turn."""

    cos: Tensor
    sin: Tensor

    def turn(self, x_HTE: Tensor) -> Tensor:
        first, second = x_HTE.chunk(2, -1)
        return x_HTE * self.cos + torch.cat((-second, first), -1) * self.sin

    def turn_back(self, x_HTE: Tensor) -> Tensor:
        return Angles(self.cos, -self.sin).turn(x_HTE)

    def at(self, rows: Tensor) -> Angles:
        return Angles(self.cos[rows], self.sin[rows])


@dataclass(frozen=True, slots=True)
class Rotary:
    head_dim: int
    theta: float

    def angles(self, positions_T: Tensor, dtype: torch.dtype) -> Angles:
        """positions_T: (T,) whole numbers, on the device where the rows are."""
        halves = torch.arange(0, self.head_dim, 2, device=positions_T.device, dtype=torch.float32) / self.head_dim
        # 1 / theta**x and not theta**-x, which rounds otherwise: at position 30,000 the cosines would differ by 0.002 from the authors'.
        turns = positions_T.float()[:, None] * (1.0 / self.theta**halves)
        turns = torch.cat((turns, turns), -1)
        return Angles(turns.cos().to(dtype), turns.sin().to(dtype))

    def run(self, start: int, count: int, like: Tensor) -> Angles:
        """Of `count` positions from `start` on."""
        return self.angles(torch.arange(start, start + count, device=like.device), like.dtype)

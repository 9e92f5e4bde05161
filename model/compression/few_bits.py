"""Numbers in 8 or 4 bits: each channel of a block on a scale of its own, from its least to its greatest value over the block's tokens.

L = layers, G = key heads, S = tokens of a block, E = width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FEW = (8, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """codes: uint8, (L, G, S, E), or in 4 bits (L, G, (S + 1) // 2, E), two tokens a byte, the earlier one low.

    scale, low: (L, G, 1, E) float32: a code stands for low + code * scale. float32, for a channel may lie far from 0 beside its spread
    (Qwen2 adds a bias to keys), which 16 bits would blur by more than a step.
    """

    codes: Tensor
    scale: Tensor
    low: Tensor

    @classmethod
    def of(cls, x_LGSE: Tensor, bits: int) -> Coded:
        if bits not in FEW:
            raise ValueError(f"numbers are coded in 8 or 4 bits, got {bits}")
        x = x_LGSE.float()
        if not x.shape[2]:
            nothing = x.new_zeros(*x.shape[:2], 1, x.shape[3])
            return cls(x.to(torch.uint8), nothing, nothing.clone())
        low, high = x.amin(2, keepdim=True), x.amax(2, keepdim=True)
        scale = (high - low) / (2**bits - 1)
        codes = ((x - low) / scale.clamp_min(torch.finfo(torch.float32).tiny)).round_().to(torch.uint8)
        return cls(_paired(codes) if bits == 4 else codes, scale, low)

    def restored(self, bits: int, tokens: int, dtype: torch.dtype) -> Tensor:
        """(L, G, tokens, E)."""
        codes = _unpaired(self.codes)[:, :, :tokens] if bits == 4 else self.codes
        return (codes * self.scale + self.low).to(dtype)


def _paired(codes: Tensor) -> Tensor:
    if codes.shape[2] % 2:
        codes = torch.cat((codes, torch.zeros_like(codes[:, :, :1])), 2)
    return codes[:, :, ::2] | codes[:, :, 1::2] << 4


def _unpaired(bytes_: Tensor) -> Tensor:
    return torch.stack((bytes_ & 15, bytes_ >> 4), 3).flatten(2, 3)

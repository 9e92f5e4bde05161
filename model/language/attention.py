"""Attention in pieces: kernels that tell their log-sum-exp, so that what was read earlier and what is read now are attended to apart
and joined exactly. No piece needs a mask over the memory, and no key is repeated for its group of query heads.

H = query heads, G = key heads (H is a multiple), T = query rows, N = key rows, E = width of a head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


class Part(NamedTuple):
    """Attention over some of the keys. out: (H, T, E); lse: (H, T) float32, log of the sum over these keys of exp(score)."""

    out: Tensor
    lse: Tensor


def attend_all(q_HTE: Tensor, k_GNE: Tensor, v_GNE: Tensor) -> Part:
    """Every row sees every key."""
    return _kernel(q_HTE, k_GNE, v_GNE, causal=False)


def attend_causal(q_HTE: Tensor, k_GNE: Tensor, v_GNE: Tensor) -> Part:
    """Bottom-right causal: the last row sees every key, the row before it all but the last, and so on (N >= T)."""
    rows, keys = q_HTE.shape[1], k_GNE.shape[1]
    if rows == keys or q_HTE.is_cuda:
        return _kernel(q_HTE, k_GNE, v_GNE, causal=True)
    earlier = keys - rows  # the CPU kernel aligns to the upper left, so the square part goes by itself
    past = attend_all(q_HTE, k_GNE[:, :earlier], v_GNE[:, :earlier])
    return join(past, _kernel(q_HTE, k_GNE[:, earlier:], v_GNE[:, earlier:], causal=True))


def attend_masked(q_HTE: Tensor, k_GNE: Tensor, v_GNE: Tensor, seen_TN: Tensor) -> Part:
    """Row t sees key n where `seen_TN` says so; for few rows or few keys. Leading dimensions before H, G and T may be added to all."""
    *lead, heads, rows, width = q_HTE.shape
    groups = k_GNE.shape[-3]
    q = q_HTE.reshape(*lead, groups, heads // groups, rows, width)  # (..., G, H / G, T, E)
    scores = torch.einsum("...ghte,...gne->...ghtn", q, k_GNE).float() * q.shape[-1] ** -0.5
    scores = scores.masked_fill(~seen_TN[..., None, None, :, :], -torch.inf)
    lse = scores.logsumexp(-1)
    weights = torch.exp(scores - lse.unsqueeze(-1)).to(v_GNE.dtype)
    return Part(torch.einsum("...ghtn,...gne->...ghte", weights, v_GNE).flatten(-4, -3), lse.flatten(-3, -2))


def join(one: Part, other: Part) -> Part:
    """Attention over the keys of both."""
    lse = torch.logaddexp(one.lse, other.lse)
    out = one.out * torch.exp(one.lse - lse).unsqueeze(-1) + other.out * torch.exp(other.lse - lse).unsqueeze(-1)
    return Part(out.to(one.out.dtype), lse)


def _kernel(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Part:
    """A fused kernel where the device has one for these types, plain arithmetic elsewhere."""
    if not q.numel():  # a prompt of no words; no kernel takes it
        return Part(q, q.new_empty(q.shape[:2], dtype=torch.float32))
    if q.device.type == "cpu":
        found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q[None], k[None], v[None], 0.0, causal)
        return Part(found[0][0], found[1][0])
    if q.is_cuda and q.dtype in (torch.float16, torch.bfloat16):
        width = q.shape[-1]
        q, k, v = (F.pad(x, (0, -width % 8)) if width % 8 else x for x in (q, k, v))
        # Where rows and keys differ in number this operator aligns to the bottom right.
        found = torch.ops.aten._scaled_dot_product_flash_attention(q[None], k[None], v[None], 0.0, causal, False, scale=width**-0.5)
        return Part(found[0][0, ..., :width], found[1][0])
    rows, keys = q.shape[1], k.shape[1]
    seen = torch.ones(rows, keys, dtype=torch.bool, device=q.device)
    return attend_masked(q, k, v, seen.tril(keys - rows) if causal else seen)

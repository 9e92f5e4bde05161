"""Video-XL's windows written plainly, as the paper tells them: the other side of `benchmarks.video_xl`, and of a test.

Every layer computes every row; the memory is concatenated before each window's keys, rotated anew, repeated for the query heads, and
attended to under a mask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model.compression.summary_tokens import Ratios, plan_windows
from model.language.decoder import Decoder


@torch.no_grad()
def watch_plainly(decoder: Decoder, prompt_ids: list[int], visual_VD: Tensor, window: int, ratio: int) -> tuple[list[Tensor], list[Tensor]]:
    """Keys (not rotated) and values of the prompt and of all summary tokens, (G, N, E) for each layer."""
    keys: list[Tensor] = [torch.empty(decoder.config.kv_heads, 0, decoder.config.head_dim) for _ in decoder.layers]
    values = list(keys)
    x_TD = decoder.embed(torch.tensor(prompt_ids))
    everything = torch.ones(len(prompt_ids), dtype=torch.bool)
    _pass(decoder, x_TD, torch.zeros(len(x_TD), dtype=torch.bool), everything, keys, values)
    for part in plan_windows(len(visual_VD), window, Ratios((ratio,))):
        is_summary = torch.zeros(part.length, dtype=torch.bool)
        is_summary[part.summary_places] = True
        x_TD = decoder.summary_embed.weight.expand(part.length, -1).clone()
        x_TD[~is_summary] = visual_VD[part.start : part.end]
        _pass(decoder, x_TD, is_summary, is_summary, keys, values)
    return keys, values


def _pass(decoder: Decoder, x_TD: Tensor, is_summary: Tensor, kept: Tensor, keys: list[Tensor], values: list[Tensor]) -> None:
    rows, heads = len(x_TD), decoder.config.heads
    for number, layer in enumerate(decoder.layers):
        h = layer.input_norm(x_TD)
        q, k, v = (_project(layer, name, h, is_summary) for name in "qkv")
        all_k, all_v = torch.cat((keys[number], k), 1), torch.cat((values[number], v), 1)
        angles = decoder.rotary.run(0, all_k.shape[1], x_TD)
        turned_k, turned_q = angles.turn(all_k), angles.at(torch.arange(all_k.shape[1] - rows, all_k.shape[1])).turn(q)
        repeats = heads // all_k.shape[0]
        mask = torch.ones(rows, all_k.shape[1], dtype=torch.bool).tril(all_k.shape[1] - rows)
        repeated = turned_k.repeat_interleave(repeats, 0)[None], all_v.repeat_interleave(repeats, 0)[None]
        attended = F.scaled_dot_product_attention(turned_q[None], *repeated, attn_mask=mask)[0]
        x_TD = layer.finish(x_TD, attended)
        keys[number] = torch.cat((keys[number], k[:, kept]), 1)
        values[number] = torch.cat((values[number], v[:, kept]), 1)
    decoder.norm(x_TD)


def _project(layer: torch.nn.Module, name: str, h: Tensor, is_summary: Tensor) -> Tensor:
    both = torch.where(is_summary[:, None], getattr(layer, f"summary_{name}")(h), getattr(layer, name)(h))
    return both.view(len(h), -1, layer.head_dim).transpose(0, 1)

"""A Qwen2 decoder whose summary tokens have projections of their own (Video-XL). Reads rows; what they look back at is a context's affair.

T = rows, D = model width, H = query heads, G = key heads, E = width of a head, S = summary rows. Norms and softmax are float32.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from model.language.config import DecoderConfig
from model.language.rotary import Angles, Rotary


class Context(Protocol):
    """What rows look back at, and where their keys and values go."""

    def attend(self, layer: int, q_HTE: Tensor, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> Tensor:
        """Queries and keys come un-rotated, angles are of all rows. Fewer queries than keys are those of the rows wanted. (H, T, E)."""
        ...

    def keep(self, layer: int, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> None:
        """Keys and values of a layer in which nothing needs attending any more."""
        ...


class Norm(nn.Module):
    """Root mean square norm in float32, cast, then weighted, in this order."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_TD: Tensor) -> Tensor:
        if x_TD.dtype == torch.float32:
            return F.rms_norm(x_TD, self.weight.shape, self.weight, self.eps)
        return F.rms_norm(x_TD.float(), self.weight.shape, None, self.eps).to(x_TD.dtype) * self.weight


class Layer(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width, queries, keys = config.hidden_size, config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.head_dim = config.head_dim
        self.q, self.k, self.v = nn.Linear(width, queries), nn.Linear(width, keys), nn.Linear(width, keys)
        self.summary_q, self.summary_k, self.summary_v = nn.Linear(width, queries), nn.Linear(width, keys), nn.Linear(width, keys)
        self.o = nn.Linear(queries, width, bias=False)
        self.gate, self.up = (nn.Linear(width, config.intermediate_size, bias=False) for _ in range(2))
        self.down = nn.Linear(config.intermediate_size, width, bias=False)
        self.input_norm, self.post_norm = (Norm(width, config.norm_eps) for _ in range(2))

    def project(self, name: str, x_TD: Tensor, summaries_S: Tensor | None = None) -> Tensor:
        """(heads, T, E) by `q`, `k` or `v`, with the rows `summaries_S` by the summary tokens' own."""
        found: Tensor = getattr(self, name)(x_TD)
        if summaries_S is not None:
            found = found.index_copy(0, summaries_S, getattr(self, f"summary_{name}")(x_TD[summaries_S]))
        return self._heads(found)

    def project_summaries(self, name: str, x_SD: Tensor) -> Tensor:
        """The same for rows that are summary tokens, all of them."""
        return self._heads(getattr(self, f"summary_{name}")(x_SD))

    def finish(self, x_TD: Tensor, attended_HTE: Tensor) -> Tensor:
        x_TD = x_TD + cast(Tensor, self.o(attended_HTE.transpose(0, 1).flatten(1)))
        h = self.post_norm(x_TD)
        return x_TD + cast(Tensor, self.down(F.silu(self.gate(h)) * self.up(h)))

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(len(x), x.shape[1] // self.head_dim, self.head_dim).transpose(0, 1)


class Decoder(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.rotary = Rotary(config.head_dim, config.rope_theta)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.summary_embed = nn.Embedding(1, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = Norm(config.hidden_size, config.norm_eps)
        self.head = None if config.tied_head else nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @property
    def dtype(self) -> torch.dtype:
        return self.embed.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.embed.weight.device

    def read(
        self, x_TD: Tensor, positions: Angles, context: Context, *, summaries_S: Tensor | None = None, last: int | None = None
    ) -> Tensor:
        """Returns the hidden states, before the last norm, of the `last` rows, or of all rows; summary tokens at the rows `summaries_S`."""
        for number, layer in enumerate(self._layers()):
            h = layer.input_norm(x_TD)
            k, v = layer.project("k", h, summaries_S), layer.project("v", h, summaries_S)
            if number == len(self.layers) - 1 and last is not None:
                h, x_TD = h[-last:], x_TD[-last:]
            x_TD = layer.finish(x_TD, context.attend(number, layer.project("q", h, summaries_S), k, v, positions))
        return x_TD

    def store(self, x_TD: Tensor, positions: Angles, context: Context) -> None:
        """Text whose keys and values are wanted and nothing else: the last layer attends to nothing."""
        for number, layer in enumerate(self._layers()):
            h = layer.input_norm(x_TD)
            k, v = layer.project("k", h), layer.project("v", h)
            if number == len(self.layers) - 1:
                return context.keep(number, k, v, positions)
            x_TD = layer.finish(x_TD, context.attend(number, layer.project("q", h), k, v, positions))
        raise AssertionError("a decoder has a layer or more")

    def condense(self, x_TD: Tensor, summaries_S: Tensor, positions: Angles, context: Context) -> None:
        """A window with its summary tokens at the rows `summaries_S`, for their keys and values alone.

        So the last layer projects them and is done, and the last but one attends and thinks for these rows only.
        """
        last = len(self.layers) - 1
        for number, layer in enumerate(self._layers()):
            h = layer.input_norm(x_TD)
            if number == last:
                h = h if last else h[summaries_S]
                return context.keep(number, layer.project_summaries("k", h), layer.project_summaries("v", h), positions)
            k, v = layer.project("k", h, summaries_S), layer.project("v", h, summaries_S)
            if number == last - 1:
                q, x_TD = layer.project_summaries("q", h[summaries_S]), x_TD[summaries_S]
            else:
                q = layer.project("q", h, summaries_S)
            x_TD = layer.finish(x_TD, context.attend(number, q, k, v, positions))
        raise AssertionError("a decoder has a layer or more")

    def logits(self, hidden_TD: Tensor) -> Tensor:
        """(T, vocabulary) float32."""
        return F.linear(self.norm(hidden_TD), self.embed.weight if self.head is None else self.head.weight).float()

    def interleave(self, visual_VD: Tensor, visual_places: Tensor, summary_places: Tensor) -> Tensor:
        """(V + S, D): a window's visual tokens with the summary tokens between them."""
        x_TD = visual_VD.new_empty(len(visual_places) + len(summary_places), visual_VD.shape[1])
        return x_TD.index_copy(0, visual_places, visual_VD).index_copy(
            0, summary_places, self.summary_embed.weight.expand(len(summary_places), -1)
        )

    def _layers(self) -> list[Layer]:
        return list(self.layers)  # type: ignore[arg-type]

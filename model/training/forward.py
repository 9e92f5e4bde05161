"""The differentiable reading of one example: as at inference, but what is kept of each window stays in the graph, so that the loss
teaches the windows before it too.

P = prompt tokens, V = visual tokens, T = rows read at once, D = model width, H = query heads, G = key heads, E = width of a head,
S = summary rows of a window, N = P + V + the text's tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from torch.utils.checkpoint import checkpoint

from model.compression.summary_tokens import Window
from model.language.decoder import Decoder
from model.language.rotary import Angles

UNLABELLED = -100

Rows = tuple[Tensor, Tensor]  # keys rotated to their final places, values; (G, rows, E) each
Piece = tuple[Tensor, list[Rows]]  # summed loss of some rows, and what is kept of them in each layer


def summed_loss(
    decoder: Decoder,
    prompt_ids: Tensor,
    visual_VD: Tensor,
    text_ids: Tensor,
    labels_N: Tensor,
    windows: Sequence[Window] | None,
    *,
    recompute: bool = False,
) -> tuple[Tensor, int]:
    """Summed cross-entropy of one example, and over how many tokens.

    labels_N: one for each token of prompt, video and text, not shifted yet; UNLABELLED where nothing is learned. windows: of
    `plan_windows`; None reads everything plainly, without summary tokens. recompute: gradient checkpointing, one piece (the prompt, a
    window, the text) at a time.
    """
    _check(prompt_ids, visual_VD, text_ids, labels_N, windows)
    wanted_N = torch.cat([labels_N[1:], labels_N.new_tensor([UNLABELLED])])
    before, seen, behind = torch.split(wanted_N, [len(prompt_ids), len(visual_VD), len(text_ids)])
    prompt_PD, text_TD = decoder.embed(prompt_ids), decoder.embed(text_ids)
    visual_VD = visual_VD.to(prompt_PD.dtype)
    reading = Reading(decoder, recompute)
    if windows is None or not len(visual_VD):
        reading.text(torch.cat([prompt_PD, visual_VD, text_TD]), wanted_N)
    else:
        reading.text(prompt_PD, before)
        for window in windows:
            reading.window(visual_VD[window.start : window.end], window, seen[window.start : window.end])
        reading.text(text_TD, behind)
    return reading.loss, int((wanted_N != UNLABELLED).sum())


class Reading:
    """One example on its way through the decoder: what is kept so far, in each layer, and the loss so far."""

    def __init__(self, decoder: Decoder, recompute: bool) -> None:
        self.decoder, self.recompute = decoder, recompute
        self.kept: list[list[Rows]] = [[] for _ in decoder.layers]
        self.length = 0
        self.loss = torch.zeros((), device=decoder.device)

    def text(self, x_TD: Tensor, wanted_T: Tensor) -> None:
        """Rows that are kept whole."""
        if len(x_TD):
            self._take(x_TD, len(x_TD), wanted_T, None)

    def window(self, visual_VD: Tensor, window: Window, wanted_V: Tensor) -> None:
        """A window of visual tokens: its summary tokens are kept."""
        visual, summary = (torch.from_numpy(p).to(visual_VD.device) for p in (window.visual_places, window.summary_places))
        wanted_T = wanted_V.new_full((window.length,), UNLABELLED).index_copy(0, visual, wanted_V)
        if not window.summaries and bool((wanted_V == UNLABELLED).all()):
            return  # nothing is kept and nothing is learned
        self._take(self.decoder.interleave(visual_VD, visual, summary), window.summaries, wanted_T, summary)

    def _take(self, x_TD: Tensor, rows: int, wanted_T: Tensor, summaries_S: Tensor | None) -> None:
        arguments = self.decoder, self.kept, self.length, x_TD, wanted_T, summaries_S
        loss, new = checkpoint(_read, *arguments, use_reentrant=False) if self.recompute else _read(*arguments)
        self.loss = self.loss + loss
        self.kept = [[*earlier, here] for earlier, here in zip(self.kept, new, strict=True)]
        self.length += rows


def _read(
    decoder: Decoder, kept: Sequence[Sequence[Rows]], start: int, x_TD: Tensor, wanted_T: Tensor, summaries_S: Tensor | None
) -> Piece:
    """One piece, behind `start` rows kept of those before."""
    angles = decoder.rotary.run(start, len(x_TD), x_TD)
    slots = angles if summaries_S is None else decoder.rotary.run(start, len(summaries_S), x_TD)
    context = LearningContext(kept, summaries_S, slots)
    labelled = (wanted_T != UNLABELLED).nonzero().flatten()
    if summaries_S is not None and not len(labelled):
        decoder.condense(x_TD, summaries_S, angles, context)
        return x_TD.new_zeros((), dtype=torch.float32), context.rows
    hidden_TD = decoder.read(x_TD, angles, context, summaries_S=summaries_S)
    return F.cross_entropy(decoder.logits(hidden_TD[labelled]), wanted_T[labelled], reduction="sum"), context.rows


class LearningContext:
    """For a piece of an example: it sees what is kept of all pieces before, and itself. Nothing is written in place."""

    def __init__(self, earlier: Sequence[Sequence[Rows]], summaries_S: Tensor | None, slots: Angles) -> None:
        """earlier: of each layer; summaries_S: the rows to keep, None for all; slots: of the places where they are kept."""
        self.earlier, self.summaries, self.slots = earlier, summaries_S, slots
        self.rows: list[Rows] = []

    def attend(self, layer: int, q_HTE: Tensor, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> Tensor:
        turned = angles.turn(k_GTE)
        if self.summaries is None:
            self.rows.append((turned, v_GTE))
        else:
            self.keep(layer, k_GTE[:, self.summaries], v_GTE[:, self.summaries], angles)
        keys, values = zip(*self.earlier[layer], (turned, v_GTE), strict=True)
        k_GNE, v_GNE = torch.cat(keys, 1), torch.cat(values, 1)
        if q_HTE.shape[1] == k_GTE.shape[1]:
            return _attend(angles.turn(q_HTE), k_GNE, v_GNE, causal_lower_right(q_HTE.shape[1], k_GNE.shape[1]))
        assert self.summaries is not None  # fewer queries than rows are asked for in windows alone
        last_seen = k_GNE.shape[1] - k_GTE.shape[1] + self.summaries
        seen = torch.arange(k_GNE.shape[1], device=k_GNE.device) <= last_seen[:, None]
        return _attend(angles.at(self.summaries).turn(q_HTE), k_GNE, v_GNE, seen)

    def keep(self, layer: int, k_GSE: Tensor, v_GSE: Tensor, angles: Angles) -> None:
        self.rows.append((self.slots.turn(k_GSE), v_GSE))


def _attend(q_HTE: Tensor, k_GNE: Tensor, v_GNE: Tensor, seen: Tensor) -> Tensor:
    q, k = q_HTE.to(v_GNE.dtype), k_GNE.to(v_GNE.dtype)  # under autocast, turning made them float32
    return F.scaled_dot_product_attention(q[None], k[None], v_GNE[None], attn_mask=seen, enable_gqa=True)[0]


def _check(prompt_ids: Tensor, visual_VD: Tensor, text_ids: Tensor, labels_N: Tensor, windows: Sequence[Window] | None) -> None:
    tokens = len(prompt_ids) + len(visual_VD) + len(text_ids)
    if len(labels_N) != tokens:
        raise ValueError(f"an example has a label for each of its {tokens} tokens, got {len(labels_N)}")
    if windows is not None and sum(window.raw for window in windows) != len(visual_VD):
        raise ValueError(f"the windows hold {sum(window.raw for window in windows)} visual tokens, the example has {len(visual_VD)}")

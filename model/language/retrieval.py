"""Which blocks of a memory a question looks at, where the memory is longer than the model's context or than the device has room for.

A block is known by means of its keys, a question by the queries it has when it is read behind the prompt alone. Neither is rotated: what
they have in common counts, not where in the film it stands. The blocks whose means answer the queries best are put behind the prompt, in
the order of time and on consecutive places, and the question is read again. That is another computation than the published one, which
looks at every block; so nothing here happens unless a `Retrieval` is given.

N = blocks, P = parts of a block, L = layers, H = query heads, G = key heads, T = rows of a question, E = width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.language.decoder import Decoder
from model.language.kv_memory import Block, KVBuffer, Tails, TextContext
from model.language.rotary import Angles

PARTS = 4  # means a block: one alone hides what few of its rows say (measured: DECISIONS.md, Video-XL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """How much of a memory a question looks at. Asked without it, a question looks at all of it, as published."""

    blocks: int = 16  # a needle's block was among so many in 97 to 100 of 100 questions to 256 to 16,384 frames

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise ValueError(f"a question looks at 1 block or more, got {self.blocks}")


def mean_keys(blocks: Sequence[Block], parts: int = PARTS) -> Tensor:
    """(N, P, L, G, E) float32, where the blocks are: what they are known by. To be kept beside them.

    A block's rows are cut into `parts` runs as even as can be; where there are fewer rows than parts, rows count for several.
    """
    return torch.stack([_means(block.keys.float(), parts) for block in blocks]) if blocks else torch.empty(0)


def choose_blocks(
    decoder: Decoder, sink: Block, means_NPLGE: Tensor, texts: Sequence[Sequence[int]], options: Retrieval
) -> list[tuple[int, ...]]:
    """The numbers of the blocks that each question looks at, in the order of time; none where there is none.

    sink: keys and values of the prompt before the video; texts: the ids behind the video, one sequence a question.
    """
    if not len(means_NPLGE):
        return [()] * len(texts)
    return [_best(scores(question_queries(decoder, sink, text), means_NPLGE), options.blocks) for text in texts]


@torch.no_grad()
def question_queries(decoder: Decoder, sink: Block, text: Sequence[int]) -> Tensor:
    """(L, H, T, E), not rotated: of a question read behind the prompt, as if nothing had been seen."""
    buffer = KVBuffer(decoder.config, decoder.dtype, decoder.device, len(sink))
    buffer.append(sink)
    context = _Listening(Tails(buffer, 1, len(text)), 0)
    x_TD = decoder.embed(torch.tensor(text, device=decoder.device, dtype=torch.long))
    decoder.read(x_TD, decoder.rotary.run(len(sink), len(text), x_TD), context)
    return torch.stack(context.queries)


def scores(queries_LHTE: Tensor, means_NPLGE: Tensor) -> Tensor:
    """(N,): how well blocks answer a question, better than the mean block does. One product, layers and heads together.

    Each of the question's rows judges a block by its best part, less what that row finds on average: so a row that all blocks answer
    loudly, as those of common words do, is not heard above one that seeks something.
    """
    layers, _, rows, width = queries_LHTE.shape
    asked_LGTE = queries_LHTE.reshape(layers, means_NPLGE.shape[3], -1, rows, width).sum(2)
    asked_TF = asked_LGTE.permute(2, 0, 1, 3).flatten(1).to(means_NPLGE)
    best_NT: Tensor = (means_NPLGE.flatten(2) @ asked_TF.T).amax(1)
    return (best_NT - best_NT.mean(0)).amax(1)


def stretches(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """The visual tokens [start, end) that blocks in the order of time stand for; neighbours are joined.

    >>> none = torch.empty(1, 1, 0, 2)
    >>> stretches([Block(none, none, 0, 40), Block(none, none, 40, 80), Block(none, none, 200, 240)])
    [(0, 80), (200, 240)]
    """
    found: list[tuple[int, int]] = []
    for block in blocks:
        start = found.pop()[0] if found and found[-1][1] == block.start else block.start
        found.append((start, block.end))
    return found


class _Listening(TextContext):
    """Reads as any text is read, and keeps the queries."""

    def __init__(self, tails: Tails, question: int) -> None:
        super().__init__(tails, question)
        self.queries: list[Tensor] = []

    def attend(self, layer: int, q_HTE: Tensor, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> Tensor:
        self.queries.append(q_HTE)
        return super().attend(layer, q_HTE, k_GTE, v_GTE, angles)


def _means(keys_LGSE: Tensor, parts: int) -> Tensor:
    """(P, L, G, E); 0 where there are no rows."""
    rows = keys_LGSE.shape[2]
    starts = [part * rows // parts for part in range(parts)]
    ends = [-(-(part + 1) * rows // parts) for part in range(parts)]
    return torch.stack([keys_LGSE[:, :, start:end].sum(2) / max(1, end - start) for start, end in zip(starts, ends, strict=True)])


def _best(scores_N: Tensor, count: int) -> tuple[int, ...]:
    """The earlier of equals."""
    order = scores_N.argsort(descending=True, stable=True)
    return tuple(order[:count].sort().values.tolist())

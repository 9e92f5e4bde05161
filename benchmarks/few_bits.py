"""What it costs to keep keys and values in 8 or 4 bits: error, logits, answers. Each on a scale per channel or per token, every way.

    python -m benchmarks.few_bits [--questions 50] [--tokens 14400]

A random net, tiny but wide, whose weights are scaled so that attention and answers are decided, and random visual tokens: no trained
checkpoint is at hand, and nothing here speaks for one. "per channel" is how memory files are written.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from benchmarks.machine import machine
from benchmarks.video_xl import PROMPT, WIDE, features
from model.compression.few_bits import FEW, Coded
from model.compression.summary_tokens import Ratios
from model.language.decoder import Decoder
from model.language.generate import Generation
from model.language.kv_memory import Block
from model.systems.video_xl import Memory, VideoXL

ALONG = {"channel": (0, 1, 2, 3), "token": (0, 1, 3, 2)}  # what shares a scale becomes the third dimension
ANSWER = Generation(max_new_tokens=16, stop_ids=frozenset())


@dataclass(frozen=True, slots=True)
class Said:
    """What a net says to the questions. logits: (rows of all questions, vocabulary); answers: greedy ids."""

    logits: Tensor
    answers: list[list[int]]


def decided_net() -> VideoXL:
    """The likeliest token stands well apart, as in a trained net."""
    torch.manual_seed(0)
    net = Decoder(WIDE.decoder).requires_grad_(False)
    for name, parameter in net.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=2 * parameter.shape[1] ** -0.5 if parameter.ndim == 2 else 0.3)
    return VideoXL(WIDE, net)


def watched(net: VideoXL, tokens: int) -> Memory:
    watching = net.watch(PROMPT, Ratios((16,)))
    watching.add(features(net, tokens))
    return watching.finish()


def coded(block: Block, bits: int, ways: tuple[str, str]) -> Block:
    keys, values = (_through(x, bits, way) for x, way in zip((block.keys, block.values), ways, strict=True))
    return Block(keys, values, block.start, block.end)


def _through(x: Tensor, bits: int, way: str) -> Tensor:
    turned = x.permute(ALONG[way])
    return Coded.of(turned, bits).restored(bits, turned.shape[2], x.dtype).permute(ALONG[way])


def said(net: VideoXL, memory: Memory, texts: list[list[int]]) -> Said:
    buffer = net.opened(memory)
    answers: list[list[int]] = [[] for _ in texts]
    for token in net.answer(buffer, texts, ANSWER):
        answers[token.question].append(token.id)
    return Said(torch.cat([net.text_logits(buffer, text) for text in texts]), answers)


def off(one: Memory, other: Memory, kind: str) -> float:
    a, b = (torch.cat([getattr(block, kind) for block in memory.blocks], 2) for memory in (one, other))
    return float((a - b).norm() / b.norm())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=14_400, help="visual tokens to watch")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    net = decided_net()
    random = torch.Generator().manual_seed(1)
    texts = [torch.randint(0, WIDE.decoder.vocab_size, (12,), generator=random).tolist() for _ in range(arguments.questions)]
    memory = watched(net, arguments.tokens)
    whole = said(net, memory, texts)
    print(f"{machine()}; {memory.rows} rows; logits spread by {whole.logits.std():.2f}")
    for bits, keys, values in product(FEW, ALONG, ALONG):
        some = Memory(memory.sink, tuple(coded(block, bits, (keys, values)) for block in memory.blocks))
        found = said(net, some, texts)
        pairs = [pair for one, two in zip(found.answers, whole.answers, strict=True) for pair in zip(one, two, strict=True)]
        print(
            f"{bits} bits, keys per {keys:7}, values per {values:7}: keys off by {off(some, memory, 'keys'):.4f}, "
            f"values by {off(some, memory, 'values'):.4f}, logits by {(found.logits - whole.logits).abs().max():.3f} at most, "
            f"{(found.logits.argmax(-1) == whole.logits.argmax(-1)).float().mean():.1%} of likeliest tokens the same, "
            f"{sum(a == b for a, b in pairs) / len(pairs):.1%} of greedy answers' tokens"
        )


if __name__ == "__main__":
    main()

"""Small true memories: random nets whose likeliest tokens stand well apart, films of random visual tokens, and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.compression.summary_tokens import Ratios
from model.language.config import DecoderConfig
from model.language.decoder import Decoder
from model.language.generate import Generation
from model.language.kv_memory import KVBuffer
from model.systems.manifest import Manifest, Recipe
from model.systems.video_xl import Memory, VideoXL
from model.systems.video_xl_config import SummaryConfig, VideoXLConfig

PROMPT = (3, 1, 4, 1, 5)
TOKENS_PER_FRAME = 4
SIX = Generation(max_new_tokens=6, stop_ids=frozenset())

torch.set_num_threads(1)  # sums in one order, so that equal means equal bits


def tiny(seed: int = 0, *, window: int = 40, hidden: int = 32, layers: int = 3, heads: int = 4, kv_heads: int = 2) -> VideoXL:
    decoder = DecoderConfig(
        vocab_size=97, hidden_size=hidden, intermediate_size=2 * hidden, layers=layers, heads=heads, kv_heads=kv_heads,
        head_dim=hidden // heads, rope_theta=1e4, max_positions=4096, bos_id=None, eos_id=96,
    )  # fmt: skip
    torch.manual_seed(seed)
    net = Decoder(decoder)
    for name, parameter in net.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=2 * parameter.shape[1] ** -0.5 if parameter.ndim == 2 else 0.3)
    return VideoXL(VideoXLConfig(decoder=decoder, summary=SummaryConfig(window=window)), net.requires_grad_(False))


def film(frames: int, seed: int = 0, hidden: int = 32) -> Tensor:
    """(frames * 4, hidden) visual tokens."""
    return torch.randn(frames * TOKENS_PER_FRAME, hidden, generator=torch.Generator().manual_seed(seed))


def watched(system: VideoXL, visual_VD: Tensor, ratios: str = "8") -> Memory:
    watching = system.watch(PROMPT, Ratios.parse(ratios), visual_tokens=len(visual_VD))
    watching.add(visual_VD)
    return watching.finish()


def manifest_of(visual_VD: Tensor, ratios: str = "8", *, window: int = 40, video: str = "film", **changes: Any) -> Manifest:
    frames = len(visual_VD) // TOKENS_PER_FRAME
    recipe = Recipe(
        video_id=video, sampling="1 fps", preprocessing="none 1", prompt_ids=PROMPT, ratios=ratios, weights="random", dtype="float32"
    )  # fmt: skip
    given: dict[str, Any] = {
        "recipe": recipe, "tokens_per_frame": TOKENS_PER_FRAME, "times_s": np.arange(frames, dtype=np.float64),
        "ticks": np.arange(frames) * 1000, "duration_s": float(frames), "is_complete": True, "window": window,
    }  # fmt: skip
    return Manifest(**(given | changes))


def answers(system: VideoXL, memory: Memory | KVBuffer, texts: Sequence[Sequence[int]], options: Generation = SIX) -> list[list[int]]:
    """Ids of the answer to each."""
    found: list[list[int]] = [[] for _ in texts]
    for token in system.answer(memory, texts, options):
        found[token.question].append(token.id)
    return found


def same(one: Memory, other: Memory) -> bool:
    """Equal to the last bit."""
    pairs = zip((one.sink, *one.blocks), (other.sink, *other.blocks), strict=True)
    return all(
        (a.start, a.end, a.keys.dtype) == (b.start, b.end, b.keys.dtype) and torch.equal(a.keys, b.keys) and torch.equal(a.values, b.values)
        for a, b in pairs
    )


def copied(memory: Memory) -> Memory:
    blocks = [type(b)(b.keys.clone(), b.values.clone(), b.start, b.end) for b in (memory.sink, *memory.blocks)]
    return Memory(blocks[0], tuple(blocks[1:]))

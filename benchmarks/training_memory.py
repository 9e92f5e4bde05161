"""What recomputing costs and saves in training: processor time and peak memory of one example's loss and gradients, with and without.

    python -m benchmarks.training_memory 17280 hold       # visual tokens, hold or recompute; a process each, since peaks only grow
    python -m benchmarks.training_memory 17280 recompute

Random weights of a tiny-but-wide decoder (hidden 256, 4 layers), window 1440, ratio 8, float32, one thread; no tower.
"""

from __future__ import annotations

import resource
import sys
import time

import torch

from model.compression.summary_tokens import Ratios, plan_windows
from model.language.config import DecoderConfig
from model.language.decoder import Decoder
from model.training.forward import UNLABELLED, summed_loss

PROMPT, TEXT, LABELLED = 14, 64, 32
SIZES = DecoderConfig(vocab_size=1000, hidden_size=256, intermediate_size=1024, layers=4, heads=4, kv_heads=2, head_dim=64)


def main(visual_tokens: int, way: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    decoder, visual = Decoder(SIZES), torch.randn(visual_tokens, SIZES.hidden_size)
    labels = torch.full((PROMPT + visual_tokens + TEXT,), UNLABELLED)
    labels[-LABELLED:] = 5
    windows = plan_windows(visual_tokens, 1440, Ratios((8,)))
    before_mb, began_s = peak_mb(), time.process_time()
    loss, tokens = summed_loss(decoder, torch.arange(PROMPT), visual, torch.arange(TEXT), labels, windows, recompute=way == "recompute")
    (loss / tokens).backward()
    print(f"{visual_tokens} visual tokens, {way}: {time.process_time() - began_s:.1f} s of processor, peak +{peak_mb() - before_mb:.0f} MB")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

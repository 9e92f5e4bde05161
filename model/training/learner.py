"""The net that learns: encoder and decoder as one module from pixels to a loss, opened from a checkpoint folder.

N = pictures, K = tokens of a picture, V = N * K visual tokens, D = model width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.compression.summary_tokens import Ratios, Window, plan_windows
from model.encoders.clip import CHUNK, ClipEncoder
from model.language.decoder import Decoder
from model.systems.loading import load_into
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows
from model.training.data import Example
from model.training.forward import summed_loss
from model.training.lora import adapt
from model.training.stages import Stage


class Learner(nn.Module):
    """One module, so that sharding gathers all weights once a step: processes whose films have different lengths never wait amiss."""

    def __init__(self, config: VideoXLConfig, stage: Stage, *, recompute: bool) -> None:
        """recompute: gradient checkpointing, of a few pictures, of a window, of the text at a time."""
        super().__init__()
        self.config, self.stage, self.recompute = config, stage, recompute
        self.encoder, self.decoder = ClipEncoder(config.vision), Decoder(config.decoder)

    def forward(self, examples: Sequence[Example]) -> Tensor:
        """Mean cross-entropy over all labelled tokens of the examples; 0 without any."""
        read = [self._read(example) for example in examples]
        tokens = sum(count for _, count in read)
        loss = sum((loss for loss, _ in read), torch.zeros((), device=self.decoder.device)) / max(1, tokens)
        # Every weight takes part in every loss, if only with nothing: processes that add up their gradients must name the same ones,
        # and a text alone uses no encoder.
        return loss + sum(weight[:0].sum().to(loss.dtype) for weight in self.parameters() if weight.requires_grad)

    def _read(self, example: Example) -> tuple[Tensor, int]:
        visual_VD = self._see(example.pixels)
        windows = self._windows(len(visual_VD), example.seed)
        return summed_loss(self.decoder, example.prompt_ids, visual_VD, example.text_ids, example.labels, windows, recompute=self.recompute)

    def _see(self, pixels: Tensor) -> Tensor:
        parts = torch.split(pixels, CHUNK) if len(pixels) else ()
        seen = [checkpoint(self.encoder, part, use_reentrant=False) if self.recompute else self.encoder(part) for part in parts]
        if not seen:
            return torch.zeros(0, self.config.decoder.hidden_size, device=pixels.device)
        return torch.cat(seen).flatten(0, 1)

    def _windows(self, visual_tokens: int, seed: int) -> list[Window] | None:
        if self.stage.ratios is None:
            return None
        mix = "step-random" if len(self.stage.ratios) > 1 else "single"
        return plan_windows(visual_tokens, self.config.summary.window, Ratios(self.stage.ratios, mix, seed))


def open_learner(
    folder: Path, stage: Stage, *, device: torch.device | str, lora_rank: int = 0, recompute: bool = True, seed: int = 0,
    half: bool = False,
) -> Learner:  # fmt: skip
    """A checkpoint folder's net with what the stage trains set to learn. lora_rank: 0 trains the weights themselves; half: weights in
    bfloat16, which is for those that learn nothing.

    Raises UnreadableCheckpoint, UnsupportedConfig, ValueError.
    """
    if lora_rank and not any(name.startswith("decoder.") for name in stage.trained):
        raise ValueError(f"LoRA is for the language model, and the stage {stage.name} does not train it")
    config = VideoXLConfig.from_folder(folder)
    with torch.device("meta"):
        learner = Learner(config, stage, recompute=recompute)
    load_into(learner, folder, rows(config), torch.bfloat16 if half else torch.float32, device)
    if lora_rank:
        learner.requires_grad_(False)
        adapt(learner.decoder, lora_rank, seed)
    else:
        for name, weight in learner.named_parameters():
            weight.requires_grad_(name.startswith(stage.trained))
    return learner

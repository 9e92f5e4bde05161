"""Low-rank adaptation (Hu et al. 2021): a decoder's linear layers stay as they are, and narrow ones beside them learn.

Adapters are written as the library peft writes them, under the authors' names, so that it can put them on the authors' model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.language.decoder import Decoder
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows

SCALE = 2.0  # of what is learned: peft's lora_alpha is twice the rank, as most recipes have it
WEIGHTS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"
TARGETS = r".*model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"  # not the vision tower's, which have the same last names


class LowRank(nn.Module):
    """`base` as it was, and `up` of `down` beside it; `up` is zero at first, so that nothing changes before something is learned."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        device = base.weight.device
        self.down = nn.Parameter(torch.empty(rank, base.in_features, device=device))  # float32, whatever the base is kept in
        self.up = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.base(x)
        learned = nn.functional.linear(nn.functional.linear(x.to(self.down.dtype), self.down), self.up)
        return found + (learned * SCALE).to(found.dtype)


def adapt(decoder: Decoder, rank: int, seed: int) -> None:
    """Put narrow layers beside all linear ones of the decoder's layers. Nothing else of the decoder learns."""
    decoder.requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for layer in decoder.layers:
            for name, part in list(layer.named_children()):
                if isinstance(part, nn.Linear):
                    setattr(layer, name, LowRank(part, rank))


def adapter(state: Mapping[str, Tensor], config: VideoXLConfig) -> dict[str, Tensor]:
    """The narrow layers of a whole state, {our name: tensor}, as {peft's name: tensor}."""
    found = {}
    for row in rows(config):
        name = (row.parameter or "").removesuffix(".weight")
        if f"{name}.down" in state:
            for ours, theirs in (("down", "lora_A"), ("up", "lora_B")):
                found[f"base_model.model.{row.key.removesuffix('.weight')}.{theirs}.weight"] = state[f"{name}.{ours}"].contiguous()
    return found


def save_adapter(tensors: Mapping[str, Tensor], folder: Path, base: str) -> None:
    """base: the name of the checkpoint that it belongs to."""
    folder.mkdir(parents=True, exist_ok=True)
    rank = next(len(tensor) for name, tensor in tensors.items() if ".lora_A." in name)
    told = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": rank * SCALE, "lora_dropout": 0.0, "bias": "none",
        "target_modules": TARGETS, "base_model_name_or_path": base,
    }  # fmt: skip
    (folder / SETTINGS).write_text(json.dumps(told, indent=2), "utf-8")
    save_file(dict(tensors), folder / WEIGHTS)


def load_adapter(folder: Path) -> dict[str, Tensor]:
    """What a checkpoint's tensors change by: {checkpoint key: (outputs, inputs) float32}, of an adapter of ours or of peft's."""
    told = json.loads((folder / SETTINGS).read_text("utf-8"))
    if told.get("peft_type") != "LORA" or told.get("use_dora") or told.get("use_rslora") or told.get("bias", "none") != "none":
        raise ValueError(f"{folder} holds another kind of adapter than plain LoRA without biases")
    scale, tensors = told["lora_alpha"] / told["r"], load_file(folder / WEIGHTS)
    pairs = {name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")}
    if len(tensors) != 2 * len(pairs) or not all(f"{name}.lora_B.weight" in tensors for name in pairs):
        raise ValueError(f"{folder / WEIGHTS} holds other tensors than pairs of lora_A and lora_B")
    return {
        f"{name.removeprefix('base_model.model.')}.weight": scale
        * (tensors[f"{name}.lora_B.weight"].float() @ tensors[f"{name}.lora_A.weight"].float())
        for name in sorted(pairs)
    }

"""A tiny Video-XL checkpoint in its authors' format, with random weights: the whole way at a thousandth of the size. It knows nothing."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from model.systems.loading import Row
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CONFIG = {
    "architectures": ["LlavaQwenForCausalLM"], "model_type": "llava_qwen", "torch_dtype": "float32", "vocab_size": 320, "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu",
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": False, "bos_token_id": 256,
    "eos_token_id": 258, "beacon_window": 160, "beacon_stride": 160, "beacon_ratio": [2, 4, 8], "beacon_ratio_mix": "step-random",
    "beacon_param": ["q", "k", "v"], "beacon_pos": "interleave", "beacon_attn": "full-coverage", "beacon_attend_prev": True,
    "mm_hidden_size": 32, "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch", "mm_projector_type": "mlp2x_gelu",
    "mm_patch_merge_type": "unires", "mm_spatial_pool_stride": 2, "mm_spatial_pool_mode": "average", "image_aspect_ratio": "anyres",
    "vision_config": {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 56, "patch_size": 7,
        "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    },
}  # fmt: skip


def tiny() -> VideoXLConfig:
    """All parts of the release at a thousandth of the size, a window of ten frames."""
    return VideoXLConfig.from_json(CONFIG)


def write_tiny(folder: Path, seed: int = 0) -> Path:
    """Writes config.json, model.safetensors and tokenizer.json into a folder; returns it. The tokenizer spells bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    config = tiny()
    random = torch.Generator().manual_seed(seed)
    table = [row for row in rows(config) if row.parameter or "layernorm" in row.key or ".encoder.layers." in row.key]
    save_file({row.key: _drawn(row, random) for row in table}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n", "utf-8")
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def _drawn(row: Row, random: torch.Generator) -> torch.Tensor:
    """Wide enough that the likeliest token stands out."""
    if "norm" in row.key and row.key.endswith("weight"):
        return torch.ones(row.shape)
    if row.key.endswith("bias"):
        return torch.randn(row.shape, generator=random) * 0.1
    fan_in = row.shape[-1] if len(row.shape) == 2 and "embed" not in row.key else 1
    drawn: torch.Tensor = torch.randn(row.shape, generator=random) * (1.5 * fan_in**-0.5)
    return drawn


def byte_tokenizer() -> Tokenizer:
    """Every byte a token, and the three tokens that ChatML needs."""
    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return tokenizer

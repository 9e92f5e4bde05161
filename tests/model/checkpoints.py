"""Tiny Video-XL checkpoints in the authors' format, made from random numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows

TINY: dict[str, Any] = {
    "model_type": "llava_qwen", "torch_dtype": "float32", "vocab_size": 151, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
    "tie_word_embeddings": False, "bos_token_id": 148, "eos_token_id": 149, "beacon_window": 40, "beacon_stride": 40,
    "beacon_ratio": [2, 4, 8], "beacon_param": ["q", "k", "v"], "mm_hidden_size": 24, "mm_vision_select_layer": -2,
    "mm_spatial_pool_stride": 2, "mm_spatial_pool_mode": "average", "image_grid_pinpoints": [[28, 56], [56, 28], [56, 56]],
    "vision_config": {
        "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 28, "patch_size": 7,
    },
}  # fmt: skip
OPTIONAL = ("position_ids", "inv_freq")  # what only old versions of transformers saved


def random_tensors(config: dict[str, Any], seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """{checkpoint key: tensor} of a whole checkpoint."""
    generator = torch.Generator().manual_seed(seed)
    table = [row for row in rows(VideoXLConfig.from_json(config)) if not row.key.endswith(OPTIONAL)]
    return {row.key: (torch.randn(row.shape, generator=generator) / 8).to(dtype) for row in table}


def write_checkpoint(
    folder: Path, tensors: dict[str, Tensor], config: dict[str, Any] = TINY, *, form: str = "safetensors", shards: int = 1
) -> Path:
    """Writes config.json and the tensors as safetensors or bin, in one file or in shards with their index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    stem, ending = ("model", ".safetensors") if form == "safetensors" else ("pytorch_model", ".bin")
    names = [f"{stem}{ending}"] if shards == 1 else [f"{stem}-{k:05}-of-{shards:05}{ending}" for k in range(1, shards + 1)]
    keys = list(tensors)
    weight_map = {key: names[k * shards // len(keys)] for k, key in enumerate(keys)}
    for name in names:
        part = {key: tensors[key] for key in keys if weight_map[key] == name}
        save_file(part, folder / name) if form == "safetensors" else torch.save(part, folder / name)
    if shards > 1:
        (folder / f"{stem}{ending}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder

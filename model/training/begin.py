"""A checkpoint to begin with: Qwen2's language model and CLIP's tower in one folder of the authors' format, with what neither has.

Summary tokens begin as copies: their projections of the layer's own, their embedding of the end token's. The projector begins random.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from model.checkpoints import UnreadableCheckpoint
from model.systems.loading import Check, read_index, read_tensors
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import TOWER, check
from model.training.saving import copy_companions

SETTINGS: Mapping[str, Any] = {
    "model_type": "llava_qwen", "architectures": ["LlavaQwenForCausalLM"], "enable_beacon": True, "beacon_window": 1440,
    "beacon_stride": 1440, "beacon_attn": "full-coverage", "beacon_attend_prev": True, "beacon_sink_size": 0, "beacon_ratio": [2, 4, 8],
    "beacon_ratio_mix": "step-random", "beacon_param": ["q", "k", "v"], "beacon_pos": "interleave", "beacon_parallel_window": 1,
    "beacon_embed_init": "eos", "beacon_accum": True, "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch",
    "mm_projector_type": "mlp2x_gelu", "mm_patch_merge_type": "unires", "mm_resampler_type": "spatial_pool", "mm_spatial_pool_stride": 2,
    "mm_spatial_pool_mode": "average", "image_aspect_ratio": "anyres", "mm_use_im_start_end": False, "mm_use_im_patch_token": False,
}  # fmt: skip
COPIED = {f"self_attn.{name}_proj.": f"self_attn.beacon_{name}_proj." for name in ("q", "k", "v")}


def begin(language: Path, tower: Path, out: Path, seed: int = 0) -> None:
    """Write the folder `out`; it is there whole or not at all. Raises UnreadableCheckpoint, UnsupportedConfig, FileExistsError.

    language, tower: folders as Hugging Face writes them, of a Qwen2 and of CLIP (whole, or its vision half).
    """
    if out.exists():
        raise FileExistsError(f"{out} exists already")
    draft = out.with_name(f"{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    copy_companions(language, draft)
    settings = _settings(language, tower)
    (draft / "config.json").write_text(json.dumps(settings, indent=2), "utf-8")
    config = VideoXLConfig.from_json(settings)
    shards = [*_language(language, config), _tower(tower) | _projector(config, seed)]
    placed: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(shard, draft / name, {"format": "pt"})
        placed |= dict.fromkeys(shard, name)
    (draft / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}, indent=2), "utf-8")
    _refuse_misfits(language, tower, check({key: entry.shape for key, entry in read_index(draft).items()}, config))
    draft.rename(out)


def _settings(language: Path, tower: Path) -> dict[str, Any]:
    told = json.loads((language / "config.json").read_text("utf-8"))
    seen = json.loads((tower / "config.json").read_text("utf-8"))
    seen = seen.get("vision_config", seen)
    return {**told, **SETTINGS, "vision_config": seen, "mm_hidden_size": seen.get("hidden_size", 1024)}


def _language(folder: Path, config: VideoXLConfig) -> Iterator[dict[str, Tensor]]:
    """Shard by shard, with the summary tokens' copies."""
    index = read_index(folder)
    for file in dict.fromkeys(entry.file for entry in index.values()):
        shard = dict(read_tensors(file, [key for key, entry in index.items() if entry.file == file]))
        for key in list(shard):
            for theirs, ours in COPIED.items():
                if theirs in key:
                    shard[key.replace(theirs, ours)] = shard[key].clone()
        if "model.embed_tokens.weight" in shard:
            end = config.decoder.eos_id
            shard["model.beacon_embed_tokens.weight"] = shard["model.embed_tokens.weight"][end : end + 1].clone()
        yield shard


def _tower(folder: Path) -> dict[str, Tensor]:
    """Without CLIP's text half."""
    index = read_index(folder)
    found: dict[str, Tensor] = {}
    for file in dict.fromkeys(entry.file for entry in index.values()):
        keys = [key for key, entry in index.items() if entry.file == file and key.startswith("vision_model.")]
        found |= {f"{TOWER}.{key.removeprefix('vision_model.')}": tensor for key, tensor in read_tensors(file, keys)}
    return found


def _projector(config: VideoXLConfig, seed: int) -> dict[str, Tensor]:
    width, out = config.vision.hidden_size, config.vision.projected_size
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = {0: nn.Linear(width, out), 2: nn.Linear(out, out)}
    return {f"model.mm_projector.{k}.{name}": value.detach() for k, layer in layers.items() for name, value in layer.named_parameters()}


def _refuse_misfits(language: Path, tower: Path, found: Check) -> None:
    if not found.is_loadable:
        raise UnreadableCheckpoint(f"{language} and {tower} make no Video-XL: {'; '.join(found.sentences())}")

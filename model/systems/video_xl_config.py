"""What a Video-XL checkpoint says of itself: its config.json as typed values. Knows no tensor.

What the file leaves out is as in the release (Qwen2-7B, CLIP ViT-L/14-336); what it asks for and the published computation does not
have is refused by name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.language.config import DecoderConfig

MIXES = ("single", "step-random", "instance-random", "sequence")
RELEASED_RATIOS = (2, 4, 8)
MOST_LAYERS = 1000  # of anything that was ever trained; a billion of them would only take memory
RELEASED_LONGEST = 49  # crops a picture is cut into, at most


class UnsupportedConfig(ValueError):
    """The checkpoint asks for something that Video-XL's published computation has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryConfig:
    """How windows become summary tokens. ratios: what one may be, or what a random one is drawn from."""

    window: int = 1440
    ratios: tuple[int, ...] = RELEASED_RATIOS
    mix: str = "step-random"

    def __post_init__(self) -> None:
        if self.window < 1 or not self.ratios or min(self.ratios) < 1:
            raise UnsupportedConfig(f"a window holds a token or more and a ratio is 1 or more, got window {self.window}, {self.ratios}")
        if self.mix not in MIXES and not self.mix.startswith("adapt-"):
            raise UnsupportedConfig(f"beacon_ratio_mix is one of {', '.join(MIXES)} or adapt-K, got {self.mix!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionConfig:
    """CLIP tower, projector and pooling (ViT-L/14-336 by default). select_layer: which hidden state, 0 = behind the first norm."""

    hidden_size: int = 1024
    intermediate_size: int = 4096
    layers: int = 24
    heads: int = 16
    image_px: int = 336
    patch_px: int = 14
    norm_eps: float = 1e-5
    hidden_act: str = "quick_gelu"
    select_layer: int = -1  # of hidden_states, of which there are layers + 1; what the authors' fine-tuning writes when not told
    pool: int = 2
    pool_mode: str = "average"
    projected_size: int = 3584  # the language model's width
    grid_px: tuple[tuple[int, int], ...] = ()  # (width, height) a single picture may be fitted into

    def __post_init__(self) -> None:
        if self.pool_mode not in ("average", "max"):
            raise UnsupportedConfig(f"mm_spatial_pool_mode is average or max, got {self.pool_mode!r}")
        if self.hidden_size % self.heads or not self.tokens_per_frame:
            raise UnsupportedConfig(
                f"a tower of {self.heads} heads and width {self.hidden_size} makes {self.tokens_per_frame} tokens of {self.image_px} pixels"
            )
        if not -self.layers - 1 <= self.select_layer <= self.layers:
            raise UnsupportedConfig(f"mm_vision_select_layer {self.select_layer} does not exist in a tower of {self.layers} layers")

    @property
    def used_layers(self) -> int:
        """Layers of the tower that are computed."""
        return self.select_layer if self.select_layer >= 0 else self.layers + 1 + self.select_layer

    @property
    def side(self) -> int:
        """Patches along one side of a frame."""
        return self.image_px // self.patch_px

    @property
    def tokens_per_frame(self) -> int:
        return (self.side // self.pool) ** 2


_QWEN2, _CLIP, _RELEASE = DecoderConfig(), VisionConfig(), SummaryConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoXLConfig:
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    summary: SummaryConfig = field(default_factory=SummaryConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)

    @classmethod
    def from_folder(cls, folder: Path) -> VideoXLConfig:
        """Reads `config.json`. Raises UnsupportedConfig."""
        try:
            found = json.loads((folder / "config.json").read_text("utf-8"))
        except FileNotFoundError as error:
            raise UnsupportedConfig(f"{folder} is no checkpoint folder: it has no config.json") from error
        except ValueError as error:
            raise UnsupportedConfig(f"{folder / 'config.json'} is not JSON ({error})") from error
        if not isinstance(found, dict):
            raise UnsupportedConfig(f"{folder / 'config.json'} holds no table of settings")
        return cls.from_json(found)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> VideoXLConfig:
        """The authors' keys. Raises UnsupportedConfig, which names the key."""
        _refuse_others(found)
        return cls(decoder=_decoder(found), summary=_summary(found), vision=_vision(found))


def released_7b() -> VideoXLConfig:
    """The release: CLIP ViT-L/14-336 and Qwen2-7B-Instruct, windows of ten frames, photographs of up to 49 squares."""
    return VideoXLConfig.from_json({})


def _refuse_others(found: Mapping[str, Any]) -> None:
    """Settings with which the authors' code computes something else than what was released."""
    wanted: Mapping[str, tuple[Any, ...]] = {
        "beacon_attn": ("full-coverage",), "beacon_attend_prev": (True,), "beacon_sink_size": (0,), "beacon_pos": ("interleave",),
        "beacon_parallel_window": (1,), "hidden_act": ("silu",), "mm_vision_select_feature": ("patch",),
        "mm_projector_type": ("mlp2x_gelu",), "mm_patch_merge_type": ("unires",), "mm_resampler_type": ("spatial_pool", None),
        "mm_use_im_start_end": (False,), "mm_use_im_patch_token": (False,), "use_sliding_window": (False,),
    }  # fmt: skip
    for key, values in wanted.items():
        if key in found and found[key] not in values:
            raise UnsupportedConfig(f"{key} is {found[key]!r}; the published Video-XL has {values[0]!r}")
    param = found.get("beacon_param", ["q", "k", "v"])
    if not isinstance(param, list) or sorted(map(str, param)) != ["k", "q", "v"]:
        raise UnsupportedConfig(f"beacon_param is {param!r:.80}; the published Video-XL has ['q', 'k', 'v']")
    stride = found.get("beacon_stride", found.get("beacon_window"))
    if stride != found.get("beacon_window"):
        raise UnsupportedConfig(f"beacon_stride {stride} differs from beacon_window {found.get('beacon_window')}")


def _decoder(found: Mapping[str, Any]) -> DecoderConfig:
    names = {
        "vocab_size": "vocab_size", "hidden_size": "hidden_size", "intermediate_size": "intermediate_size", "layers": "num_hidden_layers",
        "heads": "num_attention_heads", "kv_heads": "num_key_value_heads", "norm_eps": "rms_norm_eps", "rope_theta": "rope_theta",
        "max_positions": "max_position_embeddings", "tied_head": "tie_word_embeddings", "bos_id": "bos_token_id", "eos_id": "eos_token_id",
    }  # fmt: skip
    found = {**_table(found, "rope_parameters"), **found}  # where newer writers put rope_theta; rope_scaling the authors set aside
    given = _typed(found, names | ({"head_dim": "head_dim"} if found.get("head_dim") else {}), _QWEN2)
    width, heads = given.get("hidden_size", _QWEN2.hidden_size), given.get("heads", _QWEN2.heads)
    given.setdefault("head_dim", width // heads)
    given.setdefault("kv_heads", heads if "heads" in given else _QWEN2.kv_heads)
    if heads % given["kv_heads"] or given["head_dim"] < 2 or given["head_dim"] % 2:
        raise UnsupportedConfig(f"{heads} query heads of head_dim {given['head_dim']} cannot share {given['kv_heads']} key heads evenly")
    return DecoderConfig(**given)


def _summary(found: Mapping[str, Any]) -> SummaryConfig:
    given = _typed(found, {"window": "beacon_window", "mix": "beacon_ratio_mix"}, _RELEASE)
    ratios = found.get("beacon_ratio", RELEASED_RATIOS)
    ratios = tuple(ratios) if isinstance(ratios, (list, tuple)) else (ratios,)
    if any(type(ratio) is not int for ratio in ratios):
        raise UnsupportedConfig(f"beacon_ratio is a whole number or several, got {ratios!r:.80}")
    return SummaryConfig(**given, ratios=ratios)


def _vision(found: Mapping[str, Any]) -> VisionConfig:
    tower = _table(found, "vision_config")
    names = {
        "hidden_size": "hidden_size", "intermediate_size": "intermediate_size", "layers": "num_hidden_layers",
        "heads": "num_attention_heads", "image_px": "image_size", "patch_px": "patch_size", "norm_eps": "layer_norm_eps",
        "hidden_act": "hidden_act",
    }  # fmt: skip
    given = _typed(tower, names, _CLIP)
    names = {"select_layer": "mm_vision_select_layer", "pool": "mm_spatial_pool_stride", "pool_mode": "mm_spatial_pool_mode"}
    given |= _typed({key: value for key, value in found.items() if value is not None}, names, _CLIP)
    given |= _typed(found, {"projected_size": "hidden_size"}, _CLIP)
    image_px = given.get("image_px", _CLIP.image_px)
    pinpoints = found.get("image_grid_pinpoints") or released_grid(image_px)
    if not isinstance(pinpoints, list | tuple) or not all(isinstance(p, list | tuple) and [*map(type, p)] == [int, int] for p in pinpoints):
        raise UnsupportedConfig(f"image_grid_pinpoints is a list of [width, height], got {pinpoints!r:.80}")
    return VisionConfig(**given, grid_px=tuple((w, h) for w, h in pinpoints))


def _table(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = found.get(key)
    if not isinstance(table, (Mapping, type(None))):
        raise UnsupportedConfig(f"{key} is {table!r:.80}, expected a table of settings")
    return table or {}


def _typed(found: Mapping[str, Any], names: Mapping[str, str], usual: DecoderConfig | SummaryConfig | VisionConfig) -> dict[str, Any]:
    """{our name: what is found under theirs}, of the type that it usually has; sizes are 1 or more."""
    given = {name: found[key] for name, key in names.items() if key in found}
    for name, value in given.items():
        like = getattr(usual, name)
        allowed = (int, float) if isinstance(like, float) else (int, type(None)) if name == "bos_id" else (type(like),)
        is_size = type(like) in (int, float) and name not in ("select_layer", "bos_id", "eos_id")
        if type(value) not in allowed or (is_size and not 0 < value < (MOST_LAYERS if name == "layers" else math.inf)):
            raise UnsupportedConfig(f"{names[name]} is {value!r:.80}; the published Video-XL has {like!r}")
    return given


def released_grid(image_px: int) -> tuple[tuple[int, int], ...]:
    """All (width, height) of up to 49 squares, one alone left out."""
    sides = range(1, RELEASED_LONGEST + 1)
    return tuple((w * image_px, h * image_px) for w in sides for h in sides if 1 < w * h <= RELEASED_LONGEST)

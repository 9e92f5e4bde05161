"""The vision side of Video-XL, against Hugging Face's tower and plain loops, at sizes the goldens do not have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from model.encoders import clip
from model.encoders.clip import ClipEncoder
from model.preprocess import normalise
from model.systems.base import FeatureEncoder
from model.systems.video_xl_config import UnsupportedConfig, VideoXLConfig, VisionConfig
from model.systems.video_xl_keys import TOWER, rows

EVEN = VisionConfig(
    hidden_size=24, intermediate_size=40, layers=4, heads=3, image_px=28, patch_px=7, select_layer=-2, projected_size=20
)  # fmt: skip
ODD = replace(EVEN, image_px=35)  # 5 x 5 patches: 2 x 2 tokens
LOOSE = replace(EVEN, image_px=31)  # 3 pixels beyond the last whole patch
CONFIGS = [
    EVEN, ODD, LOOSE, replace(EVEN, select_layer=-1), replace(EVEN, select_layer=0), replace(EVEN, select_layer=-5),
    replace(EVEN, select_layer=3), replace(ODD, pool_mode="max"), replace(EVEN, pool=4),
    replace(ODD, pool=3, pool_mode="max"), replace(EVEN, pool=1), replace(EVEN, hidden_act="gelu", norm_eps=1e-3),
]  # fmt: skip


def random_weights(config: VisionConfig) -> dict[str, Tensor]:
    """{checkpoint key: tensor} of tower and projector."""
    generator = torch.Generator().manual_seed(3)
    table = (row for row in rows(VideoXLConfig(vision=config)) if row.part == "encoder" and not row.key.endswith("position_ids"))
    return {row.key: torch.randn(row.shape, generator=generator) / 4 for row in table}


def encoder_of(config: VisionConfig) -> ClipEncoder:
    parts, weights = nn.ModuleDict({"encoder": ClipEncoder(config)}), random_weights(config)
    table = (row for row in rows(VideoXLConfig(vision=config)) if row.part == "encoder" and row.parameter)
    parts.load_state_dict({row.parameter: weights[row.key] for row in table})
    encoder = parts.requires_grad_(False)["encoder"]
    assert isinstance(encoder, ClipEncoder)
    return encoder


def frames(count: int, size_px: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)


def plain(config: VisionConfig, pixels: Tensor) -> Tensor:
    """The published order of steps with Hugging Face's tower: all hidden states, one chosen, projected, then pooled."""
    modeling = pytest.importorskip("transformers.models.clip.modeling_clip")
    weights = random_weights(config)
    told = {"hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size, "num_hidden_layers": config.layers}
    told |= {"num_attention_heads": config.heads, "image_size": config.image_px, "patch_size": config.patch_px}
    tower = modeling.CLIPVisionModel(modeling.CLIPVisionConfig(**told, hidden_act=config.hidden_act, layer_norm_eps=config.norm_eps))
    tower.load_state_dict({key.removeprefix(f"{TOWER}."): value for key, value in weights.items() if key.startswith(TOWER)})
    with torch.no_grad():
        chosen = tower(pixels, output_hidden_states=True).hidden_states[config.select_layer][:, 1:]
        inner = nn.functional.gelu(nn.functional.linear(chosen, *(weights[f"model.mm_projector.0.{kind}"] for kind in ("weight", "bias"))))
        projected = nn.functional.linear(inner, *(weights[f"model.mm_projector.2.{kind}"] for kind in ("weight", "bias")))
    grid = projected.transpose(1, 2).unflatten(2, (config.side, config.side))
    pool = nn.functional.avg_pool2d if config.pool_mode == "average" else nn.functional.max_pool2d
    return pool(grid, config.pool).flatten(2).transpose(1, 2)


@pytest.mark.parametrize("config", CONFIGS)
def test_features_are_those_of_the_plain_order_of_steps(config: VisionConfig) -> None:
    pictures = frames(3, config.image_px)
    expected = plain(config, torch.from_numpy(normalise(pictures)))

    found = encoder_of(config).encode(pictures)

    assert found.shape == (3, config.tokens_per_frame, 20)
    assert float((found - expected).abs().max()) < 2e-5  # sums of some tens of float32 products, in another order


def test_only_the_layers_that_are_used_exist() -> None:
    assert [len(ClipEncoder(replace(EVEN, select_layer=k)).tower.layers) for k in (-1, -2, -5, 0, 2)] == [4, 3, 0, 0, 2]
    assert not any("post" in name for name, _ in ClipEncoder(EVEN).named_parameters())


def test_pictures_are_normalised_to_the_last_bit() -> None:
    levels = np.arange(28 * 28 * 3, dtype=np.uint64).astype(np.uint8).reshape(1, 28, 28, 3)  # all 256 of them

    assert np.array_equal(encoder_of(EVEN).normalised(torch.from_numpy(levels)).numpy(), normalise(levels))


def test_chunks_change_nothing() -> None:
    encoder, pictures = encoder_of(EVEN), frames(7, 28)

    whole = encoder.encode(pictures, chunk=7)

    assert float((encoder.encode(pictures, chunk=3) - whole).abs().max()) < 1e-5
    assert encoder.encode(pictures[:0]).shape == (0, 4, 20)
    assert not whole.requires_grad


def test_written_out_attention_is_the_same() -> None:
    encoder, pictures = encoder_of(ODD), frames(2, 35)
    expected = encoder.encode(pictures)

    for layer in encoder.tower.layers:
        layer.attend = clip.written_out_attention

    assert float((encoder.encode(pictures) - expected).abs().max()) < 1e-5


def test_gradients_reach_the_tower() -> None:
    encoder = encoder_of(EVEN).requires_grad_(True)

    encoder(torch.from_numpy(frames(2, 28))).square().mean().backward()

    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0
        for name, parameter in encoder.named_parameters()
        if "k.bias" not in name
    )


def test_half_precision_stays_near() -> None:
    pictures = frames(2, 28)
    expected = encoder_of(EVEN).encode(pictures)

    found = encoder_of(EVEN).to(torch.bfloat16).encode(pictures)

    assert found.dtype == torch.bfloat16
    assert float((found - expected).norm() / expected.norm()) < 0.03  # 8 bits of mantissa through three layers


def test_it_is_a_feature_encoder() -> None:
    encoder: FeatureEncoder = ClipEncoder(VisionConfig(hidden_size=16, intermediate_size=8, layers=1, heads=2), digest="abc")

    assert (encoder.name, encoder.digest, encoder.size_px, encoder.tokens_per_frame, encoder.width) == ("clip", "abc", 336, 144, 3584)


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="30 x 29 pixels, but this encoder sees 28 x 28"):
        encoder_of(EVEN).encode(np.zeros((1, 29, 30, 3), np.uint8))
    with pytest.raises(UnsupportedConfig, match="quick_gelu, gelu, got 'relu'"):
        ClipEncoder(replace(EVEN, hidden_act="relu"))

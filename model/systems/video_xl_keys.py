"""Every tensor of a released Video-XL checkpoint (903 of them): its key, its shape, and where it goes in our module. Knows no file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from model.language.config import DecoderConfig
from model.systems.loading import Check, Row, compare
from model.systems.video_xl_config import VideoXLConfig, VisionConfig

PARTS = frozenset({"encoder", "decoder"})
TOWER = "model.vision_tower.vision_tower.vision_model"

Shape = tuple[int, ...]
Line = tuple[str, Shape, str | None]  # checkpoint key, shape, parameter; both names below a prefix

WEIGHT_AND_BIAS = ("weight", "bias")


def rows(config: VideoXLConfig) -> Iterator[Row]:
    """The whole table. A row without a parameter is known and dropped: it may be there or not."""
    yield from (Row(key, shape, place and f"decoder.{place}", "decoder") for key, shape, place in _decoder(config.decoder))
    yield from (Row(key, shape, place and f"encoder.{place}", "encoder") for key, shape, place in _encoder(config.vision))


def check(found: Mapping[str, Shape], config: VideoXLConfig, parts: Collection[str] = PARTS) -> Check:
    """found: {key: shape} of a checkpoint; parts: what it must hold whole."""
    return compare(found, rows(config), frozenset(parts))


def _decoder(config: DecoderConfig) -> Iterator[Line]:
    width, vocabulary = config.hidden_size, config.vocab_size
    yield "model.embed_tokens.weight", (vocabulary, width), "embed.weight"
    yield "model.beacon_embed_tokens.weight", (1, width), "summary_embed.weight"
    yield "model.norm.weight", (width,), "norm.weight"
    yield "lm_head.weight", (vocabulary, width), None if config.tied_head else "head.weight"
    for k in range(config.layers):
        for key, shape, place in _decoder_layer(config):
            yield f"model.layers.{k}.{key}", shape, place and f"layers.{k}.{place}"


def _decoder_layer(config: DecoderConfig) -> Iterator[Line]:
    width, inner = config.hidden_size, config.intermediate_size
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    for name, rows_ in (("q", queries), ("k", keys), ("v", keys)):
        for theirs, ours in ((f"{name}_proj", name), (f"beacon_{name}_proj", f"summary_{name}")):
            yield f"self_attn.{theirs}.weight", (rows_, width), f"{ours}.weight"
            yield f"self_attn.{theirs}.bias", (rows_,), f"{ours}.bias"
    yield "self_attn.o_proj.weight", (width, queries), "o.weight"
    yield "self_attn.rotary_emb.inv_freq", (config.head_dim // 2,), None  # only in files that an old transformers saved
    yield "mlp.gate_proj.weight", (inner, width), "gate.weight"
    yield "mlp.up_proj.weight", (inner, width), "up.weight"
    yield "mlp.down_proj.weight", (width, inner), "down.weight"
    yield "input_layernorm.weight", (width,), "input_norm.weight"
    yield "post_attention_layernorm.weight", (width,), "post_norm.weight"


def _encoder(config: VisionConfig) -> Iterator[Line]:
    for key, shape, place in _tower(config):
        yield f"{TOWER}.{key}", shape, place and f"tower.{place}"
    width, out = config.hidden_size, config.projected_size
    yield "model.mm_projector.0.weight", (out, width), "projector.0.weight"
    yield "model.mm_projector.0.bias", (out,), "projector.0.bias"
    yield "model.mm_projector.2.weight", (out, out), "projector.2.weight"
    yield "model.mm_projector.2.bias", (out,), "projector.2.bias"


def _tower(config: VisionConfig) -> Iterator[Line]:
    width, positions = config.hidden_size, 1 + config.side**2
    yield "embeddings.class_embedding", (width,), "class_token"
    yield "embeddings.patch_embedding.weight", (width, 3, config.patch_px, config.patch_px), "patch.weight"
    yield "embeddings.position_embedding.weight", (positions, width), "position"
    yield "embeddings.position_ids", (1, positions), None  # 0, 1, 2 ..., from an old transformers
    for kind in WEIGHT_AND_BIAS:
        yield f"pre_layrnorm.{kind}", (width,), f"pre_norm.{kind}"
        yield f"post_layernorm.{kind}", (width,), None  # never used on patches
    for k in range(config.layers):
        for key, shape, place in _tower_layer(config):
            yield f"encoder.layers.{k}.{key}", shape, f"layers.{k}.{place}" if k < config.used_layers else None


def _tower_layer(config: VisionConfig) -> Iterator[Line]:
    width, inner = config.hidden_size, config.intermediate_size
    linear = {
        "self_attn.q_proj": ("q", width, width), "self_attn.k_proj": ("k", width, width), "self_attn.v_proj": ("v", width, width),
        "self_attn.out_proj": ("o", width, width), "mlp.fc1": ("up", inner, width), "mlp.fc2": ("down", width, inner),
    }  # fmt: skip
    for theirs, (ours, out, into) in linear.items():
        yield f"{theirs}.weight", (out, into), f"{ours}.weight"
        yield f"{theirs}.bias", (out,), f"{ours}.bias"
    for k in (1, 2):
        for kind in WEIGHT_AND_BIAS:
            yield f"layer_norm{k}.{kind}", (width,), f"norm_{k}.{kind}"

"""The key table is the released checkpoint's, and says in sentences what another one lacks."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from model.systems.video_xl_config import DecoderConfig, VideoXLConfig, VisionConfig
from model.systems.video_xl_keys import check, rows

RELEASE = VideoXLConfig()
OLD = ("position_ids", "inv_freq")


def shapes(config: VideoXLConfig) -> dict[str, tuple[int, ...]]:
    """What a checkpoint of this config holds."""
    return {row.key: row.shape for row in rows(config) if not row.key.endswith(OLD)}


def test_the_release_has_903_tensors_and_8_4_billion_numbers() -> None:
    found = shapes(RELEASE)

    assert len(found) == 903
    by_part = {"language model": 7_615_616_512, "summary tokens": 462_554_624, "tower": 303_507_456, "projector": 16_522_240}
    counted = dict.fromkeys(by_part, 0)
    for key, shape in found.items():
        part = (
            "summary tokens"
            if "beacon" in key
            else "projector"
            if "mm_projector" in key
            else "tower"
            if "vision" in key
            else "language model"
        )
        counted[part] += prod(shape)
    assert counted == by_part


def test_keys_are_spelt_as_the_authors_spell_them() -> None:
    found = shapes(RELEASE)

    assert found["model.vision_tower.vision_tower.vision_model.pre_layrnorm.weight"] == (1024,)
    assert found["model.vision_tower.vision_tower.vision_model.embeddings.position_embedding.weight"] == (577, 1024)
    assert found["model.layers.27.self_attn.beacon_k_proj.bias"] == (512,)
    assert found["model.layers.0.self_attn.o_proj.weight"] == (3584, 3584)
    assert found["model.beacon_embed_tokens.weight"] == (1, 3584)
    assert found["model.mm_projector.0.weight"] == (3584, 1024)


def test_every_parameter_has_one_key() -> None:
    used = [row.parameter for row in rows(RELEASE) if row.parameter]

    assert len(used) == len(set(used)) == 903 - 2  # all but the norm behind the last layer of the tower
    assert {
        "decoder.layers.3.summary_q.bias",
        "decoder.embed.weight",
        "encoder.tower.layers.23.up.weight",
        "encoder.projector.2.bias",
    } <= set(used)


def test_layers_past_the_selected_one_are_dropped_knowingly() -> None:
    config = replace(RELEASE, vision=VisionConfig(select_layer=-3))
    dropped = {
        row.key.split("encoder.layers.")[1].split(".")[0] for row in rows(config) if row.parameter is None and "encoder.layers" in row.key
    }

    assert dropped == {"22", "23"}
    assert check(shapes(RELEASE), config).is_loadable


def test_a_tied_head_needs_none_of_its_own() -> None:
    config = replace(RELEASE, decoder=DecoderConfig(tied_head=True))
    found = shapes(config)
    found.pop("lm_head.weight")

    assert check(found, config).is_loadable
    assert check(shapes(RELEASE), config).is_loadable
    assert check(found, RELEASE).sentences() == ["lm_head.weight is missing"]


def test_what_an_old_transformers_saved_is_no_stranger() -> None:
    found = shapes(RELEASE) | {row.key: row.shape for row in rows(RELEASE)}

    assert check(found, RELEASE).is_loadable


def test_each_problem_is_a_sentence_and_many_are_counted() -> None:
    found = shapes(RELEASE) | {"model.layers.0.self_attn.q_norm.weight": (128,), "model.norm.weight": (4096,)}
    for k in range(7):
        found.pop(f"model.layers.{k}.self_attn.beacon_q_proj.weight")

    result = check(found, RELEASE)

    assert not result.is_loadable
    assert len(result.missing) == 7
    assert result.sentences() == [
        *(f"model.layers.{k}.self_attn.beacon_q_proj.weight is missing" for k in range(5)),
        "... and 2 more like it",
        "model.layers.0.self_attn.q_norm.weight is unknown: this system has no place for it",
        "model.norm.weight has the shape [4096], expected [3584]",
    ]


def test_a_checkpoint_of_a_part_is_enough_where_a_part_is_asked_for() -> None:
    seeing = {key: shape for key, shape in shapes(RELEASE).items() if "vision" in key or "mm_projector" in key}

    assert check(seeing, RELEASE, {"encoder"}).is_loadable
    assert check(shapes(RELEASE), RELEASE, {"encoder"}).is_loadable
    assert len(check(seeing, RELEASE).missing) == 508
    assert len(check(seeing, RELEASE, {"decoder"}).missing) == 508

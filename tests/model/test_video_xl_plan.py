"""The plan tells what watching will do, to the token."""

from __future__ import annotations

import pytest

from model.compression.summary_tokens import Ratios
from model.systems.video_xl_config import UnsupportedConfig, VideoXLConfig, released_7b, released_grid
from model.systems.video_xl_plan import most_frames, parameters, plan_tokens

RELEASE = released_7b()


def test_the_releases_published_numbers() -> None:
    plan = plan_tokens(RELEASE, 2048, Ratios((16,)))

    assert parameters(RELEASE) == 7_615_616_512 + 462_554_624 + 303_507_456 + 16_522_240
    assert (plan.visual_tokens, plan.summary_tokens, plan.windows) == (2048 * 144, 18_432, 205)
    assert plan.memory_bytes == (18_432 + 14) * 57_344  # 0.98 GiB
    assert plan.raw_bytes / plan.memory_bytes == pytest.approx(16, abs=0.02)
    assert plan.fits
    assert plan.advice == ""


@pytest.mark.parametrize(("ratio", "frames"), [(2, 424), (4, 859), (8, 1729), (16, 3468)])
def test_the_longest_film_fits_and_one_frame_more_does_not(ratio: int, frames: int) -> None:
    """A little shorter than published, since room is kept for a question and its answer of 1,536 tokens rather than for a window."""
    ratios = Ratios((ratio,))

    assert most_frames(RELEASE, ratios) == frames
    assert plan_tokens(RELEASE, frames, ratios).fits
    assert not plan_tokens(RELEASE, frames + 1, ratios).fits


def test_what_does_not_fit_is_told_with_a_setting_that_does() -> None:
    plan = plan_tokens(RELEASE, 1500, Ratios((4,)))

    assert plan.advice == "--ratio 8 fits"
    assert "1500 frames make 216,000 visual tokens, at ratio 4 54,000 summary tokens" in plan.told()
    assert plan_tokens(RELEASE, 1500, Ratios((8,))).fits
    assert "--ratio 16 --frames 3468 fits" in plan_tokens(RELEASE, 86_400, Ratios((16,))).advice


def test_wider_numbers_take_more() -> None:
    half, full = (plan_tokens(RELEASE, 100, Ratios((16,)), bytes_per_number=b) for b in (2, 4))

    assert (full.memory_bytes, full.weight_bytes) == (2 * half.memory_bytes, 2 * half.weight_bytes)


def test_an_empty_config_is_the_release() -> None:
    config = VideoXLConfig.from_json({})

    assert (config.decoder, config.summary) == (RELEASE.decoder, RELEASE.summary)
    assert (config.vision.tokens_per_frame, len(config.vision.grid_px)) == (144, len(released_grid(336))) == (144, 200)


def test_what_the_authors_set_aside_is_set_aside_and_newer_writers_are_read() -> None:
    config = VideoXLConfig.from_json({"rope_scaling": {"type": "yarn", "factor": 4.0}, "rope_parameters": {"rope_theta": 5e5}})

    assert config.decoder.rope_theta == 5e5


@pytest.mark.parametrize(("select", "used"), [(-1, 24), (-2, 23), (-25, 0), (0, 0), (24, 24), (7, 7)])
def test_the_selected_layer_says_how_many_are_computed(select: int, used: int) -> None:
    assert VideoXLConfig.from_json({"mm_vision_select_layer": select}).vision.used_layers == used


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("beacon_attn", "segmentation"), ("beacon_pos", "append"), ("beacon_sink_size", 4), ("beacon_attend_prev", False),
        ("mm_projector_type", "linear"), ("mm_patch_merge_type", "spatial_unpad"), ("hidden_act", "gelu"), ("beacon_param", ["q"]),
        ("beacon_stride", 720), ("image_grid_pinpoints", "(1x1),...,(7x7)"),
        ("beacon_ratio_mix", "wild"), ("mm_vision_select_layer", -26), ("mm_spatial_pool_mode", "bilinear"),
        ("hidden_size", "3584"), ("num_hidden_layers", 0), ("rms_norm_eps", None), ("num_attention_heads", [28]), ("head_dim", 7),
        ("tie_word_embeddings", 1), ("beacon_ratio", ["2"]), ("beacon_ratio", None), ("beacon_window", 14.4), ("beacon_param", 3),
        ("vision_config", []), ("rope_parameters", 1e6), ("rope_theta", float("nan")), ("image_grid_pinpoints", [[336, None]]),
    ],
)  # fmt: skip
def test_what_computes_something_else_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(UnsupportedConfig, match=key):
        VideoXLConfig.from_json({key: value})

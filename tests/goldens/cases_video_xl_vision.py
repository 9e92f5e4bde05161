"""Video-XL's pixels and features against values made with the authors' code. What is compared is what the case's tensors are called."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.encoders.clip import ClipEncoder
from model.preprocess import best_grid, crops, fit, normalise, one_fps_indices, training_indices, uniform_indices
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows
from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder

PIXELS = ("frames_pixel_values", "image_anyres_pixel_values")
PICTURE = ("image_best_resolution_wh", "image_grid")


def is_of_the_encoder(name: str) -> bool:
    """Whether a tensor of this name is expected of the tower, the projector or the pooling."""
    return name in ("projected", "pooled", "video_features", "image_features") or name.startswith(("hidden_states_frame", "tower_features"))


def is_of_preprocessing(name: str) -> bool:
    return name.startswith(("sampling.", "best_resolution.")) or name in (*PIXELS, PICTURE[0])


def run_vision(case: CaseFolder, differences: Differences) -> None:
    encoder = encoder_of(case)
    frames, picture = case.inputs.get("frames"), case.inputs.get("image_crops")
    if frames is not None:
        projected = encoder.projector(encoder.patches(frames))
        seen = {"tower_features": encoder.patches(frames), "projected": projected, "pooled": encoder.features(frames)}
        seen["video_features"] = seen["pooled"].flatten(0, 1)
        _compare_those_expected(seen, case, differences)
    if picture is not None:
        _compare_those_expected({"image_features": encoder.features(picture[1:]).flatten(0, 1)}, case, differences)
    for name, expected in case.expected.items():
        if layer := re.fullmatch(r"tower_features_layer(-?\d+)", name):
            found = encoder_of(case, int(layer[1])).patches(case.inputs["frames"][: len(expected)])
            differences.compare(name, found, expected)
        if frame := re.fullmatch(r"hidden_states_frame(\d+)", name):
            differences.compare(name, _all_layers(case, case.inputs["frames"][int(frame[1])]), expected)
    if "image_grid" in case.expected and "image_size_wh" in case.inputs:
        vision = VideoXLConfig.from_json(case.config).vision
        best = best_grid(*case.inputs["image_size_wh"].tolist(), vision.grid_px)
        _compare_those_expected(
            {"image_grid": np.array(best) // vision.image_px, "image_best_resolution_wh": np.array(best)}, case, differences
        )


def encoder_of(case: CaseFolder, select_layer: int | None = None) -> ClipEncoder:
    """The case's encoder with the layer its config selects, or another."""
    config = VideoXLConfig.from_json(case.config)
    vision = config.vision if select_layer is None else replace(config.vision, select_layer=select_layer)
    parts = nn.ModuleDict({"encoder": ClipEncoder(vision)}).requires_grad_(False)
    table = rows(replace(config, vision=vision))
    parts.load_state_dict({row.parameter: case.weights[row.key] for row in table if row.parameter and row.part == "encoder"})
    return cast(ClipEncoder, parts["encoder"])


def _all_layers(case: CaseFolder, frame: Tensor) -> Tensor:
    """All hidden states of one frame, class token included."""
    count = VideoXLConfig.from_json(case.config).vision.layers + 1
    return torch.cat([encoder_of(case, k).tower(frame[None]) for k in range(count)])


def _compare_those_expected(found: dict[str, Any], case: CaseFolder, differences: Differences) -> None:
    for name in found.keys() & case.expected.keys():
        differences.compare(name, found[name], case.expected[name])


def run_preprocess(case: CaseFolder, differences: Differences) -> None:
    for name, expected in case.expected.items():
        if name.startswith("sampling."):
            differences.compare(name, sampled(name), expected)
        elif name.startswith("best_resolution."):
            width, height = map(int, name.split(".")[1:])
            differences.compare(name, best_grid(width, height, _grid(case)), expected)
    for name, found in _pixels(case).items():
        if name in case.expected:
            differences.compare(name, found, case.expected[name])


def sampled(name: str) -> NDArray[np.int64]:
    """The frames that a name asks for: uniform.TOTAL.N, one_fps.TOTAL.FPS or train_fpsK_max.TOTAL.FPS.N; FPS may hold a point."""
    rule, total, rest = re.fullmatch(r"sampling\.(\w+)\.(\d+)\.(.+)", name).groups()  # type: ignore[union-attr]
    if rule == "uniform":
        return uniform_indices(int(total), int(rest))
    if rule == "one_fps":
        return one_fps_indices(int(total), float(rest))
    wanted = re.fullmatch(r"train_fps(\d+)_max", rule)
    assert wanted, f"{name} asks for a sampling rule that is not known"
    fps, most = rest.rsplit(".", 1)
    return training_indices(int(total), float(fps), int(wanted[1]), int(most))


def _pixels(case: CaseFolder) -> dict[str, NDArray[np.float32] | NDArray[np.int64]]:
    found: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {}
    if "frames_uint8" in case.inputs:
        size_px = case.config["size"]["shortest_edge"]
        found["frames_pixel_values"] = normalise(np.stack([fit(frame, size_px) for frame in case.inputs["frames_uint8"].numpy()]))
    if "image_uint8" in case.inputs:
        size_px, picture = case.config["size"]["shortest_edge"], case.inputs["image_uint8"].numpy()
        found["image_anyres_pixel_values"] = normalise(crops(picture, _grid(case), size_px))
        best = np.array(best_grid(picture.shape[1], picture.shape[0], _grid(case)))
        found |= {"image_best_resolution_wh": best, "image_grid": best // size_px}
    return found


def _grid(case: CaseFolder) -> list[tuple[int, int]]:
    return [(width, height) for width, height in case.config["image_grid_pinpoints"]]

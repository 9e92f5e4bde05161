"""Video-XL's pixels and features against values made with the authors' code. What is compared is what the case's tensors are called."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from model.preprocess import best_grid, crops, fit, normalise, one_fps_indices, training_indices, uniform_indices
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
    raise NotImplementedError


def run_preprocess(case: CaseFolder, differences: Differences) -> None:
    for name, expected in case.expected.items():
        if name.startswith("sampling."):
            differences.compare(name, sampled(name), expected)
        elif name.startswith("best_resolution."):
            width, height = map(int, name.split(".")[1:])
            differences.compare(name, best_grid(width, height, _grid(case)), expected)
    for name, found in _pixels(case).items():
        if name in case.expected:
            differences.compare(name, found, case.expected[name], 0.0)  # bit for bit


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

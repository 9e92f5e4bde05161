"""Video-XL's pixels and features against values made with the authors' code."""

from __future__ import annotations

from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder


def is_of_the_encoder(name: str) -> bool:
    """Whether a tensor of this name is expected of the tower, the projector or the pooling."""
    return name in ("projected", "pooled", "video_features", "image_features") or name.startswith(("hidden_states_frame", "tower_features"))


def is_of_preprocessing(name: str) -> bool:
    return name.startswith(("sampling.", "best_resolution.", "frames_pixel_values", "image_anyres", "image_best_resolution"))


def run_vision(case: CaseFolder, differences: Differences) -> None:
    raise NotImplementedError


def run_preprocess(case: CaseFolder, differences: Differences) -> None:
    raise NotImplementedError

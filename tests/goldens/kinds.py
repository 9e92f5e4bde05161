"""Which computations a golden case asks for. A case's kind is what its tensors are called, not what its folder is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.goldens import cases_efficientnet_lite0, cases_video_xl_llm, cases_video_xl_vision
from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder

Run = Callable[[CaseFolder, Differences], None]
Asks = Callable[[CaseFolder], bool]


def _is_beacon_llm(case: CaseFolder) -> bool:
    return "image_features" in case.inputs or any(name.startswith("train.") for name in case.expected)


def _is_end_to_end(case: CaseFolder) -> bool:
    return "input_ids" in case.inputs and bool({"frames", "image_crops"} & set(case.inputs))


def _is_vision(case: CaseFolder) -> bool:
    return not _is_end_to_end(case) and any(map(cases_video_xl_vision.is_of_the_encoder, case.expected))


def _is_preprocess(case: CaseFolder) -> bool:
    return any(map(cases_video_xl_vision.is_of_preprocessing, case.expected))


KINDS: Mapping[str, Mapping[str, tuple[Asks, Run]]] = {
    "videoxl": {
        "beacon_llm": (_is_beacon_llm, cases_video_xl_llm.run_llm),
        "end_to_end": (_is_end_to_end, cases_video_xl_llm.run_end_to_end),
        "vision": (_is_vision, cases_video_xl_vision.run_vision),
        "preprocess": (_is_preprocess, cases_video_xl_vision.run_preprocess),
    },
    "efficientnet_lite0": {"encoder": (lambda case: "images" in case.inputs, cases_efficientnet_lite0.run)},
}


def kinds_of(case: CaseFolder) -> dict[str, Run]:
    """Name and computation of everything the case asks for; empty where it asks for nothing that is known."""
    return {name: run for name, (asks, run) in KINDS.get(case.system, {}).items() if asks(case)}

"""The runner of golden cases itself: it finds each case wherever it lies, and lets none pass unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from tests.goldens.cases_video_xl_vision import sampled
from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder, cases_under
from tests.goldens.kinds import kinds_of

ONE = torch.ones(1)
KINDS = {  # name of a kind: tensors by which it is known
    "beacon_llm": (["image_features", "prefix_ids"], ["a.logits_text"]),
    "end_to_end": (["frames", "input_ids"], ["a.image_features", "a.logits_text"]),
    "vision": (["image_crops"], ["image_features"]),
    "preprocess": ([], ["sampling.uniform.9.4"]),
}


def write_case(folder: Path, inputs: list[str], expected: list[str]) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"notes": {"runs": {}}}))
    save_file({name: torch.ones(1) for name in inputs}, folder / "inputs.safetensors")
    save_file({name: torch.ones(1) for name in expected}, folder / "expected.safetensors")
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["videoxl/anything", "anything"])
def test_a_case_is_known_by_its_tensors_whatever_its_folder_is_called(kind: str, name: str, tmp_path: Path) -> None:
    write_case(tmp_path / name, *KINDS[kind])

    (case,) = cases_under(tmp_path)

    assert (case.system, case.name, list(kinds_of(case))) == ("videoxl", "videoxl/anything", [kind])


def test_several_systems_one_system_and_one_case_are_found(tmp_path: Path) -> None:
    write_case(tmp_path / "videoxl" / "a", *KINDS["vision"])
    write_case(tmp_path / "videoxl" / "b", *KINDS["preprocess"])
    write_case(tmp_path / "longvlm" / "c", ["x"], ["y"])

    assert [case.name for case in cases_under(tmp_path)] == ["longvlm/c", "videoxl/a", "videoxl/b"]
    assert [case.name for case in cases_under(tmp_path / "videoxl")] == ["videoxl/a", "videoxl/b"]
    assert [case.name for case in cases_under(tmp_path / "videoxl" / "b")] == ["videoxl/b"]


def test_a_folder_without_expected_values_is_a_case_that_cannot_run(tmp_path: Path) -> None:
    write_case(tmp_path / "videoxl" / "a", *KINDS["vision"])
    (tmp_path / "videoxl" / "a" / "expected.safetensors").unlink()

    (case,) = cases_under(tmp_path)

    assert (case.name, kinds_of(case)) == ("videoxl/a", {})


def test_a_stranger_belongs_to_no_system(tmp_path: Path) -> None:
    write_case(tmp_path / "a", ["x"], ["y"])

    (case,) = cases_under(tmp_path)

    assert (case.system, case.name) == ("", "unknown/a")


def test_the_largest_difference_is_remembered_and_whole_numbers_must_be_equal() -> None:
    differences = Differences(frozenset({"a", "ids"}))
    differences.compare("a", ONE, ONE + 5e-5)
    differences.compare("ids", [3, 4], torch.tensor([3, 4]))

    with pytest.raises(AssertionError, match=r"a differs by 0.5, allowed are 0.0001"):
        differences.compare("a", ONE, ONE + 0.5)
    with pytest.raises(AssertionError, match=r"ids differs by 1, allowed are 0"):
        differences.compare("ids", [3, 4], [3, 5])
    with pytest.raises(AssertionError, match=r"ids has the shape \[1\], expected \[2\]"):
        differences.compare("ids", [3], [3, 5])
    with pytest.raises(AssertionError, match="a differs by nan"):
        differences.compare("a", ONE * float("nan"), ONE)


def test_what_nobody_compared_is_a_failure_unless_it_was_left_out_aloud() -> None:
    differences = Differences(frozenset({"a", "b", "c"}))
    differences.compare("a", ONE, ONE)
    differences.leave_out("b", "for debugging")

    with pytest.raises(AssertionError, match="nothing was compared with c"):
        differences.finish()
    differences.leave_out("c", "for debugging")
    differences.finish()
    assert str(differences) == "1 tensors, largest difference 0 (a); for debugging: b and 1 more"


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("sampling.uniform.5.3", [0, 2, 4]),
        ("sampling.one_fps.7.2.5", [0, 2]),
        ("sampling.one_fps.60.29.97", [0, 29]),
        ("sampling.train_fps1_max.9.2.5.8", [0, 2, 4, 6, 8]),
        ("sampling.train_fps2_max.9.25.4", [0]),
        ("sampling.train_fps1_max.9.1.0.2", [0, 8]),
    ],
)
def test_a_sampling_case_is_its_name(name: str, frames: list[int]) -> None:
    assert sampled(name).tolist() == frames


def test_cases_are_values() -> None:
    assert CaseFolder(Path("a"), "videoxl").name == "videoxl/a"
    assert CaseFolder(Path("x/efficientnet_lite0"), "efficientnet_lite0").name == "efficientnet_lite0"

"""`longtake models check` and `export`: what a person and a machine are told of a checkpoint's folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from model.encoders.onnx_features import OnnxFeatureEncoder
from model.systems.loading import weights_digest
from model.systems.tiny import write_tiny
from pipelines.interfaces import WrongRequest
from services.checkpoints import check_checkpoint, export_encoder, look_at

TOWER = "model.vision_tower.vision_tower.vision_model"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "checkpoint")


def changed_config(folder: Path, **settings: Any) -> Path:
    found = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(found | settings))
    return folder


def test_a_good_folder_is_told_with_its_sizes(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = check_checkpoint(good, "video-xl", as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert (code, told["is_loadable"], told["problems"]) == (0, True, [])
    assert (told["dtypes"], told["tensors"], told["files"]) == ({"F32": 117}, 117, ["model.safetensors"])
    assert told["numbers"] == sum(tensor.numel() for tensor in load_file(good / "model.safetensors").values())
    assert told["size_bytes"] == (good / "model.safetensors").stat().st_size
    assert (told["tokenizer"], told["settings"]["vision"]["select_layer"]) == (["tokenizer.json"], -2)


def test_people_read_the_same(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_checkpoint(good, "video-xl", as_json=False)

    told = capsys.readouterr().out
    assert f"{good} as video-xl: can be loaded" in told
    assert "117 of F32; 0.22 million numbers, 0.9 MB in 1 files" in told


def test_every_problem_is_told_at_once(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(65)
    tensors["stranger"] = tensors.pop("lm_head.weight")
    tensors["model.mm_projector.0.bias"] = tensors["model.mm_projector.0.bias"].to(torch.int8)
    save_file(tensors, folder / "model.safetensors")
    (folder / "tokenizer.json").unlink()

    report = look_at(folder, "video-xl")

    assert report.problems == (
        "lm_head.weight is missing",
        "stranger is unknown: this system has no place for it",
        "model.norm.weight has the shape [65], expected [64]",
        "model.mm_projector.0.bias in model.safetensors is I8, expected one of F64, F32, F16, BF16",
        "there is no tokenizer: neither tokenizer.json nor vocab.json with merges.txt",
    )
    assert report.dtypes == {"F32": 116, "I8": 1}


def test_a_config_that_asks_for_something_else_is_told_beside_what_the_folder_holds(folder: Path) -> None:
    report = look_at(changed_config(folder, beacon_pos="append"), "video-xl")

    assert report.problems == ("beacon_pos is 'append'; the published Video-XL has 'interleave'",)
    assert report.tensors == 117


def test_another_models_checkpoint_is_named_as_one(folder: Path) -> None:
    save_file({"model.norm.weight": torch.ones(64)}, folder / "model.safetensors")

    report = look_at(changed_config(folder, model_type="llama"), "video-xl")

    assert report.problems[0] == "config.json is of a model of the type 'llama'; Video-XL's is 'llava_qwen'"
    assert "model.embed_tokens.weight is missing" in report.problems


def test_the_command_ends_with_3_for_a_damaged_folder_and_2_for_none(folder: Path, tmp_path: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    command = [sys.executable, "-m", "services.cli", "models", "check"]

    damaged = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    absent = subprocess.run([*command, tmp_path / "none"], capture_output=True, text=True, check=False)

    assert (damaged.returncode, absent.returncode) == (3, 2)
    assert "model.safetensors is damaged or cut off" in damaged.stdout
    assert "there is no folder" in absent.stderr


def test_the_encoder_is_written_as_a_graph_that_knows_its_checkpoint(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    export_encoder(str(good), tmp_path / "graphs" / "clip.onnx", "video-xl", half=False, fused=False)

    encoder = OnnxFeatureEncoder(tmp_path / "graphs" / "clip.onnx")
    assert encoder.weights == weights_digest(good, tmp_path)
    assert np.asarray(encoder.encode(np.zeros((3, 56, 56, 3), np.uint8))).shape == (3, 16, 64)
    assert "clip.onnx: 0." in capsys.readouterr().out
    with pytest.raises(WrongRequest, match="is there already"):
        export_encoder(str(good), tmp_path / "graphs" / "clip.onnx", "video-xl", half=False, fused=False)


def test_a_system_that_is_not_built_is_refused(good: Path) -> None:
    with pytest.raises(WrongRequest, match="no system called 'longvlm' is built; there is video-xl"):
        check_checkpoint(good, "longvlm", as_json=False)


def test_a_damaged_tokenizer_is_a_problem(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{bad")

    (problem,) = look_at(folder, "video-xl").problems
    assert "tokenizer.json is damaged or no tokenizer" in problem


def test_a_torch_file_that_names_code_is_told_without_advice_to_run_it(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"a": folder}, folder / "pytorch_model.bin")  # a path is a class, not a number

    (problem,) = look_at(folder, "video-xl").problems
    assert problem.endswith("names code or is damaged, and nothing in it was run (Weights only load failed)")

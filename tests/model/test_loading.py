"""Checkpoint folders: their tensors arrive in a module exactly, and every damaged or foreign one is refused in a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from model.checkpoints import UnreadableCheckpoint
from model.encoders.clip import ClipEncoder
from model.systems.loading import Entry, load_into, read_index, weight_files, weights_digest
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows
from tests.model.checkpoints import TINY, random_tensors, write_checkpoint

CONFIG = VideoXLConfig.from_json(TINY)
PATCH = "model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.weight"


def loaded_encoder(folder: Path, dtype: torch.dtype = torch.float32) -> nn.ModuleDict:
    with torch.device("meta"):
        parts = nn.ModuleDict({"encoder": ClipEncoder(CONFIG.vision)})
    load_into(parts, folder, rows(CONFIG), dtype, "cpu", parts={"encoder"})
    return parts


@pytest.mark.parametrize(("form", "shards"), [("safetensors", 1), ("safetensors", 3), ("bin", 1), ("bin", 2)])
def test_every_tensor_arrives_as_it_was_written(tmp_path: Path, form: str, shards: int) -> None:
    tensors = random_tensors(TINY)
    write_checkpoint(tmp_path, tensors, form=form, shards=shards)

    state = loaded_encoder(tmp_path).state_dict()

    place = {row.parameter: row.key for row in rows(CONFIG)}
    assert len(state) == 2 + 3 + 2 * 16 + 4
    assert all(torch.equal(value, tensors[place[name]]) for name, value in state.items())


def test_numbers_become_the_dtype_that_is_asked_for(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, random_tensors(TINY, dtype=torch.bfloat16))

    assert {value.dtype for value in loaded_encoder(tmp_path, torch.float16).state_dict().values()} == {torch.float16}


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_the_index_tells_shapes_and_dtypes_without_loading(tmp_path: Path, form: str) -> None:
    write_checkpoint(tmp_path, random_tensors(TINY, dtype=torch.bfloat16), form=form, shards=2)

    index = read_index(tmp_path)

    assert len(index) == len(random_tensors(TINY))
    assert index[PATCH] == Entry((24, 3, 7, 7), "BF16", index[PATCH].file)
    assert {entry.file for entry in index.values()} == set(weight_files(tmp_path))


def test_safetensors_are_taken_where_both_forms_lie(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, random_tensors(TINY, seed=1), form="bin", shards=2)
    write_checkpoint(tmp_path, random_tensors(TINY, seed=2))

    assert [file.name for file in weight_files(tmp_path)] == ["model.safetensors"]
    assert torch.equal(loaded_encoder(tmp_path)["encoder"].tower.patch.weight, random_tensors(TINY, seed=2)[PATCH])


def test_the_first_keys_that_do_not_fit_are_named(tmp_path: Path) -> None:
    tensors = random_tensors(TINY)
    tensors["model.vision_tower.vision_tower.vision_model.head.weight"] = tensors.pop(PATCH)
    write_checkpoint(tmp_path, tensors)

    with pytest.raises(UnreadableCheckpoint, match=rf"{PATCH} is missing; .*head.weight is unknown"):
        loaded_encoder(tmp_path)


def test_a_tensor_of_whole_numbers_is_no_weight(tmp_path: Path) -> None:
    tensors = random_tensors(TINY)
    tensors[PATCH] = tensors[PATCH].to(torch.int8)
    write_checkpoint(tmp_path, tensors)

    with pytest.raises(UnreadableCheckpoint, match=r"model.safetensors is I8, expected one of F64, F32, F16, BF16"):
        loaded_encoder(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, random_tensors(TINY), shards=3)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()

    with pytest.raises(UnreadableCheckpoint, match=r"lacks model-00002-of-00003.safetensors of 3 files"):
        read_index(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(UnreadableCheckpoint, match=r"lacks model-00002-of-00003.safetensors of 3 files"):
        read_index(tmp_path)


def test_shards_of_different_checkpoints_are_told_apart(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, random_tensors(TINY), shards=2)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    index["weight_map"]["model.norm.weight"] = "model-00002-of-00002.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))

    with pytest.raises(UnreadableCheckpoint, match=r"model-00002-of-00002.safetensors holds model.norm.weight, but it does not"):
        read_index(tmp_path)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, form: str, kept: float) -> None:
    write_checkpoint(tmp_path, random_tensors(TINY), form=form)
    (file,) = weight_files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])

    with pytest.raises(UnreadableCheckpoint, match=f"{file.name} .*(cut off|damaged)"):
        read_index(tmp_path)


class _Acts:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_bin_is_refused_and_never_run(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, random_tensors(TINY), form="bin")
    (file,) = weight_files(tmp_path)
    torch.save({"model.norm.weight": _Acts(tmp_path / "acted")}, file)

    with pytest.raises(UnreadableCheckpoint, match=r"names code.*nothing in it was run"):
        read_index(tmp_path)
    assert not (tmp_path / "acted").exists()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ((), "no config.json"),
        (("config.json",), "found none"),
        (("config.json", "model.pth"), "found model.pth"),
        (("config.json", "adapter_config.json", "adapter_model.safetensors"), "a LoRA adapter"),
        (("config.json", "weights.gguf", "a.onnx"), "found a.onnx, weights.gguf"),
    ],
)
def test_a_folder_of_another_form_is_refused(tmp_path: Path, files: tuple[str, ...], sentence: str) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")

    with pytest.raises(UnreadableCheckpoint, match=sentence):
        read_index(tmp_path)


def test_a_bin_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    torch.save({"state_dict": {"a": torch.ones(1)}, "epoch": 3}, tmp_path / "pytorch_model.bin")

    with pytest.raises(UnreadableCheckpoint, match="other things than a table of tensors"):
        read_index(tmp_path)


def test_the_digest_follows_every_byte_and_is_remembered(tmp_path: Path) -> None:
    folder, cache = write_checkpoint(tmp_path / "weights", random_tensors(TINY), shards=2), tmp_path / "cache"
    first = weights_digest(folder, cache)

    assert len(first) == 64
    assert weights_digest(folder, cache) == weights_digest(folder, tmp_path / "other cache") == first
    kept = json.loads((cache / "weights-digests.json").read_text())
    assert len(kept) == 3

    file = weight_files(folder)[1]
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)
    os.utime(file, ns=(1, 1))  # another time, as a later write has
    assert weights_digest(folder, cache) != first


def test_a_torn_note_of_digests_is_made_anew(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "weights", random_tensors(TINY))
    first = weights_digest(folder, tmp_path)
    (tmp_path / "weights-digests.json").write_text('{"a": ')

    assert weights_digest(folder, tmp_path) == first

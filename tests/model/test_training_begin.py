"""Qwen2 and CLIP, joined into a checkpoint that can be trained."""

import json

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file

from model.checkpoints import UnreadableCheckpoint
from model.systems.loading import read_index
from model.systems.tiny import CONFIG, write_tiny
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import TOWER, check
from model.training.begin import begin
from model.training.learner import open_learner
from model.training.stages import STAGES
from tests.model.checkpoints import write_checkpoint

MINE = ("beacon", "mm_", "vision", "image_", "architectures", "model_type")


def halves(folder):
    """A tiny Qwen2 in two shards, and a tiny CLIP with its text half."""
    tensors = load_file(write_tiny(folder / "tiny") / "model.safetensors")
    qwen = {k: t for k, t in tensors.items() if "beacon" not in k and "vision_tower" not in k and "mm_projector" not in k}
    clip = {k.replace(TOWER, "vision_model"): t for k, t in tensors.items() if k.startswith(TOWER)} | {"logit_scale": torch.ones(())}
    write_checkpoint(folder / "qwen", qwen, {k: v for k, v in CONFIG.items() if not k.startswith(MINE)}, shards=2)
    (folder / "qwen" / "tokenizer.json").write_text("{}")
    return folder / "qwen", write_checkpoint(folder / "clip", clip, {"vision_config": CONFIG["vision_config"], "model_type": "clip"})


def all_tensors(folder):
    return {key: tensor for file in folder.glob("*.safetensors") for key, tensor in load_file(file).items()}


def test_the_whole_can_be_opened_and_holds_both_halves_as_they_were(tmp_path):
    language, tower = halves(tmp_path)
    begin(language, tower, tmp_path / "start")

    config = VideoXLConfig.from_folder(tmp_path / "start")
    assert check({k: e.shape for k, e in read_index(tmp_path / "start").items()}, config).is_loadable
    assert (config.summary.window, config.vision.select_layer, config.vision.layers) == (1440, -2, 3)
    found, before = all_tensors(tmp_path / "start"), load_file(tmp_path / "tiny" / "model.safetensors")
    assert all(torch.equal(found[k], before[k]) for k in before if "beacon" not in k and "mm_projector" not in k)
    assert (tmp_path / "start" / "tokenizer.json").exists()
    assert open_learner(tmp_path / "start", STAGES["projector"], device="cpu").decoder.head.weight.shape == (320, 64)


def test_summary_tokens_begin_as_copies(tmp_path):
    begin(*halves(tmp_path), tmp_path / "start")
    found = all_tensors(tmp_path / "start")
    assert torch.equal(found["model.layers.1.self_attn.beacon_k_proj.bias"], found["model.layers.1.self_attn.k_proj.bias"])
    assert torch.equal(found["model.layers.2.self_attn.beacon_q_proj.weight"], found["model.layers.2.self_attn.q_proj.weight"])
    assert torch.equal(found["model.beacon_embed_tokens.weight"][0], found["model.embed_tokens.weight"][CONFIG["eos_token_id"]])


def test_halves_that_do_not_fit_are_refused_and_nothing_is_left(tmp_path):
    language, tower = halves(tmp_path)
    with pytest.raises(UnreadableCheckpoint, match=r"make no Video-XL: .*patch_embedding"):
        begin(language, language, tmp_path / "start")
    assert not (tmp_path / "start").exists()
    told = json.loads((language / "config.json").read_text())
    (language / "config.json").write_text(json.dumps(told | {"num_hidden_layers": 4}))
    with pytest.raises(UnreadableCheckpoint, match=r"model\.layers\.3\..* is missing"):
        begin(language, tower, tmp_path / "start")
    (tmp_path / "start").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        begin(language, tower, tmp_path / "start")

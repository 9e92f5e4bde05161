"""The training loop at a tiny size: it learns, goes on where it was stopped, and leaves a checkpoint that can be opened."""

import json
import logging
from dataclasses import replace
from itertools import islice

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file

from model.systems.loading import load_into, read_index
from model.systems.tiny import write_tiny
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import check, rows
from model.training.learner import Learner, open_learner
from model.training.lora import load_adapter
from model.training.saving import merge_adapter, write_checkpoint
from model.training.stages import STAGES
from model.training.train import Run, Trainer, TrainingStopped, steps_of
from tests.model.checkpoints import TINY, random_tensors
from tests.model.checkpoints import write_checkpoint as write_any
from tests.model.learning import RECORDS, examples, record

FULL = replace(STAGES["full"], learning_rate=1e-3, accumulation=2)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # which makes sums the same every time, too
    yield
    torch.set_num_threads(before)


def a_trainer(folder, stage=FULL, *, steps=4, lora_rank=0, told=None, out="out", seed=0):
    AcceleratorState._reset_state(True), GradientState._reset_state()  # each run here stands for a program of its own
    data = examples(folder, stage, told)
    (folder / out).mkdir(exist_ok=True)
    learner = open_learner(folder / "tiny", stage, device="cpu", lora_rank=lora_rank, seed=seed)
    run = Run(stage=stage, steps=steps, data="these", seed=seed, lora_rank=lora_rank)
    return Trainer(learner, data, run, Accelerator(cpu=True), folder / "tiny", folder / out)


def weights(folder):
    return load_file(folder / "model.safetensors")


def changed(before, after):
    assert before.keys() == after.keys()
    return {key for key in before if not torch.equal(before[key], after[key])}


def test_the_loss_of_a_batch_falls_and_is_noted(tmp_path):
    stage = replace(FULL, accumulation=1)
    trainer = a_trainer(tmp_path, stage, steps=6, told=RECORDS[:1])
    steps = list(trainer.go(save_every=100))

    assert [step.number for step in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[-1].loss < steps[0].loss / 2
    noted = [json.loads(line) for line in (tmp_path / "out" / "losses.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in noted] == [step.loss for step in steps]


def test_the_loss_is_the_mean_over_labelled_tokens(tmp_path):
    trainer = a_trainer(tmp_path)
    learner, data = trainer.model, trainer.examples
    with torch.no_grad():
        one, other = data.load(0, 1), data.load(3, 1)
        together = learner([one, other])
        counts = [int((e.labels[1:] != -100).sum()) for e in (one, other)]
        apart = sum(learner([e]) * n for e, n in zip((one, other), counts, strict=True)) / sum(counts)
    assert together.item() == pytest.approx(apart.item(), rel=1e-6)


def test_a_stopped_run_ends_with_the_same_weights_as_an_unbroken_one(tmp_path):
    whole = a_trainer(tmp_path, out="whole")
    unbroken = [step.loss for step in whole.go(save_every=100)]
    stopped = a_trainer(tmp_path, out="parts")
    list(islice(stopped.go(save_every=2), 3))  # the third step is lost

    again = a_trainer(tmp_path, out="parts")
    again.resume()
    rest = list(again.go(save_every=2))

    assert [step.loss for step in rest] == unbroken[2:]
    assert changed(weights(whole.finish()), weights(again.finish())) == set()
    assert len((tmp_path / "parts" / "losses.jsonl").read_text().splitlines()) == 4


def test_steps_of_a_run_that_saved_nothing_are_forgotten(tmp_path):
    next(a_trainer(tmp_path).go(save_every=100))
    list(a_trainer(tmp_path, steps=1).go(save_every=100))
    assert len((tmp_path / "out" / "losses.jsonl").read_text().splitlines()) == 1


def test_a_state_of_another_run_is_refused(tmp_path):
    list(a_trainer(tmp_path, steps=1).go(save_every=1))
    with pytest.raises(TrainingStopped, match="differs in: seed"):
        a_trainer(tmp_path, steps=1, seed=1).resume()
    with pytest.raises(TrainingStopped, match="differs in: stage, steps"):
        a_trainer(tmp_path, replace(FULL, learning_rate=1.0), steps=2).resume()
    with pytest.raises(TrainingStopped, match="no state to go on from"):
        a_trainer(tmp_path, out="elsewhere").resume()


def test_the_first_stage_teaches_the_projector_alone(tmp_path):
    stage = replace(STAGES["projector"], batch=2, accumulation=1)
    trainer = a_trainer(tmp_path, stage, steps=2, told=RECORDS[:3])
    list(trainer.go(save_every=100))
    trained = trainer.finish()
    projector = {f"model.mm_projector.{k}.{kind}" for k in (0, 2) for kind in ("weight", "bias")}
    assert changed(weights(tmp_path / "tiny"), weights(trained)) == projector


def test_the_last_stage_teaches_everything_that_is_used_and_the_result_can_be_opened(tmp_path):
    trainer = a_trainer(tmp_path, steps=2)
    list(trainer.go(save_every=100))
    trained = trainer.finish()

    before, after = weights(tmp_path / "tiny"), weights(trained)
    unused = {"model.layers.2.self_attn.beacon_q_proj", "model.vision_tower.vision_tower.vision_model.post_layernorm"}
    last = "model.vision_tower.vision_tower.vision_model.encoder.layers.2."  # behind the selected layer
    kept = before.keys() - changed(before, after)
    assert {key for key in kept if not key.startswith(last) and key.rpartition(".")[0] not in unused} == set()
    config = VideoXLConfig.from_folder(trained)
    assert check({key: entry.shape for key, entry in read_index(trained).items()}, config).is_loadable
    assert (trained / "config.json").read_text() == (tmp_path / "tiny" / "config.json").read_text()
    assert (trained / "tokenizer.json").exists()


def test_narrow_layers_learn_and_are_added_to_the_weights(tmp_path):
    trainer = a_trainer(tmp_path, replace(FULL, learning_rate=1e-2), lora_rank=2)
    steps = list(trainer.go(save_every=100))
    trained = trainer.finish()

    assert steps[-1].loss < steps[0].loss
    before, after = weights(tmp_path / "tiny"), weights(trained)
    moved = changed(before, after)
    assert all(".self_attn." in key or ".mlp." in key for key in moved)
    assert not any("vision_tower" in key or key.endswith("bias") for key in moved)
    with torch.no_grad():
        example = trainer.examples.load(2, 7)
        assert open_learner(trained, FULL, device="cpu")([example]).item() == pytest.approx(trainer.model([example]).item(), abs=1e-5)
    adapter = load_file(tmp_path / "out" / "adapter" / "adapter_model.safetensors")
    assert adapter["base_model.model.model.layers.1.self_attn.beacon_k_proj.lora_A.weight"].shape == (2, 64)


def test_narrow_layers_change_nothing_at_first(tmp_path):
    trainer = a_trainer(tmp_path, lora_rank=2)
    with torch.no_grad():
        example = trainer.examples.load(0, 7)
        assert torch.equal(trainer.model([example]), open_learner(tmp_path / "tiny", FULL, device="cpu")([example]))


def test_an_adapter_of_another_system_or_kind_is_refused(tmp_path):
    trainer = a_trainer(tmp_path, steps=1, lora_rank=2)
    list(trainer.go(save_every=100))
    trainer.finish()
    adapter = tmp_path / "out" / "adapter"
    other = write_any(tmp_path / "other", {"a": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"which has no model\.layers\.0"):
        merge_adapter(other, adapter, tmp_path / "merged")
    told = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(told | {"use_dora": True}))
    with pytest.raises(ValueError, match="another kind of adapter"):
        load_adapter(adapter)


def test_examples_that_cannot_be_read_are_named_and_counted(tmp_path, caplog):
    told = [RECORDS[0], record("lost", "<image>\nWho?", "A cat.", image="lost.png")]
    trainer = a_trainer(tmp_path, told=told, steps=2)
    with caplog.at_level(logging.WARNING):
        steps = list(trainer.go(save_every=100))
    assert [step.refused for step in steps] == [1, 2]
    assert caplog.text.count("lost.png does not exist") == 1


def test_a_step_without_any_example_stops_the_run(tmp_path):
    trainer = a_trainer(tmp_path, told=[record("lost", "<image>\nWho?", "A cat.", image="lost.png")])
    with pytest.raises(TrainingStopped, match=r"none of the 2 examples of step 1 .*lost\.png does not exist"):
        list(trainer.go(save_every=100))


def test_a_loss_that_is_no_number_stops_the_run_before_it_is_learned(tmp_path):
    trainer = a_trainer(tmp_path)
    with torch.no_grad():
        trainer.model.decoder.norm.weight[0] = torch.inf
    before = trainer.model.decoder.head.weight.clone()
    with pytest.raises(TrainingStopped, match="the loss of step 1 is nan"):
        list(trainer.go(save_every=100))
    assert torch.equal(trainer.model.decoder.head.weight, before)


def test_steps_are_all_epochs_of_a_stage():
    assert steps_of(STAGES["full"], 1000, 8) == 47  # 3 x 125 groups, 8 of them a step
    assert steps_of(STAGES["projector"], 1000, 8) == 4


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("shards", [1, 3])
def test_a_checkpoint_comes_back_in_its_types_and_shards(tmp_path, form, shards):
    tensors = random_tensors(TINY, dtype=torch.bfloat16)
    source = write_any(tmp_path / "source", tensors, form=form, shards=shards)
    config = VideoXLConfig.from_folder(source)
    with torch.device("meta"):
        learner = Learner(config, FULL, recompute=False)
    load_into(learner, source, rows(config), torch.float32, "cpu")

    write_checkpoint(source, tmp_path / "out", learner.state_dict())

    found = {key: entry.dtype for key, entry in read_index(tmp_path / "out").items()}
    assert found == dict.fromkeys(tensors, "BF16")
    loaded = [load_file(file) for file in (tmp_path / "out").glob("*.safetensors")]
    assert len(loaded) == shards
    assert all(torch.equal(part[key], tensors[key]) for part in loaded for key in part)


def test_a_tied_head_is_not_written_from_before(tmp_path):
    config = TINY | {"tie_word_embeddings": True}
    source = write_any(tmp_path / "source", random_tensors(config), config)
    learner = open_learner(source, FULL, device="cpu")
    write_checkpoint(source, tmp_path / "out", learner.state_dict())
    assert "lm_head.weight" not in read_index(tmp_path / "out")
    assert check({k: e.shape for k, e in read_index(tmp_path / "out").items()}, VideoXLConfig.from_folder(source)).is_loadable


def test_half_the_size_is_for_weights_that_learn_nothing(tmp_path):
    learner = open_learner(write_tiny(tmp_path / "tiny"), FULL, device="cpu", lora_rank=2, half=True)
    assert {weight.dtype for weight in learner.parameters() if weight.requires_grad} == {torch.float32}
    assert {weight.dtype for weight in learner.parameters() if not weight.requires_grad} == {torch.bfloat16}
    data = examples(tmp_path, FULL)
    learner([data.load(0, 0)]).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in learner.parameters() if weight.requires_grad)


def test_mixed_precision_gives_nearly_the_same_loss(tmp_path):
    data = examples(tmp_path, FULL)
    learner, example = open_learner(tmp_path / "tiny", FULL, device="cpu"), data.load(2, 0)
    exact = learner([example]).item()
    with torch.autocast("cpu", torch.bfloat16):
        loss = learner([example])
    loss.backward()
    assert loss.item() == pytest.approx(exact, rel=0.02)

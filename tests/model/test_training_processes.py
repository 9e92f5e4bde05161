"""Two processes that learn together, on a CPU: each with all weights, and each with half of them."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file
from torch import multiprocessing

from model.training.learner import open_learner
from model.training.stages import STAGES
from model.training.train import Run, Trainer
from tests.model.learning import examples

ALONE = replace(STAGES["full"], learning_rate=1e-3, accumulation=2)
TOGETHER = replace(ALONE, accumulation=1)  # in two processes a step reads the same examples
SHARDED_EXAMPLES = (0, 3)  # a picture for one process, a text alone for the other: they use different weights


def run(folder, stage, out):
    AcceleratorState._reset_state(True), GradientState._reset_state()
    accelerator = Accelerator(cpu=True)
    (folder / out).mkdir(exist_ok=True)
    learner = open_learner(folder / "tiny", stage, device="cpu")
    trainer = Trainer(learner, examples(folder, stage), Run(stage=stage, steps=2, data="these"), accelerator, folder / "tiny", folder / out)
    losses = [step.loss for step in trainer.go(save_every=2)]
    trainer.finish()
    return losses


def in_process(rank: int, folder: Path, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    alone = torch.tensor(run(folder, TOGETHER, "together"))
    torch.save({"losses": alone, "apart": sharded_apart(folder, rank)}, folder / f"found-{rank}.pt")
    torch.distributed.destroy_process_group()


def sharded_apart(folder, rank):
    """How far the gradients of sharded weights are from those of whole ones, at most."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    data = examples(folder, TOGETHER)
    loaded = [data.load(number, seed=1) for number in SHARDED_EXAMPLES]
    whole, sharded = (open_learner(folder / "tiny", TOGETHER, device="cpu") for _ in range(2))
    (sum(whole([example]) for example in loaded) / 2).backward()
    fully_shard(sharded, mesh=init_device_mesh("cpu", (2,)), reshard_after_forward=False)  # as deploy/training/fsdp.yaml has it
    sharded([loaded[rank]]).backward()
    pairs = zip(whole.parameters(), sharded.parameters(), strict=True)
    return max(float((one.grad - other.grad.full_tensor()).abs().max()) for one, other in pairs)


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def test_two_processes_learn_what_one_learns_from_the_same_examples(tmp_path):
    examples(tmp_path, ALONE)  # made before both look
    expected = run(tmp_path, ALONE, "alone")

    multiprocessing.set_forkserver_preload([__name__])  # imported once for both
    multiprocessing.start_processes(in_process, (tmp_path, free_port()), nprocs=2, start_method="forkserver")

    found = [torch.load(tmp_path / f"found-{rank}.pt", weights_only=True) for rank in (0, 1)]
    for told in found:
        assert told["losses"].tolist() == pytest.approx(expected, abs=1e-5)
        assert told["apart"] < 1e-6
    one, other = (load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("alone", "together"))
    # Adam divides by the gradient's size: where that is nearly 0, rounding decides the step's sign, of 1e-3 at most.
    apart = torch.cat([(one[key] - other[key]).abs().flatten() for key in one])
    assert (apart > 1e-5).float().mean() < 1e-2

"""`longtake train`: puts data, checkpoint and loop together, and tells how it goes. The one place that knows devices and films."""

from __future__ import annotations

import hashlib
import json as json_
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.preprocess import training_indices
from pipelines.interfaces import StoreUnavailable, UnreadableVideo, WrongRequest
from pipelines.limits import STANDARD
from pipelines.looking import in_worker, looked_at
from pipelines.viewing import STRETCH, stretch_of
from pipelines.workers import WorkerDied, crew
from services.progress import progress_bars

if TYPE_CHECKING:
    from model.training.conversations import Record
    from model.training.data import Examples
    from model.training.stages import Stage
    from model.training.train import Step, Trainer

SHOWN = 5  # refused records that are told one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOrder:
    """What the command was asked for. device "": what accelerate finds; steps None: all epochs of the stage."""

    stage: str
    checkpoint: Path
    data: Path
    media: Path
    out: Path
    steps: int | None = None
    lora_rank: int = 0
    learning_rate: float | None = None
    device: str = ""
    seed: int = 0
    save_every: int = 500
    recompute: bool = True
    resume: bool = False


def train(order: TrainingOrder, *, as_json: bool) -> None:
    """Trains, saves, and writes the checkpoint. Raises WrongRequest, UnreadableVideo, StoreUnavailable."""
    try:
        from model.training.conversations import BadData
        from model.training.train import TrainingStopped
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            f"training needs the package {error.name}; `make setup`, or pip install 'longtake[models,training]'"
        ) from error
    try:
        trainer = _prepared(order)
        if order.resume:
            trainer.resume()
        if trainer.accelerator.is_main_process:
            _tell_steps(trainer, order, as_json=as_json)
        else:
            list(trainer.go(order.save_every))
        found = trainer.finish()
        if trainer.accelerator.is_main_process:
            _tell_end(trainer, found, as_json=as_json)
    except TrainingStopped as error:
        raise WrongRequest(str(error)) from error
    except BadData as error:
        raise UnreadableVideo(str(error)) from error


def begin(language: Path, tower: Path, out: Path, seed: int) -> None:
    """Joins two checkpoints. Raises WrongRequest, UnreadableCheckpoint."""
    from model.systems.video_xl_config import UnsupportedConfig
    from services.systems import extra_wanted

    with extra_wanted():
        from model.training.begin import begin as join

    try:
        join(language, tower, out, seed)
    except (UnsupportedConfig, FileExistsError) as error:
        raise WrongRequest(str(error)) from error
    sys.stdout.write(f"wrote {out}\n")


def training_frames(path: Path, stage: Stage, size_px: int) -> NDArray[np.uint8]:
    """(N, size, size, 3): the pictures that training looks at, by their own times. Raises BadExample."""
    from model.training.conversations import BadExample

    try:
        with crew(1, STANDARD) as hands:
            look = looked_at(path, hands, STANDARD)
        if look.index is None or look.facts.frame_rate is None or not len(look.index.ticks):
            raise BadExample(f"{path} has no pictures to learn from")
        chosen = training_indices(len(look.index.ticks), look.facts.frame_rate, stage.frames_per_s, stage.most_frames)
        times_s = look.index.times_s[chosen].tolist()
        stretches = [tuple(times_s[k : k + STRETCH]) for k in range(0, len(times_s), STRETCH)]
        seen = [in_worker(stretch_of, path, look.index, stretch, size_px) for stretch in stretches]
    except (UnreadableVideo, WorkerDied, ValueError) as error:
        raise BadExample(f"{path} cannot be learned from: {error}") from error
    pixels = np.concatenate([frames.pixels for frames in seen])
    if len(pixels) < len(times_s):
        raise BadExample(f"{path} cannot be learned from: {len(times_s) - len(pixels)} of {len(times_s)} pictures cannot be decoded")
    return pixels


def _prepared(order: TrainingOrder) -> Trainer:
    from model.training.learner import open_learner
    from model.training.stages import STAGES
    from model.training.train import Run, Trainer, steps_of

    _check(order)
    stage = STAGES[order.stage]
    stage = replace(stage, learning_rate=order.learning_rate) if order.learning_rate else stage
    accelerator = _accelerator(order.device)
    examples, digest = _examples(order, stage)
    steps = order.steps or steps_of(stage, len(examples), accelerator.num_processes)
    sharded = str(accelerator.distributed_type.value) == "FSDP"  # which wants one type for all weights
    learner = open_learner(
        order.checkpoint, stage, device=accelerator.device, lora_rank=order.lora_rank, recompute=order.recompute, seed=order.seed,
        half=bool(order.lora_rank) and accelerator.device.type == "cuda" and not sharded,
    )  # fmt: skip
    order.out.mkdir(parents=True, exist_ok=True)
    run = Run(stage=stage, steps=steps, data=digest, seed=order.seed, lora_rank=order.lora_rank)
    return Trainer(learner, examples, run, accelerator, order.checkpoint, order.out)


def _check(order: TrainingOrder) -> None:
    from model.training.stages import STAGES

    if order.stage not in STAGES:
        raise WrongRequest(f"there is no stage {order.stage!r}; there is {', '.join(STAGES)}")
    if order.lora_rank and order.stage == "projector":
        raise WrongRequest("LoRA is for the language model, which the stage projector does not train")
    for what, path in (("checkpoint", order.checkpoint), ("media folder", order.media)):
        if not path.is_dir():
            raise WrongRequest(f"the {what} {path} is no folder")
    if not order.data.is_file():
        raise WrongRequest(f"there is no file {order.data} to learn from")
    if not order.resume and (order.out / "state").exists():
        raise WrongRequest(f"{order.out} holds a run already; --resume goes on with it, another --out begins a new one")


def _accelerator(device: str) -> Any:
    import torch
    from accelerate import Accelerator

    if device not in ("", "cpu", "cuda"):
        raise WrongRequest(f"training runs on cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise WrongRequest("torch finds no CUDA device here")
    on_gpu = device != "cpu" and torch.cuda.is_available()
    return Accelerator(cpu=device == "cpu", mixed_precision="bf16" if on_gpu else "no")


def _examples(order: TrainingOrder, stage: Stage) -> tuple[Examples, str]:
    from model.language.prompts import TokenizerMissing, open_tokenizer
    from model.systems.video_xl_config import UnsupportedConfig, VideoXLConfig
    from model.training.conversations import read_records
    from model.training.data import Examples

    records, refused = read_records(order.data)
    _tell_refused(refused)
    try:
        config, tokenizer = VideoXLConfig.from_folder(order.checkpoint), open_tokenizer(order.checkpoint)
    except (TokenizerMissing, UnsupportedConfig) as error:
        raise UnreadableVideo(str(error)) from error
    return Examples(records, stage, config, tokenizer, order.media, training_frames), _digest(records)


def _digest(records: Sequence[Record]) -> str:
    return hashlib.sha256(repr(records).encode()).hexdigest()


def _tell_refused(refused: Sequence[str]) -> None:
    logger = logging.getLogger(__name__)
    for sentence in refused[:SHOWN]:
        logger.warning("record refused: %s", sentence)
    if len(refused) > SHOWN:
        logger.warning("records refused: %d in all", len(refused))


def _tell_steps(trainer: Trainer, order: TrainingOrder, *, as_json: bool) -> None:
    with progress_bars() as progress:
        for step in trainer.go(order.save_every):
            progress(f"training {order.stage}", step.number, trainer.run.steps)
            if not as_json:
                sys.stdout.write(f"{_told(step, trainer.run.steps)}\n")


def _told(step: Step, steps: int) -> str:
    refused = f", {step.refused} examples refused so far" if step.refused else ""
    return (
        f"step {step.number}/{steps}: loss {step.loss:.4f}, learning rate {step.learning_rate:.2e}, gradient {step.gradient:.2f}{refused}"
    )


def _tell_end(trainer: Trainer, found: Path, *, as_json: bool) -> None:
    if as_json:
        told = {"checkpoint": str(found), "steps": trainer.done, "refused": trainer.refused}
        sys.stdout.write(json_.dumps(told) + "\n")
    else:
        sys.stdout.write(f"wrote {found} (steps: {trainer.done}; examples refused: {trainer.refused})\n")

"""The training loop: steps, reports of them, and a state from which a stopped run goes on as if it had not been stopped.

One process or many, whole or sharded weights: accelerate decides, by how the program was started.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.distributed.tensor import DTensor

from model.training.conversations import BadExample
from model.training.data import Example, Examples, Order
from model.training.learner import Learner
from model.training.lora import adapter, save_adapter
from model.training.saving import merge_adapter, write_checkpoint
from model.training.stages import Stage

logger = logging.getLogger(__name__)

AHEAD = 2  # batches being opened while one is learned
PROGRESS, LOSSES = "progress.json", "losses.jsonl"


class TrainingStopped(Exception):
    """Training cannot go on. The sentence says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What makes a run this run: with all of it equal, a stopped one can go on. data: a digest of what it learns from."""

    stage: Stage
    steps: int
    data: str
    seed: int = 0
    lora_rank: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did. number: from 1; loss: mean over all processes; refused: examples that could not be read so far, over all."""

    number: int
    loss: float
    learning_rate: float
    gradient: float
    refused: int


@dataclass(slots=True)
class _Batch:
    examples: list[Example] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Trainer:
    def __init__(self, learner: Learner, examples: Examples, run: Run, accelerator: Accelerator, source: Path, out: Path) -> None:
        """source: the checkpoint that `learner` was opened from; out: where state, losses and the trained checkpoint go."""
        self.run, self.examples, self.accelerator = run, examples, accelerator
        self.source, self.out = source, out
        weights = [weight for weight in learner.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=run.stage.learning_rate, weight_decay=run.stage.weight_decay)
        accelerator.gradient_accumulation_steps = run.stage.accumulation
        self.model, self.optimizer = accelerator.prepare(learner, optimizer)
        self.order = order_of(examples, run, accelerator.num_processes)
        self.done, self.refused = 0, 0
        self._named: set[str] = set()

    def go(self, save_every: int) -> Iterator[Step]:
        """All steps that are left; the state is saved every so many and behind the last."""
        if self.accelerator.is_main_process:
            self._forget_later_steps()
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="examples") as pool:
            batches = self._batches(pool)
            while self.done < self.run.steps:
                step = self._step(batches)
                self._note(step)
                if self.done % save_every == 0 or self.done == self.run.steps:
                    self.save()
                yield step

    def _step(self, batches: Iterator[_Batch]) -> Step:
        stage, rate = self.run.stage, self.run.stage.learning_rate_at(self.done, self.run.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses, read, gradient = 0.0, 0, 0.0
        refused: list[str] = []
        for _ in range(stage.accumulation):
            batch = next(batches)
            with self.accelerator.accumulate(self.model):
                loss = self.model([example.to(self.accelerator.device) for example in batch.examples])
                self.accelerator.backward(loss)
                losses += loss.item() / stage.accumulation
                read, refused = read + len(batch.examples), refused + batch.refused
                if self.accelerator.sync_gradients:
                    gradient = _length(self.accelerator.clip_grad_norm_(self.model.parameters(), stage.longest_gradient))
                    self._stop_unless_sound(losses, read, refused)
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.done += 1
        return Step(self.done, self._mean(losses), rate, gradient, self.refused)

    def _stop_unless_sound(self, loss: float, read: int, refused: list[str]) -> None:
        """Before anything is learned from it. All processes come to the same end."""
        counts = torch.tensor([loss, float(read), float(len(refused))], dtype=torch.float64)
        total, read_by_all, refused_by_all = self.accelerator.reduce(counts.to(self.accelerator.device), "sum").tolist()
        self.refused += int(refused_by_all)
        for sentence in dict.fromkeys(refused):
            if sentence not in self._named:  # it comes again every epoch
                logger.warning("example refused: %s", sentence)
        self._named.update(refused)
        if not read_by_all:
            told = f"; the first: {refused[0]}" if refused else ""
            raise TrainingStopped(f"none of the {int(refused_by_all)} examples of step {self.done + 1} could be read{told}")
        if not torch.isfinite(torch.tensor(total)):
            raise TrainingStopped(f"the loss of step {self.done + 1} is {total}; lower the learning rate or leave out the example")

    def _mean(self, value: float) -> float:
        told = torch.tensor(value, device=self.accelerator.device)
        return float(self.accelerator.reduce(told, "mean"))

    def _batches(self, pool: ThreadPoolExecutor) -> Iterator[_Batch]:
        """From the first that was not learned yet, opened ahead."""
        place = self.done * self.run.stage.accumulation
        end = self.run.steps * self.run.stage.accumulation
        ahead: deque[Future[_Batch]] = deque()
        while True:
            while place < end and len(ahead) < AHEAD:
                ahead.append(pool.submit(self._open, place, self.order.at(place)))
                place += 1
            yield ahead.popleft().result()

    def _open(self, place: int, group: list[int]) -> _Batch:
        """This process's share of a group. The seed of ratios is the example's place in the run, so that a resumed run draws the same."""
        size, rank = self.run.stage.batch, self.accelerator.process_index
        batch = _Batch()
        for number in range(rank * size, (rank + 1) * size):
            try:
                batch.examples.append(self.examples.load(group[number], self.run.seed + place * len(group) + number))
            except BadExample as error:
                batch.refused.append(str(error))
        return batch

    def save(self) -> None:
        """The state of everything, in place of the one before only when it is whole."""
        draft, state = self.out / "state.draft", self.out / "state"
        if self.accelerator.is_main_process:
            shutil.rmtree(draft, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(draft))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            (draft / PROGRESS).write_text(json.dumps({"done": self.done, "refused": self.refused, "run": self._identity()}), "utf-8")
            shutil.rmtree(state, ignore_errors=True)
            draft.rename(state)
        self.accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Go on from the last state. Raises TrainingStopped where there is none, or of another run."""
        state, draft = self.out / "state", self.out / "state.draft"
        if not state.exists() and (draft / PROGRESS).exists():
            state = draft  # stopped between removing the old one and renaming this
        if not (state / PROGRESS).exists():
            raise TrainingStopped(f"{self.out} holds no state to go on from; start without --resume")
        told = json.loads((state / PROGRESS).read_text("utf-8"))
        now = json.loads(json.dumps(self._identity()))
        if other := [name for name in now if now[name] != told["run"].get(name)]:
            raise TrainingStopped(f"the run in {self.out} differs in: {', '.join(other)}; give the same, or another folder")
        self.accelerator.load_state(str(state))
        self.done, self.refused = told["done"], told["refused"]

    def finish(self) -> Path:
        """Write the trained checkpoint in the authors' format, and the adapter beside it where one was trained."""
        state = self.accelerator.get_state_dict(self.model)
        out = self.out / "checkpoint"
        if self.accelerator.is_main_process:
            if self.run.lora_rank:
                learned = {name: tensor.cpu() for name, tensor in adapter(state, self.examples.config).items()}
                save_adapter(learned, self.out / "adapter", self.source.name)
                merge_adapter(self.source, self.out / "adapter", out)
            else:
                write_checkpoint(self.source, out, state)
        self.accelerator.wait_for_everyone()
        return out

    def _identity(self) -> dict[str, object]:
        return {**asdict(self.run), "processes": self.accelerator.num_processes}

    def _note(self, step: Step) -> None:
        if self.accelerator.is_main_process:
            with (self.out / LOSSES).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(step)) + "\n")

    def _forget_later_steps(self) -> None:
        """Those behind the state, and of a run that never saved one, are done again."""
        file = self.out / LOSSES
        lines = file.read_text("utf-8").splitlines(keepends=True) if file.exists() else []
        file.write_text("".join(lines[: self.done]), "utf-8")


def order_of(examples: Examples, run: Run, processes: int) -> Order:
    """Where processes read several examples at once, those of about equal length go together."""
    windows = [examples.windows(k) for k in range(len(examples))] if run.stage.batch > 1 else None
    return Order(len(examples), run.stage.batch * processes, run.seed, windows)


def steps_of(stage: Stage, examples: int, processes: int) -> int:
    """Steps in all epochs of a stage."""
    groups = stage.epochs * -(-examples // (stage.batch * processes))
    return -(-groups // stage.accumulation)


def _length(norm: Tensor | float | None) -> float:
    """Of the gradient; sharded, every process knows a part of it."""
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    return float(norm or 0.0)

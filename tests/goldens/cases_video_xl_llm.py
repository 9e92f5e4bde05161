"""Video-XL's language model and the whole system against values made with the authors' code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model.compression.summary_tokens import Ratios, Window, plan_windows
from model.language.generate import Generation
from model.language.kv_memory import Block, Tails, WindowContext
from model.systems.video_xl import Memory, VideoXL
from tests.goldens.cases_video_xl_training import run_training
from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder
from tests.goldens.systems import clip_of, video_xl_of

IMAGE = -200  # where visual tokens go among the ids
Find = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a case: a film watched at the case's ratios, then asked. Compares whatever the case expects of it."""

    case: CaseFolder
    differences: Differences
    system: VideoXL
    name: str
    ratios: Ratios

    def compare(self, name: str, find: Find) -> None:
        """find: computes it, where the case expects it."""
        if (expected := self.case.expected.get(f"{self.name}.{name}")) is not None:
            self.differences.compare(f"{self.name}.{name}", find(), expected)

    def watched(self, prompt: Sequence[int], features: Tensor) -> Memory:
        """Watches in portions that fit no window, and compares the plan and the prompt's keys and values."""
        watching = self.system.watch(prompt, self.ratios, visual_tokens=len(features))
        for portion in features.split(7):
            watching.add(portion)
        memory = watching.finish()
        windows = self.windows(memory)
        self.compare("num_visual_tokens", lambda: torch.tensor([memory.visual_tokens]))
        self.compare("window_raw", lambda: torch.tensor([w.raw for w in windows]))
        self.compare("window_vst", lambda: torch.tensor([w.summaries for w in windows]))
        self.compare("window_ratio", lambda: torch.tensor([w.ratio for w in windows]))
        self.compare("sink.k", lambda: memory.sink.keys)
        self.compare("sink.v", lambda: memory.sink.values)
        self.compare("vst.k", lambda: torch.cat([block.keys for block in memory.blocks], 2))
        self.compare("vst.v", lambda: torch.cat([block.values for block in memory.blocks], 2))
        return memory

    def windows(self, memory: Memory) -> list[Window]:
        config = self.system.config
        return plan_windows(memory.visual_tokens, config.summary.window, self.ratios, config.decoder.max_positions)

    def compare_windows(self, memory: Memory, features: Tensor) -> None:
        """Each window: where its summary tokens stand, what is kept of it, and what the decoder thinks at every row."""
        for number, window in enumerate(self.windows(memory)):
            self.compare_window(number, window, Memory(memory.sink, memory.blocks[:number]), memory.blocks[number], features)

    def compare_window(self, number: int, window: Window, earlier: Memory, block: Block, features: Tensor) -> None:
        places = self.system.places(window).summary
        self.compare(f"w{number}.vst_mask", lambda: torch.zeros(window.length, dtype=torch.uint8).index_fill(0, places, 1))
        self.compare(f"w{number}.position_ids", lambda: torch.arange(earlier.rows, earlier.rows + window.length))
        self.compare(f"w{number}.k", lambda: block.keys)
        self.compare(f"w{number}.v", lambda: block.values)
        self.compare(f"w{number}.hidden", lambda: _hidden(self.system, window, earlier, features))

    def compare_answer(self, memory: Memory, text: Sequence[int]) -> None:
        """The question's logits, keys and values, and how the answer goes on."""
        tails = Tails(self.system.opened(memory), 1, len(text))
        logits = self.system.text_logits(tails.memory, text, tails)
        angles = self.system.decoder.rotary.run(memory.rows, len(text), tails.keys)
        self.compare("logits_text", lambda: logits)
        self.compare("text.k", lambda: angles.turn_back(tails.keys[:, 0]))
        self.compare("text.v", lambda: tails.values[:, 0])
        ids = [token.id for token in self.system.answer(memory, [text], Generation(max_new_tokens=self.steps, stop_ids=frozenset()))]
        self.compare("greedy_ids", lambda: torch.tensor(ids))
        self.compare("greedy_logits", lambda: self.system.text_logits(memory, [*text, *ids])[len(text) - 1 : -1])

    @property
    def steps(self) -> int:
        """Of greedy continuation."""
        return max(len(self.case.expected.get(f"{self.name}.{name}", ())) for name in ("greedy_ids", "greedy_logits")) or 1


def run_llm(case: CaseFolder, differences: Differences) -> None:
    """case: `.config`, `.notes`, `.inputs`, `.expected`, `.weights` (torch tensors by name)."""
    system = video_xl_of(case)
    prompt, text = (case.inputs[name].tolist() for name in ("prefix_ids", "suffix_ids"))
    for run in _runs(case, differences, system):
        features = case.inputs["image_features"][: _visual_tokens(run)]
        memory = run.watched(prompt, features)
        run.compare_windows(memory, features)
        run.compare_answer(memory, text)
    run_training(system, case, differences)


def run_end_to_end(case: CaseFolder, differences: Differences) -> None:
    encoder = clip_of(case)
    ids = case.inputs["input_ids"].tolist()
    prompt, text = ids[: ids.index(IMAGE)], ids[ids.index(IMAGE) + 1 :]
    for run in _runs(case, differences, video_xl_of(case)):
        told = case.notes["runs"][run.name]
        pixels = case.inputs["image_crops"][1:] if told["modality"] == "image" else case.inputs["frames"][: told["num_frames"]]
        with torch.no_grad():
            features = encoder.features(pixels).flatten(0, 1)
        run.compare("image_features", lambda features=features: features)
        run.compare_answer(run.watched(prompt, features), text)


def _runs(case: CaseFolder, differences: Differences, system: VideoXL) -> Iterator[_Run]:
    for name, told in case.notes["runs"].items():
        yield _Run(case, differences, system, name, _ratios(case, name, told))


def _ratios(case: CaseFolder, run: str, told: dict[str, Any]) -> Ratios:
    """As the case says; where ratios were drawn, those that came out are given one by one."""
    values = tuple(told["beacon_ratio"])
    if len(values) == 1:
        return Ratios(values)
    return Ratios(tuple(case.expected[f"{run}.window_ratio"].tolist()), "listed")


def _visual_tokens(run: _Run) -> int:
    expected = run.case.expected.get(f"{run.name}.num_visual_tokens")
    return int(run.case.notes["runs"][run.name]["num_visual_tokens"] if expected is None else expected)


@torch.no_grad()
def _hidden(system: VideoXL, window: Window, earlier: Memory, features: Tensor) -> Tensor:
    """Every row in every layer: the plain way, without leaving anything out."""
    decoder, places, memory = system.decoder, system.places(window), system.opened(earlier, window.length)
    x_TD = decoder.interleave(features[window.start : window.end], places.visual, places.summary)
    angles = decoder.rotary.run(memory.length, window.length, x_TD)
    context = WindowContext(memory, places.summary, places.stairs)
    return decoder.norm(decoder.read(x_TD, angles, context, summaries_S=places.summary))

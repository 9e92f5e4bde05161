"""Video-XL's language model and the whole system against values made with the authors' code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from model.compression.summary_tokens import Ratios, plan_windows
from model.language.generate import Generation
from model.language.kv_memory import KVBuffer, Tails, WindowContext
from model.systems.video_xl import Memory, VideoXL
from tests.goldens.cases_video_xl_training import run_training
from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder
from tests.goldens.systems import clip_of, video_xl_of

STEPS = 8  # of greedy continuation in every run
IMAGE = -200  # where visual tokens go among the ids


def run_llm(case: CaseFolder, differences: Differences) -> None:
    """case: `.config`, `.notes`, `.inputs`, `.expected`, `.weights` (torch tensors by name)."""
    system = video_xl_of(case)
    features = case.inputs["image_features"]
    prompt, text = (case.inputs[name].tolist() for name in ("prefix_ids", "suffix_ids"))
    for run, told in case.notes["runs"].items():
        visual_tokens = int(case.expected.get(f"{run}.num_visual_tokens", torch.tensor([told["num_visual_tokens"]])))
        memory = _watched(system, case, run, told, prompt, features[:visual_tokens], differences)
        differences.compare(f"{run}.num_visual_tokens", torch.tensor([memory.visual_tokens]), case.expected[f"{run}.num_visual_tokens"])
        _compare_windows(system, case, run, memory, features, differences)
        _compare_text(system, case, run, memory, text, differences)
        _compare_answer(system, case, run, memory, text, differences)
    run_training(system, case, differences)


def run_end_to_end(case: CaseFolder, differences: Differences) -> None:
    system, encoder = video_xl_of(case), clip_of(case)
    ids = case.inputs["input_ids"].tolist()
    prompt, text = ids[: ids.index(IMAGE)], ids[ids.index(IMAGE) + 1 :]
    for run, told in case.notes["runs"].items():
        pixels = case.inputs["image_crops"][1:] if told["modality"] == "image" else case.inputs["frames"][: told["num_frames"]]
        with torch.no_grad():
            features = encoder.features(pixels).flatten(0, 1)
        differences.compare(f"{run}.image_features", features, case.expected[f"{run}.image_features"])
        memory = _watched(system, case, run, told, prompt, features, differences)
        for kind in ("keys", "values"):
            found = torch.cat([getattr(block, kind) for block in memory.blocks], 2)
            differences.compare(f"{run}.vst.{kind[0]}", found, case.expected[f"{run}.vst.{kind[0]}"])
        _compare_text(system, case, run, memory, text, differences)
        _compare_answer(system, case, run, memory, text, differences)


def _watched(
    system: VideoXL, case: CaseFolder, run: str, told: dict[str, Any], prompt: Sequence[int], features: Tensor, differences: Differences
) -> Memory:
    """Watches in portions that fit no window, and compares the plan and the prompt's keys and values."""
    ratios = _ratios(case, run, told)
    watching = system.watch(prompt, ratios, visual_tokens=len(features))
    for portion in features.split(7):
        watching.add(portion)
    memory = watching.finish()
    windows = plan_windows(len(features), system.config.summary.window, ratios)
    for name, found in {
        "raw": [w.raw for w in windows],
        "vst": [w.summaries for w in windows],
        "ratio": [w.ratio for w in windows],
    }.items():
        if f"{run}.window_{name}" in case.expected:
            differences.compare(f"{run}.window_{name}", torch.tensor(found), case.expected[f"{run}.window_{name}"])
    for kind in ("keys", "values"):
        differences.compare(f"{run}.sink.{kind[0]}", getattr(memory.sink, kind), case.expected[f"{run}.sink.{kind[0]}"])
    return memory


def _ratios(case: CaseFolder, run: str, told: dict[str, Any]) -> Ratios:
    """As the case says; where ratios were drawn, those that came out are given one by one."""
    values = tuple(told["beacon_ratio"])
    if len(values) == 1:
        return Ratios(values)
    return Ratios(tuple(case.expected[f"{run}.window_ratio"].tolist()), "listed")


def _compare_windows(system: VideoXL, case: CaseFolder, run: str, memory: Memory, features: Tensor, differences: Differences) -> None:
    """Each window: where its summary tokens stand, what is kept of it, and what the decoder thinks at every row."""
    windows = plan_windows(memory.visual_tokens, system.config.summary.window, _ratios(case, run, case.notes["runs"][run]))
    for number, (window, block) in enumerate(zip(windows, memory.blocks, strict=True)):
        name = f"{run}.w{number}"
        mask = torch.zeros(window.length, dtype=torch.uint8).index_fill(0, system.places(window).summary, 1)
        earlier = system.opened(Memory(memory.sink, memory.blocks[:number]))
        wanted = {
            "vst_mask": lambda mask=mask: mask,
            "position_ids": lambda window=window, earlier=earlier: torch.arange(earlier.length, earlier.length + window.length),
            "k": lambda block=block: block.keys,
            "v": lambda block=block: block.values,
            "hidden": lambda window=window, earlier=earlier: _hidden(system, window, earlier, features),
        }
        for part, found in wanted.items():
            if f"{name}.{part}" in case.expected:
                differences.compare(f"{name}.{part}", found(), case.expected[f"{name}.{part}"])


@torch.no_grad()
def _hidden(system: VideoXL, window: Any, memory: KVBuffer, features: Tensor) -> Tensor:
    """Every row in every layer: the plain way, without leaving anything out."""
    decoder, places = system.decoder, system.places(window)
    memory.make_room(window.length)
    x_TD = decoder.interleave(features[window.start : window.end], places.visual, places.summary)
    angles = decoder.rotary.run(memory.length, window.length, x_TD)
    context = WindowContext(memory, places.summary, places.stairs)
    return decoder.norm(decoder.read(x_TD, angles, context, summaries_S=places.summary))


def _compare_text(system: VideoXL, case: CaseFolder, run: str, memory: Memory, text: Sequence[int], differences: Differences) -> None:
    differences.compare(f"{run}.logits_text", system.text_logits(memory, text), case.expected[f"{run}.logits_text"])
    if f"{run}.text.k" not in case.expected:
        return
    buffer = system.opened(memory)
    tails = Tails(buffer, 1, len(text))
    system.text_logits(buffer, text, tails)
    angles = system.decoder.rotary.run(memory.rows, len(text), buffer.keys)
    differences.compare(f"{run}.text.k", angles.turn_back(tails.keys[:, 0]), case.expected[f"{run}.text.k"])
    differences.compare(f"{run}.text.v", tails.values[:, 0], case.expected[f"{run}.text.v"])


def _compare_answer(system: VideoXL, case: CaseFolder, run: str, memory: Memory, text: Sequence[int], differences: Differences) -> None:
    ids = case.expected[f"{run}.greedy_ids"]
    options = Generation(max_new_tokens=len(ids), stop_ids=frozenset())
    found = [token.id for token in system.answer(memory, [text], options)]
    differences.compare(f"{run}.greedy_ids", torch.tensor(found), ids)
    logits = system.text_logits(memory, [*text, *found])[len(text) - 1 : -1]
    differences.compare(f"{run}.greedy_logits", logits, case.expected[f"{run}.greedy_logits"])

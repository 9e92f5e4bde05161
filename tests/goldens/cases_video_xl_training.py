"""Video-XL's loss and gradients against values made with the authors' code."""

from __future__ import annotations

import torch

from model.compression.summary_tokens import Ratios, plan_windows
from model.systems.video_xl import VideoXL
from model.systems.video_xl_keys import rows
from model.training.forward import summed_loss
from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder

IMAGE = -200  # stands at every visual position of `train.input_ids`


def run_training(system: VideoXL, case: CaseFolder, differences: Differences) -> None:
    """The one training example of a case, read with gradient checkpointing and without."""
    if "train.loss" not in case.expected:
        return
    for recompute in (False, True):
        _compare(system, case, differences, recompute)


def _compare(system: VideoXL, case: CaseFolder, differences: Differences, recompute: bool) -> None:
    ids, labels = case.inputs["train.input_ids"], case.inputs["train.labels"]
    visual = (ids == IMAGE).nonzero().flatten()
    start, end = int(visual[0]), int(visual[-1]) + 1
    ratio = case.notes["train_beacon_ratio"]
    ratios = Ratios((ratio,)) if isinstance(ratio, int) else Ratios(tuple(ratio), "listed" if len(ratio) > 1 else "single")
    windows = plan_windows(len(visual), system.config.summary.window, ratios)
    decoder = system.decoder.requires_grad_(True)
    decoder.zero_grad()
    features = case.inputs["image_features"][: len(visual)]
    loss, count = summed_loss(decoder, ids[:start], features, ids[end:], labels, windows, recompute=recompute)
    (loss / count).backward()
    differences.compare("train.loss", (loss / count)[None], case.expected["train.loss"])
    parameters = {row.key: row.parameter.removeprefix("decoder.") for row in rows(system.config) if row.parameter}
    for name in (name for name in case.expected if name.startswith("train.grad.")):
        parameter = decoder.get_parameter(parameters[name.removeprefix("train.grad.")])
        unused = torch.zeros_like(parameter)  # the last layer's queries of summary tokens: nothing is ever asked with them
        differences.compare(name, unused if parameter.grad is None else parameter.grad, case.expected[name])

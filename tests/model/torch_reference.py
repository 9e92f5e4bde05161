"""EfficientNet-Lite0 in torch, layer by layer as the paper has it: what the ONNX graph is compared with. Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from model.encoders.efficientnet_lite0 import BLOCKS, NORM_EPSILON, same_padding

Weights = dict[str, torch.Tensor]


def efficientnet_lite0(w: Weights, pictures: torch.Tensor) -> torch.Tensor:
    """(N, 224, 224, 3) uint8 -> (N, 1280, 7, 7), the map after the head."""
    with torch.no_grad():
        x = _conv(w, (pictures.permute(0, 3, 1, 2).float() - 127) / 128, "_conv_stem", "_bn0", stride=2)
        for number, (_, stride, expansion, _out) in enumerate(BLOCKS):
            x = _block(w, x, f"_blocks.{number}", stride, expansion)
        return _conv(w, x, "_conv_head", "_bn1")


def _block(w: Weights, x: torch.Tensor, name: str, stride: int, expansion: int) -> torch.Tensor:
    inside = _conv(w, x, f"{name}._expand_conv", f"{name}._bn0") if expansion > 1 else x
    inside = _conv(w, inside, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, groups=inside.shape[1])
    inside = _conv(w, inside, f"{name}._project_conv", f"{name}._bn2", is_clipped=False)
    return inside + x if inside.shape == x.shape else inside


def _conv(w: Weights, x: torch.Tensor, conv: str, norm: str, *, is_clipped: bool = True, stride: int = 1, **options: Any) -> torch.Tensor:
    kernel = w[f"{conv}.weight"]
    before, after = same_padding(x.shape[2], kernel.shape[2], stride)
    x = functional.conv2d(functional.pad(x, (before, after, before, after)), kernel, stride=stride, **options)
    x = functional.batch_norm(x, *(w[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")), eps=NORM_EPSILON)
    return functional.relu6(x) if is_clipped else x

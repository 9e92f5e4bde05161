"""The shipped networks in torch, layer by layer as their papers have them: what the ONNX graphs are compared with. Needs torch."""

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


def transnet_v2(w: Weights, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(100, 27, 48, 3) uint8 -> two times (100,) probabilities; Soucek & Lokoc 2020, section 3."""
    with torch.no_grad():
        x = frames.float().permute(3, 0, 1, 2)[None] / 255  # (1, C, T, H, W)
        looks = []
        for stack in range(3):
            first = functional.relu(_dilated(w, x, f"SDDCNN.{stack}.DDCNN.0"))
            x = functional.relu(_dilated(w, first, f"SDDCNN.{stack}.DDCNN.1")) + first
            x = functional.avg_pool3d(x, (1, 2, 2))
            looks.append(x.mean((3, 4))[0].T)
        alike = functional.linear(torch.cat(looks, 1), w["frame_sim_layer.projection.weight"], w["frame_sim_layer.projection.bias"])
        parts = [_near_by(w, _colours(frames), "color_hist_layer.fc"), _near_by(w, alike, "frame_sim_layer.fc")]
        x = torch.cat([*parts, x[0].permute(1, 2, 3, 0).flatten(1)], 1)
        x = functional.relu(functional.linear(x, w["fc1.weight"], w["fc1.bias"]))
        heads = [functional.linear(x, w[f"{name}.weight"], w[f"{name}.bias"]) for name in ("cls_layer1", "cls_layer2")]
        return torch.sigmoid(heads[0][:, 0]), torch.sigmoid(heads[1][:, 0])


def _dilated(w: Weights, x: torch.Tensor, name: str) -> torch.Tensor:
    parts = []
    for dilation in (1, 2, 4, 8):
        inside = functional.conv3d(x, w[f"{name}.Conv3D_{dilation}.layers.0.weight"], padding=(0, 1, 1))
        over_time = w[f"{name}.Conv3D_{dilation}.layers.1.weight"]
        parts.append(functional.conv3d(inside, over_time, padding=(dilation, 0, 0), dilation=(dilation, 1, 1)))
    norm = (w[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return functional.batch_norm(torch.cat(parts, 1), *norm, eps=1e-3)


def _near_by(w: Weights, x: torch.Tensor, name: str) -> torch.Tensor:
    x = functional.normalize(x, dim=1)
    padded = functional.pad(x @ x.T, (50, 50))
    rows = torch.stack([padded[t, t : t + 101] for t in range(len(x))])
    return functional.relu(functional.linear(rows, w[f"{name}.weight"], w[f"{name}.bias"]))


def _colours(frames: torch.Tensor) -> torch.Tensor:
    steps = frames.long() // 32
    bins = (steps[..., 0] * 64 + steps[..., 1] * 8 + steps[..., 2]).flatten(1)
    return torch.stack([torch.bincount(row, minlength=512) for row in bins]).float()

"""What Video-XL sees: CLIP's vision tower up to one chosen layer, the projector to the language model's width, 2 x 2 pooling.

N = frames, S = side in pixels, P = patches, W = the tower's width, D = the language model's width, K = tokens of a frame, H = heads,
E = width of a head. The tower is written out here, and tests compare it with Hugging Face's: importing that takes longer than all of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from model.preprocess import CLIP_MEAN, CLIP_STD
from model.systems.video_xl_config import UnsupportedConfig, VisionConfig

CHUNK = 10  # frames at once: a window of the release, and enough to fill a GPU


def quick_gelu(x: Tensor) -> Tensor:
    """The cheap sigmoid form of GELU that OpenAI's CLIP was trained with."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"quick_gelu": quick_gelu, "gelu": F.gelu}


def written_out_attention(q_NHPE: Tensor, k_NHPE: Tensor, v_NHPE: Tensor) -> Tensor:
    """Attention as two products and a softmax, a form that ONNX Runtime's optimizer knows and can fuse."""
    weights = torch.softmax(q_NHPE @ k_NHPE.transpose(2, 3) * q_NHPE.shape[3] ** -0.5, dim=3, dtype=torch.float32)
    return weights.to(q_NHPE.dtype) @ v_NHPE


class Layer(nn.Module):
    attend: Callable[[Tensor, Tensor, Tensor], Tensor] = staticmethod(F.scaled_dot_product_attention)

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, self.heads = config.hidden_size, config.heads
        self.norm_1, self.norm_2 = (nn.LayerNorm(width, config.norm_eps) for _ in range(2))
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, config.intermediate_size), nn.Linear(config.intermediate_size, width)
        self.activate = ACTIVATIONS[config.hidden_act]

    def forward(self, x_NPW: Tensor) -> Tensor:
        x_NPW = x_NPW + self._attention(self.norm_1(x_NPW))
        added: Tensor = self.down(self.activate(self.up(self.norm_2(x_NPW))))
        return x_NPW + added

    def _attention(self, x_NPW: Tensor) -> Tensor:
        q, k, v = (part(x_NPW).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        attended: Tensor = self.o(self.attend(q, k, v).transpose(1, 2).flatten(2))
        return attended


class Tower(nn.Module):
    """CLIP's vision transformer, of which only the layers that are used exist; no norm behind the last."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, config.hidden_size, config.patch_px, config.patch_px, bias=False)
        self.class_token = nn.Parameter(torch.zeros(config.hidden_size))
        self.position = nn.Parameter(torch.randn(1 + config.side**2, config.hidden_size) / 50)
        self.pre_norm = nn.LayerNorm(config.hidden_size, config.norm_eps)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.used_layers))

    def forward(self, pixels_N3SS: Tensor) -> Tensor:
        """(N, 1 + P, W): the class token, then the patches row by row."""
        patches_NPW = self.patch(pixels_N3SS).flatten(2).transpose(1, 2)
        class_N1W = self.class_token.expand(patches_NPW.shape[0], 1, -1)  # len() would make the batch a constant of an exported graph
        x_NPW: Tensor = self.pre_norm(torch.cat([class_N1W, patches_NPW], dim=1) + self.position)
        for layer in self.layers:
            x_NPW = layer(x_NPW)
        return x_NPW


class ClipEncoder(nn.Module):
    """Frames in, tokens for the language model out. Satisfies `model.systems.base.FeatureEncoder`.

    digest: of the weights; whoever loads them sets it.
    """

    name = "clip"

    def __init__(self, config: VisionConfig, digest: str = "") -> None:
        super().__init__()
        if config.hidden_act not in ACTIVATIONS:
            raise UnsupportedConfig(f"the tower's hidden_act is {', '.join(ACTIVATIONS)}, got {config.hidden_act!r}")
        self.config, self.digest = config, digest
        self.size_px, self.tokens_per_frame, self.width = config.image_px, config.tokens_per_frame, config.projected_size
        self.tower = Tower(config)
        middle = nn.Linear(config.hidden_size, config.projected_size)
        self.projector = nn.Sequential(middle, nn.GELU(), nn.Linear(config.projected_size, config.projected_size))  # GELU's exact form

    def forward(self, frames_NSS3: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 RGB to (N, K, D)."""
        return self.features(self.normalised(frames_NSS3))

    def normalised(self, frames_NSS3: Tensor) -> Tensor:
        """`preprocess.normalise` where the encoder computes: what travels there is a quarter as many bytes."""
        # Numbers and not tensors of them: a tensor made of a list makes the host wait for the GPU.
        planes = (frames_NSS3[..., channel].float() / 255 for channel in range(3))
        return torch.stack([(plane - mean) / std for plane, mean, std in zip(planes, CLIP_MEAN, CLIP_STD, strict=True)], dim=1)

    def features(self, pixels_N3SS: Tensor) -> Tensor:
        """(N, 3, S, S) pixels, normalised already, to (N, K, D)."""
        into, activate, out = self.projector
        inner_NPD = activate(into(self.patches(pixels_N3SS)))
        # A mean and a linear layer may change places, and the layer then has a quarter of the rows.
        pooled: Tensor = out(self.pooled(inner_NPD)) if self.config.pool_mode == "average" else self.pooled(out(inner_NPD))
        return pooled

    def patches(self, pixels_N3SS: Tensor) -> Tensor:
        """(N, P, W): the selected layer without its class token."""
        side = pixels_N3SS.shape[2:]
        if tuple(side) != (self.size_px, self.size_px):
            raise ValueError(
                f"frames are {side[1]} x {side[0]} pixels, but this encoder sees {self.size_px} x {self.size_px}; fit them first"
            )
        seen: Tensor = self.tower(pixels_N3SS.to(self.tower.patch.weight.dtype))
        return seen[:, 1:]

    def pooled(self, x_NPD: Tensor) -> Tensor:
        """Squares of patches become one token each; of an odd grid the last row and column fall off."""
        pool, side = self.config.pool, self.config.side
        kept = side // pool
        grid = x_NPD.view(-1, side, side, x_NPD.shape[2])[:, : kept * pool, : kept * pool]
        squares = grid.reshape(-1, kept, pool, kept, pool, x_NPD.shape[2])
        tokens = squares.mean((2, 4)) if self.config.pool_mode == "average" else squares.amax((2, 4))
        return tokens.flatten(1, 2)

    @torch.no_grad()
    def encode(self, frames: NDArray[Any] | Tensor, chunk: int = CHUNK) -> Tensor:
        """(N, S, S, 3) uint8 to (N, K, D) on the encoder's device, `chunk` frames at a time; N may be 0."""
        frames_NSS3 = torch.as_tensor(frames)
        weight = self.tower.class_token
        shape = len(frames_NSS3), self.tokens_per_frame, self.width
        found = torch.empty(shape, dtype=weight.dtype, device=weight.device)
        for k in range(0, len(found), chunk):
            found[k : k + chunk] = self(frames_NSS3[k : k + chunk].to(weight.device, non_blocking=True))
        return found

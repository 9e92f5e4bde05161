"""Video-language encoders in ONNX Runtime: frames in, a language model's visual tokens out. The graph says all sizes.

N = frames, S = side in pixels, K = tokens of a frame, D = the language model's width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.encoders.onnx import OnnxNet

if TYPE_CHECKING:
    from torch import Tensor

INPUT, OUTPUT, WEIGHTS = "frames", "features", "longtake.weights"
ON_GPU = ("cuda", "tensorrt")
CPU_CHUNK, GPU_CHUNK = 2, 10  # 577 tokens a frame fill a core's matrix unit alone; more frames only take memory


class OnnxFeatureEncoder:
    """A graph that `export_onnx` wrote. Satisfies `model.systems.base.FeatureEncoder`.

    weights: digest of the checkpoint it was made of. providers: names of `onnx.PROVIDERS`; where they cannot compute, ProviderUnavailable
    is raised and no other is taken.
    """

    name = "clip-onnx"

    def __init__(self, graph: Path, providers: Sequence[str] = ("cpu",), threads: int | None = None, chunk: int | None = None) -> None:
        self.graph, self.on_gpu = graph, providers[:1] and providers[0] in ON_GPU
        if self.on_gpu:
            _load_cuda_libraries()
        self.session = OnnxNet(graph, providers, threads).session
        taken, given = self.session.get_inputs()[0], self.session.get_outputs()[0]
        if (taken.name, given.name, taken.type) != (INPUT, OUTPUT, "tensor(uint8)"):
            raise ValueError(f"{graph} is no encoder that Longtake exported: it makes {given.name} of {taken.name} ({taken.type})")
        self.size_px: int = taken.shape[1]
        self.tokens_per_frame, self.width = given.shape[1:]
        self.is_half = given.type == "tensor(float16)"
        self.weights: str = self.session.get_modelmeta().custom_metadata_map.get(WEIGHTS, "")
        self.chunk = chunk or (GPU_CHUNK if self.on_gpu else CPU_CHUNK)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the graph's file, and of its weights' where they lie beside it."""
        beside = self.graph.with_name(f"{self.graph.name}.data")
        parts = [_sha256(file) for file in (self.graph, beside) if file.exists()]
        return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()

    def encode(self, frames: NDArray[Any] | Tensor) -> Tensor | NDArray[Any]:
        """(N, S, S, 3) uint8 to (N, K, D): a tensor where the graph computes on a GPU or the frames are one, else an array; N may be 0."""
        if tuple(frames.shape[1:]) != (self.size_px, self.size_px, 3):
            raise ValueError(
                f"frames are {tuple(frames.shape[1:])}, but this encoder sees {self.size_px} x {self.size_px} in RGB; fit them first"
            )
        if self.on_gpu or not isinstance(frames, np.ndarray):
            return self._bound(frames)
        found = np.empty((len(frames), self.tokens_per_frame, self.width), np.float16 if self.is_half else np.float32)
        for k in range(0, len(frames), self.chunk):
            (found[k : k + self.chunk],) = self.session.run([OUTPUT], {INPUT: frames[k : k + self.chunk]})
        return found

    def _bound(self, frames: NDArray[Any] | Tensor) -> Tensor:
        """The graph reads and writes torch's own memory: no copy of the features leaves the device."""
        import torch

        device = "cuda" if self.on_gpu else "cpu"
        shape, dtype = (len(frames), self.tokens_per_frame, self.width), torch.float16 if self.is_half else torch.float32
        found = torch.empty(shape, dtype=dtype, device=device)
        for k in range(0, len(frames), self.chunk):
            taken = torch.as_tensor(frames[k : k + self.chunk]).to(device).contiguous()
            if self.on_gpu:
                torch.cuda.current_stream().synchronize()  # the graph runs on a stream of its own
            self._run_bound(taken, found[k : k + self.chunk], device)
        return found

    def _run_bound(self, taken: Tensor, given: Tensor, device: str) -> None:
        binding = self.session.io_binding()
        binding.bind_input(INPUT, device, 0, np.uint8, tuple(taken.shape), taken.data_ptr())
        binding.bind_output(OUTPUT, device, 0, np.float16 if self.is_half else np.float32, tuple(given.shape), given.data_ptr())
        self.session.run_with_iobinding(binding)
        binding.synchronize_outputs()


def _load_cuda_libraries() -> None:
    """ONNX Runtime takes CUDA's libraries from torch, so that one process never holds two versions."""
    import onnxruntime
    import torch  # noqa: F401

    onnxruntime.preload_dlls()


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

"""Encoders as ONNX graphs: pictures as uint8 in, tokens out, any batch; checked against torch before they are called good.

N = frames, S = side in pixels.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model.encoders.clip import ClipEncoder, written_out_attention
from model.encoders.onnx_features import INPUT, OUTPUT, WEIGHTS, OnnxFeatureEncoder
from model.systems.loading import load_into, weights_digest
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows

BATCHES = (1, 2, 5)
TOLERANCES: Mapping[torch.dtype, float] = {torch.float32: 1e-4, torch.float16: 2e-2}  # of the largest value, or of 1 where all are smaller
MOST_INSIDE = 1_900_000_000  # bytes of weights; protobuf ends at 2 GiB, and more lies in a file beside the graph
LARGEST_BATCH = 256


class ExportDiffers(Exception):
    """The graph computes something else than the net it was made of."""


def export_checkpoint(folder: Path, graph: Path, cache: Path, *, half: bool = False, fused: bool = False) -> float:
    """`export_clip` of the encoder in a Video-XL checkpoint's folder. cache: where digests of weight files are remembered.

    Raises UnreadableCheckpoint, UnsupportedConfig, ExportDiffers.
    """
    weights, config = weights_digest(folder, cache), VideoXLConfig.from_folder(folder)
    with torch.device("meta"):
        encoder = ClipEncoder(config.vision, weights)
    load_into(nn.ModuleDict({"encoder": encoder}), folder, rows(config), torch.float32, "cpu", {"encoder"})
    return export_clip(encoder, graph, half=half, fused=fused)


def export_clip(encoder: ClipEncoder, graph: Path, *, half: bool = False, fused: bool = False) -> float:
    """Writes tower, projector and pooling as one graph, and returns the largest difference from torch over several batches.

    graph: a file to write; a larger net's weights go into `<graph>.data`. half: compute in float16.
    fused: whole layers as ONNX Runtime's own operators, meant for its GPU kernels (on CPUs it gained nothing), and binds the file to it.
    Raises ExportDiffers, and then leaves no file.
    """
    dtype = torch.float16 if half else torch.float32
    net = _to_be_exported(encoder, dtype)
    frames = _frames(2, encoder.size_px)  # a batch of one would become a constant
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's, about its own insides
        program = torch.onnx.export(
            net, (frames,), dynamo=True, dynamic_shapes=({0: batch},), input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
    assert program is not None
    program.model.metadata_props[WEIGHTS] = encoder.digest
    is_large = sum(p.numel() * p.element_size() for p in net.parameters()) > MOST_INSIDE
    program.save(graph, external_data=is_large)
    if fused:
        _fuse(graph, encoder, is_large)
    return checked(graph, encoder, dtype)


def _fuse(graph: Path, encoder: ClipEncoder, is_large: bool) -> None:
    from onnxruntime.transformers.optimizer import optimize_model

    config = encoder.config
    whole = optimize_model(str(graph), model_type="clip", num_heads=config.heads, hidden_size=config.hidden_size, opt_level=0)
    whole.save_model_to_file(str(graph), use_external_data_format=is_large)


def _to_be_exported(encoder: ClipEncoder, dtype: torch.dtype) -> ClipEncoder:
    net = copy.deepcopy(encoder).to("cpu", dtype).eval()
    for layer in net.tower.layers:
        setattr(layer, "attend", written_out_attention)  # noqa: B010, a module's attributes have no types
    return net


def checked(graph: Path, encoder: ClipEncoder, dtype: torch.dtype) -> float:
    """The largest difference from torch over BATCHES, as a share of the largest value. Raises ExportDiffers, and removes the graph."""
    exported = OnnxFeatureEncoder(graph)
    reference = copy.deepcopy(encoder).to("cpu", torch.float32)
    worst, limit = 0.0, TOLERANCES[dtype]
    for count in BATCHES:
        frames = _frames(count, encoder.size_px)
        expected = reference.encode(frames)
        apart = (torch.as_tensor(exported.encode(frames.numpy())).float() - expected).abs().max() / expected.abs().max().clamp(min=1)
        worst = max(worst, float(apart))
    if not worst <= limit:
        for file in (graph, graph.with_name(f"{graph.name}.data")):
            file.unlink(missing_ok=True)
        raise ExportDiffers(
            f"the exported graph differs from torch by {worst:.2g} of its largest value, allowed are {limit:g}; nothing was kept"
        )
    return worst


def _frames(count: int, size_px: int) -> Tensor:
    """(N, S, S, 3) uint8 noise, the same every time."""
    return torch.from_numpy(np.random.default_rng(count).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8))

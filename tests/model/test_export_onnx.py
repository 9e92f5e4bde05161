"""Encoders as ONNX graphs compute what torch computes, for any batch, where a setting says and nowhere else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch

from model.encoders.clip import ClipEncoder
from model.encoders.onnx import ProviderUnavailable
from model.encoders.onnx_features import OnnxFeatureEncoder
from model.export_onnx import BATCHES, ExportDiffers, checked, export_clip
from model.systems.base import FeatureEncoder
from tests.model.test_clip import EVEN, ODD, encoder_of, frames


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    made = encoder_of(replace(ODD, pool_mode="max"))
    made.digest = "0123abc"
    return made


@pytest.fixture(scope="module")
def graph(encoder: ClipEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "clip.onnx"
    assert export_clip(encoder, path) < 1e-5
    return path


@pytest.mark.parametrize("count", [*BATCHES, 23, 0])
def test_the_graph_computes_what_torch_does(count: int, encoder: ClipEncoder, graph: Path) -> None:
    pictures = frames(count, 35)
    exported: FeatureEncoder = OnnxFeatureEncoder(graph)

    found = exported.encode(pictures)

    assert isinstance(found, np.ndarray)
    assert found.shape == (count, 4, 20)
    np.testing.assert_allclose(found, encoder.encode(pictures).numpy(), atol=1e-4)


def test_tensors_are_read_and_written_in_place(encoder: ClipEncoder, graph: Path) -> None:
    pictures = torch.from_numpy(frames(5, 35))

    found = OnnxFeatureEncoder(graph, chunk=3).encode(pictures)

    assert isinstance(found, torch.Tensor)
    assert float((found - encoder.encode(pictures)).abs().max()) < 1e-4


def test_half_precision_and_layers_fused_into_the_runtimes_own_operators(tmp_path: Path) -> None:
    import onnx

    encoder = encoder_of(replace(EVEN, hidden_size=32, heads=2))
    encoder.digest = "77"

    apart = export_clip(encoder, tmp_path / "fused.onnx", half=True, fused=True)

    assert 0 < apart < 5e-3  # float16 keeps 11 bits
    operators = [node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node]
    assert (operators.count("Attention"), operators.count("QuickGelu"), operators.count("Softmax")) == (3, 3, 0)
    exported = OnnxFeatureEncoder(tmp_path / "fused.onnx")
    assert (exported.encode(frames(2, 28)).dtype, exported.weights) == (np.float16, "77")
    assert next(encoder.parameters()).dtype == torch.float32


def test_the_graph_says_what_it_is(graph: Path) -> None:
    exported = OnnxFeatureEncoder(graph)

    assert (exported.size_px, exported.tokens_per_frame, exported.width, exported.weights) == (35, 4, 20, "0123abc")
    assert len(exported.digest) == 64
    assert [path.name for path in graph.parent.iterdir()] == ["clip.onnx"]


@pytest.mark.parametrize("providers", [("cuda", "cpu"), ("tensorrt",), ("npu",), ()])
def test_another_provider_is_never_taken_in_silence(providers: tuple[str, ...], graph: Path) -> None:
    if providers[:1] == ("cuda",) and torch.cuda.is_available():
        pytest.skip("this machine computes on CUDA")
    with pytest.raises(ProviderUnavailable, match="cpu"):
        OnnxFeatureEncoder(graph, providers)


def test_foreign_graphs_and_frames_are_refused(graph: Path, eyes_graph: Path) -> None:
    with pytest.raises(ValueError, match="no encoder that Longtake exported"):
        OnnxFeatureEncoder(eyes_graph)
    with pytest.raises(ValueError, match="35 x 35 in RGB"):
        OnnxFeatureEncoder(graph).encode(frames(1, 28))


def test_a_graph_of_other_weights_is_not_kept(graph: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copy(graph, tmp_path))
    other = encoder_of(replace(ODD, pool_mode="average"))

    with pytest.raises(ExportDiffers, match=r"allowed are 0.0001; nothing was kept"):
        checked(copied, other, torch.float32)
    assert list(tmp_path.iterdir()) == []

"""The shipped encoder's parts and edges. That it computes its authors' values is tests/goldens' to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from model.checkpoints import UnreadableCheckpoint, read_torch_file
from model.encoders.efficientnet_lite0 import build, projection, same_padding
from model.encoders.imagenet import BATCH, ImageNetEncoder
from model.encoders.onnx import OnnxNet, ProviderUnavailable
from model.registry import EYES
from model.shipped import locate

GOLDENS = Path(__file__).parents[1] / "goldens" / "efficientnet_lite0"


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return load_file(GOLDENS / "inputs.safetensors")["images"]


def test_what_the_pipeline_takes_follows_from_the_map(eyes: ImageNetEncoder, images: NDArray[np.uint8]) -> None:
    feature_map, pooled, logits = eyes.net(["feature_map", "pooled", "logits"], pictures=images)

    seen = eyes.encode(images)

    np.testing.assert_allclose(seen.embeddings, pooled / np.linalg.norm(pooled, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(seen.cells, np.einsum("ncij,dc->nijd", feature_map, projection()), atol=1e-3)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    assert seen.classes.tolist() == np.argsort(-shares, axis=1, kind="stable")[:, :8].tolist()
    np.testing.assert_allclose(seen.shares[:, 0], shares.max(1), atol=1e-5)


def test_a_picture_is_seen_the_same_in_any_batch(eyes: ImageNetEncoder, images: NDArray[np.uint8]) -> None:
    many = eyes.encode(np.concatenate([images] * 7))  # 21 pictures: more than two batches

    alone = eyes.encode(images[2:3])

    assert len(many.embeddings) == 21 > BATCH
    np.testing.assert_allclose(many.embeddings[20], alone.embeddings[0], atol=1e-6)
    np.testing.assert_allclose(many.cells[20], alone.cells[0], atol=1e-3)


def test_the_projection_keeps_distances(images: NDArray[np.uint8], eyes: ImageNetEncoder) -> None:
    (cells,) = eyes.net(["feature_map"], pictures=images)
    vectors = cells.transpose(0, 2, 3, 1).reshape(-1, 1280)[::5]
    wide = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    narrow = np.linalg.norm((vectors @ projection().T)[:, None] - (vectors @ projection().T)[None], axis=2)
    apart = wide > 1

    assert abs(float(np.mean(narrow[apart] / wide[apart])) - 1) < 0.05
    assert float(np.std(narrow[apart] / wide[apart])) < 0.12


def test_class_names_are_those_of_imagenet(eyes: ImageNetEncoder) -> None:
    assert len(eyes.class_names) == 1000
    assert eyes.class_names[0].startswith("tench")
    assert eyes.class_names[999].startswith("toilet tissue")


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [(224, 3, 2, (0, 1)), (112, 3, 1, (1, 1)), (56, 5, 2, (1, 2)), (7, 5, 1, (2, 2)), (7, 1, 1, (0, 0))],
)
def test_padding_is_tensorflows(size: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == expected


def test_other_weights_are_named() -> None:
    weights = read_torch_file(locate(EYES))
    with pytest.raises(UnreadableCheckpoint, match=r"_blocks.3._bn1.weight is missing"):
        build({name: array for name, array in weights.items() if name != "_blocks.3._bn1.weight"})
    with pytest.raises(UnreadableCheckpoint, match=r"_blocks.16._expand_conv.weight has no place"):
        build(weights | {"_blocks.16._expand_conv.weight": weights["_blocks.15._expand_conv.weight"]})


@pytest.mark.parametrize("providers", [("npu",), (), ("tensorrt",)])
def test_a_provider_that_is_not_here_is_refused_and_never_replaced(providers: tuple[str, ...], eyes_graph: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="cpu"):
        OnnxNet(eyes_graph, providers)


def test_torch_computes_the_same(images: NDArray[np.uint8], eyes: ImageNetEncoder) -> None:
    """The network once more, written with torch's own layers and the unfolded norms."""
    torch = pytest.importorskip("torch")
    from tests.model.torch_reference import efficientnet_lite0

    weights = {name: torch.from_numpy(array) for name, array in read_torch_file(locate(EYES)).items()}
    expected = efficientnet_lite0(weights, torch.from_numpy(images))

    (found,) = eyes.net(["feature_map"], pictures=images)

    assert np.abs(found - expected.numpy()).max() < 1e-3

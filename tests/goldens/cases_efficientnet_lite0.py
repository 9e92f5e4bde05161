"""The shipped encoder against values made with its authors' network."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from model.encoders.onnx import OnnxNet
from model.registry import EYES
from model.shipped import prepared
from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder

# The map's values reach some tens, and so do sums over its 1280 channels; its mean is of order 1.
TOLERANCES = {"feature_map": 1e-3, "pooled": 1e-4, "logits": 1e-3}


def run(case: CaseFolder, differences: Differences) -> None:
    """inputs `images` (N, 224, 224, 3) uint8; any of TOLERANCES' outputs expected."""
    names = [name for name in TOLERANCES if name in case.expected]
    with TemporaryDirectory() as folder:
        net = OnnxNet(prepared(EYES, Path(folder)))
    for name, found in zip(names, net(names, pictures=case.inputs["images"].numpy()), strict=True):
        differences.compare(name, found, case.expected[name], TOLERANCES[name])

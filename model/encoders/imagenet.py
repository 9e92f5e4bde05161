"""An encoder with ImageNet classes in ONNX Runtime: pictures in, what it saw out. Knows no video and no file but its graph's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.encoders.onnx import OnnxNet
from model.video import Seen

BATCH = 8  # larger ones gain a CPU nothing, and two lanes of 8 hold about 100 MB
KEPT_CLASSES = 8


@dataclass(frozen=True, slots=True)
class ImageNetEncoder:
    """Satisfies `pipelines.interfaces.Encoder`. The graph's input and outputs are those that `efficientnet_lite0.build` names.

    lanes: batches computed at once. Two lanes of one thread take a sixth less time of two cores than one batch on two threads.
    """

    net: OnnxNet
    name: str
    digest: str
    size_px: int
    class_names: tuple[str, ...]
    lanes: int = 1

    def encode(self, pictures: NDArray[np.uint8]) -> Seen:
        """pictures: (N, size_px, size_px, 3) RGB, N at least 1."""
        with ThreadPoolExecutor(self.lanes) as pool:
            parts = list(pool.map(self._batch, [pictures[k : k + BATCH] for k in range(0, len(pictures), BATCH)]))
        embeddings, cells, probabilities = (np.concatenate(column) for column in zip(*parts, strict=True))
        likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :KEPT_CLASSES]
        return Seen(embeddings, cells, likeliest.astype(np.int16), np.take_along_axis(probabilities, likeliest, 1))

    def _batch(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return self.net(["embedding", "cells", "probabilities"], pictures=pictures)

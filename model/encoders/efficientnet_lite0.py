"""EfficientNet-Lite0 (Tan & Le 2019, the Lite variant: ReLU6, no squeeze-and-excitation) as an ONNX graph built from its weights.

N = pictures; 224 px square; 1280 = width of the last map, 7 x 7 cells; 1000 ImageNet classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoints import Tensors, UnreadableCheckpoint

SIZE_PX = 224
WIDTH, CELLS, CELL_WIDTH, CLASSES = 1280, 7, 64, 1000
GRAPH_VERSION = "1"  # raise it whenever `build` would write another graph
NORM_EPSILON = 1e-3

# kernel, stride, expansion, output channels of the 16 inverted-residual blocks
BLOCKS = (
    (3, 1, 1, 16), (3, 2, 6, 24), (3, 1, 6, 24), (5, 2, 6, 40), (5, 1, 6, 40), (3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80),
    (5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112), (5, 2, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (3, 1, 6, 320),
)  # fmt: skip

Array = NDArray[Any]


def build(weights: Tensors) -> bytes:
    """The network as ONNX, batch norms folded into the convolutions before them.

    Input `pictures` (N, 224, 224, 3) uint8 RGB. Outputs, each computed only when asked for:
    `feature_map` (N, 1280, 7, 7), `pooled` (N, 1280) its mean over the map, `logits` (N, 1000), and for the pipeline
    `embedding` (N, 1280) the pooled map at length 1, `cells` (N, 7, 7, 64) the map under a fixed random projection, which keeps
    distances within about a tenth (Johnson-Lindenstrauss), `probabilities` (N, 1000).
    Raises UnreadableCheckpoint for weights of another network.
    """
    left = dict(weights)
    net = _Graph(left)
    net.nodes += [net.node("Cast", ["pictures"], "as_float", to=1), net.node("Sub", ["as_float", net.keep("middle", 127.0)], "centred")]
    net.nodes += [net.node("Mul", ["centred", net.keep("scale", 1 / 128)], "scaled")]
    net.nodes += [net.node("Transpose", ["scaled"], "planes", perm=[0, 3, 1, 2])]
    x, size = net.convolve("planes", "_conv_stem", "_bn0", stride=2, size=SIZE_PX)
    width = 32
    for number, (_kernel, stride, expansion, out) in enumerate(BLOCKS):
        block, inside = f"_blocks.{number}", x
        if expansion > 1:
            inside, _ = net.convolve(inside, f"{block}._expand_conv", f"{block}._bn0")
        inside, size = net.convolve(inside, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride, size=size, group=width * expansion)
        inside, _ = net.convolve(inside, f"{block}._project_conv", f"{block}._bn2", is_clipped=False)
        if stride == 1 and width == out:
            net.nodes.append(net.node("Add", [inside, x], f"{block}.sum"))
            inside = f"{block}.sum"
        x, width = inside, out
    net.convolve(x, "_conv_head", "_bn1", name="feature_map")
    net.head(left.pop("_fc.weight", None), left.pop("_fc.bias", None))
    if unknown := [name for name in left if not name.endswith("num_batches_tracked")]:
        raise UnreadableCheckpoint(f"these weights are not EfficientNet-Lite0's: {unknown[0]} has no place in it")
    return net.to_bytes()


def projection() -> Array:
    """(64, 1280) float32: random directions of length sqrt(1280 / 64), the same everywhere."""
    # Signs from a linear congruence and not from numpy's generator, whose streams may change between versions.
    state, signs = np.uint64(1), np.empty(CELL_WIDTH * WIDTH, np.float32)
    with np.errstate(over="ignore"):
        for k in range(len(signs)):
            state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            signs[k] = 1.0 if int(state) >> 63 else -1.0
    return signs.reshape(CELL_WIDTH, WIDTH) / np.float32(np.sqrt(CELL_WIDTH))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: (before, after), the smaller half first."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Graph:
    """Nodes and constants while they gather."""

    def __init__(self, weights: Tensors) -> None:
        import onnx  # only where a graph is made: once per machine

        self.onnx, self.weights = onnx, weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return self.onnx.helper.make_node(kind, inputs, [output], **attributes)

    def keep(self, name: str, value: float | Array) -> str:
        array = np.asarray(value, None if isinstance(value, np.ndarray) and value.dtype == np.int64 else np.float32)
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def take(self, name: str) -> Array:
        if name not in self.weights:
            raise UnreadableCheckpoint(f"these weights are not EfficientNet-Lite0's: {name} is missing")
        return self.weights.pop(name)

    def convolve(
        self, x: str, conv: str, norm: str, *, stride: int = 1, size: int = CELLS, group: int = 1, is_clipped: bool = True, name: str = ""
    ) -> tuple[str, int]:
        """Convolution, folded norm and ReLU6; returns (output, its size). size: the input's, needed where the kernel is no point."""
        kernel = self.take(f"{conv}.weight")
        gain, shift, mean, variance = (self.take(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var"))
        factor = gain / np.sqrt(variance + NORM_EPSILON)
        before, after = same_padding(size, kernel.shape[2], stride)
        inputs = [x, self.keep(f"{conv}.kernel", kernel * factor[:, None, None, None]), self.keep(f"{conv}.shift", shift - mean * factor)]
        out = name or f"{conv}.out"
        raw = f"{conv}.raw" if is_clipped else out
        pads = [before, before, after, after]
        self.nodes.append(self.node("Conv", inputs, raw, strides=[stride, stride], pads=pads, group=group))
        if is_clipped:
            self.nodes.append(self.node("Clip", [raw, self.keep(f"{conv}.zero", 0.0), self.keep(f"{conv}.six", 6.0)], out))
        return out, -(-size // stride)

    def head(self, weight: Array | None, bias: Array | None) -> None:
        if weight is None or bias is None:
            raise UnreadableCheckpoint("these weights are not EfficientNet-Lite0's: _fc is missing")
        self.nodes += [
            self.node("ReduceMean", ["feature_map", self.keep("map_axes", np.array([2, 3], np.int64))], "pooled", keepdims=0),
            self.node("Gemm", ["pooled", self.keep("_fc.weight", weight), self.keep("_fc.bias", bias)], "logits", transB=1),
            self.node("Softmax", ["logits"], "probabilities", axis=1),
            self.node("LpNormalization", ["pooled"], "embedding", axis=1, p=2),
            self.node("Conv", ["feature_map", self.keep("directions", projection()[:, :, None, None])], "cells_planes"),
            self.node("Transpose", ["cells_planes"], "cells", perm=[0, 2, 3, 1]),
        ]

    def to_bytes(self) -> bytes:
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        shapes = {
            "feature_map": [WIDTH, CELLS, CELLS], "pooled": [WIDTH], "logits": [CLASSES],
            "embedding": [WIDTH], "cells": [CELLS, CELLS, CELL_WIDTH], "probabilities": [CLASSES],
        }  # fmt: skip
        pictures = helper.make_tensor_value_info("pictures", kinds.UINT8, ["N", SIZE_PX, SIZE_PX, 3])
        outputs = [helper.make_tensor_value_info(name, kinds.FLOAT, ["N", *shape]) for name, shape in shapes.items()]
        graph = helper.make_graph(self.nodes, "efficientnet_lite0", [pictures], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="longtake")
        self.onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

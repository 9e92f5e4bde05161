"""TransNet V2 (Soucek & Lokoc 2020) as an ONNX graph built from its weights: for every frame, how surely a shot ends there.

T = 100 frames of a window, 27 x 48 pixels; F = filters of a stack: 16, 32, 64; C = channels that come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoints import Tensors, UnreadableCheckpoint
from model.encoders.onnx import OnnxNet

WIDTH_PX, HEIGHT_PX = 48, 27
WINDOW, CONTEXT = 100, 25  # frames looked at together; of them the middle 50 are answered
GRAPH_VERSION = "1"
STACKS, BLOCKS, DILATIONS = 3, 2, (1, 2, 4, 8)
NORM_EPSILON = 1e-3
LOOKUP = 101  # each frame is compared with the 50 before and the 50 after

Array = NDArray[Any]


def build(weights: Tensors) -> bytes:
    """Input `frames` (100, 27, 48, 3) uint8 RGB; outputs `cut` (100,) probability that the shot ends with this frame, and
    `transition` (100,) that the frame belongs to a change of shots at all. Raises UnreadableCheckpoint for other weights.

    The paper's 3-D convolutions have kernels 1 x 3 x 3 and 3 x 1 x 1, so plain 2-D ones compute them, several times as fast.
    """
    net = _Graph(dict(weights))
    x = net.add("Cast", ["frames"], to=1)
    x = net.add("Transpose", [net.add("Mul", [x, net.keep(1 / 255)])], perm=[0, 3, 1, 2])  # (T, 3, 27, 48)
    height, width, pooled = HEIGHT_PX, WIDTH_PX, []
    for stack in range(STACKS):
        x = net.stack(x, f"SDDCNN.{stack}", height, width)
        height, width = height // 2, width // 2
        pooled.append(net.add("ReduceMean", [x, net.keep_ints([2, 3])], keepdims=0))  # (T, C)
    flat = net.add("Reshape", [net.add("Transpose", [x], perm=[0, 2, 3, 1]), net.keep_ints([WINDOW, -1])])  # (T, 3 * 6 * 256)
    looks = net.linear(net.add("Concat", pooled, axis=1), "frame_sim_layer.projection")
    alike = net.linear(net.near_by(net.unit(looks)), "frame_sim_layer.fc", is_rectified=True)
    colours = net.linear(net.near_by(net.unit(net.histograms())), "color_hist_layer.fc", is_rectified=True)
    x = net.linear(net.add("Concat", [colours, alike, flat], axis=1), "fc1", is_rectified=True)
    for output, layer in (("cut", "cls_layer1"), ("transition", "cls_layer2")):
        logits = net.add("Squeeze", [net.linear(x, layer), net.keep_ints([1])])
        net.nodes.append(net.node("Sigmoid", [logits], output))
    net.check_all_taken()
    return net.to_bytes()


class _Graph:
    """Nodes and constants while they gather; every node's output gets a name of its own."""

    def __init__(self, weights: Tensors) -> None:
        import onnx  # only where a graph is made: once per machine

        self.onnx, self.weights = onnx, weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return self.onnx.helper.make_node(kind, inputs, [output], **attributes)

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.node(kind, inputs, name, **attributes))
        return name

    def keep(self, value: float | Array) -> str:
        return self._constant(np.asarray(value, np.float32))

    def keep_ints(self, values: list[int]) -> str:
        return self._constant(np.asarray(values, np.int64))

    def _constant(self, array: Array) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def take(self, name: str) -> Array:
        if name not in self.weights:
            raise UnreadableCheckpoint(f"these weights are not TransNet V2's: {name} is missing")
        return self.weights.pop(name)

    def check_all_taken(self) -> None:
        if unknown := [name for name in self.weights if not name.endswith("num_batches_tracked")]:
            raise UnreadableCheckpoint(f"these weights are not TransNet V2's: {unknown[0]} has no place in it")

    def stack(self, x: str, name: str, height: int, width: int) -> str:
        """(T, C, H, W) -> (T, C', H / 2, W / 2): two dilated blocks with a shortcut around the second."""
        shortcut = x = self.add("Relu", [self.dilated(x, f"{name}.DDCNN.0", height, width)])
        for block in range(1, BLOCKS):
            x = self.dilated(x, f"{name}.DDCNN.{block}", height, width)
        x = self.add("Add", [self.add("Relu", [x]), shortcut])
        return self.add("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])

    def dilated(self, x: str, name: str, height: int, width: int) -> str:
        """(T, C, H, W) -> (T, 4 F, H, W): a convolution over space, then four over time, further and further apart, normed."""
        gain, shift, mean, variance = (self.take(f"{name}.bn.{part}") for part in ("weight", "bias", "running_mean", "running_var"))
        factor = gain / np.sqrt(variance + NORM_EPSILON)
        space = [self.take(f"{name}.Conv3D_{d}.layers.0.weight")[:, :, 0] for d in DILATIONS]
        inside = self.add("Conv", [x, self.keep(np.concatenate(space))], pads=[1, 1, 1, 1])  # (T, 4 * 2 F, H, W)
        rows = self.add("Transpose", [inside], perm=[1, 0, 2, 3])
        rows = self.add("Reshape", [rows, self.keep_ints([1, -1, WINDOW, height * width])])
        parts = []
        for k, dilation in enumerate(DILATIONS):
            kernel = self.take(f"{name}.Conv3D_{dilation}.layers.1.weight")[..., 0]  # (F, 2 F, 3, 1)
            own = slice(k * len(kernel), (k + 1) * len(kernel))
            wide = kernel.shape[1]
            part = self.add("Slice", [rows, self.keep_ints([k * wide]), self.keep_ints([(k + 1) * wide]), self.keep_ints([1])])
            inputs = [part, self.keep(kernel * factor[own, None, None, None]), self.keep((shift - mean * factor)[own])]
            parts.append(self.add("Conv", inputs, pads=[dilation, 0, dilation, 0], dilations=[dilation, 1]))
        joined = self.add("Reshape", [self.add("Concat", parts, axis=1), self.keep_ints([-1, WINDOW, height, width])])
        return self.add("Transpose", [joined], perm=[1, 0, 2, 3])

    def linear(self, x: str, name: str, *, is_rectified: bool = False) -> str:
        product = self.add("MatMul", [x, self.keep(self.take(f"{name}.weight").T)])
        out = self.add("Add", [product, self.keep(self.take(f"{name}.bias"))])
        return self.add("Relu", [out]) if is_rectified else out

    def unit(self, x: str) -> str:
        return self.add("LpNormalization", [x], axis=1, p=2)

    def near_by(self, x: str) -> str:
        """(T, D) at length 1 -> (T, 101): how alike each frame is to its neighbours, 0 beyond the window."""
        alike = self.add("MatMul", [x, self.add("Transpose", [x], perm=[1, 0])])
        padded = self.add("Pad", [alike, self.keep_ints([0, LOOKUP // 2, 0, LOOKUP // 2])])
        at = np.arange(WINDOW)[:, None] + np.arange(LOOKUP)
        return self.add("GatherElements", [padded, self._constant(at.astype(np.int64))], axis=1)

    def histograms(self) -> str:
        """(T, 512): how often each of 8 x 8 x 8 colours comes in each frame."""
        steps = self.add("Div", [self.add("Cast", ["frames"], to=7), self.keep_ints([32])])
        weighed = self.add("Mul", [steps, self.keep_ints([64, 8, 1])])
        bins = self.add("ReduceSum", [weighed, self.keep_ints([3])], keepdims=0)
        flat = self.add("Reshape", [bins, self.keep_ints([WINDOW, HEIGHT_PX * WIDTH_PX])])
        none, ones = np.zeros((WINDOW, 512)), np.ones((WINDOW, HEIGHT_PX * WIDTH_PX))
        return self.add("ScatterElements", [self.keep(none), flat, self.keep(ones)], axis=1, reduction="add")

    def to_bytes(self) -> bytes:
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        frames = helper.make_tensor_value_info("frames", kinds.UINT8, [WINDOW, HEIGHT_PX, WIDTH_PX, 3])
        outputs = [helper.make_tensor_value_info(name, kinds.FLOAT, [WINDOW]) for name in ("cut", "transition")]
        graph = helper.make_graph(self.nodes, "transnet_v2", [frames], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="longtake")
        self.onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


@dataclass(frozen=True, slots=True)
class TransNetCutter:
    """Satisfies `pipelines.interfaces.Cutter`."""

    net: OnnxNet
    name: str
    digest: str

    def cuts(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """pictures: (N, 27, 48, 3) RGB, every frame. Returns two times (N,): does the shot end with it, is it part of a change."""
        cut, transition = np.zeros((2, len(pictures)), np.float32)
        for first in range(0, len(pictures), WINDOW - 2 * CONTEXT):
            last = min(first + WINDOW - 2 * CONTEXT, len(pictures))
            rows = np.clip(np.arange(first - CONTEXT, first - CONTEXT + WINDOW), 0, len(pictures) - 1)  # the ends stand still
            found = self.net(["cut", "transition"], frames=pictures[rows])
            cut[first:last], transition[first:last] = (values[CONTEXT : CONTEXT + last - first] for values in found)
        return cut, transition

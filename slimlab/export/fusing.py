"""Floor 2. A quantized graph in the form that runtimes compute in whole numbers. Knows ONNX only.

ONNX Runtime on x86 fuses a convolution with what rounds its result only where nothing lies between
them, and wants activations as uint8. So symmetric grids are written as uint8 around 128, and
what only bounds values (`Relu`, `Clip`) is computed behind the rounding, on whole numbers: rounding
is monotone, so the order of the two makes no difference to a single value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from slimlab.quantize.grid import LEAST

MIDDLE = 128  # the uint8 that stands for zero
ZERO = "zero.uint8"
MOST = 2**31 - 1
SAME = 1e-6  # of the largest bias: float32's own noise
ENDLESS = (-np.inf, np.inf)


class Graph:
    """A model's graph while it is changed: constants, makers and readers of values by name."""

    def __init__(self, model: ModelProto) -> None:
        self.proto = model.graph
        self.constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self.ends = {one.name for one in model.graph.output}
        self.infos = {one.name: one.type.tensor_type for one in model.graph.value_info}

    @property
    def makers(self) -> dict[str, NodeProto]:
        """Value to the node that makes it."""
        return {name: node for node in self.proto.node for name in node.output}

    def readers(self, name: str) -> list[NodeProto]:
        """Nodes that read a value."""
        return [node for node in self.proto.node if name in node.input]

    def of_kind(self, *kinds: str) -> list[NodeProto]:
        """Nodes of some operators."""
        return [node for node in self.proto.node if node.op_type in kinds]

    def constant(self, node: NodeProto, place: int) -> NDArray[Any] | None:
        """An input that is stored; None for one that is computed or not there."""
        there = len(node.input) > place and node.input[place]
        return self.constants.get(node.input[place]) if there else None

    def store(self, name: str, array: NDArray[Any]) -> str:
        """Keep a constant; the same name is the same array."""
        if name not in self.constants:
            self.constants[name] = array
            self.proto.initializer.append(numpy_helper.from_array(array, name))
        return name

    def insert(self, before: NodeProto, *nodes: NodeProto) -> None:
        """Put nodes in, in execution order."""
        place = list(self.proto.node).index(before)
        for offset, node in enumerate(nodes):
            self.proto.node.insert(place + offset, node)

    def retype(self, name: str, kind: int) -> None:
        """Note another type of a value."""
        if name in self.infos:
            self.infos[name].elem_type = kind

    def same_shape(self, name: str, like: str, kind: int) -> None:
        """Note the type of a new value with the shape of another."""
        if like in self.infos:
            made = self.proto.value_info.add()
            made.name = name
            made.type.tensor_type.CopyFrom(self.infos[like])
            made.type.tensor_type.elem_type = kind
            self.infos[name] = made.type.tensor_type


def fuse_whole(model: ModelProto) -> None:
    """Bring a quantized model into the form that runtimes fuse, in place; it computes the same."""
    graph = Graph(model)
    merge_twins(graph)
    _sweep(graph)
    for node in list(_with_uint8(graph)):
        _bound_behind(graph, node)
    _sweep(graph)
    _bound_before(graph)
    _pools_in_float(graph)
    _fine_weights(graph)
    _linear_layers(graph)
    _sweep(graph)


def merge_twins(graph: Graph) -> None:
    """Round a value once where several layers round it to the same grid."""
    seen: dict[tuple[object, ...], str] = {}
    names: dict[str, str] = {}
    for node in graph.of_kind("QuantizeLinear", "DequantizeLinear"):
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
        settings = tuple(a.SerializeToString() for a in node.attribute)
        stored = [graph.constants.get(name) for name in node.input[1:]]
        told = (
            a.tobytes() if a is not None else n for a, n in zip(stored, node.input[1:], strict=True)
        )
        key = (node.op_type, node.input[0], *told, *settings)
        if key in seen and node.output[0] not in graph.ends:
            names[node.output[0]] = seen[key]
        seen.setdefault(key, node.output[0])
    for node in graph.proto.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)


def _with_uint8(graph: Graph) -> Iterator[NodeProto]:
    """Let each single static grid of activations be one of uint8, and give what rounds to it."""
    for node in graph.of_kind("QuantizeLinear"):
        step, zero = graph.constant(node, 1), graph.constant(node, 2)
        readers = graph.readers(node.output[0])
        if step is None or zero is None or step.size != 1 or zero.dtype != np.int8 or zero.any():
            continue
        if any(r.op_type != "DequantizeLinear" or r.input[1] != node.input[1] for r in readers):
            continue
        middle = graph.store(ZERO, np.array(MIDDLE, np.uint8))
        for one in (node, *readers):
            one.input[2] = middle
        graph.retype(node.output[0], TensorProto.UINT8)
        yield node


def _bound_behind(graph: Graph, node: NodeProto) -> None:
    """Move what bounds values before a rounding behind it."""
    low, high = 0, 255
    while (before := graph.makers.get(node.input[0])) is not None:
        bounds = _bounds(graph, before)
        if bounds is None or not _only_rounded(graph, before.output[0]):
            break
        least, most = (_rounded(graph, node, bound) for bound in bounds)
        low, high = max(low, min(least, high)), min(high, max(most, low))
        node.input[0] = before.input[0]
    if (low, high) == (0, 255):
        return
    made = node.output[0]
    node.output[0] = f"{made}.unbounded"
    graph.same_shape(node.output[0], made, TensorProto.UINT8)
    ends = [graph.store(f"{n}.uint8", np.array(n, np.uint8)) for n in (low, high)]
    clip = helper.make_node("Clip", [node.output[0], *ends], [made])
    graph.insert(node, clip)
    graph.proto.node.remove(node)
    graph.insert(clip, node)


def _bound_before(graph: Graph) -> None:
    """Move a ReLU that reads a rounded value to before it is float again; zero is on the grid."""
    for relu in graph.of_kind("Relu"):
        back = graph.makers.get(relu.input[0])
        readers = graph.readers(relu.output[0])
        if back is None or back.op_type != "DequantizeLinear" or back.input[2] != ZERO:
            continue
        if any(reader.op_type == "MaxPool" for reader in readers):
            continue  # see _pools_in_float
        bounded = f"{relu.output[0]}.uint8"
        graph.same_shape(bounded, back.input[0], TensorProto.UINT8)
        ends = [graph.store(f"{n}.uint8", np.array(n, np.uint8)) for n in (MIDDLE, 255)]
        graph.insert(
            relu,
            helper.make_node("Clip", [back.input[0], *ends], [bounded]),
            helper.make_node("DequantizeLinear", [bounded, *back.input[1:]], list(relu.output)),
        )
        graph.proto.node.remove(relu)


def _bounds(graph: Graph, node: NodeProto) -> tuple[float, float] | None:
    """The bounds of a node that does nothing but bound; None for another."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type != "Clip":
        return None
    found = [graph.constant(node, place) for place in (1, 2)]
    if any(f is None and len(node.input) > p and node.input[p] for p, f in enumerate(found, 1)):
        return None
    low, high = (e if f is None else float(f) for f, e in zip(found, ENDLESS, strict=True))
    return (low, high) if low <= high else None


def _rounded(graph: Graph, node: NodeProto, number: float) -> int:
    """What a rounding makes of a number."""
    step = np.asarray(graph.constant(node, 1), np.float32).reshape(())
    with np.errstate(over="ignore"):
        whole = np.rint(np.float32(number) / step)
    return int(np.clip(whole + MIDDLE, 0, 255))


def _only_rounded(graph: Graph, name: str) -> bool:
    """Whether nothing but roundings to uint8 reads a value, and what bounds it for them."""
    for reader in graph.readers(name):
        if reader.op_type == "QuantizeLinear" and reader.input[2] == ZERO:
            continue
        if _bounds(graph, reader) is None or not _only_rounded(graph, reader.output[0]):
            return False
    return name not in graph.ends


def _pools_in_float(graph: Graph) -> None:
    """Let maxima behind a ReLU be taken in float: in whole numbers ONNX Runtime needs far longer.

    It moves roundings to before a pool, but not past the ReLU, which is put behind the pool. The
    layer before rounds its result to the same grid, so that it is computed in whole numbers itself.
    """
    for node in graph.of_kind("QuantizeLinear"):
        if node.input[2] != ZERO:
            continue
        pool = graph.makers.get(node.input[0])
        relu = graph.makers.get(pool.input[0]) if pool is not None else None
        if pool is None or relu is None or (pool.op_type, relu.op_type) != ("MaxPool", "Relu"):
            continue
        values = (relu.output[0], pool.output[0])
        if len(pool.output) > 1 or any(
            len(graph.readers(v)) > 1 or v in graph.ends for v in values
        ):
            continue
        again = f"{pool.output[0]}.relu"
        graph.same_shape(again, pool.output[0], TensorProto.FLOAT)
        graph.insert(node, helper.make_node("Relu", [pool.output[0]], [again]))
        node.input[0] = again
        whole, back = f"{relu.input[0]}.uint8", f"{relu.input[0]}.rounded"
        grid = list(node.input[1:])
        graph.same_shape(whole, relu.input[0], TensorProto.UINT8)
        graph.same_shape(back, relu.input[0], TensorProto.FLOAT)
        graph.insert(
            relu,
            helper.make_node("QuantizeLinear", [relu.input[0], *grid], [whole]),
            helper.make_node("DequantizeLinear", [whole, *grid], [back]),
        )
        relu.input[0] = back


def _fine_weights(graph: Graph) -> None:
    """Store weights of few bits as multiples of a power of two on a finer grid: the same numbers.

    ONNX Runtime rounds biases to the product of the steps of inputs and weights.
    """
    stored = {one.name: one for one in graph.proto.initializer}
    for node in graph.of_kind("DequantizeLinear"):
        whole, step, zero = (graph.constant(node, place) for place in range(3))
        if (
            whole is None
            or step is None
            or whole.dtype != np.int8
            or (zero is not None and zero.any())
        ):
            continue
        factor = _room(whole)
        finer = (step / np.float32(factor)).astype(np.float32)
        if factor == 1 or len(graph.readers(node.input[0])) > 1 or finer.min() < LEAST:
            continue
        name = node.input[0]
        stored[name].CopyFrom(numpy_helper.from_array(np.int8(factor) * whole, name))
        node.input[1] = graph.store(f"{name}.step", finer)


def _room(whole: NDArray[np.int8]) -> int:
    """The largest power of two, up to 64, times which whole numbers are int8; 1 for zeros."""
    least, most = int(whole.min(initial=0)), int(whole.max(initial=0))
    fits = [f for f in (64, 32, 16, 8, 4, 2) if f * most <= 127 and f * least >= -128]
    return fits[0] if fits and (least or most) else 1


def _linear_layers(graph: Graph) -> None:
    """Write products with a matrix and their biases as one `Gemm` of whole numbers.

    Of biases that are multiples of the product of both steps, as quantized models have them.
    """
    for add in graph.of_kind("Add"):
        product = graph.makers.get(add.input[0])
        bias = graph.constant(add, 1)
        if product is None or product.op_type != "MatMul" or bias is None or bias.ndim != 1:
            continue
        x, w = (graph.makers.get(name) for name in product.input)
        found = [graph.constant(n, 1) for n in (x, w) if n and n.op_type == "DequantizeLinear"]
        steps = [step for step in found if step is not None]
        rank = graph.infos[product.output[0]].shape.dim if product.output[0] in graph.infos else []
        if len(steps) != 2 or len(rank) != 2:
            continue
        if len(graph.readers(product.output[0])) > 1:
            continue
        step = np.broadcast_to(np.float32(steps[0] * steps[1]).reshape(-1), bias.shape)
        whole = np.rint(bias.astype(np.float64) / np.maximum(step, np.finfo(np.float32).tiny))
        off = np.abs(whole * step - bias).max(initial=0)
        if np.abs(whole).max(initial=0) > MOST or off > SAME * np.abs(bias).max(initial=0):
            continue
        grid = [
            graph.store(f"{add.input[1]}.int32", whole.astype(np.int32)),
            graph.store(f"{add.input[1]}.step", np.ascontiguousarray(step)),
        ]
        back = f"{add.input[1]}.rounded"
        gemm = helper.make_node("Gemm", [*product.input, back], list(add.output))
        graph.insert(add, helper.make_node("DequantizeLinear", grid, [back], axis=0), gemm)
        graph.proto.node.remove(product)
        graph.proto.node.remove(add)


def _sweep(graph: Graph) -> None:
    """Remove what nothing reads any more."""
    proto = graph.proto
    while True:
        read = {name for node in proto.node for name in node.input} | graph.ends
        idle = [node for node in proto.node if not read.intersection(node.output)]
        for node in idle:
            proto.node.remove(node)
        if not idle:
            break
    made = {name for node in proto.node for name in node.output}
    for stored in [one for one in proto.initializer if one.name not in read]:
        proto.initializer.remove(stored)
    for info in [one for one in proto.value_info if one.name not in made]:
        proto.value_info.remove(info)

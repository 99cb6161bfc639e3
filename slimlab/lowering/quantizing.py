"""Floor 1. Rounding to eight bits and back: symmetric grids, one a tensor or one a channel.

Paddle's grid is `clip(round(x / scale * n), -n - 1, n) * scale / n` with `n = 2 ** (bits - 1) - 1`;
ONNX's step is its `scale / n`. Paddle keeps the whole numbers as float32, ONNX as int8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimlab.lowering.builder import Builder, Operand
from slimlab.lowering.registry import ends, integers, lowering_rule, option
from slimlab.trace import Op


@dataclass(frozen=True)
class Grid:
    """Steps (one, or one an index of the axis), and the most positive whole number.

    A single step may be computed when the network runs: then `steps` is the name of that value.
    """

    steps: np.ndarray | str
    top: int
    axis: int | None

    def along(self, rank: int) -> np.ndarray | None:
        """The steps in a shape that is broadcast over a tensor; None for one that is computed."""
        if isinstance(self.steps, str):
            return None
        if self.axis is None:
            return self.steps
        return self.steps.reshape([-1 if n == self.axis else 1 for n in range(rank)])

    def zeros(self) -> np.ndarray:
        """A zero point a step."""
        return np.zeros(() if isinstance(self.steps, str) else self.steps.shape, np.int8)

    def bounds(self, net: Builder) -> list[Operand]:
        """The least and the most of a tensor on this grid, which has one step."""
        ends = (-self.top - 1, self.top)
        if isinstance(self.steps, str):
            return [net.emit("Mul", [self.steps, np.asarray(n, np.float32)]) for n in ends]
        return [np.asarray(n * self.steps, np.float32) for n in ends]


def _grid(op: Op, net: Builder) -> Grid:
    x, _ = ends(op)
    bits, axis = int(op.attributes["bit_length"]), int(op.attributes["quant_axis"])
    top = 2 ** (bits - 1) - 1
    scale, zero = net.array(option(op, 1)), net.array(option(op, 2))
    if zero is None:
        net.refuse("its zero point is computed")
    if zero.any():
        net.refuse("its grid is not symmetric: the zero points are not 0")
    asked = (int(op.attributes["qmin"]), int(op.attributes["qmax"]))
    if asked != (-top - 1, top) or not 2 <= bits <= 8:
        net.refuse(f"its whole numbers of {bits} bits lie between {asked[0]} and {asked[1]}")
    if op.attributes.get("only_observer") or not op.attributes.get("is_test", True):
        net.refuse("it still watches the values that it is given")
    if scale is None:
        return Grid(_computed(op, net, top), top, None)
    steps = (scale.reshape(-1) / top).astype(np.float32)
    if steps.size == 1:
        return Grid(steps.reshape(()), top, None)
    if axis < 0 or steps.size != x.shape[axis]:
        net.refuse(f"{steps.size} scales for axis {axis} of a tensor of shape {list(x.shape)}")
    return Grid(steps, top, axis)


def _computed(op: Op, net: Builder, top: int) -> str:
    """One step for a whole tensor, from a scale that is computed when the network runs."""
    scale = option(op, 1)
    if scale is None or int(np.prod(scale.shape)) != 1:
        net.refuse("scales of channels are computed when the network runs")
    single = net.emit("Reshape", [scale, integers([])])
    return net.emit("Div", [single, np.asarray(top, np.float32)])


@lowering_rule("pd_op.quantize_linear", "pd_op.quantize_linear_")
def quantize(op: Op, net: Builder) -> None:
    """A parameter is stored as whole numbers; other tensors are rounded when the network runs."""
    x, y = ends(op)
    grid = _grid(op, net)
    net.retype(y, "int8")
    numbers, along = net.array(x), grid.along(len(x.shape))
    if numbers is not None and x.parameter and along is not None:
        whole = np.rint(numbers / along)
        net.store(y, f"{x.parameter}.int8", np.clip(whole, -grid.top - 1, grid.top).astype(np.int8))
        return
    bounded: Operand = x
    if grid.top < 127:  # ONNX bounds by the range of int8
        if along is not None and grid.axis is not None:
            net.refuse(f"activations in fewer than 8 bits, with {along.size} scales")
        bounded = net.emit("Clip", [x, *grid.bounds(net)])
    net.emit("QuantizeLinear", [bounded, grid.steps, grid.zeros()], y, axis=grid.axis)


@lowering_rule("pd_op.dequantize_linear", "pd_op.dequantize_linear_")
def dequantize(op: Op, net: Builder) -> None:
    """Whole numbers times the step."""
    x, y = ends(op)
    grid = _grid(op, net)
    if net.type_of(x) != "int8":
        net.refuse("what it is given was not rounded by quantize_linear")
    net.emit("DequantizeLinear", [x, grid.steps, grid.zeros()], y, axis=grid.axis)

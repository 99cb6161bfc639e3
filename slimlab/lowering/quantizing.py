"""Floor 1. Rounding to eight bits and back: symmetric grids, one a tensor or one a channel.

Paddle's grid is `clip(round(x / scale * n), -n - 1, n) * scale / n` with `n = 2 ** (bits - 1) - 1`;
ONNX's step is its `scale / n`. Paddle keeps the whole numbers as float32, ONNX as int8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimlab.lowering.builder import Builder, Operand
from slimlab.lowering.registry import ends, lowering_rule, option
from slimlab.trace import Op


@dataclass(frozen=True)
class Grid:
    """Steps (one, or one an index of the axis), and the most positive whole number."""

    steps: np.ndarray
    top: int
    axis: int | None

    def along(self, rank: int) -> np.ndarray:
        """The steps in a shape that is broadcast over a tensor."""
        if self.axis is None:
            return self.steps
        return self.steps.reshape([-1 if n == self.axis else 1 for n in range(rank)])


def _grid(op: Op, net: Builder) -> Grid:
    x, _ = ends(op)
    bits, axis = int(op.attributes["bit_length"]), int(op.attributes["quant_axis"])
    top = 2 ** (bits - 1) - 1
    scale, zero = net.array(option(op, 1)), net.array(option(op, 2))
    if scale is None or zero is None:
        net.refuse("its scale is computed")
    if zero.any():
        net.refuse("its grid is not symmetric: the zero points are not 0")
    asked = (int(op.attributes["qmin"]), int(op.attributes["qmax"]))
    if asked != (-top - 1, top) or not 2 <= bits <= 8:
        net.refuse(f"its whole numbers of {bits} bits lie between {asked[0]} and {asked[1]}")
    if op.attributes.get("only_observer") or not op.attributes.get("is_test", True):
        net.refuse("it still watches the values that it is given")
    steps = (scale.reshape(-1) / top).astype(np.float32)
    if steps.size == 1:
        return Grid(steps.reshape(()), top, None)
    if axis < 0 or steps.size != x.shape[axis]:
        net.refuse(f"{steps.size} scales for axis {axis} of a tensor of shape {list(x.shape)}")
    return Grid(steps, top, axis)


@lowering_rule("pd_op.quantize_linear", "pd_op.quantize_linear_")
def quantize(op: Op, net: Builder) -> None:
    """A parameter is stored as whole numbers; other tensors are rounded when the network runs."""
    x, y = ends(op)
    grid = _grid(op, net)
    net.retype(y, "int8")
    numbers = net.array(x)
    if numbers is not None and x.parameter:
        whole = np.rint(numbers / grid.along(len(x.shape)))
        net.store(y, f"{x.parameter}.int8", np.clip(whole, -grid.top - 1, grid.top).astype(np.int8))
        return
    bounded: Operand = x
    if grid.top < 127:  # ONNX bounds by the range of int8
        if grid.axis is not None:
            net.refuse(f"activations in fewer than 8 bits, with {grid.steps.size} scales")
        low, high = (np.asarray(n * grid.steps, np.float32) for n in (-grid.top - 1, grid.top))
        bounded = net.emit("Clip", [x, low, high])
    zeros = np.zeros(grid.steps.shape, np.int8)
    net.emit("QuantizeLinear", [bounded, grid.steps, zeros], y, axis=grid.axis)


@lowering_rule("pd_op.dequantize_linear", "pd_op.dequantize_linear_")
def dequantize(op: Op, net: Builder) -> None:
    """Whole numbers times the step."""
    x, y = ends(op)
    grid = _grid(op, net)
    if net.type_of(x) != "int8":
        net.refuse("what it is given was not rounded by quantize_linear")
    zeros = np.zeros(grid.steps.shape, np.int8)
    net.emit("DequantizeLinear", [x, grid.steps, zeros], y, axis=grid.axis)

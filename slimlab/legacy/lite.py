"""Floor 1. An int8 network in the form that Paddle Lite's optimizer makes int8 kernels of.

It looks for three things (`quant_dequant_op_fuser` of Paddle Lite): a `quantize_linear` and a
`dequantize_linear` of one stored scale in front of an operator with an int8 weight; a
`dequantize_linear` that reads that weight straight from what is stored; and, as it takes scales and
zero points away with the operators, none of a weight's that another operator reads too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import numpy as np

from slimlab.errors import UnwritableError
from slimlab.legacy.network import Network, Node, Variable

# Operators that have int8 kernels -> slots of input and weight, and the axis of its channels.
TURNED = ("Input", "Filter", 1)
WEIGHTED = {
    "conv2d": ("Input", "Filter", 0), "depthwise_conv2d": ("Input", "Filter", 0),
    "conv2d_transpose": TURNED, "depthwise_conv2d_transpose": TURNED, "matmul_v2": ("X", "Y", 1),
    "mul": ("X", "Y", 1),
}  # fmt: skip
# What keeps a value on the grid that it is on.
KEEPING = frozenset(
    {"reshape2", "flatten_contiguous_range", "transpose2", "squeeze2", "unsqueeze2", "relu"}
)
BITS = 8


def for_lite(network: Network) -> Network:
    """Give each int8 weight its own scales and its operator's input a grid.

    The network computes the same: a value that is on a grid stays where it is when it is rounded to
    that grid again.

    Raises
    ------
    UnwritableError
        When activations have scales that are computed as the network runs, or other than 8 bits.
    """
    return _Lite(network).made()


class _Lite:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.variables = dict(network.variables)
        self.makers = {name: node for node in network.nodes for name in node.makes}
        self.nodes: list[Node] = []

    def made(self) -> Network:
        for node in self.network.nodes:
            self._check_grid(node)
            if node.kind in WEIGHTED:
                self._weighted(node)
            elif not self._is_of_weight(node):
                self.nodes.append(node)
        made = replace(self.network, nodes=tuple(self.nodes), variables=self.variables)
        return made.tidied()

    def _is_of_weight(self, node: Node | None) -> bool:
        """Whether a node turns stored whole numbers into a weight."""
        found = node is not None and node.kind == "dequantize_linear"
        return found and node is not None and self._stored(node.inputs["X"][0]) is not None

    def _stored(self, name: str) -> np.ndarray | None:
        return self.variables[name].numbers

    def _check_grid(self, node: Node) -> None:
        if node.kind != "quantize_linear":
            return
        if self._stored(node.inputs["Scale"][0]) is None:
            _refuse("an activation's scale is computed as it runs; quantize with activation="
                    "'moving_average_abs_max' or 'range_abs_max'")  # fmt: skip
        if (bits := node.attributes["bit_length"]) != BITS:
            _refuse(f"activations have {bits} bits; it rounds them to 8")

    def _weighted(self, node: Node) -> None:
        """Write an operator with its weight's own scales, behind the grid of its input."""
        data, slot, axis = WEIGHTED[node.kind]
        source = self.makers.get(node.inputs[slot][0])
        if source is None or not self._is_of_weight(source):
            self.nodes.append(node)
            return
        given, stem = node.inputs[data][0], next(iter(node.makes))
        grid = self._grid_of(given)
        # Of a transposed convolution in groups it wants more scales than the axis is long.
        if grid is None or (axis == 1 and node.attributes.get("groups", 1) != 1):
            weight = self._float_weight(source)
            self.nodes.append(replace(node, inputs={**node.inputs, slot: (weight,)}))
            return
        if self.makers[given].kind != "dequantize_linear":
            given = self._again(given, grid, stem)
        weight = self._own_scales(source, axis, f"{stem}.weight")
        inputs = {**node.inputs, data: (given,), slot: (weight,)}
        self.nodes.append(replace(node, inputs=inputs))

    def _grid_of(self, name: str) -> Node | None:
        """The `dequantize_linear` of an activation from which a value has kept its grid."""
        node = self.makers.get(name)
        while node is not None and node.kind in KEEPING:
            node = self.makers.get(node.inputs["X"][0])
        return node if node is not None and node.kind == "dequantize_linear" else None

    def _again(self, name: str, grid: Node, stem: str) -> str:
        """Round a value to the grid that it is on."""
        shape = self.variables[name].shape
        scale = grid.inputs["Scale"]
        for kind, made in (
            ("quantize_linear", f"{stem}.whole"),
            ("dequantize_linear", f"{stem}.x"),
        ):
            zero = self._zero(f"{made}@zero_point", 1)
            self.variables[made] = Variable(made, "float32", shape)
            inputs = {"X": (name,), "Scale": scale, "ZeroPoint": (zero,)}
            self.nodes.append(Node(kind, inputs, {"Y": (made,)}, grid.attributes))
            name = made
        return name

    def _own_scales(self, source: Node, axis: int, made: str) -> str:
        """A weight's `dequantize_linear` with one scale a channel, that nothing else reads."""
        whole, scale = source.inputs["X"][0], self._stored(source.inputs["Scale"][0])
        weight = self.variables[whole]
        if scale is None:
            _refuse(f"the scale of weight {whole!r} is computed as it runs")
        size = weight.shape[axis]
        spread = np.broadcast_to(scale.reshape(-1), (size,)) if scale.size == 1 else scale
        name = f"{made}@scale"
        numbers = np.ascontiguousarray(spread, np.float32)
        self.variables[name] = Variable(name, "float32", (size,), numbers)
        self.variables[made] = Variable(made, "float32", weight.shape)
        inputs = {
            "X": (whole,),
            "Scale": (name,),
            "ZeroPoint": (self._zero(f"{made}@zero_point", size),),
        }
        attributes = {**source.attributes, "quant_axis": axis}
        self.nodes.append(Node("dequantize_linear", inputs, {"Y": (made,)}, attributes))
        return made

    def _float_weight(self, source: Node) -> str:
        """A weight in float32, for an operator whose input is on no grid."""
        whole, scale = (self._stored(source.inputs[slot][0]) for slot in ("X", "Scale"))
        name = source.makes[0]
        if whole is not None and scale is not None:
            numbers = dequantized(whole, scale, source.attributes)
            self.variables[name] = Variable(name, "float32", numbers.shape, numbers)
        return name

    def _zero(self, name: str, size: int) -> str:
        self.variables[name] = Variable(name, "int32", (size,), np.zeros([size], np.int32))
        return name


def dequantized(
    whole: np.ndarray, scale: np.ndarray, attributes: Mapping[str, object]
) -> np.ndarray:
    """The numbers that whole ones stand for."""
    axis, top = int(str(attributes["quant_axis"])), np.float32(str(attributes["qmax"]))
    along = scale.reshape(-1)
    if along.size > 1:
        along = along.reshape([-1 if n == axis else 1 for n in range(whole.ndim)])
    found: np.ndarray = (whole.astype(np.float32) * along / top).astype(np.float32)
    return found


def _refuse(why: str) -> NoReturn:
    msg = f"This network can't be written for Paddle Lite: {why}."
    raise UnwritableError(msg)

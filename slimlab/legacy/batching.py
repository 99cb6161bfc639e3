"""Floor 1. A network written for two batch sizes, as one for any number of images.

What differs between the two is the batch: sizes of variables, and sizes written into reshapes,
expansions and constants. Anything else that differs would be wrong for other batches, and is
refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np

from slimlab.errors import UnwritableError
from slimlab.legacy.files import DTYPES
from slimlab.legacy.network import Network, Node, Variable


def any_batch(first: Network, second: Network, batches: tuple[int, int]) -> Network:
    """Merge two descriptions of one network, made with batches of these sizes.

    Raises
    ------
    UnwritableError
        When a batch size is part of what the network computes.
    """
    return _Merger(first, second, batches).merged()


class _Merger:
    def __init__(self, first: Network, second: Network, batches: tuple[int, int]) -> None:
        self.first, self.second, self.batches = first, second, batches
        self.variables: dict[str, Variable] = {}
        self.nodes: list[Node] = []

    def merged(self) -> Network:
        first, second = self.first, self.second
        if len(first.nodes) != len(second.nodes) or set(first.variables) != set(second.variables):
            _refuse("the number of operators")
        for name, one in first.variables.items():
            self._variable(one, second.variables[name])
        for one_node, other in zip(first.nodes, second.nodes, strict=True):
            self._node(one_node, other)
        return replace(first, nodes=tuple(self.nodes), variables=self.variables)

    def _node(self, one: Node, other: Node) -> None:
        what = f"operator {one.kind} that makes {next(iter(one.makes), '')!r}"
        if (one.kind, one.inputs, one.outputs) != (other.kind, other.inputs, other.outputs):
            _refuse(what)
        apart = [n for n in one.attributes if one.attributes[n] != other.attributes.get(n)]
        if set(one.attributes) != set(other.attributes):
            _refuse(what)
        if not apart:
            self.nodes.append(one)
        elif apart == ["shape"] and one.kind in {"reshape2", "expand_v2"}:
            one_shape, other_shape = (_sizes(node.attributes["shape"]) for node in (one, other))
            axis = self._axis(one_shape, other_shape, what)
            if one.kind == "expand_v2":
                self._expand(one.inputs["X"][0], one.outputs["Out"][0], axis, what)
            elif -1 in one_shape:
                _refuse(f"more than one size of {what}")
            else:
                free = [-1 if n == axis else size for n, size in enumerate(one_shape)]
                self.nodes.append(replace(one, attributes={**one.attributes, "shape": free}))
        else:
            _refuse(f"{', '.join(apart)} of {what}")

    def _axis(self, one: Sequence[int], two: Sequence[int], what: str) -> int:
        """The one axis in which two shapes differ, by a multiple of the batch."""
        apart = [n for n, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
        first, second = self.batches
        for n in apart:
            if one[n] % first or one[n] // first * second != two[n]:
                _refuse(f"a size of {what}")
        if len(apart) != 1:
            _refuse(f"more than one size of {what}")
        return apart[0]

    def _expand(self, name: str, made: str, axis: int, what: str) -> None:
        """Repeat a tensor for each image: it is added to as many zeros as there are images."""
        shape = self.variables[made].shape
        dtype = self.variables[name].dtype
        if self.first.variables[made].shape[axis] != self.batches[0] or dtype == "bool":
            _refuse(what)
        zeros = f"{made}.zeros"
        self.variables[zeros] = Variable(zeros, dtype, shape)
        sizes = [1 if n == axis else size for n, size in enumerate(shape)]
        attributes = {
            "shape": sizes, "input_dim_idx": 0, "output_dim_idx": axis, "dtype": DTYPES[dtype],
            "value": 0.0, "str_value": "0", "force_cpu": False,
        }  # fmt: skip
        fill = "fill_constant_batch_size_like"
        self.nodes.append(
            Node(fill, {"Input": (self.first.inputs[0],)}, {"Out": (zeros,)}, attributes)
        )
        ends = {"X": (zeros,), "Y": (name,)}
        self.nodes.append(Node("elementwise_add", ends, {"Out": (made,)}, {"axis": -1}))

    def _variable(self, one: Variable, other: Variable) -> None:
        what = f"constant {one.name!r}" if one.numbers is not None else f"the shape of {one.name!r}"
        if one.dtype != other.dtype or len(one.shape) != len(other.shape):
            _refuse(what)
        sizes = zip(one.shape, other.shape, strict=True)
        free = replace(one, shape=tuple(a if a == b else -1 for a, b in sizes), numbers=None)
        if one.numbers is None:
            self.variables[one.name] = free
            return
        if other.numbers is None:
            _refuse(what)
        if one.shape == other.shape:
            if not np.array_equal(one.numbers, other.numbers, equal_nan=one.dtype[:5] == "float"):
                _refuse(what)
            self.variables[one.name] = one
            return
        # A constant with a row for each image: the rows are the same.
        axis = self._axis(one.shape, other.shape, what)
        single = np.take(one.numbers, [0], axis)
        if not ((one.numbers == single).all() and (other.numbers == single).all()):
            _refuse(what)
        row = Variable(f"{one.name}.row", one.dtype, single.shape, np.ascontiguousarray(single))
        self.variables |= {row.name: row, one.name: free}
        self._expand(row.name, one.name, axis, what)


def _sizes(value: object) -> list[int]:
    return [int(n) for n in value] if isinstance(value, list) else []


def _refuse(what: str) -> NoReturn:
    msg = (
        f"This network can't be written for any number of images: {what} depends on the batch "
        "size. Let forward() give -1 to reshape instead of the batch size."
    )
    raise UnwritableError(msg, found=what)

"""Floor 1. How layers follow one another: what a map of a network draws. Knows operators only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import pandas as pd

from slimlab.trace import Op, Program


@dataclass(frozen=True)
class Wiring:
    """Which layer's output goes where.

    Activations, normalisation and pooling stand between layers and are left out: what they give
    comes from the layer before them. Where several streams meet (an addition, a concatenation, a
    product) there is a join.

    Attributes
    ----------
    nodes
        Name and kind, in execution order: `"input"`, `"layer"` (makes channels), `"join"` (named
        for its operator, with a number), `"output"`.
    edges
        Numbers of the nodes that an output goes from and to.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> nn = paddle.nn
    >>> model = nn.Sequential(nn.Conv2D(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    >>> sl.trace(model, paddle.zeros([1, 1, 8, 8])).wiring.to_frame().values.tolist()
    [['input', '0'], ['0', '3'], ['3', 'output']]
    """

    nodes: tuple[tuple[str, str], ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One row an edge: `source, target`."""
        rows = [(self.nodes[a][0], self.nodes[b][0]) for a, b in self.edges]
        return pd.DataFrame(rows, columns=["source", "target"])


def wire(program: Program, layers: Collection[str]) -> Wiring:
    """Follow the values of a program from layer to layer.

    Parameters
    ----------
    program
        A traced forward pass.
    layers
        Names of the layers that become nodes of their own; others are passed through.
    """
    return _Wirer(set(layers)).run(program)


class _Wirer:
    """Carries, for each value, the node it comes from; for a list of tensors, the nodes."""

    def __init__(self, layers: set[str]) -> None:
        self.layers = layers
        self.nodes: dict[tuple[str, str], int] = {}
        self.edges: dict[tuple[int, int], None] = {}
        self.source: dict[int, tuple[int, ...]] = {}
        self.joins: dict[str, int] = {}

    def run(self, program: Program) -> Wiring:
        """Visit the operators in order."""
        for number, value in enumerate(program.inputs):
            name = "input" if len(program.inputs) == 1 else f"input {number}"
            self.source[value.id] = (self.node(name, "input"),)
        for op in program.ops:
            self.visit(op)
        for value in program.outputs:
            self.link(self.source.get(value.id, ()), self.node("output", "output"))
        return Wiring(tuple(self.nodes), tuple(self.edges))

    def visit(self, op: Op) -> None:
        """Say where an operator's outputs come from."""
        read = [v for v in (*op.inputs, *op.captured) if v is not None]
        names = (v.parameter.rpartition(".")[0] for v in read if v.parameter)
        layer = next((name for name in names if name in self.layers), None)
        before = tuple(dict.fromkeys(n for v in read for n in self.source.get(v.id, ())))
        here = before
        if layer is not None:
            here = (self.node(layer, "layer"),)
            # A bias that is added in an operator of its own comes from the layer itself.
            self.link([node for node in before if node not in here], here[0])
        elif len(before) > 1 and op.short != "combine":  # which only makes a list of tensors
            self.joins[op.short] = self.joins.get(op.short, 0) + 1
            here = (self.node(f"{op.short} {self.joins[op.short]}", "join"),)
            self.link(before, here[0])
        if here:  # else it is made of constants: no stream of the network
            self.source.update({v.id: here for v in op.outputs if v is not None})

    def node(self, name: str, kind: str) -> int:
        """The number of a node; a layer that is called twice is one."""
        return self.nodes.setdefault((name, kind), len(self.nodes))

    def link(self, before: Iterable[int], here: int) -> None:
        """Note where a node's input comes from."""
        self.edges.update(dict.fromkeys((node, here) for node in before))

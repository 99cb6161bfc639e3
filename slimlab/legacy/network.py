"""Floor 1. An inference model as values: operators, variables, inputs, outputs. Knows no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

# What an attribute of an operator may hold.
Attribute = bool | int | float | str | list[bool] | list[int] | list[float] | list[str]
Ends = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Variable:
    """A tensor of the network.

    Attributes
    ----------
    name
        Its name, the only one of this kind.
    dtype
        Such as `"float32"`.
    shape
        -1 for a size that depends on the number of images.
    numbers
        What is stored of a parameter or constant; None for what is computed.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    numbers: NDArray[np.generic] | None = None


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes
    ----------
    kind
        Its name in the program, such as `"conv2d"`.
    inputs, outputs
        Slot -> names of variables.
    attributes
        By name.
    """

    kind: str
    inputs: Ends
    outputs: Ends
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of all variables that it reads."""
        return tuple(name for names in self.inputs.values() for name in names)

    @property
    def makes(self) -> tuple[str, ...]:
        """Names of all variables that it writes."""
        return tuple(name for names in self.outputs.values() for name in names)


@dataclass(frozen=True)
class Network:
    """An inference model.

    Attributes
    ----------
    nodes
        In execution order.
    variables
        By name.
    inputs, outputs
        Names of variables.
    """

    nodes: tuple[Node, ...]
    variables: Mapping[str, Variable]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def tidied(self) -> Network:
        """The same without nodes and variables that no output depends on."""
        read, kept = set(self.outputs), []
        for node in reversed(self.nodes):
            if read.intersection(node.makes):
                kept.append(node)
                read.update(node.reads)
        named = {name for node in kept for name in (*node.reads, *node.makes)}
        named |= {*self.inputs, *self.outputs}
        known = {name: v for name, v in self.variables.items() if name in named}
        return replace(self, nodes=tuple(kept[::-1]), variables=known)

    def readers(self, name: str) -> list[Node]:
        """Nodes that read a variable."""
        return [node for node in self.nodes if name in node.reads]

    def stored(self) -> dict[str, NDArray[np.generic]]:
        """Numbers of parameters and constants, in the order of their names."""
        found = ((v.name, v.numbers) for v in self.variables.values())
        return {name: numbers for name, numbers in sorted(found) if numbers is not None}


def by_name(variables: Iterable[Variable]) -> dict[str, Variable]:
    """Variables in a dictionary."""
    return {variable.name: variable for variable in variables}

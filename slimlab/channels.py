"""Floor 1. Which elements of which tensors must be removed together, as constraints over atoms.

Every index along every axis of every parameter is an *atom*. Walking the program once, each value
gets, for every axis, an array that names the atom each index belongs to. Operators tie atoms
together (a convolution ties its input's channels to its filters' second axis) or freeze them (they
reach the network's output). At the end the connected components of atoms are the channels that can
be removed, with exact index maps through concatenation and reshape. This is the coupling of
DepGraph (Fang et al., CVPR 2023, arXiv 2301.12900), solved for single indices instead of for
layers.

Knows nothing of particular operators (`rules.py`) nor of what groups are used for (`graph.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from slimlab.trace import Value

Atoms = NDArray[np.int64]
FIXED = -1  # an index that can never be removed
Labels = tuple["Atoms | None", ...]  # one entry an axis; None: the axis has a fixed length


@dataclass(frozen=True)
class Axis:
    """An axis of a parameter whose indices can be removed: `("conv1.weight", 0)`."""

    parameter: str
    axis: int


class Channels:
    """The constraints gathered while walking a program.

    Rules call `labels`, `couple`, `freeze`, `produces`, `consumes` and `set`; `solve` is called
    once.
    """

    def __init__(self) -> None:
        self.axes: dict[Axis, Atoms] = {}
        self.producers: dict[Axis, str] = {}
        self.consumers: dict[Axis, str] = {}
        self.macs: dict[str, int] = {}
        self.outputs: dict[str, tuple[int, ...]] = {}
        self._count = 0
        self._values: dict[int, Labels] = {}
        self._lists: dict[int, tuple[Value, ...]] = {}
        self._edges: list[tuple[Atoms, Atoms]] = []
        self._frozen: list[tuple[Atoms, str]] = []

    # ---- what values carry -----------------------------------------------------------------

    def labels(self, value: Value) -> Labels:
        """The atoms along each axis of a value; a parameter's are made at first sight."""
        if value.parameter is not None:
            return tuple(self._axis(value, axis) for axis in range(len(value.shape)))
        return self._values.get(value.id, (None,) * len(value.shape))

    def set(self, value: Value, labels: Sequence[Atoms | None]) -> None:
        """Record the atoms along each axis of an operator's output."""
        # An axis of length one can't lose its only index, and broadcasts: it carries nothing.
        self._values[value.id] = tuple(
            None if size == 1 else along for size, along in zip(value.shape, labels, strict=True)
        )

    def set_list(self, value: Value, items: Sequence[Value]) -> None:
        """Record the tensors that a list value (`builtin.combine`) holds."""
        self._lists[value.id] = tuple(items)

    def items(self, value: Value) -> tuple[Value, ...]:
        """The tensors a value stands for: itself, or those of a list value."""
        return self._lists.get(value.id, (value,))

    def _axis(self, value: Value, axis: int) -> Atoms | None:
        size = value.shape[axis]
        if size <= 1 or value.parameter is None:
            return None
        key = Axis(value.parameter, axis)
        if key not in self.axes:
            self.axes[key] = np.arange(self._count, self._count + size)
            self._count += size
        return self.axes[key]

    # ---- constraints -----------------------------------------------------------------------

    def couple(self, a: Atoms | None, b: Atoms | None, reason: str) -> Atoms | None:
        """Tie two axes of equal length index by index; a fixed one freezes the other.

        Gives the atoms of the pair, or `None` when neither can change.
        """
        if a is None or b is None:
            self.freeze(a, reason)
            self.freeze(b, reason)
            return None
        self.freeze(a[b == FIXED], reason)
        self.freeze(b[a == FIXED], reason)
        self._edges.append((a, b))
        return a

    def freeze(self, atoms: Atoms | None, reason: str) -> None:
        """Say that these channels must stay, and why."""
        if atoms is not None and atoms.size:
            self._frozen.append((atoms, reason))

    def freeze_value(self, value: Value, reason: str) -> None:
        """Freeze every axis of a value (of each tensor, for a list)."""
        for item in self.items(value):
            for along in self.labels(item):
                self.freeze(along, reason)

    def produces(self, value: Value, axis: int, op: str) -> None:
        """Say that this parameter's axis makes an operator's output channels."""
        if value.parameter is not None:
            self.producers.setdefault(Axis(value.parameter, axis), op)

    def consumes(self, value: Value, axis: int, op: str) -> None:
        """Say that this parameter's axis is summed over: removing an index removes a term."""
        if value.parameter is not None:
            self.consumers.setdefault(Axis(value.parameter, axis), op)

    def count_macs(self, value: Value, positions: int, output: tuple[int, ...]) -> None:
        """Add multiply-adds: each element of this weight is used at `positions` places an image."""
        if value.parameter is not None:
            self.macs[value.parameter] = self.macs.get(value.parameter, 0) + positions
            self.outputs.setdefault(value.parameter, output)

    # ---- the solution ----------------------------------------------------------------------

    def solve(self) -> Solution:
        """Find which atoms go together and which of them must stay."""
        edges = [(a[keep], b[keep]) for a, b in self._edges for keep in [(a >= 0) & (b >= 0)]]
        rows = np.concatenate([a for a, _ in edges] or [np.empty(0, np.int64)])
        columns = np.concatenate([b for _, b in edges] or [np.empty(0, np.int64)])
        ties = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(self._count,) * 2)
        count, component = connected_components(ties, directed=False)
        reason = np.full(count, -1, np.int64)
        reasons = list(dict.fromkeys(why for _, why in self._frozen))
        number = {why: n for n, why in enumerate(reasons)}
        for atoms, why in reversed(self._frozen):  # the first reason given is the one kept
            reason[component[atoms[atoms >= 0]]] = number[why]
        return Solution(component.astype(np.int64), reason, tuple(reasons))


@dataclass(frozen=True, eq=False)
class Solution:
    """Channels as connected components of atoms.

    Attributes
    ----------
    component
        Shape `(atoms,)`: the channel each atom belongs to.
    reason
        Shape `(channels,)`: index into `reasons`, -1 where the channel can be removed.
    reasons
        Sentences.
    """

    component: Atoms
    reason: Atoms
    reasons: tuple[str, ...]

"""Floor 1. Which elements of which tensors must be removed together, as constraints over atoms.

Every index along every axis of every parameter is an *atom*. Walking the program once, each value
gets, for every axis, an array that names the atom each index belongs to. Operators tie atoms
together (a convolution ties its input's channels to its filters' second axis) or freeze them (they
reach the network's output). At the end the connected components of atoms are the channels that can
be removed, with exact index maps through concatenation and reshape. This is the coupling of
DepGraph (Fang et al., CVPR 2023, arXiv 2301.12900), solved for single indices instead of for
layers.

Knows nothing of particular operators (`rules/`) nor of what groups are used for (`graph.py`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from slimlab.constraints import (
    FIXED,
    Assumption,
    Atoms,
    Axis,
    HeldSize,
    Labels,
    Product,
    Solution,
)
from slimlab.places import Places
from slimlab.trace import Op, Program, Value

_NONE: Mapping[str, Atoms] = MappingProxyType({})
_NO_HEADS: Mapping[str, Mapping[str, int]] = MappingProxyType({})


class Channels:
    """The constraints gathered while walking a program.

    Rules read `labels` and `zeros`, call `couple`, `freeze`, `assume`, `produces` and `consumes`,
    and record their result with `set`; `solve` is called when the walk is over.
    """

    def __init__(
        self,
        program: Program | None = None,
        heads: Mapping[str, Mapping[str, int]] = _NO_HEADS,
    ) -> None:
        self.axes: dict[Axis, Atoms] = {}
        self.producers: dict[Axis, str] = {}
        self.consumers: dict[Axis, str] = {}
        self.macs: dict[str, int] = {}
        self.outputs: dict[str, tuple[int, ...]] = {}
        self.assumptions: list[Assumption] = []
        self.written: set[str] = set()
        self.products: list[Product] = []
        self.unusual = False
        self.guessed = False  # a number was taken for another tensor's size
        self.sizes: dict[str, HeldSize] = {}
        self._places = Places(program)
        self.remembered = heads
        self._count = 0
        self._starts: list[int] = []
        self._order: list[Axis | None] = []
        self._values: dict[int, Labels] = {}
        self._zeros: dict[int, tuple[bool, ...]] = {}
        self._lists: dict[int, tuple[Value, ...]] = {}
        self._parts: dict[int, Sequence[tuple[Labels, tuple[bool, ...]]]] = {}
        self._constants: dict[int, tuple[int, ...]] = {}
        self._sources: dict[int, str] = {}
        self._edges: list[tuple[Atoms, Atoms]] = []
        self._frozen: list[tuple[Atoms, str]] = []

    # ---- what values carry -----------------------------------------------------------------

    def labels(self, value: Value) -> Labels:
        """The atoms along each axis of a value; a parameter's are made at first sight."""
        if value.parameter is not None:
            return tuple(self._axis(value, axis) for axis in range(len(value.shape)))
        return self._values.get(value.id, (None,) * len(value.shape))

    def zeros(self, value: Value) -> tuple[bool, ...]:
        """For each axis, whether masking a channel there makes all that belongs to it zero."""
        if value.parameter is not None:
            return (not value.parameter.endswith("_variance"),) * len(value.shape)
        return self._zeros.get(value.id, (False,) * len(value.shape))

    def set(
        self,
        value: Value,
        labels: Sequence[Atoms | None],
        *,
        zeros: Sequence[bool] | None = None,
    ) -> None:
        """Record the atoms along each axis of an operator's output.

        `zeros` says for each axis whether a masked channel is zero there; nowhere when left out.
        """
        # An axis of length one can't lose its only index, and broadcasts: it carries nothing.
        self._values[value.id] = tuple(
            None if size == 1 else along for size, along in zip(value.shape, labels, strict=True)
        )
        self._zeros[value.id] = tuple(zeros) if zeros is not None else (False,) * len(value.shape)

    def knows(self, value: Value) -> bool:
        """Whether a rule has said something of a value."""
        return value.id in self._values or value.id in self._lists or value.id in self._parts

    def set_list(self, value: Value, items: Sequence[Value]) -> None:
        """Record the tensors that a list value (`builtin.combine`) holds."""
        self._lists[value.id] = tuple(items)

    def items(self, value: Value) -> tuple[Value, ...]:
        """The tensors a value stands for: itself, or those of a list value."""
        return self._lists.get(value.id, (value,))

    def set_parts(self, value: Value, parts: Sequence[tuple[Labels, tuple[bool, ...]]]) -> None:
        """Record labels and zero flags of each tensor of a list value that an operator made."""
        self._parts[value.id] = parts

    def parts(self, value: Value) -> Sequence[tuple[Labels, tuple[bool, ...]]] | None:
        """What `set_parts` recorded."""
        return self._parts.get(value.id)

    def set_constant(self, value: Value, numbers: Sequence[int]) -> None:
        """Record the numbers of a constant, such as the shape given to a reshape."""
        self._constants[value.id] = tuple(numbers)

    def constant(self, value: Value) -> tuple[int, ...] | None:
        """The numbers of a constant, or `None` when they are not known."""
        return self._constants.get(value.id)

    def derive(self, value: Value, origin: Value) -> None:
        """Say that a value is a parameter in another form (reshaped, transposed, cast)."""
        source = self.source(origin)
        if source:
            self._sources[value.id] = source

    def source(self, value: Value) -> str:
        """The parameter that a value is, or is another form of; `""` for activations."""
        return value.parameter or self._sources.get(value.id, "")

    def place(self, op: Op) -> str:
        """Words for the layer an operator lies in, ending in a space; nothing when not known."""
        return self._places.words(op)

    def layer(self, op: Op) -> str:
        """Structured name of the layer an operator lies in; `""` when not known."""
        return self._places.layer(op)

    def _axis(self, value: Value, axis: int) -> Atoms | None:
        size = value.shape[axis]
        if size <= 1 or value.parameter is None:
            return None
        key = Axis(value.parameter, axis)
        if key not in self.axes:
            self.axes[key] = np.arange(self._count, self._count + size)
            self._starts.append(self._count)
            self._order.append(key)
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

    def fresh(self, size: int) -> Atoms:
        """Atoms for an axis of no parameter, which is as long as it is asked to be."""
        made = np.arange(self._count, self._count + size)
        self._starts.append(self._count)
        self._order.append(None)
        self._count += size
        return made

    def guess(self, op: Op, atoms: Atoms | None, reason: str, numbers: Sequence[int]) -> None:
        """Allow channels to go if these numbers are sizes of other tensors, and shrink with them.

        A number that stands in the line of code, or is wrong in a rehearsal, keeps them.
        """
        if atoms is None or self.is_written(op, numbers):
            self.freeze(atoms, reason)
            return
        self.guessed = True
        part = "-".join(map(str, numbers))
        counted = atoms if len(atoms) in numbers else atoms[:0]
        self.assume(op, atoms, reason, part=part, counted=counted)

    def assume(
        self,
        op: Op,
        atoms: Atoms | None,
        reason: str,
        size: int | None = None,
        *,
        part: str = "",
        counted: Atoms | None = None,
    ) -> None:
        """Allow channels to go unless the forward turns out to have a size written into it.

        Parameters
        ----------
        op
            The operator that was given a size.
        atoms
            Channels the size depends on.
        reason
            What is wrong when it was written down.
        size
            The number, if known: when the line of code holds it, no trial is needed.
        part
            Tells assumptions of one line apart.
        counted
            Channels of which the size is the number; all of them when left out.
        """
        if atoms is None or not atoms.size:
            return
        line, _ = op.source
        key = f"{op.short} {line} {re.sub(r'_[0-9]+', '', op.where)}{part}"
        place = f" ({line})" if line else ""
        number = atoms if counted is None else counted
        self.assumptions.append(Assumption(key, atoms, f"{reason}{place}", number))
        # Small numbers stand in many lines by chance, as factors and axes.
        if size is not None and size >= 16 and self.is_written(op, [size]):
            self.written.add(key)

    def is_written(self, op: Op, numbers: Sequence[int]) -> bool:
        """Whether the line of code that asked for an operator holds one of these numbers."""
        _, code = op.source
        return any(str(number) in re.findall(r"\d+", code) for number in numbers)

    def remembering(self, layer: str, attribute: str) -> list[str]:
        """Where a layer, and those in it, remember a number by this name."""
        inside = [name for name in self.remembered if name == layer or name.startswith(f"{layer}.")]
        where = [name for name in inside if attribute in self.remembered[name]]
        return [f"{name}.{attribute}" if name else attribute for name in where]

    def holds(self, paths: Sequence[str], atoms: Atoms) -> None:
        """Say that attributes of layers are the number of these channels, and shrink with them."""
        for path in paths:
            old = self.sizes.setdefault(path, HeldSize(path, atoms)).atoms
            if old is not atoms:  # one number for several tensors: they lose the same
                self.couple(old, atoms, f"{path} is the size of several tensors")

    def freeze_value(self, value: Value, reason: str) -> None:
        """Freeze every axis of a value (of each tensor, for a list)."""
        for item in self.items(value):
            for along in self.labels(item):
                self.freeze(along, reason)

    def produces(self, value: Value, axis: int, op: str) -> None:
        """Say that this axis of a weight makes an operator's output channels."""
        own = self._own_axis(value, axis)
        if own is not None:
            self.producers.setdefault(own, op)

    def consumes(self, value: Value, axis: int, op: str) -> None:
        """Say that this axis of a weight is summed over: removing an index removes a term."""
        own = self._own_axis(value, axis)
        if own is not None:
            self.consumers.setdefault(own, op)

    def _own_axis(self, value: Value, axis: int) -> Axis | None:
        if value.parameter is not None:
            return Axis(value.parameter, axis)
        along = self.labels(value)[axis]
        return None if along is None else self.maker(along)

    def maker(self, along: Atoms) -> Axis | None:
        """The axis of a parameter that these atoms come from."""
        if not self._starts or not along.size or along.min() < 0:
            return None
        return self._order[bisect_right(self._starts, int(along[0])) - 1]

    def count_macs(self, value: Value, positions: int, output: tuple[int, ...]) -> None:
        """Add multiply-adds: each element of this weight is used at `positions` places an image."""
        source = self.source(value)
        if source:
            self.macs[source] = self.macs.get(source, 0) + positions
            self.outputs.setdefault(source, output)

    def count_product(self, op: Op, axes: tuple[tuple[int, Atoms | None], ...]) -> None:
        """Add the multiply-adds of a product of activations, with the length of each axis."""
        self.products.append(Product(self.layer(op), axes))

    # ---- the solution ----------------------------------------------------------------------

    def solve(
        self,
        wrong: Collection[str] = (),
        kept: Mapping[str, Atoms] = _NONE,
        sizes: Sequence[HeldSize] = (),
    ) -> Solution:
        """Find which atoms go together and which of them must stay.

        Parameters
        ----------
        wrong
            Keys of assumptions that don't hold.
        kept
            Reasons for atoms that must stay besides.
        sizes
            Numbers that layers remember and that are to shrink, besides those that rules named.
        """
        frozen = [*self._frozen, *((atoms, why) for why, atoms in kept.items())]
        held = dict(self.sizes)
        ties = [(held.setdefault(size.path, size).atoms, size.atoms) for size in sizes]
        frozen += [
            (x[y < 0], "a layer remembers its size") for a, b in ties for x, y in ((a, b), (b, a))
        ]
        frozen += [(a.atoms, a.reason) for a in self.assumptions if a.key in wrong]
        edges = [
            (a[keep], b[keep]) for a, b in [*self._edges, *ties] for keep in [(a >= 0) & (b >= 0)]
        ]
        rows = np.concatenate([a for a, _ in edges] or [np.empty(0, np.int64)])
        columns = np.concatenate([b for _, b in edges] or [np.empty(0, np.int64)])
        tied = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(self._count,) * 2)
        count, component = connected_components(tied, directed=False)
        reason = np.full(count, -1, np.int64)
        reasons = list(dict.fromkeys(why for _, why in frozen))
        number = {why: n for n, why in enumerate(reasons)}
        for atoms, why in reversed(frozen):  # the first reason given is the one kept
            reason[component[atoms[atoms >= 0]]] = number[why]
        sizes = tuple(held.values())
        return Solution(component.astype(np.int64), reason, tuple(reasons), sizes)

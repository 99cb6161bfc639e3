"""Floor 1. From a model to its graph: solve the channel constraints and gather what moves
together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.channels import Channels
from slimlab.constraints import Axis, Solution
from slimlab.cost import Cost, Length, Term
from slimlab.graph import ChannelGroup, Coverage, Graph, Indices, Member
from slimlab.layers import Tensors, count, is_trainable, stored_bytes, sublayers
from slimlab.profile import LayerProfile, Profile
from slimlab.rehearsal import Rehearsal, accept, unique
from slimlab.rules import walk
from slimlab.trace import as_inputs, trace_program
from slimlab.wiring import wire


def trace(model: Layer, example: Tensor | Sequence[Tensor]) -> Graph:
    """Find what can be pruned in a model. The model is not changed.

    Parameters
    ----------
    model
        Any layer that Paddle's `to_static` takes.
    example
        One input, shape `(1, channels, height, width)` for an image; a sequence for several inputs.

    Raises
    ------
    UnsupportedOpError
        When Paddle can't trace the model at all. Operators without a channel rule are no error:
        their channels are frozen and named in `graph.coverage`.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> nn = paddle.nn
    >>> model = nn.Sequential(nn.Conv2D(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    >>> graph = sl.trace(model, paddle.zeros([1, 1, 8, 8]))
    >>> graph.groups
    (ChannelGroup('0', width=8, members=3),)
    """
    inputs = as_inputs(example)
    program = trace_program(model, inputs)
    channels = walk(program)
    builder = settle(model, channels, Rehearsal(model, inputs, [v.shape for v in program.outputs]))
    groups = builder.groups
    batch = max(1, inputs[0].shape[0] if inputs and inputs[0].shape else 1)
    cost = builder.cost(groups, batch)
    profile = builder.profile(cost)
    specs = tuple((tuple(x.shape), str(x.dtype).rpartition(".")[2]) for x in inputs)
    coverage = builder.coverage(groups, cost, profile)
    wiring = wire(program, [row[0] for row in coverage.rows])
    return Graph(type(model).__name__, specs, groups, coverage, cost, profile, wiring)


def settle(model: Layer, channels: Channels, rehearsal: Rehearsal) -> Builder:
    """Solve the constraints, with a rehearsal where the model's code may not follow.

    Assumptions that a line of code refutes are dropped at once, others when a rehearsal fails with
    them. When it fails even without any, the groups that make it fail are frozen.
    """
    wrong = set(channels.written)
    builder = Builder(model, channels, channels.solve(wrong))
    doubtful = unique(
        a.key for a in channels.assumptions if a.key not in wrong and builder.is_free(a.atoms)
    )
    groups = builder.groups
    in_doubt = bool(doubtful) or rehearsal.reads or channels.unusual
    rehearsal.suspicious = channels.guessed
    if not groups or not in_doubt or not rehearsal.failure(groups):
        return builder

    def without(keys: Collection[str]) -> Builder:
        return Builder(model, channels, channels.solve(keys))

    all_wrong = wrong.union(doubtful)
    cautious = without(all_wrong)
    if doubtful:
        groups = cautious.groups
        if not rehearsal.failure(groups):
            held = accept(
                doubtful, lambda keys: not rehearsal.failure(without(all_wrong - keys).groups)
            )
            return without(all_wrong - held)
    why = {group: rehearsal.failure([group]) for group in groups} if len(groups) < 16 else {}
    good = accept(groups, lambda some: not rehearsal.failure([g for g in groups if g in some]))
    kept: dict[str, Indices] = {}
    for group in (g for g in groups if g not in good):
        told = why.get(group) or "the smaller model fails"
        reason = f"the forward seems to have its size written into it: {told}"
        root = group.members[0]
        atoms = channels.axes[Axis(root.parameter, root.axis)][root.indices.reshape(-1)]
        kept[reason] = np.concatenate([kept.get(reason, atoms[:0]), atoms])
    return Builder(model, channels, channels.solve(all_wrong, kept))


def profile(model: Layer, example: Tensor | Sequence[Tensor]) -> Profile:
    """Count parameters, multiply-adds and bytes of each layer.

    Parameters
    ----------
    model
        Any layer that Paddle's `to_static` takes; it is not changed.
    example
        One input with batch 1, or a sequence of them.

    Raises
    ------
    UnsupportedOpError
        When Paddle can't trace the model.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> sl.profile(paddle.nn.Conv2D(1, 8, 3, bias_attr=False), paddle.zeros([1, 1, 8, 8])).macs
    2592
    """
    return trace(model, example).profile


class Builder:
    """Turns solved constraints into groups, cost and coverage; lives for one call of `trace`."""

    def __init__(self, model: Layer, channels: Channels, solution: Solution) -> None:
        self.model = model
        self.channels = channels
        self.solution = solution
        self.slots = Tensors.of(model).slots
        self.values = model.state_dict()
        self.layers = sublayers(model)
        self.axes = [a for a in channels.axes if a.parameter in self.slots]
        sizes = [len(channels.axes[a]) for a in self.axes]
        atoms = np.concatenate([channels.axes[a] for a in self.axes] or [np.empty(0, np.int64)])
        self.which = np.repeat(np.arange(len(self.axes)), sizes)
        self.index = np.concatenate([np.arange(n) for n in sizes] or [np.empty(0, np.int64)])
        self.channel = solution.component[atoms] if len(atoms) else atoms

    def is_free(self, atoms: Indices) -> bool:
        """Whether any of these atoms may go, and a parameter with it."""
        own = self.solution.component[atoms[atoms >= 0]]
        return bool(((self.solution.reason[own] < 0) & self._held[own]).any())

    @cached_property
    def _held(self) -> NDArray[np.bool_]:
        """For each channel, whether a parameter has an index of it."""
        held = np.zeros(len(self.solution.reason), bool)
        held[self.channel] = True
        return held

    @cached_property
    def groups(self) -> tuple[ChannelGroup, ...]:
        """Channels that run through the same axes the same number of times form a group."""
        count_channels = len(self.solution.reason)
        free = self.solution.reason < 0
        made = np.zeros(count_channels, bool)
        is_producer = np.array([a in self.channels.producers for a in self.axes], bool)
        if len(self.axes):
            made[self.channel[is_producer[self.which]]] = True
        # A random 64-bit weight an axis makes a sum that is the same only for the same multiset.
        weights = np.random.default_rng(0).integers(1, 2**62, len(self.axes), dtype=np.uint64)
        signature = np.zeros(count_channels, np.uint64)
        np.add.at(signature, self.channel, weights[self.which])
        keep = (free & made)[self.channel] if len(self.channel) else np.empty(0, bool)
        entries = np.flatnonzero(keep)
        order = entries[np.argsort(signature[self.channel[entries]], kind="stable")]
        _, starts = np.unique(signature[self.channel[order]], return_index=True)
        found = [self._group(part) for part in np.split(order, starts[1:]) if len(part)]
        wide = [group for group in found if group[0].indices.shape[0] > 1]
        wide.sort(
            key=lambda g: (self._rank[Axis(g[0].parameter, g[0].axis)], int(g[0].indices[0, 0]))
        )
        return self._named(wide)

    @cached_property
    def _rank(self) -> dict[Axis, int]:
        return {axis: n for n, axis in enumerate(self.channels.producers)}

    def _group(self, entries: Indices) -> list[Member]:
        """Members of one group, the root first, channels ordered as in the root."""
        entries = entries[np.argsort(self.which[entries], kind="stable")]
        own = np.split(entries, np.flatnonzero(np.diff(self.which[entries])) + 1)
        last = len(self._rank)
        ranks = [self._rank.get(self.axes[self.which[mine[0]]], last) for mine in own]
        own.insert(0, own.pop(ranks.index(min(ranks))))
        first = np.unique(self.channel[own[0]], return_index=True)
        by_root = first[0][np.argsort(self.index[own[0]][first[1]], kind="stable")]
        in_order = np.argsort(by_root)
        members = []
        for mine in own:
            row = in_order[np.searchsorted(by_root, self.channel[mine], sorter=in_order)]
            mine = mine[np.lexsort((self.index[mine], row))]
            axis = self.axes[self.which[mine[0]]]
            members.append(
                Member(
                    layer=self.slots[axis.parameter][0].layer,
                    parameter=axis.parameter,
                    axis=axis.axis,
                    role=self._role(axis),
                    indices=self.index[mine].reshape(len(by_root), -1),
                )
            )
        return members

    def _role(self, axis: Axis) -> str:
        depthwise = self.channels.producers.get(axis) == "depthwise_conv2d"
        if axis in self.channels.producers and not depthwise:
            return "out"
        return "in" if axis in self.channels.consumers else "along"

    def _named(self, found: list[list[Member]]) -> tuple[ChannelGroup, ...]:
        roots = [members[0].layer for members in found]
        times = Counter(roots)
        named = []
        for members, root in zip(found, roots, strict=True):
            first = int(members[0].indices[0, 0])
            name = root if times[root] == 1 else f"{root}[{first}:]"
            named.append(ChannelGroup(name, root, len(members[0].indices), tuple(members)))
        return tuple(named)

    def cost(self, groups: Sequence[ChannelGroup], batch: int) -> Cost:
        """A term a tensor: coefficients, and the lengths of the axes that can shrink."""
        owned: dict[Axis, list[tuple[int, int]]] = {}
        for n, group in enumerate(groups):
            for m in group.members:
                owned.setdefault(Axis(m.parameter, m.axis), []).append((n, m.indices.shape[1]))
        terms = []
        for name, slots in self.slots.items():
            tensor = self.values[name]
            factors = []
            rest = count(tensor)
            for axis, size in enumerate(tensor.shape):
                pieces = tuple(owned.get(Axis(name, axis), ()))
                if pieces:
                    held = sum(groups[n].width * times for n, times in pieces)
                    factors.append(Length(size - held, pieces))
                    rest //= size
            macs = self.channels.macs.get(name, 0) * rest
            term = Term(
                layer=slots[0].layer,
                macs=macs,
                params=rest if is_trainable(tensor) else 0,
                size=stored_bytes(self.layers[slots[0].layer], slots[0].attribute, tensor, rest),
                factors=tuple(factors),
            )
            terms.append(term)
        terms += self._products(groups, batch)
        names = tuple(group.name for group in groups)
        return Cost(names, tuple(group.width for group in groups), tuple(terms))

    def _products(self, groups: Sequence[ChannelGroup], batch: int) -> list[Term]:
        """Multiply-adds between activations: a term each, without parameters."""
        if not self.channels.products:
            return []
        group_of = {}
        for n, group in enumerate(groups):
            root = group.members[0]
            first = self.channels.axes[Axis(root.parameter, root.axis)][root.indices[:, 0]]
            group_of.update(dict.fromkeys(self.solution.component[first].tolist(), n))
        terms = []
        for product in self.channels.products:
            factors, rest = [], 1
            for size, atoms in product.axes:
                own = atoms[atoms >= 0] if atoms is not None else np.empty(0, np.int64)
                found = [group_of.get(c) for c in self.solution.component[own].tolist()]
                counts = Counter(n for n in found if n is not None)
                pieces = tuple((n, counts[n] // groups[n].width) for n in sorted(counts))
                if pieces:
                    held = sum(groups[n].width * times for n, times in pieces)
                    factors.append(Length(size - held, pieces))
                else:
                    rest *= size
            # The batch is one of the axes, or hidden in one (windows of an image).
            share = rest // batch if rest % batch == 0 else rest
            terms.append(Term(product.layer, share, 0, 0, tuple(factors)))
        return terms

    def profile(self, cost: Cost) -> Profile:
        """The table of layers, in structured order."""
        layers = self.layers
        outputs = {
            self.slots[name][0].layer: shape
            for name, shape in self.channels.outputs.items()
            if name in self.slots
        }
        rows = [
            LayerProfile(
                layer=name,
                type=type(layers[name]).__name__,
                params=total.params,
                macs=total.macs,
                bytes=total.bytes,
                output=outputs.get(name, ()),
            )
            for name, total in cost.by_layer().items()
        ]
        return Profile(tuple(rows))

    def coverage(self, groups: Sequence[ChannelGroup], cost: Cost, profile: Profile) -> Coverage:
        """Which layers can lose outputs, and the reason why the others can't."""
        touched: set[str] = set()
        group_of: dict[str, str] = {}
        for group in groups:
            for m in group.members:
                if Axis(m.parameter, m.axis) in self.channels.producers:
                    group_of.setdefault(m.layer, group.name)
                elif m.role == "in":
                    touched.add(m.layer)
        touched |= set(group_of)
        by_layer = {row.layer: row for row in profile.layers}
        rows = []
        for axis in self.channels.producers:
            if axis.parameter not in self.slots:
                continue
            layer = self.slots[axis.parameter][0].layer
            row = by_layer[layer]
            name = group_of.get(layer, "")
            reason = "" if name else self._reason(axis)
            rows.append((layer, row.type, row.params, row.macs, bool(name), name, reason))
        params = sum(by_layer[name].params for name in touched)
        return Coverage(
            tuple(dict.fromkeys(rows)),
            cost.shrinking_macs() / max(1, profile.macs),
            params / max(1, profile.params),
        )

    def _reason(self, axis: Axis) -> str:
        if axis not in self.channels.axes:
            return "it has a single output channel"
        found = self.solution.reason[self.solution.component[self.channels.axes[axis]]]
        blocked = found[found >= 0]
        return (
            self.solution.reasons[blocked[0]] if len(blocked) else "its channels can't be separated"
        )

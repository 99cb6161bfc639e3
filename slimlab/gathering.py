"""Floor 1. From solved constraints to groups, cost, profile and coverage. Knows no operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.channels import Channels
from slimlab.constraints import Axis, Solution
from slimlab.cost import Cost, Length, Term
from slimlab.graph import ChannelGroup, Coverage, Indices, Member
from slimlab.layers import Tensors, count, is_trainable, stored_bytes, sublayers
from slimlab.profile import LayerProfile, Profile


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
        held = self._sizes(found)
        named = []
        used: set[str] = set()
        for n, (members, root) in enumerate(zip(found, roots, strict=True)):
            first = int(members[0].indices[0, 0])
            name = root if times[root] == 1 else f"{root}[{first}:]"
            if name in used:  # a layer with several weights
                name = f"{members[0].parameter}[{first}:]"
            used.add(name)
            width = len(members[0].indices)
            named.append(ChannelGroup(name, root, width, tuple(members), held.get(n, ())))
        return tuple(named)

    def _sizes(self, found: list[list[Member]]) -> dict[int, tuple[tuple[str, int], ...]]:
        """Position of a group to the attributes of layers that count its channels, how often."""
        if not self.solution.sizes:
            return {}
        groups = self._group_of([members[0] for members in found])
        counts: dict[int, Counter[str]] = {}
        for size in self.solution.sizes:
            own = size.atoms[size.atoms >= 0]
            for component in self.solution.component[own].tolist():
                if component in groups:
                    counts.setdefault(groups[component], Counter())[size.path] += 1
        return {
            n: tuple((path, times // len(found[n][0].indices)) for path, times in own.items())
            for n, own in counts.items()
        }

    def _group_of(self, roots: Sequence[Member]) -> dict[int, int]:
        """Channel to the position of its group, given the first member of each."""
        found: dict[int, int] = {}
        for n, root in enumerate(roots):
            first = self.channels.axes[Axis(root.parameter, root.axis)][root.indices[:, 0]]
            found.update(dict.fromkeys(self.solution.component[first].tolist(), n))
        return found

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
        group_of = self._group_of([group.members[0] for group in groups])
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

"""Floor 3. The choice of widths as arrays: what each level of each group loses, and what it costs.

Multiplying a term's lengths out gives products of kept channels: one group's for a layer whose
input is fixed, two groups' for a convolution between them. So the cost is a sum of small tables,
each over one or a few groups. Knows numbers only: no ratios, no drops, no solver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from slimlab.cost import Cost

Array = NDArray[np.float64]
Choice = NDArray[np.int64]
# A variable's own costs, those it shares with one other side by side, where each of these begins,
# the others, and tables over more.
Part = tuple[Array, Array, Choice, Choice, list[tuple[tuple[int, ...], Array]]]
SLACK = 1e-12  # shares are quotients of whole numbers: this is rounding, not a missed budget


@dataclass(frozen=True, eq=False)
class Problem:
    """Choose a level for each variable: least loss, costs within limits.

    Attributes
    ----------
    losses
        For each variable, what each of its levels loses, shape `(levels,)`.
    tables
        Ascending variable numbers to what they cost together, shape `(resources, *levels)`.
    limits
        What all tables may add up to, shape `(resources,)`.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.allocate.problem import Problem
    >>> two = Problem((np.array([0.0, 1.0]),), {(0,): np.array([[1.0, 0.5]])}, np.array([0.6]))
    >>> two.is_within([0]), two.is_within([1])
    (False, True)
    """

    losses: tuple[Array, ...]
    tables: Mapping[tuple[int, ...], Array]
    limits: Array

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each variable."""
        return tuple(len(loss) for loss in self.losses)

    def loss(self, choice: Sequence[int] | Choice) -> float:
        """What a choice of levels loses."""
        return float(sum(loss[n] for loss, n in zip(self.losses, choice, strict=True)))

    def cost(self, choice: Sequence[int] | Choice) -> Array:
        """What a choice costs, shape `(resources,)`."""
        total = np.zeros(len(self.limits))
        for scope, table in self.tables.items():
            total += table[(slice(None), *(choice[v] for v in scope))]
        return total

    def is_within(self, choice: Sequence[int] | Choice) -> bool:
        """Whether a choice is within all limits."""
        return bool((self.cost(choice) <= self.limits + SLACK).all())

    def alternatives(self, choice: Choice, variable: int) -> Array:
        """Costs in which a variable has a part, for each of its levels: `(resources, levels)`."""
        alone, pairs, starts, others, more = self._touching[variable]
        total = alone.copy()
        if len(others):
            total += pairs[:, :, starts + choice[others]].sum(axis=2)
        for scope, table in more:
            where = tuple(slice(None) if v == variable else choice[v] for v in scope)
            total += table[(slice(None), *where)]
        return total

    @cached_property
    def _touching(self) -> tuple[Part, ...]:
        return tuple(self._part(v) for v in range(len(self.losses)))

    def _part(self, variable: int) -> Part:
        """A variable's tables, those of pairs side by side so that one look-up reads them all."""
        shape = (len(self.limits), len(self.losses[variable]))
        alone, pairs, others, more = np.zeros(shape), [np.zeros((*shape, 0))], [], []
        for scope, table in self.tables.items():
            if scope == (variable,):
                alone += table
            elif variable in scope and len(scope) == 2:
                pairs.append(table if scope[0] == variable else table.transpose(0, 2, 1))
                others.append(scope[1] if scope[0] == variable else scope[0])
            elif variable in scope:
                more.append((scope, table))
        starts = np.cumsum([0, *(part.shape[2] for part in pairs[1:-1])], dtype=np.int64)
        stacked = np.concatenate(pairs, axis=2)
        return alone, stacked, starts[: len(others)], np.array(others, dtype=np.int64), more


def cost_tables(
    cost: Cost, kept: Mapping[str, NDArray[np.int64]], resources: Sequence[str]
) -> tuple[dict[tuple[int, ...], Array], Array]:
    """Tables of a network's cost, in shares of the whole, and the share that no choice changes.

    Parameters
    ----------
    cost
        The network's.
    kept
        Group to the channels that each of its levels keeps; the others keep all. Variables are
        numbered in this order.
    resources
        Of `"macs"`, `"params"`, `"bytes"`.
    """
    whole = cost.totals()
    scale = np.array([1 / max(1, getattr(whole, name)) for name in resources])
    values = [np.asarray(levels, dtype=np.float64) for levels in kept.values()]
    tables: dict[tuple[int, ...], Array] = {}
    fixed = np.zeros(len(resources))
    for powers, coefficients in _monomials(cost, list(kept), resources).items():
        scope = tuple(dict.fromkeys(powers))
        if not scope:
            fixed = coefficients * scale
            continue
        table = (coefficients * scale).reshape(-1, *(1 for _ in scope))
        for axis, variable in enumerate(scope):
            shape = [1] * (len(scope) + 1)
            shape[axis + 1] = -1
            table = table * (values[variable] ** powers.count(variable)).reshape(shape)
        tables[scope] = tables[scope] + table if scope in tables else table
    return tables, fixed


def stacked(
    first: Mapping[tuple[int, ...], Array], second: Mapping[tuple[int, ...], Array], count: int
) -> dict[tuple[int, ...], Array]:
    """Tables of one more resource, `second`, behind the `count` resources of `first`."""
    found = {}
    for scope in dict.fromkeys((*first, *second)):
        shape = (first[scope] if scope in first else second[scope]).shape[1:]
        ahead = first[scope] if scope in first else np.zeros((count, *shape))
        behind = second[scope] if scope in second else np.zeros((1, *shape))
        found[scope] = np.concatenate([ahead, behind])
    return found


def _monomials(
    cost: Cost, names: Sequence[str], resources: Sequence[str]
) -> dict[tuple[int, ...], Array]:
    """Products of variables (ascending, repeated for powers) to their coefficients."""
    number = {name: n for n, name in enumerate(names)}
    variable = [number.get(name) for name in cost.groups]
    found: dict[tuple[int, ...], Array] = {}
    for term in cost.terms:
        each = {"macs": term.macs, "params": term.params, "bytes": term.size}
        coefficients = np.array([each[name] for name in resources], dtype=np.float64)
        sums: list[list[tuple[tuple[int, ...], int]]] = []
        for length in term.factors:
            constant = length.constant
            parts: list[tuple[tuple[int, ...], int]] = []
            for group, times in length.per_group:
                where = variable[group]
                if where is None:
                    constant += times * cost.widths[group]
                else:
                    parts.append(((where,), times))
            sums.append([((), constant), *parts] if constant else parts)
        for picked in product(*sums):
            powers = tuple(sorted(v for scope, _ in picked for v in scope))
            times = int(np.prod([t for _, t in picked], dtype=np.int64)) if picked else 1
            found[powers] = found.get(powers, 0.0) + coefficients * times
    return found

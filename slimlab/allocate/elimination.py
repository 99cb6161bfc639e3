"""Floor 3. Exact minima of a sum of small tables, by eliminating one variable after another.

Bucket elimination (Dechter, Artificial Intelligence 113, 1999), dynamic programming on any graph:
a variable is minimised away for every choice of its neighbours, which leaves a table over these.
Along a chain of layers that table has one axis, in a residual network two. Where neighbours are so
many that a table would be large, as in a network of concatenations, `Elimination.of` gives None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimlab.allocate.problem import Array, Choice, Problem

LARGEST = 200_000  # entries of a table: a tenth of a second a pass, at most


@dataclass(frozen=True, eq=False)
class Bucket:
    """A variable with what is decided when it is eliminated.

    Attributes
    ----------
    variable
        The one that is minimised away.
    others
        Its neighbours then, ascending.
    own
        Loss and cost that are charged here, shape `(1 + resources, levels, *levels of others)`.
    parent
        The bucket that its minimum goes to: that of the first of `others` to be eliminated.
    """

    variable: int
    others: tuple[int, ...]
    own: Array
    parent: int | None


@dataclass(frozen=True, eq=False)
class Minimum:
    """The least weighted sum, and the way there.

    Attributes
    ----------
    value
        The minimum.
    tables
        For each bucket what its levels lead to at best, shape `(levels, *levels of others)`.
    """

    value: float
    tables: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Elimination:
    """A problem's tables sorted into buckets, in the order of elimination."""

    buckets: tuple[Bucket, ...]

    @classmethod
    def of(cls, problem: Problem) -> Elimination | None:
        """Sort a problem's tables; None when a table would become too large."""
        order = _order(problem)
        if order is None:
            return None
        place = {variable: n for n, (variable, _) in enumerate(order)}
        sizes = problem.sizes
        own = [_empty(problem, variable, others) for variable, others in order]
        for scope, table in problem.tables.items():
            n = min(place[v] for v in scope)
            own[n][1:] += _aligned(table, scope, (order[n][0], *order[n][1]), sizes)
        buckets = []
        for (variable, others), table in zip(order, own, strict=True):
            parent = min((place[v] for v in others), default=None)
            buckets.append(Bucket(variable, others, table, parent))
        return cls(tuple(buckets))

    def minimum(self, weights: Array) -> Minimum:
        """Minimise `weights @ [loss, *cost]`, with weights of shape `(1 + resources,)`."""
        sums = [np.tensordot(weights, b.own, axes=(0, 0)) for b in self.buckets]
        value = 0.0
        for bucket, table in zip(self.buckets, sums, strict=True):
            least = table.min(axis=0)
            if bucket.parent is None:
                value += float(least)
                continue
            parent = self.buckets[bucket.parent]
            scope = (parent.variable, *parent.others)
            # Own tables are added to in place: they belong to this pass.
            sums[bucket.parent] += _spread(least, bucket.others, scope)
        return Minimum(value, tuple(sums))

    def choice(self, minimum: Minimum) -> Choice:
        """The levels that the minimum is reached with; among equals the first."""
        chosen = np.zeros(len(self.buckets), dtype=np.int64)
        for bucket, table in zip(reversed(self.buckets), reversed(minimum.tables), strict=True):
            row = table[(slice(None), *(chosen[v] for v in bucket.others))]
            chosen[bucket.variable] = int(row.argmin())
        return chosen


def _empty(problem: Problem, variable: int, others: tuple[int, ...]) -> Array:
    sizes = problem.sizes
    table = np.zeros((1 + len(problem.limits), sizes[variable], *(sizes[v] for v in others)))
    table[0] += problem.losses[variable].reshape(-1, *(1 for _ in others))
    return table


def _order(problem: Problem) -> list[tuple[int, tuple[int, ...]]] | None:
    """Variables with their neighbours at elimination, fewest neighbours first."""
    sizes = problem.sizes
    near: dict[int, set[int]] = {v: set() for v in range(len(sizes))}
    for scope in problem.tables:
        for v in scope:
            near[v].update(u for u in scope if u != v)
    order = []
    while near:
        variable = min(near, key=lambda v: (len(near[v]), v))
        others = near.pop(variable)
        if sizes[variable] * np.prod([sizes[v] for v in others], dtype=float) > LARGEST:
            return None
        for v in others:
            near[v] |= others - {v}
            near[v].discard(variable)
        order.append((variable, tuple(sorted(others))))
    return order


def _aligned(
    table: Array, scope: tuple[int, ...], target: tuple[int, ...], sizes: tuple[int, ...]
) -> Array:
    """A table `(resources, *scope)` on the axes `(resources, *target)`, to be broadcast."""
    axes = sorted(range(len(scope)), key=lambda n: target.index(scope[n]))
    moved = table.transpose(0, *(n + 1 for n in axes))
    shape = [sizes[v] if v in scope else 1 for v in target]
    return np.asarray(moved.reshape(len(table), *shape))


def _spread(least: Array, scope: tuple[int, ...], target: tuple[int, ...]) -> Array:
    axes = sorted(range(len(scope)), key=lambda n: target.index(scope[n]))
    moved = least.transpose(axes)
    lengths = iter(moved.shape)
    return np.asarray(moved.reshape([next(lengths) if v in scope else 1 for v in target]))

"""Floor 3. Search below a Lagrangian bound: partial choices that can't win are dropped.

The second half of `solve.py`, which says how it works.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slimlab.allocate.elimination import Bucket, Elimination
from slimlab.allocate.problem import SLACK, Array, Choice, Problem

WINDOW = 64  # partial choices compared with each other at once, where there are several limits


@dataclass(frozen=True, eq=False)
class Labels:
    """Partial choices, one a row.

    Attributes
    ----------
    chosen
        Levels, shape `(rows, variables)`; of those not chosen yet, 0.
    loss, cost
        Of what is chosen: shape `(rows,)` and `(rows, resources)`.
    bound
        What each can lead to at best, at the prices: shape `(rows,)`.
    least
        The lowest cost that each can lead to: shape `(rows, resources)`.
    """

    chosen: NDArray[np.int64]
    loss: Array
    cost: Array
    bound: Array
    least: Array

    def take(self, rows: NDArray[np.int64]) -> Labels:
        """Some of the rows."""
        return Labels(
            self.chosen[rows],
            self.loss[rows],
            self.cost[rows],
            self.bound[rows],
            self.least[rows],
        )


def search(
    problem: Problem, elimination: Elimination, prices: Array, *, below: float, labels: int
) -> tuple[Choice | None, float]:
    """Find the choice of least loss, if it is below `below`, and a bound that was proven.

    Returns
    -------
    choice, bound
        None when no choice within the limits loses less than `below`. No choice loses less than
        the smaller of `bound` and the loss of the one that is given.
    """
    count = len(problem.limits)
    best = elimination.minimum(np.concatenate([[1.0], prices]))
    cheapest = [elimination.minimum(row) for row in np.eye(count + 1)[1:]]
    front = Labels(
        np.zeros((1, len(problem.losses)), dtype=np.int64),
        np.zeros(1),
        np.zeros((1, count)),
        np.full(1, best.value - float(prices @ problem.limits)),
        np.array([[minimum.value for minimum in cheapest]]),
    )
    proven = below
    for n in reversed(range(len(elimination.buckets))):
        bucket = elimination.buckets[n]
        tables = [minimum.tables[n] for minimum in (best, *cheapest)]
        front = _extended(front, bucket, tables, (below, problem.limits))
        # Comparing them takes longest, so the worst of very many are dropped before.
        front, dropped = _lowest(front, 4 * labels)
        proven = min(proven, dropped)
        front = front.take(_undominated(front, _open(elimination, n), problem.sizes))
        front, dropped = _lowest(front, labels)
        proven = min(proven, dropped)
        if not len(front.loss):
            return None, proven
    n = int(front.loss.argmin())
    return front.chosen[n], proven


def _lowest(front: Labels, count: int) -> tuple[Labels, float]:
    """At most so many labels, those of the lowest bounds; and the lowest of the others."""
    if len(front.loss) <= count:
        return front, np.inf
    order = np.argsort(front.bound, kind="stable")
    return front.take(np.sort(order[:count])), float(front.bound[order[count]])


def _extended(
    front: Labels, bucket: Bucket, tables: Sequence[Array], limits: tuple[float, Array]
) -> Labels:
    """Every label with every level of one more variable, where that can lead to the goal.

    `tables` hold what each level leads to at best: at the prices, and in each cost alone. `limits`
    are those of the bound and of the costs.
    """
    size = len(tables[0])
    context = np.zeros(len(front.loss), dtype=np.int64)
    for v, levels in zip(bucket.others, tables[0].shape[1:], strict=True):
        context = context * levels + front.chosen[:, v]
    # Shape (labels, levels): most are dropped here, before anything else is copied.
    bounds = front.bound[:, None] + _excess(tables[0])[:, context].T
    possible = bounds < limits[0]
    least = []
    for n, table in enumerate(tables[1:]):
        least.append(front.least[:, n, None] + _excess(table)[:, context].T)
        possible &= least[-1] <= limits[1][n] + SLACK
    rows, level = np.nonzero(possible)
    own = bucket.own.reshape(len(bucket.own), size, -1)[:, level, context[rows]]
    chosen = front.chosen[rows]
    chosen[:, bucket.variable] = level
    return Labels(
        chosen,
        front.loss[rows] + own[0],
        front.cost[rows] + own[1:].T,
        bounds[rows, level],
        np.column_stack([table[rows, level] for table in least]),
    )


def _excess(table: Array) -> Array:
    """How far each level leads above the best one, shape `(levels, contexts)`."""
    flat = table.reshape(len(table), -1)
    return np.asarray(flat - flat.min(axis=0))


def _open(elimination: Elimination, done: int) -> tuple[int, ...]:
    """The variables chosen until now that those still to come depend on."""
    later = elimination.buckets[:done]
    chosen = {bucket.variable for bucket in elimination.buckets[done:]}
    return tuple(sorted({v for bucket in later for v in bucket.others} & chosen))


def _undominated(
    front: Labels, shared: tuple[int, ...], sizes: tuple[int, ...]
) -> NDArray[np.int64]:
    """Rows that no other row of equal open variables beats in loss and all costs."""
    if len(front.loss) < 2:
        return np.arange(len(front.loss))
    state = _states(front.chosen[:, shared], [sizes[v] for v in shared])
    # Costs that are equal but for rounding must sort as equal.
    costs = np.round(front.cost, 12)
    order = np.lexsort((front.loss, *costs.T[::-1], state))
    if costs.shape[1] == 1:
        keep = _falling(front.loss[order], state[order])
    else:
        keep = _unbeaten(np.column_stack([costs, front.loss])[order], state[order])
    return np.sort(order[keep])


def _states(levels: NDArray[np.int64], sizes: list[int]) -> NDArray[np.int64]:
    """A number for every different row."""
    if math.prod(sizes) >= 2**62:
        return np.asarray(np.unique(levels, axis=0, return_inverse=True)[1]).reshape(-1)
    state = np.zeros(len(levels), dtype=np.int64)
    for column, size in zip(levels.T, sizes, strict=True):
        state = state * size + column
    return state


def _falling(losses: Array, state: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows, by rising cost within each state, that lose less than all before them."""
    starts = np.flatnonzero(np.r_[True, state[1:] != state[:-1]])
    # One pass for all states: each is lifted below the one before it.
    span = float(losses.max() - losses.min()) + 1.0
    lifted = losses - span * np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(state)]))
    before = np.r_[np.inf, np.minimum.accumulate(lifted)[:-1]]
    before[starts] = np.inf
    return np.asarray(lifted < before)


def _unbeaten(values: Array, state: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows that none of the rows just before them, in the same state, beats in every value."""
    count = len(values)
    blocks = -(-count // WINDOW)
    padded = np.full((blocks * WINDOW, values.shape[1]), np.inf)
    padded[:count] = values
    own = np.full(blocks * WINDOW, -1)
    own[:count] = state
    states = own.reshape(blocks, WINDOW)
    beaten = states[:, None, :] == states[:, :, None]
    # Of rows equal in everything the first stays: only earlier ones beat a row.
    beaten &= np.tri(WINDOW, k=-1, dtype=bool)
    for column in padded.T.reshape(-1, blocks, WINDOW):
        beaten &= column[:, None, :] <= column[:, :, None]
    return np.asarray(~beaten.any(axis=2).reshape(-1)[:count])

"""Floor 3. The best levels within limits: Lagrangian bound, then an exact search below it.

1. Prices for the limits (Lagrange multipliers) turn the problem into a sum of tables, whose minimum
   `elimination.py` gives exactly. The best prices give a lower bound for any choice; they are found
   by cutting planes (Kelley, J. SIAM 8, 1960). Greedy steps turn what is met on the way into a
   choice within the limits: an upper bound.
2. Partial choices are then extended variable by variable, in the opposite order. The tables tell
   what each can lead to at best; what can't beat the upper bound is dropped, as is what is no
   better in anything than another with the same open neighbours (dominance, as in the constrained
   shortest path). What is left at the end is the optimum.

Everything is deterministic; the work is limited by a number of partial choices, not by a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from slimlab.allocate.elimination import Elimination
from slimlab.allocate.improve import fit, refine
from slimlab.allocate.labels import search
from slimlab.allocate.problem import SLACK, Array, Choice, Problem

CUTS = 80  # of the cutting planes; one budget needs about ten
LABELS = 20_000  # partial choices kept at once: about a second of work at most


@dataclass(frozen=True, eq=False)
class Solution:
    """Levels within the limits, and how good they are at least.

    Attributes
    ----------
    choice
        Level of each variable.
    loss
        What it loses.
    bound
        No choice within the limits loses less than this; 0 where nothing better is known.
    method
        `"exact"` where the bound comes from elimination, `"greedy"` where the network was too
        entangled for it.
    """

    choice: Choice
    loss: float
    bound: float
    method: str

    @property
    def gap(self) -> float:
        """How much less the best choice may lose, at most."""
        return max(0.0, self.loss - self.bound)


def solve(problem: Problem, *, gap: float = 1e-3, labels: int = LABELS) -> Solution | None:
    """Choose levels of least loss within the limits; None when there is no such choice.

    Parameters
    ----------
    problem
        Losses must not be negative; costs may be any numbers.
    gap
        The search ends when this share of the loss is all that can still be gained; 0 for the
        optimum.
    labels
        Partial choices kept at once. When there are more, those of the lowest bound stay, and the
        solution's `bound` says what that can have cost.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.allocate.problem import Problem
    >>> from slimlab.allocate.solve import solve
    >>> keep = np.array([4.0, 3.0, 2.0, 1.0]) / 4
    >>> product = (keep[:, None] * keep[None, :])[None]
    >>> losses = (np.array([0.0, 1.0, 2.0, 9.0]), np.array([0.0, 1.5, 4.0, 9.0]))
    >>> found = solve(Problem(losses, {(0, 1): product}, np.array([0.5])), gap=0)
    >>> found.choice.tolist(), found.loss, found.gap
    ([2, 0], 2.0, 0.0)
    """
    free = np.array([int(loss.argmin()) for loss in problem.losses])
    if problem.is_within(free):
        return Solution(free, problem.loss(free), problem.loss(free), "exact")
    elimination = Elimination.of(problem)
    if elimination is None:
        return _greedy(problem, [free, descended(problem)])
    cheapest = _cheapest(problem, elimination)
    if cheapest is None:
        return None
    prices, bound, met = _prices(problem, elimination, [free, *cheapest])
    best = _greedy(problem, met)
    enough = np.inf if best is None else best.loss - gap * max(1e-9, best.loss)
    if best is not None and bound >= enough:
        return Solution(best.choice, best.loss, bound, "exact")
    choice, proven = search(problem, elimination, prices, below=enough, labels=labels)
    if best is not None and (choice is None or problem.loss(choice) >= best.loss):
        choice = best.choice
    if choice is None:
        return None
    loss = problem.loss(choice)
    return Solution(choice, loss, min(loss, max(bound, proven)), "exact")


def _cheapest(problem: Problem, elimination: Elimination) -> list[Choice] | None:
    """Choices that are least in one cost each and in all together; None if one can't be met."""
    count = len(problem.limits)
    least = [elimination.minimum(row) for row in np.eye(count + 1)[1:]]
    if any(m.value > limit + SLACK for m, limit in zip(least, problem.limits, strict=True)):
        return None
    weights = np.concatenate([[0.0], 1 / np.maximum(problem.limits, 1e-3)])
    return [elimination.choice(m) for m in (*least, elimination.minimum(weights))]


def descended(problem: Problem) -> Choice:
    """A choice in which no change of one variable lowers the sum of all costs."""
    chosen = np.zeros(len(problem.losses), dtype=np.int64)
    while True:
        before = chosen.copy()
        for v in range(len(problem.losses)):
            sums = problem.alternatives(chosen, v).sum(axis=0)
            if sums.min() < sums[chosen[v]] - SLACK:
                chosen[v] = int(sums.argmin())
        if (chosen == before).all():
            return chosen


def _greedy(problem: Problem, starts: list[Choice]) -> Solution | None:
    """The best of what greedy steps make of some choices; None where none of them fits."""
    fitted = [c for c in (fit(problem, start) for start in starts) if c is not None]
    if not fitted:
        return None
    fitted.sort(key=problem.loss)
    refined = [refine(problem, choice) for choice in fitted[:2]]
    best = min(refined, key=problem.loss)
    return Solution(best, problem.loss(best), 0.0, "greedy")


def _prices(
    problem: Problem, elimination: Elimination, starts: list[Choice]
) -> tuple[Array, float, list[Choice]]:
    """The prices of the best bound, that bound, and the choices that were met last."""
    count = len(problem.limits)
    met = list(starts)
    best = (-np.inf, np.zeros(count))
    for _ in range(CUTS):
        prices, promise = _next_prices(problem, met)
        minimum = elimination.minimum(np.concatenate([[1.0], prices]))
        value = minimum.value - float(prices @ problem.limits)
        if value > best[0]:
            best = (value, prices)
        if promise - best[0] <= 1e-7 * max(1.0, abs(best[0])):
            break
        met.append(elimination.choice(minimum))
    return best[1], float(best[0]), [*met[-6:], *starts]


def _next_prices(problem: Problem, met: list[Choice]) -> tuple[Array, float]:
    """Prices that give the highest bound as far as the choices met until now tell."""
    over = np.array([problem.cost(choice) - problem.limits for choice in met])
    losses = np.array([problem.loss(choice) for choice in met])
    count = len(problem.limits)
    # Maximise t with t <= loss + prices @ over for all choices met.
    rows = np.column_stack([np.ones(len(met)), -over])
    most = 1e6 * max(1.0, float(losses.max()))
    result = linprog(
        np.concatenate([[-1.0], np.zeros(count)]),
        A_ub=rows,
        b_ub=losses,
        bounds=[(None, None), *([(0, most)] * count)],
        method="highs",
    )
    return np.asarray(result.x[1:], dtype=np.float64), float(result.x[0])

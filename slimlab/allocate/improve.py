"""Floor 3. Make a choice of levels fit its limits, and then better, one variable at a time.

Plain greedy steps, for any problem and deterministic: they give the exact search its first bound,
and stand in for it where networks are too entangled. Nothing is proven here.
"""

from __future__ import annotations

import numpy as np

from slimlab.allocate.problem import SLACK, Array, Choice, Problem

EXCHANGES = 20  # later ones gain little
ROUNDS = 10_000  # far more than there are levels: a guard, not a limit that is met


def fit(problem: Problem, choice: Choice) -> Choice | None:
    """Change levels until the limits are kept, each time where it costs least loss a share saved.

    None when no change of a single variable saves anything and the limits are still exceeded.
    """
    choice = choice.copy()
    over = problem.cost(choice) - problem.limits
    for _ in range(ROUNDS):
        if (over <= SLACK).all():
            return choice
        best: tuple[float, int, int, Array] | None = None
        for v, loss in enumerate(problem.losses):
            costs = problem.alternatives(choice, v)
            change = costs - costs[:, [choice[v]]]
            # Only what is over the limit counts, and no more of it than is over.
            saved = (np.maximum(over, 0)[:, None] - np.maximum(over[:, None] + change, 0)).sum(0)
            price = np.where(
                saved > SLACK, (loss - loss[choice[v]]) / np.maximum(saved, SLACK), np.inf
            )
            n = int(price.argmin())
            if np.isfinite(price[n]) and (best is None or price[n] < best[0]):
                best = (float(price[n]), v, n, change[:, n])
        if best is None:
            return None
        choice[best[1]] = best[2]
        over = over + best[3]
    return None


def refine(problem: Problem, choice: Choice) -> Choice:
    """Take back what the limits allow, the largest loss first, and exchange pairs of variables."""
    choice = _raise(problem, choice)
    for _ in range(EXCHANGES):
        better = _exchange(problem, choice)
        if better is None:
            return choice
        choice = _raise(problem, better)
    return choice


def _raise(problem: Problem, choice: Choice) -> Choice:
    choice = choice.copy()
    room = problem.limits - problem.cost(choice)
    for _ in range(ROUNDS):
        best: tuple[float, int, int, Array] | None = None
        for v, loss in enumerate(problem.losses):
            gain = loss[choice[v]] - loss
            if gain.max() <= (best[0] if best else SLACK):
                continue
            costs = problem.alternatives(choice, v)
            change = costs - costs[:, [choice[v]]]
            gain = np.where((change <= room[:, None] + SLACK).all(axis=0), gain, 0.0)
            n = int(gain.argmax())
            if gain[n] > (best[0] if best else SLACK):
                best = (float(gain[n]), v, n, change[:, n])
        if best is None:
            return choice
        choice[best[1]] = best[2]
        room = room - best[3]
    return choice


def _exchange(problem: Problem, choice: Choice) -> Choice | None:
    """The first single step that is worth the steps it takes elsewhere to fit again."""
    before = problem.loss(choice)
    for v, loss in enumerate(problem.losses):
        lower = np.flatnonzero(loss < loss[choice[v]] - SLACK)
        for n in lower[np.argsort(loss[lower] - loss[choice[v]], kind="stable")][-1:]:
            trial = choice.copy()
            trial[v] = n
            fitted = fit(problem, trial)
            if fitted is not None and problem.loss(fitted) < before - 1e-9 * max(1.0, before):
                return fitted
    return None

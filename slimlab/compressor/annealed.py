"""Floor 4. Ratios by the recipe's simulated annealing, as PaddleSlim's `SAController` found them.

It begins with the best of some given ratios. Each trial changes a few layers' ratios and is brought
into the accepted range of multiply-adds. The
network is cut, its BatchNorm statistics are estimated anew (or it is trained for some epochs), and
its metric on calibration images decides whether the search goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from paddle.nn import Layer

from slimlab.allocate import Budget, reachable
from slimlab.errors import PlanError
from slimlab.evaluate import image_count, per_image
from slimlab.graph import Graph
from slimlab.plan import plan_pruning
from slimlab.prune import prune
from slimlab.ratios import Ratios, Scope
from slimlab.recalibrate import batch_norms, recalibrate_bn
from slimlab.recipe import Prune
from slimlab.search.candidates import held_out
from slimlab.steps import Step
from slimlab.task import Task
from slimlab.train import fine_tune

RECALIBRATION = 256  # calibration images for BatchNorm's statistics
MOST_RATIO = 0.9  # of a layer, in proposals
SPREAD = 0.15  # of a change of one ratio
ROUNDS = 40  # of bisection
SLACK = 0.02  # above the share asked for, where no upper end is given
Tried = dict[str, Any]


def annealed_ratios(
    model: Layer,
    graph: Graph,
    task: Task,
    strategy: Prune,
    *,
    limits: tuple[float, float | None],
    seed: int,
    starts: Mapping[str, Ratios] | None = None,
) -> Generator[Step[Any], None, tuple[Ratios, list[Tried]]]:
    """Search ratios that remove a share of the multiply-adds within limits.

    Parameters
    ----------
    model, graph, task
        What is pruned; its calibration images are read.
    strategy
        Gives the scope, the criterion and the search's settings.
    limits
        Shares of the multiply-adds to remove, at least and at most; where the second is None, two
        hundredths above the first, or what one ratio for all layers removes.
    seed
        Same seed, same trials.
    starts
        Ratios to try before, by name, beside uniform ones, of all groups in scope; those out of
        range are left out.

    Returns
    -------
    ratios, tried
        The best, and what was measured by name: uniform ratios, the starts, and `"annealing"` where
        it found something better; each with its share of MACs and its metric.

    Raises
    ------
    PlanError
        When the share can't be reached, or channels come in such lumps that nothing is in range.
    """
    scope, search, (share, most) = strategy.scope.build(), strategy.search, limits
    reachable(graph, scope).check(Budget(macs=share))
    rng = np.random.default_rng([seed, 11])
    names = [group.name for group in scope.groups(graph)]
    sign = 1.0 if task.metric.higher_is_better else -1.0
    uniform = _scaled(graph, dict.fromkeys(names, 0.5), scope, share)
    upper = max(share + SLACK, _removed(graph, uniform)) if most is None else most
    tried: list[Tried] = []
    begun: list[tuple[float, dict[str, float]]] = []
    for name, ratios in {"uniform": uniform, **(starts or {})}.items():
        gone = _removed(graph, ratios)
        if name != "uniform" and not share <= gone <= upper:
            continue
        found = _measured(model, graph, task, strategy, ratios, seed)
        begun.append((sign * found, dict(ratios)))
        tried.append({"way": name, "macs_removed": gone, task.metric.name: found})
        yield Step(len(begun), search.trials, f"{name}: {found:.2f}")
    value, now = max(begun, key=lambda one: one[0])
    best, best_value, temperature = now, value, search.temperature
    for trial in range(len(begun), search.trials):
        yield Step(trial, search.trials, f"trial {trial}: best {sign * best_value:.2f}")
        temperature *= search.cooling
        proposal = _proposed(graph, names, now, scope, (share, upper), rng)
        if proposal is None:
            continue
        found = sign * _measured(model, graph, task, strategy, proposal, seed)
        if found >= value or rng.random() < math.exp((found - value) / max(temperature, 1e-9)):
            now, value = proposal, found
        if found > best_value:
            best, best_value = proposal, found
    if best_value > max(one[0] for one in begun):
        gone = _removed(graph, best)
        tried.append(
            {"way": "annealing", "macs_removed": gone, task.metric.name: sign * best_value}
        )
    removed = _removed(graph, best)
    if removed > upper:
        msg = (
            f"The least that can be removed above macs={share} is {removed:.3f}, more than "
            f"macs_most={upper:.3f} allows; widen the range."
        )
        raise PlanError(msg, macs=share, macs_most=upper, reachable=removed)
    return Ratios(best), tried


def _proposed(
    graph: Graph,
    names: list[str],
    now: Mapping[str, float],
    scope: Scope,
    limits: tuple[float, float],
    rng: np.random.Generator,
) -> dict[str, float] | None:
    """Change some ratios and bring all into the range; None where that fails."""
    changed = rng.random(len(names)) < max(2 / len(names), 0.2)
    changed[rng.integers(len(names))] = True
    moved = {
        name: float(np.clip(now[name] + rng.normal(0, SPREAD), 0.02, MOST_RATIO)) if move
        else now[name]
        for name, move in zip(names, changed, strict=True)
    }  # fmt: skip
    aim = limits[0] + (limits[1] - limits[0]) * float(rng.random()) * 0.5
    scaled = _scaled(graph, moved, scope, aim)
    if not limits[0] <= _removed(graph, scaled) <= limits[1]:
        scaled = _scaled(graph, moved, scope, limits[0])
    return scaled if limits[0] <= _removed(graph, scaled) <= limits[1] else None


def _scaled(
    graph: Graph, ratios: Mapping[str, float], scope: Scope, share: float
) -> dict[str, float]:
    """Raise or lower all ratios together to the least that remove a share."""

    def at(power: float) -> dict[str, float]:
        # 1 - (1 - r) ** power: from nothing at 0 to all at infinity, and the order stays.
        moved = {n: min(1 - 1e-9, 1 - (1 - r) ** power) for n, r in ratios.items()}
        return dict(scope.align(graph, moved))

    low, high = 0.0, 1.0
    while _removed(graph, at(high)) < share and high < 2**10:
        high *= 2
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if _removed(graph, at(middle)) >= share else (middle, high)
    return at(high)


def _removed(graph: Graph, ratios: Mapping[str, float]) -> float:
    widths = {group.name: group.width for group in graph.groups}
    kept = {name: Scope().kept(widths[name], ratio) for name, ratio in ratios.items()}
    return 1 - graph.cost.totals(kept).macs / max(1, graph.cost.totals().macs)


def _measured(
    model: Layer, graph: Graph, task: Task, strategy: Prune, ratios: Mapping[str, float], seed: int
) -> float:
    """The main metric on calibration images of the network so pruned."""
    held = held_out(task)
    small = prune(model, plan_pruning(model, graph, ratios, strategy.criterion, task=held))
    if strategy.search.epochs:
        epochs = strategy.search.epochs
        small, _ = fine_tune(small, held, epochs=epochs, seed=seed, progress=False)
    elif batch_norms(small):
        small = recalibrate_bn(small, task, images=RECALIBRATION)
    images = image_count(held, strategy.search.images)
    scores = np.concatenate(list(per_image(small, held, images=images)))
    return float(scores.mean(dtype=np.float64) * task.metric.scale)

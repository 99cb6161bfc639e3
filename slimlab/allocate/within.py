"""Floor 3. One accepted drop for all layers, as PaddleSlim picks: given, or found for a budget."""

from __future__ import annotations

import numpy as np

from slimlab.allocate.reach import Budget, reach_of_levels
from slimlab.errors import PlanError
from slimlab.graph import Graph
from slimlab.ratios import Ratios, Scope, kept_channels
from slimlab.sensitivity import Sensitivity


def ratios_within_drop(
    sensitivity: Sensitivity,
    drop: float | None = None,
    *,
    graph: Graph | None = None,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    scope: Scope | None = None,
) -> Ratios:
    """For each layer the largest ratio whose predicted drop, alone, is within `drop` points.

    With a budget instead of a drop, the smallest common drop that meets it is found by bisection,
    as PaddleSlim did. Where curves are flat, a hair more of drop may remove far more than was asked
    for; of the step from one to the other, all layers then take the same part that is enough.

    Parameters
    ----------
    sensitivity
        The scanned curves; the fitted, never falling ones are used.
    drop
        Accepted drop of each layer in points, at least 0; 1 when no budget is given. Together the
        layers lose more.
    graph
        The traced model; needed for a budget and for a scope.
    macs, params, bytes
        Shares of the network to *remove*, each in [0, 1); all that are given are met.
    scope
        Layers to prune and the multiples to round to; all that were scanned when None.

    Raises
    ------
    PlanError
        For a negative drop, a drop and a budget at once, a table without cells, or a budget that
        the scanned ratios can't meet.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.3, 0.6], images=100, progress=False)
    >>> all(0 <= ratio <= 0.6 for ratio in sl.ratios_within_drop(scan, 1.0).values())
    True
    >>> graph = sl.trace(model, task.example)
    >>> sl.preview(graph, sl.ratios_within_drop(scan, graph=graph, macs=0.5)).macs_removed >= 0.5
    True
    """
    shares = {"macs": macs, "params": params, "bytes": bytes}
    wanted = Budget.of(shares) if any(s is not None for s in shares.values()) else None
    if wanted is not None and drop is not None:
        msg = f"Give a drop or a budget, not both (drop={drop} and {wanted})."
        raise PlanError(msg, drop=drop)
    if graph is None and (wanted is not None or scope is not None):
        msg = "A budget or a scope needs the traced model: pass graph=."
        raise PlanError(msg)
    layers = scanned_layers(sensitivity, graph, scope)
    if graph is None or wanted is None:
        accepted = 1.0 if drop is None else drop
        if not accepted >= 0:
            msg = f"An accepted drop of {drop} points makes no sense; give 0 or more."
            raise PlanError(msg, drop=drop)
        found = _within(sensitivity, layers, accepted)
        return found if graph is None or scope is None else scope.align(graph, found)
    return _bisected(sensitivity, layers, graph, wanted, scope or Scope())


def scanned_layers(
    sensitivity: Sensitivity, graph: Graph | None = None, scope: Scope | None = None
) -> tuple[str, ...]:
    """The layers that have a curve and are in scope.

    Raises
    ------
    PlanError
        When there is none.
    """
    scanned = tuple(layer for layer in sensitivity.layers if sensitivity.curve(layer))
    if not scanned:
        msg = "The sensitivity table has no cells yet; scan at least one layer first."
        raise PlanError(msg)
    if graph is None or scope is None:
        return scanned
    inside = {group.name for group in scope.groups(graph)}
    found = tuple(layer for layer in scanned if graph.group(layer).name in inside)
    if not found:
        msg = f"None of the {len(scanned)} scanned layers is in scope ({scope})."
        raise PlanError(msg, layers=scanned)
    return found


def _bisected(
    sensitivity: Sensitivity, layers: tuple[str, ...], graph: Graph, budget: Budget, scope: Scope
) -> Ratios:
    def meets(ratios: Ratios) -> bool:
        return budget.is_met(graph, _kept(graph, scope.align(graph, ratios)))

    low, high = 0.0, max(float(sensitivity.fitted(layer)[1][-1]) for layer in layers)
    below, above = Ratios(dict.fromkeys(layers, 0.0)), _within(sensitivity, layers, high)
    if not meets(above):
        least = _kept(graph, scope.align(graph, above))
        where = "the scanned ratios"
        reach_of_levels(graph, least, "not scanned, or out of scope").check(budget, where=where)
    if meets(_within(sensitivity, layers, low)):
        above = _within(sensitivity, layers, low)
    else:
        for _ in range(50):
            middle = (low + high) / 2
            found = _within(sensitivity, layers, middle)
            low, high = (low, middle) if meets(found) else (middle, high)
        below, above = (_within(sensitivity, layers, drop) for drop in (low, high))
    # Where curves are flat, the next drop may remove much more: a part of that step is enough.
    start, end = 0.0, 1.0
    for _ in range(30):
        middle = (start + end) / 2
        start, end = (start, middle) if meets(_between(below, above, middle)) else (middle, end)
    return scope.align(graph, _between(below, above, end))


def _between(one: Ratios, two: Ratios, share: float) -> Ratios:
    return Ratios({name: ratio + share * (two[name] - ratio) for name, ratio in one.items()})


def _kept(graph: Graph, ratios: Ratios) -> dict[str, int]:
    return {n: kept_channels(graph.group(n).width, r) for n, r in ratios.of_groups(graph).items()}


def _within(sensitivity: Sensitivity, layers: tuple[str, ...], drop: float) -> Ratios:
    return Ratios({layer: _largest_within(sensitivity, layer, drop) for layer in layers})


def _largest_within(sensitivity: Sensitivity, layer: str, drop: float) -> float:
    ratios, drops = sensitivity.fitted(layer)
    last = int(np.flatnonzero(drops <= drop)[-1])
    if last == len(ratios) - 1:
        return float(ratios[last])
    rise = drops[last + 1] - drops[last]
    share = (drop - drops[last]) / rise
    return float(ratios[last] + share * (ratios[last + 1] - ratios[last]))

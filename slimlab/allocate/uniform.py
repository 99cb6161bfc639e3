"""Floor 3. One ratio for all layers, given or found for a budget: the baseline of every picking."""

from __future__ import annotations

from collections.abc import Callable

from slimlab.allocate.reach import Budget, reachable
from slimlab.errors import PlanError
from slimlab.graph import Graph
from slimlab.ratios import Ratios, Scope


def uniform_ratios(
    graph: Graph,
    *,
    ratio: float | None = None,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    scope: Scope | None = None,
    tolerance: float | None = None,
) -> Ratios:
    """The same ratio for every layer in scope: given, or the least that meets a budget.

    Parameters
    ----------
    graph
        The traced model.
    ratio
        Share of channels to remove.
    macs, params, bytes
        Shares of the network's multiply-adds, trainable parameters, and bytes on disk, to *remove*,
        each in [0, 1); all that are given are met.
    scope
        Layers to prune; all that can be when None.
    tolerance
        Bisect as PaddleSlim did, with its 0.01: the first ratio that removes the one share given to
        within this, perhaps a little less than it. It gives the ratios of its published tables.

    Raises
    ------
    PlanError
        When neither or both of `ratio` and a share are given, one is outside [0, 1), a tolerance
        comes with several shares, or the budget can't be met in this scope: the reachable share and
        what blocks more are in the sentence.

    Examples
    --------
    >>> import slimlab as sl
    >>> model = sl.load_model("mobilenet_v1")
    >>> graph = sl.trace(model, sl.load_task("digits").example)
    >>> ratios = sl.uniform_ratios(graph, macs=0.5)
    >>> 0 <= sl.preview(graph, ratios).macs_removed - 0.5 < 0.01
    True
    """
    scope = scope or Scope()
    names = [group.name for group in scope.groups(graph)]
    given = {"ratio": ratio, "macs": macs, "params": params, "bytes": bytes}
    shares = {n: v for n, v in given.items() if v is not None and n != "ratio"}
    if (ratio is None) == (not shares) or (tolerance is not None and len(shares) > 1):
        there = sorted(name for name, value in given.items() if value is not None)
        msg = (
            "Give exactly one of ratio=, macs=, params=, bytes=, or several of the shares without "
            f"a tolerance; these were given: {there}."
        )
        raise PlanError(msg, given=tuple(there))
    if ratio is not None:
        return scope.align(graph, dict.fromkeys(names, ratio))
    budget = Budget.of(shares)
    reachable(graph, scope).check(budget, tolerance=tolerance or 0.0)
    widths = {group.name: group.width for group in scope.groups(graph)}

    def kept(at: float) -> dict[str, int]:
        return {name: scope.kept(width, at) for name, width in widths.items()}

    if tolerance is None:
        found = _least(lambda at: budget.is_met(graph, kept(at)))
    else:
        ((what, target),) = budget.shares.items()
        whole = getattr(graph.cost.totals(), what)
        found = _near(
            lambda at: 1 - float(getattr(graph.cost.totals(kept(at)), what) / whole),
            target,
            tolerance,
        )
    return scope.align(graph, dict.fromkeys(names, found))


def _least(meets: Callable[[float], bool]) -> float:
    """The least ratio that meets a budget."""
    if meets(0.0):
        return 0.0
    low, high = 0.0, 1 - 1e-9  # reachable: all that the scope allows is gone at the upper end
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    return high


def _near(removed: Callable[[float], float], target: float, tolerance: float) -> float:
    """The first ratio of a bisection that removes a share to within a tolerance."""
    low, high = 0.0, 1.0
    best = (abs(removed(0.0) - target), 0.0)
    for _ in range(30):
        middle = (low + high) / 2
        error = removed(middle) - target
        best = min(best, (abs(error), middle))
        if abs(error) < tolerance:
            break
        low, high = (middle, high) if error < 0 else (low, middle)
    return best[1]

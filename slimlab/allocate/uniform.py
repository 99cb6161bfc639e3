"""Floor 3. One ratio for all layers, given or found for a budget: the baseline of every picking."""

from __future__ import annotations

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
    tolerance: float = 0.01,
) -> Ratios:
    """The same ratio for every layer in scope: given, or found by bisection for a target.

    Parameters
    ----------
    graph
        The traced model.
    ratio
        Share of channels to remove.
    macs, params, bytes
        Share of the network's multiply-adds, trainable parameters, or bytes on disk, to *remove*,
        in [0, 1).
    scope
        Layers to prune; all that can be when None.
    tolerance
        Bisection ends when the share removed is this close to the target (PaddleSlim's 0.01).

    Raises
    ------
    PlanError
        When not exactly one of `ratio` and the shares is given, it is outside [0, 1), or the target
        can't be reached in this scope: the reachable share and what blocks more are in the
        sentence.

    Examples
    --------
    >>> import slimlab as sl
    >>> model = sl.load_model("mobilenet_v1")
    >>> graph = sl.trace(model, sl.load_task("digits").example)
    >>> ratios = sl.uniform_ratios(graph, macs=0.5)
    >>> abs(sl.preview(graph, ratios).macs_removed - 0.5) < 0.01
    True
    """
    scope = scope or Scope()
    names = [group.name for group in scope.groups(graph)]
    shares = {"macs": macs, "params": params, "bytes": bytes}
    given = {n: v for n, v in {"ratio": ratio, **shares}.items() if v is not None}
    if len(given) != 1:
        msg = (
            f"Give exactly one of ratio=, macs=, params=, bytes=; these were given: "
            f"{sorted(given)}."
        )
        raise PlanError(msg, given=tuple(given))
    if ratio is not None:
        return scope.align(graph, dict.fromkeys(names, ratio))
    budget = Budget.of(shares)
    reachable(graph, scope).check(budget, tolerance=tolerance)
    found = _bisect(graph, scope, budget, tolerance)
    return scope.align(graph, dict.fromkeys(names, found))


def _bisect(graph: Graph, scope: Scope, budget: Budget, tolerance: float) -> float:
    ((what, target),) = budget.shares.items()
    widths = {group.name: group.width for group in scope.groups(graph)}
    whole = getattr(graph.cost.totals(), what)

    def removed(ratio: float) -> float:
        kept = {n: scope.kept(width, ratio) for n, width in widths.items()}
        return 1 - float(getattr(graph.cost.totals(kept), what) / whole)

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

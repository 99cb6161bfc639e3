"""Floor 3. Ratios from a sensitivity table and a budget, and what any ratios would cost.

Knows curves and costs; changes no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from slimlab.errors import PlanError
from slimlab.graph import Graph
from slimlab.ratios import Ratios, Scope, kept_channels
from slimlab.sensitivity import Sensitivity


@dataclass(frozen=True)
class Preview:
    """What ratios would cost and save, before anything is pruned.

    Attributes
    ----------
    macs, params, bytes
        Totals after pruning: multiply-adds an image, trainable parameters, bytes on disk. Exact.
    macs_removed, params_removed, bytes_removed
        Shares removed, 0 to 1.
    drop
        Predicted drop in points before fine-tuning, from the layers' own drops (they are taken to
        hurt independently, see `Sensitivity.together`); None without a sensitivity table.
    widths
        Layer to channels before and after.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> seen = sl.preview(graph, {graph.layers[0]: 0.5})
    >>> before, after = seen.widths[graph.layers[0]]
    >>> after == before // 2, seen.macs < graph.macs
    (True, True)
    """

    macs: int
    params: int
    bytes: int
    macs_removed: float
    params_removed: float
    bytes_removed: float
    drop: float | None
    widths: Mapping[str, tuple[int, int]]

    def to_frame(self) -> pd.DataFrame:
        """One row a layer: `layer, width, kept`."""
        rows = [(layer, before, after) for layer, (before, after) in self.widths.items()]
        return pd.DataFrame(rows, columns=["layer", "width", "kept"])


def preview(
    graph: Graph, ratios: Mapping[str, float], sensitivity: Sensitivity | None = None
) -> Preview:
    """Predict what ratios cost and save; fast enough for a slider.

    Parameters
    ----------
    graph
        The traced model.
    ratios
        Layer to the share of its channels that is removed.
    sensitivity
        Where the predicted drop comes from; layers that were not scanned add nothing to it.

    Raises
    ------
    PlanError
        For a layer that can't be pruned or a ratio outside [0, 1).

    Examples
    --------
    >>> import slimlab as sl
    >>> model = sl.load_model("mobilenet_v1")
    >>> graph = sl.trace(model, sl.load_task("digits").example)
    >>> sl.preview(graph, sl.uniform_ratios(graph, ratio=0.5)).macs_removed > 0.6
    True
    """
    groups = Ratios(ratios).of_groups(graph)
    before = {group.name: group.width for group in graph.groups}
    kept = {n: kept_channels(width, groups.get(n, 0.0)) for n, width in before.items()}
    whole, small = graph.cost.totals(), graph.cost.totals(kept)
    drop = None
    if sensitivity is not None:
        scanned = set(sensitivity.layers)
        # A ratio too small to remove a single channel costs nothing.
        cut = [n for n in groups if n in scanned and kept[n] < before[n]]
        drop = sensitivity.together(sensitivity.predicted_drop(n, groups[n]) for n in cut)
    return Preview(
        small.macs,
        small.params,
        small.bytes,
        1 - small.macs / max(1, whole.macs),
        1 - small.params / max(1, whole.params),
        1 - small.bytes / max(1, whole.bytes),
        drop,
        MappingProxyType({n: (before[n], kept[n]) for n in before}),
    )


def uniform_ratios(
    graph: Graph,
    *,
    ratio: float | None = None,
    macs: float | None = None,
    params: float | None = None,
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
    macs, params
        Share of the network's multiply-adds, or trainable parameters, to *remove*, in [0, 1).
    scope
        Layers to prune; all that can be when None.
    tolerance
        Bisection ends when the share removed is this close to the target (PaddleSlim's 0.01).

    Raises
    ------
    PlanError
        When not exactly one of `ratio`, `macs`, `params` is given, it is outside [0, 1), or the
        target can't be reached in this scope: the reachable share is in the sentence.

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
    given = {
        n: v for n, v in (("ratio", ratio), ("macs", macs), ("params", params)) if v is not None
    }
    if len(given) != 1:
        msg = f"Give exactly one of ratio=, macs=, params=; these were given: {sorted(given)}."
        raise PlanError(msg, given=tuple(given))
    what, target = next(iter(given.items()))
    if what == "ratio":
        return scope.align(graph, dict.fromkeys(names, target))
    Ratios({f"{what}=": target})  # a share in [0, 1), like any ratio
    found = _bisect(graph, scope, what, target, tolerance)
    return scope.align(graph, dict.fromkeys(names, found))


def _bisect(graph: Graph, scope: Scope, what: str, target: float, tolerance: float) -> float:
    names = [group.name for group in scope.groups(graph)]
    widths = dict(zip(graph.cost.groups, graph.cost.widths, strict=True))
    whole = getattr(graph.cost.totals(), what)

    def removed(ratio: float) -> float:
        kept = {n: scope.kept(widths[n], ratio) for n in names}
        return 1 - float(getattr(graph.cost.totals(kept), what) / whole)

    most = removed(1.0)
    if target > most + tolerance:
        msg = (
            f"At most {most:.1%} of the {what} of {graph.model} can be removed within this scope "
            "(one "
            f"channel left in each of {len(names)} groups); {target:.1%} was asked for."
        )
        raise PlanError(msg, target=target, reachable=most)
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


def ratios_within_drop(sensitivity: Sensitivity, drop: float = 1.0) -> Ratios:
    """For each layer the largest ratio whose predicted drop, alone, is within `drop` points.

    Parameters
    ----------
    sensitivity
        The scanned curves; the fitted, never falling ones are used.
    drop
        Accepted drop of each layer in points, at least 0. Together the layers lose more.

    Raises
    ------
    PlanError
        For a negative drop, or a table without cells.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.3, 0.6], images=100, progress=False)
    >>> all(0 <= ratio <= 0.6 for ratio in sl.ratios_within_drop(scan, 1.0).values())
    True
    """
    if not drop >= 0:
        msg = f"An accepted drop of {drop} points makes no sense; give 0 or more."
        raise PlanError(msg, drop=drop)
    scanned = [layer for layer in sensitivity.layers if sensitivity.curve(layer)]
    if not scanned:
        msg = "The sensitivity table has no cells yet; scan at least one layer first."
        raise PlanError(msg)
    return Ratios({layer: _largest_within(sensitivity, layer, drop) for layer in scanned})


def _largest_within(sensitivity: Sensitivity, layer: str, drop: float) -> float:
    ratios, drops = sensitivity.fitted(layer)
    inside = [n for n, value in enumerate(drops) if value <= drop]
    last = inside[-1]
    if last == len(ratios) - 1:
        return float(ratios[last])
    rise = drops[last + 1] - drops[last]
    share = (drop - drops[last]) / rise
    return float(ratios[last] + share * (ratios[last + 1] - ratios[last]))

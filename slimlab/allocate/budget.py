"""Floor 3. The ratios of least predicted drop that meet a budget, and how sure that is.

Neighbours are chosen together: a convolution's cost is the product of the channels it makes and
those it reads, so pruning a layer makes its neighbours cheaper. `solve.py` finds the optimum over
all of them. Knows curves and costs; changes no model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slimlab.allocate.charge import charged
from slimlab.allocate.problem import Problem, cost_tables, stacked
from slimlab.allocate.reach import Budget, reach_of_levels
from slimlab.allocate.solve import LABELS, solve
from slimlab.allocate.time_tables import Kept, check_belongs, most_removed, time_tables
from slimlab.allocate.within import scanned_layers
from slimlab.errors import PlanError
from slimlab.graph import ChannelGroup, Graph
from slimlab.ratios import Ratios, Scope
from slimlab.sensitivity import Sensitivity
from slimlab.timing import TimeTable


@dataclass(frozen=True)
class Search:
    """What is rarely changed about the search for ratios.

    Attributes
    ----------
    levels
        Widths tried for each group between all channels and the last scanned ratio.
    caution
        How much of a scan's doubt is charged; see `slimlab.allocate.charge`.
    gap
        Share of the charge that may be left to gain when the search ends.
    labels
        Partial choices kept at once: limits work and memory.

    Raises
    ------
    PlanError
        For a number that makes no sense.
    """

    levels: int = 16
    caution: float = 1.0
    gap: float = 1e-3
    labels: int = LABELS

    def __post_init__(self) -> None:
        if self.levels < 1 or self.labels < 1 or not (self.caution >= 0 and self.gap >= 0):
            msg = f"{self} makes no sense: levels and labels are at least 1, the rest 0 or more."
            raise PlanError(msg)


@dataclass(frozen=True)
class Allocation:
    """Ratios for a budget, with the proof of how good they are.

    Attributes
    ----------
    ratios
        For `preview`, `plan_pruning` and the sliders.
    budget
        What was asked for.
    charge
        Predicted drop in points with the doubt that was charged, all layers together.
    gap
        No choice among the widths tried has a charge lower by more than this, in points.
    method
        `"exact"`, or `"greedy"` where a network is too entangled for the exact search; the gap is
        then not known to be small.
    rows
        One a layer: layer, width, kept, ratio, predicted drop, charge.
    """

    ratios: Ratios
    budget: Budget
    charge: float
    gap: float
    method: str
    rows: tuple[tuple[str, int, int, float, float, float], ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a layer: `layer, width, kept, ratio, drop, charge`."""
        names = ["layer", "width", "kept", "ratio", "drop", "charge"]
        return pd.DataFrame(list(self.rows), columns=names)

    def __str__(self) -> str:
        sure = f"within {self.gap:.2g} points of the best choice"
        if self.method == "greedy":
            sure = "not proven best (the network is too entangled for that)"
        return f"{self.budget}: {self.charge:.2f} points charged, {sure}"


def ratios_for_budget(  # noqa: PLR0913 - one keyword a budget, each with a default
    graph: Graph,
    sensitivity: Sensitivity,
    *,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    latency: float | None = None,
    times: TimeTable | None = None,
    multiple: int | None = None,
    scope: Scope | None = None,
    search: Search = Search(),
) -> Ratios:
    """The ratios of least predicted drop that remove the given shares of a network.

    What is minimised is the drop of `Sensitivity.together`, with something for the doubt: see
    `slimlab.allocate.charge` for what and why. `allocate_budget` also tells how sure it is.

    Parameters
    ----------
    graph
        The traced model.
    sensitivity
        Its scanned curves. No layer is pruned beyond its last scanned ratio, and none that was not
        scanned.
    macs, params, bytes
        Shares of the network to *remove*, each in [0, 1); all that are given are met.
    latency, times
        Share of the time to remove, as `times` (what `measure_times` gave) predicts it. Only
        widths that were measured are tried. `ratios_for_latency` also times the network that comes
        out, and corrects what the prediction was wrong by.
    multiple
        What the channels kept are rounded to; the scope's when None.
    scope
        Layers to prune; all that were scanned when None.
    search
        The rest; see `Search`.

    Raises
    ------
    PlanError
        When no budget is given, nothing was scanned, or the budget can't be met: the reachable
        share and the layers that block more are in the sentence.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.3, 0.6, 0.9], progress=False)
    >>> seen = sl.preview(graph, sl.ratios_for_budget(graph, scan, macs=0.5, bytes=0.4), scan)
    >>> seen.macs_removed >= 0.5, seen.bytes_removed >= 0.4
    (True, True)
    """
    budget = Budget(macs, params, bytes, latency, times)
    scope = scope or Scope()
    if multiple is not None:
        scope = replace(scope, multiple=multiple)
    return allocate_budget(graph, sensitivity, budget, scope=scope, search=search).ratios


def allocate_budget(
    graph: Graph,
    sensitivity: Sensitivity,
    budget: Budget,
    *,
    scope: Scope | None = None,
    search: Search = Search(),
) -> Allocation:
    """Find what `ratios_for_budget` gives, with the table of layers and the proof.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.allocate import Budget, allocate_budget
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.3, 0.6, 0.9], progress=False)
    >>> found = allocate_budget(graph, scan, Budget(macs=0.5))
    >>> found.method, found.gap <= 1e-3 * found.charge
    ('exact', True)
    """
    scope = scope or Scope()
    layers = {graph.group(n).name: n for n in scanned_layers(sensitivity, graph, scope)}
    kept = _kept(graph, sensitivity, scope, search.levels, budget.times)
    least = {name: int(levels[-1]) for name, levels in kept.items()}
    reach = reach_of_levels(graph, least, "not scanned, or out of scope")
    reach.check(budget, where="the scanned ratios")
    if budget.times is not None and budget.latency is not None:
        _check_latency(graph.model, budget.times, budget.latency, kept)
    problem = _problem(graph, sensitivity, budget, layers, kept, search.caution)
    found = solve(problem, gap=search.gap, labels=search.labels)
    if found is None:  # `check` has refused what can't be met, so only rounding can lead here
        msg = f"{budget} can't be met within the scanned ratios of {graph.model}."
        raise PlanError(msg, budget=budget)
    rows = []
    for (name, layer), level, charge in zip(
        layers.items(), found.choice, problem.losses, strict=True
    ):
        width, channels = graph.group(name).width, int(kept[name][level])
        ratio = 1 - channels / width
        drop = sensitivity.predicted_drop(layer, ratio)
        rows.append((layer, width, channels, ratio, drop, float(charge[level])))
    ratios = Ratios({row[0]: row[3] for row in rows})
    return Allocation(ratios, budget, found.loss, found.gap, found.method, tuple(rows))


def most_removable(graph: Graph, sensitivity: Sensitivity, scope: Scope, times: TimeTable) -> float:
    """Largest share of the predicted time that can be removed within scope and scan."""
    return most_removed(times, _kept(graph, sensitivity, scope, Search().levels, times))


def _kept(
    graph: Graph, sensitivity: Sensitivity, scope: Scope, count: int, times: TimeTable | None
) -> dict[str, NDArray[np.int64]]:
    """Scanned groups to the channels that each of their levels keeps."""
    if times is not None:
        check_belongs(times, graph)
    layers = {graph.group(n).name: n for n in scanned_layers(sensitivity, graph, scope)}
    return {
        name: _levels(graph.group(name), sensitivity, layer, (scope, count, times))
        for name, layer in layers.items()
    }


def _levels(
    group: ChannelGroup,
    sensitivity: Sensitivity,
    layer: str,
    how: tuple[Scope, int, TimeTable | None],
) -> NDArray[np.int64]:
    """Channels that a group's levels keep: all, then fewer, down to the last scanned ratio.

    With times, those that were measured: between them a layer may fall off the stairs.
    """
    (scope, count, times), width = how, group.width
    last = float(sensitivity.fitted(layer)[0][-1])
    tried = {scope.kept(width, last * n / count) for n in range(count + 1)}
    if times is not None:
        timed = times.widths.get(group.name, (width,))
        tried = {k for k in timed if scope.kept(width, 1 - k / width) == k}
    most = round(width * last)  # rounding to a multiple must not lead beyond what was measured
    within = {width, *(k for k in tried if width - k <= most)}
    return np.array(sorted(within, reverse=True), dtype=np.int64)


def _check_latency(model: str, times: TimeTable, share: float, kept: Kept) -> None:
    """Refuse a share of the time that no levels remove."""
    most = most_removed(times, kept)
    if share > most:
        msg = (
            f"At most {most:.1%} of the time of {model} can be removed within the scanned ratios "
            f"and the widths that were timed ({times.clock}); {share:.1%} was asked for. "
            f"{times.warning}"
        )
        raise PlanError(msg.strip(), target=share, reachable=most, resource="latency")


def _problem(
    graph: Graph,
    sensitivity: Sensitivity,
    budget: Budget,
    layers: dict[str, str],
    kept: dict[str, NDArray[np.int64]],
    caution: float,
) -> Problem:
    """The losses and costs of all levels; limits are shares of the network that may stay."""
    tables, fixed = cost_tables(graph.cost, kept, list(budget.shares))
    shares = list(budget.shares.values())
    if budget.times is not None and budget.latency is not None:
        timed, stays = time_tables(budget.times, kept)
        tables, fixed = stacked(tables, timed, len(shares)), np.append(fixed, stays)
        shares.append(budget.latency)
    limits = 1 - np.array(shares) - fixed
    zeros = tuple(np.zeros(len(levels)) for levels in kept.values())
    unpriced = Problem(zeros, tables, limits)
    whole = np.zeros(len(kept), dtype=np.int64)
    parts = [float(unpriced.alternatives(whole, v)[:, 0].mean()) for v in range(len(kept))]
    mean = max(float(np.mean(parts)), 1e-12)
    losses = []
    for (name, layer), part in zip(layers.items(), parts, strict=True):
        ratios = 1 - kept[name] / graph.group(name).width
        losses.append(charged(sensitivity, layer, ratios, weight=part / mean, caution=caution))
    return Problem(tuple(losses), tables, limits)

"""Floor 3. How much of a network can be removed at all, and what stands in the way of more.

Knows costs, measured times and scopes; no sensitivity and no accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from slimlab.allocate.time_tables import check_belongs, most_removed
from slimlab.errors import PlanError
from slimlab.graph import Graph
from slimlab.ratios import Ratios, Scope
from slimlab.timing import TimeTable

RESOURCES = ("macs", "params", "bytes")
NAMED = 4  # layers in a sentence; the table has all


@dataclass(frozen=True)
class Budget:
    """Shares of a network to remove, all at once: each in [0, 1), those left out are free.

    Attributes
    ----------
    macs, params, bytes
        Shares of multiply-adds, trainable parameters, and bytes on disk.
    latency
        Share of the time that `times` predicts.
    times
        What `measure_times` gave, for `latency`.

    Raises
    ------
    PlanError
        When none is given, one is no share, or there is a latency without times.

    Examples
    --------
    >>> from slimlab.allocate import Budget
    >>> dict(Budget(macs=0.5, bytes=0.4).shares)
    {'macs': 0.5, 'bytes': 0.4}
    """

    macs: float | None = None
    params: float | None = None
    bytes: float | None = None
    latency: float | None = None
    times: TimeTable | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        given = dict(self.shares)
        if self.latency is not None:
            given["latency"] = self.latency
            if self.times is None:
                msg = "A budget of latency needs measured times: times=slimlab.measure_times(...)."
                raise PlanError(msg, latency=self.latency)
        if not given:
            msg = (
                "Give at least one of macs=, params=, bytes=, latency=: the share of it to remove."
            )
            raise PlanError(msg)
        Ratios({f"{name}=": share for name, share in given.items()})

    @classmethod
    def of(cls, shares: Mapping[str, float | None]) -> Budget:
        """The budget of shares by name, latency aside.

        Examples
        --------
        >>> from slimlab.allocate import Budget
        >>> Budget.of({"params": 0.3}) == Budget(params=0.3)
        True
        """
        return cls(shares.get("macs"), shares.get("params"), shares.get("bytes"))

    @property
    def shares(self) -> Mapping[str, float]:
        """What was asked for but latency: `"macs"`, `"params"`, `"bytes"` to shares to remove."""
        given = ((name, getattr(self, name)) for name in RESOURCES)
        return MappingProxyType({name: share for name, share in given if share is not None})

    def is_met(self, graph: Graph, kept: Mapping[str, int]) -> bool:
        """Whether a network with so many channels of each group has lost all that is asked for.

        Examples
        --------
        >>> import slimlab as sl
        >>> from slimlab.allocate import Budget
        >>> task = sl.load_task("digits")
        >>> graph = sl.trace(sl.load_model("vgg", task), task.example)
        >>> narrow = {group.name: 1 for group in graph.groups}
        >>> Budget(macs=0.5).is_met(graph, {}), Budget(macs=0.5).is_met(graph, narrow)
        (False, True)
        """
        whole, small = graph.cost.totals(), graph.cost.totals(kept)
        enough = all(
            1 - getattr(small, name) / max(1, getattr(whole, name)) >= share
            for name, share in self.shares.items()
        )
        if self.latency is None or self.times is None:
            return enough
        return enough and self.times.removed(kept) >= self.latency

    def __str__(self) -> str:
        words = {"macs": "MACs", "params": "parameters", "bytes": "bytes"}
        parts = [f"-{share:.0%} {words[name]}" for name, share in self.shares.items()]
        return ", ".join(
            parts if self.latency is None else [*parts, f"-{self.latency:.0%} latency"]
        )


@dataclass(frozen=True)
class Reachable:
    """How far a network can be pruned within a scope.

    Attributes
    ----------
    macs, params, bytes
        Smallest and largest share that can be removed, 0 to 1. The largest is what the narrowest
        network that the scope allows saves.
    rows
        What is left of it, layer by layer, the largest first: layer, type, macs, params, bytes
        that stay, the share of the whole network's MACs that they are, and why they stay.
    model
        Class name of the model.
    latency
        Smallest and largest share of the predicted time that can be removed at the widths that
        were timed; None without times.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> graph = sl.trace(sl.load_model("vgg", task), task.example)
    >>> reach = sl.reachable(graph, sl.Scope(exclude="convs.0"))
    >>> low, high = reach.macs
    >>> low == 0, 0.5 < high < 1
    (True, True)
    """

    macs: tuple[float, float]
    params: tuple[float, float]
    bytes: tuple[float, float]
    rows: tuple[tuple[str, str, int, int, int, float, str], ...]
    model: str
    latency: tuple[float, float] | None = None

    def to_frame(self) -> pd.DataFrame:
        """One row a layer: `layer, type, macs, params, bytes, macs_share, reason`."""
        names = ["layer", "type", "macs", "params", "bytes", "macs_share", "reason"]
        return pd.DataFrame(list(self.rows), columns=names)

    def blocking(self, resource: str, count: int = NAMED) -> str:
        """The layers that keep most of a resource, with the reasons, for a sentence."""
        column = {"macs": 2, "params": 3, "bytes": 4}[resource]
        ordered = sorted(self.rows, key=lambda row: -int(row[column]))
        return "; ".join(f"{row[0]} ({row[6]})" for row in ordered[:count])

    def check(self, budget: Budget, *, tolerance: float = 0.0, where: str = "this scope") -> None:
        """Refuse a budget that can't be met.

        Raises
        ------
        PlanError
            With the reachable share and the layers that keep most; `target` and `reachable` are
            its attributes.
        """
        for name, target in budget.shares.items():
            most = getattr(self, name)[1]
            if target > most + tolerance:
                msg = (
                    f"At most {most:.1%} of the {name} of {self.model} can be removed within "
                    f"{where}; {target:.1%} was asked for. Most is left in "
                    f"{self.blocking(name)}."
                )
                raise PlanError(msg, target=target, reachable=most, resource=name)
        if budget.latency is not None and self.latency is not None:
            most = self.latency[1]
            if budget.latency > most + tolerance:
                msg = (
                    f"At most {most:.1%} of the time of {self.model} can be removed at the widths "
                    f"that were timed; {budget.latency:.1%} was asked for."
                )
                raise PlanError(msg, target=budget.latency, reachable=most, resource="latency")

    def __str__(self) -> str:
        parts = [
            f"{getattr(self, name)[1]:.1%} of {word}"
            for name, word in (("macs", "MACs"), ("params", "parameters"), ("bytes", "bytes"))
        ]
        if self.latency is not None:
            parts.append(f"{self.latency[1]:.1%} of the time")
        head = f"{self.model}: at most {', '.join(parts)} can be removed."
        left = [f"  {r[0]} ({r[1]}): {r[5]:.1%} of MACs stay, {r[6]}" for r in self.rows[:NAMED]]
        more = len(self.rows) - len(left)
        end = [f"  and {more} layers with less"] if more > 0 else []
        return "\n".join([head, "Most is left in:", *left, *end])


def reachable(
    graph: Graph, scope: Scope | None = None, *, times: TimeTable | None = None
) -> Reachable:
    """How much can be removed within a scope, and which layers stand in the way of more.

    Parameters
    ----------
    graph
        The traced model.
    scope
        Layers to prune, with the least and the multiple of channels they keep; all that can be
        pruned, down to one channel, when None.
    times
        What `measure_times` gave, for the range of latency.

    Raises
    ------
    PlanError
        When no layer is in scope, or the times are of another network.

    Examples
    --------
    >>> import slimlab as sl
    >>> graph = sl.trace(sl.load_model("mobilenet_v1"), sl.load_task("digits").example)
    >>> reach = sl.reachable(graph, sl.Scope(least=8))
    >>> reach.to_frame().columns.tolist()
    ['layer', 'type', 'macs', 'params', 'bytes', 'macs_share', 'reason']
    """
    scope = scope or Scope()
    least = {group.name: scope.kept(group.width, 1.0) for group in scope.groups(graph)}
    reach = reach_of_levels(graph, least, "out of scope")
    if times is None:
        return reach
    check_belongs(times, graph)
    kept = {name: np.array(times.widths.get(name, [graph.group(name).width])) for name in least}
    return replace(reach, latency=(0.0, max(0.0, most_removed(times, kept))))


def reach_of_levels(graph: Graph, least: Mapping[str, int], reason: str) -> Reachable:
    """The same where groups keep at least so many channels, and others all, for `reason`."""
    whole, small = graph.cost.totals(), graph.cost.totals(least)
    layers = graph.cost.by_layer(least)
    rows = []
    for name, kind, _, _, prunable, group, why in graph.coverage.rows:
        left = layers.get(name)
        if left is None or not (left.macs or left.params):
            continue
        if prunable:
            why = f"{least[group]} channels stay" if group in least else reason
        share = left.macs / max(1, whole.macs)
        rows.append((name, kind, left.macs, left.params, left.bytes, share, why))
    rows.sort(key=lambda row: -row[5])
    spans = [(0.0, 1 - getattr(small, name) / max(1, getattr(whole, name))) for name in RESOURCES]
    return Reachable(spans[0], spans[1], spans[2], tuple(rows), graph.model)

"""Floor 4. Ratios for a budget of measured time: the whole pruned network is timed, not predicted.

Which multiply-adds cost time depends on the machine, and small networks are mostly overhead. So
ratios of least predicted drop are picked for a share of MACs, the network so pruned is timed beside
the whole one, and the share is bisected. Knows no table of single layers: among networks of equal
time it finds the one on the frontier of MACs, which need not be the one of least drop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import pandas as pd
from paddle import Tensor
from paddle.nn import Layer

from slimlab.allocate import preview, ratios_for_budget
from slimlab.allocate.within import scanned_layers
from slimlab.errors import PlanError
from slimlab.graph import Graph
from slimlab.latency import measure_latency
from slimlab.plan import plan_pruning
from slimlab.prune import prune
from slimlab.ratios import Ratios, Scope
from slimlab.sensitivity import Sensitivity
from slimlab.steps import Step, Stopped, drain

Clock = Callable[[Layer], float]  # milliseconds of a forward pass
BATCH, RUNS = 32, 20
POOR = 0.5  # of the MACs removed: less time than this removed is said to be little


@dataclass(frozen=True)
class TimedRatios:
    """Ratios for a latency, and what was measured on the way.

    Attributes
    ----------
    target
        Share of the time that was to be removed.
    ratios
        Of the tried networks that were fast enough the one with most MACs; None when there was
        none, as after an early stop.
    macs_removed, latency_removed
        Of that network, measured; 0 without one.
    rows
        One a try: MACs removed, latency removed.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.TimedRatios(0.3).to_frame().columns.tolist()
    ['macs_removed', 'latency_removed']
    """

    target: float
    ratios: Ratios | None = None
    macs_removed: float = 0.0
    latency_removed: float = 0.0
    rows: tuple[tuple[float, float], ...] = ()

    @property
    def warning(self) -> str:
        """A sentence where pruning buys little time, else nothing."""
        if self.ratios is None or self.latency_removed >= POOR * self.macs_removed:
            return ""
        return (
            f"Removing {self.macs_removed:.0%} of the MACs removed only "
            f"{self.latency_removed:.0%} of the time: most of it is not spent on multiply-adds."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a try, in order: `macs_removed, latency_removed`."""
        return pd.DataFrame(list(self.rows), columns=["macs_removed", "latency_removed"])


def ratios_for_latency(
    model: Layer,
    graph: Graph,
    sensitivity: Sensitivity,
    example: Tensor | Sequence[Tensor],
    *,
    latency: float,
    progress: bool = True,
    **settings: object,
) -> TimedRatios:
    """Find ratios that remove a share of the measured time of a forward pass.

    Parameters
    ----------
    model, graph, sensitivity
        The model (it is not changed), its graph and its scan.
    example
        One input with batch 1, or several.
    latency
        Share of the time to *remove*, above 0 and below 1.
    progress
        Show a progress bar.
    **settings
        `scope` (all that was scanned when None); `tries`, the networks timed at most (8);
        `tolerance`, the share of time by which the target may be passed (0.02); `clock`, a function
        that gives the milliseconds of a model's forward pass, for other runtimes than Paddle's.

    Raises
    ------
    PlanError
        When the target is no share, or the smallest network within the scanned ratios is not fast
        enough: how much it saves is in the sentence.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.3, 0.6, 0.9], progress=False)
    >>> macs = lambda network: float(sl.trace(network, task.example).macs)   # a quiet clock
    >>> found = sl.ratios_for_latency(
    ...     model, graph, scan, task.example, latency=0.4, clock=macs, progress=False
    ... )
    >>> 0.4 <= found.latency_removed
    True
    """
    steps = iter_ratios_for_latency(
        model,
        graph,
        sensitivity,
        example,
        latency=latency,
        **settings,  # type: ignore[arg-type]
    )
    return drain(steps, progress=progress, title="Latency")


def iter_ratios_for_latency(  # noqa: PLR0913 - each keyword has a default
    model: Layer,
    graph: Graph,
    sensitivity: Sensitivity,
    example: Tensor | Sequence[Tensor],
    *,
    latency: float,
    scope: Scope | None = None,
    tries: int = 8,
    tolerance: float = 0.02,
    clock: Clock | None = None,
) -> Generator[Step[TimedRatios], None, TimedRatios]:
    """Time network by network; `item` is the result so far. Stopped early it returns that.

    The arguments are those of `ratios_for_latency`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.3, 0.6, 0.9], progress=False)
    >>> macs = lambda network: float(sl.trace(network, task.example).macs)
    >>> steps = sl.iter_ratios_for_latency(
    ...     model, graph, scan, task.example, latency=0.4, clock=macs
    ... )
    >>> _ = next(steps)
    >>> len(sl.finish_early(steps).rows)
    1
    """
    if not 0 < latency < 1 or tries < 1:
        msg = f"latency={latency}, tries={tries}: give a share between 0 and 1, and 1 or more."
        raise PlanError(msg, latency=latency, tries=tries)
    time = clock or _paddle_clock(example)
    scope = scope or Scope()

    def timed(found: TimedRatios, ratios: Ratios) -> TimedRatios:
        small = prune(model, plan_pruning(model, graph, ratios))
        whole = time(model)  # each time anew, next to the other: machines change their pace
        saved, macs = 1 - time(small) / whole, preview(graph, ratios).macs_removed
        rows = (*found.rows, (macs, saved))
        better = saved >= latency and (found.ratios is None or macs < found.macs_removed)
        kept = (found.ratios, found.macs_removed, found.latency_removed)
        return TimedRatios(latency, *((ratios, macs, saved) if better else kept), rows)

    last = {
        layer: float(sensitivity.fitted(layer)[0][-1])
        for layer in scanned_layers(sensitivity, graph, scope)
    }
    found = timed(TimedRatios(latency), scope.align(graph, last))
    low, high = 0.0, found.rows[0][0]
    if found.ratios is None:
        most = found.rows[0][1]
        msg = (
            f"At most {most:.1%} of the time of {graph.model} can be removed within the scanned "
            f"ratios, as measured; {latency:.1%} was asked for. That network has "
            f"{1 - high:.1%} of the MACs: the rest of the time is not spent on what was pruned."
        )
        raise PlanError(msg, target=latency, reachable=most, resource="latency")
    try:
        yield Step(1, tries, "smallest network", found)
        for number in range(2, tries + 1):
            if found.latency_removed <= latency + tolerance:
                break
            middle = (low + high) / 2
            try:
                ratios = ratios_for_budget(graph, sensitivity, macs=middle, scope=scope)
            except PlanError:  # rounding to a multiple led beyond what the optimiser may use
                high = middle
                continue
            found = timed(found, ratios)
            low, high = (low, middle) if found.rows[-1][1] >= latency else (middle, high)
            yield Step(number, tries, f"{middle:.0%} of MACs removed", found)
    except Stopped:
        pass
    return found


def _paddle_clock(example: Tensor | Sequence[Tensor]) -> Clock:
    """Median of a batch in Paddle's eager runtime."""
    return lambda model: measure_latency(model, example, batch=BATCH, runs=RUNS).median_ms

"""Floor 4. Ratios for a budget of measured time: the whole pruned network is timed, not only
predicted.

Which multiply-adds cost time depends on the machine, and small networks are mostly overhead. Given
a table of layer times, the optimiser meets the share that the table predicts, the network so pruned
is timed beside the whole one, and the share is corrected until the measured one fits. Without a
table, the share of MACs is bisected instead: among networks of equal time that finds the one on the
frontier of MACs, which need not be the one of least drop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from paddle import Tensor
from paddle.nn import Layer

from slimlab.allocate import Budget, Preview, allocate_budget, preview, ratios_for_budget
from slimlab.allocate.budget import most_removable
from slimlab.allocate.within import scanned_layers
from slimlab.errors import PlanError
from slimlab.graph import Graph
from slimlab.plan import plan_pruning
from slimlab.prune import prune
from slimlab.ratios import Ratios, Scope
from slimlab.sensitivity import Sensitivity
from slimlab.steps import Step, Stopped, drain
from slimlab.timing import RuntimeClock, TimeTable, TimingSettings
from slimlab.timing.clock import least_ms

Clock = Callable[[Layer], float]  # milliseconds of a forward pass
PADDLE = TimingSettings(runtime="paddle")
MARGIN = 0.005  # of the time, so that noise does not undo a correction
SMALLEST = 1e-3  # shares nearer to each other than this are not told apart
TINY = 1e-9  # of the time: rounding of sums, where the narrowest network is asked for
POOR = 0.5  # of the MACs removed: less time than this removed is said to be little
Row = tuple[float, float, float]


@dataclass(frozen=True)
class TimedRatios:
    """Ratios for a latency, and what was measured on the way.

    Attributes
    ----------
    target
        Share of the time that was to be removed.
    ratios
        Of the tried networks that were fast enough the one that was asked for least; None when
        there was none, as after an early stop.
    macs_removed, latency_removed
        Of that network, the latter measured; 0 without one.
    rows
        One a try: MACs removed, latency predicted to be removed (not a number without a table of
        times) and latency removed.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.TimedRatios(0.3).to_frame().columns.tolist()
    ['macs_removed', 'predicted', 'latency_removed']
    """

    target: float
    ratios: Ratios | None = None
    macs_removed: float = 0.0
    latency_removed: float = 0.0
    rows: tuple[Row, ...] = ()

    @property
    def warning(self) -> str:
        """A sentence where pruning buys little time, else nothing."""
        if self.ratios is None or self.latency_removed >= POOR * self.macs_removed:
            return ""
        return (
            f"Removing {self.macs_removed:.0%} of the MACs removed only "
            f"{self.latency_removed:.0%} of the time: most of it is not spent on multiply-adds."
        )

    def is_met(self, tolerance: float) -> bool:
        """Whether the target is met, and passed by no more than a tolerance."""
        return self.ratios is not None and self.latency_removed <= self.target + tolerance

    def to_frame(self) -> pd.DataFrame:
        """One row a try, in order: `macs_removed, predicted, latency_removed`."""
        return pd.DataFrame(
            list(self.rows), columns=["macs_removed", "predicted", "latency_removed"]
        )


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
        `tolerance`, the share of time by which the target may be passed (0.02); `times`, what
        `measure_times` gave: the optimiser then spends measured time, not MACs, and networks are
        timed in the runtime of that table; without it, `timing` (a `TimingSettings`) says which,
        Paddle's when None; `clock`, a function that gives the milliseconds of a model's forward
        pass, in place of a runtime.

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
    times: TimeTable | None = None,
    timing: TimingSettings | None = None,
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
    knob = _Knob(graph, sensitivity, scope or Scope(), times)
    side = _by_clock(clock, model) if clock else _on_runtime(times, timing, model, example)
    found, low, high = TimedRatios(latency), 0.0, knob.most
    asked = high if times is None else min(latency, high)
    known: dict[tuple[tuple[str, float], ...], float] = {}
    try:
        for number in range(1, tries + 1):
            ratios = knob.pick(asked)
            key = tuple(ratios.items())
            if key not in known:
                small = prune(model, plan_pruning(model, graph, ratios))
                found = _tried(found, ratios, knob, side(small))
                known[key] = found.rows[-1][2]
                yield Step(number, tries, f"{asked:.0%} of {knob.name} removed", found)
            saved = known[key]
            if saved < latency and asked == knob.most:
                raise _too_much(graph, latency, found.rows[-1])
            low, high = (low, asked) if saved >= latency else (asked, high)
            if high - low < SMALLEST or found.is_met(tolerance):
                break
            asked = _next(asked, latency - saved, (low, high), found, last=number + 1 == tries)
    except Stopped:
        pass
    return found


class _Knob:
    """What is turned until the time fits: the share of MACs, or of the predicted time."""

    def __init__(
        self, graph: Graph, scan: Sensitivity, scope: Scope, times: TimeTable | None
    ) -> None:
        self.times = times
        self._graph, self._scan, self._scope = graph, scan, scope
        layers = scanned_layers(scan, graph, scope)
        self._last = {layer: float(scan.fitted(layer)[0][-1]) for layer in layers}
        self._narrowest = scope.align(graph, self._last)
        if times is None:
            self.name, self.most = "MACs", preview(graph, self._narrowest).macs_removed
        else:
            self.name, self.most = "the time", most_removable(graph, scan, scope, times)

    def pick(self, share: float) -> Ratios:
        """The ratios of least drop that remove a share."""
        if self.times is not None:
            budget = Budget(latency=max(0.0, share - TINY), times=self.times)
            return allocate_budget(self._graph, self._scan, budget, scope=self._scope).ratios
        if share >= self.most:
            return self._narrowest
        try:
            return ratios_for_budget(self._graph, self._scan, macs=share, scope=self._scope)
        except PlanError:  # rounding to a multiple led beyond what the optimiser may use
            return self._narrowest

    def seen(self, ratios: Ratios) -> Preview:
        """What ratios are predicted to save."""
        return preview(self._graph, ratios, times=self.times)


def _tried(found: TimedRatios, ratios: Ratios, knob: _Knob, saved: float) -> TimedRatios:
    """The result with one more network that was timed."""
    seen = knob.seen(ratios)
    predicted = float("nan") if seen.latency_removed is None else seen.latency_removed
    rows = (*found.rows, (seen.macs_removed, predicted, saved))
    # Each network that is fast enough was asked for less than the one before it.
    if saved >= found.target:
        return TimedRatios(found.target, ratios, seen.macs_removed, saved, rows)
    return replace(found, rows=rows)


def _next(
    asked: float, short: float, between: tuple[float, float], found: TimedRatios, *, last: bool
) -> float:
    """The share to ask for next: by how much the last one was wrong, else the middle."""
    low, high = between
    if found.ratios is None and last:
        return high  # the narrowest network, rather than none
    predicted = found.rows[-1][1]
    guess = asked + short + MARGIN if predicted == predicted else low
    if found.ratios is None and guess >= high:
        return high
    return guess if low < guess < high else (low + high) / 2


def _too_much(graph: Graph, latency: float, row: Row) -> PlanError:
    msg = (
        f"At most {row[2]:.1%} of the time of {graph.model} can be removed within the scanned "
        f"ratios, as measured; {latency:.1%} was asked for. That network has {1 - row[0]:.1%} of "
        "the MACs: the rest of the time is not spent on what was pruned."
    )
    return PlanError(msg, target=latency, reachable=row[2], resource="latency")


def _by_clock(clock: Clock, model: Layer) -> Clock:
    """Share of the time that a network saves, by a clock that is asked for both."""

    def saved(small: Layer) -> float:
        whole = clock(model)  # each time anew, next to the other: machines change their pace
        return 1 - clock(small) / whole

    return saved


def _on_runtime(
    times: TimeTable | None,
    timing: TimingSettings | None,
    model: Layer,
    example: Tensor | Sequence[Tensor],
) -> Clock:
    """Share of the time that a network saves in a runtime, both timed in turns."""
    settings = timing or (PADDLE if times is None else times.settings)
    runtime = RuntimeClock(settings)
    whole = runtime.network(model, example)

    def saved(small: Layer) -> float:
        runs = [whole, runtime.network(small, example)]
        for run in runs:
            run()
        slow, fast = least_ms(runs, runs=settings.runs, turns=settings.turns)
        return 1 - fast / slow

    return saved

"""Floor 2. Measure the time of a network's layers by width, then whole networks to check the sum.

Layers of one shape are measured once, and a cache on disk keeps what was measured before.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.graph import Graph
from slimlab.plan import plan_pruning
from slimlab.prune import prune
from slimlab.ratios import Scope
from slimlab.steps import Step, drain
from slimlab.timing.cache import TimeCache, default_cache, machine
from slimlab.timing.clock import Clock, RuntimeClock
from slimlab.timing.layers import LayerShape, TimedLayer, timed_layers
from slimlab.timing.settings import TimingSettings
from slimlab.timing.table import Check, LayerTimes, TimeTable
from slimlab.trace import trace_program

Kept = dict[str, int]
FITTED = (0.0, 0.35, 0.7, 1.0)  # of the way to the narrowest network
CHECKED = 2  # networks of drawn widths
HERE = Path("default")


def measure_times(  # noqa: PLR0913 - each keyword has a default
    model: Layer,
    graph: Graph,
    example: Tensor | Sequence[Tensor],
    *,
    scope: Scope | None = None,
    settings: TimingSettings = TimingSettings(),  # noqa: B008 - frozen
    cache: str | Path | None = HERE,
    progress: bool = True,
    clock: Clock | None = None,
) -> TimeTable:
    """Measure how long each layer takes at each width, for latency budgets.

    Parameters
    ----------
    model, graph
        The model (it is not changed) and its graph.
    example
        One input with batch 1, or several.
    scope
        Layers to prune, and what the channels kept are rounded to; all that can be when None.
    settings
        Runtime, batch, threads, widths; see `slimlab.timing.TimingSettings`.
    cache
        File of times measured before on this machine; None for none. When left out,
        `slimlab.timing.default_cache()`.
    progress
        Show a progress bar.
    clock
        What tells the time; the runtime of the settings when None.

    Raises
    ------
    PlanError
        When no layer is in scope.
    UnsupportedOpError
        When the runtime can't run the network; `"paddle"` always can.
    ArtifactError
        When the cache can't be used.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.timing import TimingSettings
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> few = TimingSettings(levels=2, runs=2, turns=1)
    >>> times = sl.measure_times(
    ...     model, graph, task.example, settings=few, cache=None, progress=False
    ... )
    >>> len(times.layers), len(times.checks)
    (8, 6)
    """
    steps = iter_measure_times(
        model, graph, example, scope=scope, settings=settings, cache=cache, clock=clock
    )
    return drain(steps, progress=progress, title="Times")


def iter_measure_times(
    model: Layer,
    graph: Graph,
    example: Tensor | Sequence[Tensor],
    *,
    scope: Scope | None = None,
    settings: TimingSettings = TimingSettings(),  # noqa: B008 - frozen
    cache: str | Path | None = HERE,
    clock: Clock | None = None,
) -> Generator[Step[TimeTable], None, TimeTable]:
    """Measure shape by shape. What was measured is kept in the cache also when it is stopped.

    Stopped early there is no table: `finish_early` raises `Stopped`. The arguments are those of
    `measure_times`.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.timing import TimingSettings, iter_measure_times
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> steps = iter_measure_times(
    ...     model, sl.trace(model, task.example), task.example,
    ...     settings=TimingSettings(levels=1, runs=1, turns=1), cache=None,
    ... )
    >>> next(steps).label
    'conv 1->2'
    """
    clock = clock or RuntimeClock(settings)
    scope = scope or Scope()
    groups = scope.groups(graph)
    levels = {g.name: settings.kept(g.width, scope) for g in groups}
    layers = timed_layers(trace_program(model, example), graph, batch=settings.batch)
    grids = [_grid(layer, graph, levels) for layer in layers]
    wanted = {
        shape.key: shape
        for layer, (read, made) in zip(layers, grids, strict=True)
        for row in _shapes(layer, read, made)
        for shape in row
    }
    place = default_cache() if cache is HERE else cache
    known = yield from _measured(wanted, clock, None if place is None else Path(place))
    tables = tuple(
        LayerTimes(
            layer.layer,
            layer.inputs,
            layer.outputs,
            read,
            made,
            np.array([[known[s.key] for s in row] for row in _shapes(layer, read, made)]),
        )
        for layer, (read, made) in zip(layers, grids, strict=True)
    )
    widths = {name: tuple(sorted(set(kept), reverse=True)) for name, kept in levels.items()}
    raw = TimeTable(
        tables,
        widths,
        {g.name: g.width for g in graph.groups},
        base=0.0,
        factor=1.0,
        checks=(),
        clock=clock.name,
        machine=machine(),
        settings=settings,
    )
    networks = _networks(levels, graph)
    models = [_cut(model, graph, kept) for _, kept in networks]
    yield Step(len(wanted), len(wanted) + 1, "whole networks")
    table = calibrated(raw, networks, clock.networks(models, example))
    yield Step(len(wanted) + 1, len(wanted) + 1, "whole networks", table)
    return table


def _measured(
    wanted: Mapping[str, LayerShape], clock: Clock, path: Path | None
) -> Generator[Step[TimeTable], None, dict[str, float]]:
    """Milliseconds of each shape, from the cache or the clock."""
    cache = None if path is None else TimeCache(path, machine(), clock.name)
    known = {} if cache is None else cache.read()
    new: dict[str, float] = {}
    missing = [shape for key, shape in wanted.items() if key not in known]
    done = len(wanted) - len(missing)
    try:
        for number, shape in enumerate(missing, start=1):
            new[shape.key] = clock.layer(shape)
            label = f"{shape.kind} {shape.inputs}->{shape.outputs}"
            yield Step(done + number, len(wanted) + 1, label)
    finally:
        if cache is not None and new:
            cache.write(new)
    return {**known, **new}


def calibrated(
    raw: TimeTable, networks: Sequence[tuple[str, Kept]], measured: Sequence[float]
) -> TimeTable:
    """Fit base and factor to all networks but the last, and check all.

    Least squares of the errors as shares. Where that gives no sensible factor, the sum is scaled
    to the first network.
    """
    sums = np.array([raw.sums(kept) for _, kept in networks])
    times = np.array(measured, dtype=np.float64)
    fitted = len(networks) - CHECKED
    weights = 1 / times[:fitted]
    matrix = np.column_stack([weights, sums[:fitted] * weights])
    base, factor = np.linalg.lstsq(matrix, np.ones(fitted), rcond=None)[0]
    if not (np.isfinite([base, factor]).all() and factor > 0):
        base, factor = 0.0, times[0] / sums[0] if sums[0] > 0 else 1.0
    checks = tuple(
        Check(name, float(base + factor * total), float(ms), n < fitted)
        for n, ((name, _), total, ms) in enumerate(zip(networks, sums, times, strict=True))
    )
    return replace(raw, base=float(base), factor=float(factor), checks=checks)


def _grid(
    layer: TimedLayer, graph: Graph, levels: Mapping[str, Sequence[int]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths to measure: those that the layer has when all its groups are at the same level."""
    count = max(len(kept) for kept in levels.values())
    found = []
    for length in (layer.inputs, layer.outputs):
        lengths = set()
        for n in range(count):
            total = length.constant
            for number, times in length.per_group:
                group = graph.groups[number]
                total += times * (levels[group.name][n] if group.name in levels else group.width)
            lengths.add(total)
        found.append(tuple(sorted(lengths)))
    return found[0], found[1]


def _shapes(layer: TimedLayer, read: Sequence[int], made: Sequence[int]) -> list[list[LayerShape]]:
    return [[layer.at(a, b) for b in made] for a in read]


def _networks(levels: Mapping[str, Sequence[int]], graph: Graph) -> list[tuple[str, Kept]]:
    """Networks to fit to, from the whole to the narrowest, then some of drawn widths."""
    last = len(next(iter(levels.values()))) - 1
    found = []
    for share in FITTED:
        n = round(share * last)
        found.append((f"level {n} of {last}", {name: kept[n] for name, kept in levels.items()}))
    rng = np.random.default_rng(0)
    for number in range(1, CHECKED + 1):
        drawn: NDArray[np.int64] = rng.integers(0, last + 1, len(levels))
        kept = {name: k[n] for (name, k), n in zip(levels.items(), drawn, strict=True)}
        found.append((f"drawn widths {number}", kept))
    return found


def _cut(model: Layer, graph: Graph, kept: Kept) -> Layer:
    ratios = {name: 1 - count / graph.group(name).width for name, count in kept.items()}
    return prune(model, plan_pruning(model, graph, ratios))

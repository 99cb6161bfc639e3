"""Floor 3. Measured times as costs of the optimiser: shares of the network's predicted time.

A layer's time depends on the width that it reads and the one that it makes, mostly a group each: a
table over two variables, taken as it was measured, whatever its steps. Unlike multiply-adds, times
may fall when a group keeps more.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from slimlab.allocate.elimination import Elimination
from slimlab.allocate.problem import Array, Problem
from slimlab.allocate.solve import descended
from slimlab.cost import Length
from slimlab.errors import PlanError
from slimlab.graph import Graph
from slimlab.ratios import Ratios, Scope
from slimlab.timing import LayerTimes, TimeTable

Kept = Mapping[str, NDArray[np.int64]]
Parts = tuple[float, list[tuple[int, int]]]  # a constant, and variables with indices a channel


def time_tables(times: TimeTable, kept: Kept) -> tuple[dict[tuple[int, ...], Array], float]:
    """Tables of a network's predicted time, in shares of the whole, and the share that stays.

    Layers whose widths hang on more than two groups (after a concatenation) enter by the plane
    `c0 + c1 * in + c2 * out + c3 * in * out` that fits their times best, so that they too become
    tables over pairs.

    Parameters
    ----------
    times
        What was measured.
    kept
        Group to the channels that each of its levels keeps; the others keep all. Variables are
        numbered in this order.
    """
    scale = times.factor / times.predict({})
    number = {name: n for n, name in enumerate(kept)}
    levels = [np.asarray(values, dtype=np.float64) for values in kept.values()]
    tables: dict[tuple[int, ...], Array] = {}
    for layer in times.layers:
        read, made = (_parts(one, times, number) for one in (layer.inputs, layer.outputs))
        scope = tuple(sorted({v for v, _ in (*read[1], *made[1])}))
        if len(scope) <= 2:
            shape = [len(levels[v]) for v in scope]
            ends = [_width(one, scope, levels, shape) for one in (read, made)]
            _add(tables, scope, scale * layer.at(*ends))
            continue
        for where, table in _plane(layer, read, made, levels).items():
            _add(tables, where, scale * table)
    stays = tables.pop((), np.zeros(1))
    return tables, times.base / times.predict({}) + float(stays[0])


def most_removed(times: TimeTable, kept: Kept) -> float:
    """Largest share of the predicted time that any levels remove.

    Where the network is too entangled to say exactly, that of steps of one group at a time.
    """
    tables, fixed = time_tables(times, kept)
    losses = tuple(np.zeros(len(values)) for values in kept.values())
    problem = Problem(losses, tables, np.zeros(1))
    elimination = Elimination.of(problem)
    if elimination is not None:
        return 1 - fixed - elimination.minimum(np.array([0.0, 1.0])).value
    return 1 - fixed - float(problem.cost(descended(problem))[0])


def on_measured_widths(graph: Graph, times: TimeTable, scope: Scope, ratios: Ratios) -> Ratios:
    """The ratios moved to the nearest widths that were measured and that a scope allows.

    Between them a layer may fall off the stairs of its runtime; of two equally near the narrower is
    taken.
    """
    found = {}
    for name, ratio in ratios.of_groups(graph).items():
        width = graph.group(name).width
        allowed = {k for k in times.widths.get(name, ()) if scope.kept(width, 1 - k / width) == k}
        wanted = width * (1 - ratio)
        kept = min({width, *allowed}, key=lambda k: (abs(k - wanted), k))
        found[name] = 1 - kept / width
    return Ratios(found)


def check_belongs(times: TimeTable, graph: Graph) -> None:
    """Refuse a table that was measured on another network.

    Raises
    ------
    PlanError
        When its groups are not the graph's.
    """
    own = {group.name: group.width for group in graph.groups}
    if dict(times.groups) != own:
        other = sorted(set(own.items()) ^ set(times.groups.items()))[:4]
        msg = (
            f"These times were measured on another network than this {graph.model}: "
            f"{', '.join(f'{name} with {width} channels' for name, width in other)} is in one of "
            "them only. Measure this one with measure_times."
        )
        raise PlanError(msg, model=graph.model)


def _parts(length: Length, times: TimeTable, number: Mapping[str, int]) -> Parts:
    names = list(times.groups)
    constant, found = float(length.constant), []
    for group, each in length.per_group:
        name = names[group]
        if name in number:
            found.append((number[name], each))
        else:
            constant += each * times.groups[name]
    return constant, found


def _width(parts: Parts, scope: tuple[int, ...], levels: list[Array], shape: list[int]) -> Array:
    """A layer's width for every choice of levels, of `shape`."""
    total = np.full(shape, parts[0])
    for variable, each in parts[1]:
        along = [1] * len(scope)
        along[scope.index(variable)] = -1
        total = total + each * levels[variable].reshape(along)
    return total


def _plane(
    layer: LayerTimes, read: Parts, made: Parts, levels: list[Array]
) -> dict[tuple[int, ...], Array]:
    a, b = np.meshgrid(layer.read, layer.made, indexing="ij")
    columns = np.column_stack([np.ones(a.size), a.ravel(), b.ravel(), (a * b).ravel()])
    c = np.linalg.lstsq(columns.astype(np.float64), layer.ms.ravel(), rcond=None)[0]
    found: dict[tuple[int, ...], Array] = {}
    ends = [
        [((), np.asarray(one[0])), *(((v,), each * levels[v]) for v, each in one[1])]
        for one in (read, made)
    ]
    _sum(found, (), np.asarray(c[0]))
    for coefficient, terms in ((c[1], ends[0]), (c[2], ends[1])):
        for scope, values in terms:
            _sum(found, scope, coefficient * values)
    for (first, x), (second, y) in product(*ends):
        if not first or not second or first == second:
            _sum(found, first or second, c[3] * x * y)
        elif first < second:
            _sum(found, (*first, *second), c[3] * np.outer(x, y))
        else:
            _sum(found, (*second, *first), c[3] * np.outer(y, x))
    return found


def _sum(tables: dict[tuple[int, ...], Array], scope: tuple[int, ...], values: Array) -> None:
    tables[scope] = tables[scope] + values if scope in tables else np.asarray(values)


def _add(tables: dict[tuple[int, ...], Array], scope: tuple[int, ...], values: Array) -> None:
    """Add a table with an axis for the resource in front."""
    _sum(tables, scope, np.asarray(values)[None])

"""How long a preview and a budget take: what sliders and pickers wait for.

For a chain of 200 layers and for networks of `paddle.vision.models`: the median time of
`sl.preview` with a sensitivity table, without and with a table of layer times, and that of
`allocate_budget` with the gap that it proves, in shares of the charge. Both tables are made up: no
network is run. What is printed is also written between the markers of a page.

    python benchmarks/preview.py --table docs/preview.md
    python benchmarks/preview.py --networks mobilenet_v1
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle

import slimlab as sl
from slimlab.allocate import Budget, allocate_budget
from slimlab.sensitivity import Fingerprint
from slimlab.timing import LayerShape, machine, timed_layers
from slimlab.trace import trace_program

START, END = "<!-- generated: preview -->", "<!-- end -->"
NAMES = ["chain of 200", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "resnet50", "vgg16"]
RATIOS = tuple(round(0.1 * n, 1) for n in range(1, 10))
BUDGETS = (Budget(macs=0.5), Budget(macs=0.5, params=0.5))


def chain(layers: int = 200, width: int = 64) -> paddle.nn.Layer:
    """A plain network of so many prunable convolutions."""
    made: list[paddle.nn.Layer] = [paddle.nn.Conv2D(3, width, 1)]
    for n in range(layers):
        made += [paddle.nn.ReLU(), paddle.nn.Conv2D(width, 5 if n == layers - 1 else width, 1)]
    return paddle.nn.Sequential(*made)


def random_scan(graph: sl.Graph, seed: int = 0) -> sl.Sensitivity:
    """Curves that rise as measured ones do, a few layers far more sensitive than the others."""
    rng = np.random.default_rng(seed)
    cells = []
    for layer in graph.layers:
        drops = np.cumsum(rng.exponential(1, 9) * np.linspace(0.1, 2, 9) * rng.lognormal(0, 1))
        for ratio, drop in zip(RATIOS, drops + rng.normal(0, 0.5, 9), strict=True):
            cells.append(sl.Cell(layer, ratio, 90 - drop, drop, drop - 1, drop + 1, 500))
    names = ("top1", "%", "l1_norm", 500)
    return sl.Sensitivity(tuple(cells), graph.layers, RATIOS, 90.0, *names, Fingerprint("m", "t"))


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of a call, after one that isn't counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


class Stairs:
    """A clock that needs no machine: multiply-adds in blocks of eight channels."""

    name = "stairs"

    def layer(self, shape: LayerShape) -> float:
        """Milliseconds of a layer."""
        kernel, size = np.prod(shape.kernel or (1,)), np.prod(shape.size or (1,))
        blocks = -(-shape.inputs // (8 * shape.groups)) * -(-shape.outputs // 8)
        return float(1e-4 * blocks * kernel * size)

    def networks(self, models: Sequence[paddle.nn.Layer], example: Any) -> tuple[float, ...]:
        """Milliseconds of networks: those of their layers."""
        found = []
        for model in models:
            layers = timed_layers(trace_program(model, example), sl.trace(model, example))
            found.append(1.0 + sum(self.layer(one.shape) for one in layers))
        return tuple(found)


def row(name: str, repeats: int) -> tuple[str, list[str]]:
    """A network's row of previews, and its rows of budgets."""
    plain = name == "chain of 200"
    model = chain() if plain else getattr(paddle.vision.models, name)()
    x = paddle.zeros([1, 3, 8, 8] if plain else [1, 3, 224, 224])
    graph = sl.trace(model, x)
    scan = random_scan(graph)
    few = sl.TimingSettings(batch=1, levels=4, grain=8)
    times = sl.measure_times(
        model, graph, x, settings=few, cache=None, clock=Stairs(), progress=False
    )
    ratios = sl.Ratios(dict.fromkeys(graph.layers, 0.4))
    seen = milliseconds(lambda: sl.preview(graph, ratios, scan), repeats)
    timed = milliseconds(lambda: sl.preview(graph, ratios, scan, times), repeats)
    budgets = [*BUDGETS, Budget(latency=0.3, times=times)]
    found = []
    for budget in budgets:
        start = time.perf_counter()
        allocation = allocate_budget(graph, scan, budget)
        took = 1000 * (time.perf_counter() - start)
        share = allocation.gap / allocation.charge
        found.append(f"| {name} | {budget} | {took:.0f} | {share:.2%} | {allocation.method} |")
    return f"| {name} | {len(graph.groups)} | {seen:.3f} | {timed:.3f} |", found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables, and write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=NAMES)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--table", type=Path, help="page with markers to write the tables into")
    options = parser.parse_args(arguments)
    previews = ["| network | groups | preview, ms | with times, ms |", "|---|---|---|---|"]
    budgets = ["| network | budget | ms | proven gap | method |", "|---|---|---|---|---|"]
    for name in options.networks:
        first, second = row(name, options.repeats)
        previews.append(first)
        budgets += second
    text = "\n".join([f"`{machine()}`", "", *previews, "", *budgets])
    print(text)
    if options.table is not None:
        page = options.table.read_text(encoding="utf-8")
        head, rest = page.split(START)
        tail = rest.split(END)[1]
        options.table.write_text(f"{head}{START}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How long a preview and a budget take: what sliders and pickers wait for.

Prints, for a chain of 200 layers and for networks of `paddle.vision.models`, the median time of
`sl.preview` with a sensitivity table, and of `sl.ratios_for_budget` with the gap that it proves, in
shares of the charge. The table is random: no network is run. Names of networks can be given.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import paddle

import slimlab as sl
from slimlab.allocate import Budget, allocate_budget
from slimlab.sensitivity import Fingerprint

NAMES = ["chain of 200", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "resnet50", "vgg16"]
RATIOS = tuple(round(0.1 * n, 1) for n in range(1, 10))
BUDGETS = (Budget(macs=0.5), Budget(macs=0.5, params=0.5))


def chain(layers: int = 200) -> paddle.nn.Layer:
    """A plain network of so many prunable convolutions."""
    made: list[paddle.nn.Layer] = [paddle.nn.Conv2D(3, 16, 1)]
    for n in range(layers):
        made += [paddle.nn.ReLU(), paddle.nn.Conv2D(16, 5 if n == layers - 1 else 16, 1)]
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


def main(names: list[str]) -> None:
    """Print a row a network and budget."""
    print(f"{'network':20s}{'groups':>7s}{'preview ms':>12s}  budget: ms, proven gap")
    for name in names:
        plain = name == "chain of 200"
        model = chain() if plain else getattr(paddle.vision.models, name)()
        graph = sl.trace(model, paddle.zeros([1, 3, 8, 8] if plain else [1, 3, 224, 224]))
        scan = random_scan(graph)
        ratios = sl.Ratios(dict.fromkeys(graph.layers, 0.4))
        preview = milliseconds(lambda g=graph, r=ratios, s=scan: sl.preview(g, r, s), 200)
        found = []
        for budget in BUDGETS:
            start = time.perf_counter()
            allocation = allocate_budget(graph, scan, budget)
            took = 1000 * (time.perf_counter() - start)
            share = allocation.gap / allocation.charge
            found.append(f"{budget}: {took:.0f}, {share:.2%} ({allocation.method})")
        print(f"{name:20s}{len(graph.groups):7d}{preview:12.3f}  {'; '.join(found)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or NAMES)

"""How fast is the scan? Makes docs/scan-speed.md.

    python benchmarks/scan.py --results scan-speed.jsonl [--network mobilenet_v1-224 ...]
    python benchmarks/scan.py --results scan-speed.jsonl --page docs/scan-speed.md

Each way runs in a process of its own, one after the other, so that each has its own peak of memory.
Results are added to the file, and the page is made of its newest run of each network.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import paddle
from onnx import helper, numpy_helper
from paddle.vision import models

import slimlab as sl
from slimlab.runtimes import RUNTIMES
from slimlab.scan.meters import Fast
from slimlab.scan.network import Network
from slimlab.scan.settings import ScanSettings
from slimlab.scan.setup import prepare

ACCEPTED = 2.0  # drop in points that the adaptive scan decides, and that ratios are picked at
STEP = 0.1


def noise(images: int) -> sl.Task:
    """Random images in the shape of photographs: 224 by 224, three channels."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, 3, 224, 224), dtype=np.float32)
    y = rng.integers(0, 1000, images)
    return sl.Task.from_arrays(x[:64], y[:64], x, y, num_classes=1000, name="noise")


def zoo(name: str) -> Callable[[int], tuple[paddle.nn.Layer, sl.Task]]:
    """A trained network of the zoo and Fashion-MNIST."""

    def make(images: int) -> tuple[paddle.nn.Layer, sl.Task]:
        task = sl.load_task("fashion-mnist")
        return sl.load_model(name, task), task

    return make


def large(name: str) -> Callable[[int], tuple[paddle.nn.Layer, sl.Task]]:
    """One of Paddle's networks at 224 by 224 with random weights: only time is measured there."""

    def make(images: int) -> tuple[paddle.nn.Layer, sl.Task]:
        paddle.seed(0)
        model = getattr(models, name)()
        model.eval()
        return model, noise(images)

    return make


NETWORKS = {
    "mobilenet_v1-224": (large("mobilenet_v1"), 128),
    "resnet50-224": (large("resnet50"), 16),
    "mobilenet_v1": (zoo("mobilenet_v1"), 10_000),
    "resnet20": (zoo("resnet20"), 10_000),
    "vgg": (zoo("vgg"), 10_000),
}
WAYS = ("plain", "float32", "bfloat16", "adaptive", "adaptive bfloat16")


def matrix_rate(dtype: str = "float32") -> float:
    """Multiply-adds a second of the fastest matrix product here: NumPy's or a runtime's."""
    best = 0.0
    for n in (1024, 2048):
        a = np.random.default_rng(0).random((n, n), dtype=np.float32)
        info = [helper.make_tensor_value_info(name, 1, [n, n]) for name in "xy"]
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        graph = helper.make_graph(
            [node], "g", info[:1], info[1:], [numpy_helper.from_array(a, "w")]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        able = [r.compile(model, dtype=dtype) for r in RUNTIMES.values() if dtype in r.dtypes]
        products: list[Callable[[], object]] = [lambda run=run, a=a: run([a]) for run in able]
        if dtype == "float32":
            products.append(lambda a=a: a @ a)
        for product in products:
            for _ in range(8):
                began = time.perf_counter()
                product()
                best = max(best, n**3 / (time.perf_counter() - began))
    return best


def macs_of(network: Network, nodes: list[onnx.NodeProto]) -> int:
    """Multiply-adds of convolutions and products, for the batch that the network takes."""
    total = 0
    for node in nodes:
        if node.op_type in {"Conv", "MatMul", "Gemm"}:
            weight = network.initializers.get(node.input[1])
            if weight is not None:
                made = int(np.prod(network.shape(node.output[0])))
                along = weight.dims[1:] if node.op_type == "Conv" else weight.dims[:1]
                total += made * int(np.prod(along))
    return total


def work(model: paddle.nn.Layer, task: sl.Task, images: int) -> dict[str, float]:
    """Multiply-adds an image of the network, of what is computed once, and of all cells."""
    setup = prepare(model, task, ScanSettings(images=images))
    assert isinstance(setup.meter, Fast)
    network = setup.meter._network
    cells = 0
    for segment in setup.meter._segments.values():
        assert segment is not None
        cells += sum(macs_of(network, list(part.nodes)) for part in segment.parts) // setup.batch
    whole = macs_of(network, network.nodes) // setup.batch
    ratios = len(setup.board.table.ratios)
    groups = len(setup.board.table.layers)
    return {"whole": whole, "cells": cells * ratios, "groups": groups, "ratios": ratios}


def picked(table: sl.Sensitivity, exact: Path) -> dict[str, float]:
    """How far picks at the accepted drop lie from those of the scan of all images."""
    if not exact.exists():
        return {}
    whole = sl.load_scan(exact)
    a, b = (sl.ratios_within_drop(one, drop=ACCEPTED) for one in (whole, table))
    apart = [abs(a.get(n, 0.0) - b.get(n, 0.0)) for n in whole.layers]
    return {"apart": max(apart), "beyond": sum(x > STEP + 1e-9 for x in apart), "of": len(apart)}


def one(name: str, way: str, images: int, folder: Path) -> dict[str, Any]:
    """Run one way in this process."""
    warnings.simplefilter("ignore")
    model, task = NETWORKS[name][0](images)
    if way == "plain":
        return plain(model, task, 8 if name.endswith("-224") else 64)
    if way == "work":
        return work(model, task, images)
    asked: dict[str, Any] = {"images": images}
    if "bfloat16" in way:
        asked["dtype"] = "bfloat16"
    if way.startswith("adaptive"):
        asked["decide"] = ACCEPTED
    if way == "float32":
        asked["path"] = folder / f"{name}.scan"
    began, first, table = time.perf_counter(), 0.0, None
    last, setting_up, steps = began, 0.0, []
    for step in sl.iter_scan_sensitivity(model, task, **asked):
        now = time.perf_counter()
        if setting_up:
            steps.append((step.label, now - last))
        else:
            setting_up = now - began
        last = now
        table = step.item or table
        if not first and table is not None and table.complete:
            first = now - began
    assert table is not None
    count = sum(cell.images for cell in table.cells)
    found = {
        "seconds": time.perf_counter() - began,
        "alone": setting_up + undisturbed(steps),
        "first": first,
        "count": count,
        "baseline": table.baseline,
    }
    return {**found, **picked(table, folder / f"{name}.scan")}


def undisturbed(steps: list[tuple[str, float]]) -> float:
    """Seconds of steps, had each taken no longer than the shortest of its layer, besides the first
    of each layer, which compiles.
    """
    best: dict[str, float] = {}
    once: dict[str, float] = {}
    for label, took in steps:
        best[label] = min(took, best.get(label, took))
        once.setdefault(label, took)
    return sum(best[label] for label, _ in steps) + sum(once[n] - best[n] for n in best)


def plain(model: paddle.nn.Layer, task: sl.Task, images: int) -> dict[str, Any]:
    """Seconds an image and cell of a scan that runs the whole network in Paddle: the best of
    thirty passes.
    """
    x, _ = next(iter(task.test.batches(images, images=images)))
    model.eval()
    best = float("inf")
    with paddle.no_grad():
        for _ in range(30):
            began = time.perf_counter()
            model(x).numpy()
            best = min(best, (time.perf_counter() - began) / images)
    return {"each": best}


def press() -> dict[str, Any]:
    """Seconds from pressing Scan in the quickstart's workbench to a cell in every place."""
    import slimlab_widgets as slw

    task = sl.load_task("fashion-mnist")
    model = sl.load_model("mobilenet_v1", task)
    with tempfile.TemporaryDirectory() as folder:
        bench = slw.Workbench(model, task, scans=Path(folder))
        began = time.perf_counter()
        bench.scan()
        while bench.sensitivity is None or not bench.sensitivity.complete:
            time.sleep(0.01)
        took, table = time.perf_counter() - began, bench.sensitivity
        bench.stop()
        bench.wait(30)
    return {"first": took, "cells": len(table.cells), "images": table.cells[0].images}


def child(*args: str, threads: int | None = None) -> dict[str, Any]:
    """Run this file in a process of its own; on so many threads, if given."""
    command = [sys.executable, __file__, "--child", *args]
    few = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    env = {**os.environ, **few}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def main() -> None:
    """Measure networks, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--way", action="append", choices=WAYS)
    parser.add_argument("--images", type=int, help="images a cell; else the network's own number")
    parser.add_argument("--results", type=Path, default=Path("scan-speed.jsonl"))
    parser.add_argument("--page", type=Path, help="only write the page from the results")
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        name, way, images, folder = (*options.child, "", "", "", "")[:4]
        found = press() if name == "press" else one(name, way, int(images), Path(folder))
        found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(found))
        return
    if options.page:
        from scan_page import page

        options.page.write_text(page(options.results), encoding="utf-8")
        return
    for name in options.network or NETWORKS:
        measure(name, options)


def measure(name: str, options: argparse.Namespace) -> None:
    """All ways of one network, one after the other, as one line of results."""
    images = options.images or NETWORKS[name][1]
    rates = {
        d: matrix_rate(d)
        for d in ("float32", "bfloat16")
        if any(d in r.dtypes for r in RUNTIMES.values())
    }
    load = os.getloadavg()[0]
    run: dict[str, Any] = {"network": name, "images": images, "rates": rates, "load": load}
    run["press"] = child("press") if name == "mobilenet_v1" else None
    with tempfile.TemporaryDirectory() as folder:
        run["work"] = child(name, "work", str(images), folder)
        for way in options.way or WAYS:
            if name.endswith("-224") and way.startswith("adaptive"):
                continue  # random weights have no accuracy to lose
            run[way] = child(name, way, str(images), folder)
            print(name, way, run[way], flush=True)
        # Where other work runs, two threads that wait for each other are slower than one.
        again = child(name, "plain", str(images), folder, threads=1)
        run["plain"]["again"] = again["each"]
    with options.results.open("a") as file:
        file.write(json.dumps(run) + "\n")


if __name__ == "__main__":
    main()

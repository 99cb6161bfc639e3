"""How fast is the scan? Seconds of the plain scan in Paddle, and of this one, in one run.

    python benchmarks/scan.py [--network mobilenet_v1-224 ...] [--images 64]

The plain scan runs the whole network in Paddle for each image and cell, whatever the ratio; it is
timed for one ratio a layer and multiplied. `gemm` is the share of the rate at which this machine
multiplies float32 matrices, counting the multiply-adds that the scan really did. For networks of
224 by 224 pixels, weights and images are random: only time is measured there. The adaptive scan
(`precision=1`) is timed for the zoo's networks, with how far its picks lie from the exact scan's.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np
import paddle
from paddle.vision import models

import slimlab as sl
from slimlab.runtimes import fastest

RATIOS = 9


def random_task(size: int, images: int) -> sl.Task:
    """Noise in the shape of photographs."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, 3, size, size), dtype=np.float32)
    y = rng.integers(0, 1000, images)
    return sl.Task.from_arrays(x[:8], y[:8], x, y, num_classes=1000, name="random")


def zoo(name: str) -> Callable[[int], tuple[paddle.nn.Layer, sl.Task]]:
    """A trained network of the zoo and Fashion-MNIST."""

    def make(images: int) -> tuple[paddle.nn.Layer, sl.Task]:
        task = sl.load_task("fashion-mnist")
        return sl.load_model(name, task), task

    return make


def large(name: str) -> Callable[[int], tuple[paddle.nn.Layer, sl.Task]]:
    """One of Paddle's networks with random weights, at 224 by 224."""

    def make(images: int) -> tuple[paddle.nn.Layer, sl.Task]:
        paddle.seed(0)
        model = getattr(models, name)()
        model.eval()
        return model, random_task(224, images)

    return make


NETWORKS = {
    "mobilenet_v1-224": large("mobilenet_v1"),
    "resnet50-224": large("resnet50"),
    "mobilenet_v1": zoo("mobilenet_v1"),
    "resnet20": zoo("resnet20"),
    "vgg": zoo("vgg"),
}


def gemm_rate() -> float:
    """Float32 multiply-adds a second, the best of five products."""
    a = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        best = max(best, 2048**3 / (time.perf_counter() - began))
    return best


def timed(model: paddle.nn.Layer, task: sl.Task, **asked: object) -> tuple[float, float, float]:
    """Seconds until all, until the first complete picture, and cells measured."""
    began, first = time.perf_counter(), 0.0
    table = None
    for step in sl.iter_scan_sensitivity(model, task, **asked):
        table = step.item or table
        if not first and table is not None and table.complete:
            first = time.perf_counter() - began
    assert table is not None
    return time.perf_counter() - began, first, sum(cell.images for cell in table.cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--images", type=int, default=64, help="images a cell of the exact scan")
    parser.add_argument("--plain", type=int, default=16, help="images a cell of the plain scan")
    parser.add_argument("--adaptive", action="store_true", help="the adaptive scan, on all images")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rate = gemm_rate()
    print(f"float32 matrix product: {2 * rate / 1e9:.0f} GFLOP/s")
    print("| network | scan | images x cells | s | to first picture | times plain | gemm |")
    print("|---|---|---|---|---|---|---|")
    for name in options.network or NETWORKS:
        model, task = NETWORKS[name](max(options.images, options.plain))
        plain, _, count = timed(model, task, images=options.plain, ratios=[0.5], runtime="paddle")
        each = plain / count
        print(f"| {name} | plain, Paddle | {count:,.0f} | {plain:.1f} | | 1 | |", flush=True)
        for dtype in ("float32", "bfloat16"):
            if dtype not in fastest().dtypes and dtype not in fastest(dtype).dtypes:
                continue
            took, first, count = timed(model, task, images=options.images, dtype=dtype)
            share = sl.profile(model, task.example).macs * count / 2 / took / rate
            note = f"{share:.0%}" if dtype == "float32" else ""
            times = each * count / took
            print(
                f"| {name} | {dtype} | {count:,.0f} | {took:.1f} | {first:.1f} | {times:.1f} "
                f"| {note} |",
                flush=True,
            )
        if options.adaptive:
            adaptive(name, model, task, each)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak memory of the process: {peak:.1f} GiB")


def adaptive(name: str, model: paddle.nn.Layer, task: sl.Task, each: float) -> None:
    """The scan that stops where it is sure, against all images."""
    began = time.perf_counter()
    whole = sl.scan_sensitivity(model, task, progress=False)
    exact = time.perf_counter() - began
    began = time.perf_counter()
    quick = sl.scan_sensitivity(model, task, precision=1.0, progress=False)
    took = time.perf_counter() - began
    plain = each * whole.images * len(whole.cells)
    picks = [sl.ratios_within_drop(table, drop=2.0) for table in (whole, quick)]
    apart = [abs(picks[0].get(n, 0.0) - picks[1].get(n, 0.0)) for n in whole.layers]
    count = sum(cell.images for cell in quick.cells)
    print(
        f"| {name} | all {whole.images:,} images | {whole.images * len(whole.cells):,} | "
        f"{exact:.1f} | | {plain / exact:.1f} | |"
    )
    print(
        f"| {name} | adaptive, precision 1 | {count:,} | {took:.1f} | | {plain / took:.1f} | "
        f"picks at most {max(apart):.2f} apart, {sum(a > 0.1 for a in apart)} of {len(apart)} "
        "by more than a grid step |",
        flush=True,
    )


if __name__ == "__main__":
    main()

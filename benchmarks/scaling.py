"""How a scan grows with workers. Makes docs/scaling.md.

    python benchmarks/scaling.py [--network mobilenet_v1] [--images 2048] [--page docs/scaling.md]

A Dask cluster of one and of two processes of this machine, one thread each, scans the same table.
Each worker is warm: it has the network and has compiled its parts. What the scheduler and the
asking process do for a task, in one process here, is their processor time divided by the tasks.
More workers than there are cores here are not measured: what is said of them follows from sizes and
times of tasks.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import distributed
import paddle

import slimlab as sl
from slimlab.scan import cluster
from slimlab.scan.settings import ScanSettings
from slimlab.scan.setup import prepare

WIRE = 125e6  # bytes a second of a network of one gigabit
PREDICTED = (1, 2, 8, 64)


@dataclass(frozen=True)
class Run:
    """A scan on some workers."""

    workers: int
    seconds: float
    first: float
    cells: int
    tasks: int
    own: float  # seconds of processor time of the asking process and the scheduler


def scan(
    client: distributed.Client, model: paddle.nn.Layer, task: sl.Task, images: int, workers: int
) -> Run:
    """Time a scan from its baseline step, which comes when the network has been sent."""
    count = 0
    give = cluster.Crew.give

    def counted(crew: cluster.Crew, order: cluster.Order) -> None:
        nonlocal count
        count += 1
        give(crew, order)

    cluster.Crew.give = counted  # type: ignore[method-assign]
    try:
        steps = sl.iter_scan_sensitivity(model, task, images=images, client=client)
        next(steps)
        began, spent, first, last = time.perf_counter(), time.process_time(), 0.0, None
        for step in steps:
            last = step
            if not first and step.item is not None and step.item.complete:
                first = time.perf_counter() - began
    finally:
        cluster.Crew.give = give  # type: ignore[method-assign]
    assert last is not None
    took, own = time.perf_counter() - began, time.process_time() - spent
    return Run(workers, took, first, last.cells, count, own)


def measure(name: str, images: int) -> tuple[list[Run], dict[str, float]]:
    """Runs with one and two workers, and the sizes of a task."""
    task = sl.load_task("fashion-mnist")
    model = sl.load_model(name, task)
    setup = prepare(model, task, ScanSettings(images=images))
    _, x, labels = next(setup.chunks())
    sizes = {
        "batch": setup.batch,
        "there": x.nbytes + labels.numpy().nbytes,
        "network": len(setup.meter.blueprint.network),
    }
    runs = []
    for workers in (1, 2):
        where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        with (
            distributed.LocalCluster(n_workers=workers, threads_per_worker=1, **where) as local,
            local.get_client() as client,
        ):
            scan(client, model, task, min(images, 2 * setup.batch * workers), workers)  # warm
            runs.append(scan(client, model, task, images, workers))
        print(runs[-1], flush=True)
    return runs, sizes


def page(name: str, images: int, runs: list[Run], sizes: dict[str, float]) -> str:
    """The page: what was measured, and what follows for more workers."""
    one = runs[0]
    own = sum(run.own for run in runs) / sum(run.tasks for run in runs)
    each = one.seconds / one.tasks  # of a task on one worker, what is done for it included
    wire = sizes["there"] / WIRE
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    busy = ""
    if load > 2 * cores:
        busy = (
            f"With {load:.0f} processes for {cores} cores the second worker got little of a core "
            "of its own, so this says nothing of a machine that has one to spare."
        )
    lines = [
        "# Scans on several workers",
        "",
        "Made by `python benchmarks/scaling.py`, whose first lines say how.",
        "",
        f"`{name}` of the zoo, {one.cells} cells, {images:,} images of Fashion-MNIST in chunks of "
        f"{sizes['batch']:.0f}. The network ({sizes['network'] / 1e6:.1f} MB) is sent to a worker "
        f"once. {cores} cores; load of the machine {load:.1f}.",
        "",
        "| workers | seconds | cells/s, all images | images x cells/s | first picture, s | tasks |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        rate = run.cells / run.seconds
        lines.append(
            f"| {run.workers} | {run.seconds:.1f} | {rate:.1f} | {rate * images:,.0f} | "
            f"{run.first:.1f} | {run.tasks} |"
        )
    lines += [
        "",
        f"Two workers are {runs[0].seconds / runs[1].seconds:.2f} times as fast as one. {busy}",
        "",
        f"A task of one worker takes {each * 1000:.0f} ms and carries "
        f"{sizes['there'] / 1e6:.2f} MB of images there, and kilobytes of scores back. Scheduler "
        f"and asking process spend {own * 1000:.1f} ms of one core on it, sending and writing "
        f"included, and a wire of 1 Gbit/s {wire * 1000:.1f} ms. The slower of these two is the "
        "most that any number of workers can be fed with:",
        "",
        "| workers | images x cells/s | bound by |",
        "|---|---|---|",
    ]
    full = one.cells * images / one.seconds
    bound = max(own, wire)
    for workers in PREDICTED:
        fed = workers * bound < each
        rate = full * (workers if fed else each / bound)
        why = "workers" if fed else ("the wire" if wire > own else "scheduler and asking process")
        lines.append(f"| {workers} | {rate:,.0f} | {why} |")
    lines += [
        "",
        f"So the last worker of use here is number {each / bound:.0f}. With larger networks "
        "a task takes longer and its images are no larger, so that it lies further off. The table "
        "has as many tasks for each worker as there are chunks of images; a scan of "
        f"{images:,} images has {-(-images // int(sizes['batch']))}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the page, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="mobilenet_v1")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    runs, sizes = measure(options.network, options.images)
    text = page(options.network, options.images, runs, sizes)
    print(text)
    if options.page:
        options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

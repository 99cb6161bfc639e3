"""Training with one and two workers and in a plain Paddle loop: images a second, and accuracy.

Speeds are measured in one process, the ways in turn, round after round; one and two workers and
the plain loop are compared in each round. Each process is bound to a core. Where a machine
does other work, two processes lose more to it than one; their processor time tells what is left
without that. Accuracies are those of whole trainings from random weights. Every round and every
training is a JSON file in `--results` and is not made again: stop and start as you like.

    OMP_NUM_THREADS=1 python benchmarks/training.py speed --rounds 5 --write
    OMP_NUM_THREADS=1 python benchmarks/training.py accuracy --seeds 0 1 2 --write
    OMP_NUM_THREADS=1 python benchmarks/training.py speed --task digits --model vgg --rounds 1
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle

import slimlab as sl
from slimlab.train import Constant, Training

PAGE = Path(__file__).resolve().parents[1] / "docs" / "training.md"
PLAIN = "plain loop"
RATE = 0.01
Spent = tuple[float, float]  # seconds that passed, and seconds of the processor in this process


def settings(**more: Any) -> Training:
    """Give the training of both parts."""
    return Training("momentum", weight_decay=5e-4, evaluate_images=64, **more)


def network(options: argparse.Namespace, task: sl.Task, seed: int = 0) -> paddle.nn.Layer:
    """Give a network with random weights."""
    paddle.seed(seed)
    more = {} if options.width is None else {"width": options.width}
    return sl.load_model(options.model, task, pretrained=False, **more)


def now() -> tuple[float, float]:
    """Give the time, and the processor time of this process: seconds."""
    return time.monotonic(), time.process_time()


def plain(model: paddle.nn.Layer, task: sl.Task, options: argparse.Namespace) -> Spent:
    """Train as a person would who has only Paddle, and give the seconds of all steps."""
    model = copy.deepcopy(model)
    optimizer = paddle.optimizer.Momentum(
        RATE, 0.9, parameters=model.parameters(), use_nesterov=True, weight_decay=5e-4
    )
    model.train()
    rng = np.random.default_rng(0)
    began = now()
    for step, (x, labels) in enumerate(task.train.batches(options.batch_size, seed=0)):
        if step == options.steps:
            break
        if task.augment is not None:
            x = paddle.to_tensor(task.augment(x.numpy(), rng))
        loss = task.loss(model(x), labels)
        float(loss)  # a person wants to see it
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    return since(began)


def since(began: tuple[float, float]) -> Spent:
    """Give what has passed."""
    time_, processor = now()
    return time_ - began[0], processor - began[1]


def ours(workers: int) -> Callable[[paddle.nn.Layer, sl.Task, argparse.Namespace], Spent]:
    """Give a way to train so many steps in our loop, with so many workers."""

    def run(model: paddle.nn.Layer, task: sl.Task, options: argparse.Namespace) -> Spent:
        began: list[tuple[float, float]] = []  # with what it takes to start the workers
        spent: list[Spent] = []

        def watch(event: sl.train.Event) -> None:
            if event.kind == "start":
                began.append(now())
            if event.kind == "step" and event.record.step == options.steps:
                spent.append(since(began[0]))
                raise sl.steps.Stopped

        sl.fine_tune(
            model, task, learning_rate=RATE, batch_size=options.batch_size, workers=workers,
            training=settings(schedule=Constant(), callbacks=(watch,)), progress=False,
        )  # fmt: skip
        return spent[0]

    return run


def speed(options: argparse.Namespace) -> None:
    """Measure each way once a round, in another order each round."""
    task = sl.load_task(options.task)
    model = network(options, task)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[0]})
        os.register_at_fork(after_in_child=lambda: os.sched_setaffinity(0, {cores[1]}))
    ways = {PLAIN: plain, "1 worker": ours(1), "2 workers": ours(2)}
    for way in ways.values():  # once, unmeasured
        way(model, task, argparse.Namespace(**{**vars(options), "steps": 2}))
    for number in range(options.rounds):
        path = options.results / f"speed-{label(options)}-b{options.batch_size}-{number}.json"
        if path.exists():
            continue
        names = list(ways)
        found, busy = {}, {}
        for name in names[number % 3 :] + names[: number % 3]:
            seconds, busy[name] = ways[name](model, task, options)
            found[name] = options.steps * options.batch_size / seconds
        keep(path, {"kind": "speed", **facts(options), "rates": found, "processor": busy})
        print(path.stem, {name: round(rate, 1) for name, rate in found.items()}, flush=True)


def accuracy(options: argparse.Namespace) -> None:
    """Train from random weights with one and with two workers, seed by seed."""
    task = sl.load_task(options.task)
    for seed in options.seeds:
        for workers in (1, 2):
            path = (
                options.results
                / f"accuracy-{label(options)}-e{options.epochs}-{seed}-{workers}.json"
            )
            if path.exists():
                continue
            tuned, history = sl.fine_tune(
                network(options, task, seed), task, epochs=options.epochs,
                learning_rate=options.rate, batch_size=options.batch_size, seed=seed,
                workers=workers, progress=False,
                training=settings(warmup=0.1, evaluate_every=options.epochs),
            )  # fmt: skip
            found = {"seed": seed, "workers": workers, "top1": sl.evaluate(tuned, task)["top1"]}
            found |= {"loss": statistics.mean(r.loss for r in history.records[-20:])}
            keep(path, {"kind": "accuracy", **facts(options), "epochs": options.epochs, **found})
            print(path.stem, round(found["top1"], 2), flush=True)


def label(options: argparse.Namespace) -> str:
    """Name what is trained."""
    width = "" if options.width is None else f"-{options.width:g}"
    return f"{options.task}-{options.model}{width}"


def facts(options: argparse.Namespace) -> dict[str, Any]:
    """Give what a result depends on."""
    known = ("task", "model", "width", "batch_size", "steps")
    return {name: getattr(options, name) for name in known}


def keep(path: Path, found: dict[str, Any]) -> None:
    """Write a result, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1), encoding="utf-8")
    part.replace(path)


def tables(results: Path) -> dict[str, str]:
    """Give both tables as Markdown, from all results there are."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    return {
        "speed": speed_table([row for row in rows if row["kind"] == "speed"]),
        "accuracy": accuracy_table([row for row in rows if row["kind"] == "accuracy"]),
    }


def grouped(rows: list[dict[str, Any]], *more: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Sort rows by what was trained."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        width = "" if row["width"] is None else f" x{row['width']:g}"
        key = (f"{row['model']}{width}", row["task"], *(row[name] for name in more))
        found.setdefault(key, []).append(row)
    return found


def speed_table(rows: list[dict[str, Any]]) -> str:
    """Give a row a network: the median rate of each way, and the ratios' median and range."""
    lines = [
        "| network | task | batch | rounds | plain loop | 1 worker | 2 workers | 1 worker / plain"
        " | 2 workers / 1 | least, most | by processor time |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, task, batch), found in grouped(rows, "batch_size").items():
        rates = [row["rates"] for row in found]
        ways = (PLAIN, "1 worker", "2 workers")
        medians = [statistics.median(rate[way] for rate in rates) for way in ways]
        ours = statistics.median(rate["1 worker"] / rate[PLAIN] for rate in rates)
        gains = [rate["2 workers"] / rate["1 worker"] for rate in rates]
        cells = [name, task, batch, len(found), *(f"{rate:.0f}" for rate in medians)]
        cells += [f"{ours:.2f}", f"**{statistics.median(gains):.2f}**"]
        busy = [row["processor"]["1 worker"] / row["processor"]["2 workers"] for row in found]
        cells += [f"{min(gains):.2f}, {max(gains):.2f}", f"{statistics.median(busy):.2f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def accuracy_table(rows: list[dict[str, Any]]) -> str:
    """Give a row a network: means, spreads over seeds, and the mean gain seed by seed."""
    lines = [
        "| network | task | epochs | seeds | 1 worker | sd | 2 workers | sd | gain"
        " | standard error |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, task, epochs), found in grouped(rows, "epochs").items():
        by = {(row["seed"], row["workers"]): row["top1"] for row in found}
        seeds = sorted(seed for seed, workers in by if workers == 2 and (seed, 1) in by)
        if len(seeds) < 2:
            continue
        one, two = ([by[seed, workers] for seed in seeds] for workers in (1, 2))
        gains = [b - a for a, b in zip(one, two, strict=True)]
        cells = [name, task, epochs, len(seeds)]
        for values in (one, two):
            cells += [f"{statistics.mean(values):.2f}", f"{statistics.stdev(values):.2f}"]
        error = statistics.stdev(gains) / len(gains) ** 0.5
        cells += [f"{statistics.mean(gains):+.2f}", f"{error:.2f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that are not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("speed", "accuracy", "table"))
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--model", default="mobilenet_v1")
    parser.add_argument("--width", type=float, help="of the network, as the zoo takes it")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.05, help="learning rate of the accuracies")
    parser.add_argument("--results", type=Path, default=Path("training-results"))
    parser.add_argument("--write", action="store_true", help="the tables into docs/training.md")
    options = parser.parse_args(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    {"speed": speed, "accuracy": accuracy, "table": lambda _: None}[options.part](options)
    found = tables(options.results)
    for name, table in found.items():
        print(f"\n{name}\n{table}")
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        for name, table in found.items():
            start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
            before, rest = text.split(start)
            text = f"{before}{start}\n\n{table}\n\n{end}{rest.split(end)[1]}"
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

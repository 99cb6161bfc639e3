"""The command that trained the weights that ship: ``python -m slimlab.zoo.train``.

It is a program beside the library's floors, not a part of them: it uses the training of floor 2 and
writes the files that `slimlab.zoo` reads. Nothing imports it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paddle
from paddle.nn import Layer
from safetensors.numpy import save

from slimlab.data import load_task
from slimlab.evaluate import evaluate
from slimlab.task import Task
from slimlab.train import Training, iter_fine_tune
from slimlab.zoo.origin import Origin, build
from slimlab.zoo.shipped import (
    QUICK_IMAGES,
    WEIGHTS,
    Entry,
    accuracy_table,
    read_index,
    sha256,
    write_index,
)

SEED = 0


@dataclass(frozen=True)
class Plan:
    """How one network is trained for one task."""

    kwargs: dict[str, Any]
    epochs: int
    learning_rate: float = 0.1
    batch_size: int = 64
    weight_decay: float = 5e-4


PLANS = {
    ("mobilenet_v1", "fashion-mnist"): Plan({"width": 0.25}, epochs=12),
    ("resnet20", "fashion-mnist"): Plan({"width": 16}, epochs=12),
    ("vgg", "fashion-mnist"): Plan({"width": 16}, epochs=10, learning_rate=0.05),
    ("mobilenet_v1", "digits"): Plan({"width": 0.1875}, epochs=100, learning_rate=0.05),
    ("resnet20", "digits"): Plan({"width": 8}, epochs=40, learning_rate=0.05),
    ("vgg", "digits"): Plan({"width": 8}, epochs=60, learning_rate=0.05),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the networks that the command line names, and write weights and index."""
    parser = argparse.ArgumentParser(prog="python -m slimlab.zoo.train", description=__doc__)
    parser.add_argument("--network", action="append", help="only this network; may be repeated")
    parser.add_argument("--task", action="append", help="only this task; may be repeated")
    parser.add_argument("--epochs", type=int, help="instead of the plan's")
    parser.add_argument("--folder", type=Path, help="where the data of the task lie")
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="where the files go")
    parser.add_argument("--table", type=Path, help="write the table of accuracies to this file")
    parser.add_argument("--only-table", action="store_true", help="train nothing")
    options = parser.parse_args(arguments)
    for (network, name), plan in ({} if options.only_table else PLANS).items():
        if network not in (options.network or [network]) or name not in (options.task or [name]):
            continue
        task = load_task(name, folder=options.folder)
        epochs = options.epochs or plan.epochs
        entry = _train_one(network, task, plan, epochs=epochs, output=options.output)
        write_index({**read_index(options.output), (network, name): entry}, options.output)
        _say(f"{network} {name}: {entry.top1:.2f} % top-1, {entry.parameters:,} parameters")
    if options.table is not None:
        text = accuracy_table(read_index(options.output), options.output)
        options.table.write_text(text, encoding="utf-8")


def _train_one(network: str, task: Task, plan: Plan, *, epochs: int, output: Path) -> Entry:
    """Train one network from random weights, write its file, and give its line of the index."""
    channels, size = task.example.shape[1:3]
    shape = {"num_classes": task.num_classes, "in_channels": channels, "size": size}
    origin = Origin(f"zoo:{network}", {**plan.kwargs, **shape})
    start = _random_start(origin)
    model = _fit(start, task, plan, epochs)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    content = save(weights)
    output.mkdir(parents=True, exist_ok=True)
    file = f"{network}-{task.name}.safetensors"
    (output / file).write_bytes(content)
    return Entry(
        file=file,
        sha256=sha256(content),
        constructor=origin.constructor,
        kwargs=dict(origin.kwargs),
        parameters=sum(p.size for p in model.parameters() if not p.stop_gradient),
        top1=evaluate(model, task)["top1"],
        top1_quick=evaluate(model, task, images=QUICK_IMAGES)["top1"],
        images=len(task.test),
        epochs=epochs,
        seed=SEED,
    )


def _random_start(origin: Origin) -> Layer:
    """Build a network whose random weights depend on the seed alone."""
    paddle.seed(SEED)
    return build(origin)


def _fit(start: Layer, task: Task, plan: Plan, epochs: int) -> Layer:
    """Drain the training, saying how it goes."""
    began = time.monotonic()
    settings = Training(
        optimizer="momentum",
        weight_decay=plan.weight_decay,
        warmup=0.1,
        evaluate_images=QUICK_IMAGES,
    )
    steps = iter_fine_tune(
        start,
        task,
        epochs=epochs,
        learning_rate=plan.learning_rate,
        batch_size=plan.batch_size,
        seed=SEED,
        training=settings,
    )
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value[0]
        last = step.item.records[-1] if step.item is not None else None
        if last is not None and (last.metric is not None or last.step % 100 == 0):
            loss = "" if last.loss is None else f" loss {last.loss:.3f}"
            metric = "" if last.metric is None else f" {task.metric.name} {last.metric:.2f}"
            _say(f"{time.monotonic() - began:6.0f} s {step.done}/{step.total}{loss}{metric}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

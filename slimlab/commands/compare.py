"""Floor 6. `slimlab compare`: models side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from slimlab.commands.sources import add_task, model_of, task_of
from slimlab.commands.terminal import notes, show, work
from slimlab.compare import Trial, compare, iter_measure_trial

EPILOG = """\
examples:
  slimlab compare mobilenet_v1 slimlab-runs/uniform-50/result/model --task fashion-mnist
  slimlab compare resnet20 vgg --task digits --latency
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="accuracy, multiply-adds and bytes of several models",
        description="Measure models on a task's test images; drops are against the first.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="a zoo network's name, or a saved folder"
    )
    add_task(parser)
    parser.add_argument("--images", type=int, metavar="N", help="test images (default: all)")
    parser.add_argument("--latency", action="store_true", help="measure the time of a batch too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry `slimlab compare` out."""
    task = task_of(arguments)
    models = {name: model_of(name, task) for name in arguments.models}
    trials: list[Trial] = []
    with notes():
        for name, model in models.items():
            steps = iter_measure_trial(
                _short(name), model, task, images=arguments.images, latency=arguments.latency
            )
            trial, _ = work(steps, title=name, quiet=arguments.quiet)
            trials.append(trial)
    show(compare(trials).to_frame())
    return 0


def _short(name: str) -> str:
    """A folder by its last three parts: all results of runs are called result/model."""
    return str(Path(*Path(name).parts[-3:]))

"""Floor 6. `slimlab compare`: models side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from slimlab.commands.doing.sources import model_of, task_of
from slimlab.commands.doing.terminal import notes, show, work
from slimlab.compare import Trial, compare, iter_measure_trial


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

"""Floor 6. `slimlab scan`: measures how much each layer loses at each pruning ratio."""

from __future__ import annotations

import argparse

from slimlab.commands.doing.sources import model_of, task_of
from slimlab.commands.doing.terminal import notes, say, show, work
from slimlab.errors import SlimLabError
from slimlab.scan import iter_scan_sensitivity
from slimlab.scan.settings import DEFAULT_RATIOS


def run(arguments: argparse.Namespace) -> int:
    """Carry `slimlab scan` out."""
    task = task_of(arguments)
    model = model_of(arguments.model, task)
    if arguments.file is not None:
        arguments.file.parent.mkdir(parents=True, exist_ok=True)
    steps = iter_scan_sensitivity(
        model,
        task,
        ratios=arguments.ratios or DEFAULT_RATIOS,
        images=arguments.images,
        criterion=arguments.criterion,
        path=arguments.file,
    )
    with notes():
        table, stopped = work(steps, title="scan", quiet=arguments.quiet)
    frame = table.to_frame()
    if arguments.csv is not None:
        try:
            frame.to_csv(arguments.csv, index=False)
        except OSError as error:
            msg = f"{arguments.csv} can't be written: {error.strerror}."
            raise SlimLabError(msg, path=str(arguments.csv)) from error
    drops = frame.pivot(index="layer", columns="ratio", values="drop")
    drops = drops.loc[[layer for layer in table.layers if layer in drops.index]]
    say(f"Drop in points of {task.metric.name}, by layer and pruning ratio:")
    show(drops.reset_index())
    if stopped:
        say("Stopped; the same command goes on." if arguments.file else "Stopped.")
        return 130
    return 0

"""Floor 6. `slimlab export` and `slimlab verify`: files for runtimes, and checks of them."""

from __future__ import annotations

import argparse

from slimlab.commands.doing.sources import model_of, task_of
from slimlab.commands.doing.terminal import notes, say, show, work
from slimlab.export import ExportReport, iter_export, iter_verify_export


def run_export(arguments: argparse.Namespace) -> int:
    """Carry `slimlab export` out."""
    task = task_of(arguments)
    model = model_of(arguments.model, task)
    with notes():
        steps = iter_export(
            model, arguments.folder, task, format=arguments.format, images=arguments.images
        )
        report, _ = work(steps, title=arguments.format, quiet=arguments.quiet)
    _tell(report)
    say(f"Written to {report.folder}.")
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Carry `slimlab verify` out."""
    task = task_of(arguments)
    model = model_of(arguments.model, task)
    with notes():
        steps = iter_verify_export(arguments.folder, model, task=task, images=arguments.images)
        report, _ = work(steps, title="verify", quiet=arguments.quiet)
    _tell(report)
    if report.parity.holds:
        say("The file computes what the model computes.")
        return 0
    layer = report.parity.first_difference
    where = f" They differ first at {layer}." if layer else ""
    say(f"The file does not compute what the model computes: {report.parity}.{where}")
    return 1


def _tell(report: ExportReport) -> None:
    show(report.to_frame().drop(columns=["largest", "typical"]))
    for one in report.parity.differing:
        say(f"{one.runtime} computes something else of this file: don't run it there.")

"""Floor 6. `slimlab run`: carries a recipe out, or goes on with it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from slimlab.commands.terminal import notes, say, show, work
from slimlab.compressor import Compression, Compressor
from slimlab.recipe import load_recipe

DESCRIPTION = """\
Carry a recipe out: prune, distil, quantize and fine-tune a model as a YAML file says. The same
command goes on after a crash, a Ctrl-C or a SIGTERM, from the last checkpoint, and ends with the
same weights as if nothing had happened.
"""
EPILOG = """\
examples:
  slimlab run uniform_pruning                          a recipe that ships, by its name
  slimlab run mine.yaml --checkpoint-dir runs/mine     checkpoints there, the result in runs/mine/result
  slimlab run mine.yaml --workers 2                    two processes train together
  slimlab run mine.yaml --output small                 the result in small/model and small/report
"""  # noqa: E501 - lines of a terminal


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="carry a recipe out, or go on with it",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a .yaml file, or the name of one that ships"
    )
    parser.add_argument(
        "--checkpoint-dir",
        type=Path,
        metavar="DIR",
        help="where checkpoints and scans are kept (default: slimlab-runs/NAME-OF-THE-RECIPE)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where the result is written (default: result, in the folder of the checkpoints)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that train together, each on its part of a batch (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry `slimlab run` out."""
    recipe = load_recipe(arguments.recipe)
    folder = arguments.checkpoint_dir or Path("slimlab-runs") / recipe.name
    output = arguments.output or folder / "result"
    with notes():
        compressor = Compressor(recipe, folder=folder, output=output, workers=arguments.workers)
        result, stopped = work(compressor.iter_run(), title=recipe.name, quiet=arguments.quiet)
    if stopped and not result.complete:
        say(_stopped(result, output))
        return 130
    _tell(result, output)
    return 0


def _stopped(result: Compression, output: Path) -> str:
    """Say how far a stopped run came."""
    if result.trial is None:
        done = max(record.step for record in result.history.records)
        return f"Stopped after {done} training steps; the same command goes on."
    missing = ", ".join(result.recipe.export[len(result.exports) :])
    return (
        f"Stopped with {missing} still to be exported; the model is in {output / 'model'}. The "
        "same command goes on."
    )


def _tell(result: Compression, output: Path) -> None:
    show(result.to_frame())
    for report in result.exports:
        say(f"{report.folder.name}: {report.bytes} bytes, {report.share:.2f} of those in float.")
    say(f"The model is in {output / 'model'}, its numbers in {output / 'report'}.")

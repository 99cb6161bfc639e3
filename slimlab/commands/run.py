"""Floor 6. `slimlab run`: carries a recipe out, or goes on with it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import paddle

from slimlab.commands.terminal import notes, say, show, work
from slimlab.compressor import Compression, Compressor
from slimlab.recipe import load_recipe
from slimlab.train.launched import launched

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
    parser.add_argument(
        "--exchange",
        choices=("memory", "paddle"),
        help="how workers exchange gradients: in memory, or by paddle.distributed, which is gloo on"
        " CPUs and nccl on GPUs (default: memory; paddle where each worker has a GPU)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry `slimlab run` out."""
    recipe = load_recipe(arguments.recipe)
    folder = arguments.checkpoint_dir or Path("slimlab-runs") / recipe.name
    output = arguments.output or folder / "result"
    if arguments.workers > 1 and _launches(arguments):
        return _launch(arguments, folder)
    group = launched()
    quiet = arguments.quiet or (group is not None and group.rank > 0)
    with notes():
        compressor = Compressor(recipe, folder=folder, output=output, workers=arguments.workers)
        result, stopped = work(compressor.iter_run(), title=recipe.name, quiet=quiet)
    if stopped and not result.complete:
        say(_stopped(result, output))
        return 130
    _tell(result, output)
    return 0


def _launches(arguments: argparse.Namespace) -> bool:
    """Whether the workers are processes of `paddle.distributed`."""
    if arguments.exchange is None:
        return bool(paddle.device.cuda.device_count() >= arguments.workers)
    return bool(arguments.exchange == "paddle")


def _launch(arguments: argparse.Namespace, folder: Path) -> int:
    """Run the same command in several processes; Paddle's launcher ends all when one dies."""
    launcher = ["-m", "paddle.distributed.launch", "--log_level", "ERROR"]
    launcher += ["--nproc_per_node", str(arguments.workers), "--log_dir", str(folder / "workers")]
    again = ["-m", "slimlab.cli", "run", arguments.recipe, "--checkpoint-dir", str(folder)]
    again += [] if arguments.output is None else ["--output", str(arguments.output)]
    again += ["--quiet"] if arguments.quiet else []
    return subprocess.call([sys.executable, *launcher, sys.executable, *again])


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

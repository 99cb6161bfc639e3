"""Floor 6. What can be typed behind `slimlab run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slimlab.commands.adding import add_command, add_quiet

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
  slimlab run mine.yaml --short                        every stage on a few images: will it work?
  slimlab run imagenet_quantization --task /data/imagenet --model trained
"""  # noqa: E501 - lines of a terminal


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "run",
        "run.run",
        help="carry a recipe out, or go on with it",
        description=DESCRIPTION,
        epilog=EPILOG,
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
        "--task",
        metavar="TASK",
        help="digits, fashion-mnist, or a folder of images, instead of the recipe's task",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a name or a folder that `save` wrote, instead of the recipe's model",
    )
    parser.add_argument(
        "--short",
        action="store_true",
        help="try the recipe out: every stage in an epoch, on a few images, in a folder of its own",
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
    add_quiet(parser)

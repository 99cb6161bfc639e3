"""Floor 6. What can be typed behind `slimlab compare`."""

from __future__ import annotations

from typing import Any

from slimlab.commands.adding import MODEL_HELP, add_command, add_images, add_quiet, add_task

EPILOG = """\
examples:
  slimlab compare mobilenet_v1 slimlab-runs/uniform-50/result/model --task fashion-mnist
  slimlab compare resnet20 vgg --task digits --latency
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "compare",
        "compare.run",
        help="accuracy, multiply-adds and bytes of several models",
        description="Measure models on a task's test images; drops are against the first.",
        epilog=EPILOG,
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help=MODEL_HELP)
    add_task(parser)
    add_images(parser)
    parser.add_argument("--latency", action="store_true", help="measure the time of a batch too")
    add_quiet(parser)

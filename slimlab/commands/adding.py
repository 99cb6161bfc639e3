"""Floor 6. What the commands' parsers have in common. Knows argparse only."""

from __future__ import annotations

import argparse
from typing import Any

TASK_HELP = "digits, fashion-mnist, or a folder of images with a subfolder for each class"
MODEL_HELP = "a zoo network's name, or a saved folder"
DOING = "slimlab.commands.doing."


def add_command(commands: Any, name: str, run: str, **words: Any) -> Any:
    """Add a command's parser.

    Parameters
    ----------
    commands
        What `add_subparsers` gave.
    name
        Of the command.
    run
        What carries it out: ``"module.function"`` in `slimlab.commands.doing`, imported when the
        command is carried out, so that help and mistakes cost no time.
    **words
        Help, description and so on, as `argparse` takes them.
    """
    parser = commands.add_parser(
        name,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # abbreviations would swallow options that are JupyterLab's
        **words,
    )
    parser.set_defaults(run=DOING + run)
    return parser


def add_task(parser: Any) -> None:
    """Add the options that choose a task."""
    parser.add_argument("--task", default="fashion-mnist", metavar="TASK", help=TASK_HELP)
    parser.add_argument(
        "--size",
        type=_size,
        default=224,
        metavar="PIXELS",
        help="height and width that images of a folder are resized to (default: %(default)s)",
    )


def add_images(parser: Any) -> None:
    """Add the option that says how many test images are measured."""
    parser.add_argument("--images", type=int, metavar="N", help="test images (default: all)")


def add_quiet(parser: Any) -> None:
    """Add the option that hides the progress bar."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _size(text: str) -> int:
    size = int(text)
    if size < 1:
        msg = "it must be at least 1"
        raise argparse.ArgumentTypeError(msg)
    return size

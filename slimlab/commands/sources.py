"""Floor 6. Models and tasks named on a command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from paddle.nn import Layer

from slimlab.artifact import load
from slimlab.data import image_folder, load_task
from slimlab.task import Task
from slimlab.zoo import load_model

TASK_HELP = "digits, fashion-mnist, or a folder of images with a subfolder for each class"


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


def task_of(arguments: argparse.Namespace) -> Task:
    """Give the task of `--task`.

    Raises
    ------
    TaskError
        When there is none of that name and no such folder.
    """
    if Path(arguments.task).is_dir():
        return image_folder(arguments.task, size=arguments.size)
    return load_task(arguments.task)


def model_of(name: str, task: Task) -> Layer:
    """Give a model of the zoo by its name, or the one that a folder holds.

    Raises
    ------
    SlimLabError
        When there is neither.
    """
    if Path(name).is_dir():
        return load(name)
    return load_model(name, task)


def _size(text: str) -> int:
    size = int(text)
    if size < 1:
        msg = "it must be at least 1"
        raise argparse.ArgumentTypeError(msg)
    return size

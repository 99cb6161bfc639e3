"""Floor 6. Models and tasks named on a command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from paddle.nn import Layer

from slimlab.artifact import load
from slimlab.data import image_folder, load_task
from slimlab.task import Task
from slimlab.zoo import load_model


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

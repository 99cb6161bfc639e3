"""Floor 1. The built-in tasks by name."""

from __future__ import annotations

from pathlib import Path

from slimlab.data.digits import digits
from slimlab.data.fashion_mnist import fashion_mnist
from slimlab.errors import TaskError, nearest
from slimlab.task import Task

NAMES = ("digits", "fashion-mnist")


def load_task(name: str, *, folder: str | Path | None = None, download: bool = True) -> Task:
    """Make a built-in task.

    Parameters
    ----------
    name
        ``"digits"`` or ``"fashion-mnist"``. For images of your own see `slimlab.data.image_folder`,
        `Task.from_arrays` and `Task.from_datasets`.
    folder
        Where the files of Fashion-MNIST lie; see `slimlab.data.fashion_mnist`.
    download
        Let Paddle download Fashion-MNIST when it is nowhere on this computer.

    Raises
    ------
    TaskError
        When there is no such task, or its data are missing or damaged.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.load_task("digits").num_classes
    10
    """
    if name == "fashion-mnist":
        return fashion_mnist(folder=folder, download=download)
    if name != "digits":
        msg = f"There is no built-in task {name!r}. {nearest(str(name), NAMES)}"
        raise TaskError(msg, name=name)
    if folder is not None:
        msg = f"The digits lie inside scikit-learn; they can't be read from {folder}."
        raise TaskError(msg, folder=str(folder))
    return digits()

"""Floor 4. A task on its first images, for trying out whether something works at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimlab.loaders import ArrayLoader, Loader
from slimlab.task import Task


def few_images(task: Task, images: int = 64) -> Task:
    """Give the task on the first images of each split, which are read now and kept in memory.

    Parameters
    ----------
    task
        Any; its name, loss, metrics and augmentation stay.
    images
        At most, of each split.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.compressor.few import few_images
    >>> few = few_images(sl.load_task("digits"), 32)
    >>> few.name, len(few.train), len(few.test)
    ('digits', 32, 32)
    """
    return replace(
        task,
        train=_first(task.train, images),
        calibration=_first(task.calibration, images),
        test=_first(task.test, images),
    )


def _first(loader: Loader, images: int) -> ArrayLoader:
    pairs = list(loader.batches(images, images=images))
    return ArrayLoader(
        np.concatenate([x.numpy() for x, _ in pairs]),
        np.concatenate([labels.numpy() for _, labels in pairs]),
    )

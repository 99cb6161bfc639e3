"""Checks of lesson 07: a task and a network of one's own. Knows `Task` and `Graph`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import slimlab as sl
from slimlab_widgets.teaching.verdict import Verdict

if TYPE_CHECKING:
    from slimlab import Graph, Task
    from slimlab.loaders import Loader

FEWEST = 20  # test images: below this an accuracy says nothing
LOPSIDED = 0.95  # share of one class, above which always guessing it looks like learning
_BATCH = 256


def check_task(answer: Task | None, *, num_classes: int) -> Verdict:
    """Check a task for what spoils results without an error: leaks, scales, missing classes.

    Parameters
    ----------
    answer
        The task; None while nothing was answered. All its images are read once.
    num_classes
        How many classes it is to have.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> teaching.check_task(sl.load_task("digits"), num_classes=10).right
    True
    """
    if answer is None:
        return Verdict("open", "Make a task with sl.Task.from_arrays(...).")
    if not isinstance(answer, sl.Task):
        return Verdict("wrong", f"This is a {type(answer).__name__}, not a task.")
    faults = []
    if answer.num_classes != num_classes:
        faults.append(
            f"It has num_classes={answer.num_classes}, which is not what the question asks for."
        )
    images, labels = _read(answer.train)
    tests, test_labels = _read(answer.test)
    leaked = len({_key(image) for image in tests} & {_key(image) for image in images})
    if leaked:
        faults.append(
            f"{leaked:,} of the test images are training images too: an accuracy on those says "
            "nothing about new images."
        )
    if len(tests) < FEWEST:
        faults.append(f"{len(tests)} test images are too few to tell one model from another.")
    faults += _label_faults(labels, test_labels, answer.num_classes)
    deviation = float(images.std())
    if not 0.1 <= deviation <= 3:
        faults.append(
            f"The pixels deviate by {deviation:.2g}; networks learn badly unless that is near 1. "
            "Subtract the mean of the training pixels and divide by their deviation."
        )
    praise = f"{len(images):,} images to learn from, {len(tests):,} others to test on."
    return Verdict.of(faults, praise)


def check_prunable(answer: Graph | None, layer: str) -> Verdict:
    """Check that a layer's channels can be removed.

    Parameters
    ----------
    answer
        What `sl.trace` gave for the network; None while nothing was answered.
    layer
        Name of the layer.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> task = sl.load_task("digits")
    >>> graph = sl.trace(sl.load_model("vgg", task), task.example)
    >>> teaching.check_prunable(graph, "features.0.conv").right
    True
    """
    if answer is None:
        return Verdict("open", "Trace your network: sl.trace(network, task.example).")
    if not hasattr(answer, "coverage"):
        return Verdict("wrong", f"This is a {type(answer).__name__}, not what sl.trace gives.")
    rows = {row[0]: row for row in answer.coverage.rows}
    if layer not in rows:
        there = ", ".join(rows)
        return Verdict("wrong", f"Your network has no layer {layer!r}; it has {there}.")
    name, _, _, _, prunable, _, reason = rows[layer]
    faults = [] if prunable else [f"{name!r} is still left alone: {reason}"]
    return Verdict.of(faults, f"The channels of {layer!r} can be removed now.")


def _label_faults(train: np.ndarray, test: np.ndarray, num_classes: int) -> list[str]:
    faults = []
    for split, labels in (("training", train), ("test", test)):
        counts = np.bincount(labels, minlength=num_classes)
        if (counts == 0).any():
            empty = int((counts == 0).sum())
            some = "one class" if empty == 1 else f"{empty} classes"
            faults.append(f"The {split} images have no image of {some}.")
        if counts.max() > LOPSIDED * counts.sum():
            faults.append(
                f"{counts.max() / counts.sum():.0%} of the {split} images are of one class."
            )
    return faults


def _read(loader: Loader) -> tuple[np.ndarray, np.ndarray]:
    batches = [(x.numpy(), y.numpy()) for x, y in loader.batches(_BATCH)]
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


def _key(image: np.ndarray) -> bytes:
    return np.ascontiguousarray(image).tobytes()

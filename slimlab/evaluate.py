"""Floor 1. Scores of a model on a task's test images; never changes the model.

Layers are switched to evaluation and gradients off only around each batch's computation, so that
nothing leaks into whoever drains the generator between two batches.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import paddle
import pandas as pd
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import TaskError, nearest
from slimlab.layers import evaluating
from slimlab.steps import Step, Stopped, drain
from slimlab.task import Metric, Task


@dataclass(frozen=True)
class Scores:
    """A model's metrics on a task.

    Attributes
    ----------
    values
        Metric name -> value in the metric's unit: accuracies in percent, losses as they are.
    images
        How many test images they are the mean of.

    Examples
    --------
    >>> import slimlab as sl
    >>> scores = sl.Scores({"top1": 91.5, "loss": 0.3}, images=1000)
    >>> scores["top1"]
    91.5
    """

    values: Mapping[str, float]
    images: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def __getitem__(self, metric: str) -> float:
        if metric not in self.values:
            msg = f"There is no metric {metric!r}. {nearest(metric, self.values)}"
            raise TaskError(msg, metric=metric)
        return self.values[metric]

    def to_frame(self) -> pd.DataFrame:
        """Give one row a metric: `metric, value, images`."""
        rows = [(name, value, self.images) for name, value in self.values.items()]
        return pd.DataFrame(rows, columns=["metric", "value", "images"])


def evaluate(
    model: Layer,
    task: Task,
    *,
    images: int | None = None,
    batch_size: int | None = None,
    progress: bool = False,
) -> Scores:
    """Measure every metric of a task.

    Parameters
    ----------
    model
        Gives logits ``(n, num_classes)`` for images ``(n, c, h, w)``. It is evaluated in evaluation
        mode; its own mode is restored.
    task
        Whose test images and metrics are used.
    images
        Only the first so many test images; all when None.
    batch_size
        Images in a batch; as `quick_batch` says when None.
    progress
        Show a progress bar.

    Raises
    ------
    TaskError
        When the model's output doesn't fit the task.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> scores = sl.evaluate(sl.load_model("vgg", task), task)
    >>> scores["top1"] > 90, scores.images == len(task.test)
    (True, True)
    """
    steps = iter_evaluate(model, task, images=images, batch_size=batch_size)
    return drain(steps, progress=progress, title="Evaluate")


def iter_evaluate(
    model: Layer, task: Task, *, images: int | None = None, batch_size: int | None = None
) -> Generator[Step[Scores], None, Scores]:
    """Evaluate batch by batch; `done` counts images, `item` holds the scores so far.

    Stopped early it returns the scores of the images seen until then. The arguments are those of
    `evaluate`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> for step in sl.iter_evaluate(model, task, images=100):
    ...     seen = step.done
    >>> seen
    100
    """
    total = image_count(task, images)
    sums = np.zeros(len(task.metrics))
    done = 0
    scores = Scores({}, 0)
    try:
        for batch in _score_batches(model, task, task.metrics, images, batch_size):
            sums += batch.sum(axis=1, dtype=np.float64)
            done += batch.shape[1]
            pairs = zip(task.metrics, sums, strict=True)
            scores = Scores({m.name: float(s / done * m.scale) for m, s in pairs}, done)
            yield Step(done, total, "evaluate", scores)
    except Stopped:
        pass
    return scores


def per_image(
    model: Layer,
    task: Task,
    metric: Metric | None = None,
    images: int | None = None,
    batch_size: int | None = None,
) -> Iterator[np.ndarray]:
    """Give one metric's score of each test image, batch by batch, in the task's fixed order.

    Parameters
    ----------
    model, task, images, batch_size
        As for `evaluate`.
    metric
        The task's main metric when None.

    Yields
    ------
    numpy.ndarray
        ``(n,)`` float32 scores of a batch, without the metric's scale: 0 or 1 for an accuracy.

    Raises
    ------
    TaskError
        When the model's output doesn't fit the task.
    """
    for batch in _score_batches(model, task, (metric or task.metric,), images, batch_size):
        yield batch[0]


def image_count(task: Task, images: int | None) -> int:
    """Give how many test images `images` asks for: all for None, and never more than there are."""
    return len(task.test) if images is None else min(images, len(task.test))


def quick_batch(task: Task) -> int:
    """Images in a batch that is over soon, so that a stop between two batches answers at once.

    A hundred thousand pixels: 127 images of 28 by 28, and 8, the least, at 224 by 224.
    """
    pixels = int(np.prod(task.example.shape[2:], dtype=np.int64))
    return max(8, min(256, 100_000 // max(1, pixels)))


@contextmanager
def inference(model: Layer) -> Iterator[None]:
    """Switch a model to evaluation and gradients off; every layer's own mode comes back after."""
    with evaluating(model), paddle.no_grad():
        yield


def _score_batches(
    model: Layer,
    task: Task,
    metrics: tuple[Metric, ...],
    images: int | None,
    batch_size: int | None,
) -> Iterator[np.ndarray]:
    """Give ``(metrics, n)`` float32 scores of each batch."""
    size = quick_batch(task) if batch_size is None else batch_size
    for x, labels in task.test.batches(size, images=images):
        with inference(model):
            logits = model(x)
            scores = [image_scores(metric, logits, labels, task) for metric in metrics]
        yield np.stack(scores)


def _check_logits(logits: object, count: int, task: Task) -> None:
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (count, task.num_classes):
        msg = (
            f"The model gave {shape} for {count} images of task {task.name!r}; it must give logits "
            f"of shape ({count}, {task.num_classes}), one for each class."
        )
        raise TaskError(msg, found=shape, expected=(count, task.num_classes))


def image_scores(metric: Metric, logits: Tensor, labels: Tensor, task: Task) -> np.ndarray:
    """Give a metric's score of each image, ``(n,)`` float32, without the metric's scale.

    Parameters
    ----------
    metric
        What to score by.
    logits, labels
        ``(n, num_classes)`` and ``(n,)``.
    task
        Says how many classes there should be.

    Raises
    ------
    TaskError
        When the logits don't fit the task, or the metric doesn't give one score an image.
    """
    _check_logits(logits, len(labels), task)
    scores: np.ndarray = metric.function(logits, labels).numpy().astype(np.float32)
    if scores.shape != (len(labels),):
        msg = (
            f"Metric {metric.name!r} gave shape {scores.shape} for {len(labels)} images; it must "
            "give one score an image."
        )
        raise TaskError(msg, metric=metric.name, shape=scores.shape)
    return scores

"""Floor 2. The inputs on which a file and a model are compared: a task's test images, or noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import ExportError
from slimlab.evaluate import image_count, image_scores, quick_batch
from slimlab.task import Metric, Task
from slimlab.trace import as_inputs
from slimlab.zoo.origin import origin_of

NOISY = 16  # inputs, when there is no task
SEED = 0

# `Tensor` is Any to the type checker: Paddle is not followed.
Data: TypeAlias = Task | Tensor | Sequence[Tensor] | None


@dataclass(frozen=True, eq=False)
class Trials:
    """Inputs, and what their outputs are scored by.

    Attributes
    ----------
    examples
        One input with batch 1, or several.
    task
        Gives test images and labels; None for noise around the examples.
    images
        How many.
    """

    examples: tuple[Tensor, ...]
    task: Task | None
    images: int

    @classmethod
    def of(cls, data: Data, model: Layer, images: int | None = None) -> Trials:
        """Take a task, an example, or what the model's constructor says of its input.

        Raises
        ------
        ExportError
            When nothing says what the input looks like.
        """
        if isinstance(data, Task):
            count = image_count(data, images)
            if count < 1:
                msg = f"images is {images}; at least 1 is needed to check an export."
                raise ExportError(msg, images=images)
            return cls((data.example,), data, count)
        if data is None:
            origin = origin_of(model)
            kwargs = {} if origin is None else dict(origin.kwargs)
            if not {"in_channels", "size"} <= set(kwargs):
                msg = (
                    f"Nothing says what the input of this {type(model).__name__} looks like. Pass "
                    "a task, or an example input: sl.export(model, folder, task.example, ...)."
                )
                raise ExportError(msg, model=type(model).__name__)
            data = paddle.zeros([1, kwargs["in_channels"], kwargs["size"], kwargs["size"]])
        return cls(tuple(x[:1] for x in as_inputs(data)), None, NOISY)

    @property
    def metric(self) -> Metric | None:
        """The task's main metric."""
        return None if self.task is None else self.task.metric

    def batches(self, images: int | None = None) -> Iterator[tuple[tuple[Tensor, ...], Any]]:
        """Inputs, and labels where there are some."""
        count = min(self.images, images or self.images)
        if self.task is not None:
            size = quick_batch(self.task)
            for x, labels in self.task.test.batches(size, images=count):
                yield (x,), labels
            return
        rng = np.random.default_rng(SEED)
        for size in (count // 2 + 1, count - count // 2 - 1):
            if size:
                yield (
                    tuple(paddle.to_tensor(_noisy(x.numpy(), size, rng)) for x in self.examples),
                    None,
                )

    def scores(self, logits: np.ndarray, labels: Tensor) -> np.ndarray:
        """The main metric's score of each image."""
        if self.task is None:
            return np.zeros(0, np.float32)
        return image_scores(self.task.metric, paddle.to_tensor(logits), labels, self.task)


def _noisy(example: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Copies of an example with noise; whole numbers and truth values stay as they are."""
    many = np.repeat(example, size, axis=0)
    if example.dtype.kind != "f":
        return many
    spread = float(example.std()) or 1.0
    return (many + spread * rng.standard_normal(many.shape)).astype(example.dtype)

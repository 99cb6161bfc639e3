"""Floor 1. A task: data, loss, metrics with their direction; knows no model and no training.

Everything that trains, scans or compares a model takes its data and its idea of "good" from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import functional as F  # noqa: N812 - Paddle's own convention

from slimlab.batches import BatchLoader
from slimlab.errors import TaskError
from slimlab.loaders import ArrayLoader, DatasetLoader, Loader, fixed_order

CALIBRATION_IMAGES = 1024  # at most, when a user's task has no calibration data of its own

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Metric:
    """A score of each image, and which direction is better.

    Attributes
    ----------
    name
        As tables show it.
    function
        Takes logits ``(n, num_classes)`` float32 and labels ``(n,)`` int64, gives one score an
        image, ``(n,)`` float32.
    higher_is_better
        False for losses.
    unit, scale
        A reported value is the mean score times `scale`, in `unit`; accuracies run from 0 to 100 %.

    Examples
    --------
    >>> from slimlab import Metric
    >>> margin = Metric("margin", lambda logits, labels: logits.max(axis=1), unit="", scale=1.0)
    >>> margin.higher_is_better
    True
    """

    name: str
    function: Loss
    higher_is_better: bool = True
    unit: str = "%"
    scale: float = 100.0


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the mean cross-entropy of ``(n, num_classes)`` logits, a scalar tensor, in nats."""
    return F.cross_entropy(logits, labels)


def _top1(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(axis=1) == labels).astype("float32")


def _top5(logits: Tensor, labels: Tensor) -> Tensor:
    best = logits.topk(min(5, logits.shape[1]), axis=1)[1]
    return (best == labels.unsqueeze(1)).any(axis=1).astype("float32")


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none").reshape([-1])


TOP1 = Metric("top1", _top1)
TOP5 = Metric("top5", _top5)
LOSS = Metric("loss", _loss, higher_is_better=False, unit="", scale=1.0)


@dataclass(frozen=True)
class Task:
    """Data, loss and metrics: what a model is for.

    Attributes
    ----------
    name
        Names the task in tables, and the trained weights that fit it.
    train, calibration, test
        Labelled images: to learn from, to choose quantization scales on, to report on.
    num_classes
        Labels run from 0 to ``num_classes - 1``; a model gives as many logits.
    loss
        Takes logits and labels, gives the scalar that training lowers.
    metrics
        The first is the main one.
    augment
        Changes a batch of training images ``(n, c, h, w)`` without changing what they show; None
        where the images are used as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab import Task
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.random((40, 1, 8, 8), dtype=np.float32), rng.integers(0, 3, 40)
    >>> task = Task.from_arrays(x[:30], y[:30], x[30:], y[30:], num_classes=3, name="noise")
    >>> tuple(task.example.shape), len(task.train), task.metric.name
    ((1, 1, 8, 8), 30, 'top1')
    """

    name: str
    train: Loader
    calibration: Loader
    test: Loader
    num_classes: int
    loss: Loss = cross_entropy
    metrics: tuple[Metric, ...] = (TOP1, TOP5, LOSS)
    augment: Augment | None = None

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            msg = f"Task {self.name!r} has num_classes={self.num_classes}; it needs at least 2."
            raise TaskError(msg, num_classes=self.num_classes)
        if not self.metrics:
            msg = f"Task {self.name!r} has no metric; give at least one."
            raise TaskError(msg, name=self.name)
        for split in ("train", "calibration", "test"):
            if len(getattr(self, split)) == 0:
                msg = f"The {split} data of task {self.name!r} hold no image."
                raise TaskError(msg, name=self.name, split=split)

    @classmethod
    def from_arrays(
        cls,
        x_train: np.ndarray,
        y_train: np.ndarray,
        x_test: np.ndarray,
        y_test: np.ndarray,
        *,
        num_classes: int,
        name: str = "arrays",
        augment: Augment | None = None,
    ) -> Task:
        """Make a task from images and labels in memory.

        Calibration images are up to 1,024 of the training images, which stay in the training data.
        The order of each split is a fixed shuffle, since arrays are often sorted by class.

        Parameters
        ----------
        x_train, x_test
            Images ``(n, channels, height, width)`` float32, scaled as the model expects them.
        y_train, y_test
            Labels ``(n,)``, whole numbers from 0 to ``num_classes - 1``; int64 or another integer
            type.
        num_classes
            Number of classes.
        name
            Names the task in tables.
        augment
            See `Task.augment`.

        Raises
        ------
        TaskError
            When a shape, a type, a label or a value (NaN, infinity) can't be used, naming it.
        """
        x_train, y_train = _checked("train", x_train, y_train, num_classes)
        x_test, y_test = _checked("test", x_test, y_test, num_classes)
        if x_train.shape[1:] != x_test.shape[1:]:
            msg = (
                f"Training images have shape {x_train.shape[1:]} but test images "
                f"{x_test.shape[1:]}; both must be the same (channels, height, width)."
            )
            raise TaskError(msg, train=x_train.shape, test=x_test.shape)
        order = fixed_order(len(x_train))
        return cls(
            name=name,
            train=ArrayLoader(x_train, y_train, order=order),
            calibration=ArrayLoader(x_train, y_train, order=order[:CALIBRATION_IMAGES]),
            test=ArrayLoader(x_test, y_test, order=fixed_order(len(x_test))),
            num_classes=num_classes,
            augment=augment,
        )

    @classmethod
    def from_datasets(
        cls,
        train: paddle.io.Dataset,
        test: paddle.io.Dataset,
        *,
        num_classes: int,
        name: str,
        calibration: paddle.io.Dataset | None = None,
        augment: Augment | None = None,
    ) -> Task:
        """Make a task from any two Paddle datasets.

        Images are read when they are needed, in the calling thread. The order of each split is a
        fixed shuffle.

        Parameters
        ----------
        train, test
            Map-style datasets that give an image ``(channels, height, width)`` float32 and an
            integer label; or a ``paddle.io.DataLoader``, or a `BatchLoader` around one.
        num_classes
            Number of classes.
        name
            Names the task in tables.
        calibration
            Up to 1,024 of the training images when None.
        augment
            See `Task.augment`.

        Raises
        ------
        TaskError
            When a dataset can't be indexed, is empty, or its first item isn't an image and a label.

        Examples
        --------
        >>> import numpy as np, paddle
        >>> from slimlab import Task
        >>> class Stripes(paddle.io.Dataset):
        ...     def __getitem__(self, i):
        ...         return np.full((1, 8, 8), i % 2, "float32"), i % 2
        ...     def __len__(self):
        ...         return 20
        >>> task = Task.from_datasets(Stripes(), Stripes(), num_classes=2, name="stripes")
        >>> [len(labels) for _, labels in task.test.batches(16)]
        [16, 4]
        """
        source = train if calibration is None else calibration
        task = cls(
            name=name,
            train=_as_loader(train, "train"),
            calibration=_as_loader(source, "calibration", images=CALIBRATION_IMAGES),
            test=_as_loader(test, "test"),
            num_classes=num_classes,
            augment=augment,
        )
        for split in ("train", "calibration", "test"):
            # One item each: reading all of them could take minutes.
            _, labels = next(getattr(task, split).batches(1, images=1))
            _check_labels(split, labels.numpy(), num_classes)
        return task

    @property
    def example(self) -> Tensor:
        """The first test image: ``(1, channels, height, width)`` float32."""
        return next(iter(self.test.batches(1, images=1)))[0]

    @property
    def metric(self) -> Metric:
        """The main metric."""
        return self.metrics[0]

    def fingerprint(self) -> str:
        """Give a hash that differs when data, classes or metrics differ.

        It is stored with results, so that a scan is never resumed on other data.
        """
        parts = [self.name, str(self.num_classes), *(metric.name for metric in self.metrics)]
        parts += [part.fingerprint() for part in (self.train, self.calibration, self.test)]
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _as_loader(source: paddle.io.Dataset, name: str, *, images: int | None = None) -> Loader:
    """Give a loader of a dataset's images, or of a ``paddle.io.DataLoader``'s."""
    if isinstance(source, BatchLoader):
        return source
    if isinstance(source, paddle.io.DataLoader):
        return BatchLoader(source, name=name, images=images)
    order = None if images is None else fixed_order(len(source))[:images]
    return DatasetLoader(source, name=name, order=order)


def _checked(
    split: str, images: np.ndarray, labels: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Check a pair of arrays and give them as float32 and int64."""
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4:
        msg = (
            f"x_{split} has shape {images.shape}; it must be (images, channels, height, width). "
            "Grey images need a channel axis: x[:, None]."
        )
        raise TaskError(msg, split=split, shape=images.shape)
    if images.dtype != np.float32:
        msg = (
            f"x_{split} has type {images.dtype}; it must be float32, scaled as the model expects "
            "it: for example (x / 255.0).astype('float32')."
        )
        raise TaskError(msg, split=split, dtype=str(images.dtype))
    if len(images) == 0:
        msg = f"x_{split} holds no image."
        raise TaskError(msg, split=split)
    if labels.shape != (len(images),):
        msg = (
            f"x_{split} holds {len(images)} images but y_{split} has shape {labels.shape}; "
            f"it must be ({len(images)},)."
        )
        raise TaskError(msg, split=split, images=len(images), labels=labels.shape)
    bad = ~np.isfinite(images.reshape(len(images), -1)).all(axis=1)
    if bad.any():
        msg = (
            f"x_{split} has NaN or infinite values in {int(bad.sum())} of {len(images)} images, "
            f"the first at index {int(bad.argmax())}."
        )
        raise TaskError(msg, split=split, index=int(bad.argmax()))
    _check_labels(split, labels, num_classes)
    return images, labels.astype(np.int64)


def _check_labels(split: str, labels: np.ndarray, num_classes: int) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        msg = f"The {split} labels have type {labels.dtype}; they must be whole numbers (int64)."
        raise TaskError(msg, split=split, dtype=str(labels.dtype))
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        msg = (
            f"The {split} labels run from {low} to {high}; with num_classes={num_classes} they "
            f"must lie in 0 to {num_classes - 1}."
        )
        raise TaskError(msg, split=split, low=low, high=high, num_classes=num_classes)

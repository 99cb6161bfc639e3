"""Floor 1. Batches of labelled images, from arrays or any Paddle dataset; knows no models.

A loader gives its images in one fixed order, so that the first `n` of them are always the same, or
shuffled by a seed. For a folder or a user's arrays the fixed order is itself a shuffle: such data
are often sorted by class, and the first `n` of them would then hold one class only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import paddle
from paddle import Tensor

from slimlab.errors import TaskError

FIXED_SEED = 20240521  # of every order and split that must be the same on each machine
HASHED_SAMPLES = 256  # of a dataset; reading all of a large one only to name it would take minutes
ROWS = 4096  # hashed at a time, to keep the copy small


@runtime_checkable
class Loader(Protocol):
    """What a task asks of its data: labelled images in batches, in a repeatable order."""

    def __len__(self) -> int:
        """Give the number of images."""
        ...

    def batches(
        self, batch_size: int = 128, *, images: int | None = None, seed: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give pairs of images ``(n, c, h, w)`` float32 and labels ``(n,)`` int64."""
        ...

    def fingerprint(self) -> str:
        """Give a hash that differs when the data or their order differ."""
        ...


def fixed_order(count: int) -> np.ndarray:
    """Give the same shuffle of ``0..count-1`` on every machine, int64 of shape ``(count,)``."""
    return np.random.default_rng(FIXED_SEED).permutation(count)


class ArrayLoader:
    """Batches cut from arrays that lie in memory.

    Parameters
    ----------
    images
        ``(n, channels, height, width)`` float32.
    labels
        ``(n,)`` int64.
    order
        Indices of the images to give, in the order to give them; all in their own order when None.
        Several loaders may share the arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.loaders import ArrayLoader
    >>> loader = ArrayLoader(np.zeros((5, 1, 2, 2), "float32"), np.arange(5))
    >>> [labels.tolist() for _, labels in loader.batches(2, images=3)]
    [[0, 1], [2]]
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, *, order: np.ndarray | None = None
    ) -> None:
        self._images = images
        self._labels = labels
        self._order = np.arange(len(images)) if order is None else np.asarray(order, dtype=np.int64)
        self._fingerprint: str | None = None

    def __len__(self) -> int:
        return len(self._order)

    def batches(
        self, batch_size: int = 128, *, images: int | None = None, seed: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give batches of images and labels.

        Parameters
        ----------
        batch_size
            Images in a batch; the last batch may hold fewer.
        images
            Only the first so many of the fixed order; all when None.
        seed
            Shuffle them by this seed; the fixed order when None.
        """
        for chosen in cut_order(self._order, batch_size, images=images, seed=seed):
            yield paddle.to_tensor(self._images[chosen]), paddle.to_tensor(self._labels[chosen])

    def fingerprint(self) -> str:
        """Give a hash of the images, the labels and their order (computed once)."""
        if self._fingerprint is None:
            digest = hashlib.blake2b(digest_size=16)
            digest.update(f"{self._images.shape[1:]} {len(self._order)}".encode())
            for start in range(0, len(self._order), ROWS):
                rows = self._order[start : start + ROWS]
                digest.update(np.ascontiguousarray(self._images[rows]).data)
                digest.update(np.ascontiguousarray(self._labels[rows]).data)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint


class DatasetLoader:
    """Batches from any map-style ``paddle.io.Dataset`` that gives (image, label) pairs.

    Parameters
    ----------
    dataset
        Gives an image ``(channels, height, width)`` float32 and an integer label for an index.
    name
        What error sentences call it.
    order
        Indices to give, in the order to give them; all in a fixed shuffle when None.
    """

    def __init__(
        self, dataset: paddle.io.Dataset, *, name: str, order: np.ndarray | None = None
    ) -> None:
        if isinstance(dataset, paddle.io.IterableDataset) or not hasattr(dataset, "__getitem__"):
            msg = (
                f"The {name} data are a {type(dataset).__name__}, which can't be indexed; "
                "give a paddle.io.Dataset with __getitem__ and __len__."
            )
            raise TaskError(msg, name=name)
        self._dataset = dataset
        self._name = name
        self._order = fixed_order(len(dataset)) if order is None else np.asarray(order)
        self._fingerprint: str | None = None

    def __len__(self) -> int:
        return len(self._order)

    def batches(
        self, batch_size: int = 128, *, images: int | None = None, seed: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give batches of images and labels; the arguments are those of `ArrayLoader.batches`.

        Raises
        ------
        TaskError
            When an item is something other than an image and a label, naming it.
        """
        # Not paddle.io.DataLoader: when an item raises, it waits forever for its dead thread.
        for chosen in cut_order(self._order, batch_size, images=images, seed=seed):
            pairs = [self._checked(self._dataset[int(index)], int(index)) for index in chosen]
            yield self._joined(pairs)

    def _joined(self, pairs: Sequence[tuple[np.ndarray, np.int64]]) -> tuple[Tensor, Tensor]:
        """Give a batch of items."""
        pictures, labels = zip(*pairs, strict=True)
        if len({picture.shape for picture in pictures}) > 1:
            msg = f"The {self._name} data give images of different shapes; resize them to one."
            raise TaskError(msg, name=self._name)
        return paddle.to_tensor(np.stack(pictures)), paddle.to_tensor(np.asarray(labels))

    def _checked(self, item: Any, index: int) -> tuple[np.ndarray, np.int64]:
        """Give an item as an array and a number, or say what is wrong with it."""
        where = f"Item {index} of the {self._name} data"
        if not isinstance(item, tuple | list) or len(item) != 2:
            msg = f"{where} is not a pair of image and label."
            raise TaskError(msg, name=self._name, index=index)
        image, label = np.asarray(item[0]), np.asarray(item[1])
        if image.ndim != 3 or image.dtype != np.float32:
            msg = (
                f"{where} has an image of shape {image.shape} and type {image.dtype}; it must be "
                "(channels, height, width) float32."
            )
            raise TaskError(msg, name=self._name, index=index, shape=image.shape)
        if label.size != 1 or not np.issubdtype(label.dtype, np.integer):
            msg = f"{where} has the label {item[1]!r}; it must be one whole number."
            raise TaskError(msg, name=self._name, index=index)
        return image, np.int64(label.item())

    def fingerprint(self) -> str:
        """Give a hash of the length and of 256 evenly spaced images and labels (computed once)."""
        if self._fingerprint is None:
            digest = hashlib.blake2b(f"{len(self._order)}".encode(), digest_size=16)
            spread = np.linspace(0, len(self) - 1, min(HASHED_SAMPLES, len(self))).astype(int)
            sample = DatasetLoader(self._dataset, name=self._name, order=self._order[spread])
            for images, labels in sample.batches():
                digest.update(np.ascontiguousarray(images.numpy()).data)
                digest.update(np.ascontiguousarray(labels.numpy()).data)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint


def cut_order(
    order: np.ndarray, batch_size: int, *, images: int | None, seed: int | None
) -> Iterator[np.ndarray]:
    """Cut the first `images` indices of `order` into batches, shuffled when a seed is given."""
    if batch_size < 1 or (images is not None and images < 1):
        msg = f"batch_size ({batch_size}) and images ({images}) must be at least 1."
        raise TaskError(msg, batch_size=batch_size, images=images)
    chosen = order[:images]
    if seed is not None:
        chosen = np.random.default_rng(seed).permutation(chosen)
    for start in range(0, len(chosen), batch_size):
        yield chosen[start : start + batch_size]

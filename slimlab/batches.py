"""Floor 1. Batches of a ``paddle.io.DataLoader``: its sampler, its mixing and its collation.

The loader's parts are used, not its threads or processes: batches are read in the calling thread,
so that their random numbers are drawn where they can be repeated. Knows no models.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import paddle
from paddle import Tensor

from slimlab.errors import TaskError
from slimlab.loaders import FIXED_SEED

HASHED_IMAGES = 256
SEEDS = 2**32  # NumPy's global generator takes no larger one

Pair = tuple[np.ndarray, np.ndarray]


class BatchLoader:
    """Labelled images from any ``paddle.io.DataLoader``, such as one that mixes several data sets.

    Its batch sampler, data set and ``collate_fn`` are used; batches are cut anew to the size that
    is asked for. Whatever they draw from the global generators of NumPy and Python is drawn from
    the seed: without one it is a fixed seed, so that the order is always the same.

    Parameters
    ----------
    loader
        Gives pairs of images ``(n, channels, height, width)`` float32 and integer labels ``(n,)``
        or ``(n, 1)``.
    name
        What error sentences call it.
    images
        How many images it gives, at most: needed for an iterable data set, which can't tell.

    Raises
    ------
    TaskError
        When the number of images isn't known, or a batch is something else.

    Examples
    --------
    >>> import numpy as np, paddle
    >>> from slimlab.batches import BatchLoader
    >>> data = paddle.io.TensorDataset([paddle.zeros([5, 1, 2, 2]), paddle.arange(5)])
    >>> loader = BatchLoader(paddle.io.DataLoader(data, batch_size=2), name="train")
    >>> [labels.tolist() for _, labels in loader.batches(3)]
    [[0, 1, 2], [3, 4]]
    """

    def __init__(
        self, loader: paddle.io.DataLoader, *, name: str, images: int | None = None
    ) -> None:
        self._loader = loader
        self._name = name
        self._count = self._counted(images)

    def __len__(self) -> int:
        return self._count

    def batches(
        self, batch_size: int = 128, *, images: int | None = None, seed: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give batches of images and labels; the arguments are those of `ArrayLoader.batches`.

        A seed does not shuffle: it seeds the loader's own sampler and data set.
        """
        if batch_size < 1 or (images is not None and images < 1):
            msg = f"batch_size ({batch_size}) and images ({images}) must be at least 1."
            raise TaskError(msg, batch_size=batch_size, images=images)
        left = min(self._count, images or self._count)
        held: list[Pair] = []
        for pictures, labels in self._seeded(FIXED_SEED if seed is None else seed):
            held.append((pictures[:left], labels[:left]))
            left -= len(held[-1][1])
            while sum(len(y) for _, y in held) >= batch_size:
                x, y = _joined(held)
                yield paddle.to_tensor(x[:batch_size]), paddle.to_tensor(y[:batch_size])
                held = [(x[batch_size:], y[batch_size:])]
            if left == 0:
                break
        if held and len(_joined(held)[1]):
            x, y = _joined(held)
            yield paddle.to_tensor(x), paddle.to_tensor(y)

    def fingerprint(self) -> str:
        """Give a hash of the number of images and of the first 256 in the fixed order."""
        digest = hashlib.blake2b(f"{self._count}".encode(), digest_size=16)
        for x, y in self.batches(64, images=HASHED_IMAGES):
            digest.update(np.ascontiguousarray(x.numpy()).data)
            digest.update(np.ascontiguousarray(y.numpy()).data)
        return digest.hexdigest()

    def _counted(self, images: int | None) -> int:
        sampler = self._loader.batch_sampler
        known: int | None = None
        if sampler is not None and isinstance(sampler, paddle.io.BatchSampler):
            inner = getattr(sampler, "sampler", None)
            # A user's own batch sampler may take images twice, or leave some out.
            known = len(sampler) * int(sampler.batch_size) if inner is None else len(inner)
            if getattr(sampler, "drop_last", False):
                known -= known % int(sampler.batch_size)
        found = images if known is None else min(known, images or known)
        if found is None or found < 1:
            msg = (
                f"How many images the {self._name} loader gives can't be told from its data set or "
                f"sampler (found {found}); say it with BatchLoader(loader, images=...)."
            )
            raise TaskError(msg, name=self._name, images=found)
        return int(found)

    def _seeded(self, seed: int) -> Iterator[Pair]:
        """Read the loader's batches with global random states that are this iteration's own."""
        mine = _with_states(None, lambda: (np.random.seed(seed % SEEDS), random.seed(seed)))[1]  # noqa: NPY002
        source = self._raw()
        end = object()
        while True:
            batch, mine = _with_states(mine, lambda: next(source, end))
            if batch is end:
                return
            yield self._checked(batch)

    def _raw(self) -> Iterator[Any]:
        data, sampler = self._loader.dataset, self._loader.batch_sampler
        join = self._loader.collate_fn or paddle.io.dataloader.collate.default_collate_fn
        if isinstance(data, paddle.io.IterableDataset):
            held: list[Any] = []
            for item in data:
                held.append(item)
                if len(held) == max(1, getattr(sampler, "batch_size", 1) or 1):
                    yield join(held)
                    held = []
            if held:
                yield join(held)
        elif sampler is None:  # items are batches already
            yield from (data[index] for index in range(len(data)))
        else:
            for indices in sampler:
                yield join([data[index] for index in indices])

    def _checked(self, batch: Any) -> Pair:
        if not isinstance(batch, list | tuple) or len(batch) != 2:
            msg = f"A batch of the {self._name} loader is no pair of images and labels."
            raise TaskError(msg, name=self._name)
        x, y = np.asarray(batch[0]), np.asarray(batch[1])
        if x.ndim != 4 or x.dtype != np.float32:
            msg = (
                f"A batch of the {self._name} loader has images of shape {x.shape} and type "
                f"{x.dtype}; it must be (n, channels, height, width) float32."
            )
            raise TaskError(msg, name=self._name, shape=x.shape)
        if y.size != len(x) or not np.issubdtype(y.dtype, np.integer):
            msg = (
                f"A batch of the {self._name} loader has {len(x)} images and labels of shape "
                f"{y.shape} and type {y.dtype}; it must be one whole number an image."
            )
            raise TaskError(msg, name=self._name, shape=y.shape)
        return x, y.reshape(-1).astype(np.int64)


def _joined(held: list[Pair]) -> Pair:
    if len(held) == 1:
        return held[0]
    return np.concatenate([x for x, _ in held]), np.concatenate([y for _, y in held])


def _with_states(mine: tuple[Any, Any] | None, work: Any) -> tuple[Any, tuple[Any, Any]]:
    """Do some work with random states of its own, and give them back with what it gave."""
    outer = np.random.get_state(), random.getstate()  # noqa: NPY002
    if mine is not None:
        np.random.set_state(mine[0])  # noqa: NPY002
        random.setstate(mine[1])
    try:
        found = work()
        return found, (np.random.get_state(), random.getstate())  # noqa: NPY002
    finally:
        np.random.set_state(outer[0])  # noqa: NPY002
        random.setstate(outer[1])

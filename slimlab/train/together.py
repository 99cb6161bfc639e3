"""Floor 2. One training step on several workers: gradients, statistics and losses in one sum.

Each worker takes its part of the batch. What is added is weighted with the parts' sizes, so the sum
is the mean over the batch, and every worker goes on with the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import WorkerError
from slimlab.layers import Tensors, count
from slimlab.train.launched import launched
from slimlab.workers import Crew, Floats, Group, check_workers

Parts = tuple[tuple[str, float], ...]
Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
MOST_PARTS = 256  # of a loss


class Together:
    """What the workers of a training add up in each step.

    Parameters
    ----------
    model
        Its floating tensors that no optimizer changes, such as BatchNorm's statistics, become the
        mean of the workers'.
    parameters
        What the optimizer changes.
    group
        The workers.
    """

    def __init__(self, model: Layer, parameters: Sequence[Tensor], group: Group) -> None:
        self.group = group
        self._trained = [p for p in parameters if not p.stop_gradient]
        self._followed = followed_tensors(model, self._trained)
        self._before = [np.array(tensor.numpy()).reshape(-1) for tensor in self._followed]

    def weight(self, images: int) -> float:
        """Give this worker's share of a batch."""
        mine = self.group.part(images)
        return float(mine.stop - mine.start) / images

    def add(self, loss: float, parts: Parts, images: int) -> tuple[float, Parts]:
        """Give each worker the whole batch's gradients, statistics and losses.

        Parameters
        ----------
        loss, parts
            Of this worker's images, with their share as a factor, as its gradients have it.
        images
            In the whole batch.
        """
        losses = np.array([loss, *(value for _, value in parts)], np.float32)
        weight = self.weight(images)
        moved = [
            (tensor.numpy().reshape(-1) - before) * np.float32(weight)
            for tensor, before in zip(self._followed, self._before, strict=True)
        ]
        there = np.array([p.grad is not None for p in self._trained], np.float32)
        slopes = [
            np.zeros(count(p), np.float32) if p.grad is None else p.grad.numpy().reshape(-1)
            for p in self._trained
        ]
        sizes = [len(losses), len(there), *map(len, moved), *map(len, slopes)]
        total = self.group.sum(np.concatenate([losses, there, *moved, *slopes]))
        pieces = iter(np.split(total, np.cumsum(sizes)[:-1]))
        losses, there = next(pieces), next(pieces)
        self._follow(pieces)
        for parameter, slope, is_there in zip(self._trained, pieces, there, strict=True):
            if is_there:
                parameter.grad = paddle.to_tensor(slope.reshape(parameter.shape))
        named = tuple((name, float(v)) for (name, _), v in zip(parts, losses[1:], strict=True))
        return float(losses[0]), named

    def _follow(self, pieces: Iterator[Floats]) -> None:
        """Move each followed tensor by the workers' mean."""
        with paddle.no_grad():
            for place, tensor in enumerate(self._followed):
                self._before[place] = self._before[place] + next(pieces)
                tensor.set_value(paddle.to_tensor(self._before[place].reshape(tensor.shape)))


def followed_tensors(model: Layer, trained: Sequence[Tensor]) -> list[Tensor]:
    """Give a model's float32 tensors that are not trained by gradients, each once."""
    state, known = model.state_dict(), {id(p) for p in trained}
    found = (state[name] for name in Tensors.of(model).slots)
    return [t for t in found if id(t) not in known and t.dtype == paddle.float32 and count(t)]


def numbers_of(model: Layer, parameters: Sequence[Tensor]) -> int:
    """Give how many numbers the workers of a training add in a step, at most."""
    trained = [p for p in parameters if not p.stop_gradient]
    tensors = [*trained, *followed_tensors(model, trained)]
    return sum(map(count, tensors)) + len(trained) + MOST_PARTS


def mark_of(parameters: Sequence[Tensor]) -> float:
    """Give a hash of tensors, as a number that a float64 holds exactly."""
    digest = hashlib.blake2b(digest_size=6)
    for parameter in parameters:
        digest.update(np.ascontiguousarray(parameter.numpy()).data)
    return float(int.from_bytes(digest.digest(), "little"))


class Shared(Protocol):
    """A training whose steps several workers can take together."""

    def join(self, group: Group | None) -> None:
        """Take the next steps with a group, or alone."""
        ...

    def step(self, x: Tensor, labels: Tensor) -> object:
        """Take a step on a whole batch."""
        ...

    def numbers(self) -> int:
        """How many numbers the workers add in a step, at most."""
        ...

    def mark(self) -> float:
        """A number that tells whether two workers hold the same weights."""
        ...


@contextmanager
def working_together(trainer: Shared, workers: int, batches: Batches) -> Iterator[None]:
    """Take a training's next steps with several workers, inside the block.

    In a process that `paddle.distributed.launch` started these are the processes it started.

    Parameters
    ----------
    trainer
        The caller takes the steps with it; the others are forked from it as it is.
    workers
        How many, with this process; nothing is done for 1.
    batches
        Gives the whole batches of the block's steps, the same in each worker.

    Raises
    ------
    WorkerError
        When a worker dies or fails, or comes to other weights.
    """
    group = launched()
    if group is not None:
        with _joined(trainer, group):
            group.end(trainer.mark())  # all begin with the same weights
            yield
        return
    if workers == 1:
        yield
        return

    def follow(group: Group) -> None:
        trainer.join(group)
        for pair in batches():
            trainer.step(*pair)
        group.end(trainer.mark())

    with Crew(workers, trainer.numbers()) as crew:
        with _joined(trainer, crew.start(follow)):
            yield


@contextmanager
def _joined(trainer: Shared, group: Group) -> Iterator[None]:
    """Take steps with a group, and compare the weights at the end."""
    trainer.join(group)
    try:
        yield
        group.end(trainer.mark())
    finally:
        trainer.join(None)


def check_shares(workers: int, batch_size: int, teachers: object = None) -> None:
    """Refuse a number of workers that can't be, or that leaves one without an image.

    Workers can't be asked for where `paddle.distributed.launch` has started some. A teacher that is
    no layer is refused too, as runtimes with threads do not outlive a fork.

    Raises
    ------
    WorkerError
    """
    check_workers(workers)
    group = launched()
    if group is not None:
        if workers not in (1, group.size):
            msg = (
                f"This is one of {group.size} processes that paddle.distributed.launch started, "
                f"which train together; leave workers ({workers}) at 1."
            )
            raise WorkerError(msg, workers=workers)
        workers = group.size
    if workers > batch_size:
        msg = (
            f"{workers} workers can't share a batch of {batch_size} images: give batch_size "
            f"{workers} or more, or fewer workers."
        )
        raise WorkerError(msg, workers=workers, batch_size=batch_size)
    given = teachers.values() if isinstance(teachers, Mapping) else [teachers]
    if group is None and workers > 1 and not all(t is None or isinstance(t, Layer) for t in given):
        msg = (
            "A teacher that is no paddle.nn.Layer can only be asked by one process; give the layer "
            "itself, or train with workers=1."
        )
        raise WorkerError(msg, workers=workers)

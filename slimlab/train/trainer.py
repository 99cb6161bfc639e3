"""Floor 2. One training step: batch, losses, optimizer; knows nothing of epochs or stopping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import Layer
from paddle.nn import functional as F  # noqa: N812 - Paddle's own convention

from slimlab.errors import SlimLabError
from slimlab.evaluate import inference
from slimlab.task import Task
from slimlab.train.random_state import RandomState


@dataclass(frozen=True)
class Training:
    """What is rarely changed about a training.

    Attributes
    ----------
    optimizer
        ``"adam"``, or ``"momentum"`` (0.9, Nesterov).
    weight_decay
        L2 penalty on every trained parameter.
    warmup
        Share of the steps in which the learning rate rises from 0, before its cosine falls.
    temperature, teacher_share
        Of the soft-label loss, when there is a teacher: the total is
        ``(1 - teacher_share) * task.loss + teacher_share * temperature**2 * KL``.
    evaluate_images
        Test images of each evaluation; all when None.
    """

    optimizer: Literal["adam", "momentum"] = "adam"
    weight_decay: float = 1e-4
    warmup: float = 0.0
    temperature: float = 4.0
    teacher_share: float = 0.5
    evaluate_images: int | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in ("adam", "momentum"):
            msg = f"There is no optimizer {self.optimizer!r}; use 'adam' or 'momentum'."
            raise SlimLabError(msg, optimizer=self.optimizer)
        for name in ("warmup", "teacher_share"):
            if not 0 <= getattr(self, name) <= 1:
                msg = f"{name} is {getattr(self, name)}; it is a share, between 0 and 1."
                raise SlimLabError(msg, **{name: getattr(self, name)})
        if self.temperature <= 0 or self.weight_decay < 0:
            msg = (
                f"temperature ({self.temperature}) must be above 0 and weight_decay "
                f"({self.weight_decay}) not below it."
            )
            raise SlimLabError(msg, temperature=self.temperature, weight_decay=self.weight_decay)


class Trainer:
    """Optimizer, losses and random state of one run."""

    def __init__(
        self, student: Layer, task: Task, settings: Training, *, teacher: Layer | None, seed: int
    ) -> None:
        self._student = student
        self._task = task
        self._settings = settings
        self._teacher = teacher
        self._seed = seed
        self._random = RandomState(seed)

    def schedule(self, learning_rate: float, total: int) -> None:
        """Make the optimizer with its cosine over `total` steps."""
        settings = self._settings
        warmup = min(round(settings.warmup * total), total - 1)
        falling = total - warmup
        self._schedule = paddle.optimizer.lr.CosineAnnealingDecay(learning_rate, T_max=falling)
        if warmup:
            self._schedule = paddle.optimizer.lr.LinearWarmup(
                self._schedule, warmup, start_lr=learning_rate / warmup, end_lr=learning_rate
            )
        shared = {
            "learning_rate": self._schedule,
            "parameters": self._student.parameters(),
            "weight_decay": settings.weight_decay,
        }
        if settings.optimizer == "adam":
            self._optimizer = paddle.optimizer.Adam(**shared)
        else:
            self._optimizer = paddle.optimizer.Momentum(**shared, momentum=0.9, use_nesterov=True)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._optimizer.get_lr())

    def batches(self, epoch: int, batch_size: int, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give one pass's augmented batches, a different shuffle in each epoch."""
        rng = np.random.default_rng([self._seed, epoch])
        shuffle = int(rng.integers(2**31))
        source = self._task.train.batches(batch_size, seed=shuffle)
        # Counted here: the last, smaller batch is left out, as one image has no batch statistics.
        for _ in range(count):
            with self._random.own():
                x, labels = next(source)
                if self._task.augment is not None:
                    x = paddle.to_tensor(self._task.augment(x.numpy(), rng))
            yield x, labels

    def step(self, x: Tensor, labels: Tensor) -> float:
        """Update the student once and give the batch's loss before the update."""
        with self._random.own():
            self._student.train()
            loss = self._loss(x, labels)
            loss.backward()
            self._optimizer.step()
            self._optimizer.clear_grad()
            self._schedule.step()
            return float(loss)

    def _loss(self, x: Tensor, labels: Tensor) -> Tensor:
        logits = self._student(x)
        loss = self._task.loss(logits, labels)
        if self._teacher is None:
            return loss
        with inference(self._teacher):
            target = self._teacher(x)
        share = self._settings.teacher_share
        soft = soft_label_loss(logits, target, temperature=self._settings.temperature)
        return (1 - share) * loss + share * soft


def soft_label_loss(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Give the soft-label loss of Hinton et al. 2015, a scalar, in nats.

    It is ``temperature**2 * KL(teacher || student)`` of the softened outputs, averaged over the
    images. The factor keeps its gradients of one size when the temperature changes.

    Parameters
    ----------
    student, teacher
        Logits ``(n, num_classes)``.
    temperature
        Divides the logits; above 1 it softens.
    """
    log_p = F.log_softmax(student / temperature, axis=1)
    q = F.softmax(teacher / temperature, axis=1)
    return F.kl_div(log_p, q, reduction="batchmean") * temperature**2

"""Floor 2. One training step: batch, losses, optimizer; knows nothing of epochs or stopping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import Layer
from paddle.nn import functional as F  # noqa: N812 - Paddle's own convention

from slimlab.distill import Custom, Distiller, DistillLoss
from slimlab.distill.distiller import Teachers
from slimlab.errors import DistillError, TaskError
from slimlab.task import Task
from slimlab.train.averaging import AveragedModel
from slimlab.train.diagnosis import gradient_error, gradients_are_finite, loss_error
from slimlab.train.random_state import RandomState
from slimlab.train.schedules import Course
from slimlab.train.settings import Training

Parts = tuple[tuple[str, float], ...]


class Trainer:
    """Optimizer, losses and random state of one run.

    Parameters
    ----------
    student
        What is trained, in place.
    task
        Gives batches, augmentation and loss.
    settings
        Optimizer, schedule, and the rest.
    teachers, losses
        What is distilled; neither for a plain training. Without losses it is the soft-label loss
        that `settings` describes.
    seed
        Of everything that is drawn.

    Raises
    ------
    DistillError
        When the losses don't fit the models; see `slimlab.distill.Distiller`.
    """

    def __init__(
        self,
        student: Layer,
        task: Task,
        settings: Training,
        *,
        teachers: Teachers | None = None,
        losses: Sequence[DistillLoss] | None = None,
        seed: int,
    ) -> None:
        self._student = student
        self._task = task
        self._settings = settings
        self._seed = seed
        self._random = RandomState(seed)
        self._distiller: Distiller | None = None
        self._task_weight = 1.0
        if losses is not None and (teachers is None or teachers == {}):
            msg = "There are distillation losses but no teacher; give teacher=..."
            raise DistillError(msg, losses=tuple(losses))
        if teachers is not None:
            self._task_weight = settings.task_weight
            if losses is None:
                self._task_weight = 1 - settings.teacher_share
                losses = [_soft_labels(settings, teachers)]
            with self._random.own():  # adapters are drawn here
                self._distiller = Distiller(student, losses, teachers, task.example)
        self._averaged = None if settings.ema is None else AveragedModel(student, settings.ema)

    def schedule(self, learning_rate: float, steps: int, steps_an_epoch: int) -> None:
        """Make the optimizer with its learning rates for `steps` steps."""
        settings = self._settings
        self._steps_an_epoch = steps_an_epoch
        self._done = 0
        course = Course(learning_rate, steps, steps_an_epoch, settings.warmup, settings.schedule)
        self._rates = paddle.optimizer.lr.LambdaDecay(learning_rate, course.factor)
        adapted = [] if self._distiller is None else self._distiller.parameters()
        self._parameters = [*self._student.parameters(), *adapted]
        clip = settings.clip_norm
        shared = {
            "learning_rate": self._rates,
            "parameters": self._parameters,
            "weight_decay": settings.weight_decay,
            "grad_clip": None if clip is None else paddle.nn.ClipGradByGlobalNorm(clip),
        }
        if settings.optimizer == "momentum":
            shared |= {"momentum": settings.momentum, "use_nesterov": settings.nesterov}
        kinds = {
            "adam": paddle.optimizer.Adam,
            "adamw": paddle.optimizer.AdamW,
            "momentum": paddle.optimizer.Momentum,
            "sgd": paddle.optimizer.SGD,
        }
        self._optimizer = kinds[settings.optimizer](**shared)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._optimizer.get_lr())

    @property
    def model(self) -> Layer:
        """What the training has made so far: the student, or the average of its weights."""
        return self._student if self._averaged is None else self._averaged.model

    def batches(self, epoch: int, batch_size: int, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give one pass's augmented batches, a different shuffle in each epoch."""
        rng = np.random.default_rng([self._seed, epoch])
        shuffle = int(rng.integers(2**31))
        source = self._task.train.batches(batch_size, seed=shuffle)
        # Counted here: the last, smaller batch is left out, as one image has no batch statistics.
        for _ in range(count):
            with self._random.own():
                pair = next(source, None)
                if pair is None:
                    msg = f"The training data gave fewer than {count} batches of {batch_size}."
                    raise TaskError(msg, batches=count, batch_size=batch_size)
                x, labels = pair
                if self._task.augment is not None:
                    x = paddle.to_tensor(self._task.augment(x.numpy(), rng))
            yield x, labels

    def step(self, x: Tensor, labels: Tensor) -> tuple[float, Parts]:
        """Update the student once.

        Returns
        -------
        loss, parts
            The batch's, before the update; `parts` add up to it, and are empty without a teacher.

        Raises
        ------
        SlimLabError
            When the loss or a gradient isn't finite, with step and layer as attributes.
        """
        now, rate = self._done + 1, self.learning_rate
        with self._random.own():
            self._student.train()
            loss, terms = self._loss(x, labels)
            value = float(loss)
            parts = tuple((name, float(term)) for name, term in terms)
            if not math.isfinite(value):
                raise loss_error(self._student, x, parts, value, step=now, learning_rate=rate)
            loss.backward()
            if not gradients_are_finite(self._parameters):
                raise gradient_error(self._student, x, value, step=now, learning_rate=rate)
            self._optimizer.step()
            self._optimizer.clear_grad()
            self._rates.step()
            self._done += 1
            if self._averaged is not None:
                self._averaged.update()
        return value, parts

    def _loss(self, x: Tensor, labels: Tensor) -> tuple[Tensor, list[tuple[str, Tensor]]]:
        if self._distiller is None:
            return self._task.loss(self._student(x), labels), []
        epoch = self._done / self._steps_an_epoch
        logits, distilled = self._distiller.run(self._student, x, labels, epoch=epoch)
        terms = [("task", self._task.loss(logits, labels) * self._task_weight), *distilled]
        total = terms[0][1]
        for _, term in distilled:
            total = total + term
        return total, terms


def _soft_labels(settings: Training, teachers: Teachers) -> DistillLoss:
    """The loss of a teacher that comes without a list of losses."""
    if isinstance(teachers, Mapping) and len(teachers) > 1:
        msg = f"There are {len(teachers)} teachers; say in distill=[...] what is learned from each."
        raise DistillError(msg, teachers=tuple(teachers))

    def soft(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        return soft_label_loss(student, teacher, temperature=settings.temperature)

    return Custom(function=soft, name="soft_label", weight=settings.teacher_share)


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

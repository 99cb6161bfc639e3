"""Floor 2. One training step: batch, losses, optimizer; knows nothing of epochs or stopping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import Layer
from paddle.nn import functional as F  # noqa: N812 - Paddle's own convention

from slimlab.distill import Custom, Distiller, DistillLoss
from slimlab.distill.distiller import Teachers
from slimlab.errors import ArtifactError, DistillError, TaskError
from slimlab.task import Task
from slimlab.train.averaging import AveragedModel
from slimlab.train.depthwise import dense_depthwise
from slimlab.train.diagnosis import gradient_error, gradients_are_finite, loss_error
from slimlab.train.random_state import drawing
from slimlab.train.schedules import Course
from slimlab.train.settings import Training
from slimlab.train.snapshot import (
    Snapshot,
    arrays_of,
    fill,
    fill_optimizer,
    optimizer_arrays,
)
from slimlab.train.together import Together, mark_of, numbers_of
from slimlab.workers import Group, speaking

Parts = tuple[tuple[str, float], ...]
STEP, BATCH, ADAPTERS = range(3)  # what is drawn, beside the seed and the place


@dataclass(frozen=True)
class Start:
    """Where a trainer begins: at 0, or inside something longer.

    Attributes
    ----------
    done
        Steps of its course of learning rates that lie behind.
    step
        Steps of the whole run that lie behind: errors and random numbers count from there.
    epoch
        Passes over the data since the distillation losses began, for their weights.
    """

    done: int = 0
    step: int = 0
    epoch: float = 0.0


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
        self._distiller: Distiller | None = None
        self._together: Together | None = None
        self._task_weight = 1.0
        if losses is not None and (teachers is None or teachers == {}):
            msg = "There are distillation losses but no teacher; give teacher=..."
            raise DistillError(msg, losses=tuple(losses))
        if teachers is not None:
            self._task_weight = settings.task_weight
            if losses is None:
                self._task_weight = 1 - settings.teacher_share
                losses = [_soft_labels(settings, teachers)]
            with drawing(seed, ADAPTERS):
                self._distiller = Distiller(student, losses, teachers, task.example)
        self._averaged = None if settings.ema is None else AveragedModel(student, settings.ema)

    def schedule(
        self,
        learning_rate: float,
        steps: int,
        steps_an_epoch: int,
        start: Start = Start(),
    ) -> None:
        """Make the optimizer with its learning rates for `steps` steps; some may be done."""
        settings = self._settings
        self._steps_an_epoch = steps_an_epoch
        self._start, self._taken = start, 0
        course = Course(learning_rate, steps, steps_an_epoch, settings.warmup, settings.schedule)
        rates = paddle.optimizer.lr.LambdaDecay
        self._rates = rates(learning_rate, course.factor, last_epoch=start.done - 1)
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

    def batches(
        self, epoch: int, batch_size: int, count: int, *, skip: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give one pass's augmented batches, a different shuffle in each epoch.

        The first `skip` are not given: where a pass was interrupted, it goes on with the batches
        that it would have had. A loader that can reads neither those nor what is another worker's,
        which are zeros then.
        """
        shuffle = int(np.random.default_rng([self._seed, epoch]).integers(2**31))
        more = self._unread(skip)
        unread = more.get("skip", 0)
        source = self._task.train.batches(batch_size, seed=shuffle, **more)
        # Counted here: the last, smaller batch is left out, as one image has no batch statistics.
        for place in range(unread, count):
            with drawing(self._seed, BATCH, epoch, place):
                pair = next(source, None)
                if pair is None:
                    msg = f"The training data gave fewer than {count} batches of {batch_size}."
                    raise TaskError(msg, batches=count, batch_size=batch_size)
                if place < skip:
                    continue
                x, labels = pair
                if self._task.augment is not None:
                    rng = np.random.default_rng([self._seed, epoch, place])
                    x = paddle.to_tensor(self._task.augment(x.numpy(), rng))
            yield x, labels

    def _unread(self, skip: int) -> dict[str, Any]:
        """What the loader need not read, as its arguments."""
        if not getattr(self._task.train, "reads_parts", False):
            return {}
        more: dict[str, Any] = {"skip": skip}
        augment = self._task.augment
        # One that mixes images needs all of them.
        alone = augment is None or getattr(augment, "each_alone", False)
        if self._together is not None and alone:
            more["part"] = self._together.group.part
        return more

    def join(self, group: Group | None) -> None:
        """Take the next steps with others, each on its part of a batch; alone with None."""
        self._together = None
        if group is not None:
            self._together = Together(self._student, self._parameters, group)

    def numbers(self) -> int:
        """Give how many numbers workers would add in a step, at most."""
        return numbers_of(self._student, self._parameters)

    def mark(self) -> float:
        """Give a number that tells whether two workers hold the same weights."""
        return mark_of([*self._student.state_dict().values(), *self._parameters])

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
        now, rate = self._start.step + self._taken + 1, self.learning_rate
        group = None if self._together is None else self._together.group
        # Workers draw different numbers for their different images.
        own = (group.rank,) if group is not None and group.rank else ()
        with drawing(self._seed, STEP, now, *own):
            self._student.train()
            with speaking(group), dense_depthwise(self._student):
                value, parts = self._slopes(x, labels)
            if not math.isfinite(value):
                raise loss_error(self._student, x, parts, value, step=now, learning_rate=rate)
            if not gradients_are_finite(self._parameters):
                raise gradient_error(self._student, x, value, step=now, learning_rate=rate)
            self._optimizer.step()
            self._optimizer.clear_grad()
            self._rates.step()
            self._taken += 1
            if self._averaged is not None:
                self._averaged.update()
        return value, parts

    def _slopes(self, x: Tensor, labels: Tensor) -> tuple[float, Parts]:
        """Find the gradients of a batch, alone or together; none for a loss that isn't finite."""
        together = self._together
        if together is None:
            loss, terms = self._loss(x, labels)
            value, parts = float(loss), tuple((name, float(term)) for name, term in terms)
            if math.isfinite(value):
                loss.backward()
            return value, parts
        images = len(labels)
        part, weight = together.group.part(images), together.weight(images)
        loss, terms = self._loss(x[part], labels[part])
        loss = loss * weight
        loss.backward()
        mine = tuple((name, float(term) * weight) for name, term in terms)
        return together.add(float(loss), mine, images)

    def snapshot(self) -> Snapshot:
        """Give all that the next steps depend on, beside the data, the seed and the step."""
        averaged = self._averaged
        return Snapshot(
            student=arrays_of(self._student),
            optimizer=optimizer_arrays(self._optimizer, self._named()),
            adapters={name: arrays_of(layer) for name, layer in self._adapters().items()},
            average=None if averaged is None else arrays_of(averaged.model),
            updates=0 if averaged is None else averaged.updates,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot, after `schedule`.

        Raises
        ------
        ArtifactError
            When it belongs to another model or to other settings.
        """
        fill(self._student, snapshot.student, "the model")
        adapters = self._adapters()
        if adapters.keys() != snapshot.adapters.keys():
            msg = f"Adapters {sorted(adapters)} are needed; there are {sorted(snapshot.adapters)}."
            raise ArtifactError(msg, adapters=tuple(snapshot.adapters))
        for name, layer in adapters.items():
            fill(layer, snapshot.adapters[name], f"adapter {name}")
        if (self._averaged is None) != (snapshot.average is None):
            msg = "An average of the weights is kept in one of the two, not in the other."
            raise ArtifactError(msg, ema=self._settings.ema)
        if self._averaged is not None and snapshot.average is not None:
            fill(self._averaged.model, snapshot.average, "the average")
            self._averaged.updates = snapshot.updates
        fill_optimizer(self._optimizer, self._named(), snapshot.optimizer)

    def _adapters(self) -> dict[str, Layer]:
        return {} if self._distiller is None else self._distiller.adapters

    def _named(self) -> dict[str, Tensor]:
        """What is trained, by names that don't depend on what else the process has made."""
        named = dict(self._student.named_parameters())
        for label, layer in self._adapters().items():
            named |= {f"adapter {label} {name}": p for name, p in layer.named_parameters()}
        return named

    def _loss(self, x: Tensor, labels: Tensor) -> tuple[Tensor, list[tuple[str, Tensor]]]:
        if self._distiller is None:
            return self._task.loss(self._student(x), labels), []
        epoch = self._start.epoch + self._taken / self._steps_an_epoch
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

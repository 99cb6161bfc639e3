"""Floor 2. What is rarely changed about a training, as a frozen value, and what callbacks see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from paddle.nn import Layer

from slimlab.errors import SlimLabError, nearest
from slimlab.train.history import Record
from slimlab.train.schedules import Cosine, Schedule

OPTIMIZERS = ("adam", "adamw", "momentum", "sgd")
Optimizer = Literal["adam", "adamw", "momentum", "sgd"]


@dataclass(frozen=True)
class Event:
    """What a callback is told.

    Attributes
    ----------
    kind
        ``"start"`` before the first step, ``"step"`` after each, ``"epoch"`` after each pass (and
        its evaluation, where there is one), ``"end"`` after the last. In a `Compressor` there is
        also ``"strategy"``, each time a strategy has changed the model.
    record
        The latest of the history.
    model
        The model in training: look at it; what is changed in it stays changed.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.train import Event, Training
    >>> seen = []
    >>> def watch(event):
    ...     seen.append(event.kind)
    >>> task = sl.load_task("digits")
    >>> settings = Training(callbacks=(watch,))
    >>> _ = sl.fine_tune(sl.load_model("vgg", task), task, training=settings, progress=False)
    >>> seen[0], seen[1], seen[-2], seen[-1]
    ('start', 'step', 'epoch', 'end')
    """

    kind: Literal["start", "step", "epoch", "end", "strategy"]
    record: Record
    model: Layer


Callback = Callable[[Event], None]


@dataclass(frozen=True)
class Training:
    """What is rarely changed about a training.

    Attributes
    ----------
    optimizer
        ``"adam"``, ``"adamw"`` (weight decay beside the gradient), ``"momentum"`` or ``"sgd"``.
    weight_decay
        L2 penalty on every trained parameter.
    warmup
        Share of the steps in which the learning rate rises from 0, before the schedule.
    temperature, teacher_share
        Of the soft-label loss, when there is a teacher and no list of losses: the total is
        ``(1 - teacher_share) * task.loss + teacher_share * temperature**2 * KL``.
    evaluate_images
        Test images of each evaluation; all when None.
    schedule
        How the learning rate falls: `Cosine`, `Piecewise`, `Polynomial`, `Exponential`, `Constant`.
    momentum, nesterov
        Of ``"momentum"``.
    clip_norm
        Gradients are scaled down together when their common Euclidean norm is above this; never
        when None.
    ema
        Decay of an exponential moving average of all weights, such as 0.999: the average is what is
        evaluated and given back. At step t it is at most ``(1 + t) / (10 + t)``, so that the start
        is soon forgotten. No average when None.
    task_weight
        What the task's loss is multiplied by when there is a list of distillation losses.
    evaluate_every
        Epochs from one evaluation to the next; the start and the end are always evaluated.
    callbacks
        Functions that are told of every `Event`. One that raises `Stopped` ends the training with
        what there is; other exceptions pass through.

    Raises
    ------
    SlimLabError
        When an attribute can't be used.

    Examples
    --------
    >>> from slimlab.train import Piecewise, Training
    >>> Training("momentum", schedule=Piecewise((30, 60, 90)), clip_norm=5.0).momentum
    0.9
    """

    optimizer: Optimizer = "adam"
    weight_decay: float = 1e-4
    warmup: float = 0.0
    temperature: float = 4.0
    teacher_share: float = 0.5
    evaluate_images: int | None = None
    schedule: Schedule = field(default_factory=Cosine)
    momentum: float = 0.9
    nesterov: bool = True
    clip_norm: float | None = None
    ema: float | None = None
    task_weight: float = 1.0
    evaluate_every: int = 1
    callbacks: tuple[Callback, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "callbacks", tuple(self.callbacks))
        if self.optimizer not in OPTIMIZERS:
            asked = str(self.optimizer)
            msg = f"There is no optimizer {asked!r}. {nearest(asked, OPTIMIZERS)}"
            raise SlimLabError(msg, optimizer=self.optimizer)
        for name, found, fits, range_ in (
            ("warmup", self.warmup, 0 <= self.warmup <= 1, "between 0 and 1"),
            ("teacher_share", self.teacher_share, 0 <= self.teacher_share <= 1, "between 0 and 1"),
            ("momentum", self.momentum, 0 <= self.momentum < 1, "in [0, 1)"),
            ("temperature", self.temperature, _positive(self.temperature), "above 0"),
            ("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more"),
            ("task_weight", self.task_weight, 0 <= self.task_weight < math.inf, "0 or more"),
            ("clip_norm", self.clip_norm, _positive(self.clip_norm), "above 0"),
            ("ema", self.ema, self.ema is None or 0 <= self.ema < 1, "in [0, 1)"),
            ("evaluate_every", self.evaluate_every, self.evaluate_every >= 1, "at least 1"),
        ):
            if not fits:
                msg = f"{name} is {found}; it must be {range_}."
                raise SlimLabError(msg, **{name: found})

    def tell(self, event: Event) -> None:
        """Tell every callback of an event."""
        for callback in self.callbacks:
            callback(event)


def _positive(number: float | None) -> bool:
    return number is None or 0 < number < math.inf

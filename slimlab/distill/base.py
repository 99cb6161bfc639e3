"""Floor 1. What every distillation loss has: the layers it compares, its weight, its epochs.

A loss is a frozen dataclass that inherits from `DistillLoss`; register one with
`@distill_loss("name")`, and recipes know it too. Knows neither models nor training.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, TypeVar

from paddle import Tensor

from slimlab.errors import DistillError, nearest

Layers = str | tuple[str, ...] | None
Weight = float | tuple[tuple[float, float], ...]
Kind = TypeVar("Kind", bound="type[DistillLoss]")
LOSSES: dict[str, type[DistillLoss]] = {}


@dataclass(frozen=True, kw_only=True)
class DistillLoss:
    """Base of the losses: which layers are compared, how much it counts, and when.

    A subclass gives `value`, and says in class attributes what it asks of the features.

    Attributes
    ----------
    student, teacher
        Structured name of a layer whose output is compared; None is the model's own output, the
        logits. A loss over two layers of each model (FSP) takes a pair of names. The output of a
        layer that is called several times in one forward pass is that of its last call.
    teacher_model
        Name of the teacher, where there are several; None where there is one.
    weight
        What the loss is multiplied by; or points ``((epoch, weight), ...)``, between which the
        weight changes evenly and beyond which it stays. Epochs are counted from 0, with fractions.
    start_epoch, end_epoch
        The loss counts from the beginning of `start_epoch` to the beginning of `end_epoch`; to the
        end of the training for None.
    adapter
        Where the channels differ, learn a 1x1 convolution (a linear map for vectors) from the
        student's to the teacher's. It is trained with the student and is never part of it.
    resize
        Where heights or widths differ, average the larger features to the smaller size.

    Raises
    ------
    DistillError
        When an attribute can't be used.

    Examples
    --------
    >>> import slimlab as sl
    >>> loss = sl.L2(student="conv1", teacher="conv1", weight=((0, 1.0), (10, 0.0)), end_epoch=8)
    >>> isinstance(loss, sl.DistillLoss), loss.weight_at(5), loss.weight_at(8)
    (True, 0.5, 0.0)
    """

    needs: ClassVar[int] = 1  # layers of each model
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)  # dimensions of a feature that make sense
    same_channels: ClassVar[bool] = True
    same_size: ClassVar[bool] = True
    adaptable: ClassVar[bool] = True
    kind: ClassVar[str] = "loss"

    student: Layers = None
    teacher: Layers = None
    teacher_model: str | None = None
    weight: Weight = 1.0
    start_epoch: int = 0
    end_epoch: int | None = None
    adapter: bool = False
    resize: bool = False

    def __post_init__(self) -> None:
        for side in ("student", "teacher"):
            object.__setattr__(self, side, self._checked_layers(side))
        object.__setattr__(self, "weight", _checked_weight(self.weight, self.kind))
        if self.start_epoch < 0 or (self.end_epoch is not None and self.end_epoch < 1):
            msg = (
                f"{self.kind}: start_epoch ({self.start_epoch}) and end_epoch ({self.end_epoch}) "
                "count from 0, and end_epoch is the first epoch without the loss."
            )
            raise DistillError(msg, start_epoch=self.start_epoch, end_epoch=self.end_epoch)
        if self.end_epoch is not None and self.end_epoch <= self.start_epoch:
            msg = (
                f"{self.kind}: end_epoch ({self.end_epoch}) is the first epoch without the loss, so"
                f" it must be above start_epoch ({self.start_epoch})."
            )
            raise DistillError(msg, start_epoch=self.start_epoch, end_epoch=self.end_epoch)
        if self.adapter and not self.adaptable:
            msg = f"{self.kind} has no use for an adapter; leave it out."
            raise DistillError(msg, loss=self.kind)

    def value(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], labels: Tensor
    ) -> Tensor:
        """Give the loss, a scalar tensor, of a batch's features.

        Parameters
        ----------
        student, teacher
            One feature for each layer: ``(n, c, h, w)``, ``(n, length, c)`` or ``(n, c)``, float32.
        labels
            ``(n,)`` int64.
        """
        msg = f"{type(self).__name__} has no value(); a distillation loss needs one."
        raise DistillError(msg, loss=self.kind)

    @property
    def student_layers(self) -> tuple[str | None, ...]:
        """The student's layers, always as a tuple; None is its logits."""
        return self.student if isinstance(self.student, tuple) else (self.student,)

    @property
    def teacher_layers(self) -> tuple[str | None, ...]:
        """The teacher's layers, always as a tuple; None is its logits."""
        return self.teacher if isinstance(self.teacher, tuple) else (self.teacher,)

    @property
    def label(self) -> str:
        """What histories call it: its kind, with the student's layers where there are any."""
        names = [name for name in self.student_layers if name is not None]
        return f"{self.kind}({', '.join(names)})" if names else self.kind

    def weight_at(self, epoch: float) -> float:
        """The weight at a point of the training, in epochs; 0 while the loss doesn't count."""
        if epoch < self.start_epoch or (self.end_epoch is not None and epoch >= self.end_epoch):
            return 0.0
        if not isinstance(self.weight, tuple):
            return self.weight
        (before, weight), *rest = self.weight
        for after, target in rest:
            if epoch < after:
                share = min(1.0, max(0.0, (epoch - before) / (after - before)))
                return weight + share * (target - weight)
            before, weight = after, target
        return weight

    def _checked_layers(self, side: str) -> Layers:
        given: object = getattr(self, side)
        names = tuple(given) if isinstance(given, list | tuple) else (given,)
        if self.needs == 1 and len(names) == 1 and (names[0] is None or isinstance(names[0], str)):
            return names[0]
        if len(names) != self.needs or not all(isinstance(name, str) for name in names):
            wanted = "a layer's name or None for the logits"
            if self.needs > 1:
                wanted = f"the names of {self.needs} layers"
            msg = f"{self.kind}: {side} is {given!r}; it takes {wanted}."
            raise DistillError(msg, loss=self.kind, side=side, given=given)
        return names


def distill_loss(name: str) -> Callable[[Kind], Kind]:
    """Register a loss under the name that recipes use.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from slimlab.distill import LOSSES, DistillLoss, distill_loss
    >>> @distill_loss("l1")
    ... @dataclass(frozen=True, kw_only=True)
    ... class L1(DistillLoss):
    ...     def value(self, student, teacher, labels):
    ...         return (student[0] - teacher[0]).abs().mean()
    >>> L1(student="conv1", teacher="conv1").label
    'l1(conv1)'
    >>> del LOSSES["l1"]
    """

    def register(loss: Kind) -> Kind:
        loss.kind = name
        LOSSES[name] = loss
        return loss

    return register


def loss_to_dict(loss: DistillLoss) -> dict[str, Any]:
    """Give a loss as JSON-able values: its name under ``"loss"``, and what isn't a default.

    Raises
    ------
    DistillError
        For a user's function, which can't be written down.

    Examples
    --------
    >>> from slimlab.distill import L2, loss_to_dict
    >>> loss_to_dict(L2(student="conv1", teacher="conv1", weight=0.5))
    {'loss': 'l2', 'student': 'conv1', 'teacher': 'conv1', 'weight': 0.5}
    """
    found: dict[str, Any] = {"loss": loss.kind}
    for field in fields(loss):
        value = getattr(loss, field.name)
        if callable(value):
            msg = (
                f"{loss.label} holds a function, which can't be written down; register a loss with "
                "@distill_loss to use it in a recipe."
            )
            raise DistillError(msg, loss=loss.kind)
        if field.default is MISSING or value != field.default:
            found[field.name] = _listed(value)
    return found


def loss_from_dict(values: Mapping[str, Any]) -> DistillLoss:
    """Make a loss from what `loss_to_dict` gave.

    Raises
    ------
    DistillError
        For a loss or an attribute that doesn't exist, with the nearest names.

    Examples
    --------
    >>> from slimlab.distill import loss_from_dict
    >>> loss_from_dict({"loss": "soft_label", "student_temperature": 4.0}).student_temperature
    4.0
    """
    rest = dict(values)
    name = rest.pop("loss", None)
    loss = LOSSES.get(name) if isinstance(name, str) else None
    if loss is None:
        msg = f"There is no distillation loss {name!r}. {nearest(str(name), LOSSES)}"
        raise DistillError(msg, loss=name)
    known = [field.name for field in fields(loss)]
    for key in rest:
        if key not in known:
            msg = f"Loss {name!r} has no {key!r}. {nearest(str(key), known)}"
            raise DistillError(msg, loss=name, key=key)
    return loss(**{key: _tupled(value) for key, value in rest.items()})


def _listed(value: Any) -> Any:
    return [_listed(v) for v in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, list) else value


def _checked_weight(weight: object, kind: str) -> Weight:
    """Give a weight as a number or as points in rising order of epochs."""
    if isinstance(weight, int | float) and not isinstance(weight, bool):
        points: tuple[tuple[float, float], ...] = ((0.0, float(weight)),)
    else:
        points = _points(weight)
    rising = all(a[0] < b[0] for a, b in itertools.pairwise(points))
    if not points or not rising or not all(_usable(*point) for point in points):
        msg = (
            f"{kind}: weight is {weight!r}; it takes a number that is not negative, or points "
            "((epoch, weight), ...) of rising epochs."
        )
        raise DistillError(msg, loss=kind, weight=weight)
    return points if not isinstance(weight, int | float) else float(weight)


def _points(weight: object) -> tuple[tuple[float, float], ...]:
    if not isinstance(weight, list | tuple):
        return ()
    pairs = [p for p in weight if isinstance(p, list | tuple) and len(p) == 2]
    numbers = [v for p in pairs for v in p if isinstance(v, int | float)]
    if len(pairs) != len(weight) or len(numbers) != 2 * len(weight):
        return ()
    return tuple((float(epoch), float(value)) for epoch, value in pairs)


def _usable(epoch: float, weight: float) -> bool:
    return math.isfinite(epoch) and epoch >= 0 and math.isfinite(weight) and weight >= 0

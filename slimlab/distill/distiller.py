"""Floor 1. The losses of one training, bound to its teachers; shapes are checked when it is made.

It owns the adapters, the only thing here that is trained. Knows no optimizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import Tensor
from paddle.nn import Layer

from slimlab.distill.base import DistillLoss
from slimlab.distill.capture import captured
from slimlab.distill.fit import check_fit, make_adapter, resized
from slimlab.errors import DistillError, nearest
from slimlab.evaluate import inference

# A layer, or, for a model on a faster runtime, a function from images to logits.
Teacher = Callable[[Tensor], Any]
Teachers = Teacher | Mapping[str, Teacher]
Outputs = dict[str | None, Tensor]


@dataclass(frozen=True)
class _Bound:
    """A loss with what belongs to it in one training."""

    loss: DistillLoss
    label: str
    teacher: str
    adapters: tuple[Layer | None, ...]


class Distiller:
    """Distillation losses bound to a student's shapes and to teachers.

    Parameters
    ----------
    student
        The model to be trained; it is only asked for the shapes of its features.
    losses
        At least one.
    teachers
        One model, or several by name. They are run in evaluation mode without gradients. One that
        is no `paddle.nn.Layer` is called with the images and gives logits.
    example
        An input ``(1, c, h, w)`` float32.

    Raises
    ------
    DistillError
        For a layer that does not exist or is not called, a teacher that is not given, or features
        that don't fit: before anything is trained.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.distill import Distiller
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> distiller = Distiller(model, [sl.SoftLabel()], model, task.example)
    >>> x, labels = next(task.test.batches(8))
    >>> logits, terms = distiller.run(model, x, labels, epoch=0.0)
    >>> [label for label, _ in terms]
    ['soft_label']
    """

    def __init__(
        self, student: Layer, losses: Sequence[DistillLoss], teachers: Teachers, example: Tensor
    ) -> None:
        if not losses:
            msg = "There is no distillation loss; give at least one, such as SoftLabel()."
            raise DistillError(msg)
        self._teachers: dict[str, Teacher] = (
            dict(teachers) if isinstance(teachers, Mapping) else {"teacher": teachers}
        )
        given: Sequence[object] = losses
        for loss in given:
            if not isinstance(loss, DistillLoss):
                msg = (
                    f"{loss!r} is no distillation loss; give SoftLabel(), L2(...), or Custom(...)."
                )
                raise DistillError(msg, loss=loss)
        chosen = [(loss, self._teacher_of(loss)) for loss in losses]
        with inference(student):
            seen = _run(student, example, _names(losses, "student"), role="student")
        shown = {
            name: self._run_teacher(name, example, [x for x, t in chosen if t == name])
            for name in dict.fromkeys(name for _, name in chosen)
        }
        times: Counter[str] = Counter()
        self._bound: list[_Bound] = []
        for loss, name in chosen:
            s = [_shape(seen, layer, "student") for layer in loss.student_layers]
            t = [_shape(shown[name], layer, "teacher") for layer in loss.teacher_layers]
            check_fit(loss, s, t)
            adapters = tuple(make_adapter(loss, *pair) for pair in zip(s, t, strict=True))
            times[loss.label] += 1
            again = f" #{times[loss.label]}" if times[loss.label] > 1 else ""
            self._bound.append(_Bound(loss, loss.label + again, name, adapters))

    @property
    def adapters(self) -> dict[str, Layer]:
        """The adapters, by the label of their loss and their place in it; for checkpoints."""
        return {
            f"{bound.label}:{place}": adapter
            for bound in self._bound
            for place, adapter in enumerate(bound.adapters)
            if adapter is not None
        }

    @property
    def labels(self) -> tuple[str, ...]:
        """What histories call the losses, each once."""
        return tuple(bound.label for bound in self._bound)

    def parameters(self) -> list[Tensor]:
        """What is trained beside the student."""
        return [p for adapter in self.adapters.values() for p in adapter.parameters()]

    def run(
        self, student: Layer, x: Tensor, labels: Tensor, *, epoch: float
    ) -> tuple[Tensor, list[tuple[str, Tensor]]]:
        """Run the student, and the teachers that count now.

        Parameters
        ----------
        student
            In the mode it is to be trained in.
        x, labels
            Images ``(n, c, h, w)`` and their labels ``(n,)``.
        epoch
            Where the training is, for the losses' weights.

        Returns
        -------
        logits, terms
            The student's output, and each loss that counts, times its weight, with its label.
        """
        active = [(b, b.loss.weight_at(epoch)) for b in self._bound]
        active = [(bound, weight) for bound, weight in active if weight > 0]
        losses = [bound.loss for bound, _ in active]
        seen = _run(student, x, _names(losses, "student"), role="student")
        shown = {
            name: self._run_teacher(name, x, [b.loss for b, _ in active if b.teacher == name])
            for name in dict.fromkeys(bound.teacher for bound, _ in active)
        }
        terms = []
        for bound, weight in active:
            loss = bound.loss
            s = [seen[name] for name in loss.student_layers]
            t = [shown[bound.teacher][name] for name in loss.teacher_layers]
            features, targets = resized(loss, s, t)
            pairs = zip(bound.adapters, features, strict=True)
            features = tuple(f if adapter is None else adapter(f) for adapter, f in pairs)
            terms.append((bound.label, loss.value(features, targets, labels) * weight))
        return seen[None], terms

    def _teacher_of(self, loss: DistillLoss) -> str:
        names = list(self._teachers)
        if loss.teacher_model is None and len(names) == 1:
            return names[0]
        if loss.teacher_model not in self._teachers:
            asked = loss.teacher_model
            msg = (
                f"{loss.label}: there are {len(names)} teachers, so teacher_model must name one. "
                f"{nearest('', names)}"
                if asked is None
                else f"{loss.label}: there is no teacher {asked!r}. {nearest(asked, names)}"
            )
            raise DistillError(msg, teacher_model=asked, known=tuple(names))
        return str(loss.teacher_model)

    def _run_teacher(self, name: str, x: Tensor, losses: Sequence[DistillLoss]) -> Outputs:
        teacher = self._teachers[name]
        wanted = _names(losses, "teacher")
        role = "teacher" if len(self._teachers) == 1 else f"teacher {name!r}"
        if isinstance(teacher, Layer):
            with inference(teacher):
                return _run(teacher, x, wanted, role=role)
        if wanted or not callable(teacher):
            msg = (
                f"The {role} is a {type(teacher).__name__}, not a paddle.nn.Layer: it can be called"
                " for logits (teacher=None), but has no layers to read."
            )
            raise DistillError(msg, teacher=name, layers=tuple(wanted))
        with paddle.no_grad():
            logits = teacher(x)
            if not isinstance(logits, Tensor):
                logits = paddle.to_tensor(logits, dtype="float32")
            return {None: logits.astype("float32")}


def _names(losses: Sequence[DistillLoss], side: str) -> list[str]:
    """The layers that losses read of one side, the logits left out."""
    layers = [name for loss in losses for name in getattr(loss, f"{side}_layers")]
    return list(dict.fromkeys(name for name in layers if name is not None))


def _run(model: Layer, x: Tensor, names: Sequence[str], *, role: str) -> Outputs:
    with captured(model, names, role=role) as seen:
        logits = model(x)
    if not isinstance(logits, Tensor):
        msg = f"The {role} gives a {type(logits).__name__}; distillation needs logits, a tensor."
        raise DistillError(msg, role=role)
    found: Outputs = {None: logits}
    found.update(seen)
    return found


def _shape(outputs: Outputs, name: str | None, role: str) -> tuple[int, ...]:
    if name not in outputs:
        msg = (
            f"Layer {name!r} of the {role} was not called in its forward pass (self.layer(x); "
            "self.layer.forward(x) can't be seen); choose another."
        )
        raise DistillError(msg, layer=name, role=role)
    return tuple(outputs[name].shape)

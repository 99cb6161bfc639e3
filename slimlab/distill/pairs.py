"""Floor 1. Which layers of two models might be compared: a start, from their stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import DistillError
from slimlab.evaluate import inference
from slimlab.layers import sublayers

Size = tuple[int, int]


@dataclass(frozen=True)
class Pair:
    """A layer of the student and one of the teacher that play the same part.

    Attributes
    ----------
    student, teacher
        Structured names.
    student_shape, teacher_shape
        Channels, height and width of an image's features.

    Examples
    --------
    >>> import slimlab as sl
    >>> pair = sl.Pair("blocks.2", "stage1", (32, 7, 7), (16, 7, 7))
    >>> sl.L2(**pair.to_dict()).adapter
    True
    """

    student: str
    teacher: str
    student_shape: tuple[int, int, int]
    teacher_shape: tuple[int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """Arguments for a loss: the names, and the bridges that an L2 loss needs."""
        found: dict[str, Any] = {"student": self.student, "teacher": self.teacher}
        if self.student_shape[0] != self.teacher_shape[0]:
            found["adapter"] = True
        if self.student_shape[1:] != self.teacher_shape[1:]:
            found["resize"] = True
        return found


def suggest_pairs(student: Layer, teacher: Layer, example: Tensor) -> tuple[Pair, ...]:
    """Suggest pairs of layers by stage: the ends of the parts that work at one height and width.

    Stages of equal size are paired, in their order. Where no size is common, stages are paired by
    their place from the last to the first, and the pairs ask for `resize`.

    Parameters
    ----------
    student, teacher
        Any two models that take `example`; they are not changed.
    example
        An input ``(1, c, h, w)`` float32.

    Raises
    ------
    DistillError
        When a model has no layer that gives maps larger than one pixel.

    Examples
    --------
    >>> import slimlab as sl
    >>> student = sl.load_model("mobilenet_v1", in_channels=1, size=28)
    >>> teacher = sl.load_model("resnet20", in_channels=1, size=28)
    >>> import paddle
    >>> [p.teacher for p in sl.suggest_pairs(student, teacher, paddle.zeros([1, 1, 28, 28]))]
    ['stage1', 'stage2', 'stage3']
    """
    ours = _stages(student, example, "student")
    theirs = _stages(teacher, example, "teacher")
    common = [size for size in ours if size in theirs]
    if common:
        matched = [(ours[size], theirs[size]) for size in common]
    else:
        backwards = zip(reversed(ours.values()), reversed(theirs.values()), strict=False)
        matched = list(backwards)[::-1]
    return tuple(Pair(s[0], t[0], s[1], t[1]) for s, t in matched)


def _stages(
    model: Layer, example: Tensor, role: str
) -> dict[Size, tuple[str, tuple[int, int, int]]]:
    """Height and width -> the last layer that gives such maps, and its shape, in order of calls."""
    calls = _map_calls(model, example)
    last = {name: place for place, (name, _) in enumerate(calls)}
    found: dict[Size, tuple[str, Tensor]] = {}
    for place, (name, output) in enumerate(calls):
        size = (int(output.shape[2]), int(output.shape[3]))
        # Of a layer that is called again, a loss would compare the last output, which is another.
        if size == (1, 1) or last[name] != place:
            continue
        known = found.pop(size, None)
        # A block ends with the output of its last layer: the shorter name says more.
        same = known is not None and known[1] is output and len(known[0]) < len(name)
        found[size] = known if known is not None and same else (name, output)
    if not found:
        msg = f"No layer of the {role} gives maps larger than one pixel; name the layers yourself."
        raise DistillError(msg, role=role)
    return {size: (name, (int(output.shape[1]), *size)) for size, (name, output) in found.items()}


def _map_calls(model: Layer, example: Tensor) -> list[tuple[str, Tensor]]:
    """Name and output of each layer that gives maps, in the order in which calls end."""
    calls: list[tuple[str, Tensor]] = []

    def noting(name: str) -> Callable[..., None]:
        def note(layer: Layer, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                calls.append((name, output))

        return note

    handles = []
    try:
        for name, layer in sublayers(model).items():
            if name:
                handles.append(layer.register_forward_post_hook(noting(name)))
        with inference(model):
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return calls

"""Floor 1. Whether a student's and a teacher's features can be compared, and what bridges them."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor
from paddle.nn import Layer
from paddle.nn import functional as F  # noqa: N812 - Paddle's own convention

from slimlab.distill.base import DistillLoss
from slimlab.errors import DistillError

Shape = tuple[int, ...]
Names = tuple[str | None, ...]


def channels_of(shape: Sequence[int]) -> int:
    """Channels of a feature: ``(n, c, h, w)``, ``(n, c)``, or ``(n, length, c)``."""
    return shape[-1] if len(shape) == 3 else shape[1]


def size_of(shape: Sequence[int]) -> Shape:
    """Height and width of a map, the length of a sequence, nothing of a vector."""
    return tuple(shape[1:2] if len(shape) == 3 else shape[2:])


def described(name: str | None, shape: Sequence[int]) -> str:
    """Say what a layer gives, for an error sentence.

    Examples
    --------
    >>> from slimlab.distill.fit import described
    >>> described("stem", [1, 16, 14, 14]), described(None, [1, 10])
    ("'stem' gives 16 channels of 14 x 14", 'the logits have 10 values')
    """
    what = "the logits have" if name is None else f"{name!r} gives"
    if len(shape) == 2:
        return f"{what} {shape[1]} values"
    if len(shape) not in (3, 4):
        return f"{what} a tensor of {len(shape)} dimensions"
    unit = "channels of" if len(shape) == 4 else "channels at length"
    return f"{what} {channels_of(shape)} {unit} {' x '.join(map(str, size_of(shape)))}"


def check_fit(loss: DistillLoss, student: Sequence[Shape], teacher: Sequence[Shape]) -> None:
    """Refuse features that a loss can't compare.

    Parameters
    ----------
    loss
        Says which layers they come from, and what may be bridged.
    student, teacher
        The shape of each feature, the batch first.

    Raises
    ------
    DistillError
        Naming both layers, their channels, heights and widths, and what would bridge them.
    """
    features = [*zip(loss.student_layers, student, ["student"] * len(student), strict=True)]
    features += [*zip(loss.teacher_layers, teacher, ["teacher"] * len(teacher), strict=True)]
    for name, shape, role in features:
        if len(shape) not in loss.ranks:
            wanted = " or ".join(_RANKS[rank] for rank in loss.ranks if rank in _RANKS)
            msg = f"{loss.label}: of the {role}, {described(name, shape)}; it compares {wanted}."
            raise DistillError(msg, loss=loss.kind, layer=name, shape=shape)
    for names, shapes, roles in _together(loss, student, teacher):
        found = _misfits(loss, shapes, between_models=roles[0] != roles[1])
        if found:
            one, two = (described(n, s) for n, s in zip(names, shapes, strict=True))
            msg = f"{loss.label}: of the {roles[0]}, {one}; of the {roles[1]}, {two}. {found}"
            raise DistillError(
                msg, loss=loss.kind, layers=names, student=shapes[0], teacher=shapes[1]
            )


_RANKS = {
    2: "vectors (n, values)",
    3: "sequences (n, length, channels)",
    4: "maps (n, channels, height, width)",
}


def _together(
    loss: DistillLoss, student: Sequence[Shape], teacher: Sequence[Shape]
) -> list[tuple[Names, tuple[Shape, Shape], tuple[str, str]]]:
    """The pairs of features that must fit: across the models, and inside each for two layers."""
    found: list[tuple[Names, tuple[Shape, Shape], tuple[str, str]]] = [
        ((s_name, t_name), (s, t), ("student", "teacher"))
        for s_name, t_name, s, t in zip(
            loss.student_layers, loss.teacher_layers, student, teacher, strict=True
        )
    ]
    if loss.needs == 2:
        sides = (
            ("student", loss.student_layers, student),
            ("teacher", loss.teacher_layers, teacher),
        )
        for role, names, (first, second) in sides:
            found.append((names, (first, second), (role, role)))
    return found


def _misfits(loss: DistillLoss, shapes: tuple[Shape, Shape], *, between_models: bool) -> str:
    """Sentences on what differs and isn't bridged; nothing where the two fit."""
    one, two = shapes
    channels = loss.same_channels and between_models
    sizes = loss.same_size == between_models and (loss.same_size or loss.needs == 2)
    if (channels or sizes) and len(one) != len(two):
        return "Features of different dimensions can't be compared."
    words = []
    if channels and channels_of(one) != channels_of(two) and not loss.adapter:
        words.append(
            "The channels differ"
            + (": adapter=True learns a 1x1 convolution between them." if loss.adaptable else ".")
        )
    if sizes and size_of(one) != size_of(two):
        if len(one) == 4 and not loss.resize:
            words.append("The sizes differ: resize=True averages the larger to the smaller.")
        elif len(one) == 3:
            words.append("The lengths differ, which nothing bridges.")
    return " ".join(words)


def make_adapter(loss: DistillLoss, student: Shape, teacher: Shape) -> Layer | None:
    """A map from the student's to the teacher's channels, or None where none is asked for."""
    here, there = channels_of(student), channels_of(teacher)
    if not loss.adapter or here == there:
        return None
    if len(student) == 4:
        return paddle.nn.Conv2D(here, there, 1)
    return paddle.nn.Linear(here, there)


def resized(
    loss: DistillLoss, student: Sequence[Tensor], teacher: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Average larger maps to the size of those they are compared with, where a loss asks for it."""
    if not loss.resize:
        return tuple(student), tuple(teacher)
    if loss.needs == 2:
        return _to_smallest(student), _to_smallest(teacher)
    pairs = [_to_smallest(pair) for pair in zip(student, teacher, strict=True)]
    return tuple(s for s, _ in pairs), tuple(t for _, t in pairs)


def _to_smallest(features: Sequence[Tensor]) -> tuple[Tensor, ...]:
    if any(feature.ndim != 4 for feature in features):
        return tuple(features)
    size = [min(feature.shape[axis] for feature in features) for axis in (2, 3)]
    return tuple(
        feature if feature.shape[2:] == size else F.adaptive_avg_pool2d(feature, size)
        for feature in features
    )

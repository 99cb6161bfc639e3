"""Top floor. Which layer of the student learns from which of the teacher, and what that adds to a
training; knows models, no widget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import paddle

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab.evaluate import inference
from slimlab.layers import sublayers

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer

Shape = tuple[int, int, int]
Ends = tuple[tuple[str, Shape], ...]
LOSSES = ("attention", "l2")


@dataclass(frozen=True)
class Pairing:
    """Pairs of layers between one student and the unpruned model.

    Attributes
    ----------
    name
        The student.
    student, teacher
        Layers that give maps, with channels, height and width.
    pairs
        Names of a student's and a teacher's layer.
    """

    name: str
    student: Ends
    teacher: Ends
    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def suggested(cls, name: str, student: Layer, teacher: Layer, example: Tensor) -> Pairing:
        """The ends of both, paired as `sl.suggest_pairs` does.

        Raises
        ------
        DistillError
            When a model gives no maps.
        """
        found = sl.suggest_pairs(student, teacher, example)
        ours = ends(student, example, [pair.student for pair in found])
        theirs = ends(teacher, example, [pair.teacher for pair in found])
        return cls(name, ours, theirs, tuple((pair.student, pair.teacher) for pair in found))

    def paired(self, pairs: Sequence[Sequence[str]]) -> Pairing:
        """With these pairs.

        Raises
        ------
        SlimLabError
            For a layer that is not among the ends.
        """
        known = (dict(self.student), dict(self.teacher))
        for pair in pairs:
            for layer, side in zip(pair, known, strict=True):
                if layer not in side:
                    msg = f"There is no layer {layer!r} that gives maps. Press Suggest pairs again."
                    raise SlimLabError(msg, layer=layer)
        return replace(self, pairs=tuple((str(mine), str(theirs)) for mine, theirs in pairs))

    def losses(self, kind: str, weight: float) -> tuple[sl.DistillLoss, ...]:
        """A loss for each pair; channels are adapted and sizes averaged where they differ."""
        ours, theirs = dict(self.student), dict(self.teacher)
        made: list[sl.DistillLoss] = []
        for mine, other in self.pairs:
            common: dict[str, Any] = {"student": mine, "teacher": other, "weight": weight}
            common["resize"] = ours[mine][1:] != theirs[other][1:]
            if kind == "l2":
                made.append(sl.L2(**common, adapter=ours[mine][0] != theirs[other][0]))
            else:
                made.append(sl.AttentionTransfer(**common))
        return tuple(made)


def ends(model: Layer, example: Tensor, needed: Sequence[str] = ()) -> Ends:
    """Layers of a model that give maps larger than one pixel, in order; blocks where it has them.

    A layer that is called twice is left out, and of those that give the same maps all but the
    shortest name; `needed` are there in any case.
    """
    calls: list[tuple[str, Tensor, bool]] = []

    def noting(name: str) -> Callable[..., None]:
        def note(layer: Layer, _inputs: object, output: object) -> None:
            if isinstance(output, paddle.Tensor) and output.ndim == 4 and output.shape[2] > 1:
                calls.append((name, output, bool(layer.sublayers())))

        return note

    hooks = [
        layer.register_forward_post_hook(noting(name))
        for name, layer in sublayers(model).items()
        if name
    ]
    try:
        with inference(model):
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
    names = [name for name, _, _ in calls]
    once = [call for call in calls if names.count(call[0]) == 1]
    blocks = [call for call in once if call[2]]
    chosen = blocks if len(blocks) > 1 else once
    shortest: dict[int, tuple[str, Tensor]] = {}
    for name, output, _ in chosen:
        known = shortest.get(id(output))
        if known is None or (len(name) < len(known[0]) and known[0] not in needed):
            shortest[id(output)] = (name, output)
    found = dict(shortest.values())
    found |= {name: output for name, output, _ in once if name in needed}
    order = {name: number for number, name in enumerate(names)}
    return tuple(
        (name, (int(output.shape[1]), int(output.shape[2]), int(output.shape[3])))
        for name, output in sorted(found.items(), key=lambda item: order[item[0]])
    )

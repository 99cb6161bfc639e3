"""Floor 2. Carry a plan out: zero the channels (`masked`) or cut them off (`prune`).

The two agree: a masked model and a pruned one give the same output. `prune` checks that on random
input each time before it gives the result away. Neither touches the model it is given.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from paddle.nn import Layer

from slimlab.errors import PlanError, UnsupportedOpError, nearest
from slimlab.layers import Tensors, evaluating, sublayers
from slimlab.plan import PruningPlan
from slimlab.surgery import Cut, cut_copy, held_size, outputs, random_inputs, zero

ARCHITECTURE = "_slimlab_architecture"  # what a pruned model was built as, noted on it
SIZES = "_slimlab_sizes"  # numbers its layers remember that are not those they were built with
_NO_SIZES: Mapping[str, int] = MappingProxyType({})
TOLERANCE = 1e-4  # relative, float32: cutting changes the order of summation


@contextlib.contextmanager
def masked(model: Layer, plan: PruningPlan) -> Iterator[Layer]:
    """Give a copy of a model with the removed channels zeroed: the same output as the cut model.

    The weights that make a channel and those that read it are both zeroed, so the channel counts
    for nothing whatever its activation makes of zero (a sigmoid gives 0.5).

    Raises
    ------
    PlanError
        When the plan was made for another model.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> model = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3), paddle.nn.Conv2D(8, 4, 3))
    >>> x = paddle.randn([1, 1, 8, 8])
    >>> plan = sl.plan_pruning(model, sl.trace(model, x), {"0": 0.5})
    >>> with sl.masked(model, plan) as masked_model:
    ...     difference = masked_model(x) - sl.prune(model, plan)(x)
    >>> bool(difference.abs().max() < 1e-5)
    True
    """
    check_plan(model, plan.cuts, plan.sizes)
    scratch = copy.deepcopy(model)
    zero(scratch, plan.cuts)
    yield scratch


def prune(model: Layer, plan: PruningPlan) -> Layer:
    """Cut the removed channels off: a new, smaller, ordinary `paddle.nn.Layer`.

    Parameters
    ----------
    model
        The model the plan was made for; it is not changed.
    plan
        What to remove.

    Raises
    ------
    PlanError
        When the plan was made for another model.
    UnsupportedOpError
        When the smaller model does not compute what the masked one does, because its `forward` has
        the old number of channels written into it. The error names the groups to leave out.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> model = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3), paddle.nn.Conv2D(8, 4, 3))
    >>> graph = sl.trace(model, paddle.zeros([1, 1, 8, 8]))
    >>> small = sl.prune(model, sl.plan_pruning(model, graph, {"0": 0.5}))
    >>> list(small[0].weight.shape)
    [4, 1, 3, 3]
    """
    check_plan(model, plan.cuts, plan.sizes)
    sizes = {path: after for path, (_, after) in plan.sizes.items()}
    small = cut_copy(model, plan.cuts, sizes=sizes)
    failure = _disagreement(model, small, plan)
    if failure:
        msg = (
            f"{type(model).__name__} can't be cut by this plan: {failure}. Its forward() seems to "
            "have "
            f"a number of channels written into it that the layers {sorted(plan.kept)} would "
            "change; "
            "leave them out of the ratios, or read sizes from tensor.shape."
        )
        raise UnsupportedOpError(msg, layers=tuple(plan.kept), reason=failure)
    if not hasattr(small, ARCHITECTURE):
        object.__setattr__(small, ARCHITECTURE, architecture(model))
    if sizes:
        object.__setattr__(small, SIZES, {**getattr(small, SIZES, {}), **sizes})
    return small


def architecture(model: Layer) -> dict[str, dict[str, Any]]:
    """Describe a network so that another can be told from it: layers' classes, tensors' shapes."""
    state = model.state_dict()
    return {
        "layers": {name: type(layer).__name__ for name, layer in sublayers(model).items()},
        "tensors": {name: list(state[name].shape) for name in Tensors.of(model).slots},
    }


def resize(
    model: Layer, shapes: Mapping[str, Sequence[int]], sizes: Mapping[str, int] = _NO_SIZES
) -> Layer:
    """Shrink a freshly built model to the given tensor shapes, so that saved weights fit.

    `sizes` are numbers that its layers remember, as `"layer.attribute"`.

    Raises
    ------
    PlanError
        When a shape has another rank, is larger than the model's, or the model has no such tensor.
    """
    known = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    cuts = []
    for name, shape in shapes.items():
        have = known.get(name)
        if have is None:
            msg = f"{type(model).__name__} has no tensor {name!r}. {nearest(name, known)}"
            raise PlanError(msg, parameter=name)
        if len(have) != len(shape) or any(n > m for n, m in zip(shape, have, strict=True)):
            msg = f"{name!r} has shape {list(have)} here, which can't be cut to {list(shape)}."
            raise PlanError(msg, parameter=name)
        for axis, (old, new) in enumerate(zip(have, shape, strict=True)):
            if new < old:
                cuts.append(Cut(name, axis, old, tuple(range(new, old))))
    layers = sublayers(model)
    for path, size in sizes.items():
        old = held_size(layers, path)
        if old is None or not 0 < size <= old:
            msg = f"{path!r} is {old} here, which can't be cut to {size}."
            raise PlanError(msg, attribute=path)
    small = cut_copy(model, cuts, sizes=sizes)
    if sizes:
        object.__setattr__(small, SIZES, dict(sizes))
    return small


def check_plan(
    model: Layer,
    cuts: Sequence[Cut],
    sizes: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> None:
    """Refuse cuts that don't fit a model, naming the first that doesn't."""
    layers = sublayers(model) if sizes else {}
    for path, (before, _) in sizes.items():
        if held_size(layers, path) != before:
            msg = (
                f"The plan was made for a model whose {path!r} is {before}; here it is "
                f"{held_size(layers, path)}. Trace and plan this model again."
            )
            raise PlanError(msg, attribute=path)
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    for cut in cuts:
        if cut.parameter not in shapes:
            msg = (
                f"The plan cuts {cut.parameter!r}, which {type(model).__name__} does not have. "
                f"{nearest(cut.parameter, shapes)}"
            )
            raise PlanError(msg, parameter=cut.parameter)
        shape = shapes[cut.parameter]
        if cut.axis >= len(shape) or shape[cut.axis] != cut.length:
            msg = (
                f"The plan was made for a model whose {cut.parameter!r} has {cut.length} entries "
                "along "
                f"axis {cut.axis}; here its shape is {list(shape)}. Trace and plan this model "
                "again."
            )
            raise PlanError(msg, parameter=cut.parameter, shape=shape)


def _disagreement(model: Layer, small: Layer, plan: PruningPlan) -> str:
    """Run masked and cut model on random input; the difference in words, `""` if there is none."""
    inputs = random_inputs(plan.inputs)
    with masked(model, plan) as reference, evaluating(reference):
        expected = outputs(reference, inputs)
    try:
        with evaluating(small):
            found = outputs(small, inputs)
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return f"the smaller model fails with {type(error).__name__}: {lines[-1] if lines else ''}"
    for want, have in zip(expected, found, strict=True):
        if want.shape != have.shape:
            return f"its output has shape {list(have.shape)} instead of {list(want.shape)}"
        scale = max(1e-6, float(np.abs(want).max(initial=0)))
        difference = float(np.abs(want - have).max(initial=0)) / scale
        if not difference <= TOLERANCE and np.isfinite(want).all():
            return f"its output differs from the masked model's by {difference:.1e} of the largest"
    return ""

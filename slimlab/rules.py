"""Floor 1. What each operator does to channels: one small function an operator.

A rule reads its inputs' labels, ties or freezes atoms, and sets its outputs' labels. An operator
without a rule freezes everything it touches, and the coverage report names it: never wrong, only
unpruned. Add one with `@channel_rule("pd_op.name")`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from slimlab.channels import FIXED, Atoms, Channels, Labels
from slimlab.errors import UnsupportedOpError
from slimlab.trace import Op, Program, Shape, Value

Rule = Callable[[Op, Channels], None]
RULES: dict[str, Rule] = {}
# Elementwise operators on one tensor. All are safe under masking, because masking also removes the
# weights that read a channel: what sigmoid makes of a zeroed channel is never read.
# fmt: off
UNARY = (
    "abs", "assign", "cast", "celu", "clip", "cos", "dropout", "elu", "exp", "floor", "gelu",
    "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log", "logsigmoid", "mish",
    "negative", "pow", "reciprocal", "relu", "relu6", "round", "rsqrt", "scale", "selu",
    "share_data", "sigmoid", "sign", "silu", "sin", "softplus", "softshrink", "softsign", "sqrt",
    "square", "stanh", "swish", "tanh", "tanh_shrink", "thresholded_relu",
)
BINARY = (
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "elementwise_pow", "fmax",
    "fmin",
)
# fmt: on
RESHAPES = ["reshape", "flatten", "squeeze", "unsqueeze"]
CONSTANTS = ["full", "full_int_array", "full_like", "assign_value", "arange", "shape", "shape64"]


def channel_rule(*names: str) -> Callable[[Rule], Rule]:
    """Register what operators do to channels, by their PIR names.

    Examples
    --------
    >>> from slimlab.rules import RULES, channel_rule
    >>> @channel_rule("custom.double")
    ... def double(op, channels):
    ...     channels.set(op.outputs[0], channels.labels(op.inputs[0]))
    >>> "custom.double" in RULES
    True
    >>> del RULES["custom.double"]
    """

    def register(rule: Rule) -> Rule:
        for name in names:
            RULES[name] = rule
        return rule

    return register


def walk(program: Program) -> Channels:
    """Apply the rules to every operator of a program, in order."""
    channels = Channels()
    for op in program.ops:
        for value in op.captured:
            channels.freeze_value(value, f"used inside control flow ({op.short})")
        RULES.get(op.name, unknown)(op, channels)
    for value in program.outputs:
        channels.freeze_value(value, "reaches the network's output")
    return channels


def unknown(op: Op, channels: Channels) -> None:
    """Freeze what goes into an operator; what comes out is of fixed size."""
    freeze_inputs(op, channels, f"operator {op.short} has no channel rule")


def freeze_inputs(op: Op, channels: Channels, reason: str) -> None:
    """Freeze every input of an operator for a reason."""
    for value in filter(None, op.inputs):
        channels.freeze_value(value, reason)


def _tensors(op: Op) -> tuple[list[Value], Value]:
    """The inputs that are there, and the output that matters."""
    return [value for value in op.inputs if value is not None], op.outputs[0] or Value(-1, ())


# ---- layers with weights -------------------------------------------------------------------


@channel_rule("pd_op.conv2d", "pd_op.depthwise_conv2d")
def convolution(op: Op, channels: Channels) -> None:
    """Filters are (out, in / groups, kh, kw); depthwise convolution ties in to out."""
    (x, weight), y = _tensors(op)
    axis = 1 if op.attributes["data_format"] == "NCHW" else 3
    if axis != 1:
        freeze_inputs(op, channels, f"{op.short} with channels last")
        return
    groups = int(op.attributes["groups"])
    if x.shape[axis] != weight.shape[1] * groups:  # Paddle's tracer lets this pass
        msg = (
            f"{weight.parameter or op.short} takes {weight.shape[1] * groups} channels but is "
            f"given {x.shape[axis]}, in a tensor of shape {list(x.shape)}. Check the example's "
            "shape."
        )
        raise UnsupportedOpError(msg, parameter=weight.parameter, shape=x.shape)
    into, filters = channels.labels(x)[axis], channels.labels(weight)
    why = f"feeds {op.short} from a tensor of fixed size"
    made = filters[0]
    channels.produces(weight, 0, op.short)
    if groups == 1:
        channels.couple(into, filters[1], why)
        channels.consumes(weight, 1, op.short)
    elif weight.shape[1] == 1:
        # groups == in channels; each filter belongs to one input channel
        repeated = None if into is None else np.repeat(into, weight.shape[0] // groups)
        channels.couple(repeated, made, why)
    else:
        _grouped(channels, (into, filters[0], filters[1]), groups, why)
        channels.consumes(weight, 1, op.short)
    channels.count_macs(weight, math.prod(y.shape[2:]), y.shape)
    channels.set(y, [None, made, None, None])


def _grouped(
    channels: Channels, axes: tuple[Atoms | None, Atoms | None, Atoms | None], groups: int, why: str
) -> None:
    """Keep the groups of a grouped convolution equal: the same position goes in each of them."""
    into, made, taken = axes
    for group in range(groups):
        part = None if into is None else into.reshape(groups, -1)[group]
        channels.couple(part, taken, why)
    if made is not None:
        each = made.reshape(groups, -1)
        for group in range(1, groups):
            channels.couple(each[0], each[group], why)


@channel_rule("pd_op.batch_norm_", "pd_op.batch_norm")
def batch_norm(op: Op, channels: Channels) -> None:
    """Mean, variance, scale and bias have an entry a channel."""
    x, *statistics = (value for value in op.inputs if value is not None)
    axis = 1 if op.attributes["data_format"] == "NCHW" or len(x.shape) == 2 else len(x.shape) - 1
    labels = list(channels.labels(x))
    for value in statistics:
        labels[axis] = channels.couple(
            channels.labels(value)[0], labels[axis], "normalises a tensor of fixed size"
        )
    _, y = _tensors(op)
    channels.set(y, labels)


@channel_rule("pd_op.matmul")
def matmul(op: Op, channels: Channels) -> None:
    """A linear layer: x (..., in) times weight (in, out)."""
    (x, weight), y = _tensors(op)
    if weight.parameter is None or len(weight.shape) != 2:
        freeze_inputs(op, channels, "matmul without a weight")
        return
    from_axis, to_axis = (1, 0) if op.attributes.get("transpose_y") else (0, 1)
    if op.attributes.get("transpose_x"):
        freeze_inputs(op, channels, "matmul with a transposed input")
        return
    *kept, into = channels.labels(x)
    filters = channels.labels(weight)
    channels.couple(into, filters[from_axis], "feeds linear from a tensor of fixed size")
    channels.consumes(weight, from_axis, "linear")
    channels.produces(weight, to_axis, "linear")
    channels.count_macs(weight, math.prod(x.shape[1:-1]), y.shape)
    channels.set(y, [*kept, filters[to_axis]])


# ---- elementwise ---------------------------------------------------------------------------


@channel_rule(*(f"pd_op.{name}{suffix}" for name in UNARY for suffix in ("", "_")))
def unary(op: Op, channels: Channels) -> None:
    """The output has the channels of the input."""
    inputs, y = _tensors(op)
    if inputs[0].shape != y.shape:
        unknown(op, channels)
    else:
        channels.set(y, channels.labels(inputs[0]))


@channel_rule("pd_op.prelu")
def prelu(op: Op, channels: Channels) -> None:
    """One slope for all, or one a channel."""
    (x, slope), y = _tensors(op)
    labels = list(channels.labels(x))
    if op.attributes["mode"] == "channel":
        labels[1] = channels.couple(
            channels.labels(slope)[0], labels[1], "prelu of a tensor of fixed size"
        )
    elif op.attributes["mode"] != "all":
        freeze_inputs(op, channels, "prelu with a slope an element")
        return
    channels.set(y, labels)


@channel_rule(*(f"pd_op.{name}{suffix}" for name in BINARY for suffix in ("", "_")))
def binary(op: Op, channels: Channels) -> None:
    """Axes of equal length are tied; an axis of length one broadcasts and is not."""
    (a, b, *_), y = _tensors(op)
    left, right = _aligned(a, channels, y), _aligned(b, channels, y)
    labels: list[Atoms | None] = []
    for (size_a, along_a), (size_b, along_b) in zip(left, right, strict=True):
        if size_a == 1 or size_b == 1:
            labels.append(along_a if size_b == 1 else along_b)
        else:
            why = f"{op.short} with a tensor of fixed size"
            labels.append(channels.couple(along_a, along_b, why))
    channels.set(y, labels)


def _aligned(value: Value, channels: Channels, y: Value) -> list[tuple[int, Atoms | None]]:
    """Size and atoms of each axis after broadcasting to the output's rank."""
    missing = len(y.shape) - len(value.shape)
    return [(1, None)] * missing + list(zip(value.shape, channels.labels(value), strict=True))


# ---- moving elements around ----------------------------------------------------------------


@channel_rule("pd_op.pool2d", "pd_op.max_pool2d_with_index", "pd_op.pad3d", "pd_op.pad")
@channel_rule("pd_op.bilinear_interp", "pd_op.nearest_interp", "pd_op.bicubic_interp")
def spatial(op: Op, channels: Channels) -> None:
    """Works on height and width: axes whose length stays keep their channels."""
    inputs, y = _tensors(op)
    x = inputs[0]
    if len(x.shape) != len(y.shape) or op.attributes.get("data_format", "NCHW") not in {
        "NCHW",
        "NCDHW",
    }:
        unknown(op, channels)
        return
    labels: list[Atoms | None] = []
    for axis, along in enumerate(channels.labels(x)):
        keeps = axis <= 1 and x.shape[axis] == y.shape[axis]
        if not keeps:
            channels.freeze(along, f"{op.short} changes the length of this axis")
        labels.append(along if keeps else None)
    channels.set(y, labels)


@channel_rule(*(f"pd_op.{name}{suffix}" for name in RESHAPES for suffix in ("", "_")))
def reshape(op: Op, channels: Channels) -> None:
    """Elements keep their order; runs of axes with equal products map onto each other."""
    inputs, y = _tensors(op)
    x = inputs[0]
    labels = channels.labels(x)
    result: list[Atoms | None] = [None] * len(y.shape)
    for before, after in _segments(x.shape, y.shape):
        _reshape_segment((x.shape, labels), (y.shape, result), before, after, channels)
    channels.set(y, result)


def _segments(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """Pair the shortest runs of axes that hold the same number of elements; ones are left out."""
    left = [axis for axis, size in enumerate(before) if size != 1]
    right = [axis for axis, size in enumerate(after) if size != 1]
    pairs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = [left[i]], [right[j]]
        i, j = i + 1, j + 1
        while (size_a := math.prod(before[n] for n in a)) != (
            size_b := math.prod(after[n] for n in b)
        ):
            if size_a < size_b:
                a.append(left[i])
                i += 1
            else:
                b.append(right[j])
                j += 1
        pairs.append((a, b))
    return pairs


def _reshape_segment(
    source: tuple[Shape, Labels],
    target: tuple[Shape, list[Atoms | None]],
    before: list[int],
    after: list[int],
    channels: Channels,
) -> None:
    shape, labels = source
    labelled = [axis for axis in before if labels[axis] is not None]
    if not labelled:
        return
    if len(labelled) > 1:
        for axis in labelled:
            channels.freeze(labels[axis], "reshape merges two axes that could both shrink")
        return
    along = labels[labelled[0]]
    if along is None or len(before) == len(after) == 1:
        target[1][after[0]] = along
        return
    view = [shape[axis] if axis == labelled[0] else 1 for axis in before]
    sizes = [target[0][axis] for axis in after]
    full = np.broadcast_to(along.reshape(view), [shape[axis] for axis in before]).reshape(sizes)
    varying = [n for n in range(len(after)) if (full != np.take(full, [0], axis=n)).any()]
    if len(varying) > 1:
        channels.freeze(along, "reshape splits its channels over several axes")
        return
    flat = np.moveaxis(full, varying[0], 0).reshape(sizes[varying[0]], -1)[:, 0]
    target[1][after[varying[0]]] = np.ascontiguousarray(flat)


@channel_rule("pd_op.transpose", "pd_op.transpose_")
def transpose(op: Op, channels: Channels) -> None:
    """Axes change places."""
    (x,), y = _tensors(op)
    labels = channels.labels(x)
    channels.set(y, [labels[axis] for axis in op.attributes["perm"]])


@channel_rule("pd_op.concat")
def concat(op: Op, channels: Channels) -> None:
    """Channels lie side by side along one axis; the others are tied."""
    inputs, y = _tensors(op)
    parts = [value for value in channels.items(inputs[0]) if math.prod(value.shape)]
    joined = [n for n, size in enumerate(y.shape) if size != parts[0].shape[n]] or [0]
    labels: list[Atoms | None] = list(channels.labels(parts[0]))
    for part in parts[1:]:
        for axis, along in enumerate(channels.labels(part)):
            if axis != joined[0]:
                why = "concat with a tensor of fixed size"
                labels[axis] = channels.couple(labels[axis], along, why)
    sides = [channels.labels(part)[joined[0]] for part in parts]
    if any(side is not None for side in sides):
        sizes = [part.shape[joined[0]] for part in parts]
        labels[joined[0]] = np.concatenate(
            [np.full(n, FIXED) if s is None else s for n, s in zip(sizes, sides, strict=True)]
        )
    channels.set(y, labels)


@channel_rule("builtin.combine")
def combine(op: Op, channels: Channels) -> None:
    """Several tensors become one list value."""
    inputs, y = _tensors(op)
    channels.set_list(y, inputs)


@channel_rule(*(f"pd_op.{name}" for name in CONSTANTS))
def constant(op: Op, channels: Channels) -> None:
    """Makes a tensor of fixed size."""

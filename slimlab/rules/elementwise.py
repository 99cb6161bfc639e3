"""Floor 1. Operators that work element by element, and constants."""

from __future__ import annotations

from collections.abc import Callable

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.rules.registry import (
    channel_rule,
    follows,
    freeze_inputs,
    named,
    tensors,
    unknown,
)
from slimlab.trace import Op, Value

# fmt: off
# Activations and functions that make zero of zero: a channel that was zeroed stays so, and may be
# summed over without a weight (attention). The others are safe too wherever a weight reads the
# channel, because masking also removes that weight.
KEEPS_ZEROS = (
    "abs", "asin", "asinh", "assign", "atan", "atanh", "cast", "ceil", "celu", "dropout", "elu",
    "erf", "expm1", "floor", "gelu", "hardshrink", "hardswish", "leaky_relu", "log1p", "memcpy",
    "mish", "negative", "relu", "relu6", "round", "rrelu", "selu", "share_data", "sign", "silu",
    "sin", "sinh", "softshrink", "softsign", "sqrt", "square", "stanh", "swish", "tan", "tanh",
    "tanh_shrink", "trunc",
)
MOVES_ZEROS = (
    "acos", "acosh", "bitwise_not", "clip", "cos", "cosh", "digamma", "erfinv", "exp",
    "hardsigmoid", "hardtanh", "isfinite", "isinf", "isnan", "lgamma", "log", "log10", "log2",
    "logical_not", "logit", "logsigmoid", "pow", "reciprocal", "rsqrt", "scale", "sigmoid",
    "softplus", "thresholded_relu",
)
# Zero has no finite value: an infinity would outlive the zero weight that reads it.
POLES = (
    "acosh", "digamma", "lgamma", "log", "log10", "log2", "logit", "reciprocal", "rsqrt",
)
ADDITIVE = ("add", "subtract", "maximum", "minimum", "fmax", "fmin", "grad_add")
BINARY = (
    "divide", "elementwise_pow", "equal", "floor_divide", "greater_equal", "greater_than",
    "heaviside", "less_equal", "less_than", "logical_and", "logical_or", "logical_xor", "multiply",
    "not_equal", "remainder", "atan2", "bitwise_and", "bitwise_or", *ADDITIVE,
)
# fmt: on
FIXED_SIZE = ("full", "full_int_array", "assign_value", "assign_out", "arange", "linspace", "eye")


@channel_rule(*named((*KEEPS_ZEROS, *MOVES_ZEROS)))
def unary(op: Op, channels: Channels) -> None:
    """The output has the channels of the input."""
    inputs, y = tensors(op)
    x = inputs[0]
    if x.shape != y.shape:
        unknown(op, channels)
        return
    for extra in inputs[1:]:  # the factor of `scale`, the bounds of `clip`: one number each
        channels.freeze_value(extra, f"sets {op.short}")
    flags = channels.zeros(x)
    if op.short.removesuffix("_") in POLES or _number(op, "y") < 0:
        _no_pole(op, channels, x)
    if not _keeps_zeros(op):
        flags = (False,) * len(x.shape)
    channels.set(y, channels.labels(x), zeros=flags)
    channels.derive(y, x)


def _number(op: Op, name: str) -> float:
    value = op.attributes.get(name, 1.0)
    return float(value) if isinstance(value, (int, float)) else -1.0


def _keeps_zeros(op: Op) -> bool:
    kind = op.short.removesuffix("_")
    if kind == "scale":
        return op.attributes.get("bias") == 0
    return kind in KEEPS_ZEROS or (kind == "pow" and _number(op, "y") > 0)


def _no_pole(op: Op, channels: Channels, value: Value) -> None:
    """Freeze channels that masking would turn into an infinity."""
    for along, zero in zip(channels.labels(value), channels.zeros(value), strict=True):
        if zero:
            channels.freeze(along, f"{op.short} of zero is not finite")


@channel_rule("pd_op.prelu")
def prelu(op: Op, channels: Channels) -> None:
    """One slope for all, or one a channel."""
    (x, slope), y = tensors(op)
    labels = list(channels.labels(x))
    if op.attributes["mode"] == "channel":
        axis = 1 if op.attributes["data_format"].startswith("NC") else len(x.shape) - 1
        labels[axis] = channels.couple(
            channels.labels(slope)[0], labels[axis], "prelu of a tensor of fixed size"
        )
    elif op.attributes["mode"] != "all":
        freeze_inputs(op, channels, "prelu with a slope an element")
        return
    channels.set(y, labels, zeros=channels.zeros(x))


@channel_rule(*named(BINARY))
def binary(op: Op, channels: Channels) -> None:
    """Axes of equal length are tied; an axis of length one broadcasts and is not."""
    (a, b, *_), y = tensors(op)
    together(op, channels, [a, b], y)


@channel_rule(*named(("where", "masked_fill")))
def where(op: Op, channels: Channels) -> None:
    """Condition and both sides, or what is filled in, are broadcast against each other."""
    inputs, y = tensors(op)
    together(op, channels, inputs, y)


@channel_rule("pd_op.add_n")
def add_n(op: Op, channels: Channels) -> None:
    """The sum of a list."""
    inputs, y = tensors(op)
    together(op, channels, list(channels.items(inputs[0])), y)


def together(op: Op, channels: Channels, values: list[Value], y: Value) -> None:
    """Tie values that are broadcast against each other."""
    kind = op.short.removesuffix("_")
    combine: dict[str, Callable[[list[bool]], bool]] = {
        "multiply": any,
        "divide": lambda flags: flags[0],
        **dict.fromkeys((*ADDITIVE, "add_n"), all),
    }
    if kind in {"divide", "floor_divide", "remainder"}:
        _no_pole(op, channels, values[1])
    labels: list[Atoms | None] = []
    flags: list[bool] = []
    why = f"{op.short} with a tensor of fixed size"
    columns = [aligned(value, channels, y) for value in values]
    for axis in range(len(y.shape)):
        entries = [column[axis] for column in columns]
        wide = [entry for entry in entries if entry[0] != 1]
        along = wide[0][1] if wide else None
        for _, other, _ in wide[1:]:
            along = channels.couple(along, other, why)
        labels.append(along)
        flags.append(kind in combine and combine[kind]([zero for _, _, zero in entries]))
    channels.set(y, labels, zeros=flags)
    for value in values:
        if value.shape == y.shape:
            channels.derive(y, value)


def aligned(value: Value, channels: Channels, y: Value) -> list[tuple[int, Atoms | None, bool]]:
    """Size, atoms and zero flag of each axis after broadcasting to the output's rank.

    Along an axis where a value broadcasts, it is the same number for a removed channel as for any
    other: not zero.
    """
    missing = len(y.shape) - len(value.shape)
    own = [
        (size, along, zero and size != 1)
        for size, along, zero in zip(
            value.shape, channels.labels(value), channels.zeros(value), strict=True
        )
    ]
    return [(1, None, False)] * missing + own


@channel_rule(*named(FIXED_SIZE))
def constant(op: Op, channels: Channels) -> None:
    """Makes a tensor of fixed size."""
    y = op.outputs[0]
    if y is None:
        return
    if "value" in op.attributes:
        value = op.attributes["value"]
        channels.set_constant(y, value if isinstance(value, (list, tuple)) else (value,))
    if op.short in {"full", "full_"} and len(y.shape) > 1:
        # One number everywhere, as long as the code says: perhaps as another tensor.
        channels.set(y, [follows(op, channels, size) for size in y.shape])


@channel_rule("pd_op.full_like", "pd_op.full_like_")
def full_like(op: Op, channels: Channels) -> None:
    """One number, in the shape of another tensor, which it follows."""
    inputs, y = tensors(op)
    channels.set(y, channels.labels(inputs[0]))


@channel_rule("pd_op.shape", "pd_op.shape64", "pd_op.numel")
def size(op: Op, channels: Channels) -> None:
    """Reads how large a tensor is: right only if it is used as a size, not as a number."""
    inputs, _ = tensors(op)
    for along in channels.labels(inputs[0]):
        channels.assume(op, along, "its size is read as a number")

"""Floor 1. Activations."""

from __future__ import annotations

from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Writer
from slimlab.lowering.registry import ends, option, twins
from slimlab.trace import Op

# PIR's name -> the program's, where there are no attributes.
PLAIN = {
    "relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "silu": "silu", "softsign": "softsign",
    "logsigmoid": "logsigmoid", "tanh_shrink": "tanh_shrink",
}  # fmt: skip
# PIR's name -> the program's, and what each of its attributes is called in PIR.
NUMBERS = {
    "celu": ("celu", {"alpha": "alpha"}),
    "elu": ("elu", {"alpha": "alpha"}),
    "hardshrink": ("hard_shrink", {"threshold": "threshold"}),
    "hardsigmoid": ("hard_sigmoid", {"slope": "slope", "offset": "offset"}),
    "hardtanh": ("brelu", {"t_min": "t_min", "t_max": "t_max"}),
    "leaky_relu": ("leaky_relu", {"alpha": "negative_slope"}),
    "selu": ("selu", {"alpha": "alpha", "scale": "scale"}),
    "softplus": ("softplus", {"beta": "beta", "threshold": "threshold"}),
    "softshrink": ("softshrink", {"lambda": "threshold"}),
    "thresholded_relu": ("thresholded_relu", {"threshold": "threshold", "value": "value"}),
    "stanh": ("stanh", {"scale_a": "scale_a", "scale_b": "scale_b"}),
}


@legacy_rule(*twins(*PLAIN))
def plain(op: Op, net: Writer) -> None:
    """One operator without attributes."""
    x, y = ends(op)
    net.emit(PLAIN[op.short.removesuffix("_")], {"X": x}, {"Out": y})


@legacy_rule(*twins(*NUMBERS))
def with_numbers(op: Op, net: Writer) -> None:
    """One operator whose attributes may have other names."""
    x, y = ends(op)
    kind, names = NUMBERS[op.short.removesuffix("_")]
    numbers = {to: float(op.attributes[name]) for to, name in names.items()}
    net.emit(kind, {"X": x}, {"Out": y}, **numbers)


@legacy_rule(*twins("relu6"))
def relu6(op: Op, net: Writer) -> None:
    """Older readers want to be told of the 6."""
    x, y = ends(op)
    net.emit("relu6", {"X": x}, {"Out": y}, threshold=6.0 if net.style.lite else None)


@legacy_rule(*twins("mish"))
def mish(op: Op, net: Writer) -> None:
    """`x` times the tanh of its softplus, which is linear above 20."""
    x, y = ends(op)
    net.emit("mish", {"X": x}, {"Out": y}, threshold=20.0 if net.style.lite else None)


@legacy_rule(*twins("hardswish"))
def hardswish(op: Op, net: Writer) -> None:
    """`x * min(max(x + 3, 0), 6) / 6`."""
    x, y = ends(op)
    net.emit("hard_swish", {"X": x}, {"Out": y}, threshold=6.0, scale=6.0, offset=3.0)


@legacy_rule(*twins("swish"))
def swish(op: Op, net: Writer) -> None:
    """`x` times its sigmoid."""
    x, y = ends(op)
    net.emit("swish", {"X": x}, {"Out": y}, beta=1.0 if net.style.lite else None)


@legacy_rule(*twins("gelu"))
def gelu(op: Op, net: Writer) -> None:
    """Exact, or the approximation with tanh."""
    x, y = ends(op)
    net.emit("gelu", {"X": x}, {"Out": y}, approximate=bool(op.attributes["approximate"]))


@legacy_rule("pd_op.rrelu")
def rrelu(op: Op, net: Writer) -> None:
    """In evaluation mode the slope is the mean of its range."""
    x, y = ends(op)
    if not op.attributes["is_test"]:
        net.refuse("its slope is random even in evaluation mode")
    slope = (float(op.attributes["lower"]) + float(op.attributes["upper"])) / 2
    net.emit("leaky_relu", {"X": x}, {"Out": y}, alpha=slope)


@legacy_rule("pd_op.maxout")
def maxout(op: Op, net: Writer) -> None:
    """The largest of so many neighbouring channels."""
    x, y = ends(op)
    groups, axis = (int(op.attributes[name]) for name in ("groups", "axis"))
    net.emit("maxout", {"X": x}, {"Out": y}, groups=groups, axis=axis)


@legacy_rule(*twins("clip"))
def clip(op: Op, net: Writer) -> None:
    """Between two numbers."""
    x, y = ends(op)
    low, high = (float(net.numbers(option(op, n))[0]) for n in (1, 2))
    net.emit("clip", {"X": x}, {"Out": y}, min=low, max=high)


@legacy_rule("pd_op.prelu")
def prelu(op: Op, net: Writer) -> None:
    """One slope for all, one a channel, or one an element."""
    x, y = ends(op)
    words = {name: str(op.attributes[name]) for name in ("mode", "data_format")}
    net.emit("prelu", {"X": x, "Alpha": op.inputs[1]}, {"Out": y}, **words)


@legacy_rule(*twins("softmax", "log_softmax"))
def softmax(op: Op, net: Writer) -> None:
    """Along one axis."""
    x, y = ends(op)
    net.emit(op.short.removesuffix("_"), {"X": x}, {"Out": y}, axis=int(op.attributes["axis"]))

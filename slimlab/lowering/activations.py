"""Floor 1. Activations."""

from __future__ import annotations

import math

from slimlab.lowering.builder import Builder, Operand
from slimlab.lowering.elementwise import number
from slimlab.lowering.registry import ends, integers, lowering_rule, option, twins
from slimlab.trace import Op

PLAIN = {
    "relu": "Relu", "sigmoid": "Sigmoid", "softsign": "Softsign", "hardswish": "HardSwish",
}  # fmt: skip
# PIR's name to ONNX's, and what each of ONNX's attributes is called in PIR.
WITH_NUMBERS = {
    "celu": ("Celu", {"alpha": "alpha"}),
    "elu": ("Elu", {"alpha": "alpha"}),
    "hardsigmoid": ("HardSigmoid", {"alpha": "slope", "beta": "offset"}),
    "hardshrink": ("Shrink", {"lambd": "threshold"}),
    "leaky_relu": ("LeakyRelu", {"alpha": "negative_slope"}),
    "selu": ("Selu", {"alpha": "alpha", "gamma": "scale"}),
    "softshrink": ("Shrink", {"lambd": "threshold", "bias": "threshold"}),
}


@lowering_rule(*twins(*PLAIN))
def plain(op: Op, net: Builder) -> None:
    """One node without attributes."""
    net.emit(PLAIN[op.short.removesuffix("_")], [op.inputs[0]], op.outputs[0])


@lowering_rule(*twins(*WITH_NUMBERS))
def with_numbers(op: Op, net: Builder) -> None:
    """One node whose attributes have other names."""
    kind, names = WITH_NUMBERS[op.short.removesuffix("_")]
    attributes = {to: float(op.attributes[name]) for to, name in names.items()}
    net.emit(kind, [op.inputs[0]], op.outputs[0], **attributes)


def _clip(op: Op, net: Builder, low: Operand, high: Operand) -> None:
    net.emit("Clip", [op.inputs[0], low, high], op.outputs[0])


@lowering_rule(*twins("relu6"))
def relu6(op: Op, net: Builder) -> None:
    """Between 0 and 6."""
    x, _ = ends(op)
    _clip(op, net, number(net, 0, x), number(net, 6, x))


@lowering_rule(*twins("hardtanh"))
def hardtanh(op: Op, net: Builder) -> None:
    """Between two numbers that are attributes."""
    x, _ = ends(op)
    low, high = (float(op.attributes[name]) for name in ("t_min", "t_max"))
    _clip(op, net, number(net, low, x), number(net, high, x))


@lowering_rule(*twins("clip"))
def clip(op: Op, net: Builder) -> None:
    """Between two numbers that are operands, of no axes in ONNX."""
    x, _ = ends(op)
    bounds: list[Operand] = []
    for position in (1, 2):
        value = option(op, position)
        known = net.known(value)
        if value is None:
            bounds.append(None)
        elif known is not None:
            bounds.append(number(net, known.item(), x))
        else:
            bounds.append(net.emit("Reshape", [value, integers([])]))
    _clip(op, net, *bounds)


@lowering_rule("pd_op.prelu")
def prelu(op: Op, net: Builder) -> None:
    """One slope for all, one a channel, or one an element."""
    x, y = ends(op)
    slope, mode = op.inputs[1], op.attributes["mode"]
    first = str(op.attributes["data_format"]).startswith("NC")
    shape = [1] * len(x.shape)
    if mode == "channel":
        axis = 1 if first else len(x.shape) - 1
        shape[axis] = x.shape[axis]
    elif mode == "element":
        shape = [1, *x.shape[1:]]
    net.emit("PRelu", [x, net.emit("Reshape", [slope, integers(shape)])], y)


@lowering_rule(*twins("silu", "swish"))
def silu(op: Op, net: Builder) -> None:
    """`x` times its sigmoid."""
    x, y = ends(op)
    net.emit("Mul", [x, net.emit("Sigmoid", [x])], y)


@lowering_rule(*twins("gelu"))
def gelu(op: Op, net: Builder) -> None:
    """Hendrycks and Gimpel 2016: exact with erf, or their approximation with tanh."""
    x, y = ends(op)
    if op.attributes["approximate"]:
        cube = net.emit("Mul", [net.emit("Mul", [x, x]), x])
        inner = net.emit("Add", [x, net.emit("Mul", [cube, number(net, 0.044715, x)])])
        inner = net.emit("Mul", [inner, number(net, math.sqrt(2 / math.pi), x)])
        bent = net.emit("Tanh", [inner])
    else:
        bent = net.emit("Erf", [net.emit("Div", [x, number(net, math.sqrt(2), x)])])
    half = net.emit("Mul", [x, net.emit("Add", [bent, number(net, 1, x)])])
    net.emit("Mul", [half, number(net, 0.5, x)], y)


@lowering_rule(*twins("mish"))
def mish(op: Op, net: Builder) -> None:
    """`x` times the tanh of its softplus (whose linear part changes nothing in float32)."""
    x, y = ends(op)
    net.emit("Mul", [x, net.emit("Tanh", [net.emit("Softplus", [x])])], y)


@lowering_rule(*twins("softplus"))
def softplus(op: Op, net: Builder) -> None:
    """`log(1 + exp(beta x)) / beta`, and `x` itself above a threshold."""
    x, y = ends(op)
    beta, threshold = float(op.attributes["beta"]), float(op.attributes["threshold"])
    steep: Operand = x if beta == 1 else net.emit("Mul", [x, number(net, beta, x)])
    soft = net.emit("Softplus", [steep])
    soft = soft if beta == 1 else net.emit("Div", [soft, number(net, beta, x)])
    above = net.emit("Greater", [steep, number(net, threshold, x)])
    net.emit("Where", [above, x, soft], y)


@lowering_rule(*twins("logsigmoid"))
def logsigmoid(op: Op, net: Builder) -> None:
    """Through softplus, which is finite for any input."""
    x, y = ends(op)
    net.emit("Neg", [net.emit("Softplus", [net.emit("Neg", [x])])], y)


@lowering_rule(*twins("tanh_shrink"))
def tanh_shrink(op: Op, net: Builder) -> None:
    """`x` less its tanh."""
    x, y = ends(op)
    net.emit("Sub", [x, net.emit("Tanh", [x])], y)


@lowering_rule(*twins("stanh"))
def stanh(op: Op, net: Builder) -> None:
    """`b tanh(a x)`."""
    x, y = ends(op)
    steep = net.emit("Mul", [x, number(net, op.attributes["scale_a"], x)])
    net.emit("Mul", [net.emit("Tanh", [steep]), number(net, op.attributes["scale_b"], x)], y)


@lowering_rule(*twins("thresholded_relu"))
def thresholded_relu(op: Op, net: Builder) -> None:
    """`x` above a threshold, else a fixed value."""
    x, y = ends(op)
    above = net.emit("Greater", [x, number(net, op.attributes["threshold"], x)])
    net.emit("Where", [above, x, number(net, op.attributes["value"], x)], y)


@lowering_rule("pd_op.rrelu")
def rrelu(op: Op, net: Builder) -> None:
    """In evaluation mode the slope is the mean of its range."""
    x, y = ends(op)
    if not op.attributes["is_test"]:
        net.refuse("its slope is random even in evaluation mode")
    slope = (float(op.attributes["lower"]) + float(op.attributes["upper"])) / 2
    net.emit("LeakyRelu", [x], y, alpha=slope)


@lowering_rule("pd_op.maxout")
def maxout(op: Op, net: Builder) -> None:
    """The largest of so many neighbouring channels."""
    x, y = ends(op)
    axis, groups = int(op.attributes["axis"]) % len(x.shape), int(op.attributes["groups"])
    shape = [*x.shape[:axis], x.shape[axis] // groups, groups, *x.shape[axis + 1 :]]
    split = net.emit("Reshape", [x, integers(shape)])
    net.emit("ReduceMax", [split], y, axes=[axis + 1], keepdims=0)


@lowering_rule(*twins("softmax", "log_softmax"))
def softmax(op: Op, net: Builder) -> None:
    """Along one axis."""
    x, y = ends(op)
    kind = "LogSoftmax" if op.short.startswith("log") else "Softmax"
    net.emit(kind, [x], y, axis=int(op.attributes["axis"]) % max(1, len(x.shape)))

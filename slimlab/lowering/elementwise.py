"""Floor 1. Functions of one element or two, and casts."""

from __future__ import annotations

import numpy as np

from slimlab.lowering.builder import Builder, Operand, onnx_type
from slimlab.lowering.registry import ends, lowering_rule, option, twins
from slimlab.trace import Op, Value

# PIR's name to ONNX's, where one node does the same.
UNARY = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh",
    "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf",
    "exp": "Exp", "floor": "Floor", "isnan": "IsNaN", "log": "Log", "logical_not": "Not",
    "negative": "Neg", "reciprocal": "Reciprocal", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
BINARY = {
    "add": "Add", "grad_add": "Add", "subtract": "Sub", "multiply": "Mul", "maximum": "Max",
    "minimum": "Min", "elementwise_pow": "Pow",
}  # fmt: skip
COMPARE = {
    "equal": "Equal",
    "greater_equal": "GreaterOrEqual",
    "greater_than": "Greater",
    "less_equal": "LessOrEqual",
    "less_than": "Less",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
}
BITS = {
    "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor", "bitwise_not": "Not",
}  # fmt: skip
SAME = ("assign", "share_data", "memcpy", "memcpy_h2d", "memcpy_d2h", "assign_out")


def number(net: Builder, value: float, like: Value) -> np.ndarray:
    """A constant of no axes in the element type of a value."""
    return np.asarray(value, dtype=net.numpy_type(like))


@lowering_rule(*twins(*UNARY))
def unary(op: Op, net: Builder) -> None:
    """One node."""
    net.emit(UNARY[op.short.removesuffix("_")], [op.inputs[0]], op.outputs[0])


@lowering_rule(*twins(*SAME))
def same(op: Op, net: Builder) -> None:
    """The output is the (first) input."""
    net.emit("Identity", [op.inputs[0]], op.outputs[0])


def pair(op: Op, net: Builder) -> list[Operand]:
    """Both operands in one element type: the wider one, as Paddle promotes."""
    a, b = ends(op)[0], op.inputs[1]
    if b is None or a.dtype == b.dtype:
        return [a, b]
    wide = np.promote_types(net.numpy_type(a), net.numpy_type(b))
    return [net.as_type(each, wide) for each in (a, b)]


@lowering_rule(*twins(*BINARY))
def binary(op: Op, net: Builder) -> None:
    """Shapes are broadcast in the same way."""
    y = ends(op)[1]
    operands = [v if v is None else net.as_type(v, net.numpy_type(y)) for v in op.inputs[:2]]
    net.emit(BINARY[op.short.removesuffix("_")], operands, y)


@lowering_rule(*twins(*COMPARE))
def compare(op: Op, net: Builder) -> None:
    """Makes true and false."""
    net.emit(COMPARE[op.short.removesuffix("_")], pair(op, net), op.outputs[0])


@lowering_rule(*twins(*BITS))
def bits(op: Op, net: Builder) -> None:
    """Of truths; ONNX has those of numbers only from opset 18."""
    x, y = ends(op)
    if net.numpy_type(x) is not np.bool_:
        net.refuse(f"it works on bits of {x.dtype}")
    net.emit(BITS[op.short.removesuffix("_")], list(op.inputs), y)


@lowering_rule(*twins("not_equal"))
def not_equal(op: Op, net: Builder) -> None:
    """The opposite of equal."""
    net.emit("Not", [net.emit("Equal", pair(op, net))], op.outputs[0])


@lowering_rule(*twins("divide"))
def divide(op: Op, net: Builder) -> None:
    """Always a true division, of whole numbers too."""
    y = ends(op)[1]
    if np.issubdtype(net.numpy_type(y), np.integer):
        net.refuse("it divides whole numbers into whole numbers")
    operands = [v if v is None else net.as_type(v, net.numpy_type(y)) for v in op.inputs[:2]]
    net.emit("Div", operands, y)


@lowering_rule(*twins("floor_divide"))
def floor_divide(op: Op, net: Builder) -> None:
    """Rounded down; ONNX rounds whole numbers towards zero."""
    x, y = ends(op)
    if np.issubdtype(net.numpy_type(x), np.integer):
        rest = net.emit("Mod", list(op.inputs[:2]))
        net.emit("Div", [net.emit("Sub", [x, rest]), op.inputs[1]], y)
        return
    net.emit("Floor", [net.emit("Div", list(op.inputs[:2]))], y)


@lowering_rule(*twins("remainder"))
def remainder(op: Op, net: Builder) -> None:
    """Has the sign of the divisor, as ONNX's for whole numbers."""
    x, y = ends(op)
    if np.issubdtype(net.numpy_type(x), np.integer):
        net.emit("Mod", list(op.inputs[:2]), y)
        return
    whole = net.emit("Floor", [net.emit("Div", list(op.inputs[:2]))])
    net.emit("Sub", [x, net.emit("Mul", [whole, op.inputs[1]])], y)


@lowering_rule(*twins("scale"))
def scale(op: Op, net: Builder) -> None:
    """`x * scale + bias`, or `(x + bias) * scale`; what changes nothing is left out."""
    x, y = ends(op)
    by, plus = net.known(option(op, 1)), float(op.attributes["bias"])
    whole = np.issubdtype(net.numpy_type(x), np.integer)
    if whole and (by is None or by.item() % 1 or plus % 1):
        net.refuse("whole numbers are scaled by a fraction")
    steps: list[tuple[str, Operand]] = []
    if by is None:
        steps.append(("Mul", op.inputs[1]))
    elif by.item() != 1:
        steps.append(("Mul", number(net, by.item(), x)))
    if plus:
        steps.append(("Add", number(net, plus, x)))
    if not op.attributes["bias_after_scale"]:
        steps.reverse()
    made: Operand = x
    for node, operand in steps[:-1]:
        made = net.emit(node, [made, operand])
    if steps:
        net.emit(steps[-1][0], [made, steps[-1][1]], y)
    else:
        net.emit("Identity", [x], y)


@lowering_rule(*twins("pow"))
def power(op: Op, net: Builder) -> None:
    """To the power of a number."""
    x, y = ends(op)
    net.emit("Pow", [x, number(net, op.attributes["y"], x)], y)


@lowering_rule(*twins("square"))
def square(op: Op, net: Builder) -> None:
    """`x * x`."""
    net.emit("Mul", [op.inputs[0], op.inputs[0]], op.outputs[0])


@lowering_rule(*twins("rsqrt"))
def rsqrt(op: Op, net: Builder) -> None:
    """One over the root."""
    net.emit("Reciprocal", [net.emit("Sqrt", [op.inputs[0]])], op.outputs[0])


@lowering_rule(*twins("log2", "log10"))
def logarithm(op: Op, net: Builder) -> None:
    """The natural logarithm over that of the base."""
    x, y = ends(op)
    base = 2.0 if "2" in op.short else 10.0
    net.emit("Mul", [net.emit("Log", [x]), number(net, 1 / np.log(base), x)], y)


@lowering_rule(*twins("log1p"))
def log1p(op: Op, net: Builder) -> None:
    """Exact to float32's spacing around one."""
    x, y = ends(op)
    net.emit("Log", [net.emit("Add", [x, number(net, 1, x)])], y)


@lowering_rule(*twins("expm1"))
def expm1(op: Op, net: Builder) -> None:
    """Exact to float32's spacing around one."""
    x, y = ends(op)
    net.emit("Sub", [net.emit("Exp", [x]), number(net, 1, x)], y)


@lowering_rule(*twins("trunc"))
def trunc(op: Op, net: Builder) -> None:
    """Towards zero."""
    x, y = ends(op)
    net.emit("Mul", [net.emit("Sign", [x]), net.emit("Floor", [net.emit("Abs", [x])])], y)


@lowering_rule(*twins("round"))
def nearest(op: Op, net: Builder) -> None:
    """Halves to the even number, in both."""
    x, y = ends(op)
    if op.attributes.get("decimals", 0):
        net.refuse(f"it rounds to {op.attributes['decimals']} decimals")
    net.emit("Round", [x], y)


@lowering_rule(*twins("cast"))
def cast(op: Op, net: Builder) -> None:
    """To the element type of the output."""
    x, y = ends(op)
    net.emit("Cast", [x], y, to=onnx_type(net.numpy_type(y)))


@lowering_rule(*twins("where"))
def where(op: Op, net: Builder) -> None:
    """The same in both."""
    net.emit("Where", list(op.inputs), op.outputs[0])


@lowering_rule(*twins("masked_fill"))
def masked_fill(op: Op, net: Builder) -> None:
    """Another number where a mask says so."""
    x, y = ends(op)
    mask, value = op.inputs[1:3]
    fill = None if value is None else net.as_type(value, net.numpy_type(y))
    net.emit("Where", [mask, fill, x], y)


@lowering_rule("pd_op.add_n")
def add_n(op: Op, net: Builder) -> None:
    """The sum of a list."""
    net.emit("Sum", list(net.items(op.inputs[0])), op.outputs[0])


@lowering_rule(*twins("dropout"))
def dropout(op: Op, net: Builder) -> None:
    """Nothing in evaluation mode, or a factor where training did not scale up."""
    x, y = ends(op)
    share, mode = net.numbers(option(op, 2))[0], op.attributes["mode"]
    if not op.attributes["is_test"] and share:
        net.refuse("it drops at random even in evaluation mode")
    if mode not in {"upscale_in_train", "downgrade_in_infer"}:
        net.refuse(f"its mode is {mode!r}")
    if mode == "upscale_in_train" or not share:
        net.emit("Identity", [x], y)
    else:
        net.emit("Mul", [x, number(net, 1 - share, x)], y)

"""Floor 1. Functions of one element or two, and casts."""

from __future__ import annotations

from slimlab.legacy.files import DTYPES
from slimlab.legacy.moving import spread
from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.schema import COMPARE
from slimlab.legacy.writer import Operand, Writer
from slimlab.lowering.registry import ends, option, twins
from slimlab.trace import Op, Value

UNARY = ("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf",
         "exp", "expm1", "floor", "log", "log1p", "log2", "log10", "logical_not", "reciprocal",
         "round", "rsqrt", "sign", "sin", "sinh", "sqrt", "square", "tan", "trunc")  # fmt: skip
ASKED = ("isfinite", "isinf", "isnan")
BINARY = {
    "add": "elementwise_add", "subtract": "elementwise_sub", "multiply": "elementwise_mul",
    "divide": "elementwise_div", "maximum": "elementwise_max", "minimum": "elementwise_min",
    "elementwise_pow": "elementwise_pow", "floor_divide": "elementwise_floordiv",
    "remainder": "elementwise_mod", "equal": "equal", "not_equal": "not_equal",
    "greater_than": "greater_than", "greater_equal": "greater_equal", "less_than": "less_than",
    "less_equal": "less_equal",
}  # fmt: skip
LOGIC = ("logical_and", "logical_or", "logical_xor")


@legacy_rule(*twins(*UNARY))
def unary(op: Op, net: Writer) -> None:
    """One operator."""
    x, y = ends(op)
    if op.attributes.get("decimals"):
        net.refuse(f"it rounds to {op.attributes['decimals']} decimals")
    net.emit(op.short.removesuffix("_"), {"X": x}, {"Out": y})


@legacy_rule(*twins(*ASKED))
def asked(op: Op, net: Writer) -> None:
    """Whether each element is such a number."""
    x, y = ends(op)
    net.emit(f"{op.short.removesuffix('_')}_v2", {"X": x}, {"Out": y})


@legacy_rule(*twins(*LOGIC))
def logic(op: Op, net: Writer) -> None:
    """Of two truths."""
    x, y = ends(op)
    net.emit(op.short.removesuffix("_"), {"X": x, "Y": op.inputs[1]}, {"Out": y})


@legacy_rule(*twins(*BINARY))
def binary(op: Op, net: Writer) -> None:
    """Shapes are broadcast from the last axis; a vector a channel names its axis instead."""
    x, y = ends(op)
    other = op.inputs[1]
    kind = BINARY[op.short.removesuffix("_")]
    if other is None or x.dtype != other.dtype:
        net.refuse("its operands have different element types")
    vector = _channels(net, other, len(x.shape)) if x.shape == y.shape else None
    older = {"force_cpu": False} if net.style.lite and kind in COMPARE else {}
    if vector is not None:
        net.emit(kind, {"X": x, "Y": vector}, {"Out": y}, axis=1, **older)
    else:
        numbers = net.known.known(other)
        # Paddle Lite has no tensors without axes.
        single = net.style.lite and not other.shape and numbers is not None
        given: Operand = numbers.reshape(1) if single and numbers is not None else other
        net.emit(kind, {"X": x, "Y": given}, {"Out": y}, axis=-1, **older)


def _channels(net: Writer, value: Value, rank: int) -> Value | None:
    """The parameter that a value is, spread over axis 1; None for another."""
    maker = net.maker(value)
    if maker is None or maker.short not in {"reshape", "reshape_"} or rank < 3:
        return None
    source = maker.inputs[0]
    if source is None or not source.parameter or len(source.shape) != 1:
        return None
    return source if value.shape == (1, source.shape[0], *[1] * (rank - 2)) else None


@legacy_rule(*twins("assign", "share_data", "assign_out"))
def same(op: Op, net: Writer) -> None:
    """The output is the (first) input."""
    net.same(*ends(op))


@legacy_rule(*twins("negative"))
def negative(op: Op, net: Writer) -> None:
    """Times minus one."""
    x, y = ends(op)
    net.emit("scale", {"X": x}, {"Out": y}, scale=-1.0, bias=0.0, bias_after_scale=True)


@legacy_rule(*twins("scale"))
def scale(op: Op, net: Writer) -> None:
    """`x * scale + bias`, or `(x + bias) * scale`."""
    x, y = ends(op)
    bias, after = float(op.attributes["bias"]), bool(op.attributes["bias_after_scale"])
    by = float(net.numbers(option(op, 1))[0])
    net.emit("scale", {"X": x}, {"Out": y}, scale=by, bias=bias, bias_after_scale=after)


@legacy_rule(*twins("pow"))
def power(op: Op, net: Writer) -> None:
    """To the power of a number."""
    x, y = ends(op)
    net.emit("pow", {"X": x}, {"Out": y}, factor=float(op.attributes["y"]))


@legacy_rule(*twins("cast"))
def cast(op: Op, net: Writer) -> None:
    """To the element type of the output."""
    x, y = ends(op)
    if x.dtype not in DTYPES or y.dtype not in DTYPES:
        net.refuse(f"it makes {y.dtype} of {x.dtype}")
    net.emit("cast", {"X": x}, {"Out": y}, in_dtype=DTYPES[x.dtype], out_dtype=DTYPES[y.dtype])


@legacy_rule(*twins("where"))
def where(op: Op, net: Writer) -> None:
    """One of two, by a truth an element."""
    names = dict(zip(("Condition", "X", "Y"), op.inputs, strict=True))
    given: dict[str, Operand] = dict(names)
    net.emit("where", given, {"Out": ends(op)[1]})


@legacy_rule(*twins("masked_fill"))
def masked_fill(op: Op, net: Writer) -> None:
    """A number where a truth says so; shapes are broadcast."""
    x, y = ends(op)
    mask, value = op.inputs[1:3]
    given = {"Condition": mask, "X": value, "Y": x}
    made = {slot: None if v is None else _spread(net, v, y) for slot, v in given.items()}
    net.emit("where", made, {"Out": y})


def _spread(net: Writer, value: Value, like: Value) -> Operand:
    """A value in the shape of another one."""
    if value.shape == like.shape:
        return value
    shape = spread(value.shape, like.shape)
    made = net.fresh(like.shape, value.dtype)
    return net.emit("expand_v2", {"X": value}, {"Out": made}, shape=shape)


@legacy_rule("pd_op.add_n")
def add_n(op: Op, net: Writer) -> None:
    """The sum of a list."""
    net.emit("sum", {"X": net.items(op.inputs[0])}, {"Out": ends(op)[1]})


@legacy_rule(*twins("dropout"))
def dropout(op: Op, net: Writer) -> None:
    """Nothing in evaluation mode, or a factor where training did not scale up."""
    x, y = ends(op)
    share, mode = float(net.numbers(option(op, 2))[0]), op.attributes["mode"]
    if not op.attributes["is_test"] and share:
        net.refuse("it drops at random even in evaluation mode")
    if mode == "upscale_in_train" or not share:
        net.same(x, y)
        return
    net.emit("scale", {"X": x}, {"Out": y}, scale=1 - share, bias=0.0, bias_after_scale=True)

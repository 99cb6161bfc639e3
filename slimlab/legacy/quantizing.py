"""Floor 1. Rounding to a grid and back.

Paddle's grid is `clip(round(x / scale * n), -n - 1, n) * scale / n` with `n = 2 ** (bits - 1) - 1`.
Each operator has its own zero point; whole numbers of an activation are float32, as in Paddle.
"""

from __future__ import annotations

import numpy as np

from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Operand, Writer
from slimlab.lowering.registry import ends, option
from slimlab.trace import Op, Value


def _settings(op: Op) -> dict[str, int | bool]:
    bits, axis = int(op.attributes["bit_length"]), int(op.attributes["quant_axis"])
    top = 2 ** (bits - 1) - 1
    return {
        "quant_axis": axis, "bit_length": bits, "qmin": -top - 1, "qmax": top, "round_type": 0,
        "is_test": True, "only_observer": False,
    }  # fmt: skip


def _checked(op: Op, net: Writer) -> None:
    bits, zero = int(op.attributes["bit_length"]), net.array(option(op, 2))
    top = 2 ** (bits - 1) - 1
    if zero is None or zero.any():
        net.refuse("its zero points are not 0")
    asked = (int(op.attributes["qmin"]), int(op.attributes["qmax"]))
    if asked != (-top - 1, top) or not 2 <= bits <= 8:
        net.refuse(f"its whole numbers of {bits} bits lie between {asked[0]} and {asked[1]}")
    if op.attributes.get("only_observer") or not op.attributes.get("is_test", True):
        net.refuse("it still watches the values that it is given")


@legacy_rule("pd_op.quantize_linear", "pd_op.quantize_linear_")
def quantize(op: Op, net: Writer) -> None:
    """A parameter is stored on its grid; other tensors are rounded when the network runs."""
    _checked(op, net)
    x, y = ends(op)
    if x.parameter and net.array(option(op, 1)) is not None:
        net.known.names[y.id] = _stored(op, net, x)
        return
    net.emit("quantize_linear", _inputs(op, net, x, y), {"Y": y}, **_settings(op))


@legacy_rule("pd_op.dequantize_linear", "pd_op.dequantize_linear_")
def dequantize(op: Op, net: Writer) -> None:
    """Whole numbers times their step."""
    _checked(op, net)
    x, y = ends(op)
    maker = net.maker(x)
    whole = net.variables.get(net.known.names[x.id])
    if maker is None or maker.short.removesuffix("_") != "quantize_linear":
        net.refuse("what it is given was not rounded by quantize_linear")
    if whole is not None and whole.numbers is not None and not net.style.int8:
        net.known.names[y.id] = whole.name
        return
    net.emit("dequantize_linear", _inputs(op, net, x, y), {"Y": y}, **_settings(op))


def _inputs(op: Op, net: Writer, x: Value, y: Value) -> dict[str, Operand]:
    """The zero point is of this operator alone: readers take it away with the operator."""
    scale = option(op, 1)
    found = net.array(scale)
    size = 1 if found is None else found.size
    zero = net.store(f"{net.known.names[y.id]}@zero_point", np.zeros([size], np.int32))
    return {"X": net.known.names[x.id], "Scale": scale, "ZeroPoint": zero}


def _stored(op: Op, net: Writer, x: Value) -> str:
    """Store a parameter: as whole numbers, or as the float32 values of these."""
    bits, axis = int(op.attributes["bit_length"]), int(op.attributes["quant_axis"])
    top = np.float32(2 ** (bits - 1) - 1)
    numbers, scale = net.array(x), net.array(option(op, 1))
    if numbers is None or scale is None or (scale.size > 1 and scale.size != numbers.shape[axis]):
        net.refuse("its scales are not those of its weight")
    along = scale.reshape(-1)
    if along.size > 1:
        along = along.reshape([-1 if n == axis else 1 for n in range(numbers.ndim)])
    whole = np.clip(np.rint(numbers / along * top), -top - 1, top)
    if net.style.int8:
        return net.store(f"{x.parameter}.int8", whole.astype(np.int8))
    return net.store(f"{x.parameter}.grid", (whole * along / top).astype(np.float32))

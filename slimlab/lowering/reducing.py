"""Floor 1. Operators that reduce or order along axes."""

from __future__ import annotations

import numpy as np

from slimlab.lowering.builder import Builder, onnx_type
from slimlab.lowering.registry import axes_of, ends, integers, lowering_rule, option
from slimlab.trace import Op, Value

REDUCES = {
    "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin", "amax": "ReduceMax",
    "amin": "ReduceMin", "prod": "ReduceProd", "logsumexp": "ReduceLogSumExp",
    "frobenius_norm": "ReduceL2",
}  # fmt: skip
NORMS = {1.0: "ReduceL1", 2.0: "ReduceL2"}


def _keeps(op: Op) -> int:
    return int(any(op.attributes.get(name) for name in ("keepdim", "keepdims", "keep_dim")))


@lowering_rule(*(f"pd_op.{name}" for name in REDUCES))
def reduce(op: Op, net: Builder) -> None:
    """Over some axes, or all."""
    x, y = ends(op)
    axes = axes_of(op, net, len(x.shape))
    net.emit(REDUCES[op.short], [x], y, axes=axes, keepdims=_keeps(op))


@lowering_rule("pd_op.sum")
def total(op: Op, net: Builder) -> None:
    """A sum of truths or small integers is in the type of the output."""
    x, y = ends(op)
    axes = integers(axes_of(op, net, len(x.shape)))
    wide = net.as_type(x, net.numpy_type(y))
    net.emit("ReduceSum", [wide, axes], y, keepdims=_keeps(op))


@lowering_rule("pd_op.all", "pd_op.any")
def truth(op: Op, net: Builder) -> None:
    """Through whole numbers: the least of all, the largest of any."""
    x, y = ends(op)
    numbers = net.emit("Cast", [x], to=onnx_type(np.int32))
    kind = "ReduceMin" if op.short == "all" else "ReduceMax"
    axes = axes_of(op, net, len(x.shape))
    made = net.emit(kind, [numbers], axes=axes, keepdims=_keeps(op))
    net.emit("Cast", [made], y, to=onnx_type(np.bool_))


@lowering_rule("pd_op.p_norm")
def p_norm(op: Op, net: Builder) -> None:
    """Sums of absolute values and of squares."""
    x, y = ends(op)
    order = float(op.attributes["porder"])
    whole = op.attributes["asvector"]
    axes = list(range(len(x.shape))) if whole else axes_of(op, net, len(x.shape))
    if order in NORMS:
        net.emit(NORMS[order], [x], y, axes=axes, keepdims=_keeps(op))
    elif abs(order) == np.inf:
        kind = "ReduceMax" if order > 0 else "ReduceMin"
        net.emit(kind, [net.emit("Abs", [x])], y, axes=axes, keepdims=_keeps(op))
    else:
        net.refuse(f"the norm of order {order:g}")


def _index(op: Op, net: Builder, name: str, y: Value) -> str | Value:
    """Write an index that ONNX makes as int64 in the type of the output."""
    return net.emit("Cast", [name], y, to=onnx_type(net.numpy_type(y)))


@lowering_rule("pd_op.argmax", "pd_op.argmin")
def pick(op: Op, net: Builder) -> None:
    """The first of equals, in both."""
    x, y = ends(op)
    kind = "ArgMax" if op.short == "argmax" else "ArgMin"
    keep = int(bool(op.attributes["keepdims"]))
    if op.attributes["flatten"]:
        flat = net.emit("Reshape", [x, integers([-1])])
        made = net.emit(kind, [flat], axis=0, keepdims=0)
        made = net.emit("Reshape", [made, integers(y.shape)])
    else:
        (axis,) = axes_of(op, net, len(x.shape))
        made = net.emit(kind, [x], axis=axis, keepdims=keep)
    _index(op, net, made, y)


@lowering_rule("pd_op.topk")
def top(op: Op, net: Builder) -> None:
    """Values and where they stand."""
    x, _ = ends(op)
    count = integers(net.numbers(option(op, 1)))
    axis = int(op.attributes["axis"]) % max(1, len(x.shape))
    largest = int(bool(op.attributes["largest"]))
    net.emit("TopK", [x, count], list(op.outputs[:2]), axis=axis, largest=largest, sorted=1)


@lowering_rule("pd_op.argsort")
def sort(op: Op, net: Builder) -> None:
    """All of them, in order."""
    x, _ = ends(op)
    axis = int(op.attributes["axis"]) % max(1, len(x.shape))
    largest = int(bool(op.attributes["descending"]))
    count = integers([x.shape[axis]])
    net.emit("TopK", [x, count], list(op.outputs[:2]), axis=axis, largest=largest, sorted=1)


@lowering_rule("pd_op.cumsum", "pd_op.cumsum_")
def running(op: Op, net: Builder) -> None:
    """Along one axis."""
    x, y = ends(op)
    if op.attributes["flatten"]:
        net.refuse("it runs over all axes at once")
    (axis,) = axes_of(op, net, len(x.shape))
    net.emit(
        "CumSum",
        [x, np.asarray(axis)],
        y,
        exclusive=int(bool(op.attributes["exclusive"])),
        reverse=int(bool(op.attributes["reverse"])),
    )

"""Floor 1. Tensors whose numbers are known: written into the program, or made from such."""

from __future__ import annotations

import numpy as np

from slimlab.lowering.builder import Builder
from slimlab.lowering.registry import ends, integers, lowering_rule, option, twins
from slimlab.trace import Op, Value


def _output(op: Op) -> Value:
    return next(value for value in op.outputs if value is not None)


@lowering_rule("pd_op.full", "pd_op.full_", "pd_op.full_int_array")
def full(op: Op, net: Builder) -> None:
    """Numbers that are written into the program."""
    net.set_constant(_output(op), np.asarray(op.attributes["value"]))


@lowering_rule("pd_op.full_like", "pd_op.full_like_", "pd_op.full_with_tensor")
def full_like(op: Op, net: Builder) -> None:
    """One number in every place."""
    value = option(op, 0 if op.short == "full_with_tensor" else 1)
    net.set_constant(_output(op), net.numbers(value)[0])


@lowering_rule(*twins("assign_value"))
def assign_value(op: Op, net: Builder) -> None:
    """An array that is written into the program."""
    net.set_constant(_output(op), np.asarray(op.attributes["values"]).reshape(_output(op).shape))


@lowering_rule("pd_op.shape", "pd_op.shape64", "pd_op.numel")
def shape(op: Op, net: Builder) -> None:
    """Shapes are those of the example."""
    x, y = ends(op)
    net.set_constant(y, np.asarray(np.prod(x.shape) if op.short == "numel" else x.shape))


@lowering_rule("pd_op.arange")
def arange(op: Op, net: Builder) -> None:
    """From a number up to another one, in steps."""
    start, end, step = (net.numbers(option(op, n))[0] for n in range(3))
    net.set_constant(_output(op), np.arange(start, end, step))


@lowering_rule("pd_op.linspace")
def linspace(op: Op, net: Builder) -> None:
    """So many numbers, the last one included."""
    start, end, count = (net.numbers(option(op, n))[0] for n in range(3))
    net.set_constant(_output(op), np.linspace(start, end, int(count)))


@lowering_rule("pd_op.eye")
def eye(op: Op, net: Builder) -> None:
    """Ones on the diagonal."""
    rows, columns = (int(net.numbers(option(op, n))[0]) for n in range(2))
    net.set_constant(_output(op), np.eye(rows, columns))


@lowering_rule(*twins("tril", "triu"))
def triangle(op: Op, net: Builder) -> None:
    """What lies on one side of a diagonal."""
    x, y = ends(op)
    diagonal = np.asarray(int(op.attributes["diagonal"]))
    net.emit("Trilu", [x, diagonal], y, upper=int("triu" in op.short))


@lowering_rule("pd_op.one_hot")
def one_hot(op: Op, net: Builder) -> None:
    """One at the place that an index names, else zero."""
    x, y = ends(op)
    width = integers(net.numbers(option(op, 1)))
    net.emit("OneHot", [x, width, np.asarray([0, 1], net.numpy_type(y))], y)

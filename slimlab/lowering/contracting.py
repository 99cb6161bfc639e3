"""Floor 1. Products that sum over an axis: linear layers, attention, einsum."""

from __future__ import annotations

import numpy as np

from slimlab.lowering.builder import Builder, Operand
from slimlab.lowering.registry import ends, integers, lowering_rule, option
from slimlab.trace import Op, Value


def _turned(net: Builder, value: Value | None, turn: bool) -> Operand:
    """A value with its last two axes exchanged, if asked for."""
    if not turn or value is None or len(value.shape) < 2:
        return value
    rank = len(value.shape)
    return net.emit("Transpose", [value], perm=[*range(rank - 2), rank - 1, rank - 2])


@lowering_rule("pd_op.matmul", "pd_op.bmm", "pd_op.mv")
def matmul(op: Op, net: Builder) -> None:
    """A linear layer's weight stays (in, out)."""
    left = _turned(net, op.inputs[0], bool(op.attributes.get("transpose_x")))
    right = _turned(net, op.inputs[1], bool(op.attributes.get("transpose_y")))
    net.emit("MatMul", [left, right], op.outputs[0])


@lowering_rule("pd_op.dot")
def dot(op: Op, net: Builder) -> None:
    """The sum of the products along the last axis."""
    _, y = ends(op)
    product = net.emit("Mul", list(op.inputs))
    net.emit("ReduceSum", [product, integers([-1])], y, keepdims=0)


@lowering_rule("pd_op.addmm", "pd_op.addmm_")
def addmm(op: Op, net: Builder) -> None:
    """`beta` times the first plus `alpha` times the product of the others."""
    x, y = ends(op)
    kind = net.numpy_type(y)
    product = net.emit("MatMul", list(op.inputs[1:3]))
    product = net.emit("Mul", [product, np.asarray(op.attributes["alpha"], kind)])
    scaled = net.emit("Mul", [x, np.asarray(op.attributes["beta"], kind)])
    net.emit("Add", [scaled, product], y)


@lowering_rule("pd_op.einsum")
def einsum(op: Op, net: Builder) -> None:
    """The equation is written the same way."""
    equation = str(op.attributes["equation"]).replace(" ", "")
    net.emit("Einsum", list(net.items(op.inputs[0])), op.outputs[0], equation=equation)


@lowering_rule("pd_op.bilinear")
def bilinear(op: Op, net: Builder) -> None:
    """`x1` times a matrix an output times `x2`, plus the bias."""
    first, y = ends(op)
    second, weight, bias = op.inputs[1], op.inputs[2], option(op, 3)
    half = net.emit("Einsum", [first, weight], equation="ni,oij->noj")
    if bias is None:
        net.emit("Einsum", [half, second], y, equation="noj,nj->no")
        return
    made = net.emit("Einsum", [half, second], equation="noj,nj->no")
    net.emit("Add", [made, bias], y)

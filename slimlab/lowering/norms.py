"""Floor 1. Normalisations."""

from __future__ import annotations

import numpy as np

from slimlab.lowering.builder import Builder, Operand
from slimlab.lowering.layout import channels_first, give_back, is_last, on_image
from slimlab.lowering.registry import ends, integers, lowering_rule, option
from slimlab.trace import Op, Value


def given(net: Builder, value: Value | None, size: int, otherwise: float, like: Value) -> Operand:
    """A scale or a shift, or the constant that changes nothing where there is none."""
    if value is not None:
        return value
    return np.full([size], otherwise, net.numpy_type(like))


@lowering_rule("pd_op.batch_norm_", "pd_op.batch_norm", "pd_op.sync_batch_norm_")
def batch_norm(op: Op, net: Builder) -> None:
    """Stays one node with its four parameters; runtimes fold it into the convolution before it."""
    x, _ = ends(op)
    if not op.attributes["is_test"] and not op.attributes["use_global_stats"]:
        net.refuse("it normalises with the statistics of the batch, even in evaluation mode")
    mean, variance, scale, bias = (option(op, n) for n in (1, 2, 3, 4))
    size = x.shape[-1] if is_last(op) and len(x.shape) > 2 else x.shape[1]
    parameters = [given(net, scale, size, 1, x), given(net, bias, size, 0, x), mean, variance]
    epsilon = float(op.attributes["epsilon"])
    on_image(op, net, "BatchNormalization", parameters, epsilon=epsilon)


@lowering_rule("pd_op.instance_norm")
def instance_norm(op: Op, net: Builder) -> None:
    """The same in both."""
    x, y = ends(op)
    parameters = [
        given(net, option(op, 1), x.shape[1], 1, x),
        given(net, option(op, 2), x.shape[1], 0, x),
    ]
    epsilon = float(op.attributes["epsilon"])
    net.emit("InstanceNormalization", [x, *parameters], y, epsilon=epsilon)


@lowering_rule("pd_op.layer_norm")
def layer_norm(op: Op, net: Builder) -> None:
    """Paddle's scale and shift are one long row; ONNX's have the shape that is normalised."""
    x, y = ends(op)
    begin = int(op.attributes["begin_norm_axis"]) % len(x.shape)
    shape = x.shape[begin:]
    parameters: list[Operand] = []
    for position, otherwise in ((1, 1.0), (2, 0.0)):
        value = option(op, position)
        if value is None:
            parameters.append(np.full(shape, otherwise, net.numpy_type(x)))
        elif value.shape != shape:
            parameters.append(net.emit("Reshape", [value, integers(shape)]))
        else:
            parameters.append(value)
    epsilon = float(op.attributes["epsilon"])
    net.emit("LayerNormalization", [x, *parameters], y, axis=begin, epsilon=epsilon)


@lowering_rule("pd_op.group_norm")
def group_norm(op: Op, net: Builder) -> None:
    """An instance norm whose channels are the groups, then scale and shift."""
    x, _ = ends(op)
    groups, last = int(op.attributes["groups"]), is_last(op)
    size = x.shape[-1] if last else x.shape[1]
    first = (x.shape[0], size, *(x.shape[1:-1] if last else x.shape[2:]))
    rows = net.emit("Reshape", [channels_first(op, net), integers([0, groups, -1])])
    kind = net.numpy_type(x)
    plain = [np.ones([groups], kind), np.zeros([groups], kind)]
    epsilon = float(op.attributes["epsilon"])
    made = net.emit("InstanceNormalization", [rows, *plain], epsilon=epsilon)
    weights = [(k, v) for k, v in (("Mul", option(op, 1)), ("Add", option(op, 2))) if v is not None]
    column = integers([size, *[1] * (len(first) - 2)])
    last_node: tuple[str, list[Operand]] = ("Reshape", [made, integers([0, *first[1:]])])
    for node, value in weights:
        before = net.emit(*last_node)
        last_node = (node, [before, net.emit("Reshape", [value, column])])
    give_back(op, net, *last_node)

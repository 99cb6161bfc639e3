"""Floor 1. Convolutions and embeddings: operators whose weights make channels."""

from __future__ import annotations

import math

import numpy as np

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.errors import UnsupportedOpError
from slimlab.rules.registry import channel_rule, freeze_inputs, tensors
from slimlab.trace import Op, Value


@channel_rule("pd_op.conv2d", "pd_op.depthwise_conv2d", "pd_op.conv3d")
def convolution(op: Op, channels: Channels) -> None:
    """Filters are (out, in / groups, ...); depthwise convolution ties in to out."""
    (x, weight, *_), y = tensors(op)
    axis = _channel_axis(op, x)
    groups = int(op.attributes["groups"])
    if x.shape[axis] != weight.shape[1] * groups:
        # Paddle's tracer lets this pass; running the model would fail.
        msg = (
            f"{weight.parameter or op.short} takes {weight.shape[1] * groups} channels but is "
            f"given {x.shape[axis]}, in a tensor of shape {list(x.shape)}. "
            "Check the example's shape."
        )
        raise UnsupportedOpError(msg, parameter=weight.parameter, shape=x.shape)
    into, filters = channels.labels(x)[axis], channels.labels(weight)
    why = f"feeds {op.short} from a tensor of fixed size"
    made = filters[0]
    channels.produces(weight, 0, op.short)
    if groups == 1:
        channels.couple(into, filters[1], why)
        channels.consumes(weight, 1, op.short)
    elif weight.shape[1] == 1:
        # groups == in channels; each filter belongs to one input channel
        repeated = None if into is None else np.repeat(into, weight.shape[0] // groups)
        channels.couple(repeated, made, why)
    else:
        _grouped(channels, (into, filters[0], filters[1]), groups, why)
        channels.consumes(weight, 1, op.short)
    if groups > 1 and weight.shape[1] == 1:
        _own_number(op, channels, made)
    spatial = [size for n, size in enumerate(y.shape) if n not in {0, axis}]
    channels.count_macs(weight, math.prod(spatial), y.shape)
    _set(op, channels, (x, y), axis, made)


def _own_number(op: Op, channels: Channels, made: Atoms | None) -> None:
    """A group a channel: the number of groups follows in Paddle's layers, elsewhere it may not."""
    if not op.is_of_paddles_layer:
        channels.assume(op, made, f"its number of groups is given to {op.short} as a number")


def _channel_axis(op: Op, x: Value) -> int:
    return 1 if op.attributes.get("data_format", "NCHW").startswith("NC") else len(x.shape) - 1


def _set(
    op: Op, channels: Channels, ends: tuple[Value, Value], axis: int, made: Atoms | None
) -> None:
    """What comes out has the channels that were made; channels may also lie in the batch."""
    x, y = ends
    labels: list[Atoms | None] = [None] * len(y.shape)
    for n, along in enumerate(channels.labels(x)):
        if n == 0:
            labels[0] = along
        elif n != axis:
            channels.freeze(along, f"{op.short} works along these channels")
    labels[axis] = made
    # Zeroed filters make zero; a zeroed image of the batch still gets the bias.
    channels.set(y, labels, zeros=[n == axis for n in range(len(y.shape))])


def _grouped(
    channels: Channels, axes: tuple[Atoms | None, Atoms | None, Atoms | None], groups: int, why: str
) -> None:
    """Keep the groups of a grouped convolution equal: the same position goes in each of them."""
    into, made, taken = axes
    for group in range(groups):
        part = None if into is None else into.reshape(groups, -1)[group]
        channels.couple(part, taken, why)
    if made is not None:
        each = made.reshape(groups, -1)
        for group in range(1, groups):
            channels.couple(each[0], each[group], why)


@channel_rule(
    "pd_op.conv2d_transpose",
    "pd_op.conv2d_transpose_bias",
    "pd_op.depthwise_conv2d_transpose",
    "pd_op.conv3d_transpose",
)
def transposed(op: Op, channels: Channels) -> None:
    """Filters are (in, out / groups, ...): the second axis makes the channels of every group."""
    (x, weight, *_), y = tensors(op)
    axis = _channel_axis(op, x)
    groups = int(op.attributes["groups"])
    into, filters = channels.labels(x)[axis], channels.labels(weight)
    why = f"feeds {op.short} from a tensor of fixed size"
    channels.couple(into, filters[0], why)
    made = filters[1]
    if groups == 1:
        channels.produces(weight, 1, op.short)
        channels.consumes(weight, 0, op.short)
    elif weight.shape[0] == groups and filters[0] is not None:
        channels.freeze(filters[1], f"{op.short} makes several channels of one")
        made = np.repeat(filters[0], weight.shape[1])
        channels.produces(weight, 0, "depthwise_conv2d")
        _own_number(op, channels, made)
    else:
        channels.produces(weight, 1, op.short)
        channels.consumes(weight, 0, op.short)
        if filters[0] is not None:
            each = filters[0].reshape(groups, -1)
            for group in range(1, groups):
                channels.couple(each[0], each[group], why)
        made = None if made is None else np.tile(made, groups)
    spatial = [size for n, size in enumerate(x.shape) if n not in {0, axis}]
    channels.count_macs(weight, math.prod(spatial), y.shape)
    _set(op, channels, (x, y), axis, made)


@channel_rule("pd_op.embedding")
def embedding(op: Op, channels: Channels) -> None:
    """A table (words, channels); the words are looked up by number and stay."""
    (index, weight), y = tensors(op)
    words, made = channels.labels(weight)
    channels.freeze(words, "its rows are looked up by number")
    channels.produces(weight, 1, op.short)
    channels.freeze_value(index, "used as indices")
    labels: list[Atoms | None] = [None] * (len(y.shape) - 1)
    channels.set(y, [*labels, made], zeros=[True] * len(y.shape))


@channel_rule("pd_op.deformable_conv")
def deformable(op: Op, channels: Channels) -> None:
    """Offsets and masks are of fixed size."""
    x, offset, weight, *rest = (value for value in op.inputs if value is not None)
    if int(op.attributes["groups"]) != 1 or int(op.attributes["deformable_groups"]) != 1:
        freeze_inputs(op, channels, "deformable convolution in groups")
        return
    for value in (offset, *rest):
        channels.freeze_value(value, "offsets of a deformable convolution")
    filters = channels.labels(weight)
    channels.produces(weight, 0, op.short)
    channels.couple(channels.labels(x)[1], filters[1], "feeds a deformable convolution")
    channels.consumes(weight, 1, op.short)
    _, y = tensors(op)
    channels.count_macs(weight, math.prod(y.shape[2:]), y.shape)
    _set(op, channels, (x, y), 1, filters[0])

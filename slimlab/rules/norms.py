"""Floor 1. Normalisations: exact where statistics are a channel's own, else frozen."""

from __future__ import annotations

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.rules.registry import channel_rule, freeze_inputs, tensors, tie
from slimlab.trace import Op, Value


@channel_rule("pd_op.batch_norm_", "pd_op.batch_norm", "pd_op.sync_batch_norm_")
def batch_norm(op: Op, channels: Channels) -> None:
    """Mean, variance, scale and bias have an entry a channel."""
    (x, *statistics), _ = tensors(op)
    layout = op.attributes.get("data_format", "NCHW")
    axis = 1 if layout.startswith("NC") or len(x.shape) == 2 else len(x.shape) - 1
    _along(channels, x, axis, statistics, op)


@channel_rule("pd_op.instance_norm")
def instance_norm(op: Op, channels: Channels) -> None:
    """Statistics are a channel's own."""
    (x, *weights), _ = tensors(op)
    for along in channels.labels(x)[2:]:
        channels.freeze(along, "instance_norm takes its statistics over these channels")
    _along(channels, x, 1, weights, op)


def _along(channels: Channels, x: Value, axis: int, weights: list[Value], op: Op) -> None:
    labels = list(channels.labels(x))
    for value in weights:
        own = channels.labels(value)[0]
        labels[axis] = channels.couple(own, labels[axis], "normalises a tensor of fixed size")
    # With a scale and a shift, both zeroed, the channel is zero whatever came in. Channels that lie
    # along another axis get the shift of those that stay.
    own_parameters = sum(value.parameter is not None for value in weights)
    flags = [False] * len(x.shape)
    flags[axis] = channels.zeros(x)[axis] or own_parameters in {2, 4}
    output = op.outputs[0]
    if output is not None:
        channels.set(output, labels, zeros=flags)


@channel_rule("pd_op.layer_norm")
def layer_norm(op: Op, channels: Channels) -> None:
    """Mean and variance are over all channels: removing one changes the others."""
    (x, *weights), y = tensors(op)
    begin = int(op.attributes["begin_norm_axis"]) % len(x.shape)
    _over(op, channels, (x, y), begin, weights)


@channel_rule("pd_op.rms_norm", "pd_op.fused_rms_norm")
def rms_norm(op: Op, channels: Channels) -> None:
    """The mean square is over all channels, as in layer norm."""
    (x, *weights), y = tensors(op)
    begin = op.attributes.get("begin_norm_axis")
    shape = op.attributes.get("normalized_shape") or x.shape[-1:]
    first = len(x.shape) - len(shape) if begin is None else int(begin) % len(x.shape)
    _over(op, channels, (x, y), first, weights)


def _over(
    op: Op, channels: Channels, ends: tuple[Value, Value], begin: int, weights: list[Value]
) -> None:
    why = f"{op.short} takes its statistics over these channels: losing one changes the others"
    labels = list(channels.labels(ends[0]))
    for axis in range(begin, len(labels)):
        channels.freeze(labels[axis], why)
        labels[axis] = None
    for value in weights:
        channels.freeze_value(value, why)
    channels.set(ends[1], labels)


@channel_rule("pd_op.group_norm")
def group_norm(op: Op, channels: Channels) -> None:
    """Statistics are over a group of neighbouring channels: only whole groups can go."""
    (x, *weights), y = tensors(op)
    groups = int(op.attributes["groups"])
    axis = 1 if op.attributes.get("data_format", "NCHW").startswith("NC") else len(x.shape) - 1
    if groups == 1:
        why = "group norm with one group takes its statistics over all channels"
        freeze_inputs(op, channels, why)
        return
    labels: list[Atoms | None] = list(channels.labels(x))
    for n, along in enumerate(labels):
        if n not in {0, axis}:
            channels.freeze(along, "group norm takes its statistics over these channels")
    for value in weights:
        own = channels.labels(value)[0]
        labels[axis] = channels.couple(own, labels[axis], "normalises a tensor of fixed size")
    along = labels[axis]
    if along is not None:
        tie(channels, along.reshape(groups, -1))
        own_layer = all(v.parameter is not None for v in weights) and bool(weights)
        if not own_layer or not op.is_of_paddles_layer:
            channels.assume(op, along, "its number of groups is given to group_norm as a number")
    channels.set(y, labels, zeros=[n == axis and len(weights) == 2 for n in range(len(y.shape))])

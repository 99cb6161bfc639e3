"""Floor 1. Operators that write into a part of a tensor, or keep only a part of it."""

from __future__ import annotations

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.rules.pieces import part_of
from slimlab.rules.registry import channel_rule, freeze_inputs, named, tensors
from slimlab.trace import Op, Value


@channel_rule(*named(("set_value", "set_value_with_tensor")))
def set_value(op: Op, channels: Channels) -> None:
    """`x[bounds] = value`: the part that is written has the channels of what is written."""
    inputs, y = tensors(op)
    x, bounds = inputs[0], [channels.constant(v) for v in inputs[-3:]]
    value = inputs[1] if "with_tensor" in op.short else None
    if any(b is None for b in bounds) or op.attributes.get("none_axes"):
        freeze_inputs(op, channels, "written at places that are not known")
        return
    starts, ends, steps = (tuple(b or ()) for b in bounds)
    axes = [int(axis) for axis in op.attributes["axes"]]
    dropped = {int(axis) for axis in op.attributes["decrease_axes"]}
    labels: list[Atoms | None] = list(channels.labels(x))
    written: list[Atoms | None] = list(labels)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        along = labels[axis]
        if along is None:
            continue
        if step != 1:
            channels.freeze(along, "written in steps along these channels")
            written[axis] = None
        else:
            written[axis] = part_of(op, channels, along, (start, end), dropped=axis in dropped)
    _write(op, channels, value, [a for n, a in enumerate(written) if n not in dropped])
    zero = _zero_where(op, channels, value)
    flags = [flag and zero for flag in channels.zeros(x)]
    channels.set(y, labels, zeros=flags)


def _write(op: Op, channels: Channels, value: Value | None, written: list[Atoms | None]) -> None:
    """Tie what is written to where it goes; axes of length one broadcast."""
    if value is None:
        return
    own = list(zip(value.shape, channels.labels(value), strict=True))
    for offset in range(1, len(own) + 1):
        size, along = own[-offset]
        if size == 1:
            continue
        if offset > len(written):
            channels.freeze(along, f"{op.short} of more axes than there are")
            continue
        place = written[-offset]
        if place is not None and len(place) != size:
            channels.freeze(place, f"{op.short} at a place of another size")
            channels.freeze(along, f"{op.short} at a place of another size")
        else:
            channels.couple(place, along, f"{op.short} with a tensor of fixed size")


def _zero_where(op: Op, channels: Channels, value: Value | None) -> bool:
    """Whether what is written leaves masked channels zero."""
    if value is None:
        return not any(op.attributes.get("values", (1,)))
    return False


@channel_rule("pd_op.crop")
def crop(op: Op, channels: Channels) -> None:
    """A box is cut out, from offsets on."""
    (x, *bounds), y = tensors(op)
    shape, offsets = ([channels.constant(v) for v in bounds] + [None, None])[:2]
    if shape is None or offsets is None:
        freeze_inputs(op, channels, "cropped at places that are not known")
        return
    labels: list[Atoms | None] = list(channels.labels(x))
    for axis, along in enumerate(labels):
        if along is None:
            continue
        first = int(offsets[axis])
        if (first, y.shape[axis]) == (0, len(along)):
            if shape[axis] > 0:
                channels.assume(
                    op, along, "cropped to a size written into the forward", shape[axis]
                )
        else:
            labels[axis] = part_of(op, channels, along, (first, first + y.shape[axis]))
    channels.set(y, labels, zeros=channels.zeros(x))


@channel_rule("pd_op.tril", "pd_op.triu")
def triangle(op: Op, channels: Channels) -> None:
    """Half of the last two axes is zeroed, by position."""
    (x,), y = tensors(op)
    labels: list[Atoms | None] = list(channels.labels(x))
    for axis in range(len(labels) - 2, len(labels)):
        channels.freeze(labels[axis], f"{op.short} zeroes these channels by their number")
        labels[axis] = None
    channels.set(y, labels, zeros=channels.zeros(x))

"""Floor 1. Operators that take a part of a tensor, or repeat it.

Bounds that user code has written down stay right only if what lies before them stays.
"""

from __future__ import annotations

import math

import numpy as np

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.rules.registry import (
    axes_of,
    channel_rule,
    follows,
    freeze_inputs,
    named,
    tensors,
    tie,
)
from slimlab.trace import Op, Value


@channel_rule("builtin.split")
def items(op: Op, channels: Channels) -> None:
    """The members of a list value get names of their own."""
    inputs, _ = tensors(op)
    members = channels.items(inputs[0])
    parts = channels.parts(inputs[0])
    for n, output in enumerate(op.outputs):
        if output is None:
            continue
        if parts is not None:
            if n >= len(parts):  # nothing that could shrink
                continue
            channels.set(output, parts[n][0], zeros=parts[n][1])
        elif members != (inputs[0],):
            channels.set(output, channels.labels(members[n]), zeros=channels.zeros(members[n]))


@channel_rule("pd_op.split_with_num")
def chunk(op: Op, channels: Channels) -> None:
    """Equal parts stay equal: the same positions go in each of them."""
    (x, *_), y = tensors(op)
    axes = axes_of(op, channels, len(x.shape))
    if axes is None:
        freeze_inputs(op, channels, "split along an axis that is not known")
        return
    number = int(op.attributes["num"])
    along = channels.labels(x)[axes[0]]
    if along is not None:
        tie(channels, along.reshape(number, -1).T)
    _set_parts(channels, x, y, axes[0], [x.shape[axes[0]] // number] * number)


@channel_rule("pd_op.split")
def split(op: Op, channels: Channels) -> None:
    """Parts of given lengths: equal ones may be computed, others are written down."""
    (x, sections, *_), y = tensors(op)
    axes = axes_of(op, channels, len(x.shape), 2)
    lengths = channels.constant(sections)
    if axes is None or lengths is None:
        freeze_inputs(op, channels, "split into parts that are not known")
        return
    axis = axes[0]
    known = sum(n for n in lengths if n > 0)
    sizes = [int(n) if n > 0 else x.shape[axis] - known for n in lengths]
    along = channels.labels(x)[axis]
    if along is not None:
        start = 0
        if len(set(lengths)) == 1:
            tie(channels, along.reshape(len(sizes), -1).T)
        for length, size in zip(lengths, sizes, strict=True):
            part, start = along[start : start + size], start + size
            why = "its part of a split has its length written into the forward"
            if len(set(lengths)) == 1:
                channels.assume(op, part, why, length)
            elif length > 0:
                channels.guess(op, part, why, [length])
    _set_parts(channels, x, y, axis, sizes)


def _set_parts(channels: Channels, x: Value, y: Value, axis: int, sizes: list[int]) -> None:
    labels, zeros = channels.labels(x), channels.zeros(x)
    parts = []
    start = 0
    for size in sizes:
        own = list(labels)
        along = own[axis]
        own[axis] = None if along is None else along[start : start + size]
        parts.append((tuple(own), zeros))
        start += size
    channels.set_parts(y, parts)


@channel_rule("pd_op.unbind", "pd_op.unstack")
def unbind(op: Op, channels: Channels) -> None:
    """Each index of an axis becomes a tensor: none can go."""
    (x,), y = tensors(op)
    axis = int(op.attributes["axis"]) % len(x.shape)
    labels, zeros = list(channels.labels(x)), list(channels.zeros(x))
    channels.freeze(labels[axis], "unbind makes a tensor of each channel")
    del labels[axis], zeros[axis]
    channels.set_parts(y, [(tuple(labels), tuple(zeros))] * x.shape[axis])


@channel_rule(*named(("slice",)))
def cut_out(op: Op, channels: Channels) -> None:
    """What lies before a bound must stay, unless the axis is cut into equal parts."""
    (x, starts, ends, *_), y = tensors(op)
    first, last = channels.constant(starts), channels.constant(ends)
    axes = [int(axis) for axis in op.attributes["axes"]]
    if first is None or last is None or len(first) != len(axes):
        freeze_inputs(op, channels, "sliced at bounds that are not known")
        return
    labels: list[Atoms | None] = list(channels.labels(x))
    dropped = [int(axis) for axis in op.attributes.get("decrease_axis") or ()]
    for axis, start, end in zip(axes, first, last, strict=True):
        along = labels[axis]
        if along is not None:
            labels[axis] = part_of(op, channels, along, (start, end), dropped=axis in dropped)
    zeros = channels.zeros(x)
    rest = [axis for axis in range(len(labels)) if axis not in dropped]
    if len(rest) != len(y.shape):  # a single element, kept as a vector of one
        freeze_inputs(op, channels, "sliced to a single element")
        return
    channels.set(y, [labels[n] for n in rest], zeros=[zeros[n] for n in rest])


def part_of(
    op: Op, channels: Channels, along: Atoms, bounds: tuple[int, int], *, dropped: bool = False
) -> Atoms | None:
    """The channels between two bounds; those that a bound counts stay, or shrink with it."""
    size = len(along)
    start, end = (min(size, max(0, b + size if b < 0 else b)) for b in bounds)
    part = along[start:end]
    why = "sliced at a bound written into the forward"
    if (start, end) == (0, size):
        if bounds[1] == size:
            channels.assume(op, along, why, size)
        return along
    length = end - start
    even = length > 1 and size % length == 0 and start % length == 0 and not dropped
    if even and bounds[0] >= 0 and not channels.is_written(op, [b for b in bounds if 0 < b < size]):
        tie(channels, along.reshape(-1, length).T)
        channels.assume(op, along, why, length, counted=part)
        return part
    # A bound counted from the front holds when nothing before it goes; from the back, after it.
    open_end = bounds[1] >= 2**30 or (bounds[1] == size and bounds[0] < 0)
    counted = [along[:start]] if bounds[0] >= 0 else [along[start:]]
    if bounds[0] >= 0 and bounds[1] < 0:
        counted.append(along[end:])
    elif bounds[0] >= 0 and not open_end:
        counted.append(part)
    for atoms in counted:
        if dropped or length < 2:
            channels.freeze(atoms, why)
        else:
            channels.guess(op, atoms, why, [abs(b) for b in bounds if b and abs(b) < 2**30])
    return None if dropped else part


@channel_rule("pd_op.strided_slice", "pd_op.gather", "pd_op.index_select")
def pick_out(op: Op, channels: Channels) -> None:
    """Axes of which only some indices are taken stay; the others keep their channels."""
    (x, *others), y = tensors(op)
    for other in others:
        channels.freeze_value(other, "used as indices")
    labels = list(channels.labels(x))
    axes = [int(axis) % len(x.shape) for axis in op.attributes.get("axes", ())]
    if op.short != "strided_slice":
        axes = list(axes_of(op, channels, len(x.shape), 2) or ())
    if len(labels) != len(y.shape) or len(axes) == 0:
        freeze_inputs(op, channels, f"{op.short} reads channels by number")
        return
    for axis in axes:
        channels.freeze(labels[axis], f"{op.short} reads these channels by number")
        labels[axis] = None
    channels.set(y, labels, zeros=channels.zeros(x))


@channel_rule("pd_op.expand", "pd_op.expand_as", "pd_op.broadcast_to")
def expand(op: Op, channels: Channels) -> None:
    """Axes of length one grow; the others keep their channels."""
    (x, *others), y = tensors(op)
    missing = len(y.shape) - len(x.shape)
    written = channels.constant(others[0]) if others else None
    labels: list[Atoms | None] = [*[None] * missing, *channels.labels(x)]
    flags = [False] * missing + list(channels.zeros(x))
    like = channels.labels(others[0]) if op.short == "expand_as" and others else None
    sizes = [1] * missing + list(x.shape)
    for axis, along in enumerate(labels):
        grows = sizes[axis] == 1 and y.shape[axis] > 1
        flags[axis] = flags[axis] and not grows
        if like is not None:
            labels[axis] = like[axis] if grows else channels.couple(along, like[axis], "expand_as")
            continue
        size = None if written is None else written[axis]
        if grows and (size is None or size > 0):
            labels[axis] = follows(op, channels, y.shape[axis])
        elif along is not None and (size is None or size > 0):
            channels.assume(op, along, "expanded to a size written into the forward", size)
    channels.set(y, labels, zeros=flags)


@channel_rule("pd_op.broadcast_tensors")
def broadcast(op: Op, channels: Channels) -> None:
    """Every tensor of a list gets the shape of all together."""
    inputs, y = tensors(op)
    values = channels.items(inputs[0])
    rank = max(len(value.shape) for value in values)
    labels: list[Atoms | None] = [None] * rank
    for axis in range(rank):
        sides = [
            (value.shape[axis - rank], channels.labels(value)[axis - rank])
            for value in values
            if len(value.shape) >= rank - axis
        ]
        wide = [atoms for size, atoms in sides if size != 1]
        labels[axis] = wide[0] if wide else None
        for atoms in wide[1:]:
            labels[axis] = channels.couple(labels[axis], atoms, "broadcast with a fixed tensor")
    parts = []
    for value in values:
        missing = rank - len(value.shape)
        zero = [False] * missing + [
            flag and size != 1
            for flag, size in zip(channels.zeros(value), value.shape, strict=True)
        ]
        parts.append((tuple(labels), tuple(zero)))
    channels.set_parts(y, parts)


@channel_rule("pd_op.tile")
def tile(op: Op, channels: Channels) -> None:
    """A channel and its copies go together."""
    (x, *others), y = tensors(op)
    times = channels.constant(others[0]) if others else None
    if times is None:
        freeze_inputs(op, channels, "tiled so many times as is not known")
        return
    missing = len(y.shape) - len(x.shape)
    repeats = [1] * (len(y.shape) - len(times)) + [int(n) for n in times]
    labels: list[Atoms | None] = [*[None] * missing, *channels.labels(x)]
    tiled = [
        None if along is None else np.tile(along, n)
        for along, n in zip(labels, repeats, strict=True)
    ]
    channels.set(y, tiled, zeros=[True] * missing + list(channels.zeros(x)))


@channel_rule("pd_op.repeat_interleave")
def repeat(op: Op, channels: Channels) -> None:
    """A channel and its copies, side by side, go together."""
    (x, *_), y = tensors(op)
    axis = int(op.attributes["axis"]) % max(1, len(x.shape))
    labels: list[Atoms | None] = list(channels.labels(x))
    along = labels[axis]
    labels[axis] = None if along is None else np.repeat(along, int(op.attributes["repeats"]))
    channels.set(y, labels, zeros=channels.zeros(x))


@channel_rule("pd_op.unfold")
def unfold(op: Op, channels: Channels) -> None:
    """Each channel becomes the pixels of its window, side by side."""
    (x,), y = tensors(op)
    labels, zeros = channels.labels(x), channels.zeros(x)
    pixels = math.prod(op.attributes["kernel_sizes"])
    made = None if labels[1] is None else np.repeat(labels[1], pixels)
    for along in labels[2:]:
        channels.freeze(along, "unfold works along these channels")
    channels.set(y, [labels[0], made, None], zeros=[*zeros[:2], True])


@channel_rule("pd_op.fold")
def fold(op: Op, channels: Channels) -> None:
    """Blocks of neighbouring channels become the windows of one."""
    (x, *_), y = tensors(op)
    labels, zeros = channels.labels(x), channels.zeros(x)
    pixels = math.prod(op.attributes["kernel_sizes"])
    made = None if labels[1] is None else tie(channels, labels[1].reshape(-1, pixels))
    if len(labels) > 2:
        channels.freeze(labels[2], "fold works along these channels")
    channels.set(y, [labels[0], made, None, None], zeros=[*zeros[:2], True, True])

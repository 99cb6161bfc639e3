"""Floor 1. Lists of tensors, slices and indices."""

from __future__ import annotations

import numpy as np

from slimlab.lowering.builder import Builder, Operand
from slimlab.lowering.moving import target
from slimlab.lowering.registry import ends, integers, lowering_rule, option, twins
from slimlab.trace import Op


@lowering_rule("builtin.combine")
def combine(op: Op, net: Builder) -> None:
    """A list is known by its items and has no node."""


@lowering_rule("builtin.split")
def uncombine(op: Op, net: Builder) -> None:
    """The same items under other names, where a list is taken apart twice or never was made."""
    for item, output in zip(net.items(op.inputs[0]), op.outputs, strict=True):
        if output is not None and item.id != output.id:
            net.emit("Identity", [item], output)


def _axis(op: Op, net: Builder, position: int, rank: int) -> int:
    given = op.attributes.get("axis")
    number = net.numbers(option(op, position))[0] if given is None else given
    return int(number) % max(1, rank)


@lowering_rule("pd_op.concat")
def concat(op: Op, net: Builder) -> None:
    """End to end."""
    y = op.outputs[0]
    items = net.items(op.inputs[0])
    net.emit("Concat", list(items), y, axis=_axis(op, net, 1, len(items[0].shape)))


@lowering_rule("pd_op.stack")
def stack(op: Op, net: Builder) -> None:
    """Along a new axis."""
    items, y = net.items(op.inputs[0]), op.outputs[0]
    axis = int(op.attributes["axis"]) % (len(items[0].shape) + 1)
    wide = [net.emit("Unsqueeze", [item, integers([axis])]) for item in items]
    net.emit("Concat", list(wide), y, axis=axis)


@lowering_rule("pd_op.split", "pd_op.split_with_num")
def split(op: Op, net: Builder) -> None:
    """Into parts whose lengths are those that were traced."""
    x, listed = ends(op)
    parts = net.items(listed)
    axis = _axis(op, net, 2 if op.short == "split" else 1, len(x.shape))
    net.emit("Split", [x, integers([part.shape[axis] for part in parts])], parts, axis=axis)


@lowering_rule("pd_op.unbind")
def unbind(op: Op, net: Builder) -> None:
    """Each index of an axis becomes a tensor without that axis."""
    x, listed = ends(op)
    axis = int(op.attributes["axis"]) % len(x.shape)
    for n, part in enumerate(net.items(listed)):
        if net.used(part):
            net.emit("Gather", [x, np.asarray(n)], part, axis=axis)


@lowering_rule(*twins("slice", "strided_slice"))
def cut_out(op: Op, net: Builder) -> None:
    """Bounds beyond the ends count as the ends; an axis that is dropped has length one."""
    x, y = ends(op)
    starts, bounds = (net.numbers(option(op, n)) for n in (1, 2))
    axes = [int(axis) % len(x.shape) for axis in op.attributes["axes"]]
    steps = net.numbers(option(op, 3)) if "strided" in op.short else [1] * len(axes)
    dropped = [int(axis) % len(x.shape) for axis in op.attributes.get("decrease_axis") or ()]
    # x[-1] is the slice from -1 to 0 of an axis that is dropped: to the end.
    stops = [
        2**31 - 1 if first == -1 and axis in dropped else stop
        for axis, first, stop in zip(axes, starts, bounds, strict=True)
    ]
    operands: list[Operand] = [x, integers(starts), integers(stops), integers(axes)]
    if any(step != 1 for step in steps):
        operands.append(integers(steps))
    if dropped and len(y.shape) == len(x.shape) - len(dropped):
        net.emit("Squeeze", [net.emit("Slice", operands), integers(dropped)], y)
    elif dropped:  # a single element, kept as a vector of one
        net.emit("Reshape", [net.emit("Slice", operands), target((), y.shape)], y)
    else:
        net.emit("Slice", operands, y)


@lowering_rule("pd_op.crop")
def crop(op: Op, net: Builder) -> None:
    """A box from offsets on, of the size that was traced."""
    x, y = ends(op)
    first = [int(n) for n in net.numbers(option(op, 2))]
    axes = [n for n, start in enumerate(first) if start or y.shape[n] != x.shape[n]]
    starts = [first[n] for n in axes]
    stops = [first[n] + y.shape[n] for n in axes]
    net.emit("Slice", [x, integers(starts), integers(stops), integers(axes)], y)


@lowering_rule("pd_op.gather", "pd_op.index_select")
def gather(op: Op, net: Builder) -> None:
    """Pick indices of an axis; a column of indices counts as a row."""
    x, y = ends(op)
    index = op.inputs[1]
    axis = _axis(op, net, 2, len(x.shape))
    picked: Operand = index
    if index is not None and len(index.shape) == 2:
        picked = net.emit("Reshape", [index, integers([-1])])
    net.emit("Gather", [x, picked], y, axis=axis)


@lowering_rule("pd_op.gather_nd")
def gather_nd(op: Op, net: Builder) -> None:
    """The same in both."""
    x, y = ends(op)
    index = op.inputs[1]
    net.emit("GatherND", [x, None if index is None else net.as_type(index, np.int64)], y)


@lowering_rule("pd_op.take_along_axis")
def take_along_axis(op: Op, net: Builder) -> None:
    """One index for each element of the output."""
    x, y = ends(op)
    axis = int(op.attributes["axis"]) % max(1, len(x.shape))
    net.emit("GatherElements", [x, op.inputs[1]], y, axis=axis)


def _slices(op: Op, net: Builder, rank: int) -> list[slice]:
    """The part of a tensor that is written over, one slice an axis."""
    if op.attributes["none_axes"]:
        net.refuse("it writes to a slice with new axes")
    axes = [int(axis) % rank for axis in op.attributes["axes"]]
    starts, stops, steps = (net.numbers(option(op, n)) for n in range(-3, 0))
    part = [slice(None)] * rank
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        whole = start == -1 and stop == 0  # x[-1]
        part[axis] = slice(start, None if whole else stop, step)
    return part


@lowering_rule("pd_op.set_value", "pd_op.set_value_")
def write_number(op: Op, net: Builder) -> None:
    """One number over a slice."""
    x, y = ends(op)
    values = [float(n) for n in op.attributes["values"]]
    if len(values) != 1:
        net.refuse("it writes several numbers to a slice")
    part = _slices(op, net, len(x.shape))
    # Axes that are written to in whole are broadcast.
    mask = np.zeros(
        [1 if p == slice(None) else n for p, n in zip(part, x.shape, strict=True)], bool
    )
    mask[tuple(part)] = True
    net.emit("Where", [mask, np.asarray(values[0], net.numpy_type(x)), x], y)


@lowering_rule("pd_op.set_value_with_tensor", "pd_op.set_value_with_tensor_")
def write_tensor(op: Op, net: Builder) -> None:
    """A tensor over a slice: each element of the output says where it is read from."""
    x, y = ends(op)
    value, rank = op.inputs[1], len(x.shape)
    part = _slices(op, net, rank)
    dropped = {int(axis) % rank for axis in op.attributes["decrease_axes"]}
    sizes = [len(range(*p.indices(n))) for p, n in zip(part, x.shape, strict=True)]
    if value is None or any(sizes[axis] != 1 for axis in dropped):
        net.refuse("it writes to a slice of an unknown kind")
    shape = [1] * (rank - len(dropped) - len(value.shape)) + list(value.shape)
    for axis in sorted(dropped):
        shape.insert(axis, 1)
    wide = net.emit("Expand", [net.emit("Reshape", [value, integers(shape)]), integers(sizes)])
    made: Operand = net.as_type(x, net.numpy_type(y))
    axes = [n for n in range(rank) if sizes[n] != x.shape[n] or (part[n].step or 1) != 1]
    mask = np.zeros([x.shape[n] if n in axes else 1 for n in range(rank)], bool)
    mask[tuple(part[n] if n in axes else slice(None) for n in range(rank))] = True
    spread: Operand = wide
    for axis in axes:
        order = np.zeros(x.shape[axis], np.int64)
        order[part[axis]] = np.arange(sizes[axis])
        spread = net.emit("Gather", [spread, order], axis=axis)
    net.emit("Where", [mask, spread, made], y)

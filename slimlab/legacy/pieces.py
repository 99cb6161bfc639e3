"""Floor 1. Lists of tensors, slices and indices."""

from __future__ import annotations

from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Writer
from slimlab.lowering.registry import ends, option, twins
from slimlab.trace import Op

FAR = 2**31 - 1  # beyond any end


@legacy_rule("builtin.combine")
def combine(op: Op, net: Writer) -> None:
    """A list is known by its items and has no operator."""


@legacy_rule("builtin.split")
def uncombine(op: Op, net: Writer) -> None:
    """The same items under other names."""
    for item, output in zip(net.items(op.inputs[0]), op.outputs, strict=True):
        if output is not None and item.id != output.id:
            net.same(item, output)


def _axis(op: Op, net: Writer, position: int, rank: int) -> int:
    given = op.attributes.get("axis")
    number = net.numbers(option(op, position))[0] if given is None else given
    return int(number) % max(1, rank)


@legacy_rule("pd_op.concat")
def concat(op: Op, net: Writer) -> None:
    """End to end."""
    items = net.items(op.inputs[0])
    axis = _axis(op, net, 1, len(items[0].shape))
    net.emit("concat", {"X": items}, {"Out": ends(op)[1]}, axis=axis)


@legacy_rule("pd_op.stack")
def stack(op: Op, net: Writer) -> None:
    """Along a new axis."""
    items = net.items(op.inputs[0])
    axis = int(op.attributes["axis"]) % (len(items[0].shape) + 1)
    net.emit("stack", {"X": items}, {"Y": ends(op)[1]}, axis=axis)


@legacy_rule("pd_op.split", "pd_op.split_with_num")
def split(op: Op, net: Writer) -> None:
    """Into parts whose lengths are those that were traced."""
    x, listed = ends(op)
    parts = net.items(listed)
    axis = _axis(op, net, 2 if op.short == "split" else 1, len(x.shape))
    sections = [part.shape[axis] for part in parts]
    net.emit("split", {"X": x}, {"Out": parts}, axis=axis, num=0, sections=sections)


@legacy_rule("pd_op.unbind")
def unbind(op: Op, net: Writer) -> None:
    """Each index of an axis becomes a tensor without that axis."""
    x, listed = ends(op)
    axis = int(op.attributes["axis"]) % len(x.shape)
    net.emit("unbind", {"X": x}, {"Out": net.items(listed)}, axis=axis)


@legacy_rule(*twins("slice", "strided_slice"))
def cut_out(op: Op, net: Writer) -> None:
    """Bounds beyond the ends count as the ends."""
    x, y = ends(op)
    axes = [int(axis) % len(x.shape) for axis in op.attributes["axes"]]
    starts, stops = (net.integers(option(op, n)) for n in (1, 2))
    # Up to the end is written as such: the end of the batch is not known.
    stops = [FAR if stop >= x.shape[axis] else stop for axis, stop in zip(axes, stops, strict=True)]
    dropped = [int(axis) % len(x.shape) for axis in op.attributes.get("decrease_axis") or ()]
    numbers = {"axes": axes, "starts": starts, "ends": stops, "decrease_axis": dropped}
    flags = [1] * len(axes)
    if "strided" not in op.short:
        net.emit("slice", {"Input": x}, {"Out": y}, **numbers, infer_flags=flags)
        return
    steps = net.integers(option(op, 3))
    made = {"Out": y}
    net.emit("strided_slice", {"Input": x}, made, **numbers, strides=steps, infer_flags=flags)


@legacy_rule("pd_op.gather", "pd_op.index_select")
def gather(op: Op, net: Writer) -> None:
    """Pick indices of an axis."""
    x, y = ends(op)
    axis = _axis(op, net, 2, len(x.shape))
    net.emit("gather", {"X": x, "Index": op.inputs[1]}, {"Out": y}, axis=axis)

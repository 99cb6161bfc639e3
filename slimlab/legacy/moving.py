"""Floor 1. Operators that move elements around and keep all of them."""

from __future__ import annotations

import numpy as np

from slimlab.legacy.convolving import integers as whole_numbers
from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Made, Operand, Writer
from slimlab.lowering.layout import is_last
from slimlab.lowering.moving import target
from slimlab.lowering.registry import axes_of, ends, integers, option, twins
from slimlab.trace import Op, Shape, Value


def _kept(x: Value) -> tuple[int, ...]:
    """The shape of what some operators note beside their output: it holds no element."""
    return (0, *x.shape)


@legacy_rule(*twins("reshape", "view_shape"))
def reshape(op: Op, net: Writer) -> None:
    """0 keeps the batch."""
    x, y = ends(op)
    shape = target(x.shape, y.shape).tolist()
    net.emit("reshape2", {"X": x}, {"Out": y, "XShape": _kept(x)}, shape=shape)


@legacy_rule(*twins("flatten"))
def flatten(op: Op, net: Writer) -> None:
    """Some neighbouring axes become one."""
    x, y = ends(op)
    first, last = (int(op.attributes[name]) for name in ("start_axis", "stop_axis"))
    made: dict[str, Made] = {"Out": y, "XShape": _kept(x)}
    net.emit("flatten_contiguous_range", {"X": x}, made, start_axis=first, stop_axis=last)


@legacy_rule(*twins("squeeze"))
def squeeze(op: Op, net: Writer) -> None:
    """Axes of length one go; others stay where they are, though named."""
    x, y = ends(op)
    rank = len(x.shape)
    axes = [n for n in axes_of(op, net.known, rank) if x.shape[n] == 1]
    if not axes:
        net.same(x, y)
        return
    net.emit("squeeze2", {"X": x}, {"Out": y, "XShape": _kept(x)}, axes=axes)


@legacy_rule(*twins("unsqueeze"))
def unsqueeze(op: Op, net: Writer) -> None:
    """Axes are put in one after the other."""
    x, y = ends(op)
    axes = net.integers(option(op, 1))
    net.emit("unsqueeze2", {"X": x}, {"Out": y, "XShape": _kept(x)}, axes=axes)


@legacy_rule(*twins("transpose"))
def transpose(op: Op, net: Writer) -> None:
    """Axes counted from the front."""
    x, y = ends(op)
    perm = [int(n) % len(x.shape) for n in op.attributes["perm"]]
    net.emit("transpose2", {"X": x}, {"Out": y, "XShape": _kept(x)}, axis=perm)


def spread(x: Shape, y: Shape) -> list[int]:
    """The shape to expand a tensor to; -1 keeps a size."""
    more = len(y) - len(x)
    return [-1 if n >= more and x[n - more] == size else size for n, size in enumerate(y)]


@legacy_rule("pd_op.expand", "pd_op.broadcast_to", "pd_op.expand_as")
def expand(op: Op, net: Writer) -> None:
    """To the shape that was traced."""
    x, y = ends(op)
    net.emit("expand_v2", {"X": x}, {"Out": y}, shape=spread(x.shape, y.shape))


@legacy_rule("pd_op.broadcast_tensors")
def broadcast(op: Op, net: Writer) -> None:
    """Each of a list to the shape of all of them."""
    for x, y in zip(net.items(op.inputs[0]), net.items(op.outputs[0]), strict=True):
        if x.shape == y.shape:
            net.same(x, y)
        else:
            net.emit("expand_v2", {"X": x}, {"Out": y}, shape=spread(x.shape, y.shape))


@legacy_rule(*twins("tril", "triu"))
def triangle(op: Op, net: Writer) -> None:
    """What lies on one side of a diagonal."""
    x, y = ends(op)
    lower = op.short.startswith("tril")
    net.emit(
        "tril_triu", {"X": x}, {"Out": y}, diagonal=int(op.attributes["diagonal"]), lower=lower
    )


@legacy_rule("pd_op.tile")
def tile(op: Op, net: Writer) -> None:
    """Copies along axes."""
    x, y = ends(op)
    net.emit("tile", {"X": x}, {"Out": y}, repeat_times=net.integers(option(op, 1)))


@legacy_rule("pd_op.flip")
def flip(op: Op, net: Writer) -> None:
    """Axes backwards."""
    x, y = ends(op)
    net.emit("flip", {"X": x}, {"Out": y}, axis=axes_of(op, net.known, len(x.shape)))


@legacy_rule("pd_op.roll")
def roll(op: Op, net: Writer) -> None:
    """Around each axis."""
    x, y = ends(op)
    shifts = net.integers(option(op, 1))
    axes = [int(n) % len(x.shape) for n in op.attributes["axis"]]
    net.emit("roll", {"X": x}, {"Out": y}, shifts=shifts, axis=axes)


@legacy_rule("pd_op.repeat_interleave")
def repeat(op: Op, net: Writer) -> None:
    """A slice and its copies, side by side."""
    x, y = ends(op)
    axis = int(op.attributes["axis"]) % len(x.shape)
    order = integers(np.repeat(np.arange(x.shape[axis]), int(op.attributes["repeats"])))
    net.emit("gather", {"X": x, "Index": order}, {"Out": y}, axis=axis)


@legacy_rule("pd_op.pad3d")
def pad3d(op: Op, net: Writer) -> None:
    """Padding of an image; from its last axis."""
    x, y = ends(op)
    if len(x.shape) != 5:
        net.refuse(f"it pads a tensor of {len(x.shape)} axes")
    net.emit(
        "pad3d",
        {"X": x},
        {"Out": y},
        paddings=net.integers(option(op, 1)),
        mode=str(op.attributes["mode"]),
        value=float(op.attributes["pad_value"]),
        data_format=str(op.attributes["data_format"]),
    )


@legacy_rule("pd_op.pad")
def pad(op: Op, net: Writer) -> None:
    """Padding of all axes, from the first."""
    x, y = ends(op)
    paddings = [int(n) for n in op.attributes["paddings"]]
    value = float(net.numbers(option(op, 1))[0])
    net.emit("pad", {"X": x}, {"Out": y}, paddings=paddings, pad_value=value)


@legacy_rule("pd_op.channel_shuffle")
def channel_shuffle(op: Op, net: Writer) -> None:
    """Channels of groups, one of each in turn; the operator's older name is the better known."""
    x, y = ends(op)
    if is_last(op):
        net.refuse("its channels come last")
    net.emit("shuffle_channel", {"X": x}, {"Out": y}, group=int(op.attributes["groups"]))


@legacy_rule("pd_op.pixel_unshuffle")
def pixel_unshuffle(op: Op, net: Writer) -> None:
    """Squares of pixels become runs of channels."""
    x, y = ends(op)
    form, factor = str(op.attributes["data_format"]), int(op.attributes["downscale_factor"])
    net.emit("pixel_unshuffle", {"X": x}, {"Out": y}, downscale_factor=factor, data_format=form)


@legacy_rule("pd_op.unfold", "pd_op.fold")
def windows(op: Op, net: Writer) -> None:
    """Windows of an image as columns, and back."""
    x, y = ends(op)
    names = ["kernel_sizes", "strides", "paddings", "dilations"]
    names += ["output_sizes"] if op.short == "fold" else []
    net.emit(op.short, {"X": x}, {"Y": y}, **whole_numbers(op, *names))


@legacy_rule("pd_op.grid_sample")
def grid_sample(op: Op, net: Writer) -> None:
    """Pixels at places that a second tensor names."""
    x, y = ends(op)
    words = {name: str(op.attributes[name]) for name in ("mode", "padding_mode")}
    aligned = bool(op.attributes["align_corners"])
    inputs: dict[str, Operand] = {"X": x, "Grid": op.inputs[1]}
    net.emit("grid_sampler", inputs, {"Output": y}, **words, align_corners=aligned)


@legacy_rule("pd_op.pixel_shuffle")
def pixel_shuffle(op: Op, net: Writer) -> None:
    """Runs of channels become squares of pixels."""
    x, y = ends(op)
    if is_last(op):
        net.refuse("its channels come last")
    factor = int(op.attributes["upscale_factor"])
    net.emit("pixel_shuffle", {"X": x}, {"Out": y}, upscale_factor=factor, data_format="NCHW")

"""Floor 1. Operators that move elements around and keep all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from slimlab.lowering.builder import Builder, Operand
from slimlab.lowering.layout import channels_first, give_back, is_last, on_image
from slimlab.lowering.registry import axes_of, ends, integers, lowering_rule, option, twins
from slimlab.trace import Op, Shape, Value

PADS = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def target(x: Shape, y: Shape) -> np.ndarray:
    """The shape to give a tensor; 0 keeps the batch, so that it can be changed in the model."""
    keeps = len(x) > 0 and len(y) > 0 and x[0] == y[0]
    return integers([0, *y[1:]] if keeps else y)


@lowering_rule(*twins("reshape", "view_shape"))
def reshape(op: Op, net: Builder) -> None:
    """Elements keep their order."""
    x, y = ends(op)
    net.emit("Reshape", [x, target(x.shape, y.shape)], y)


@lowering_rule(*twins("flatten"))
def flatten(op: Op, net: Builder) -> None:
    """All axes but the batch, mostly."""
    x, y = ends(op)
    if len(y.shape) == 2 and len(x.shape) > 1 and x.shape[0] == y.shape[0]:
        net.emit("Flatten", [x], y, axis=1)
    else:
        reshape(op, net)


@lowering_rule(*twins("squeeze"))
def squeeze(op: Op, net: Builder) -> None:
    """Axes of length one go; others stay where they are, though named."""
    x, y = ends(op)
    named = axes_of(op, net, len(x.shape))
    gone = [axis for axis in named if x.shape[axis] == 1]
    net.emit("Squeeze", [x, integers(gone)], y) if gone else net.emit("Identity", [x], y)


@lowering_rule(*twins("unsqueeze"))
def unsqueeze(op: Op, net: Builder) -> None:
    """Axes are put in one after the other, as Paddle counts them."""
    x, y = ends(op)
    axes = net.numbers(option(op, 1))
    if len(axes) == 1:
        net.emit("Unsqueeze", [x, integers(axes)], y)
    else:
        net.emit("Reshape", [x, target(x.shape, y.shape)], y)


@lowering_rule(*twins("transpose"))
def transpose(op: Op, net: Builder) -> None:
    """The same in both, but for axes counted from the end."""
    x, y = ends(op)
    net.emit("Transpose", [x], y, perm=[int(n) % len(x.shape) for n in op.attributes["perm"]])


@lowering_rule("pd_op.expand", "pd_op.expand_as", "pd_op.broadcast_to")
def expand(op: Op, net: Builder) -> None:
    """To the shape that was traced."""
    x, y = ends(op)
    net.emit("Expand", [x, integers(y.shape)], y)


@lowering_rule("pd_op.broadcast_tensors")
def broadcast(op: Op, net: Builder) -> None:
    """Each of a list to the shape of all together."""
    for x, y in zip(net.items(op.inputs[0]), net.items(op.outputs[0]), strict=True):
        own = [1] * (len(y.shape) - len(x.shape)) + list(x.shape)
        # An axis that is long already stays so whatever its length.
        sizes = [1 if a == b else b for a, b in zip(own, y.shape, strict=True)]
        net.emit("Expand", [x, integers(sizes)], y)


@lowering_rule("pd_op.tile")
def tile(op: Op, net: Builder) -> None:
    """Copies along axes, the first of which may be new."""
    x, y = ends(op)
    times = net.numbers(option(op, 1))
    rank = len(y.shape)
    made: Operand = x
    if len(x.shape) < rank:
        made = net.emit("Reshape", [x, integers([*[1] * (rank - len(x.shape)), *x.shape])])
    net.emit("Tile", [made, integers([*[1] * (rank - len(times)), *times])], y)


def take(net: Builder, x: Value, indices: np.ndarray, axis: int, y: Value) -> None:
    """Pick indices of an axis that are known now."""
    net.emit("Gather", [x, integers(indices)], y, axis=axis)


@lowering_rule("pd_op.repeat_interleave")
def repeat(op: Op, net: Builder) -> None:
    """A slice and its copies, side by side."""
    x, y = ends(op)
    axis = int(op.attributes["axis"]) % len(x.shape)
    take(net, x, np.repeat(np.arange(x.shape[axis]), int(op.attributes["repeats"])), axis, y)


@lowering_rule("pd_op.flip")
def flip(op: Op, net: Builder) -> None:
    """Axes backwards."""
    x, y = ends(op)
    axes = axes_of(op, net, len(x.shape))
    minus = integers([-1] * len(axes))
    end = integers([-(2**31)] * len(axes))
    net.emit("Slice", [x, minus, end, integers(axes), minus], y)


@lowering_rule("pd_op.roll")
def roll(op: Op, net: Builder) -> None:
    """Around each axis, or around all elements where none is named."""
    x, y = ends(op)
    shifts, axes = net.numbers(option(op, 1)), [int(n) for n in op.attributes["axis"]]
    if not axes:
        net.refuse("it rolls over all axes at once")
    made: Operand = x
    for n, (shift, axis) in enumerate(zip(shifts, axes, strict=True)):
        size = x.shape[axis]
        order = integers((np.arange(size) - shift) % size)
        output = y if n == len(axes) - 1 else None
        made = net.emit("Gather", [made, order], output, axis=axis % len(x.shape))


@lowering_rule("pd_op.pad3d", "pd_op.pad")
def pad(op: Op, net: Builder) -> None:
    """`pad` counts from the first axis, `pad3d` from the last one of the image."""
    x, y = ends(op)
    rank = len(x.shape)
    mode = str(op.attributes.get("mode", "constant"))
    low, high = [0] * rank, [0] * rank
    if op.short == "pad":
        written = [int(n) for n in op.attributes["paddings"]]
        low, high = written[::2], written[1::2]
        fill = net.numbers(option(op, 1))[0]
    else:
        written = [int(n) for n in net.numbers(option(op, 1))]
        axes = range(rank - 2, 0, -1) if is_last(op) else range(rank - 1, 1, -1)
        for axis, before, after in zip(axes, written[::2], written[1::2], strict=False):
            low[axis], high[axis] = before, after
        fill = float(op.attributes["pad_value"])
    if mode == "circular":
        _wrap(net, x, (low, high), y)
        return
    value = np.asarray(fill, net.numpy_type(x)) if mode == "constant" else None
    net.emit("Pad", [x, integers([*low, *high]), value], y, mode=PADS[mode])


def _wrap(net: Builder, x: Value, pads: tuple[list[int], list[int]], y: Value) -> None:
    """Padding with the other end of the axis, for which ONNX has a mode only from opset 19."""
    axes = [n for n in range(len(x.shape)) if pads[0][n] or pads[1][n]]
    made: Operand = x
    for axis in axes:
        size = x.shape[axis]
        order = integers(np.arange(-pads[0][axis], size + pads[1][axis]) % size)
        made = net.emit("Gather", [made, order], y if axis == axes[-1] else None, axis=axis)
    if not axes:
        net.emit("Identity", [x], y)


@lowering_rule("pd_op.pixel_shuffle")
def pixel_shuffle(op: Op, net: Builder) -> None:
    """Runs of channels become squares of pixels."""
    on_image(op, net, "DepthToSpace", blocksize=int(op.attributes["upscale_factor"]), mode="CRD")


def _rearranged(op: Op, net: Builder, split: Sequence[int], perm: Sequence[int]) -> None:
    """Split axes, exchange them, and merge them to the output's shape (channels first)."""
    _, y = ends(op)
    rank = len(y.shape)
    order = [0, rank - 1, *range(1, rank - 1)] if is_last(op) else list(range(rank))
    parts = net.emit("Reshape", [channels_first(op, net), integers([0, *split])])
    moved = net.emit("Transpose", [parts], perm=list(perm))
    give_back(op, net, "Reshape", [moved, integers([0, *[y.shape[n] for n in order][1:]])])


def _sizes(op: Op) -> tuple[int, int, int]:
    x, _ = ends(op)
    height, width = x.shape[1:3] if is_last(op) else x.shape[2:]
    return x.shape[-1] if is_last(op) else x.shape[1], height, width


@lowering_rule("pd_op.pixel_unshuffle")
def pixel_unshuffle(op: Op, net: Builder) -> None:
    """Squares of pixels become runs of channels."""
    (c, h, w), by = _sizes(op), int(op.attributes["downscale_factor"])
    _rearranged(op, net, [c, h // by, by, w // by, by], [0, 1, 3, 5, 2, 4])


@lowering_rule("pd_op.channel_shuffle")
def channel_shuffle(op: Op, net: Builder) -> None:
    """Groups of channels are dealt out like cards."""
    (c, h, w), groups = _sizes(op), int(op.attributes["groups"])
    _rearranged(op, net, [groups, c // groups, h, w], [0, 2, 1, 3, 4])


def _square_kernel(op: Op, net: Builder, channels: int, like: Value) -> np.ndarray:
    """Filters that each pick one pixel of a window, (channels * pixels, 1, height, width)."""
    height, width = (int(n) for n in op.attributes["kernel_sizes"])
    eye = np.eye(height * width, dtype=net.numpy_type(like)).reshape(-1, 1, height, width)
    return np.tile(eye, [channels, 1, 1, 1])


def _window(op: Op) -> dict[str, Any]:
    names = {"strides": "strides", "dilations": "dilations", "paddings": "pads"}
    return {to: [int(n) for n in op.attributes[name]] for name, to in names.items()}


@lowering_rule("pd_op.unfold")
def unfold(op: Op, net: Builder) -> None:
    """A depthwise convolution that copies each pixel of a window into a channel."""
    x, y = ends(op)
    kernel = _square_kernel(op, net, x.shape[1], x)
    made = net.emit("Conv", [x, kernel], group=x.shape[1], **_window(op))
    net.emit("Reshape", [made, target(x.shape, y.shape)], y)


@lowering_rule("pd_op.fold")
def fold(op: Op, net: Builder) -> None:
    """The transposed convolution of `unfold`: windows are added where they overlap."""
    x, y = ends(op)
    window = _window(op)
    reach = [
        d * (k - 1) + 1
        for d, k in zip(window["dilations"], op.attributes["kernel_sizes"], strict=True)
    ]
    padded = [y.shape[2 + n] + window["pads"][n] + window["pads"][n + 2] for n in (0, 1)]
    count = [(padded[n] - reach[n]) // window["strides"][n] + 1 for n in (0, 1)]
    image = net.emit("Reshape", [x, integers([0, x.shape[1], *count])])
    kernel = _square_kernel(op, net, y.shape[1], x)
    rest = [padded[n] - (count[n] - 1) * window["strides"][n] - reach[n] for n in (0, 1)]
    more = rest if any(rest) else None
    net.emit("ConvTranspose", [image, kernel], y, group=y.shape[1], output_padding=more, **window)


@lowering_rule("pd_op.grid_sample")
def grid_sample(op: Op, net: Builder) -> None:
    """The same in both."""
    net.emit(
        "GridSample",
        list(op.inputs),
        op.outputs[0],
        mode=str(op.attributes["mode"]),
        padding_mode=str(op.attributes["padding_mode"]),
        align_corners=int(op.attributes["align_corners"]),
    )

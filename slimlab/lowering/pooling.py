"""Floor 1. Pooling and resizing of images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from slimlab.lowering.builder import Builder, Operand, onnx_type
from slimlab.lowering.layout import channels_first, give_back, image, is_last, on_image, pads_of
from slimlab.lowering.moving import target
from slimlab.lowering.registry import ends, integers, lowering_rule, option
from slimlab.trace import Op, Shape, Value

Windows = list[tuple[int, int]]


@lowering_rule("pd_op.pool2d", "pd_op.pool3d")
def pool(op: Op, net: Builder) -> None:
    """Largest or mean of windows; adaptive ones may differ in size."""
    x, y = ends(op)
    most = op.attributes["pooling_type"] == "max"
    before, after = (image(v.shape, last=is_last(op)) for v in (x, y))
    whole = op.attributes["global_pooling"] or (op.attributes["adaptive"] and set(after) == {1})
    if whole:
        on_image(op, net, "GlobalMaxPool" if most else "GlobalAveragePool")
    elif op.attributes["adaptive"]:
        _adaptive(op, net, before, after)
    else:
        _windows(op, net, before, after)


@lowering_rule("pd_op.max_pool2d_with_index", "pd_op.max_pool3d_with_index")
def pool_with_index(op: Op, net: Builder) -> None:
    """The largest of windows, and where in its channel each of them stood."""
    (x, y), places = ends(op), op.outputs[1]
    before, after = (image(v.shape, last=False) for v in (x, y))
    told = places if net.used(places) else None
    if op.attributes["global_pooling"] or (op.attributes["adaptive"] and set(after) == {1}):
        on_image(op, net, "GlobalMaxPool")
        if told is not None:
            flat = net.emit("Reshape", [x, integers([0, x.shape[1], -1])])
            first = net.emit("ArgMax", [flat], axis=2, keepdims=0)
            wide = net.emit("Reshape", [first, integers([0, *told.shape[1:]])])
            net.emit("Cast", [wide], told, to=onnx_type(net.numpy_type(told)))
    elif told is not None:
        _with_places(op, net, _window(op, net, before, after), told)
    elif op.attributes["adaptive"]:
        _adaptive(op, net, before, after)
    else:
        _windows(op, net, before, after)


def _window(op: Op, net: Builder, before: Shape, after: Shape) -> dict[str, Any]:
    """Windows of one size as ONNX has them, adaptive ones too."""
    if not op.attributes["adaptive"]:
        kernel, strides, low, _, high = _sizes(op, net, before, after)
        return {"kernel_shape": kernel, "strides": strides, "pads": [*low, *high]}
    if any(size % made for size, made in zip(before, after, strict=True)):
        net.refuse("the places of the largest elements of windows that differ in size are read")
    each = [size // made for size, made in zip(before, after, strict=True)]
    return {"kernel_shape": each, "strides": each}


def _with_places(op: Op, net: Builder, window: dict[str, Any], places: Value) -> None:
    """ONNX counts the places through all channels and images; Paddle through one channel."""
    x, y = ends(op)
    raw = f"{net.names[places.id]}_of_all"
    net.emit("MaxPool", [x], [y, raw], **window)
    own = net.emit("Mod", [raw, np.asarray(math.prod(x.shape[2:]))])
    net.emit("Cast", [own], places, to=onnx_type(net.numpy_type(places)))


@lowering_rule("pd_op.unpool", "pd_op.unpool3d")
def unpool(op: Op, net: Builder) -> None:
    """Each element goes back to where it stood; all else is zero."""
    (x, y), places = ends(op), op.inputs[1]
    if places is None:
        net.refuse("it is not told where its elements stood")
    runs = integers([0, x.shape[1], -1])
    where = net.emit("Reshape", [net.as_type(places, np.int64), runs])
    # Zeros for as many images as there are.
    one = net.emit("Slice", [where, integers([0]), integers([1]), integers([2])])
    none = net.emit(
        "Mul",
        [net.emit("Cast", [one], to=onnx_type(net.numpy_type(y))), np.zeros([], net.numpy_type(y))],
    )
    zeros = net.emit("Expand", [none, integers([1, 1, math.prod(y.shape[2:])])])
    flat = net.emit("Reshape", [x, runs])
    made = net.emit("ScatterElements", [zeros, where, flat], axis=2)
    net.emit("Reshape", [made, target(x.shape, y.shape)], y)


def _sizes(
    op: Op, net: Builder, before: Shape, after: Shape
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Kernel, strides, padding before, padding after as asked, and with what `ceil_mode` adds."""
    size = op.attributes.get("kernel_size") or net.numbers(option(op, 1))
    kernel = [int(n) for n in size]
    strides = [int(n) for n in op.attributes["strides"]]
    low, asked = pads_of(op, net, before, kernel, strides)
    # Negative where the last windows end before the image does.
    high = [
        max(0, (made - 1) * s + k - size - pad)
        for made, s, k, size, pad in zip(after, strides, kernel, before, low, strict=True)
    ]
    if any(pad >= k for pad, k in zip([*low, *high], [*kernel, *kernel], strict=True)):
        net.refuse("a window lies in the padding altogether")
    return kernel, strides, low, asked, high


def _windows(op: Op, net: Builder, before: Shape, after: Shape) -> None:
    """Windows of one size; what `ceil_mode` adds becomes padding at the end."""
    kernel, strides, low, asked, high = _sizes(op, net, before, after)
    window: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    if op.attributes.get("pooling_type", "max") == "max":
        on_image(op, net, "MaxPool", **window, pads=[*low, *high])
    elif op.attributes["exclusive"]:
        on_image(op, net, "AveragePool", **window, pads=[*low, *high], count_include_pad=0)
    else:
        # The mean counts the padding, but not what `ceil_mode` adds beyond it.
        real = [min(a, b) for a, b in zip(asked, high, strict=True)]
        beyond = [b - a for a, b in zip(real, high, strict=True)]
        zeros = integers([0, 0, *low, 0, 0, *real])
        padded = net.emit("Pad", [channels_first(op, net), zeros])
        pads = [*[0] * len(low), *beyond]
        give_back(op, net, "AveragePool", [padded], **window, pads=pads, count_include_pad=0)


def _adaptive(op: Op, net: Builder, before: Shape, after: Shape) -> None:
    """Windows from floor(i * size / out) to ceil((i + 1) * size / out), axis by axis."""
    most = op.attributes.get("pooling_type", "max") == "max"
    if all(size % made == 0 for size, made in zip(before, after, strict=True)):
        kernel = [size // made for size, made in zip(before, after, strict=True)]
        kind = "MaxPool" if most else "AveragePool"
        on_image(op, net, kind, kernel_shape=kernel, strides=kernel)
        return
    made = channels_first(op, net)
    axes = [n for n in range(len(before)) if before[n] != after[n]]
    for n in axes:
        size, out = before[n], after[n]
        windows = [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
        reduce = _largest if most else _mean
        node = reduce(net, made, windows, (n + 2, len(before) + 2, size))
        made = node if n != axes[-1] else _finish(op, net, node)


def _finish(op: Op, net: Builder, made: Operand) -> Operand:
    return give_back(op, net, "Identity", [made])


def _mean(net: Builder, x: Operand, windows: Windows, place: tuple[int, int, int]) -> Operand:
    """Means over windows of an axis: a product with a matrix of shares."""
    axis, rank, size = place
    shares = np.zeros([size, len(windows)], np.float32)
    for n, (start, end) in enumerate(windows):
        shares[start:end, n] = 1 / (end - start)
    if axis == rank - 1:
        return net.emit("MatMul", [x, shares])
    if axis == rank - 2:
        return net.emit("MatMul", [np.ascontiguousarray(shares.T), x])
    letters = "abcdefgh"[:rank]
    made = letters.replace(letters[axis], "z")
    return net.emit("Einsum", [x, shares], equation=f"{letters},{letters[axis]}z->{made}")


def _largest(net: Builder, x: Operand, windows: Windows, place: tuple[int, int, int]) -> Operand:
    """The largest of windows of an axis, one after the other."""
    axis = place[0]
    parts = []
    for start, end in windows:
        part = net.emit("Slice", [x, integers([start]), integers([end]), integers([axis])])
        parts.append(net.emit("ReduceMax", [part], axes=[axis], keepdims=1))
    return net.emit("Concat", parts, axis=axis)


RESIZES = {"nearest": "nearest", "bilinear": "linear", "linear": "linear", "trilinear": "linear",
           "bicubic": "cubic"}  # fmt: skip


@lowering_rule(*(f"pd_op.{name}_interp" for name in RESIZES))
def resize(op: Op, net: Builder) -> None:
    """Paddle's three ways to place the pixels have names in ONNX."""
    x, y = ends(op)
    if any(option(op, n) is not None for n in (2, 3)):
        net.refuse("its size is a tensor")
    mode = RESIZES[op.short.removesuffix("_interp")]
    before, after = (image(v.shape, last=is_last(op)) for v in (x, y))
    factors = [float(n) for n in op.attributes["scale"] or ()]
    by_size = option(op, 1) is not None or not factors or 1 in after
    if op.attributes["align_corners"] and mode == "nearest":
        net.refuse("nearest neighbours with aligned corners")
    if op.attributes["align_corners"] or len(factors) != len(before):
        by_size = True
    extra: dict[str, str | float] = {}
    if op.attributes["align_corners"]:
        place = "align_corners"
    elif mode == "nearest" or (mode == "linear" and op.attributes["align_mode"] == 1):
        place = "asymmetric"
    else:
        place = "half_pixel"
    if mode == "nearest":
        extra["nearest_mode"] = "floor"
    elif mode == "cubic":
        extra["cubic_coeff_a"] = -0.75
    given = channels_first(op, net)
    if place == "half_pixel":
        given = _first_pixels(op, net, given, (before, after), mode)
    scales = None if by_size else np.asarray([1, 1, *factors], np.float32)
    sizes = integers([x.shape[0], _channels(op, x.shape), *after]) if by_size else None
    others: list[Operand] = [given, None, scales, sizes]
    give_back(op, net, "Resize", others, mode=mode, coordinate_transformation_mode=place, **extra)


def _first_pixels(
    op: Op, net: Builder, x: Operand, sizes: tuple[Shape, Shape], mode: str
) -> Operand:
    """Axes that shrink to one pixel: Paddle takes the first one, not the one in the middle."""
    axes = [n + 2 for n, (a, b) in enumerate(zip(*sizes, strict=True)) if b == 1 < a]
    if not axes:
        return x
    if mode == "cubic":
        net.refuse("cubic interpolation to a single pixel")
    zeros, ones = integers([0] * len(axes)), integers([1] * len(axes))
    return net.emit("Slice", [x, zeros, ones, integers(axes)])


def _channels(op: Op, shape: Shape) -> int:
    return shape[-1] if is_last(op) else shape[1]

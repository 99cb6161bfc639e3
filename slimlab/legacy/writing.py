"""Floor 1. Values written over a slice of a tensor, and slices cut out at places that are given."""

from __future__ import annotations

import numpy as np

from slimlab.legacy.files import DTYPES
from slimlab.legacy.pieces import FAR
from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Operand, Writer
from slimlab.lowering.registry import ends, option, twins
from slimlab.trace import Op


@legacy_rule("pd_op.crop")
def crop(op: Op, net: Writer) -> None:
    """So many elements of each axis, from a place on: a slice."""
    x, y = ends(op)
    starts = net.integers(option(op, 2))
    # A size of -1 is all that is left.
    whole = [size in (-1, x.shape[n]) and not starts[n] for n, size in enumerate(y.shape)]
    axes = [n for n, kept in enumerate(whole) if not kept]
    if not axes:
        net.same(x, y)
        return
    sizes = {n: x.shape[n] - starts[n] if y.shape[n] == -1 else y.shape[n] for n in axes}
    net.emit(
        "slice",
        {"Input": x},
        {"Out": y},
        axes=axes,
        starts=[starts[n] for n in axes],
        ends=[starts[n] + sizes[n] for n in axes],
        decrease_axis=[],
        infer_flags=[1] * len(axes),
    )


@legacy_rule(*twins("set_value"))
def write_numbers(op: Op, net: Writer) -> None:
    """Numbers that are known, over a slice."""
    x, _ = ends(op)
    shape = [int(n) for n in op.attributes["shape"]]
    numbers = np.asarray(op.attributes["values"], net.known.numpy_type(x)).reshape(shape)
    _write(op, net, numbers)


@legacy_rule(*twins("set_value_with_tensor"))
def write_tensor(op: Op, net: Writer) -> None:
    """A tensor over a slice."""
    _write(op, net, op.inputs[1])


def _write(op: Op, net: Writer, value: Operand) -> None:
    x, y = ends(op)
    axes = [int(axis) % len(x.shape) for axis in op.attributes["axes"]]
    starts, stops, steps = (net.integers(option(op, n)) for n in range(-3, 0))
    # Up to the end is written as such: the end of the batch is not known.
    stops = [FAR if stop >= x.shape[axis] else stop for axis, stop in zip(axes, stops, strict=True)]
    older: dict[str, list[int]] = {}
    if net.style.lite:  # which asks for numbers also where a tensor is given
        older = {f"{kind}_values": [] for kind in ("bool", "int32", "int64", "fp32")}
    net.emit(
        "set_value",
        {"Input": x, "ValueTensor": value},
        {"Out": y},
        **older,
        shape=[1] if net.style.lite else None,
        dtype=DTYPES[y.dtype],
        axes=axes,
        starts=starts,
        ends=stops,
        steps=steps,
        decrease_axes=[int(n) for n in op.attributes["decrease_axes"]],
        none_axes=[int(n) for n in op.attributes["none_axes"]],
    )

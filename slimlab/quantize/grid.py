"""Floor 2. Rounding to a grid of whole numbers and back, with the gradients of its training.

A grid of `b` bits is symmetric: `clip(round(x / scale * n), -n - 1, n) * scale / n` with
`n = 2 ** (b - 1) - 1`. Halves are rounded to even. Knows no layer and no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, _C_ops, _legacy_C_ops
from paddle.autograd import PyLayer
from paddle.framework import in_pir_mode

# Below this a scale is noise or nothing, and above it products overflow: float32 keeps whole
# numbers of 8 bits exact between them, and neither a scale nor its 127th is denormal.
LEAST, MOST = 1e-9, 1e36
_PROGRAM: Any = _C_ops  # of values in a traced program
_DYNAMIC: Any = _legacy_C_ops  # of tensors: Paddle 3.3 has no other


def top_of(bits: int) -> int:
    """The most positive whole number of a grid.

    Examples
    --------
    >>> from slimlab.quantize.grid import top_of
    >>> top_of(8), top_of(2)
    (127, 1)
    """
    return int(2 ** (bits - 1) - 1)


def safe(scale: NDArray[np.float32] | float) -> NDArray[np.float32]:
    """Make scales usable: never zero, denormal, infinite or NaN. What had none gets 1.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.quantize.grid import safe
    >>> safe(np.array([0.5, 0.0, 1e-40, np.nan, np.inf], np.float32)).tolist()[:4]
    [0.5, 1.0, 1.0, 1.0]
    """
    scale = np.asarray(scale, np.float32)
    return np.where(scale >= LEAST, np.minimum(scale, np.float32(MOST)), 1).astype(np.float32)


def largest(x: Tensor, axis: int | None) -> Tensor:
    """The largest magnitude, of shape ``(1,)``; or one an index of an axis. Safe as a scale."""
    if axis is None:
        found = x.abs().max().reshape([1])
    else:
        found = x.abs().max(axis=[n for n in range(len(x.shape)) if n != axis])
    ones = paddle.ones_like(found)
    # NaN is not above anything either.
    return paddle.where(found >= LEAST, paddle.minimum(found, ones * MOST), ones)


def whole_numbers(
    x: NDArray[np.float32], scale: NDArray[np.float32], axis: int | None, bits: int
) -> NDArray[np.int8]:
    """The whole numbers of a tensor on a grid.

    Parameters
    ----------
    x
        Of any shape.
    scale
        ``(1,)``, or one an index of `axis`.
    axis
        None for one scale.
    bits
        2 to 8.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.quantize.grid import whole_numbers
    >>> whole_numbers(np.array([-9, -1, 0.4, 1], np.float32), np.ones(1), None, 2).tolist()
    [-2, -1, 0, 1]
    """
    top = top_of(bits)
    along = np.asarray(scale, np.float32).reshape(_broadcast(x.ndim, axis))
    whole = np.clip(np.rint(x / along * np.float32(top)), -top - 1, top)
    return np.asarray(whole, np.int8)


def numbers_on_grid(
    whole: NDArray[np.int8], scale: NDArray[np.float32], axis: int | None, bits: int
) -> NDArray[np.float32]:
    """The float32 values of whole numbers: the reverse of `whole_numbers`."""
    along = np.asarray(scale, np.float32).reshape(_broadcast(whole.ndim, axis))
    found: NDArray[np.float32] = whole.astype(np.float32) * along / np.float32(top_of(bits))
    return found


def _broadcast(rank: int, axis: int | None) -> list[int]:
    return [-1 if axis is None or n == axis else 1 for n in range(rank if axis is not None else 1)]


@paddle.jit.not_to_static
def on_grid(x: Tensor, scale: Tensor, axis: int | None, bits: int) -> Tensor:
    """Round to a grid with Paddle's `quantize_linear` and `dequantize_linear`; no gradient.

    The same two operators in dynamic mode, in a traced program, and in the legacy program mode.
    """
    top, along = top_of(bits), -1 if axis is None else axis
    zero = paddle.zeros(scale.shape, dtype=scale.dtype)
    if in_pir_mode():
        settings = (zero, zero, along, bits, -top - 1, top, 0, True, False)
        whole = _PROGRAM.quantize_linear(x, scale, zero, *settings)[0]
        return _PROGRAM.dequantize_linear(whole, scale, zero, *settings)[0]
    named = {
        "quant_axis": along, "bit_length": bits, "qmin": -top - 1, "qmax": top, "round_type": 0,
        "is_test": True, "only_observer": False,
    }  # fmt: skip
    if not paddle.in_dynamic_mode():
        whole = _append("quantize_linear", x, scale, zero, named)
        return _append("dequantize_linear", whole, scale, zero, named)
    flat = [part for pair in named.items() for part in pair]
    whole = _DYNAMIC.quantize_linear(x, scale, zero, *flat)
    return _DYNAMIC.dequantize_linear(whole, scale, zero, *flat)


def _append(
    kind: str, x: Tensor, scale: Tensor, zero: Tensor, settings: Mapping[str, object]
) -> Tensor:
    """Write an operator into the present program of the legacy mode."""
    helper = paddle.base.layer_helper.LayerHelper(kind)
    made = helper.create_variable_for_type_inference(x.dtype)
    ends = {"X": x, "Scale": scale, "ZeroPoint": zero}
    helper.append_op(type=kind, inputs=ends, outputs={"Y": made}, attrs=settings)
    return made


class StraightThrough(PyLayer):
    """Round to a grid; the gradient passes inside its range and is zero outside.

    Bengio, Léonard, Courville 2013, 1308.3432.
    """

    @staticmethod
    def forward(ctx: object, x: Tensor, scale: Tensor, axis: int | None, bits: int) -> Tensor:
        """Give the rounded values."""
        top, along = top_of(bits), scale if axis is None else _along(scale, len(x.shape), axis)
        inside = paddle.logical_and(x <= along, x >= along * (-(top + 1) / top))
        ctx.save_for_backward(inside)  # type: ignore[attr-defined]
        return on_grid(x, scale, axis, bits)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:
        """Give the gradient of the values; the scale has none."""
        (inside,) = ctx.saved_tensor()  # type: ignore[attr-defined]
        return gradient * inside.astype(gradient.dtype), None


class LearnedStep(PyLayer):
    """Round to a grid whose scale is learned too (Esser et al. 2020, 1902.08153).

    The scale's gradient is that of the paper's step, which is the scale by `n`, with the paper's
    factor ``1 / sqrt(values * n)``.
    """

    @staticmethod
    def forward(ctx: object, x: Tensor, scale: Tensor, axis: int | None, bits: int) -> Tensor:
        """Give the rounded values."""
        made = on_grid(x, scale, axis, bits)
        ctx.save_for_backward(x, scale, made)  # type: ignore[attr-defined]
        # Paddle takes no gradient for what has none, such as an image.
        ctx.grid = axis, bits, x.stop_gradient  # type: ignore[attr-defined]
        return made

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        """Give the gradients of the values and of the scale."""
        x, scale, made = ctx.saved_tensor()  # type: ignore[attr-defined]
        axis, bits, fixed = ctx.grid  # type: ignore[attr-defined]
        top, rank = top_of(bits), len(x.shape)
        along = scale if axis is None else _along(scale, rank, axis)
        above, below = x > along, x < along * (-(top + 1) / top)
        outside = paddle.logical_or(above, below)
        slope = paddle.where(outside, made / along, (made - x) / along)
        others = [n for n in range(rank) if n != axis]
        summed = (gradient * slope).sum(axis=None if axis is None else others).reshape(scale.shape)
        factor = 1 / (x.size / scale.size * top) ** 0.5
        kept = gradient * paddle.logical_not(outside).astype(gradient.dtype)
        return None if fixed else kept, summed * factor


def _along(scale: Tensor, rank: int, axis: int) -> Tensor:
    return scale.reshape(_broadcast(rank, axis))

"""Floor 2. Depthwise convolutions of small maps as matrix products, while a step is trained.

Paddle's depthwise kernel takes a processor about 0.8 microseconds for each channel of each image,
however small the map is. On a 4x4 map a product with each channel's dense matrix is 15 times
faster, gradients included, and differs by rounding alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, cast

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.nn import Layer

LARGEST = 7  # pixels a side; the matrix grows with the fourth power, and beyond it loses


class _DenseDepthwise(nn.Conv2D):
    """A depthwise convolution as one matrix product for each channel, where the map is small."""

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        """Give what the convolution gives."""
        x = inputs[0] if inputs else None
        if x is None or named or not _small(x):
            return super().forward(*inputs, **named)
        count, channels, side, _ = x.shape
        spread, out = _spread(side, self._kernel_size[0], self._stride[0], _padding(self))
        taps = self.weight.reshape([channels, -1])
        matrix = paddle.matmul(taps, paddle.to_tensor(spread))
        pixels = x.reshape([count, channels, side * side]).transpose([1, 0, 2])
        y = paddle.matmul(pixels, matrix.reshape([channels, side * side, out * out]))
        if self.bias is not None:
            y = y + self.bias.reshape([channels, 1, 1])
        return y.transpose([1, 0, 2]).reshape([count, channels, out, out])


@contextmanager
def dense_depthwise(model: Layer) -> Iterator[None]:
    """Compute a model's small depthwise convolutions as products inside the block.

    Also those with quantizers. The class of the layers is changed and set back at the end; weights
    are untouched.
    """
    changed = [(layer, type(layer)) for layer in model.sublayers() if _fits(layer)]
    for layer, kind in changed:
        layer.__class__ = _dense_class(cast("Any", kind))
    try:
        yield
    finally:
        for layer, kind in changed:
            layer.__class__ = kind


@cache
def _dense_class(kind: type[Layer]) -> type[Layer]:
    """The class of layers of a class while they are computed as products."""
    if kind is nn.Conv2D:
        return _DenseDepthwise
    return type(kind.__name__, (kind,), {"float_class": _DenseDepthwise})


def _fits(layer: Layer) -> bool:
    """Whether a layer is a depthwise convolution that can be written as products."""
    kind = type(layer)
    if getattr(kind, "float_class", kind) is not nn.Conv2D:
        return False
    weight = getattr(layer, "weight", None)
    if weight is None:
        return False
    channels, per_group, *kernel = weight.shape
    return (
        per_group == 1
        and layer._groups == channels == layer._in_channels
        and kernel[0] == kernel[1]
        and layer._stride[0] == layer._stride[1]
        and list(layer._dilation) == [1, 1]
        and layer._padding_mode == "zeros"
        and layer._data_format == "NCHW"
        and _padding(layer) is not None
    )


def _padding(layer: Layer) -> int | None:
    """Pixels added on each side; None where they differ, or are words."""
    asked = layer._padding
    sides = {asked} if isinstance(asked, int | str) else set(map(str, asked))
    one = str(sides.pop()) if len(sides) == 1 else ""
    return int(one) if one.isdigit() else None


def _small(x: Tensor) -> bool:
    return bool(
        paddle.in_dynamic_mode()
        and x.dtype == paddle.float32
        and x.place.is_cpu_place()
        and len(x.shape) == 4
        and x.shape[2] == x.shape[3] <= LARGEST
    )


@lru_cache(maxsize=64)
def _spread(side: int, kernel: int, stride: int, padding: int) -> tuple[NDArray[np.float32], int]:
    """Give the map from weights to the dense matrix, and the side of the result.

    The map is ``(kernel**2, side**2 * out**2)``, of 0 and 1.
    """
    out = (side + 2 * padding - kernel) // stride + 1
    spread = np.zeros((kernel, kernel, side, side, out, out), np.float32)
    for i, j, a, b in np.ndindex(kernel, kernel, out, out):
        row, column = a * stride + i - padding, b * stride + j - padding
        if 0 <= row < side and 0 <= column < side:
            spread[i, j, row, column, a, b] = 1
    return spread.reshape(kernel * kernel, -1), out

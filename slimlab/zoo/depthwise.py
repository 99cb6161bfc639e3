"""Floor 1. Depthwise convolutions of small maps as matrix products, for the zoo's training only.

Paddle's depthwise kernel takes about 0.8 microseconds for each channel of each image however small
the map is. On a 4x4 map a product with each channel's dense matrix is 15 times faster, and differs
by rounding alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import paddle
from paddle import Tensor, nn

LARGEST = 7  # pixels a side; the matrix grows with the fourth power, and beyond it loses


class _DenseDepthwise(nn.Conv2D):
    """A 3x3 depthwise convolution with padding 1, as one matrix product for each channel."""

    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        if height != width or height > LARGEST:
            return super().forward(x)
        spread = _spread(height, self._stride[0])
        out = (height - 1) // self._stride[0] + 1
        matrix = paddle.matmul(self.weight.reshape([channels, 9]), paddle.to_tensor(spread))
        pixels = x.reshape([count, channels, height * width]).transpose([1, 0, 2])
        y = paddle.matmul(pixels, matrix.reshape([channels, height * width, out * out]))
        return y.transpose([1, 0, 2]).reshape([count, channels, out, out])


@contextmanager
def dense_depthwise(model: nn.Layer) -> Iterator[None]:
    """Compute a model's small 3x3 depthwise convolutions, and those of its copies, as products.

    The class of the layers is changed and set back at the end; weights are untouched.
    """
    changed = [layer for layer in model.sublayers() if type(layer) is nn.Conv2D and _fits(layer)]
    for layer in changed:
        layer.__class__ = _DenseDepthwise
    try:
        yield
    finally:
        for layer in changed:
            layer.__class__ = nn.Conv2D


def to_plain(model: nn.Layer) -> None:
    """Set back the layers of a copy that was made inside `dense_depthwise`."""
    for layer in model.sublayers():
        if type(layer) is _DenseDepthwise:
            layer.__class__ = nn.Conv2D


def _fits(layer: nn.Conv2D) -> bool:
    channels, per_group, *kernel = layer.weight.shape
    return (
        per_group == 1
        and layer._groups == channels == layer._in_channels
        and kernel == [3, 3]
        and layer._padding in (1, [1, 1])
        and layer._stride[0] == layer._stride[1]
        and layer.bias is None
    )


@lru_cache(maxsize=16)
def _spread(side: int, stride: int) -> np.ndarray:
    """Give the map from 9 weights to the dense matrix: ``(9, side**2 * out**2)`` of 0 and 1."""
    out = (side - 1) // stride + 1
    spread = np.zeros((3, 3, side, side, out, out), np.float32)
    for i, j, a, b in np.ndindex(3, 3, out, out):
        row, column = a * stride + i - 1, b * stride + j - 1
        if 0 <= row < side and 0 <= column < side:
            spread[i, j, row, column, a, b] = 1
    return spread.reshape(9, -1)

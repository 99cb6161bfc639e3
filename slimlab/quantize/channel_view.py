"""Floor 2. A weight by the channels that its layer reads and makes, whatever its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from paddle import nn
from paddle.nn import Layer

from slimlab.quantize.quantized import OUT_AXIS, float_class


def by_channels(
    layer: Layer, channels: int | None = None, numbers: NDArray[Any] | None = None
) -> NDArray[Any]:
    """A layer's weight, or numbers in its shape, as ``(groups, out, in, places)``.

    The first two axes, one after the other, are the channels that the layer makes; the first and
    the third those that it reads.

    Parameters
    ----------
    layer
        A convolution, a transposed one, or a linear layer.
    channels
        How many a linear layer reads, where each is flattened into several of its features; as many
        as it has features when None.
    numbers
        The weight when None.
    """
    shape = [int(size) for size in layer.weight.shape]
    stored = layer.weight.numpy() if numbers is None else numbers
    if float_class(layer) is nn.Linear:
        count = channels or shape[0]
        return stored.reshape(1, count, shape[0] // count, shape[1]).transpose(0, 3, 1, 2)
    groups = int(layer._groups)
    apart = stored.reshape(groups, shape[0] // groups, shape[1], int(np.prod(shape[2:])))
    return apart if OUT_AXIS[float_class(layer)] == 0 else apart.transpose(0, 2, 1, 3)


def as_stored(layer: Layer, seen: NDArray[Any]) -> NDArray[Any]:
    """What `by_channels` gave, in the shape of the layer's weight."""
    if float_class(layer) is nn.Linear:
        seen = seen.transpose(0, 2, 3, 1)
    elif OUT_AXIS[float_class(layer)] == 1:
        seen = seen.transpose(0, 2, 1, 3)
    return seen.reshape([int(size) for size in layer.weight.shape])

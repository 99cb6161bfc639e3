"""Floor 2. The tensors of a quantized model as they lie on disk: weights as whole numbers.

A weight lies on its grid, so that its whole numbers and its scale give it back bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.layers import Tensors
from slimlab.quantize.grid import numbers_on_grid, whole_numbers
from slimlab.quantize.packing import pack, unpack
from slimlab.quantize.quantized import quantizers, weight_quantizers
from slimlab.quantize.quantizers import WeightQuantizer

Arrays = dict[str, NDArray[np.generic]]


def stored(model: Layer) -> Arrays:
    """Each tensor of a model once, under its structured name; quantized weights in few bits."""
    state = model.state_dict()
    packed = _packed(model)
    arrays: Arrays = {}
    for name in Tensors.of(model).slots:
        array = np.ascontiguousarray(state[name].numpy())
        quantizer = packed.get(name)
        if quantizer is not None:
            grid = (quantizer.scale.numpy(), quantizer.axis, quantizer.bits)
            arrays[name] = pack(whole_numbers(array, *grid), quantizer.bits)
        else:
            arrays[name] = array
    return arrays


def unstored(model: Layer, arrays: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """What `stored` gave, as the tensors of a model of the same structure.

    The quantizers are final from here on, with the scales that the caller fills in.

    Raises
    ------
    ValueError
        When a weight has the wrong number of bytes, or its scale is missing or of another shape.
    """
    found: Arrays = dict(arrays)
    state = model.state_dict()
    for quantizer in quantizers(model):
        quantizer.settled = True
    for name, quantizer in _packed(model).items():
        scale = arrays.get(name.removesuffix("weight") + "weight_quantizer.scale")
        if name not in arrays or scale is None or list(scale.shape) != quantizer.scale.shape:
            msg = f"the whole numbers or the scale of {name!r} are missing"
            raise ValueError(msg)
        shape = tuple(state[name].shape)
        whole = unpack(arrays[name], quantizer.bits, shape)  # type: ignore[arg-type]
        found[name] = numbers_on_grid(whole, scale, quantizer.axis, quantizer.bits)  # type: ignore[arg-type]
    return found


def _packed(model: Layer) -> dict[str, WeightQuantizer]:
    """Names of the tensors that are stored as whole numbers."""
    own = weight_quantizers(model).items()
    return {
        f"{n}.weight" if n else "weight": quantizer for n, quantizer in own if quantizer.settled
    }

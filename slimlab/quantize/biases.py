"""Floor 2. Biases that take back what rounding adds to the mean of each channel.

Empirical bias correction (Nagel et al. 2019, 1906.04721, section 4.2): rounded weights and inputs
shift the mean of what a layer gives, and such shifts add up. Layer after layer, the shift that is
measured on calibration images is taken off the bias.
"""

from __future__ import annotations

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.nn import Layer

from slimlab.layers import sublayers
from slimlab.quantize.quantized import OUTPUT, float_class, weight_quantizers
from slimlab.quantize.quantizers import Quantizer, disabled
from slimlab.quantize.watching import inputs_and_outputs


def correctable(model: Layer) -> tuple[str, ...]:
    """Layers whose bias can be corrected, in the order of the model's layers."""
    layers = sublayers(model)
    return tuple(name for name in weight_quantizers(model) if layers[name].bias is not None)


def correct_bias(
    model: Layer, reference: Layer, name: str, batches: list[Tensor]
) -> NDArray[np.float64]:
    """Correct one layer's bias, in place; give the shift that was taken off, a number a channel.

    Parameters
    ----------
    model
        With quantizers that are calibrated. Layers before should be corrected already.
    reference
        The same in float; see `slimlab.quantize.watching.in_float`.
    name
        A layer with a bias.
    batches
        Calibration images.
    """
    shift = mean_shift(model, reference, name, batches)
    layer = sublayers(model)[name]
    corrected = layer.bias.numpy().astype(np.float64) - shift
    layer.bias.set_value(paddle.to_tensor(corrected.astype(np.float32)))
    return shift


def mean_shift(
    model: Layer, reference: Layer, name: str, batches: list[Tensor]
) -> NDArray[np.float64]:
    """How much higher the mean of each channel that a layer gives is on grids than in float.

    Before its result is put on a grid itself.
    """
    layer = sublayers(model)[name]
    own = [layer._sub_layers[OUTPUT]] if OUTPUT in layer._sub_layers else []
    before = _mean(reference, sublayers(reference)[name], batches)
    with disabled([q for q in own if isinstance(q, Quantizer)]):
        after = _mean(model, layer, batches)
    return after - before


def _mean(model: Layer, layer: Layer, batches: list[Tensor]) -> NDArray[np.float64]:
    total, count = np.zeros(1), 0
    for _, made in inputs_and_outputs(model, layer, batches):
        numbers = made.numpy().astype(np.float64)
        axis = numbers.ndim - 1 if float_class(layer) is nn.Linear else 1
        others = tuple(n for n in range(numbers.ndim) if n != axis)
        total = total + numbers.mean(axis=others) * len(numbers)
        count += len(numbers)
    return total / max(1, count)

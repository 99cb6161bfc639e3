"""Floor 2. Biases: they take back what rounding adds to the mean of each channel, and become int32.

Runtimes add up whole numbers, whose step is that of the inputs times that of the weights, and round
biases to it (Jacob et al. 2018, 1712.05877, section 2.4). A bias that lies there already moves no
value to the next step of a grid when they do.

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
from slimlab.quantize.grid import top_of
from slimlab.quantize.layout import layout_of
from slimlab.quantize.quantized import INPUT, OUTPUT, float_class, weight_quantizers
from slimlab.quantize.quantizers import ActivationQuantizer, Quantizer, WeightQuantizer, disabled
from slimlab.quantize.watching import inputs_and_outputs

MOST = 2**31 - 1


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


def settle_biases(model: Layer) -> None:
    """Round biases to whole numbers of what their layers add up, in place.

    Those of layers whose inputs are on one grid that is final; the others stay as they are.
    """
    layers, layout = sublayers(model), layout_of(model)
    fed = dict(layout.fed) if layout is not None else {}
    for name, quantizer in weight_quantizers(model).items():
        layer = layers[name]
        held = layer._sub_layers.get(INPUT)
        if held is None and name in fed:
            held = layers[fed[name]]._sub_layers.get(OUTPUT)
        if layer.bias is None or not isinstance(held, ActivationQuantizer) or held.dynamic:
            continue
        bias = layer.bias.numpy()
        # Of a transposed convolution in groups, channel by channel in each group.
        step = np.resize(sum_steps(quantizer, held), bias.shape)
        whole = np.rint(bias / step.astype(np.float64))
        if np.isfinite(whole).all() and np.abs(whole).max(initial=0) <= MOST:
            layer.bias.set_value(paddle.to_tensor((whole * step).astype(np.float32)))


def sum_steps(weight: WeightQuantizer, inputs: ActivationQuantizer) -> NDArray[np.float32]:
    """The step of what a layer adds up, one or one a channel.

    Weights of few bits are taken to be spread over 8, as they are stored for runtimes.
    """
    finer = np.float32(2 ** (8 - weight.bits))
    own = weight.scale.numpy() / np.float32(top_of(weight.bits)) / finer
    found: NDArray[np.float32] = own * (inputs.scale.numpy() / np.float32(top_of(inputs.bits)))
    return found

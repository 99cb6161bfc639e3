"""Floor 2. BatchNorm as part of a convolution's or a linear layer's weights, or kept still.

In evaluation mode a BatchNorm is a factor and a shift a channel: behind a layer whose output
nothing else reads, both go into that layer's weight and bias exactly.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import paddle
from paddle import nn
from paddle.nn import Layer

from slimlab.layers import sublayers
from slimlab.quantize.quantized import OUT_AXIS
from slimlab.quantize.survey import Survey
from slimlab.recalibrate import batch_norms


def foldable(model: Layer, found: Survey, own: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs (layer, BatchNorm) in which the BatchNorm can become part of the layer.

    Parameters
    ----------
    model
        Its layers and their classes.
    found
        Which layer feeds which.
    own
        Layers whose weight no other layer uses.
    """
    layers, may, pairs = sublayers(model), set(own), []
    for name in batch_norms(model):
        call = found.once(name)
        before = found.feeder(call) if call is not None else None
        if before is None or found.once(before.layer) is None or not found.only_reader(before):
            continue
        if type(layers[before.layer]) in OUT_AXIS and {before.layer, name} <= may:
            pairs.append((before.layer, name))
    return tuple(pairs)


def fold(model: Layer, pairs: Iterable[tuple[str, str]]) -> None:
    """Make BatchNorms part of the layers before them, in place; each becomes an `Identity`."""
    layers = sublayers(model)
    for name, norm in pairs:
        _fold_one(layers[name], layers[norm])
    replaced = {id(layers[norm]) for _, norm in pairs}
    for layer in layers.values():
        for attribute, child in list(layer._sub_layers.items()):
            if id(child) in replaced:
                same = nn.Identity()
                same.training = child.training
                layer._sub_layers[attribute] = same


def _fold_one(layer: Layer, norm: Layer) -> None:
    mean, variance = norm._mean.numpy(), norm._variance.numpy()
    factor = 1 / np.sqrt(variance.astype(np.float64) + norm._epsilon)
    if norm.weight is not None:
        factor = factor * norm.weight.numpy()
    shift = -mean * factor if norm.bias is None else norm.bias.numpy() - mean * factor
    if layer.bias is not None:
        shift = shift + layer.bias.numpy() * factor
    weight = layer.weight.numpy()
    axis = OUT_AXIS[type(layer)]
    if axis == 1 and weight.ndim > 2:  # transposed: (in, out / groups, ...), groups along the first
        groups = int(layer._groups)
        split = weight.reshape([groups, weight.shape[0] // groups, *weight.shape[1:]])
        by = factor.reshape([groups, 1, weight.shape[1], *[1] * (weight.ndim - 2)])
        scaled = (split * by).reshape(weight.shape)
    else:
        scaled = weight * factor.reshape([-1 if n == axis else 1 for n in range(weight.ndim)])
    if layer.bias is None:
        add_bias(layer)
    layer.weight.set_value(paddle.to_tensor(scaled.astype(np.float32)))
    layer.bias.set_value(paddle.to_tensor(shift.astype(np.float32)))


def add_bias(layer: Layer) -> None:
    """Give a layer without a bias one of zeros, in place."""
    axis = OUT_AXIS[type(layer)]
    groups = int(layer._groups) if axis == 1 and len(layer.weight.shape) > 2 else 1
    layer.bias = layer.create_parameter([int(layer.weight.shape[axis]) * groups], is_bias=True)


def freeze(model: Layer) -> tuple[str, ...]:
    """Let every BatchNorm keep its statistics in training, in place; give their names."""
    names = tuple(batch_norms(model))
    freeze_named(model, names)
    return names


def freeze_named(model: Layer, names: Iterable[str]) -> None:
    """Let some BatchNorms keep their statistics in training."""
    layers = sublayers(model)
    for name in names:
        layers[name]._use_global_stats = True

"""Floor 2. Layers with quantizers: convolutions and linear layers, and others by their output.

A quantized layer is the layer it was, of a subclass of its class: names, attributes and weights
stay where they were, and `isinstance` still holds. Knows no graph.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.nn import Layer

from slimlab.quantize.config import QuantConfig
from slimlab.quantize.quantizers import ActivationQuantizer, Quantizer, WeightQuantizer

# Class -> the axis of its weight that makes output channels.
OUT_AXIS: dict[type[Layer], int] = {
    nn.Conv1D: 0,
    nn.Conv2D: 0,
    nn.Conv3D: 0,
    nn.Conv1DTranspose: 1,
    nn.Conv2DTranspose: 1,
    nn.Conv3DTranspose: 1,
    nn.Linear: 1,
}
INPUT, WEIGHT, OUTPUT = "input_quantizer", "weight_quantizer", "output_quantizer"


class Quantized:
    """What a layer's class is mixed with; `float_class` is what it was."""

    float_class: type[Layer]
    _sub_layers: dict[str, Any]

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        """Give what the layer gives, computed on grids."""
        return quantized_forward(self, inputs, settings)

    def stored_bits(self, attribute: str) -> int | None:
        """Bits of an element of a tensor of the layer on disk; None for those of its type."""
        quantizer = self._sub_layers.get(WEIGHT)
        if attribute != "weight" or quantizer is None or not quantizer.settled:
            return None
        return int(quantizer.bits)


@paddle.jit.not_to_static
def quantized_forward(layer: Any, inputs: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """Run a quantized layer."""
    held = layer._sub_layers
    if INPUT in held:
        inputs = (held[INPUT](inputs[0]), *inputs[1:])
    if WEIGHT in held:
        made = with_weight(layer, held[WEIGHT](layer.weight), inputs, settings)
    else:
        made = layer.float_class.forward(layer, *inputs, **settings)
    return held[OUTPUT](made) if OUTPUT in held else made


def with_weight(
    layer: Any, weight: Tensor, inputs: tuple[Any, ...], settings: dict[str, Any] | None = None
) -> Any:
    """What a layer would give with another weight. The layer itself is not touched, so that
    several threads can run it.
    """
    other = object.__new__(layer.float_class)
    other.__dict__.update(layer.__dict__)
    other.__dict__["_parameters"] = {**layer._parameters, "weight": weight}
    return layer.float_class.forward(other, *inputs, **(settings or {}))


@cache
def quantized_class(kind: type[Layer]) -> type[Layer]:
    """The subclass of a layer's class that has quantizers, such as `QuantizedConv2D`."""
    return type(f"Quantized{kind.__name__}", (Quantized, kind), {"float_class": kind})


def put_in(layer: Layer, where: str, quantizer: Quantizer) -> None:
    """Give a layer a quantizer; it becomes one of the subclass, in place."""
    if not isinstance(layer, Quantized):
        kind: Any = type(layer)
        layer.__class__ = quantized_class(kind)
    layer.add_sublayer(where, quantizer)
    quantizer.training = layer.training


def weight_quantizer(layer: Layer, bits: int, config: QuantConfig) -> WeightQuantizer:
    """Make the quantizer that a layer's weight needs."""
    if config.weight == "abs_max":
        return WeightQuantizer(bits)
    axis = OUT_AXIS[float_class(layer)]
    return WeightQuantizer(bits, axis, int(layer.weight.shape[axis]))


def float_class(layer: Layer) -> type[Layer]:
    """The class a layer has, or had before it was quantized."""
    return layer.float_class if isinstance(layer, Quantized) else type(layer)


def quantized_layers(model: Layer) -> dict[str, Layer]:
    """Name to each layer of a model that has a quantizer."""
    named = model.named_sublayers(include_self=True)
    return {name: layer for name, layer in named if isinstance(layer, Quantized)}


def weight_quantizers(model: Layer) -> dict[str, WeightQuantizer]:
    """Name of each layer whose weight is quantized, to its quantizer."""
    found = {name: layer._sub_layers.get(WEIGHT) for name, layer in quantized_layers(model).items()}
    return {name: quantizer for name, quantizer in found.items() if quantizer is not None}


def quantizers(model: Layer) -> list[Quantizer]:
    """All quantizers of a model."""
    return [layer for layer in model.sublayers() if isinstance(layer, Quantizer)]


def activation_quantizers(model: Layer) -> list[ActivationQuantizer]:
    """All quantizers of activations of a model."""
    return [layer for layer in quantizers(model) if isinstance(layer, ActivationQuantizer)]

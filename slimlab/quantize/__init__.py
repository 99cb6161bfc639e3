"""Floor 2. Quantization: weights and activations on grids of few bits, trained or not.

A quantized model is an ordinary `paddle.nn.Layer` in float32 whose quantizers compute Paddle's
`quantize_linear` and `dequantize_linear`, so that traced it exports as it is.
"""

from __future__ import annotations

from slimlab.quantize.config import QuantConfig
from slimlab.quantize.layout import Layout, Placed, install, is_quantized, layout_of
from slimlab.quantize.quantized import (
    Quantized,
    activation_quantizers,
    quantized_layers,
    weight_quantizers,
)
from slimlab.quantize.quantizers import ActivationQuantizer, Quantizer, WeightQuantizer
from slimlab.quantize.run import iter_quantize, quantize

__all__ = [
    "ActivationQuantizer",
    "Layout",
    "Placed",
    "QuantConfig",
    "Quantized",
    "Quantizer",
    "WeightQuantizer",
    "activation_quantizers",
    "install",
    "is_quantized",
    "iter_quantize",
    "layout_of",
    "quantize",
    "quantized_layers",
    "weight_quantizers",
]

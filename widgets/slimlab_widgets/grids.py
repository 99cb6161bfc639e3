"""Top floor. What rounding a model's weights would cost, for the quantization tab; no widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from slimlab.quantize.quantized import OUT_AXIS, float_class

if TYPE_CHECKING:
    from paddle.nn import Layer

Json = dict[str, Any]


def quant_view(name: str, model: Layer) -> Json:
    """How large the weights of each convolution and linear layer are: the page does the rest.

    A grid's step is `scale / (2 ** (bits - 1) - 1)`, and rounding errs by its `sqrt(12)`-th part,
    so that these three numbers give the error for any bits, with one scale or one a channel.
    """
    layers = []
    for layer_name, layer in model.named_sublayers():
        axis = OUT_AXIS.get(float_class(layer))
        if axis is None:
            continue
        values = np.abs(np.asarray(layer.weight.numpy(), dtype=np.float64))
        channels = values.max(axis=tuple(a for a in range(values.ndim) if a != axis))
        layers.append(
            {
                "layer": layer_name,
                "weights": int(values.size),
                "rms": float(np.sqrt(np.mean(values**2))),
                "most": float(values.max(initial=0.0)),
                "channels": float(np.sqrt(np.mean(channels**2))),
            }
        )
    return {"name": name, "layers": layers}

"""Floor 2. Channels between neighbouring layers scaled for the grids; the function stays the same.

Cross-layer equalization (Nagel et al. 2019, 1906.04721, section 4.1): behind a ReLU, a channel that
is divided by a factor in one layer and multiplied by it in the next gives the same. There, factors
bring both weights' ranges together. Here they make what rounding adds to the output least
(`noise`): that counts the activations between as well, whose channels share a scale even where
weights have one each, and how much the output heeds each channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.nn import Layer

from slimlab.errors import PlanError
from slimlab.evaluate import inference
from slimlab.layers import sublayers
from slimlab.quantize.channel_view import as_stored, by_channels
from slimlab.quantize.noise import Noise
from slimlab.quantize.quantized import OUT_AXIS, quantizers
from slimlab.quantize.quantizers import disabled
from slimlab.quantize.survey import Call, Survey

Pair = tuple[str, str]
SAME = 1e-3  # the largest change of an output, relative to the largest output
# Multiplied by a positive number they give what they gave, multiplied by it, channel by channel.
LAYERS = (
    nn.ReLU, nn.Identity, nn.Dropout, nn.Dropout2D, nn.Flatten, nn.MaxPool2D, nn.AvgPool2D,
    nn.AdaptiveAvgPool2D, nn.AdaptiveMaxPool2D,
)  # fmt: skip
OPERATORS = ("relu", "max_pool2d_with_index", "pool2d", "dropout", "flatten", "reshape")


def equalizable(
    model: Layer, found: Survey, own: Iterable[str], folded: Iterable[str]
) -> tuple[Pair, ...]:
    """Pairs of layers between which channels can be scaled, in execution order.

    Parameters
    ----------
    model
        In float, not changed yet.
    found
        Which layer feeds which.
    own
        Layers whose weight no other layer uses.
    folded
        BatchNorms that are part of the layers before them.
    """
    layers, mine, still = sublayers(model), set(own), set(folded)
    pairs = []
    for call in found.calls:
        if type(layers[call.layer]) not in OUT_AXIS or found.once(call.layer) is None:
            continue
        before, flat = _before(layers, found, call, still)
        if before is None or found.once(before.layer) is None:
            continue
        ends = layers[before.layer], layers[call.layer]
        if {before.layer, call.layer} <= mine and _fits(*ends, flat=flat):
            pairs.append((before.layer, call.layer))
    return tuple(pairs)


def _before(layers: Any, found: Survey, call: Call, folded: set[str]) -> tuple[Call | None, bool]:
    """The layer with a weight whose result this call reads, through nothing that tells scales, and
    whether the result is reshaped between.
    """
    value, flat = call.given, False
    while found.readers.get(value, 0) == 1:
        made = found.by_made.get(value)
        if made is not None:
            kind = type(layers[made.layer])
            if kind in OUT_AXIS:
                return made, flat
            if made.layer not in folded and kind not in LAYERS:
                return None, flat
            value, flat = made.given, flat or kind is nn.Flatten
            continue
        op = found.makers.get(value)
        name = "" if op is None else op.short.removesuffix("_")
        if op is None or name not in OPERATORS or op.inputs[0] is None:
            return None, flat
        value, flat = found.same(op.inputs[0].id), flat or name in {"flatten", "reshape"}
    return None, flat


def _fits(first: Layer, second: Layer, *, flat: bool) -> bool:
    """Whether the channels that one makes are those that the other reads, in their order.

    A convolution's channels lie along another axis than a linear layer's features.
    """
    count = int(np.prod(by_channels(first).shape[:2]))
    groups, _, each, _ = by_channels(second).shape
    taken = groups * each
    if type(first) is nn.Linear:
        return type(second) is nn.Linear and taken == count
    return flat and taken % count == 0 if type(second) is nn.Linear else taken == count


def equalize(
    model: Layer, pairs: Sequence[Pair], example: Tensor, batches: Iterable[Tensor]
) -> None:
    """Scale the channels between layers of a scratch model, in place.

    Parameters
    ----------
    model
        With quantizers, which have seen nothing yet.
    pairs
        What `equalizable` found.
    example
        One input with batch 1: the model must give the same for it as before.
    batches
        Calibration images.

    Raises
    ------
    PlanError
        When it does not.
    """
    if not pairs:
        return
    before = _float_output(model, example)
    factors = Noise(model, pairs, batches).least()
    layers = sublayers(model)
    for (first, second), each in zip(pairs, factors, strict=True):
        made = by_channels(layers[first])
        read = by_channels(layers[second], len(each))
        _set_weight(layers[first], made / each.reshape(*made.shape[:2], 1, 1))
        _set_weight(layers[second], read * each.reshape(read.shape[0], 1, read.shape[2], 1))
        if layers[first].bias is not None:
            bias = layers[first].bias.numpy() / each
            layers[first].bias.set_value(paddle.to_tensor(bias.astype(np.float32)))
    after = _float_output(model, example)
    off = float(np.abs(after - before).max(initial=0))
    if not off <= SAME * max(float(np.abs(before).max(initial=0)), 1e-6):
        msg = (
            f"Equalizing changed what {type(model).__name__} gives by {off:.3g}: something between "
            "its layers tells scales apart. Leave equalize out of QuantConfig."
        )
        raise PlanError(msg, model=type(model).__name__, off=off)


def _set_weight(layer: Layer, seen: NDArray[Any]) -> None:
    stored = np.ascontiguousarray(as_stored(layer, seen), np.float32)
    layer.weight.set_value(paddle.to_tensor(stored))


def _float_output(model: Layer, example: Tensor) -> NDArray[np.float64]:
    with disabled(quantizers(model)), inference(model):
        made = [t.numpy().reshape(-1) for t in paddle.utils.flatten(model(example))]
    return np.concatenate(made).astype(np.float64)

"""Floor 2. Channels of neighbouring layers brought to like ranges; the network computes the same.

Cross-layer equalization (Nagel et al. 2019, 1906.04721, section 4.1): behind a ReLU, a channel that
is divided by a factor in one layer and multiplied by it in the next gives the same. With the square
root of the ratio of both ranges, no channel wastes the levels of a grid that all share.
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
from slimlab.quantize.quantized import OUT_AXIS, float_class, quantizers
from slimlab.quantize.quantizers import disabled
from slimlab.quantize.survey import Call, Survey

Pair = tuple[str, str]
ROUNDS = 40  # over all pairs, for a layer lies in two of them
STILL = 1e-3  # a round that changes no factor by more is the last
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
        before = _before(layers, found, call, still)
        if before is None or found.once(before.layer) is None:
            continue
        if {before.layer, call.layer} <= mine and _fits(layers[before.layer], layers[call.layer]):
            pairs.append((before.layer, call.layer))
    return tuple(pairs)


def _before(layers: Any, found: Survey, call: Call, folded: set[str]) -> Call | None:
    """The layer with a weight whose result this call reads, through nothing that tells scales."""
    value = call.given
    while found.readers.get(value, 0) == 1:
        made = found.by_made.get(value)
        if made is not None:
            if type(layers[made.layer]) in OUT_AXIS:
                return made
            if made.layer not in folded and type(layers[made.layer]) not in LAYERS:
                return None
            value = made.given
            continue
        op = found.makers.get(value)
        if op is None or op.short.removesuffix("_") not in OPERATORS or op.inputs[0] is None:
            return None
        value = found.same(op.inputs[0].id)
    return None


def _fits(first: Layer, second: Layer) -> bool:
    """Whether the channels that one makes are those that the other reads, in their order."""
    made, read = _made(first)[0], _read(second)[0]
    count = np.prod([made[n] for n in _made(first)[1]], dtype=int)
    taken = np.prod([read[n] for n in _read(second)[1]], dtype=int)
    flattened = type(second) is nn.Linear and type(first) is not nn.Linear
    return bool(taken % count == 0 if flattened else taken == count)


def _made(layer: Layer) -> tuple[list[int], tuple[int, ...]]:
    """A shape for a layer's weight, and its axes that are the channels it makes."""
    shape, kind = list(map(int, layer.weight.shape)), float_class(layer)
    if OUT_AXIS[kind] == 0:
        return [shape[0], int(np.prod(shape[1:]))], (0,)
    if kind is nn.Linear:
        return shape, (1,)
    groups = int(layer._groups)
    return [groups, shape[0] // groups, shape[1], int(np.prod(shape[2:]))], (0, 2)


def _read(layer: Layer, channels: int | None = None) -> tuple[list[int], tuple[int, ...]]:
    """A shape for a layer's weight, and its axes that are the channels it reads."""
    shape, kind = list(map(int, layer.weight.shape)), float_class(layer)
    if kind is nn.Linear:
        count = shape[0] if channels is None else channels
        return [count, shape[0] // count, shape[1]], (0,)
    if OUT_AXIS[kind] == 1:
        return [shape[0], int(np.prod(shape[1:]))], (0,)
    groups = int(layer._groups)
    return [groups, shape[0] // groups, shape[1], int(np.prod(shape[2:]))], (0, 2)


def _ranges(weight: NDArray[np.float64], view: Sequence[int], axes: Sequence[int]) -> Any:
    others = tuple(n for n in range(len(view)) if n not in axes)
    return np.abs(weight.reshape(view)).max(axis=others).reshape(-1)


def _times(
    weight: NDArray[np.float64], view: Sequence[int], axes: Sequence[int], factors: Any
) -> NDArray[np.float64]:
    along = factors.reshape([size if n in axes else 1 for n, size in enumerate(view)])
    scaled: NDArray[np.float64] = (weight.reshape(view) * along).reshape(weight.shape)
    return scaled


def equalize(model: Layer, pairs: Sequence[Pair], example: Tensor) -> None:
    """Equalize the weights of a scratch model, in place.

    Parameters
    ----------
    model
        With quantizers, which have seen nothing yet.
    pairs
        What `equalizable` found.
    example
        One input with batch 1: the model must give the same for it as before.

    Raises
    ------
    PlanError
        When it does not.
    """
    before = _float_output(model, example)
    layers = sublayers(model)
    names = dict.fromkeys(name for pair in pairs for name in pair)
    weights = {name: layers[name].weight.numpy().astype(np.float64) for name in names}
    biases = {n: layers[n].bias.numpy() * 1.0 for n in names if layers[n].bias is not None}
    for _ in range(ROUNDS):
        most = 0.0
        for first, second in pairs:
            made = _made(layers[first])
            ranges = _ranges(weights[first], *made)
            read = _read(layers[second], len(ranges))
            factors = _factors(ranges, _ranges(weights[second], *read))
            weights[first] = _times(weights[first], *made, 1 / factors)
            weights[second] = _times(weights[second], *read, factors)
            if first in biases:
                biases[first] = biases[first] / factors
            most = max(most, float(np.abs(np.log(factors)).max()))
        if most < STILL:
            break
    for name in names:
        layers[name].weight.set_value(paddle.to_tensor(weights[name].astype(np.float32)))
        if name in biases:
            layers[name].bias.set_value(paddle.to_tensor(biases[name].astype(np.float32)))
    after = _float_output(model, example)
    off = float(np.abs(after - before).max(initial=0))
    if not off <= SAME * max(float(np.abs(before).max(initial=0)), 1e-6):
        msg = (
            f"Equalizing changed what {type(model).__name__} gives by {off:.3g}: something between "
            "its layers tells scales apart. Leave equalize out of QuantConfig."
        )
        raise PlanError(msg, model=type(model).__name__, off=off)


def _factors(made: NDArray[np.float64], read: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each channel is divided by in the first layer, and multiplied by in the second."""
    usable = (made > 0) & (read > 0)
    ratio = np.where(usable, made, 1.0) / np.where(usable, read, 1.0)
    factors: NDArray[np.float64] = np.sqrt(ratio)
    return factors


def _float_output(model: Layer, example: Tensor) -> NDArray[np.float64]:
    with disabled(quantizers(model)), inference(model):
        made = [t.numpy().reshape(-1) for t in paddle.utils.flatten(model(example))]
    return np.concatenate(made).astype(np.float64)

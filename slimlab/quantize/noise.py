"""Floor 2. How much rounding adds to what a network gives, and the factors that make it least.

Between two layers a channel may be divided by a factor in the one and multiplied by it in the
other (`equalizing`). Whatever shares a scale is rounded with the step of its largest magnitude, and
a step of ``s`` adds an error of variance ``s ** 2 / 12`` to each number (Widrow and Kollar 2008,
Quantization Noise, chapter 5). What that does to the output is, to first order, the error times a
gradient, and squares of gradients along random signs add up to the squares of all (Hutchinson's
estimator). So the noise is a sum over weights and inputs of ``(largest magnitude / levels) ** 2 /
12 * squares of gradients``, both of which factors change in a known way. Zeros of an input are on
every grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.nn import Layer
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from slimlab.layers import evaluating, sublayers
from slimlab.quantize.channel_view import by_channels
from slimlab.quantize.grid import top_of
from slimlab.quantize.quantized import INPUT, float_class, quantizers, weight_quantizers
from slimlab.quantize.quantizers import Quantizer, disabled

Array = NDArray[np.float64]
Pair = tuple[str, str]
NOTHING = 1e-30  # what has a logarithm for it
FURTHEST = float(np.log(2.0**8))  # of a factor from one
SHARPNESS = (8.0, 32.0)  # of the norm that stands for a maximum, which has no gradient everywhere
ROUNDS = 75  # of the optimiser, with each
TRUE_MAXIMUM = 1e4
COLUMN = (1, -1, 1)


@dataclass(frozen=True)
class Part:
    """Numbers on grids: their noise is ``sum(step ** 2 * loudness) / 12`` over the scales.

    Attributes
    ----------
    steps
        Logarithms of the steps that the largest magnitudes would have alone: ``(groups, out, in)``
        of a weight, ``(1, channels, 1)`` of an input.
    loud
        Logarithms of the squares of gradients, in all, in the same shape.
    shared
        Axes of what shares a scale.
    divided, multiplied
        Number of the pair whose factors the second axis is divided by, and the last is multiplied
        by; None for neither.
    """

    steps: Array
    loud: Array
    shared: tuple[int, ...]
    divided: int | None
    multiplied: int | None = None

    def noise(self, logs: Sequence[Array], sharpness: float) -> tuple[float, Array]:
        """Twelve times the noise with such logarithms of factors, and its slope by what is added
        to `steps`; `sharpness` is that of the norm that is taken for a maximum.
        """
        groups, out, read = self.steps.shape
        added = np.zeros_like(self.steps)
        if self.divided is not None:
            added = added - logs[self.divided].reshape(groups, out, 1)
        if self.multiplied is not None:
            added = added + logs[self.multiplied].reshape(groups, 1, read)
        steps, loud = sharpness * (self.steps + added), self.loud - 2 * added
        each = np.exp(
            2 / sharpness * logsumexp(steps, axis=self.shared, keepdims=True)
            + logsumexp(loud, axis=self.shared, keepdims=True)
        )
        return float(each.sum()), 2 * each * (
            softmax(steps, axis=self.shared) - softmax(loud, axis=self.shared)
        )


class Noise:
    """The noise of a quantized network's output, by the factors of its pairs of layers.

    Its numbers are sums over the outputs of one image of mean squared errors.

    Parameters
    ----------
    model
        With quantizers, in float so far; it is not changed.
    pairs
        Layers between which channels can be scaled.
    batches
        Calibration images.
    """

    def __init__(self, model: Layer, pairs: Sequence[Pair], batches: Iterable[Tensor]) -> None:
        layers, grids = sublayers(model), weight_quantizers(model)
        self.sizes = [int(np.prod(by_channels(layers[first]).shape[:2])) for first, _ in pairs]
        read = {second: size for (_, second), size in zip(pairs, self.sizes, strict=True)}
        seen = _measured(model, pairs, read, batches)
        self._parts = []
        for name in dict.fromkeys(name for pair in pairs for name in pair):
            if name not in grids:
                continue
            view = partial(by_channels, layers[name], channels=read.get(name))
            steps = _log(np.abs(view()).max(axis=3)) - np.log(top_of(grids[name].bits))
            loud = _log(view(numbers=seen.weights[name]).sum(axis=3))
            between = _number(pairs, 0, name), _number(pairs, 1, name)
            self._parts.append(Part(steps, loud, _shared(layers[name], grids[name]), *between))
        for number, (_, second) in enumerate(pairs):
            grid = layers[second]._sub_layers.get(INPUT)
            if isinstance(grid, Quantizer):
                steps = _log(seen.largest[second]) - np.log(top_of(grid.bits))
                loud = _log(seen.inputs[second])
                self._parts.append(
                    Part(steps.reshape(COLUMN), loud.reshape(COLUMN), (0, 1, 2), number)
                )

    def of(self, logs: Array, sharpness: float = TRUE_MAXIMUM) -> tuple[float, Array]:
        """The noise with such logarithms of factors, and its gradient.

        Parameters
        ----------
        logs
            Those of all pairs one after the other.
        sharpness
            Of the norm that is taken for a maximum.
        """
        each = self._split(logs)
        total, gradients = 0.0, [np.zeros(size) for size in self.sizes]
        for part in self._parts:
            noise, slope = part.noise(each, sharpness)
            total += noise
            if part.divided is not None:
                gradients[part.divided] -= slope.sum(axis=2).reshape(-1)
            if part.multiplied is not None:
                gradients[part.multiplied] += slope.sum(axis=1).reshape(-1)
        return total / 12, np.concatenate(gradients) / 12

    def least(self) -> list[Array]:
        """Factors of each pair that make the noise least, as far as is found; ones if none do."""
        logs = np.zeros(sum(self.sizes))

        def value(at: Array, sharpness: float) -> tuple[float, Array]:
            noise, gradient = self.of(at, sharpness)
            return float(np.log(max(noise, NOTHING))), gradient / max(noise, NOTHING)

        for sharpness in SHARPNESS:
            found = minimize(
                value, logs, (sharpness,), method="L-BFGS-B", jac=True,
                bounds=[(-FURTHEST, FURTHEST)] * len(logs), options={"maxiter": ROUNDS},
            )  # fmt: skip
            if self.of(found.x)[0] < self.of(logs)[0]:
                logs = found.x
        return self._split(np.exp(logs))

    def _split(self, numbers: Array) -> list[Array]:
        """Numbers of all pairs, pair by pair."""
        return list(np.split(numbers, np.cumsum(self.sizes)[:-1]))


def _log(numbers: NDArray[Any]) -> Array:
    return np.asarray(np.log(np.maximum(numbers, NOTHING)), np.float64)


def _number(pairs: Sequence[Pair], place: int, name: str) -> int | None:
    return next((n for n, pair in enumerate(pairs) if pair[place] == name), None)


def _shared(layer: Layer, grid: Quantizer) -> tuple[int, ...]:
    """Axes of ``(groups, out, in)`` that share a scale."""
    if grid.axis is None:
        return (0, 1, 2)
    # Of a transposed convolution in groups, the channels of one place in each.
    return (0, 2) if "Transpose" in float_class(layer).__name__ else (2,)


@dataclass
class _Seen:
    """Of one image: squares of gradients at weights, and at inputs by channel; largest inputs."""

    weights: dict[str, Any]
    inputs: dict[str, Any]
    largest: dict[str, Any]


def _measured(
    model: Layer, pairs: Sequence[Pair], read: Mapping[str, int], batches: Iterable[Tensor]
) -> _Seen:
    layers = sublayers(model)
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    # All of them: a recurrent layer has gradients of all of its own, or fails.
    parameters = model.parameters()
    frozen = [parameter.stop_gradient for parameter in parameters]
    inputs: dict[str, Tensor] = {}

    def watch(name: str, _: Layer, given: tuple[Tensor, ...]) -> None:
        given[0].stop_gradient = False
        inputs[name] = given[0]

    hooks = [layers[n].register_forward_pre_hook(partial(watch, n)) for n in read]
    found = _Seen(dict.fromkeys(names, 0.0), dict.fromkeys(read, 0.0), dict.fromkeys(read, 0.0))
    draws, images = np.random.default_rng(0), 0
    try:
        for parameter in parameters:
            parameter.stop_gradient = False
        for x in batches:
            with disabled(quantizers(model)), _differentiable(model), paddle.enable_grad():
                total = _along_signs(model(x), draws)
            wanted = [*parameters, *(inputs[name] for name in read)]
            gradients = paddle.grad(total, wanted, allow_unused=True)
            by_id = {id(of): each for of, each in zip(wanted, gradients, strict=True)}
            images += len(x)
            for name in names:
                weight = layers[name].weight
                found.weights[name] = found.weights[name] + _squares(by_id[id(weight)], weight)
            for name, given in inputs.items():
                values = given.numpy()
                squares = _squares(by_id[id(given)], given) * (values != 0)
                loud = _channels(layers[name], squares, read[name]).sum(axis=(0, 2))
                top = _channels(layers[name], np.abs(values), read[name]).max(axis=(0, 2))
                found.inputs[name] = found.inputs[name] + loud
                found.largest[name] = np.maximum(found.largest[name], top)
    finally:
        for hook in hooks:
            hook.remove()
        for parameter, was in zip(parameters, frozen, strict=True):
            parameter.stop_gradient = was
    for sums in (found.weights, found.inputs):
        sums.update({name: value / max(1, images) for name, value in sums.items()})
    return found


@contextmanager
def _differentiable(model: Layer) -> Iterator[None]:
    """Evaluation mode, but for recurrent layers: Paddle gives those gradients in training only."""
    recurrent = [layer for layer in model.sublayers() if isinstance(layer, nn.layer.rnn.RNNBase)]
    dropped = [layer.dropout for layer in recurrent]
    with evaluating(model):
        try:
            for layer in recurrent:
                layer.training, layer.dropout = True, 0.0
            yield
        finally:
            for layer, share in zip(recurrent, dropped, strict=True):
                layer.dropout = share


def _along_signs(made: Any, draws: np.random.Generator) -> Tensor:
    total = paddle.zeros([])
    for each in paddle.utils.flatten(made):
        signs = draws.choice(np.array([-1, 1], np.float32), size=each.shape)
        total = total + (each * paddle.to_tensor(signs)).sum()
    return total


def _squares(gradient: Tensor | None, like: Tensor) -> Array:
    if gradient is None:
        return np.zeros(like.shape)
    squares: Array = np.square(gradient.numpy().astype(np.float64))
    return squares


def _channels(layer: Layer, values: NDArray[Any], count: int) -> NDArray[Any]:
    """Values of a layer's input as ``(rows, channels, places)``."""
    if float_class(layer) is nn.Linear:
        return values.reshape(-1, count, values.shape[-1] // count)
    return values.reshape(len(values), count, -1)

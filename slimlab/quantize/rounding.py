"""Floor 2. AdaRound: which weights to round up and which down, learned layer by layer.

Nagel et al. 2020, 2004.10568: rounding each weight to the nearest is not best for what a layer
gives. Between the two whole numbers around it a weight gets a soft place that is trained, on
calibration images and with the layers before on their grids, so that the layer gives what it gives
in float; a penalty drives each to one of the two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.layers import sublayers
from slimlab.quantize.grid import numbers_on_grid, top_of, whole_numbers
from slimlab.quantize.quantized import INPUT, with_weight
from slimlab.quantize.quantizers import WeightQuantizer
from slimlab.quantize.watching import inputs_and_outputs

HIGH, LOW = 1.1, -0.1  # of the stretched sigmoid, as in the paper
PENALTY, SHARPEST, SOFTEST = 0.01, 2.0, 20.0  # its weight, and its power at the end and the start
FREE = 0.2  # share of the steps without penalty
RATE, BATCH = 1e-2, 32
MOST = 2**25  # numbers of a layer's inputs and outputs that are kept: 128 MB each

Floats = NDArray[np.float32]


def round_adaptively(
    model: Layer,
    reference: Layer,
    name: str,
    batches: list[Tensor],
    *,
    steps: int,
    seed: int = 0,
) -> tuple[float, float]:
    """Learn the rounding of one layer's weight, and make its grid and its numbers final, in place.

    Layers before it should be rounded already.

    Parameters
    ----------
    model
        With quantizers that are calibrated.
    reference
        The same in float; see `slimlab.quantize.watching.in_float`.
    name
        A layer with a quantized weight.
    batches
        Calibration images.
    steps
        Of training.
    seed
        Of the order of images.

    Returns
    -------
    learned, nearest
        Mean squared difference of what the layer gives from what it gives in float, with the
        rounding that is kept and with every weight rounded to the nearest. The first is never
        higher: where nothing better is found, it is the nearest.
    """
    layer = sublayers(model)[name]
    quantizer = layer._sub_layers["weight_quantizer"]
    x, wanted = _data(model, reference, name, batches)
    scale, weight = quantizer.scale_of(layer.weight).numpy(), layer.weight.numpy()
    grid = (scale, quantizer.axis, quantizer.bits)

    def given(on_grid: Tensor, images: Floats) -> Tensor:
        return with_weight(layer, on_grid, (paddle.to_tensor(images),))

    nearest = numbers_on_grid(whole_numbers(weight, *grid), *grid)
    learned = _learn(weight, quantizer, scale, _Fit(given, x, wanted, steps, seed))
    errors = {id(w): _error(given, w, x, wanted) for w in (learned, nearest)}
    kept = min((learned, nearest), key=lambda w: errors[id(w)])
    layer.weight.set_value(paddle.to_tensor(kept))
    quantizer.set_scale(scale)
    quantizer.settle()
    return errors[id(kept)], errors[id(nearest)]


class _Fit:
    """What a layer should give, and how long to try."""

    def __init__(
        self,
        given: Callable[[Tensor, Floats], Tensor],
        x: Floats,
        wanted: Floats,
        steps: int,
        seed: int,
    ) -> None:
        self.given, self.x, self.wanted = given, x, wanted
        self.steps, self.rng = steps, np.random.default_rng(seed)


def _data(
    model: Layer, reference: Layer, name: str, batches: list[Tensor]
) -> tuple[Floats, Floats]:
    """What a layer takes, on its grid with all before it, and what it gives in float."""
    layer, original = sublayers(model)[name], sublayers(reference)[name]
    taken: list[Floats] = []
    given: list[Floats] = []
    kept = 0
    for batch in batches:
        _, made = next(inputs_and_outputs(reference, original, [batch]))
        x, _ = next(inputs_and_outputs(model, layer, [batch]))
        if INPUT in layer._sub_layers:
            with paddle.no_grad():
                x = layer._sub_layers[INPUT](x)
        taken.append(x.numpy())
        given.append(made.numpy())
        kept += max(taken[-1].size, given[-1].size)
        if kept + max(taken[-1].size, given[-1].size) > MOST:
            break
    return np.concatenate(taken), np.concatenate(given)


def _learn(weight: Floats, quantizer: WeightQuantizer, scale: Floats, fit: _Fit) -> Floats:
    """The numbers of a weight with the rounding that was learned."""
    top = top_of(quantizer.bits)
    shape = [-1 if n == quantizer.axis else 1 for n in range(weight.ndim)]
    step = (scale / np.float32(top)).reshape(shape if quantizer.axis is not None else [1])
    below = np.floor(weight / step)
    rest = np.clip(weight / step - below, 0.01, 0.99)
    start = -np.log((HIGH - LOW) / (rest - LOW) - 1)
    soft = paddle.to_tensor(start.astype(np.float32), stop_gradient=False)
    floor, steps = paddle.to_tensor(below), paddle.to_tensor(step)
    optimizer = paddle.optimizer.Adam(RATE, parameters=[soft])
    for done in range(fit.steps):
        some = fit.rng.choice(len(fit.x), min(BATCH, len(fit.x)), replace=False)
        up = _up(soft)
        made = fit.given(paddle.clip(floor + up, -top - 1, top) * steps, fit.x[some])
        apart = (made - paddle.to_tensor(fit.wanted[some])) ** 2
        loss = apart.sum() / (apart.size / apart.shape[1])  # over channels, mean of the rest
        share = done / max(1, fit.steps)
        if share >= FREE:
            left = (1 - share) / (1 - FREE)
            power = SHARPEST + (SOFTEST - SHARPEST) * left
            loss = loss + PENALTY * (1 - (2 * up - 1).abs() ** power).sum()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    whole = np.clip(below + (_up(soft).numpy() >= 0.5), -top - 1, top)
    return numbers_on_grid(whole.astype(np.int8), scale, quantizer.axis, quantizer.bits)


def _up(soft: Tensor) -> Tensor:
    """How far up each weight is rounded: 0 to 1."""
    stretched = paddle.nn.functional.sigmoid(soft) * (HIGH - LOW) + LOW
    return paddle.clip(stretched, 0, 1)


def _error(
    given: Callable[[Tensor, Floats], Tensor], weight: Floats, x: Floats, wanted: Floats
) -> float:
    """Mean squared difference of what a layer gives."""
    total = 0.0
    with paddle.no_grad():
        for start in range(0, len(x), BATCH):
            made = given(paddle.to_tensor(weight), x[start : start + BATCH]).numpy()
            apart = made.astype(np.float64) - wanted[start : start + BATCH]
            total += float((apart**2).sum())
    return total / wanted.size

"""Floor 3. Bits for each layer from a scan of bits, within a budget of bytes or of lost points."""

from __future__ import annotations

import math

import numpy as np
from paddle.nn import Layer

from slimlab.allocate.problem import Array, Problem
from slimlab.allocate.solve import solve
from slimlab.errors import PlanError
from slimlab.layers import Tensors, sublayers
from slimlab.quantize.quantized import OUT_AXIS, float_class
from slimlab.sensitivity import Sensitivity

FLOAT = 32


def bits_for_budget(
    model: Layer,
    sensitivity: Sensitivity,
    *,
    bytes: float | None = None,
    drop: float | None = None,
) -> dict[str, int]:
    """Choose bits for each layer: least loss within a size, or least size within a loss.

    Layers are taken to hurt independently, as in `preview`. The choice is the best one for these
    predictions.

    Parameters
    ----------
    model
        In float.
    sensitivity
        What `quant_sensitivity` measured of it: its bits are the choices, and 32 (float).
    bytes
        Share of the model's bytes to remove, between 0 and 1, at least. Weights of few bits have a
        scale of 4 bytes a channel.
    drop
        Points of the metric that may be lost, predicted. One of the two is given.

    Returns
    -------
    dict
        Layer to bits, for `QuantConfig(layer_bits=...)`.

    Raises
    ------
    PlanError
        When the budget can't be met, the least that can is named; when both or none is given, or
        the table is not one of bits or of another model.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> config = sl.QuantConfig(calibration_images=32)
    >>> scan = sl.quant_sensitivity(model, task, config, bits=[8, 4], images=50, progress=False)
    >>> bits = sl.bits_for_budget(model, scan, bytes=0.8)
    >>> set(bits.values()) <= {4, 8, 32}
    True
    """
    _check(model, sensitivity, bytes, drop)
    choices = (FLOAT, *(sensitivity.bits or ()))
    whole = _model_bytes(model)
    sizes = [_sizes(model, name, choices) / whole for name in sensitivity.layers]
    losses = [_losses(sensitivity, name) for name in sensitivity.layers]
    if bytes is not None:
        fixed = 1 - sum(size[0] for size in sizes)
        limit = np.array([1 - bytes - fixed])
        problem = Problem(tuple(losses), _tables(sizes), limit)
        least = 1 - fixed - sum(size.min() for size in sizes)
        said = f"bytes={bytes}: at most {least:.3f} of this model's bytes can be removed"
    else:
        limit = np.array([_charge(sensitivity, float(drop or 0.0))])
        problem = Problem(tuple(sizes), _tables(losses), limit)
        said = f"drop={drop}: it must be 0 or more"
    found = solve(problem, gap=0)
    if found is None:
        msg = f"{said} with {', '.join(map(str, choices))} bits."
        raise PlanError(msg, bytes=bytes, drop=drop)
    pairs = zip(sensitivity.layers, found.choice, strict=True)
    return {name: choices[int(level)] for name, level in pairs}


def _check(model: Layer, sensitivity: Sensitivity, bytes: float | None, drop: float | None) -> None:
    if (bytes is None) == (drop is None):
        msg = f"Give bytes= or drop=, one of the two (bytes is {bytes}, drop is {drop})."
        raise PlanError(msg, bytes=bytes, drop=drop)
    if sensitivity.bits is None or not sensitivity.complete:
        msg = "bits_for_budget needs a complete table of sl.quant_sensitivity."
        raise PlanError(msg, criterion=sensitivity.criterion)
    missing = [name for name in sensitivity.layers if name not in sublayers(model)]
    if missing:
        msg = f"This {type(model).__name__} has no layer {missing[0]!r}: scan this model."
        raise PlanError(msg, layer=missing[0])


def _model_bytes(model: Layer) -> float:
    state = model.state_dict()
    return float(sum(state[n].size * state[n].element_size() for n in Tensors.of(model).slots))


def _sizes(model: Layer, name: str, choices: tuple[int, ...]) -> Array:
    """Bytes of a layer's weight at each choice."""
    layer = sublayers(model)[name]
    count, channels = int(layer.weight.size), int(layer.weight.shape[OUT_AXIS[float_class(layer)]])
    return np.array(
        [count * 4.0 if b == FLOAT else math.ceil(count * b / 8) + 4.0 * channels for b in choices]
    )


def _losses(sensitivity: Sensitivity, name: str) -> Array:
    drops = [sensitivity.predicted_drop(name, ratio) for ratio in sensitivity.ratios]
    return np.array([0.0, *(_charge(sensitivity, drop) for drop in drops)])


def _charge(sensitivity: Sensitivity, drop: float) -> float:
    """A drop as a number that adds up over layers; see `Sensitivity.together`."""
    if sensitivity.unit != "%" or not sensitivity.baseline > 0:
        return drop
    return -math.log(max(1 - drop / sensitivity.baseline, 1e-6))


def _tables(costs: list[Array]) -> dict[tuple[int, ...], Array]:
    return {(n,): cost[None] for n, cost in enumerate(costs)}

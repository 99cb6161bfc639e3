"""Checks of lesson 05: a grid written by hand, and bits for each layer. Changes no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab.quantize.grid import top_of
from slimlab_widgets.grids import quant_view
from slimlab_widgets.teaching.verdict import Verdict

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab import QuantConfig, Task

OnGrid = Callable[[np.ndarray, int], Any]


def check_on_grid(answer: OnGrid | None) -> Verdict:
    """Check a function that rounds an array to a symmetric grid of so many bits.

    Parameters
    ----------
    answer
        Takes an array and bits, gives the nearest values of the grid whose scale is the array's
        largest magnitude; one that gives None counts as not answered.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab_widgets import teaching
    >>> def on_grid(x, bits):
    ...     n = 2 ** (bits - 1) - 1
    ...     scale = np.abs(x).max()
    ...     return np.round(x / scale * n) * scale / n
    >>> teaching.check_on_grid(on_grid).right
    True
    """
    rng = np.random.default_rng(0)
    faults: list[str] = []
    for bits in (8, 4, 2):
        values = rng.normal(size=257) * rng.uniform(0.1, 4)
        try:
            found = answer(values.copy(), bits) if answer is not None else None
        except Exception as error:
            return Verdict("wrong", f"It fails: {type(error).__name__}: {error}")
        if found is None or found is ...:
            return Verdict("open", "Let the function give the rounded array.")
        found = np.asarray(found, dtype=float)
        if found.shape != values.shape:
            return Verdict("wrong", f"Of shape {values.shape} it makes shape {found.shape}.")
        faults += _grid_faults(values, found, bits)
        if faults:
            break
    return Verdict.of(faults, "Every value is at most half a step away, on the grid of the scale.")


def check_bits(
    answer: QuantConfig | None, model: Layer, task: Task, *, most: float, drop: float
) -> Verdict:
    """Check that a quantization spends few bits a weight and loses little.

    Parameters
    ----------
    answer
        How to quantize; it is carried out on a copy and measured on all test images.
    model, task
        The model in float, and its data.
    most
        Bits a weight that may be spent on average; layers in float count 32.
    drop
        Points that may be lost.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> teaching.check_bits(sl.QuantConfig(), model, task, most=8, drop=2).right
    True
    """
    if answer is None:
        return Verdict("open", "Make a sl.QuantConfig(...), with layer_bits= for single layers.")
    if not isinstance(answer, sl.QuantConfig):
        return Verdict("wrong", f"This is a {type(answer).__name__}, not a sl.QuantConfig.")
    rows = quant_view("", model)["layers"]
    unknown = sorted(set(answer.bits_by_layer) - {row["layer"] for row in rows})
    if unknown:
        return Verdict("wrong", f"The model has no layer {unknown[0]!r} with weights.")
    count = sum(row["weights"] for row in rows)
    spent = sum(row["weights"] * (answer.bits_of(row["layer"]) or 32) for row in rows) / count
    try:
        small = sl.quantize(model, task, answer, progress=False)
    except SlimLabError as error:
        return Verdict("wrong", str(error))
    before, after = (sl.evaluate(m, task)[task.metric.name] for m in (model, small))
    lost = before - after
    faults = []
    if spent > most:
        faults.append(f"It spends {spent:.2f} bits a weight; {most:g} are there to be spent.")
    if lost > drop:
        faults.append(
            f"It loses {lost:.2f} points; {drop:g} are allowed. Which layer's weights are "
            "rounded most, and are few enough to be given more bits?"
        )
    return Verdict.of(faults, f"{spent:.2f} bits a weight, and {lost:.2f} points lost.")


def _grid_faults(values: np.ndarray, found: np.ndarray, bits: int) -> list[str]:
    scale, top = float(np.abs(values).max()), top_of(bits)
    numbers = found / scale * top
    if np.abs(numbers - np.round(numbers)).max() > 1e-4:
        return [
            f"With {bits} bits some values lie between the steps of the grid, which are "
            f"scale / {top} apart."
        ]
    if len(np.unique(np.round(numbers))) > 2 * top + 2:
        return [f"With {bits} bits there are more different values than a grid has."]
    if np.abs(found - values).max() > 0.5 * scale / top * (1 + 1e-6):
        return [f"With {bits} bits some values are not rounded to the nearest step."]
    return []

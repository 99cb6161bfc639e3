"""Floor 3. Measures how much a network loses when one layer at a time is put on a grid of few bits.

The table is that of a scan of pruning ratios: a ratio is the share of a weight's 32 bits that is
removed, 0.75 for 8 bits and 0.875 for 4.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.errors import PlanError
from slimlab.evaluate import image_count, per_image
from slimlab.layers import sublayers
from slimlab.quantize import QuantConfig, layout_of, weight_quantizers
from slimlab.quantize.calibration import calibrate
from slimlab.quantize.quantized import quantizers
from slimlab.quantize.quantizers import Quantizer
from slimlab.quantize.run import prepared
from slimlab.scan.board import EXACT, cell_of
from slimlab.scan.setup import fingerprint
from slimlab.sensitivity import BITS, Cell, Fingerprint, Sensitivity, ratio_of_bits
from slimlab.steps import Step, Stopped, drain
from slimlab.task import Task

Mode = Literal["alone", "others"]
Scores = NDArray[np.float32]


def quant_sensitivity(
    model: Layer,
    task: Task,
    config: QuantConfig | None = None,
    *,
    bits: Sequence[int] = (8, 4, 2),
    mode: Mode = "alone",
    images: int | None = None,
    progress: bool = True,
) -> Sensitivity:
    """Measure which layer hurts when a network is quantized.

    Parameters
    ----------
    model
        In float. It is not changed.
    task
        Its calibration images choose scales, its test images measure.
    config
        How layers are quantized; additions and concatenations stay in float here.
    bits
        Of the weights, 2 to 8; inputs have `config.activation_bits`.
    mode
        `"alone"`: one layer on its grid, all others in float; a drop is that from the network in
        float. `"others"`: all layers on their grids; a drop is what this layer's adds to that of
        all others.
    images
        Only the first so many test images; all when None.
    progress
        Show a progress bar.

    Returns
    -------
    Sensitivity
        The table of a scan, for `plots.sensitivity_curves`, the widget, and `bits_for_budget`.

    Raises
    ------
    PlanError
        When bits or mode can't be used, or no layer would be quantized.
    UnsupportedOpError
        When Paddle can't trace the model.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> config = sl.QuantConfig(calibration_images=32, include="classifier|hidden")
    >>> scan = sl.quant_sensitivity(model, task, config, bits=[8, 2], images=50, progress=False)
    >>> [(cell.layer, cell.ratio) for cell in scan.cells][:2]
    [('hidden', 0.75), ('hidden', 0.9375)]
    """
    steps = iter_quant_sensitivity(model, task, config, bits=bits, mode=mode, images=images)
    return drain(steps, progress=progress, title="Scan of bits")


def iter_quant_sensitivity(
    model: Layer,
    task: Task,
    config: QuantConfig | None = None,
    *,
    bits: Sequence[int] = (8, 4, 2),
    mode: Mode = "alone",
    images: int | None = None,
) -> Generator[Step[Sensitivity], None, Sensitivity]:
    """Scan step by step; `done` counts networks measured, `item` holds the table so far.

    Stopped early it returns the table as it is then. The arguments are those of
    `quant_sensitivity`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> steps = sl.iter_quant_sensitivity(model, task, bits=[8], images=20)
    >>> next(steps).label
    'calibrate'
    """
    config = replace(config or QuantConfig(), joins=False)
    asked = tuple(sorted({int(b) for b in bits}, reverse=True))
    if not asked or not all(2 <= b <= 8 for b in asked) or mode not in {"alone", "others"}:
        msg = f"bits={list(bits)}, mode={mode!r}: bits must be 2 to 8, mode 'alone' or 'others'."
        raise PlanError(msg, bits=tuple(bits), mode=mode)
    scratch = prepared(model, task, config)
    layout = layout_of(scratch)
    names = tuple(each.layer for each in layout.placed if each.weight_bits) if layout else ()
    table = _empty(model, task, names, asked, mode, images)
    total = len(names) * (len(asked) + (mode == "others")) + 1
    try:
        for step in calibrate(scratch, task, config):
            yield Step(0, total, step.label, table)
        whole = _scores(scratch, task, table.images, ())
        table = replace(table, baseline=float(whole.mean(dtype=np.float64)) * task.metric.scale)
        done = 1
        for name in names:
            on = (name,) if mode == "alone" else names
            before = whole
            if mode == "others":
                without = tuple(other for other in names if other != name)
                before = _scores(scratch, task, table.images, without)
                done += 1
                yield Step(done, total, name, table)
            for number in asked:
                after = _scores(scratch, task, table.images, on, {name: number})
                key = (name, ratio_of_bits(number))
                cell = cell_of(key, (before, after), task.metric, EXACT)
                table = replace(table, cells=(*table.cells, cell))
                done += 1
                yield Step(done, total, name, table)
    except Stopped:
        pass
    return table


def _empty(
    model: Layer,
    task: Task,
    names: tuple[str, ...],
    bits: tuple[int, ...],
    mode: Mode,
    images: int | None,
) -> Sensitivity:
    cells: tuple[Cell, ...] = ()
    how = "one layer at a time" if mode == "alone" else "beside all other layers"
    return Sensitivity(
        cells,
        names,
        tuple(map(ratio_of_bits, bits)),
        float("nan"),
        task.metric.name,
        task.metric.unit,
        f"{BITS}, {how}",
        image_count(task, images),
        Fingerprint(fingerprint(model), task.fingerprint()),
        task.metric.higher_is_better,
    )


def _scores(
    model: Layer, task: Task, images: int, on: Sequence[str], bits: dict[str, int] | None = None
) -> Scores:
    """The score of each image with some layers on their grids."""
    layers, own = sublayers(model), weight_quantizers(model)
    before = {name: quantizer.bits for name, quantizer in own.items()}
    for quantizer in quantizers(model):
        quantizer.enabled = False
    for name in on:
        for quantizer in layers[name]._sub_layers.values():
            if isinstance(quantizer, Quantizer):
                quantizer.enabled = True
    try:
        for name, number in (bits or {}).items():
            own[name].bits = number
        return np.concatenate(list(per_image(model, task, images=images)))
    finally:
        for name, number in before.items():
            own[name].bits = number

"""Floor 3. The table of a scan: (layer, ratio) -> drop with its interval, and the curve fitted to
it.

A cell is one layer pruned at one ratio, all others whole. Its drop is paired: the same images,
with and without the channels, so that the interval is that of the *difference*. Values only:
`scan.py` measures them, `allocate.py` picks ratios from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from slimlab.errors import ArtifactError, PlanError, nearest

# Fields of a table that JSON holds as they are.
_FACTS = (
    *("layers", "ratios", "baseline", "metric", "unit", "criterion", "images"),
    *("higher_is_better", "runtime", "recalibrate_bn"),
)
BITS = "bits"  # what the criterion of a scan of bits begins with
FLOAT_BITS = 32


def ratio_of_bits(bits: int) -> float:
    """The share of a weight's 32 bits that is removed: a scan of bits has these as its ratios.

    Examples
    --------
    >>> from slimlab.sensitivity import bits_of_ratio, ratio_of_bits
    >>> ratio_of_bits(8), bits_of_ratio(0.875)
    (0.75, 4)
    """
    return 1 - bits / FLOAT_BITS


def bits_of_ratio(ratio: float) -> int:
    """The bits that are left: the reverse of `ratio_of_bits`."""
    return round((1 - ratio) * FLOAT_BITS)


@dataclass(frozen=True)
class Cell:
    """One measured point of a curve.

    Attributes
    ----------
    layer, ratio
        What was removed.
    metric
        The metric with it removed, in the metric's unit.
    drop
        Baseline minus metric in points (turned round for a loss): positive is worse.
    low, high
        95 % interval of the drop over images like these.
    images
        How many images it was measured on.
    dtype
        Precision it was computed in; anything but float32 is a preview.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.Cell("conv1", 0.5, metric=91.0, drop=0.2, low=-0.3, high=0.7, images=500).is_clear
    False
    """

    layer: str
    ratio: float
    metric: float
    drop: float
    low: float
    high: float
    images: int
    dtype: str = "float32"

    @property
    def is_clear(self) -> bool:
        """Whether the drop can be told from zero: its interval does not hold it."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Fingerprint:
    """What a scan belongs to: hashes of the model's tensors, of the task's data, and of a user's
    metric, whose name says nothing of what it computes; empty for those of SlimLab.
    """

    model: str
    task: str
    metric: str = ""


@dataclass(frozen=True)
class Sensitivity:
    """Table (layer, ratio) -> metric and drop; cells that were not measured are missing.

    Attributes
    ----------
    cells
        What was measured, layer by layer.
    layers, ratios
        The whole grid.
    baseline
        The metric of the model as it was.
    metric, unit
        Its name and unit (`"top1"`, `"%"`).
    criterion
        How channels were ranked.
    images
        Images that each cell is to be measured on, at most.
    fingerprint
        The model and data it was measured on.
    higher_is_better
        False for a loss.
    runtime
        What computed it; `"paddle"` is the reference.
    recalibrate_bn
        Calibration images on which BatchNorm statistics were estimated anew for each cell; 0 for
        none.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.4, 0.8], images=50, progress=False)
    >>> first = scan.layers[0]
    >>> [cell.ratio for cell in scan.curve(first)]
    [0.4, 0.8]
    >>> 0 <= scan.predicted_drop(first, 0.4) <= scan.predicted_drop(first, 0.8)
    True
    """

    cells: tuple[Cell, ...]
    layers: tuple[str, ...]
    ratios: tuple[float, ...]
    baseline: float
    metric: str
    unit: str
    criterion: str
    images: int
    fingerprint: Fingerprint
    higher_is_better: bool = True
    runtime: str = "paddle"
    recalibrate_bn: int = 0

    @property
    def bits(self) -> tuple[int, ...] | None:
        """Bits of the weights at each of `ratios`; None for a table of pruning ratios."""
        of_bits = self.criterion.startswith(BITS)
        return tuple(map(bits_of_ratio, self.ratios)) if of_bits else None

    @property
    def complete(self) -> bool:
        """Whether every cell of the grid has been measured."""
        return len(self.cells) == len(self.layers) * len(self.ratios)

    @property
    def exact(self) -> bool:
        """Whether every cell has been measured on every image in float32."""
        return self.complete and all(
            cell.images == self.images and cell.dtype == "float32" for cell in self.cells
        )

    @cached_property
    def _curves(self) -> Mapping[str, tuple[Cell, ...]]:
        found: dict[str, list[Cell]] = {layer: [] for layer in self.layers}
        for cell in self.cells:
            found[cell.layer].append(cell)
        return {n: tuple(sorted(c, key=lambda cell: cell.ratio)) for n, c in found.items()}

    def curve(self, layer: str) -> tuple[Cell, ...]:
        """The cells of one layer, by rising ratio."""
        if layer not in self._curves:
            msg = f"Layer {layer!r} was not scanned. {nearest(layer, self.layers)}"
            raise PlanError(msg, layer=layer)
        return self._curves[layer]

    def fitted(self, layer: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ratios and drops of the curve that never falls, from (0, 0); for picking and drawing.

        Least-squares monotone regression (isotonic) of the measured drops: noise makes raw curves
        dip, but removing more channels is taken not to help.
        """
        known = self._fits.get(layer)
        if known is None:
            cells = self.curve(layer)
            known = self._fits[layer] = _monotone(tuple((c.ratio, c.drop) for c in cells))
        return known

    @cached_property
    def _fits(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Fitted curves that were asked for; a slider asks for all of them with each move."""
        return {}

    def predicted_drop(self, layer: str, ratio: float) -> float:
        """Drop in points at any ratio: the fitted curve, linear between points, flat after the
        last.
        """
        ratios, drops = self.fitted(layer)
        return float(np.interp(ratio, ratios, drops))

    def together(self, drops: Iterable[float]) -> float:
        """Predict the drop of several layers pruned at once from the drops of each alone.

        Layers are taken to hurt independently. An accuracy keeps the product of the shares that
        each layer leaves of it, so that small drops add up and no sum exceeds the baseline; the
        drops of another metric are added.
        """
        if self.unit != "%" or not self.baseline > 0:
            return float(sum(drops))
        left = 1.0
        for drop in drops:
            left *= max(0.0, 1 - drop / self.baseline)
        return self.baseline * (1 - left)

    def value(self, drop: float) -> float:
        """The metric of a network that has lost so many points of the baseline.

        What plots show: a cell that was measured on fewer images than the baseline has a metric of
        its own images, but its drop is a difference on the same ones.
        """
        return self.baseline - drop if self.higher_is_better else self.baseline + drop

    def to_frame(self) -> pd.DataFrame:
        """One row a cell: `layer, ratio, metric, drop, low, high, images, clear`, and `dtype` if
        any is a preview.

        `clear` is False where the drop can't be told from zero. A drop below zero is nearly always
        such a one: pruning flips some images each way, and on these more became right by chance. A
        clear drop below zero is rare but real: the network does better without those channels.
        """
        names = ["layer", "ratio", "metric", "drop", "low", "high", "images"]
        table = pd.DataFrame([[getattr(c, n) for n in names] for c in self.cells], columns=names)
        table["clear"] = [cell.is_clear for cell in self.cells]
        if any(cell.dtype != "float32" for cell in self.cells):
            table["dtype"] = [cell.dtype for cell in self.cells]
        return table

    def to_dict(self) -> dict[str, Any]:
        """JSON that `from_dict` reads back.

        JSON has no infinity, which the ends of an unknown interval are: it is the word `"inf"` or
        `"-inf"`, and what is no number is `"nan"`.
        """
        own = {n: list(v) if isinstance(v := getattr(self, n), tuple) else v for n in _FACTS}
        own["baseline"] = _worded(self.baseline)
        cells = [[_worded(v) for v in vars(c).values()] for c in self.cells]
        return {**own, "fingerprint": vars(self.fingerprint).copy(), "cells": cells}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sensitivity:
        """Read what `to_dict` wrote.

        Raises
        ------
        ArtifactError
            When something is missing or of another kind.
        """
        try:
            return cls(
                tuple(_cell_from(c) for c in data["cells"]),
                tuple(map(str, data["layers"])),
                tuple(map(float, data["ratios"])),
                float(data["baseline"]),
                str(data["metric"]),
                str(data["unit"]),
                str(data["criterion"]),
                int(data["images"]),
                Fingerprint(**data["fingerprint"]),
                bool(data["higher_is_better"]),
                str(data["runtime"]),
                int(data["recalibrate_bn"]),
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            msg = f"This is no sensitivity table: {type(error).__name__} at {error}."
            raise ArtifactError(msg) from error

    def __repr__(self) -> str:
        whole = len(self.layers) * len(self.ratios)
        return (
            f"Sensitivity({len(self.cells)} of {whole} cells, {len(self.layers)} layers, baseline "
            f"{self.metric} {self.baseline:.2f}{self.unit} on {self.images:,} images)"
        )


def _worded(value: Any) -> Any:
    """A value as JSON can hold it; `float` reads the words back."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _cell_from(row: Sequence[Any]) -> Cell:
    layer, ratio, metric, drop, low, high, images, dtype = row
    return Cell(
        str(layer),
        float(ratio),
        float(metric),
        drop=float(drop),
        low=float(low),
        high=float(high),
        images=int(images),
        dtype=str(dtype),
    )


# A scan makes a new table with each measurement, and each differs from the last in a few curves.
@lru_cache(maxsize=4096)
def _monotone(
    points: tuple[tuple[float, float], ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ratios = np.array([0.0, *(ratio for ratio, _ in points)])
    drops = np.array([0.0, *(drop for _, drop in points)])
    # The first point is exact: an unpruned layer loses nothing.
    weights = np.array([1e9, *([1.0] * len(points))])
    regression = IsotonicRegression(y_min=0.0)
    fitted = np.array(regression.fit_transform(ratios, drops, sample_weight=weights), np.float64)
    for array in (ratios, fitted):
        array.flags.writeable = False  # every table with this curve has these same arrays
    return ratios, fitted

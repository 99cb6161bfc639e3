"""Floor 3. The table of a scan as it grows: from records of images to cells, and what is wanting.

Knows what has been measured and what is precise enough; measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slimlab.intervals import paired_interval
from slimlab.scan.records import WHOLE, Key, Record, Records
from slimlab.sensitivity import Cell, Sensitivity
from slimlab.task import Metric

Scores = NDArray[np.float32]
# A drop of 20 points need not be known to a fraction of a point: nobody will pick it.
RELATIVE = 0.25
EXACT = "float32"


@dataclass(frozen=True)
class Wants:
    """When a cell has been measured well enough.

    Attributes
    ----------
    images
        Images that each cell is measured on at most.
    precision
        Half width of its interval that is enough; None to use all images.
    decide
        A drop: an interval that lies on one side of it is enough.
    """

    images: int
    precision: float | None = None
    decide: float | None = None

    @property
    def stops_early(self) -> bool:
        """Whether it depends on what was measured how many images a cell needs."""
        return self.precision is not None or self.decide is not None

    def more(self, cell: Cell | None) -> bool:
        """Whether more images of a cell should be measured."""
        if cell is None or cell.images < 1:
            return True
        if cell.images >= self.images:
            return False
        # The interval of few images is itself uncertain; the lowest count that the normal
        # approximation is used for.
        if cell.images < LEAST:
            return True
        if self.decide is not None and not cell.low <= self.decide <= cell.high:
            return False
        if self.precision is None:
            return True
        half = max(cell.high - cell.drop, cell.drop - cell.low)
        return half > max(self.precision, RELATIVE * abs(cell.drop))


LEAST = 30


class Board:
    """Records in, `Sensitivity` out.

    Parameters
    ----------
    empty
        The table without cells.
    metric
        What scores mean.
    records
        What is known already; added to.
    dtype
        Precision of what will be measured.
    """

    def __init__(self, empty: Sensitivity, metric: Metric, records: Records, dtype: str) -> None:
        self._metric, self._records, self.dtype = metric, records, dtype
        self._cells: dict[Key, Cell] = {}
        self._order = [(layer, ratio) for layer in empty.layers for ratio in empty.ratios]
        self._given: dict[Key, Cell] = {}
        self._previews: dict[Key, Cell] = {}
        self._baseline = float("nan")
        # What was measured in float32 is as good as any preview.
        self._enough = tuple(dict.fromkeys((dtype, EXACT)))
        self.table = empty
        self._refresh(self._order)

    def give(self, cells: Iterable[Cell], baseline: float = float("nan")) -> None:
        """Take over finished cells of another scan of the same things, and its baseline.

        A preview among them is shown until it is measured in the precision that is asked for.
        """
        for cell in cells:
            if (cell.layer, cell.ratio) in self._order:
                where = self._given if cell.dtype in self._enough else self._previews
                where[cell.layer, cell.ratio] = cell
        # Some finished cell has seen all images, and so has the baseline.
        self._baseline = baseline if self._given or self._previews else float("nan")
        self._refresh(self._order)

    def cell(self, key: Key) -> Cell | None:
        """What is known of a cell in the precision that is measured now, or in float32."""
        shown = self._cells.get(key)
        if shown is None or shown.dtype in self._enough:
            return shown
        return self._of(key, self.dtype)  # a preview of more images is shown

    def has(self, key: Key, start: int, stop: int) -> bool:
        """Whether these images of a cell need not be measured."""
        return key in self._given or any(
            self._records.has(key, dtype, start, stop) for dtype in self._enough
        )

    def add(self, records: Sequence[Record]) -> Sensitivity:
        """Keep records and give the table with them."""
        self._records.add(records)
        keys = [record.key for record in records]
        # Images of a cell count as soon as both are known, whichever came first.
        self._refresh(self._order if WHOLE in keys else keys)
        return self.table

    @property
    def images(self) -> int:
        """Images measured, over all cells."""
        return sum(cell.images for cell in self._cells.values() if cell.dtype in self._enough)

    def _refresh(self, keys: Iterable[Key]) -> None:
        for key in keys:
            found = self._given.get(key) or self._best(key)
            if found is not None:
                self._cells[key] = found
        cells = tuple(self._cells[key] for key in self._order if key in self._cells)
        self.table = replace(self.table, cells=cells, baseline=self._mean())

    def _mean(self) -> float:
        """The metric of the whole network, on the images that the table is about."""
        whole = self._records.scores(WHOLE, self.dtype)
        if not len(whole):
            known = [
                self._records.scores(key, d) for key, d in self._records.known() if key == WHOLE
            ]
            whole = max(known, key=len, default=whole)
        whole = whole[: self.table.images]
        whole = whole[~np.isnan(whole)]
        # That of a scan that was given is of all images: a few of them can't say it better.
        if len(whole) < self.table.images and not np.isnan(self._baseline):
            return self._baseline
        mean = float(whole.mean(dtype=np.float64)) if len(whole) else float("nan")
        return mean * self._metric.scale

    def _best(self, key: Key) -> Cell | None:
        """The cell to show: from float32 if that is asked for and there are enough images for an
        interval, else from the precision that saw more images, and among equals from float32.
        """
        dtypes = sorted({dtype for known, dtype in self._records.known() if known == key})
        made = [self._of(key, dtype) for dtype in dtypes]
        cells = [cell for cell in (*made, self._previews.get(key)) if cell is not None]
        return max(cells, key=self._worth, default=None)

    def _worth(self, cell: Cell) -> tuple[bool, int, bool]:
        exact = cell.dtype == EXACT
        asked = exact and self.dtype == EXACT and cell.images >= LEAST
        return asked, cell.images, exact

    def _of(self, key: Key, dtype: str) -> Cell | None:
        before, after = self._records.scores(WHOLE, dtype), self._records.scores(key, dtype)
        count = min(len(before), len(after), self.table.images)
        before, after = before[:count], after[:count]
        both = ~(np.isnan(before) | np.isnan(after))
        if not both.any():
            return None
        return cell_of(key, (before[both], after[both]), self._metric, dtype)


def cell_of(key: Key, scores: tuple[Scores, Scores], metric: Metric, dtype: str) -> Cell:
    """The cell of scores before and after, of the same images."""
    before, after = (s.astype(np.float64) for s in scores)
    drop, low, high = paired_interval(before, after)
    if not metric.higher_is_better:
        drop, low, high = -drop, -high, -low
    scale = metric.scale
    value = float(after.mean() * scale)
    return Cell(*key, value, drop * scale, low * scale, high * scale, len(after), dtype)

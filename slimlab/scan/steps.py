"""Floor 3. A sign of life of a scan, with its pace."""

from __future__ import annotations

import time
from dataclasses import dataclass

from slimlab.sensitivity import Sensitivity
from slimlab.steps import Step


@dataclass(frozen=True)
class ScanStep(Step[Sensitivity]):
    """A step of a scan; `done` and `total` count images, over all cells.

    Attributes
    ----------
    cells
        Cells that have been measured on some images, in all.
    rate
        Images a second, over all cells; NaN at first.
    left
        Seconds to the end at that rate, at most; NaN at first.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> *_, last = sl.iter_scan_sensitivity(model, task, ratios=[0.5], images=50)
    >>> last.done == last.total == 50 * last.cells
    True
    """

    cells: int = 0
    rate: float = float("nan")
    left: float = float("nan")


class Pace:
    """Counts the images that are measured from now on."""

    def __init__(self, done: int) -> None:
        self._since, self._first = time.monotonic(), done

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._since

    def step(
        self, done: int, total: int, label: str, table: Sensitivity | None, cells: int
    ) -> ScanStep:
        """The step to announce now."""
        measured, nan = done - self._first, float("nan")
        rate = measured / self.seconds if measured else nan
        left = (total - done) / rate if rate > 0 else nan
        return ScanStep(done, total, label, table, cells, rate, left)

"""Floor 2. Observers: from the values of some batches to the scale of a grid.

Each sees magnitudes batch by batch and keeps numbers or a histogram, never the values. What is not
finite is left out. Knows no layer and no model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from slimlab.errors import PlanError, nearest
from slimlab.quantize.config import OBSERVERS, QuantConfig
from slimlab.quantize.grid import safe, top_of

BINS = 2048
CANDIDATES = 100  # scales that the searches try
Floats = NDArray[np.float64]


class Observer(Protocol):
    """What chooses a scale."""

    def see(self, values: NDArray[np.float32]) -> None:
        """Take the values of a batch, of any shape."""

    def scale(self) -> float:
        """The scale; usable, whatever was seen."""


def make_observer(config: QuantConfig, bits: int) -> Observer:
    """Make the observer that a config names, for a grid of so many bits.

    Examples
    --------
    >>> import numpy as np, slimlab as sl
    >>> from slimlab.quantize.observers import make_observer
    >>> observer = make_observer(sl.QuantConfig(observer="average"), bits=8)
    >>> observer.see(np.array([1.0, -2.0])); observer.see(np.array([4.0]))
    >>> observer.scale()
    3.0
    """
    kinds: dict[str, Callable[[], Observer]] = {
        "abs_max": Largest,
        "average": lambda: Average(100.0),
        "percentile": lambda: Average(config.percentile),
        "histogram": lambda: Share(config.percentile),
        "kl": lambda: Divergence(bits),
        "mse": lambda: SquaredError(bits),
    }
    if config.observer not in kinds:
        msg = f"There is no observer {config.observer!r}. {nearest(config.observer, OBSERVERS)}"
        raise PlanError(msg, observer=config.observer)
    return kinds[config.observer]()


def magnitudes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The magnitudes that are finite, flat."""
    found = np.abs(np.asarray(values, np.float32)).reshape(-1)
    return found if np.isfinite(found).all() else found[np.isfinite(found)]


class Largest:
    """The largest magnitude of all batches."""

    def __init__(self) -> None:
        self._largest = 0.0

    def see(self, values: NDArray[np.float32]) -> None:
        """Take the values of a batch."""
        self._largest = max(self._largest, float(magnitudes(values).max(initial=0)))

    def scale(self) -> float:
        """The largest magnitude."""
        return float(safe(self._largest))


class Average:
    """The mean over the batches of a percentile of the magnitudes; of the largest with 100."""

    def __init__(self, percentile: float) -> None:
        self._percentile = percentile
        self._seen: list[float] = []

    def see(self, values: NDArray[np.float32]) -> None:
        """Take the values of a batch."""
        found = magnitudes(values)
        if found.size:
            self._seen.append(float(np.percentile(found, self._percentile)))

    def scale(self) -> float:
        """The mean of the batches."""
        return float(safe(float(np.mean(self._seen)) if self._seen else 0.0))


class Histogram:
    """Counts of magnitudes in equal bins from zero; the range doubles when a batch exceeds it."""

    def __init__(self) -> None:
        self.counts: Floats = np.zeros(BINS)
        self.width = 0.0  # of a bin

    def see(self, values: NDArray[np.float32]) -> None:
        """Take the values of a batch."""
        found = magnitudes(values)
        high = float(found.max(initial=0))
        if high > 0 and self.width == 0:
            self.width = max(high / BINS, float(np.finfo(np.float32).tiny))
        if self.width == 0:
            self.counts[0] += found.size  # zeros, of which any range holds all
            return
        while high > self.width * BINS:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(1), np.zeros(BINS // 2)])
            self.width *= 2
        index = np.minimum((found / self.width).astype(np.int64), BINS - 1)
        self.counts += np.bincount(index, minlength=BINS)

    @property
    def centres(self) -> Floats:
        """The magnitude in the middle of each bin."""
        return np.asarray((np.arange(BINS) + 0.5) * self.width, np.float64)

    def squared_errors(self, scales: Floats, top: int) -> Floats:
        """What the grid of each scale changes all values by, squared and summed up."""
        filled = self.counts > 0
        x, weights = self.centres[filled], self.counts[filled]
        steps = scales[:, None] / top
        # Inside a step the error is spread evenly, but few bins a step leave it to their centres.
        whole = np.minimum(np.rint(x / steps), top)
        return np.asarray(((whole * steps - x) ** 2 * weights).sum(1), np.float64)

    @property
    def used(self) -> int:
        """Bins up to the last that holds something."""
        filled = np.flatnonzero(self.counts)
        return int(filled[-1]) + 1 if len(filled) else 0


class Share(Histogram):
    """The least range that holds a share of all magnitudes."""

    def __init__(self, percentile: float) -> None:
        super().__init__()
        self._percentile = percentile

    def scale(self) -> float:
        """The end of the bin in which the share is reached."""
        if self.width == 0:
            return 1.0
        wanted = self.counts.sum() * self._percentile / 100
        bins = int(np.searchsorted(np.cumsum(self.counts), wanted * (1 - 1e-12))) + 1
        return float(safe(bins * self.width))


class SquaredError(Histogram):
    """The scale whose grid changes the values least, in the mean square."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self._top = top_of(bits)

    def scale(self) -> float:
        """The best of a hundred scales up to the largest magnitude."""
        if self.width == 0:
            return 1.0
        high = self.used * self.width
        scales = high * np.arange(1, CANDIDATES + 1) / CANDIDATES
        return float(safe(scales[int(self.squared_errors(scales, self._top).argmin())]))


class Divergence(Histogram):
    """The range whose values lose least information on the grid (Migacz, 8-bit inference, 2017).

    Of the ranges with no greater squared error than the whole one. The divergence counts how many
    values are clipped and not by how much: where one channel of a depthwise convolution is larger
    than the others, it would clip all of that channel.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self._levels = top_of(bits) + 1

    def scale(self) -> float:
        """The range of least Kullback-Leibler divergence."""
        if self.width == 0:
            return 1.0
        used, first = self.used, min(self._levels, self.used)
        ends = np.unique(np.linspace(first, used, CANDIDATES).astype(int))
        errors = self.squared_errors(ends * self.width, self._levels - 1)
        ends = ends[errors <= errors[-1]]
        costs = [self._divergence(int(end)) for end in ends]
        return float(safe(ends[int(np.argmin(costs))] * self.width))

    def _divergence(self, end: int) -> float:
        """Of the histogram clipped at a bin, and of the same in as many bins as the grid has."""
        inside = self.counts[:end].copy()
        # Zeros, which every grid holds exactly, would outweigh all that a range is chosen for.
        inside[0] = inside[min(1, end - 1)]
        clipped = inside.copy()
        clipped[-1] += self.counts[end:].sum()
        level = np.minimum(np.arange(end) * self._levels // end, self._levels - 1)
        filled = inside > 0
        mass = np.bincount(level, weights=inside, minlength=self._levels)
        bins = np.bincount(level, weights=filled, minlength=self._levels)
        spread = np.where(filled, mass[level] / np.maximum(bins[level], 1), 0.0)
        p, q = clipped / clipped.sum(), spread / max(spread.sum(), 1e-300)
        held = p > 0
        return float((p[held] * np.log(p[held] / np.maximum(q[held], 1e-12))).sum())

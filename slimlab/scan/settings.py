"""Floor 3. What a scan is asked for, checked; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slimlab.errors import PlanError, TaskError, nearest
from slimlab.ratios import Ratios, Scope
from slimlab.runtimes import RUNTIMES
from slimlab.sensitivity import Sensitivity

DEFAULT_RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
REFERENCE = "paddle"  # the name of the slow meter, beside those of the runtimes
GIB = 2**30


@dataclass(frozen=True)
class ScanSettings:
    """Keyword arguments of `scan_sensitivity` and `iter_scan_sensitivity`.

    Attributes
    ----------
    ratios
        Shares of a layer's channels to remove, each in (0, 1).
    criterion
        How channels are ranked; see `slimlab.criteria`.
    scope
        Layers to scan; all that can be pruned when None.
    metric
        Name of one of the task's metrics, its main one when None; or `"kl"`, the Kullback-Leibler
        divergence in nats of the outputs from those of the whole network, which needs fewer images
        for the same certainty.
    images
        The first so many test images; all when None.
    precision
        Stop measuring a cell when its interval reaches no further than so many points (or units of
        the metric) to each side, or a quarter of its drop where that is more. Every cell is
        measured on all images when None.
    decide
        The drop that will be accepted of a layer, in points: a cell whose interval lies on one side
        of it is measured no more, so that images go where the choice of ratios depends on them. A
        pick at this drop is then that of all images, give or take a grid step; the rest of the
        curves is coarse. With `precision` a cell is over when either is reached.
    seconds
        Stop after so long with what there is.
    dtype
        `"float32"`, or `"bfloat16"` for a preview where the processor has it.
    runtime
        `"onnxruntime"`, `"openvino"` or `"paddle"`, the slow reference; the fastest that can run
        the network when None.
    recalibrate_bn
        Estimate the BatchNorm statistics of each pruned network anew on so many calibration images
        before it is measured, all of them one batch; 0 is off. Such a scan runs in float32.
    memory
        Bytes that values inside the network and compiled parts of it may take. The network itself
        and the runtime's code come on top: about 0.35 GiB for ResNet-18, 0.4 GiB for ResNet-50.
    path
        A file that keeps every measurement as it is made; a scan of the same things goes on from
        what it holds. While a scan runs, and after one was killed, what came last lies in a file
        beside it whose name ends in `-wal`: copy both or none. The next scan with this path puts it
        in. The one that ends in `-shm` is only an index, which is made again by whoever reads.
    known
        A scan of the same model, data and settings; cells that are complete there are taken over.
    client
        A `distributed.Client`: its workers measure the cells, each on the threads that it was
        started with, and the table is the same. They need SlimLab; the network is sent to each of
        them once, and images as they are needed. A worker that dies costs what it was measuring.

    Raises
    ------
    PlanError
        For ratios outside (0, 1) and numbers that make no sense.
    TaskError
        For an unknown runtime, and for a precision that the reference doesn't compute in.

    Examples
    --------
    >>> from slimlab.scan import ScanSettings
    >>> ScanSettings(ratios=[0.5, 0.25]).grid
    (0.25, 0.5)
    """

    ratios: Sequence[float] = DEFAULT_RATIOS
    criterion: str = "l1_norm"
    scope: Scope | None = None
    metric: str | None = None
    images: int | None = None
    precision: float | None = None
    decide: float | None = None
    seconds: float | None = None
    dtype: str = "float32"
    runtime: str | None = None
    recalibrate_bn: int = 0
    memory: int = 2 * GIB
    path: str | Path | None = None
    known: Sensitivity | None = None
    client: Any = None

    def __post_init__(self) -> None:
        for name, least in (("images", 1), ("precision", 0), ("seconds", 0), ("memory", 2**20)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                msg = f"scan_sensitivity was given {name}={value}; it must be {least} or more."
                raise PlanError(msg, setting=name, value=value)
        if self.recalibrate_bn < 0 or self.recalibrate_bn == 1:
            msg = (
                f"recalibrate_bn={self.recalibrate_bn} makes no sense: give a number of "
                "calibration images, such as 128, or 0 for off."
            )
            raise PlanError(msg, recalibrate_bn=self.recalibrate_bn)
        if self.recalibrate_bn and self.dtype != "float32":
            msg = (
                f"A scan that re-estimates BatchNorm statistics runs in float32, not in "
                f"{self.dtype!r}: leave one of them out."
            )
            raise PlanError(msg, dtype=self.dtype)
        _check_runtime(self.runtime, self.dtype)
        _ = self.grid

    @property
    def grid(self) -> tuple[float, ...]:
        """The ratios, ascending."""
        grid = tuple(sorted(Ratios({str(ratio): ratio for ratio in self.ratios}).values()))
        if not grid or grid[0] <= 0:
            msg = f"The scan needs pruning ratios in (0, 1); these were given: {list(self.ratios)}."
            raise PlanError(msg, ratios=tuple(self.ratios))
        return grid


def _check_runtime(runtime: str | None, dtype: str) -> None:
    if runtime is not None and runtime not in (REFERENCE, *RUNTIMES):
        msg = f"No runtime {runtime!r}. {nearest(runtime, (REFERENCE, *RUNTIMES))}"
        raise TaskError(msg, runtime=runtime)
    if runtime == REFERENCE and dtype != "float32":
        msg = f"runtime={REFERENCE!r} computes in float32 and not in {dtype!r}: leave one of them."
        raise TaskError(msg, runtime=runtime, dtype=dtype)

"""Floor 2. Measured time of a forward pass, with its spread. Knows no task and no pruning."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import paddle
import pandas as pd
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import PlanError
from slimlab.evaluate import inference
from slimlab.steps import Step, Stopped, drain
from slimlab.trace import as_inputs


@dataclass(frozen=True)
class Latency:
    """Time of one forward pass over repeated runs.

    Attributes
    ----------
    median_ms
        Median, in milliseconds for the whole batch.
    low_ms, high_ms
        First and third quartile.
    runs
        How many were timed.
    batch
        Images in the batch.
    runtime
        What ran it: `"paddle"` is Paddle's own eager execution.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> latency = sl.measure_latency(paddle.nn.Linear(8, 8), paddle.zeros([1, 8]), runs=3)
    >>> latency.runs, latency.runtime
    (3, 'paddle')
    """

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    batch: int
    runtime: str

    def to_frame(self) -> pd.DataFrame:
        """One row: the attributes."""
        return pd.DataFrame([vars(self)])


def measure_latency(
    model: Layer,
    example: Tensor | Sequence[Tensor],
    *,
    batch: int = 1,
    runs: int = 30,
    warmup: int = 5,
    progress: bool = False,
) -> Latency:
    """Time a model's forward pass on this machine.

    Timings on a shared machine wander; compare models measured in one sitting, and by their
    medians.

    Parameters
    ----------
    model
        It is not changed.
    example
        One input with batch 1, or several; repeated to fill the batch.
    batch
        Images in a batch.
    runs, warmup
        Timed runs, and untimed ones before them.
    progress
        Show a progress bar.

    Raises
    ------
    PlanError
        When `batch`, `runs` or `warmup` is too small.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> latency = sl.measure_latency(paddle.nn.Linear(8, 8), paddle.zeros([1, 8]), runs=3)
    >>> latency.low_ms <= latency.median_ms <= latency.high_ms
    True
    """
    steps = iter_measure_latency(model, example, batch=batch, runs=runs, warmup=warmup)
    return drain(steps, progress=progress, title="Latency")


def iter_measure_latency(
    model: Layer,
    example: Tensor | Sequence[Tensor],
    *,
    batch: int = 1,
    runs: int = 30,
    warmup: int = 5,
) -> Generator[Step[Latency], None, Latency]:
    """Time run by run; stopped early it returns what the runs so far say.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> steps = sl.iter_measure_latency(paddle.nn.Linear(8, 8), paddle.zeros([1, 8]), runs=3)
    >>> [step.done for step in steps][-1]       # five of warming up, three timed
    8
    """
    if batch < 1 or runs < 1 or warmup < 0:
        msg = f"batch={batch}, runs={runs}, warmup={warmup}: give at least 1, 1 and 0."
        raise PlanError(msg, batch=batch, runs=runs, warmup=warmup)
    inputs = [paddle.tile(x, [batch] + [1] * (len(x.shape) - 1)) for x in as_inputs(example)]
    times: list[float] = []
    try:
        for run in range(-warmup, runs):
            seconds = _timed(model, inputs)
            if run >= 0:
                times.append(seconds)
            yield Step(run + warmup + 1, runs + warmup, "latency", _latency(times, batch))
    except Stopped:
        pass
    return _latency(times or [float("nan")], batch)


def _timed(model: Layer, inputs: Sequence[Tensor]) -> float:
    with inference(model):
        start = time.perf_counter()
        model(*inputs)
        if paddle.is_compiled_with_cuda():
            paddle.device.synchronize()
        return time.perf_counter() - start


def _latency(times: Sequence[float], batch: int) -> Latency:
    low, median, high = np.percentile(np.array(times or [np.nan]) * 1e3, [25, 50, 75])
    return Latency(float(median), float(low), float(high), len(times), batch, "paddle")

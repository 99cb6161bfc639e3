"""Floor 4. Strategies side by side: what each costs and saves, measured. Changes no model."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import pandas as pd
from paddle.nn import Layer

from slimlab.artifact import weight_bytes
from slimlab.errors import PlanError
from slimlab.evaluate import Scores, iter_evaluate
from slimlab.grouping import profile as profile_of
from slimlab.latency import Latency, iter_measure_latency
from slimlab.profile import Profile
from slimlab.steps import Step, Stopped, drain
from slimlab.task import Task
from slimlab.train import History

T = TypeVar("T")
LATENCY_BATCH = 32  # one image is mostly overhead of the framework, and shows little of the network


@dataclass(frozen=True)
class Trial:
    """A strategy carried out, and everything measured of it.

    Attributes
    ----------
    name
        What it is called in tables and plots.
    scores
        Metrics on the test images.
    metric, higher_is_better
        The main one, and its direction.
    profile
        Cost by layer.
    bytes
        Size of the weight file that `save` writes.
    latency
        Time of a batch; None where it was not measured.
    history
        Its fine-tuning; None without.
    model
        The model itself; left out of comparisons of trials.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> trial = sl.measure_trial("baseline", model, task, latency=False)
    >>> trial.value == trial.scores["top1"]
    True
    """

    name: str
    scores: Scores
    metric: str
    higher_is_better: bool
    profile: Profile
    bytes: int
    latency: Latency | None = None
    history: History | None = None
    model: Layer | None = field(default=None, compare=False, repr=False)

    @property
    def value(self) -> float:
        """The main metric."""
        return self.scores[self.metric]


@dataclass(frozen=True)
class Comparison:
    """Trials of one task, the first one the baseline.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> one = sl.measure_trial("baseline", model, task, latency=False)
    >>> sl.compare([one]).to_frame()["pareto"].tolist()
    [True]
    """

    trials: tuple[Trial, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a trial: `name`, the metric, `drop`, `macs, params, bytes`, latency and `pareto`.

        `drop` is in points against the first trial, positive is worse; latencies are milliseconds
        for a batch, with quartiles. `pareto` says that no other trial is at least as good in
        metric, MACs and bytes and better in one.
        """
        first = self.trials[0]
        sign = 1 if first.higher_is_better else -1
        rows = []
        for trial, best in zip(self.trials, self._pareto(), strict=True):
            spread = (np.nan, np.nan, np.nan)
            if trial.latency is not None:
                spread = (trial.latency.median_ms, trial.latency.low_ms, trial.latency.high_ms)
            drop = sign * (first.value - trial.value)
            size = (trial.profile.macs, trial.profile.params, trial.bytes)
            rows.append((trial.name, trial.value, drop, *size, *spread, best))
        names = ["name", first.metric, "drop", "macs", "params", "bytes"]
        spread_names = ["latency_ms", "latency_low", "latency_high"]
        return pd.DataFrame(rows, columns=[*names, *spread_names, "pareto"])

    def _pareto(self) -> list[bool]:
        sign = -1 if self.trials[0].higher_is_better else 1
        costs = np.array([[sign * t.value, t.profile.macs, t.bytes] for t in self.trials])
        no_better = np.all(costs[:, None] >= costs[None], axis=2)
        worse = np.any(costs[:, None] > costs[None], axis=2)
        beaten = np.any(no_better & worse, axis=1)
        return [not lost for lost in beaten.tolist()]

    def __repr__(self) -> str:
        return f"Comparison({', '.join(trial.name for trial in self.trials)})"


def measure_trial(
    name: str,
    model: Layer,
    task: Task,
    *,
    images: int | None = None,
    latency: bool = True,
    history: History | None = None,
    progress: bool = False,
) -> Trial:
    """Measure a model: scores, cost, bytes on disk, latency.

    Parameters
    ----------
    name
        What it is called in tables and plots.
    model, task
        The model, and the task it is measured on. The model is not changed.
    images
        The first so many test images; all when None.
    latency
        Measure the time of a batch of 32 too.
    history
        Its fine-tuning, to be kept with it.
    progress
        Show a progress bar.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> trial = sl.measure_trial("baseline", sl.load_model("vgg", task), task, latency=False)
    >>> sl.compare([trial]).to_frame()["name"].tolist()
    ['baseline']
    """
    steps = iter_measure_trial(name, model, task, images=images, latency=latency, history=history)
    return drain(steps, progress=progress, title=name)


def iter_measure_trial(
    name: str,
    model: Layer,
    task: Task,
    *,
    images: int | None = None,
    latency: bool = True,
    history: History | None = None,
) -> Generator[Step[Trial], None, Trial]:
    """Measure step by step. Stopped before the scores are whole it has nothing to give.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> for step in sl.iter_measure_trial("baseline", model, task, images=50, latency=False):
    ...     label = step.label
    >>> label
    'baseline'
    """
    scores = yield from _relabel(iter_evaluate(model, task, images=images), name)
    profile = profile_of(model, task.example)
    metric = task.metric
    trial = Trial(
        name,
        scores,
        metric.name,
        metric.higher_is_better,
        profile,
        len(weight_bytes(model)),
        history=history,
        model=model,
    )
    if not latency:
        return trial
    timing = iter_measure_latency(model, task.example, batch=LATENCY_BATCH)
    measured: Latency | None = None
    try:
        measured = yield from _relabel(timing, f"{name}: latency")
    except Stopped:
        measured = None
    return replace(trial, latency=measured)


def _relabel(steps: Generator[Step[T], None, T], label: str) -> Generator[Step[Trial], None, T]:
    """Pass steps on under another label, without their items; a stop ends them for good."""
    try:
        while True:
            step = next(steps)
            yield Step(step.done, step.total, label)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        steps.close()


def compare(trials: Sequence[Trial]) -> Comparison:
    """Put trials of one task side by side; the first is the baseline.

    Raises
    ------
    PlanError
        When there is none, two have the same name, or they were measured by different metrics.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.compare([])
    Traceback (most recent call last):
    slimlab.errors.PlanError: There is nothing to compare: give at least one trial.
    """
    if not trials:
        msg = "There is nothing to compare: give at least one trial."
        raise PlanError(msg)
    names = [trial.name for trial in trials]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"Several trials are called {twice[0]!r}; give each its own name."
        raise PlanError(msg, name=twice[0])
    metrics = sorted({trial.metric for trial in trials})
    if len(metrics) > 1:
        msg = f"The trials were measured by different metrics ({', '.join(metrics)})."
        raise PlanError(msg, metrics=metrics)
    return Comparison(tuple(trials))

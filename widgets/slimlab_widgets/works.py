"""Top floor. The workbench's long works, as generators of steps or functions; no widget, no thread.

Everything here is a call or two into the core: what a click does, a script can do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.allocate import Budget, allocate_budget
from slimlab.errors import PlanError, SlimLabError
from slimlab.steps import Step, Stopped
from slimlab_widgets.jobs import Steps, Work
from slimlab_widgets.pairs import Pairing
from slimlab_widgets.script import Pruned, Quantized, Tuned
from slimlab_widgets.settings import Settings
from slimlab_widgets.state import BASELINE, Candidate, State

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab import Graph, History, Ratios, Sensitivity, Task, Trial

# Steps that the bar is divided into for each model that is measured.
_UNITS = 100


@dataclass(frozen=True)
class Grid:
    """What a scan measures, what is known already, and what gives the file that keeps it."""

    ratios: tuple[float, ...]
    criterion: str
    images: int | None
    known: Sensitivity | None = None
    path: Callable[[], Path | None] = lambda: None


def scan(
    model: Layer, task: Task, grid: Grid, *, keep: Callable[[Sensitivity | None], None]
) -> Work:
    """A scan as a job; `keep` gets the table so far, cell by cell."""

    def put(sensitivity: Sensitivity) -> None:
        # Without a baseline nothing can be drawn or picked.
        keep(None if math.isnan(sensitivity.baseline) else sensitivity)

    def done(sensitivity: Sensitivity, partial: bool) -> str:
        put(sensitivity)
        cells = len(sensitivity.layers) * len(sensitivity.ratios)
        if partial:
            have = f"{len(sensitivity.cells)} of {cells} cells"
            return f"Stopped. What was measured of {have} is kept; Resume goes on."
        return f"Scanned {cells} cells. Pick ratios: drag a point along its curve, or set them all."

    def steps() -> Steps:
        return sl.iter_scan_sensitivity(
            model,
            task,
            ratios=grid.ratios,
            criterion=grid.criterion,
            images=grid.images,
            known=grid.known,
            path=grid.path(),
        )

    return Work("scan", "Scanning", steps, done, lambda step: put(step.item))


def for_budget(graph: Graph, state: State, budget: Budget) -> Ratios:
    """The ratios of least predicted drop that meet a budget.

    Raises
    ------
    SlimLabError
        When nothing was scanned, or the budget can't be met.
    """
    if state.sensitivity is None:
        msg = "A budget needs a sensitivity: it says which layers to spare. Press Scan first."
        raise SlimLabError(msg)
    return allocate_budget(graph, state.sensitivity, budget).ratios


def prune(model: Layer, graph: Graph, state: State, name: str) -> Candidate:
    """Cut the picked ratios out of a copy of the model.

    Raises
    ------
    PlanError
        When nothing is picked.
    """
    ratios = state.ratios
    if not ratios or not any(ratios.values()):
        msg = "All pruning ratios are 0: there is nothing to prune. Pick ratios first."
        raise PlanError(msg)
    plan = sl.plan_pruning(model, graph, ratios, criterion=state.settings.criterion)
    preview = sl.preview(graph, ratios, state.sensitivity, state.times)
    deed = Pruned(ratios, state.settings.criterion, state.picks.now.call)
    return Candidate(name, sl.prune(model, plan), ratios, preview, deeds=(deed,))


def training(candidate: Candidate, settings: Settings, pairing: Pairing | None = None) -> Tuned:
    """The training that the controls describe, after those that the candidate has behind it.

    Pairs count where they are the candidate's own and it learns from the unpruned model.
    """
    before = sum(deed.epochs for deed in candidate.deeds if isinstance(deed, Tuned))
    plain = Tuned(settings.epochs, settings.learning_rate, first_epoch=before)
    if not settings.teacher:
        return plain
    # Hinton et al. 2015, half and half with the task's own loss.
    soft = sl.SoftLabel(weight=0.5, student_temperature=4.0, teacher_temperature=4.0, rescale=True)
    paired: tuple[sl.DistillLoss, ...] = ()
    if pairing is not None and pairing.name == candidate.name:
        paired = pairing.losses(settings.pair_loss, settings.pair_weight)
    return replace(plain, losses=(soft, *paired), task_weight=0.5)


def tuned(candidate: Candidate, model: Layer, history: History, deed: Tuned) -> Candidate:
    """The candidate with its model trained on, as far as the training came."""
    scores = [r.metric for r in history.records if r.metric is not None]
    epochs = max((r.epoch for r in history.records), default=0.0)
    last = history.records[-1] if history.records else None
    # A training that was stopped ends on a step that wasn't evaluated: its accuracy isn't known.
    score = scores[-1] if scores and last is not None and last.metric is not None else None
    return replace(
        candidate,
        model=model,
        history=history,
        deeds=(*candidate.deeds, deed),
        epochs=round(candidate.epochs + epochs, 2),
        score=score,
    )


def quantized(
    task: Task, source: Candidate, name: str, deed: Quantized
) -> Generator[Step[Any], None, Candidate]:
    """A quantized copy of a candidate as another one, with the bytes that it takes on disk."""
    steps = sl.iter_quantize(
        source.model, task, deed.config, epochs=deed.epochs, first_epoch=deed.first_epoch
    )
    model = yield from steps
    preview = replace(source.preview, bytes=sl.profile(model, task.example).bytes)
    return replace(
        source,
        name=name,
        model=model,
        preview=preview,
        score=None,
        cut_drop=None,
        deeds=(*source.deeds, deed),
    )


def report(state: State, graph: Graph, path: Path, title: str) -> Path:
    """Write up what was compared, with what was done to each model.

    Raises
    ------
    SlimLabError
        When nothing was compared yet.
    """
    if state.comparison is None:
        msg = "There is nothing to report yet. Press Compare first."
        raise SlimLabError(msg)
    names = {trial.name for trial in state.trials}
    accounts = {
        c.name: sl.Account(tuple(deed.said() for deed in c.deeds), ratios=c.ratios)
        for c in state.candidates
        if c.name in names
    }
    return sl.report(
        state.comparison,
        path,
        title=title,
        accounts=accounts,
        sensitivity=state.sensitivity,
        graph=graph,
        exports={f"{name}, {kind}": found for (name, kind), found in state.exports.items()},
    )


def iter_trials(
    model: Layer, task: Task, state: State
) -> Generator[Step[tuple[Trial, ...]], None, tuple[Trial, ...]]:
    """Measure the baseline and every candidate that has not been measured as it is now."""
    known = {trial.name: trial for trial in state.trials}
    bench: list[tuple[str, Layer, History | None]] = [(BASELINE, model, None)]
    bench += [(c.name, c.model, c.history) for c in state.candidates]
    todo = [entry for entry in bench if entry[0] not in known]
    total = _UNITS * len(todo)
    try:
        for n, (name, layer, history) in enumerate(todo):
            steps = sl.iter_measure_trial(name, layer, task, history=history)
            trial: Any = None
            # Not `yield from`: a stop must end here, not inside one model's measurement.
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    trial = end.value
                    break
                part = _UNITS * step.done // max(1, step.total)
                yield Step(_UNITS * n + part, total, f"{name}, {step.label}")
            known[name] = trial
            measured = tuple(known[entry[0]] for entry in bench if entry[0] in known)
            yield Step(_UNITS * (n + 1), total, name, measured)
    except Stopped:
        steps.close()
    return tuple(known[entry[0]] for entry in bench if entry[0] in known)

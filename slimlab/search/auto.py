"""Floor 4. Automatic pruning: a few candidates are cut and ranked, and the best is fine-tuned.

How well a network does right after the cut says little; with its BatchNorm statistics estimated
anew it says which will be best after fine-tuning (EagleEye, 2007.02491), at the price of a few
forward passes. Scans and ranking read calibration images: test images would be spent on it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from paddle.nn import Layer

from slimlab.allocate import Budget, reachable
from slimlab.errors import PlanError
from slimlab.importance import CRITERIA
from slimlab.scan import iter_scan_sensitivity
from slimlab.search.candidates import Candidate, candidates, held_out, scan_criterion
from slimlab.search.contest import AutoResult, AutoSettings, Contest
from slimlab.search.phases import Phases
from slimlab.sensitivity import Sensitivity
from slimlab.steps import Step, drain
from slimlab.task import Task
from slimlab.timing import TimeTable
from slimlab.train import iter_fine_tune


def auto_prune(  # noqa: PLR0913 - one keyword a budget, each with a default
    model: Layer,
    task: Task,
    *,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    latency: float | None = None,
    times: TimeTable | None = None,
    macs_most: float | None = None,
    tried: Sequence[Candidate] | None = None,
    sensitivity: Sensitivity | None = None,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    settings: AutoSettings = AutoSettings(),  # noqa: B008 - frozen
    progress: bool = True,
) -> AutoResult:
    """Try several ways to remove a share of a network, and fine-tune the best.

    Parameters
    ----------
    model, task
        The model is not changed. Candidates are ranked on the task's calibration images.
    macs, params, bytes
        Shares of the network to *remove*, each in [0, 1); all that are given are met.
    latency, times
        Share of the time to remove, as `times` (what `measure_times` gave) predicts it.
    macs_most
        Share of the multiply-adds that a candidate may remove at most; one that removes more is
        left out.
    tried
        The candidates; `slimlab.search.candidates()` when None.
    sensitivity
        A scan of this model, for the candidates of its criterion; others are scanned.
    epochs, learning_rate
        Of the winner's fine-tuning; no epochs, no fine-tuning.
    settings
        The rest; see `AutoSettings`.
    progress
        Show a progress bar.

    Raises
    ------
    PlanError
        When no budget or no candidate is given, or none of them can meet the budget.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.search import candidates
    >>> task = sl.load_task("digits")
    >>> found = sl.auto_prune(
    ...     sl.load_model("vgg", task), task, macs=0.5, progress=False,
    ...     tried=candidates(["uniform", "scores-lamp"], ["l1_norm"]),
    ... )
    >>> frame = found.to_frame()
    >>> len(frame), bool(frame["re_estimated"].is_monotonic_decreasing)
    (2, True)
    """
    steps = iter_auto_prune(
        model,
        task,
        macs=macs,
        params=params,
        bytes=bytes,
        latency=latency,
        times=times,
        macs_most=macs_most,
        tried=tried,
        sensitivity=sensitivity,
        epochs=epochs,
        learning_rate=learning_rate,
        settings=settings,
    )
    return drain(steps, progress=progress, title="Auto")


def iter_auto_prune(  # noqa: PLR0913 - the same as auto_prune
    model: Layer,
    task: Task,
    *,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    latency: float | None = None,
    times: TimeTable | None = None,
    macs_most: float | None = None,
    tried: Sequence[Candidate] | None = None,
    sensitivity: Sensitivity | None = None,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    settings: AutoSettings = AutoSettings(),  # noqa: B008 - frozen
) -> Generator[Step[AutoResult], None, AutoResult]:
    """Search step by step; `item` is the result so far, a new one after each candidate.

    Stopped early it returns the candidates measured until then, and the best of them as it was cut
    (or as far as it was fine-tuned). The arguments are those of `auto_prune`.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.search import candidates
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> steps = sl.iter_auto_prune(model, task, macs=0.5, tried=candidates(["uniform"]))
    >>> for step in steps:
    ...     if step.item is not None and step.item.tried:
    ...         break
    >>> sl.finish_early(steps).winner.candidate.name
    'uniform, l1_norm'
    """
    budget = Budget(macs, params, bytes, latency, times)
    ways = tuple(candidates() if tried is None else tried)
    _check(ways, macs or 0.0, macs_most)
    contest = Contest(model, task, budget, settings, macs_most)
    for way in ways:
        reachable(contest.graph, way.scope, times=times).check(budget)
    scans = _scans(ways, sensitivity)
    extra = (settings.tries > 0) + (epochs > 0)
    phases: Phases[AutoResult] = Phases(len(scans) + len(ways) + extra)
    tables = {} if sensitivity is None else {sensitivity.criterion: sensitivity}
    for criterion in scans:
        wanted = {**settings.scan, "criterion": criterion}
        table = yield from phases.run(
            iter_scan_sensitivity(model, held_out(task), **wanted), f"scan: {criterion}"
        )
        if table is None or phases.stopped():
            return contest.result()
        tables[criterion] = table
    for way in ways:
        table = tables.get(scan_criterion(way.criterion, tuple(CRITERIA)))
        contest.enter(way, table if way.needs_scan else None)
        phases.item = contest.result()
        yield from phases.tick(way.name)
        if phases.stopped():
            return contest.result()
    _ = contest.result().winner  # says why when all were left out
    if settings.tries:
        yield from phases.run(contest.annealing(), "annealing")
        phases.item = contest.result()
    if epochs < 1 or phases.stopped():
        return contest.result()
    tuning = iter_fine_tune(
        contest.best(),
        task,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=settings.seed,
    )
    tuned = yield from phases.run(tuning, f"fine-tune: {contest.result().winner.candidate.name}")
    if tuned is None:
        return contest.result()
    return replace(contest.result(), model=tuned[0], history=tuned[1])


def _check(ways: Sequence[Candidate], macs: float, most: float | None) -> None:
    """Refuse what makes no sense before any work."""
    if not ways:
        msg = "There is nothing to try: give at least one candidate."
        raise PlanError(msg)
    if most is not None and not macs <= most < 1:
        msg = f"macs_most={most} is no share from macs={macs} up to below 1."
        raise PlanError(msg, macs=macs, macs_most=most)


def _scans(ways: Sequence[Candidate], known: Sensitivity | None) -> tuple[str, ...]:
    """The criteria to scan by, each once."""
    wanted = [scan_criterion(w.criterion, tuple(CRITERIA)) for w in ways if w.needs_scan]
    return tuple(c for c in dict.fromkeys(wanted) if known is None or c != known.criterion)

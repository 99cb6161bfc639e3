"""Floor 4. Pruning in several rounds with fine-tuning between them.

Each round removes the same share of what is left (`1 - (1 - target) ** (1 / steps)`), as
PaddleSlim's strategies did, so that no round is much harder than another. Knows how to put scans,
cuts and fine-tuning one after the other; scans read calibration images only.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from paddle.nn import Layer

from slimlab.allocate import Budget, reachable
from slimlab.graph import Graph
from slimlab.grouping import trace
from slimlab.importance import CRITERIA
from slimlab.plan import plan_pruning
from slimlab.prune import prune
from slimlab.ratios import Ratios, kept_channels
from slimlab.scan import iter_scan_sensitivity
from slimlab.search.candidates import Candidate, candidate_ratios, held_out, scan_criterion
from slimlab.search.phases import Phases
from slimlab.search.rounds import IterativeResult, IterativeSettings, Round, step_shares
from slimlab.sensitivity import Sensitivity
from slimlab.steps import Step, drain
from slimlab.task import Task
from slimlab.timing import TimeTable, narrowed
from slimlab.train import iter_fine_tune


def iterative_prune(  # noqa: PLR0913 - one keyword a budget, each with a default
    model: Layer,
    task: Task,
    *,
    steps: int,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    latency: float | None = None,
    times: TimeTable | None = None,
    way: Candidate = Candidate("budget"),  # noqa: B008 - frozen
    sensitivity: Sensitivity | None = None,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    settings: IterativeSettings = IterativeSettings(),  # noqa: B008 - frozen
    progress: bool = True,
) -> IterativeResult:
    """Remove a share of a network in several rounds, fine-tuning after each.

    Parameters
    ----------
    model, task
        The model is not changed.
    steps
        Rounds.
    macs, params, bytes
        Shares of the network to *remove* after the last round, each in [0, 1).
    latency, times
        Share of the time to remove, as `times` (what `measure_times` gave for this model) predicts
        it, also of the narrower networks of later rounds.
    way
        How each round's ratios are picked.
    sensitivity
        A scan of this model, for the first round (or all of them, when nothing is scanned again).
    epochs, learning_rate
        Of each round's fine-tuning; no epochs, no fine-tuning.
    settings
        The rest; see `IterativeSettings`.
    progress
        Show a progress bar.

    Raises
    ------
    PlanError
        When no budget is given or it can't be met.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.search import Candidate
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> way = Candidate("uniform")
    >>> found = sl.iterative_prune(model, task, steps=2, macs=0.5, way=way, progress=False)
    >>> [round(share, 1) for share in found.to_frame()["macs_removed"]]
    [0.3, 0.5]
    """
    rounds = iter_iterative_prune(
        model,
        task,
        steps=steps,
        macs=macs,
        params=params,
        bytes=bytes,
        latency=latency,
        times=times,
        way=way,
        sensitivity=sensitivity,
        epochs=epochs,
        learning_rate=learning_rate,
        settings=settings,
    )
    return drain(rounds, progress=progress, title="Prune in rounds")


def iter_iterative_prune(  # noqa: PLR0913 - the same as iterative_prune
    model: Layer,
    task: Task,
    *,
    steps: int,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    latency: float | None = None,
    times: TimeTable | None = None,
    way: Candidate = Candidate("budget"),  # noqa: B008 - frozen
    sensitivity: Sensitivity | None = None,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    settings: IterativeSettings = IterativeSettings(),  # noqa: B008 - frozen
) -> Generator[Step[IterativeResult], None, IterativeResult]:
    """Prune round by round; `item` is the result so far, a new one after each round.

    Stopped early it returns the rounds until then, the last of them with as much fine-tuning as it
    had. The arguments are those of `iterative_prune`.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.search import Candidate
    >>> task = sl.load_task("digits")
    >>> model, way = sl.load_model("vgg", task), Candidate("uniform")
    >>> steps = sl.iter_iterative_prune(model, task, steps=3, macs=0.5, way=way, epochs=0)
    >>> _ = next(steps)
    >>> len(sl.finish_early(steps).rounds)
    1
    """
    budget = Budget(macs, params, bytes, latency, times)
    targets = _targets(budget, steps)
    first = trace(model, task.example)
    reachable(first, way.scope, times=times).check(budget)
    scans = 0
    if way.needs_scan:
        scans = (steps if settings.rescan else 1) - (sensitivity is not None)
    phases: Phases[IterativeResult] = Phases(scans + steps * (2 if epochs > 0 else 1))
    result, table, small = IterativeResult(), sensitivity, model
    for number, target in enumerate(targets):
        graph = trace(small, task.example) if number else first
        if way.needs_scan and (table is None or (number and settings.rescan)):
            criterion = scan_criterion(way.criterion, tuple(CRITERIA))
            scan = iter_scan_sensitivity(
                small, held_out(task), **{**settings.scan, "criterion": criterion}
            )
            table = yield from phases.run(scan, f"round {number + 1}: scan")
            if phases.stopped():
                return result
        if settings.rescan:
            ratios = _again(way, small, graph, task, _left(target, first, graph), table)
        else:
            whole = candidate_ratios(way, model, first, task, target, table)
            ratios = _relative(whole, first, graph)
        plan = plan_pruning(small, graph, ratios, way.criterion, task=task)
        small = prune(small, plan)
        done = _round(ratios, first, trace(small, task.example), times)
        result = phases.item = IterativeResult((*result.rounds, done), small)
        yield from phases.tick(f"round {number + 1}: cut")
        if phases.stopped():
            return result
        if epochs > 0:
            tuning = iter_fine_tune(
                small,
                task,
                epochs=epochs,
                learning_rate=learning_rate,
                seed=settings.seed + number,
                training=settings.training,
            )
            tuned = yield from phases.run(tuning, f"round {number + 1}: fine-tune")
            if tuned is not None:
                small = tuned[0]
                done = replace(done, history=tuned[1])
                result = phases.item = IterativeResult((*result.rounds[:-1], done), small)
            if phases.stopped():
                return result
    return result


def _targets(budget: Budget, steps: int) -> list[Budget]:
    """What is gone of the first network after each round."""
    asked = {"latency": budget.latency, **budget.shares}
    shares = {n: step_shares(share, steps) for n, share in asked.items() if share is not None}
    return [
        Budget(**{name: s[n] for name, s in shares.items()}, times=budget.times)
        for n in range(steps)
    ]


def _left(target: Budget, first: Graph, now: Graph) -> Budget | None:
    """The target as shares of the network of now; None where it is met already."""
    whole, left = first.cost.totals(), now.cost.totals()
    shares = {
        name: max(0.0, 1 - (1 - share) * getattr(whole, name) / max(1, getattr(left, name)))
        for name, share in target.shares.items()
    }
    if target.times is None or target.latency is None:
        return Budget.of(shares) if any(shares.values()) else None
    table = narrowed(target.times, {group.name: group.width for group in now.groups})
    goal = (1 - target.latency) * target.times.predict({})
    latency = max(0.0, 1 - goal / table.predict({}))
    if not latency and not any(shares.values()):
        return None
    return Budget(**shares, latency=latency, times=table)


def _again(
    way: Candidate,
    model: Layer,
    graph: Graph,
    task: Task,
    budget: Budget | None,
    table: Sensitivity | None,
) -> Ratios:
    return Ratios() if budget is None else candidate_ratios(way, model, graph, task, budget, table)


def _relative(ratios: Ratios, first: Graph, now: Graph) -> Ratios:
    """Ratios of the first network as ratios of the network of now; what is gone stays gone."""
    found = {}
    for name, ratio in ratios.of_groups(first).items():
        kept = kept_channels(first.group(name).width, ratio)
        width = first.group(name).width if first is now else _width(now, name)
        if kept < width:
            found[name] = 1 - kept / width
    return Ratios(found)


def _width(graph: Graph, name: str) -> int:
    """Channels of a group; 1 where it is so narrow that it can't be pruned any more."""
    return next((group.width for group in graph.groups if group.name == name), 1)


def _round(ratios: Ratios, first: Graph, now: Graph, times: TimeTable | None) -> Round:
    whole, left = first.cost.totals(), now.cost.totals()
    macs, params, size = (
        1 - getattr(left, name) / max(1, getattr(whole, name))
        for name in ("macs", "params", "bytes")
    )
    gone = None
    if times is not None:
        gone = times.removed({group.name: _width(now, group.name) for group in first.groups})
    return Round(ratios, macs, params, size, latency_removed=gone)

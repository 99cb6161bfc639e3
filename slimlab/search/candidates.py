"""Floor 4. Ways to spend a budget: by which criterion, where, and how ratios are picked.

A candidate is a value; `candidate_ratios` carries it out. Knows no fine-tuning and no ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from paddle.nn import Layer

from slimlab.allocate import (
    Budget,
    allocate_budget,
    ratios_from_scores,
    ratios_within_drop,
    reachable,
    score_channels,
    uniform_ratios,
)
from slimlab.allocate.scores import NORMALISERS
from slimlab.allocate.time_tables import on_measured_widths
from slimlab.errors import PlanError, nearest
from slimlab.graph import Graph
from slimlab.ratios import Ratios, Scope, kept_channels
from slimlab.sensitivity import Sensitivity
from slimlab.task import Task
from slimlab.timing import TimeTable

SCANNED = ("budget", "drop")
ALLOCATIONS = (*SCANNED, "uniform", *(f"scores-{name}" for name in NORMALISERS))
EVIDENCE = 64  # images for criteria that need data
ROUNDS = 24  # of bisection
Picker = Callable[[dict[str, float]], Ratios]


@dataclass(frozen=True)
class Candidate:
    """One way to spend a budget.

    Attributes
    ----------
    allocation
        `"budget"` (the optimum over a scan), `"drop"` (one drop for all layers), `"uniform"`, or
        `"scores-..."` (all channels ranked together, normalised so).
    criterion
        How the channels of a layer are ranked.
    scope
        Where.
    ratios
        Ratios that were found elsewhere, as by annealing; the allocation is then only their name.

    Raises
    ------
    PlanError
        For an allocation that doesn't exist.

    Examples
    --------
    >>> from slimlab.search import Candidate
    >>> Candidate("budget").name
    'budget, l1_norm'
    """

    allocation: str
    criterion: str = "l1_norm"
    scope: Scope = Scope()  # noqa: RUF009 - frozen
    ratios: Ratios | None = None

    def __post_init__(self) -> None:
        if self.ratios is None and self.allocation not in ALLOCATIONS:
            msg = f"No allocation is called {self.allocation!r}. "
            raise PlanError(msg + nearest(self.allocation, ALLOCATIONS), allocation=self.allocation)

    @property
    def name(self) -> str:
        """What tables call it."""
        plain = Scope()
        parts = [
            f"{field}={getattr(self.scope, field)!r}"
            for field in vars(plain)
            if getattr(self.scope, field) != getattr(plain, field)
        ]
        return ", ".join([self.allocation, self.criterion, *parts])

    @property
    def needs_scan(self) -> bool:
        """Whether its ratios come from a sensitivity table."""
        return self.ratios is None and self.allocation in SCANNED


def candidates(
    allocations: Iterable[str] = ("budget", "drop", "uniform", "scores-isomorphic"),
    criteria: Iterable[str] = ("l1_norm",),
    scopes: Iterable[Scope] = (Scope(),),
) -> tuple[Candidate, ...]:
    """Every combination, in order.

    Examples
    --------
    >>> from slimlab.search import candidates
    >>> [c.name for c in candidates(["uniform"], ["l1_norm", "taylor"])]
    ['uniform, l1_norm', 'uniform, taylor']
    """
    allocations, criteria = tuple(allocations), tuple(criteria)
    return tuple(Candidate(a, c, s) for s in scopes for c in criteria for a in allocations)


def held_out(task: Task) -> Task:
    """The task with its calibration images where tests are: choosing must not see test images."""
    return replace(task, test=task.calibration)


def scan_criterion(criterion: str, scanned: Sequence[str]) -> str:
    """The criterion whose scan a candidate reads: its own where that can be scanned, else L1."""
    return criterion if criterion in scanned else "l1_norm"


def candidate_ratios(
    candidate: Candidate,
    model: Layer,
    graph: Graph,
    task: Task,
    budget: Budget,
    sensitivity: Sensitivity | None = None,
) -> Ratios:
    """The ratios that a candidate spends a budget on.

    Parameters
    ----------
    candidate
        The way.
    model, graph, task
        What is pruned; the task's calibration images serve criteria that need data.
    budget
        What is met. Time is spent by `"budget"` itself; other ways take the least share of MACs
        that meets it, at widths that were timed.
    sensitivity
        The scan, for candidates that need one.

    Raises
    ------
    PlanError
        When there is no scan where one is needed, or the budget can't be met.
    """
    if candidate.ratios is not None:
        return candidate.ratios
    scope = candidate.scope
    if candidate.needs_scan and sensitivity is None:
        msg = f"Candidate {candidate.name!r} picks from a scan, and there is none."
        raise PlanError(msg, candidate=candidate)
    if candidate.allocation == "budget" and sensitivity is not None:
        return allocate_budget(graph, sensitivity, budget, scope=scope).ratios
    picker = _picker(candidate, model, graph, task, sensitivity)
    if budget.times is None or budget.latency is None:
        return picker(dict(budget.shares))
    return _for_latency(candidate, graph, budget, budget.times, picker)


def _picker(
    candidate: Candidate,
    model: Layer,
    graph: Graph,
    task: Task,
    sensitivity: Sensitivity | None,
) -> Picker:
    """What picks a candidate's ratios for shares of MACs, parameters and bytes."""
    scope = candidate.scope
    if candidate.allocation == "uniform":
        return lambda shares: uniform_ratios(graph, scope=scope, **shares)
    if sensitivity is not None and candidate.allocation == "drop":
        return lambda shares: ratios_within_drop(sensitivity, graph=graph, scope=scope, **shares)
    how = candidate.allocation.removeprefix("scores-")
    scores = score_channels(
        model, graph, candidate.criterion, task=task, images=EVIDENCE, scope=scope
    )
    return lambda shares: ratios_from_scores(graph, scores, normalise=how, scope=scope, **shares)


def _for_latency(
    candidate: Candidate, graph: Graph, budget: Budget, times: TimeTable, picker: Picker
) -> Ratios:
    """The ratios of the least share of MACs that, at measured widths, meet a budget of time too."""
    best: Ratios | None = None
    low, high = 0.0, reachable(graph, candidate.scope).macs[1]
    for number in range(ROUNDS):
        share = high if number == 0 else (low + high) / 2
        try:
            picked = picker({"macs": share})
        except PlanError:  # beyond what was scanned
            high = share
            continue
        found = on_measured_widths(graph, times, candidate.scope, picked)
        if budget.is_met(graph, kept_of(graph, found)):
            best, high = found, share
        else:
            low = share
    if best is None:
        msg = (
            f"Candidate {candidate.name!r} can't meet {budget} at the widths that were timed and "
            "the ratios that were scanned; ask for less, or scan and time narrower layers."
        )
        raise PlanError(msg, candidate=candidate, budget=budget)
    return best


def kept_of(graph: Graph, ratios: Ratios) -> dict[str, int]:
    """Groups to the channels that ratios keep."""
    return {
        name: kept_channels(graph.group(name).width, ratio)
        for name, ratio in ratios.of_groups(graph).items()
    }

"""Floor 4. Carries the strategy `Prune` out: picks ratios as its method says, plans and cuts.

Whatever chooses sees calibration images only. Of several steps, each aims at the share of the
network that the strategy found, so that rounding never adds up.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from paddle.nn import Layer

from slimlab.allocate import (
    Budget,
    allocate_budget,
    ratios_within_drop,
    reachable,
    uniform_ratios,
)
from slimlab.compressor.annealed import annealed_ratios
from slimlab.compressor.scene import Facts, Scene
from slimlab.compressor.timetable import Act
from slimlab.errors import PlanError
from slimlab.graph import Graph
from slimlab.grouping import trace
from slimlab.importance import CRITERIA
from slimlab.plan import PruningPlan, plan_pruning
from slimlab.prune import prune
from slimlab.ratios import Ratios
from slimlab.recipe import Prune
from slimlab.scan import iter_scan_sensitivity
from slimlab.search import step_shares
from slimlab.search.candidates import Candidate, candidate_ratios, held_out, scan_criterion
from slimlab.sensitivity import Sensitivity
from slimlab.steps import Step

ALLOCATIONS = ("budget", "drop", "scores-isomorphic")  # tried by `auto` beside uniform ratios
TOTALS = ("macs", "params", "bytes")
Picked = Generator[Step[Any], None, Ratios]


@dataclass(frozen=True)
class Cutting:
    """One step of a pruning.

    Attributes
    ----------
    strategy, act, scene
        What is carried out, and where.
    model, graph
        What is cut.
    base
        Of the network that the strategy found: `widths` of its groups, `totals`, and the shares
        `given` to remove from groups, where they are.
    notes
        What is to be remembered of how ratios were chosen, JSON.
    """

    strategy: Prune
    act: Act
    scene: Scene
    model: Layer
    graph: Graph
    base: Facts
    notes: dict[str, Any] = field(default_factory=dict)

    def gone(self, share: float) -> float:
        """Of a share to remove in all, the share of the first network that is gone afterwards."""
        return step_shares(share, self.strategy.steps)[self.act.number]

    def left(self, **shares: float | None) -> dict[str, float]:
        """Shares of the network of now that remove what the first one's shares ask for by now."""
        now = self.graph.cost.totals()
        return {
            name: max(
                0.0,
                1 - (1 - self.gone(share)) * self.base["totals"][name] / max(1, getattr(now, name)),
            )
            for name, share in shares.items()
            if share is not None
        }

    def relative(self, ratios: Mapping[str, float]) -> Ratios:
        """Shares of each group's first width, by now, as ratios of its width of now."""
        scope, found = self.strategy.scope.build(), {}
        for group in self.graph.groups:
            if group.name in ratios:
                first = self.base["widths"].get(group.name, group.width)
                kept = scope.kept(first, self.gone(ratios[group.name]))
                if kept < group.width:
                    found[group.name] = 1 - kept / group.width
        return Ratios(found)


class Pruner:
    """The actor of `Prune`."""

    def act(
        self, model: Layer, act: Act, scene: Scene
    ) -> Generator[Step[Any], None, tuple[Layer, Facts]]:
        """See `Actor.act`."""
        strategy = cast("Prune", scene.recipe.strategies[act.strategy])
        graph = trace(model, scene.task.example)
        first = scene.facts(act.strategy) if act.number else None
        base = _base(graph, strategy) if first is None else first["base"]
        cutting = Cutting(strategy, act, scene, model, graph, base)
        ratios = yield from METHODS[strategy.method](cutting)
        plan = plan_pruning(model, graph, ratios, strategy.criterion, task=held_out(scene.task))
        small = prune(model, plan)
        after = trace(small, scene.task.example).cost.totals()
        facts = {
            "ratios": ratios.to_dict(),
            "plan": plan.to_dict(),
            "base": base,
            "removed": {
                name: 1 - getattr(after, name) / max(1, base["totals"][name]) for name in TOTALS
            },
            **cutting.notes,
        }
        return small, facts

    def rebuild(self, model: Layer, act: Act, facts: Facts, scene: Scene) -> Layer:
        """See `Actor.rebuild`."""
        return prune(model, PruningPlan.from_dict(facts["plan"]))


def _base(graph: Graph, strategy: Prune) -> dict[str, Any]:
    totals = graph.cost.totals()
    return {
        "given": Ratios(strategy.ratios).of_groups(graph),
        "widths": {group.name: group.width for group in graph.groups},
        "totals": {name: float(getattr(totals, name)) for name in TOTALS},
    }


def _uniform(cutting: Cutting) -> Picked:
    strategy, graph = cutting.strategy, cutting.graph
    scope = strategy.scope.build()
    yield Step(0, 1, "uniform ratios")
    if strategy.ratio is not None:
        return cutting.relative({group.name: strategy.ratio for group in scope.groups(graph)})
    shares = cutting.left(macs=strategy.macs, params=strategy.params)
    return uniform_ratios(graph, scope=scope, **shares) if any(shares.values()) else Ratios()


def _sensitivity(cutting: Cutting) -> Picked:
    strategy, graph = cutting.strategy, cutting.graph
    scope = strategy.scope.build()
    if strategy.drop is not None:
        table = yield from _scan(cutting)
        return ratios_within_drop(table, strategy.drop / strategy.steps, graph=graph, scope=scope)
    shares = cutting.left(macs=strategy.macs, params=strategy.params)
    if not any(shares.values()):
        return Ratios()
    table = yield from _scan(cutting)
    return ratios_within_drop(table, graph=graph, scope=scope, **shares)


def _budget(cutting: Cutting) -> Picked:
    strategy, graph = cutting.strategy, cutting.graph
    scope = strategy.scope.build()
    shares = cutting.left(macs=strategy.macs, params=strategy.params, bytes=strategy.bytes)
    if not any(shares.values()):
        return Ratios()
    budget = Budget(shares.get("macs"), shares.get("params"), shares.get("bytes"))
    reachable(graph, scope).check(budget)  # before the scan, not after it
    table = yield from _scan(cutting)
    return allocate_budget(graph, table, budget, scope=scope).ratios


def _given(cutting: Cutting) -> Picked:
    yield Step(0, 1, "given ratios")
    return cutting.relative(cutting.base["given"])


def _auto(cutting: Cutting) -> Picked:
    strategy = cutting.strategy
    lower = cutting.left(macs=strategy.macs)
    if not any(lower.values()):
        return Ratios()
    upper = cutting.left(macs=strategy.macs_most).get("macs")
    reachable(cutting.graph, strategy.scope.build()).check(Budget(macs=lower["macs"]))
    starts: dict[str, Ratios] = {}
    if strategy.search.trials > 1:
        table = yield from _scan(cutting)
        starts = _starts(cutting, Budget(macs=lower["macs"]), table)
    ratios, tried = yield from annealed_ratios(
        cutting.model, cutting.graph, cutting.scene.task, strategy,
        limits=(lower["macs"], upper), seed=cutting.scene.recipe.seed, starts=starts,
    )  # fmt: skip
    cutting.notes["tried"] = tried
    return ratios


def _starts(cutting: Cutting, budget: Budget, table: Sensitivity) -> dict[str, Ratios]:
    """What the ways of picking give, as many as there are trials beside uniform ratios."""
    strategy, held = cutting.strategy, held_out(cutting.scene.task)
    graph, scope = cutting.graph, strategy.scope.build()
    whole = {group.name: 0.0 for group in scope.groups(graph)}
    found = {}
    for allocation in ALLOCATIONS[: strategy.search.trials - 1]:
        way = Candidate(allocation, strategy.criterion, scope)
        try:
            picked = candidate_ratios(way, cutting.model, graph, held, budget, table)
        except PlanError:  # beyond what was scanned
            continue
        found[allocation] = Ratios({**whole, **picked.of_groups(graph)})
    return found


def _scan(cutting: Cutting) -> Generator[Step[Any], None, Sensitivity]:
    """Scan the network of now; what was measured before a crash is read from its file."""
    strategy, scene = cutting.strategy, cutting.scene
    path = None
    if strategy.scan.file is not None and cutting.act.number == 0:
        path = Path(strategy.scan.file)
    elif scene.scans is not None:
        path = scene.scans / f"strategy-{cutting.act.strategy}-step-{cutting.act.number}.scan"
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    return (
        yield from iter_scan_sensitivity(
            cutting.model,
            held_out(scene.task),
            ratios=strategy.scan.ratios,
            images=strategy.scan.images,
            criterion=scan_criterion(strategy.criterion, tuple(CRITERIA)),
            scope=strategy.scope.build(),
            path=path,
        )
    )


METHODS = {
    "uniform": _uniform,
    "sensitivity": _sensitivity,
    "budget": _budget,
    "auto": _auto,
    "ratios": _given,
}

"""Floor 3. Ratios without a scan: all channels of a network ranked together, the lowest removed.

Scores of different layers are not on one scale, so they are normalised first; how decides nearly
everything. Knows scores and costs; measures no accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.allocate.reach import Budget, reachable
from slimlab.errors import PlanError, nearest
from slimlab.evidence import DATA_CRITERIA, check_criterion, data_scores, gather_evidence
from slimlab.graph import ChannelGroup, Graph
from slimlab.importance import Combination, channel_scores, checked
from slimlab.plan import check_graph
from slimlab.ratios import Ratios, Scope
from slimlab.task import Task

Array = NDArray[np.float64]
Scores = Mapping[str, Array]
NORMALISERS: dict[str, Callable[[Scores, Graph], dict[str, Array]]] = {}


def score_channels(
    model: Layer,
    graph: Graph,
    criterion: str = "l1_norm",
    *,
    task: Task | None = None,
    images: int = 64,
    scope: Scope | None = None,
) -> dict[str, Array]:
    """Score every channel in scope: group to an array of shape `(width,)`, higher is better.

    Parameters
    ----------
    model, graph
        The model, and its graph.
    criterion
        How channels are ranked; see `plan_pruning`.
    task, images
        Labelled images for criteria that need data, and how many.
    scope
        Groups to score; all that can be pruned when None.

    Raises
    ------
    PlanError
        For a criterion that does not exist or lacks its data, or a graph of another model.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> scores = sl.score_channels(model, graph, "taylor", task=task)
    >>> all(len(scores[group.name]) == group.width for group in graph.groups)
    True
    """
    check_graph(model, graph)
    check_criterion(criterion, has_data=task is not None)
    groups = (scope or Scope()).groups(graph)
    if criterion in DATA_CRITERIA and task is not None:
        evidence = gather_evidence(model, groups, task, images=images)
        plain = Combination()
        return {g.name: data_scores(evidence[g.name], g, criterion, plain) for g in groups}
    return {g.name: channel_scores(model, g, criterion) for g in groups}


def ratios_from_scores(
    graph: Graph,
    scores: Scores,
    *,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    normalise: str = "mean",
    scope: Scope | None = None,
) -> Ratios:
    """Remove the channels of lowest normalised score, wherever they are, until a budget is met.

    No image is looked at but those of the scores, so this is quick, and the baseline that a scan
    has to beat.

    Parameters
    ----------
    graph
        The traced model.
    scores
        Group to its channels' scores, such as `score_channels` gives; not negative. Plan with the
        criterion that they came from, and these channels are the ones that go.
    macs, params, bytes
        Shares of the network to *remove*, each in [0, 1); all that are given are met.
    normalise
        `"mean"`, `"lamp"`, `"isomorphic"` or `"none"`; see `NORMALISERS`.
    scope
        Layers to prune, with the least and the multiple of channels they keep. A group can be left
        with a single channel otherwise: `Scope(least=...)` is worth giving.

    Raises
    ------
    PlanError
        For scores that don't fit the graph, an unknown normaliser, or a budget that can't be met.

    Examples
    --------
    >>> import slimlab as sl
    >>> model = sl.load_model("mobilenet_v1")
    >>> graph = sl.trace(model, sl.load_task("digits").example)
    >>> scores = sl.score_channels(model, graph)
    >>> ratios = sl.ratios_from_scores(graph, scores, macs=0.5, normalise="lamp")
    >>> sl.preview(graph, ratios).macs_removed >= 0.5
    True
    """
    budget, scope = Budget(macs, params, bytes), scope or Scope()
    if normalise not in NORMALISERS:
        msg = f"No way to normalise scores is called {normalise!r}. "
        raise PlanError(msg + nearest(normalise, NORMALISERS), normalise=normalise)
    groups = [group for group in scope.groups(graph) if group.name in scores]
    if not groups:
        msg = f"None of the {len(scores)} scored groups is in scope ({scope})."
        raise PlanError(msg, groups=tuple(scores))
    reachable(graph, scope).check(budget)
    chosen = {group.name: _usable(group, scores[group.name]) for group in groups}
    normal = {
        name: np.sort(values) for name, values in NORMALISERS[normalise](chosen, graph).items()
    }
    widths = {group.name: group.width for group in groups}
    whole = graph.cost.totals()

    def kept(threshold: float) -> dict[str, int]:
        gone = {n: int(np.searchsorted(values, threshold)) for n, values in normal.items()}
        return {n: scope.kept(width, gone[n] / width) for n, width in widths.items()}

    def meets(threshold: float) -> bool:
        small = graph.cost.totals(kept(threshold))
        return all(
            1 - getattr(small, name) / max(1, getattr(whole, name)) >= share
            for name, share in budget.shares.items()
        )

    # Channels below a threshold go: the lowest of these thresholds that meets the budget.
    thresholds = np.append(np.unique(np.concatenate(list(normal.values()))), np.inf)
    low, high = 0, len(thresholds) - 1
    if not meets(float(thresholds[high])):  # groups in scope without a score
        msg = f"{budget} can't be met by the {len(groups)} groups that have scores."
        raise PlanError(msg, groups=tuple(widths))
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(float(thresholds[middle])) else (middle + 1, high)
    found = kept(float(thresholds[high]))
    return Ratios({name: 1 - count / widths[name] for name, count in found.items()})


def _usable(group: ChannelGroup, scores: Array) -> Array:
    values = checked("given", group, scores)
    if (values < 0).any():
        msg = f"The scores of group {group.name!r} hold {values.min():.3g}; none may be negative."
        raise PlanError(msg, group=group.name)
    return values


def normaliser(
    name: str,
) -> Callable[
    [Callable[[Scores, Graph], dict[str, Array]]], Callable[[Scores, Graph], dict[str, Array]]
]:
    """Register a way to bring the scores of all groups to one scale; it must keep their order.

    Examples
    --------
    >>> from slimlab.allocate.scores import NORMALISERS, normaliser
    >>> @normaliser("largest")
    ... def largest(scores, graph):
    ...     return {name: values / values.max() for name, values in scores.items()}
    >>> del NORMALISERS["largest"]
    """

    def register(
        function: Callable[[Scores, Graph], dict[str, Array]],
    ) -> Callable[[Scores, Graph], dict[str, Array]]:
        NORMALISERS[name] = function
        return function

    return register


@normaliser("none")
def as_they_are(scores: Scores, graph: Graph) -> dict[str, Array]:
    """The scores themselves: for criteria that are on one scale already, as a Taylor expansion."""
    return dict(scores)


@normaliser("mean")
def by_mean(scores: Scores, graph: Graph) -> dict[str, Array]:
    """Divided by the mean of the group."""
    return {n: v / (v.mean() if v.mean() > 0 else 1.0) for n, v in scores.items()}


@normaliser("lamp")
def lamp(scores: Scores, graph: Graph) -> dict[str, Array]:
    """Divided by the sum of the group's scores that are no smaller: what removing it would leave.

    Lee et al., Layer-adaptive Sparsity for the Magnitude-based Pruning, ICLR 2021 (2010.07611),
    which takes single squared weights where whole channels are taken here; squared norms come
    nearest to it. The best channel of each group scores 1, so no group is emptied early.
    """
    found = {}
    for name, values in scores.items():
        order = np.argsort(values, kind="stable")
        rising = values[order]
        left = np.cumsum(rising[::-1])[::-1]
        score = np.empty_like(values)
        score[order] = rising / np.where(left > 0, left, 1.0)
        found[name] = score
    return found


@normaliser("isomorphic")
def isomorphic(scores: Scores, graph: Graph) -> dict[str, Array]:
    """Rank, 0 to 1, among the channels of all groups that run through the same kinds of layers.

    Fang et al., Isomorphic Pruning for Vision Models, ECCV 2024 (2407.04616): only groups of equal
    structure are compared, and each structure loses the same share. Scores are divided by the mean
    of their group before.
    """
    kinds = {row[0]: row[1] for row in graph.coverage.rows}
    classes: dict[tuple[tuple[str, str, int], ...], list[str]] = {}
    for name in scores:
        classes.setdefault(_structure(graph.group(name), kinds), []).append(name)
    means = by_mean(scores, graph)
    found: dict[str, Array] = {}
    for names in classes.values():
        together = np.concatenate([means[name] for name in names])
        rank = np.empty(len(together))
        rank[np.argsort(together, kind="stable")] = np.arange(len(together)) / len(together)
        ends = np.cumsum([len(means[name]) for name in names])[:-1]
        found.update(zip(names, np.split(rank, ends), strict=True))
    return {name: found[name] for name in scores}


def _structure(group: ChannelGroup, kinds: Mapping[str, str]) -> tuple[tuple[str, str, int], ...]:
    """What a group runs through: kinds of layers and the axes, in any order."""
    return tuple(sorted((kinds.get(m.layer, ""), m.role, m.axis) for m in group.members))

"""Floor 1. Which channels stay: a frozen, JSON-able value. It changes no model (`prune.py`
does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.errors import ArtifactError, PlanError
from slimlab.evidence import (
    DATA_CRITERIA,
    Evidence,
    check_criterion,
    data_scores,
    gather_evidence,
)
from slimlab.graph import ChannelGroup, Graph
from slimlab.importance import Combination, channel_scores
from slimlab.layers import sublayers
from slimlab.ratios import Ratios, kept_channels
from slimlab.surgery import Cut, held_size
from slimlab.task import Task

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PruningPlan:
    """Group to kept channels, with where they lie and the ratios and criterion they came from.

    Attributes
    ----------
    kept
        Group to the channels that stay, ascending.
    widths
        Group to its number of channels before.
    cuts
        What that means for every tensor.
    ratios, criterion
        Where it came from.
    inputs
        Shape and dtype of the example inputs, with which the result is checked.
    sizes
        Numbers that layers remember, as `"layer.attribute"` (how many heads an attention has),
        before and after.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> plan = sl.plan_pruning(model, graph, {graph.layers[0]: 0.5})
    >>> sl.PruningPlan.from_dict(plan.to_dict()).kept == plan.kept
    True
    """

    kept: Mapping[str, tuple[int, ...]]
    widths: Mapping[str, int]
    cuts: tuple[Cut, ...]
    ratios: Ratios
    criterion: str
    inputs: tuple[tuple[tuple[int, ...], str], ...]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))

    def to_frame(self) -> pd.DataFrame:
        """One row a group: `layer, width, kept, removed`."""
        rows = [(n, self.widths[n], len(k), self.widths[n] - len(k)) for n, k in self.kept.items()]
        return pd.DataFrame(rows, columns=["layer", "width", "kept", "removed"])

    def to_dict(self) -> dict[str, Any]:
        """JSON that `from_dict` reads back."""
        return {
            "kept": {name: list(channels) for name, channels in self.kept.items()},
            "widths": dict(self.widths),
            "cuts": [[c.parameter, c.axis, c.length, list(c.removed)] for c in self.cuts],
            "ratios": self.ratios.to_dict(),
            "criterion": self.criterion,
            "inputs": [[list(shape), dtype] for shape, dtype in self.inputs],
            "sizes": {path: list(size) for path, size in self.sizes.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PruningPlan:
        """Read what `to_dict` wrote.

        Raises
        ------
        ArtifactError
            When something is missing or of another kind.
        """
        try:
            return cls(
                MappingProxyType({str(n): tuple(map(int, k)) for n, k in data["kept"].items()}),
                MappingProxyType({str(n): int(w) for n, w in data["widths"].items()}),
                tuple(
                    Cut(str(p), int(a), int(n), tuple(map(int, r))) for p, a, n, r in data["cuts"]
                ),
                Ratios(data["ratios"]),
                str(data["criterion"]),
                tuple((tuple(map(int, shape)), str(dtype)) for shape, dtype in data["inputs"]),
                MappingProxyType(
                    {str(n): (int(a), int(b)) for n, (a, b) in data.get("sizes", {}).items()}
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"This is no pruning plan: {type(error).__name__} at {error}."
            raise ArtifactError(msg) from error

    def __repr__(self) -> str:
        removed = sum(self.widths[n] - len(k) for n, k in self.kept.items())
        return (
            f"PruningPlan({len(self.kept)} groups, {removed} of {sum(self.widths.values())} "
            "channels "
            f"removed by {self.criterion})"
        )


def plan_pruning(
    model: Layer,
    graph: Graph,
    ratios: Mapping[str, float],
    criterion: str = "l1_norm",
    *,
    task: Task | None = None,
    images: int = 64,
    combination: Combination = Combination(),  # noqa: B008 - frozen
) -> PruningPlan:
    """Choose the channels that stay; changes nothing.

    Parameters
    ----------
    model
        The model that `graph` was traced from.
    graph
        What can be removed together.
    ratios
        Layer to the share of its channels that is removed, in [0, 1). A layer whose channels are
        tied to another's (residual addition) stands for all of them.
    criterion
        How channels are ranked: a name from the table `criteria()`.
    task, images
        Labelled images for `"taylor"` and `"group_fisher"`, and how many of them.
    combination
        How the scores of layers that share their channels become one.

    Raises
    ------
    PlanError
        For a layer that doesn't exist or can't be pruned, a ratio outside [0, 1), a criterion that
        doesn't exist, or a graph of another model.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> model = paddle.nn.Sequential(paddle.nn.Conv2D(1, 8, 3), paddle.nn.Conv2D(8, 4, 3))
    >>> graph = sl.trace(model, paddle.zeros([1, 1, 8, 8]))
    >>> sl.plan_pruning(model, graph, {"0": 0.5})
    PruningPlan(1 groups, 4 of 8 channels removed by l1_norm)
    """
    checked = Ratios(ratios)
    check_graph(model, graph)
    check_criterion(criterion, has_data=task is not None)
    wanted = checked.of_groups(graph)
    evidence: Mapping[str, Evidence] = {}
    if criterion in DATA_CRITERIA and task is not None:
        groups = [graph.group(name) for name in wanted]
        evidence = gather_evidence(model, groups, task, images=images)
    kept: dict[str, tuple[int, ...]] = {}
    for name, ratio in wanted.items():
        group = graph.group(name)
        if name in evidence:
            scores = data_scores(evidence[name], group, criterion, combination)
        else:
            scores = channel_scores(model, group, criterion, combination)
        kept[name] = keep_highest(scores, kept_channels(group.width, ratio))
    return plan_kept(model, graph, kept, ratios=checked, criterion=criterion)


def plan_kept(
    model: Layer,
    graph: Graph,
    kept: Mapping[str, tuple[int, ...]],
    *,
    ratios: Ratios | None = None,
    criterion: str = "given",
) -> PruningPlan:
    """Make the plan that keeps exactly these channels of each group."""
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    removed: dict[tuple[str, int], list[Indices]] = {}
    lost: Counter[str] = Counter()
    for name, channels in kept.items():
        group = graph.group(name)
        lost.update(group.lost(group.width - len(set(channels))))
        for member, gone in _removed(group, channels):
            removed.setdefault(member, []).append(gone)
    layers = sublayers(model) if lost else {}
    sizes = {path: held_size(layers, path) or 0 for path, gone in lost.items() if gone}
    cuts = tuple(
        Cut(parameter, axis, shapes[parameter][axis], tuple(np.sort(np.concatenate(gone)).tolist()))
        for (parameter, axis), gone in removed.items()
    )
    widths = {name: graph.group(name).width for name in kept}
    return PruningPlan(
        MappingProxyType(dict(kept)),
        MappingProxyType(widths),
        tuple(cut for cut in cuts if cut.removed),
        ratios or Ratios({n: 1 - len(k) / widths[n] for n, k in kept.items()}),
        criterion,
        graph.inputs,
        MappingProxyType({path: (size, size - lost[path]) for path, size in sizes.items()}),
    )


def _removed(
    group: ChannelGroup, channels: tuple[int, ...]
) -> list[tuple[tuple[str, int], Indices]]:
    gone = np.setdiff1d(np.arange(group.width), channels)
    return [((m.parameter, m.axis), m.indices[gone].reshape(-1)) for m in group.members]


def keep_highest(scores: NDArray[np.float64], count: int) -> tuple[int, ...]:
    """The `count` channels with the highest scores, ascending; among equals the first stay.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.plan import keep_highest
    >>> keep_highest(np.array([3.0, 1.0, 3.0, 2.0]), 3)
    (0, 2, 3)
    """
    best = np.argsort(-scores, kind="stable")[:count]
    return tuple(sorted(best.tolist()))


def check_graph(model: Layer, graph: Graph) -> None:
    """Refuse a graph whose tensors are not those of the model."""
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    for group in graph.groups:
        for m in group.members:
            if m.parameter not in shapes:
                msg = (
                    f"The graph was traced from another model: {type(model).__name__} has no "
                    "tensor "
                    f"{m.parameter!r}. Trace this model."
                )
                raise PlanError(msg, parameter=m.parameter)
            if int(m.indices.max()) >= shapes[m.parameter][m.axis]:
                msg = (
                    f"The graph was traced from another version of the model: {m.parameter!r} has "
                    f"shape {list(shapes[m.parameter])} now. Trace this model."
                )
                raise PlanError(msg, parameter=m.parameter)

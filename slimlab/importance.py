"""Floor 1. Criteria: how the channels of a group are ranked. The lowest scores go first.

A criterion is a function from a group's weights to a score a channel; register one with
`@criterion("name")`. One that needs gradients is in `evidence.py`. Knows nothing of ratios or of
how weights are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.errors import PlanError, nearest
from slimlab.graph import ChannelGroup, Member
from slimlab.layers import is_trainable

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupWeights:
    """What a criterion sees of a channel group.

    Attributes
    ----------
    name
        The group.
    filters
        For each layer that makes the channels, its weights as `(width, fan_in)`.
    scales
        For each BatchNorm the channels pass, its scale as `(width,)`.
    """

    name: str
    filters: tuple[Array, ...]
    scales: tuple[Array, ...]

    def by_layer(self) -> tuple[GroupWeights, ...]:
        """Each layer that makes the channels as a group of its own."""
        return tuple(GroupWeights(self.name, (f,), self.scales) for f in self.filters)

    def by_scale(self) -> tuple[GroupWeights, ...]:
        """Each BatchNorm the channels pass as a group of its own."""
        return tuple(GroupWeights(self.name, self.filters, (s,)) for s in self.scales)


Criterion = Callable[[GroupWeights], Array]
CRITERIA: dict[str, Criterion] = {}
PAPERS: dict[str, str] = {}  # by a criterion's name, where it was published


def criterion(name: str, *, paper: str = "") -> Callable[[Criterion], Criterion]:
    """Register a criterion under the name that `plan_pruning` and recipes use.

    Parameters
    ----------
    name
        The name; one that is there already is replaced.
    paper
        Where the criterion was published, for the table `criteria`.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.importance import CRITERIA, criterion
    >>> @criterion("largest_weight")
    ... def largest_weight(group):
    ...     return np.max([np.abs(f).max(axis=1) for f in group.filters], axis=0)
    >>> "largest_weight" in CRITERIA
    True
    >>> del CRITERIA["largest_weight"]
    """

    def register(function: Criterion) -> Criterion:
        CRITERIA[name] = function
        PAPERS[name] = paper
        return function

    return register


@dataclass(frozen=True)
class Combination:
    """How the scores of a group's layers become one score a channel.

    Attributes
    ----------
    how
        `"sum"`, `"mean"` or `"max"` of the scores that each layer has alone; `None` leaves it to
        the criterion, which sees the whole group at once.
    normalise
        Whether each layer's scores are divided by their mean first, so that a layer of large
        weights does not outvote the others.

    Raises
    ------
    PlanError
        For another word than these.

    Examples
    --------
    >>> from slimlab.importance import Combination
    >>> Combination("max", normalise=True)
    Combination(how='max', normalise=True)
    """

    how: str | None = None
    normalise: bool = False

    def __post_init__(self) -> None:
        if self.how is not None and self.how not in _HOW:
            msg = f"Scores can't be combined by {self.how!r}. {nearest(self.how, _HOW)}"
            raise PlanError(msg, how=self.how)
        if self.normalise and self.how is None:
            msg = "Normalised scores need a way to combine them: how='sum', 'mean' or 'max'."
            raise PlanError(msg, how=self.how)

    def of(self, parts: Sequence[Array]) -> Array:
        """One score a channel, from arrays of shape `(width,)`, one a layer."""
        table = np.stack(parts)
        if self.normalise:
            means = np.abs(table).mean(axis=1, keepdims=True)
            table = table / np.where(means > 0, means, 1.0)
        return np.asarray(_HOW[self.how or "sum"](table, axis=0), dtype=np.float64)


_HOW: dict[str, Callable[..., Array]] = {"sum": np.sum, "mean": np.mean, "max": np.max}


def channel_scores(
    model: Layer,
    group: ChannelGroup,
    name: str = "l1_norm",
    combination: Combination = Combination(),
) -> Array:
    """Score the channels of a group, shape `(width,)`; higher is more important.

    Raises
    ------
    PlanError
        For a criterion that does not exist or needs data, or one that gives no finite score a
        channel.
    """
    if name not in CRITERIA:
        msg = f"No criterion {name!r}. {nearest(name, CRITERIA)}"
        raise PlanError(msg, criterion=name)
    whole = group_weights(model, group)
    if combination.how is None:
        return checked(name, group, CRITERIA[name](whole))
    alone = whole.by_layer() if name != "bn_scale" else whole.by_scale()
    return checked(
        name, group, combination.of([CRITERIA[name](part) for part in alone or (whole,)])
    )


def checked(name: str, group: ChannelGroup, scores: Array) -> Array:
    """Refuse scores that are not a finite number a channel."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.shape != (group.width,) or not np.isfinite(scores).all():
        msg = (
            f"Criterion {name!r} gave scores of shape {scores.shape} for group {group.name!r}; a "
            f"finite number for each of its {group.width} channels is needed."
        )
        raise PlanError(msg, criterion=name, group=group.name)
    return scores


def group_weights(model: Layer, group: ChannelGroup) -> GroupWeights:
    """Collect what a criterion sees of a group."""
    tensors = model.state_dict()
    filters, scales, others = [], [], []
    for member in group.members:
        value = np.asarray(tensors[member.parameter].numpy(), dtype=np.float64)
        own = _by_channel(value, member)
        if member.role == "out" and value.ndim > 1:
            filters.append(own)
        elif member.role == "along" and value.ndim == 1 and member.parameter.endswith(".weight"):
            scales.append(own[:, 0])
        elif member.role != "in" and is_trainable(tensors[member.parameter]):
            others.append(own)
    # Channels that no filter makes, such as a bank of filters computed from two numbers each.
    return GroupWeights(group.name, tuple(filters or others), tuple(scales))


def _by_channel(value: Array, member: Member) -> Array:
    rows = np.moveaxis(value, member.axis, 0)[member.indices]
    return rows.reshape(len(member.indices), -1)


@criterion("l1_norm", paper="Li et al., ICLR 2017, arXiv 1608.08710")
def l1_norm(group: GroupWeights) -> Array:
    """Sum of absolute filter weights (Li et al., Pruning Filters for Efficient ConvNets,
    1608.08710).
    """
    return np.asarray(np.sum([np.abs(f).sum(axis=1) for f in group.filters], axis=0))


@criterion("l2_norm", paper="He et al., IJCAI 2018, arXiv 1808.06866")
def l2_norm(group: GroupWeights) -> Array:
    """Euclidean norm of the filters (as in He et al., Soft Filter Pruning, 1808.06866)."""
    return np.asarray(np.sqrt(np.sum([np.square(f).sum(axis=1) for f in group.filters], axis=0)))


@criterion("fpgm", paper="He et al., CVPR 2019, arXiv 1811.00250")
def fpgm(group: GroupWeights) -> Array:
    """Summed distance to the other filters: what lies near their geometric median is replaceable.

    He et al., Filter Pruning via Geometric Median, CVPR 2019 (1811.00250).
    """
    filters = np.concatenate(group.filters, axis=1)
    squares = np.square(filters).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * filters @ filters.T
    return np.asarray(np.sqrt(np.maximum(distances, 0)).sum(axis=1))


@criterion("bn_scale", paper="Liu et al., ICCV 2017, arXiv 1708.06519")
def bn_scale(group: GroupWeights) -> Array:
    """Absolute scale of the BatchNorms a channel passes (Liu et al., Network Slimming,
    1708.06519).
    """
    if not group.scales:
        msg = (
            f"Group {group.name!r} passes no BatchNorm, so 'bn_scale' can't rank it; try 'l1_norm'."
        )
        raise PlanError(msg, criterion="bn_scale", group=group.name)
    return np.asarray(np.sum([np.abs(s) for s in group.scales], axis=0))


@criterion("random", paper="Mittal et al., WACV 2018, arXiv 1801.10447")
def random(group: GroupWeights) -> Array:
    """A fixed random order that depends on the group's name only: the control of every
    comparison (Mittal et al., WACV 2018, arXiv 1801.10447, who find it hard to beat).
    """
    seed = [ord(letter) for letter in group.name]
    return np.random.default_rng(seed).random(len(group.filters[0]))

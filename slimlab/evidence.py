"""Floor 1. Criteria that need data: what a few labelled images say of each channel.

The loss is differentiated once a batch, on a copy of the model in evaluation mode. Every weight
times its gradient says how the loss changes when that weight is scaled, so their sum over a
channel is the derivative by a gate on the channel. Register a criterion with
`@data_criterion("name")`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from paddle.nn import Layer

from slimlab.errors import PlanError, nearest
from slimlab.graph import ChannelGroup
from slimlab.importance import CRITERIA, PAPERS, Array, Combination, checked
from slimlab.surgery import repeatable
from slimlab.task import Task


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a data criterion sees of a channel group.

    Attributes
    ----------
    name
        The group.
    gates
        Derivative of the loss by a gate on each channel, shape `(batches, width)`, for each place
        where the channel is made: behind the BatchNorm where there is one, else behind the layer.
    readers
        The same for a gate in front of each layer that reads the channel.
    """

    name: str
    gates: tuple[Array, ...]
    readers: tuple[Array, ...]


DataCriterion = Callable[[Evidence], "tuple[Array, ...]"]
DATA_CRITERIA: dict[str, DataCriterion] = {}


def data_criterion(name: str, *, paper: str = "") -> Callable[[DataCriterion], DataCriterion]:
    """Register a criterion that ranks by gradients: a score `(width,)` for each place or layer.

    Parameters
    ----------
    name
        The name; one that is there already is replaced.
    paper
        Where the criterion was published, for the table `criteria`.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.evidence import DATA_CRITERIA, data_criterion
    >>> @data_criterion("mean_gate")
    ... def mean_gate(evidence):
    ...     return tuple(np.abs(g.mean(axis=0)) for g in evidence.gates)
    >>> "mean_gate" in DATA_CRITERIA
    True
    >>> del DATA_CRITERIA["mean_gate"]
    """

    def register(function: DataCriterion) -> DataCriterion:
        DATA_CRITERIA[name] = function
        PAPERS[name] = paper
        return function

    return register


def criteria() -> pd.DataFrame:
    """What channels can be ranked by: the names that `plan_pruning` and recipes take.

    Returns
    -------
    pandas.DataFrame
        One row a criterion: `criterion, ranks_by, paper, needs_data`. Those that need data rank by
        gradients on labelled images, so `task=` has to be given. Criteria of your own
        (`slimlab.importance.criterion`, `slimlab.evidence.data_criterion`) are listed as well,
        described by the first sentence of their docstring.

    Examples
    --------
    >>> import slimlab as sl
    >>> table = sl.criteria().set_index("criterion")
    >>> table.loc["fpgm", "paper"]
    'He et al., CVPR 2019, arXiv 1811.00250'
    >>> table.query("needs_data").index.tolist()
    ['taylor', 'group_fisher']
    """
    functions: dict[str, object] = {**CRITERIA, **DATA_CRITERIA}
    rows = [
        (name, _sentence(function), PAPERS.get(name, ""), name in DATA_CRITERIA)
        for name, function in functions.items()
    ]
    return pd.DataFrame(rows, columns=["criterion", "ranks_by", "paper", "needs_data"])


def _sentence(function: object) -> str:
    """The first sentence of a docstring, without the paper in brackets behind it."""
    words = " ".join((function.__doc__ or "").split())
    return re.split(r"\.(?: |$)| \((?=[A-Z]|as in )", words, maxsplit=1)[0]


def check_criterion(name: str, *, has_data: bool) -> None:
    """Refuse a criterion that does not exist, or needs data that is not there.

    Raises
    ------
    PlanError
        With the nearest names, or what to pass.
    """
    if name not in CRITERIA and name not in DATA_CRITERIA:
        msg = f"No criterion {name!r}. {nearest(name, [*CRITERIA, *DATA_CRITERIA])}"
        raise PlanError(msg, criterion=name)
    if name in DATA_CRITERIA and not has_data:
        msg = (
            f"Criterion {name!r} ranks channels by gradients on labelled images: pass task=, or "
            f"choose one of {sorted(CRITERIA)}, which need none."
        )
        raise PlanError(msg, criterion=name)


def data_scores(
    evidence: Evidence, group: ChannelGroup, name: str, combination: Combination
) -> Array:
    """Score the channels of a group by data, shape `(width,)`; higher is more important."""
    parts = DATA_CRITERIA[name](evidence)
    return checked(name, group, combination.of(parts))


def gather_evidence(
    model: Layer,
    groups: Iterable[ChannelGroup],
    task: Task,
    *,
    images: int = 64,
    batch_size: int = 8,
) -> Mapping[str, Evidence]:
    """Differentiate the loss on a few calibration images; the model is not changed.

    Parameters
    ----------
    model
        What is to be pruned.
    groups
        The groups to look at.
    task
        Where images, labels and loss come from.
    images, batch_size
        How many images of `task.calibration`, and how many at once. Each batch is one sample of
        the gradient.

    Raises
    ------
    PlanError
        For fewer than one image or a loss that can't be differentiated.
    """
    if images < 1 or batch_size < 1:
        msg = f"Evidence needs at least one image and one a batch, not {images} and {batch_size}."
        raise PlanError(msg, images=images, batch_size=batch_size)
    scratch = copy.deepcopy(model)
    scratch.eval()
    wanted = list(groups)
    rows: dict[str, list[tuple[list[Array], list[Array]]]] = {group.name: [] for group in wanted}
    with repeatable():
        for name, tensor in scratch.state_dict().items():
            tensor.stop_gradient = name.endswith(("._mean", "._variance"))
        for x, y in task.calibration.batches(batch_size, images=images):
            loss = task.loss(scratch(x), y)
            loss.backward()
            products = _products(scratch)
            for group in wanted:
                rows[group.name].append(_of_group(group, products))
            scratch.clear_gradients()
    return {name: _stacked(name, sampled) for name, sampled in rows.items()}


def _stacked(name: str, sampled: list[tuple[list[Array], list[Array]]]) -> Evidence:
    """One array a place, from the gates and readers of each batch."""
    gates = zip(*(row[0] for row in sampled), strict=True)
    readers = zip(*(row[1] for row in sampled), strict=True)
    return Evidence(name, tuple(map(np.stack, gates)), tuple(map(np.stack, readers)))


def _products(model: Layer) -> dict[str, Array]:
    """Every weight times its gradient."""
    found = {}
    for name, tensor in model.state_dict().items():
        if tensor.grad is not None:
            value = np.asarray(tensor.numpy(), dtype=np.float64)
            found[name] = value * np.asarray(tensor.grad.numpy(), dtype=np.float64)
    return found


def _of_group(
    group: ChannelGroup, products: Mapping[str, Array]
) -> tuple[list[Array], list[Array]]:
    """Derivatives by gates behind the makers of a group's channels, and before their readers."""
    made: dict[str, Array] = {}
    scaled: dict[str, Array] = {}
    read: list[Array] = []
    for m in group.members:
        if m.parameter not in products:
            continue
        table = np.moveaxis(products[m.parameter], m.axis, 0)
        by_index = table.reshape(table.shape[0], -1).sum(axis=1)
        by_channel = by_index[m.indices].sum(axis=1)
        if m.role == "in":
            read.append(by_channel)
            continue
        is_maker = any(o.role == "out" and o.layer == m.layer for o in group.members)
        into = made if is_maker else scaled
        into[m.layer] = into.get(m.layer, 0.0) + by_channel
    return list((scaled or made).values()), read


@data_criterion("taylor", paper="Molchanov et al., CVPR 2019, arXiv 1906.10771")
def taylor(evidence: Evidence) -> tuple[Array, ...]:
    """Squared first-order change of the loss without a channel, by a gate behind its BatchNorm.

    Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019 (1906.10771).
    """
    return tuple(np.square(gate).mean(axis=0) for gate in evidence.gates or evidence.readers)


@data_criterion("group_fisher", paper="Liu et al., ICML 2021, arXiv 2108.00708")
def group_fisher(evidence: Evidence) -> tuple[Array, ...]:
    """Squared derivative by one gate before all layers that read a channel: its Fisher information.

    Liu et al., Group Fisher Pruning for Practical Network Compression, ICML 2021 (2108.00708). The
    derivatives of coupled layers are added before they are squared. The division by the memory a
    channel frees is left out: it is the same for all channels of a group. The paper takes single
    images where a batch is taken here; `batch_size=1` is the paper's.
    """
    gates = evidence.readers or evidence.gates
    return (np.square(np.sum(gates, axis=0)).mean(axis=0),)

"""Floor 3. Everything that measuring a cell needs, as a value that can be sent to another process.

Made once from a model; knows which channels stay at each ratio. Computes no output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.evidence import DATA_CRITERIA, check_criterion, data_scores, gather_evidence
from slimlab.graph import ChannelGroup, Graph
from slimlab.importance import Combination, channel_scores
from slimlab.lowering import lower
from slimlab.plan import keep_highest, plan_kept
from slimlab.ratios import kept_channels
from slimlab.surgery import Cut
from slimlab.task import Task
from slimlab.trace import trace_program

Kept = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Reads:
    """How a group is read and made, by the names of a model's tensors."""

    readers: tuple[tuple[str, int, NDArray[np.int64]], ...]
    makers: tuple[str, ...]

    @classmethod
    def of(cls, group: ChannelGroup) -> Reads:
        """The members of a group that a mask goes before, and those that make its channels."""
        readers = tuple((m.parameter, m.axis, m.indices) for m in group.members if m.role == "in")
        return cls(readers, tuple(m.parameter for m in group.members if m.role == "out"))


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images on which the statistics of BatchNorms are estimated anew.

    Attributes
    ----------
    images
        ``(n, channels, height, width)``.
    network
        The whole network as ONNX for all of them at once.
    norms
        Names of the BatchNorms whose statistics may change.
    """

    images: NDArray[np.float32]
    network: bytes
    norms: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A network and what may be removed from it.

    Attributes
    ----------
    network
        The whole network as a serialised ONNX model with static shapes.
    batch
        Images it takes at once.
    groups
        Group to its readers and makers.
    kept
        Group and ratio to the channels that stay.
    cuts
        Group and ratio to the indices of tensors that go, which is the same thing.
    runtime, dtype, threads, memory
        How it is run: name of the runtime, precision, threads (all when None), and bytes that may
        be held.
    calibration
        Where BatchNorm statistics are estimated anew for each cell.
    """

    network: bytes
    batch: int
    groups: Mapping[str, Reads]
    kept: Mapping[tuple[str, float], Kept]
    cuts: Mapping[tuple[str, float], tuple[Cut, ...]]
    runtime: str
    dtype: str
    memory: int
    threads: int | None = None
    calibration: Calibration | None = None


def lowered(model: Layer, example: paddle.Tensor, batch: int) -> bytes:
    """The model as ONNX for a fixed number of images.

    Raises
    ------
    UnsupportedOpError
        When the network can't be traced or an operator has no ONNX counterpart here.
    """
    many = paddle.zeros([batch, *example.shape[1:]], dtype=example.dtype)
    content: Any = lower(trace_program(model, many), model).SerializeToString()
    return bytes(content)


def choose(
    model: Layer,
    task: Task,
    graph: Graph,
    groups: Sequence[ChannelGroup],
    ratios: Sequence[float],
    criterion: str,
) -> tuple[dict[tuple[str, float], Kept], dict[tuple[str, float], tuple[Cut, ...]]]:
    """The channels that stay, and the cuts, of every cell; each group is ranked once.

    Raises
    ------
    PlanError
        For a criterion that doesn't exist.
    """
    check_criterion(criterion, has_data=True)
    evidence = gather_evidence(model, groups, task) if criterion in DATA_CRITERIA else {}
    kept, cuts = {}, {}
    for group in groups:
        if group.name in evidence:
            scores = data_scores(evidence[group.name], group, criterion, Combination())
        else:
            scores = channel_scores(model, group, criterion)
        for ratio in ratios:
            stay = keep_highest(scores, kept_channels(group.width, ratio))
            kept[group.name, ratio] = stay
            cuts[group.name, ratio] = plan_kept(model, graph, {group.name: stay}).cuts
    return kept, cuts

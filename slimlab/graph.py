"""Floor 1. The traced model as a person meets it: channel groups, what can't be pruned, what it
costs.

Values only: `grouping.py` makes them from a model; knows nothing of importance or plans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slimlab.cost import Cost
from slimlab.errors import FrozenLayerError, PlanError, nearest
from slimlab.profile import Profile
from slimlab.wiring import Wiring

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Member:
    """One axis of one tensor that a channel group runs through.

    Attributes
    ----------
    layer, parameter
        Structured name of the layer, and of the tensor as in `state_dict`.
    axis
        The axis whose indices are removed.
    role
        `"out"` makes the channels, `"in"` reads them (is summed over), `"along"` has an entry for
        each (BatchNorm, bias, depthwise filters).
    indices
        Shape `(width, k)`: row c holds the indices that channel c owns; k is 1 except after a
        reshape such as flatten, where one channel becomes height * width features.
    """

    layer: str
    parameter: str
    axis: int
    role: str
    indices: Indices


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Output channels that have to be removed together.

    Attributes
    ----------
    name
        The root layer's name; where a layer's channels fall into several groups,
        `layer[first:...]`.
    layer
        The root: the first layer, in execution order, that makes these channels.
    width
        Number of channels.
    members
        Every axis of every tensor that must shrink with them.
    sizes
        Numbers that layers remember, as `"layer.attribute"` (how many heads an attention has), and
        by how much they shrink a channel.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> group = graph.groups[0]
    >>> group.name == group.layer, group.width == len(group.members[0].indices)
    (True, True)
    """

    name: str
    layer: str
    width: int
    members: tuple[Member, ...]
    sizes: tuple[tuple[str, int], ...] = ()

    def lost(self, channels: int) -> Counter[str]:
        """By how much the numbers in `sizes` shrink when so many channels go."""
        return Counter({path: times * channels for path, times in self.sizes})

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that make these channels: their outputs are tied to each other."""
        return tuple(dict.fromkeys(m.layer for m in self.members if m.role == "out"))

    def __repr__(self) -> str:
        return f"ChannelGroup({self.name!r}, width={self.width}, members={len(self.members)})"


@dataclass(frozen=True)
class Coverage:
    """What can be pruned, and why the rest can't.

    Attributes
    ----------
    rows
        One a layer that makes channels: layer, type, params, macs, prunable, group, reason.
        `prunable` says that its *outputs* can be removed.
    macs_share, params_share
        Share (0 to 1) of the network that shrinks when groups are pruned: layers whose outputs or
        inputs lie in a group.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> graph.coverage.to_frame().query("not prunable")["reason"].tolist()
    ["reaches the network's output"]
    """

    rows: tuple[tuple[str, str, int, int, bool, str, str], ...]
    macs_share: float
    params_share: float

    def to_frame(self) -> pd.DataFrame:
        """One row a layer: `layer, type, params, macs, prunable, group, reason`."""
        names = ["layer", "type", "params", "macs", "prunable", "group", "reason"]
        return pd.DataFrame(list(self.rows), columns=names)

    def blocked(self) -> dict[str, tuple[str, ...]]:
        """Each reason, such as an operator without a rule, to the layers that it blocks."""
        reasons = dict.fromkeys(row[6] for row in self.rows if not row[4])
        return {why: tuple(row[0] for row in self.rows if row[6] == why) for why in reasons}

    def __str__(self) -> str:
        free = sum(row[4] for row in self.rows)
        head = (
            f"{free} of {len(self.rows)} layers can lose output channels; "
            f"{self.macs_share:.1%} of MACs and {self.params_share:.1%} of parameters lie in "
            "groups."
        )
        frozen = [f"  {row[0]} ({row[1]}): {row[6]}" for row in self.rows if not row[4]]
        return "\n".join([head, *(["Left alone:", *frozen] if frozen else [])])


@dataclass(frozen=True, eq=False)
class Graph:
    """A traced model: what can be removed from it and what it costs.

    Attributes
    ----------
    model
        Class name of the model.
    inputs
        Shape and dtype of each example input.
    groups
        The channel groups, in execution order.
    coverage
        What can be pruned and why the rest can't.
    cost
        MACs, parameters and bytes for any widths.
    profile
        The table of layers.
    wiring
        Which layer's output goes where.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> graph.macs == int(graph.profile.to_frame()["macs"].sum())
    True
    >>> graph.group(graph.layers[0]) is graph.groups[0]
    True
    """

    model: str
    inputs: tuple[tuple[tuple[int, ...], str], ...]
    groups: tuple[ChannelGroup, ...]
    coverage: Coverage
    cost: Cost
    profile: Profile
    wiring: Wiring = Wiring()  # noqa: RUF009 - frozen

    @property
    def macs(self) -> int:
        """Multiply-adds an image of convolutions, linear, recurrent and attention layers."""
        return self.profile.macs

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return self.profile.params

    @property
    def bytes(self) -> int:
        """Bytes of all saved tensors, BatchNorm statistics included."""
        return self.profile.bytes

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the groups: the layers whose pruning ratio can be chosen."""
        return tuple(group.name for group in self.groups)

    @cached_property
    def _by_layer(self) -> Mapping[str, ChannelGroup]:
        by_name = {group.name: group for group in self.groups}
        # A depthwise layer makes no channels of its own but stands for those that pass it.
        known = {row[0]: by_name[row[5]] for row in self.coverage.rows if row[4]}
        return MappingProxyType({**known, **by_name})

    def group(self, layer: str) -> ChannelGroup:
        """The group that a layer's output channels belong to.

        Raises
        ------
        PlanError
            When there is no such layer (the nearest names are shown) or it can't be pruned (the
            reason is given).
        """
        if layer in self._by_layer:
            return self._by_layer[layer]
        for row in self.coverage.rows:
            if row[0] == layer:
                msg = f"Layer {layer!r} can't be pruned: {row[6]}."
                raise FrozenLayerError(msg, layer=layer, reason=row[6])
        msg = f"No layer {layer!r} in {self.model}. {nearest(layer, self._by_layer)}"
        raise PlanError(msg, layer=layer)

    def __repr__(self) -> str:
        head = (
            f"Graph of {self.model}: {self.macs:,} MACs, {self.params:,} parameters, "
            f"{self.bytes:,} bytes, {len(self.groups)} channel groups."
        )
        return f"{head}\n{self.coverage}"

"""Floor 1. From a model to its graph: solve the channel constraints and gather what moves
together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from paddle import Tensor
from paddle.nn import Layer

from slimlab.channels import Channels
from slimlab.constraints import Axis
from slimlab.gathering import Builder
from slimlab.graph import Graph, Indices
from slimlab.held_sizes import attached, numbers_of
from slimlab.layers import remembered
from slimlab.profile import Profile
from slimlab.rehearsal import MOST_CUTS, Rehearsal, accept, unique
from slimlab.rules.walk import walk
from slimlab.trace import as_inputs, trace_program
from slimlab.wiring import wire


def trace(model: Layer, example: Tensor | Sequence[Tensor]) -> Graph:
    """Find what can be pruned in a model. The model is not changed.

    Parameters
    ----------
    model
        Any layer that Paddle's `to_static` takes.
    example
        One input, shape `(1, channels, height, width)` for an image; a sequence for several inputs.

    Raises
    ------
    UnsupportedOpError
        When Paddle can't trace the model at all. Operators without a channel rule are no error:
        their channels are frozen and named in `graph.coverage`.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> nn = paddle.nn
    >>> model = nn.Sequential(nn.Conv2D(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    >>> graph = sl.trace(model, paddle.zeros([1, 1, 8, 8]))
    >>> graph.groups
    (ChannelGroup('0', width=8, members=3),)
    """
    inputs = as_inputs(example)
    program = trace_program(model, inputs)
    channels = walk(program, remembered(model))
    builder = settle(model, channels, Rehearsal(model, inputs, [v.shape for v in program.outputs]))
    groups = builder.groups
    batch = max(1, inputs[0].shape[0] if inputs and inputs[0].shape else 1)
    cost = builder.cost(groups, batch)
    profile = builder.profile(cost)
    specs = tuple((tuple(x.shape), str(x.dtype).rpartition(".")[2]) for x in inputs)
    coverage = builder.coverage(groups, cost, profile)
    wiring = wire(program, [row[0] for row in coverage.rows])
    return Graph(type(model).__name__, specs, groups, coverage, cost, profile, wiring)


def settle(model: Layer, channels: Channels, rehearsal: Rehearsal) -> Builder:
    """Solve the constraints, with a rehearsal where the model's code may not follow.

    Assumptions that a line of code refutes are dropped at once, others when a rehearsal fails with
    them and cutting the numbers that layers remember does not help. When it fails even without any,
    the groups that make it fail are frozen.
    """
    wrong = set(channels.written)
    builder = Builder(model, channels, channels.solve(wrong))
    doubtful = unique(
        a.key for a in channels.assumptions if a.key not in wrong and builder.is_free(a.atoms)
    )
    groups = builder.groups
    in_doubt = bool(doubtful) or rehearsal.reads or channels.unusual
    rehearsal.suspicious = channels.guessed
    if not groups or not in_doubt or not rehearsal.failure(groups):
        return builder

    all_wrong = wrong.union(doubtful)
    if doubtful:
        trying = _Trying(builder, rehearsal, all_wrong)
        groups = trying.builder(()).groups
        if not rehearsal.failure(groups):
            return trying.most(doubtful)
    why = {group: rehearsal.failure([group]) for group in groups} if len(groups) < 16 else {}
    good = accept(groups, lambda some: not rehearsal.failure([g for g in groups if g in some]))
    kept: dict[str, Indices] = {}
    for group in (g for g in groups if g not in good):
        told = why.get(group) or "the smaller model fails"
        reason = f"the forward seems to have its size written into it: {told}"
        root = group.members[0]
        atoms = channels.axes[Axis(root.parameter, root.axis)][root.indices.reshape(-1)]
        kept[reason] = np.concatenate([kept.get(reason, atoms[:0]), atoms])
    return Builder(model, channels, channels.solve(all_wrong, kept))


class _Trying:
    """Finds which assumptions hold, if need be with numbers cut that layers remember."""

    def __init__(self, first: Builder, rehearsal: Rehearsal, wrong: Collection[str]) -> None:
        self.model, self.channels = first.model, first.channels
        self.rehearsal, self.wrong = rehearsal, wrong
        self.attached = attached(first, numbers_of(first.model, rehearsal.functions))

    def builder(self, keys: Collection[str], sized: Collection[str] = ()) -> Builder:
        """What is left when only these assumptions hold, some of them with numbers cut."""
        sizes = [size for key in sized for size in self.attached.get(key, ())]
        wrong = set(self.wrong).difference(keys)
        return Builder(self.model, self.channels, self.channels.solve(wrong, sizes=sizes))

    def holds(self, keys: Collection[str], sized: Collection[str] = ()) -> bool:
        """Whether a rehearsal is right."""
        return not self.rehearsal.failure(self.builder(keys, sized).groups)

    def most(self, doubtful: Sequence[str]) -> Builder:
        """As many of the assumptions as can be held."""
        sized: set[str] = set()
        if self.attached:
            self.rehearsal.left += MOST_CUTS
            if self.holds(doubtful, doubtful):
                return self.builder(doubtful, doubtful)
            sized = accept(doubtful, lambda keys: self.holds(keys, keys))
        rest = [key for key in doubtful if key not in sized]
        if sized and rest and self.holds(doubtful, sized):
            return self.builder(doubtful, sized)
        held = sized | accept(rest, lambda keys: self.holds(sized | keys, sized))
        return self.builder(held, sized)


def profile(model: Layer, example: Tensor | Sequence[Tensor]) -> Profile:
    """Count parameters, multiply-adds and bytes of each layer.

    Parameters
    ----------
    model
        Any layer that Paddle's `to_static` takes; it is not changed.
    example
        One input with batch 1, or a sequence of them.

    Raises
    ------
    UnsupportedOpError
        When Paddle can't trace the model.

    Examples
    --------
    >>> import paddle, slimlab as sl
    >>> sl.profile(paddle.nn.Conv2D(1, 8, 3, bias_attr=False), paddle.zeros([1, 1, 8, 8])).macs
    2592
    """
    return trace(model, example).profile

"""Floor 1. The dictionary of channel rules, and what rules are written with.

Knows no operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.rulebook import entering, twins
from slimlab.trace import Op, Value

Rule = Callable[[Op, Channels], None]
RULES: dict[str, Rule] = {}


def channel_rule(*names: str) -> Callable[[Rule], Rule]:
    """Register what operators do to channels, by their PIR names.

    Examples
    --------
    >>> from slimlab.rules import RULES, channel_rule
    >>> @channel_rule("custom.double")
    ... def double(op, channels):
    ...     channels.set(op.outputs[0], channels.labels(op.inputs[0]))
    >>> "custom.double" in RULES
    True
    >>> del RULES["custom.double"]
    """
    return entering(RULES, names)


def named(names: Sequence[str]) -> list[str]:
    """PIR names of operators, with the twins that work in place."""
    return twins(*names)


def unknown(op: Op, channels: Channels) -> None:
    """Freeze what goes into an operator; what comes out is of fixed size."""
    freeze_inputs(op, channels, f"operator {op.short} {channels.place(op)}has no channel rule")


def freeze_inputs(op: Op, channels: Channels, reason: str) -> None:
    """Freeze every input of an operator for a reason."""
    for value in op.inputs:
        if value is not None:
            channels.freeze_value(value, reason)


def tensors(op: Op) -> tuple[list[Value], Value]:
    """The inputs that are there, and the output of an operator that has one that matters."""
    inputs = [value for value in op.inputs if value is not None]
    output = op.outputs[0]
    if output is None:
        return inputs, Value(-1, ())
    return inputs, output


def tie(channels: Channels, table: Atoms) -> Atoms:
    """Tie all entries of each row of a table `(kept together, times)`; give its first column."""
    if table.shape[1] > 1:
        first = np.repeat(table[:, 0], table.shape[1] - 1)
        channels.couple(first, table[:, 1:].reshape(-1), "tied to a tensor of fixed size")
    return np.ascontiguousarray(table[:, 0])


def follows(op: Op, channels: Channels, size: int) -> Atoms | None:
    """An axis of one and the same number, made as long as the code says: other channels' size?"""
    if size == 1 or (not op.is_of_paddles_layer and channels.is_written(op, [size])):
        return None
    made = channels.fresh(size)
    channels.guessed = True
    channels.assume(op, made, f"{op.short} is given its size as a number", part=str(size))
    return made


def axes_of(op: Op, channels: Channels, rank: int, position: int = 1) -> tuple[int, ...] | None:
    """The axes an operator works on, from its `axis` attribute or operand; None if not known."""
    given = op.attributes.get("axis", op.attributes.get("axes"))
    if given is None and len(op.inputs) > position:
        operand = op.inputs[position]
        given = None if operand is None else channels.constant(operand)
    if given is None:
        return None
    axes = given if isinstance(given, (list, tuple)) else (given,)
    return tuple(int(axis) % max(1, rank) for axis in axes)

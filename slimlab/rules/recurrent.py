"""Floor 1. Recurrent layers that are one operator: LSTM, GRU and simple ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.rules.registry import channel_rule, freeze_inputs, tie
from slimlab.trace import Op, Value

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


@dataclass(frozen=True)
class Unit:
    """The weights of one layer in one direction: a row for each gate of each hidden unit."""

    into: Value
    back: Value
    biases: tuple[Value, ...]


@channel_rule("pd_op.rnn")
def recurrent(op: Op, channels: Channels) -> None:
    """A hidden unit is a row of every gate, and a column of what reads it a step later.

    All layers and directions have the same number of units, so a unit goes in all of them.
    """
    x, states, listed = op.inputs[:3]
    gates = GATES.get(str(op.attributes["mode"]), 0)
    weights = () if listed is None else channels.items(listed)
    count = int(op.attributes["num_layers"]) * (2 if op.attributes["is_bidirec"] else 1)
    whole = len(weights) == 4 * count and all(w.parameter for w in weights)
    own = whole and op.is_of_paddles_layer
    if x is None or states is None or not gates or not own:
        freeze_inputs(op, channels, "a recurrent layer of a kind that has no channel rule")
        return
    units = [
        Unit(weights[2 * n], weights[2 * n + 1], weights[2 * (count + n) :][:2])
        for n in range(count)
    ]
    hidden = _hidden(channels, units, gates)
    _remembered(channels, units[0], hidden)
    _inputs(op, channels, x, units)
    for state in channels.items(states):
        *others, last = channels.labels(state)
        for along in others:
            channels.freeze(along, "the state of a recurrent layer")
        channels.couple(last, hidden, "the state of a recurrent layer is of fixed size")
    for unit in units:
        channels.count_macs(unit.into, x.shape[0], op.outputs[0].shape if op.outputs[0] else ())
        channels.count_macs(unit.back, x.shape[0], ())
    _outputs(op, channels, hidden)


def _hidden(channels: Channels, units: list[Unit], gates: int) -> Atoms | None:
    """One atom for each hidden unit, tied to all that belongs to it."""
    first: Atoms | None = None
    why = "the gates of a recurrent layer"
    for unit in units:
        channels.produces(unit.into, 0, "rnn")
        channels.consumes(unit.into, 1, "rnn")
        channels.consumes(unit.back, 1, "rnn")
        own = channels.labels(unit.back)[1]
        for weight in (unit.into, unit.back, *unit.biases):
            rows = channels.labels(weight)[0]
            if own is None or rows is None:  # a single unit
                channels.freeze(rows, why)
            else:
                channels.couple(tie(channels, rows.reshape(gates, -1).T), own, why)
        first = own if first is None else channels.couple(first, own, why)
    return first


def _remembered(channels: Channels, unit: Unit, hidden: Atoms | None) -> None:
    """The layer and its cells remember how many units they have."""
    layer = (unit.into.parameter or "").rpartition(".")[0]
    if hidden is not None:
        channels.holds(channels.remembering(layer, "hidden_size"), hidden)


def _inputs(op: Op, channels: Channels, x: Value, units: list[Unit]) -> None:
    """What comes in, and between layers what the layer before gives, one direction by the other."""
    *others, taken = channels.labels(x)
    for along in others:
        channels.freeze(along, "a recurrent layer works along these channels")
    directions = 2 if op.attributes["is_bidirec"] else 1
    layer = (units[0].into.parameter or "").rpartition(".")[0]
    if taken is not None:
        channels.holds(channels.remembering(layer, "input_size")[:1], taken)
    for n, unit in enumerate(units):
        if n >= directions:
            start = n // directions * directions - directions
            before = [channels.labels(u.back)[1] for u in units[start : start + directions]]
            known = [atoms for atoms in before if atoms is not None]
            taken = np.concatenate(known) if len(known) == len(before) else None
        channels.couple(taken, channels.labels(unit.into)[1], "feeds a recurrent layer")


def _outputs(op: Op, channels: Channels, hidden: Atoms | None) -> None:
    y, *rest = op.outputs
    directions = 2 if op.attributes["is_bidirec"] else 1
    if y is not None:
        made = None if hidden is None else np.tile(hidden, directions)
        channels.set(y, [None, None, made])
    for value in rest:
        if value is not None and not value.shape:  # the list of final states
            part = ((None, None, hidden), (False, False, False))
            channels.set_parts(value, [part, part])

"""Floor 1. Apply the rules to a program, operator by operator. Knows no operator."""

from __future__ import annotations

from slimlab.channels import Channels
from slimlab.rules.registry import RULES, freeze_inputs, unknown
from slimlab.trace import Program


def walk(program: Program) -> Channels:
    """Apply the rules to every operator of a program, in order."""
    channels = Channels(program)
    used = {v.id for op in program.ops for v in (*op.inputs, *op.captured) if v is not None}
    used |= {value.id for value in program.outputs}
    for op in program.ops:
        for value in op.captured:
            channels.freeze_value(value, f"used inside control flow ({op.short})")
        RULES.get(op.name, unknown)(op, channels)
        # A second output that is read, and of whose channels the rule said nothing, might shrink.
        for extra in op.outputs[1:]:
            if extra is not None and extra.id in used and not channels.knows(extra):
                freeze_inputs(op, channels, f"a second output of {op.short} is used")
    for value in program.outputs:
        channels.freeze_value(value, "reaches the network's output")
    return channels

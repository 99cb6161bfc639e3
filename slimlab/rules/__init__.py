"""Floor 1. What each operator does to channels: one small function an operator.

A rule reads its inputs' labels, ties or freezes atoms, and sets its outputs' labels. An operator
without a rule freezes everything it touches, and the coverage report names it: never wrong, only
unpruned. Add one with `@channel_rule("pd_op.name")` (docs/add-an-operator.md).
"""

from slimlab.rules import (  # noqa: F401 - they register their rules
    contracting,
    elementwise,
    layers,
    moving,
    norms,
    pieces,
    quantizing,
    recurrent,
    reducing,
    writing,
)
from slimlab.rules.registry import RULES, channel_rule, freeze_inputs, tensors, tie, unknown
from slimlab.rules.walk import walk

__all__ = ["RULES", "channel_rule", "freeze_inputs", "tensors", "tie", "unknown", "walk"]

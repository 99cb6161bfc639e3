"""Floor 1. From a traced program to an ONNX model: one small function an operator.

A rule reads its operator's values and attributes and emits ONNX nodes. An operator without a rule,
or with attributes that a rule does not cover, is refused by name: what comes out is never wrong.
Add one with `@lowering_rule("pd_op.name")` (docs/add-an-operator.md).
"""

from slimlab.lowering import (  # noqa: F401 - they register their rules
    activations,
    constants,
    contracting,
    convolving,
    elementwise,
    moving,
    norms,
    pieces,
    pooling,
    quantizing,
    reducing,
)
from slimlab.lowering.builder import Builder, value_name, value_names
from slimlab.lowering.network import lower
from slimlab.lowering.registry import LOWERINGS, lowering_rule

__all__ = ["LOWERINGS", "Builder", "lower", "lowering_rule", "value_name", "value_names"]

"""Floor 1. From a traced program to Paddle's inference model: one small function an operator.

Paddle 3 writes this format only in a mode of the whole process that the rest of a program may not
bear, so it is written here, from the same trace that everything else reads. An operator without a
rule is refused by name. Add one with `@legacy_rule("pd_op.name")`.
"""

from slimlab.legacy import (  # noqa: F401 - they register their rules
    activations,
    contracting,
    convolving,
    elementwise,
    moving,
    norms,
    pieces,
    pooling,
    quantizing,
    recurrent,
    reducing,
    writing,
)
from slimlab.legacy.batching import any_batch
from slimlab.legacy.describing import describe
from slimlab.legacy.files import params_bytes, program_bytes
from slimlab.legacy.lite import for_lite
from slimlab.legacy.network import Network, Node, Variable
from slimlab.legacy.registry import RULES, legacy_rule
from slimlab.legacy.style import FLOAT, INT8, LITE, Style
from slimlab.legacy.writer import Writer

__all__ = [
    "FLOAT",
    "INT8",
    "LITE",
    "RULES",
    "Network",
    "Node",
    "Style",
    "Variable",
    "Writer",
    "any_batch",
    "describe",
    "for_lite",
    "legacy_rule",
    "params_bytes",
    "program_bytes",
]

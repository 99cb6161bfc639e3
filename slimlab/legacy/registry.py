"""Floor 1. The dictionary of rules that write operators into an inference model. Knows none."""

from __future__ import annotations

from collections.abc import Callable

from slimlab.legacy.writer import Writer
from slimlab.rulebook import entering
from slimlab.trace import Op

Rule = Callable[[Op, Writer], None]
RULES: dict[str, Rule] = {}


def legacy_rule(*names: str) -> Callable[[Rule], Rule]:
    """Register how operators are written in an inference model, by their PIR names.

    Examples
    --------
    >>> from slimlab.legacy import RULES, legacy_rule
    >>> @legacy_rule("custom.double")
    ... def double(op, net):
    ...     x, y = op.inputs[0], op.outputs[0]
    ...     net.emit("elementwise_add", {"X": x, "Y": x}, {"Out": y}, axis=-1)
    >>> RULES.pop("custom.double") is double
    True
    """
    return entering(RULES, names)

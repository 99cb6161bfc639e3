"""Floor 1. The dictionary of lowering rules, and what rules are written with.

Knows no operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from slimlab.lowering.builder import Builder
from slimlab.rulebook import entering, twins
from slimlab.trace import Op, Value

__all__ = [
    "LOWERINGS", "Lowering", "axes_of", "ends", "integers", "lowering_rule", "option", "twins",
]  # fmt: skip
Lowering = Callable[[Op, Builder], None]
LOWERINGS: dict[str, Lowering] = {}


def lowering_rule(*names: str) -> Callable[[Lowering], Lowering]:
    """Register how operators are written in ONNX, by their PIR names.

    Examples
    --------
    >>> from slimlab.lowering import LOWERINGS, lowering_rule
    >>> @lowering_rule("custom.double")
    ... def double(op, net):
    ...     net.emit("Add", [op.inputs[0], op.inputs[0]], op.outputs[0])
    >>> "custom.double" in LOWERINGS
    True
    >>> del LOWERINGS["custom.double"]
    """
    return entering(LOWERINGS, names)


def ends(op: Op) -> tuple[Value, Value]:
    """The first input and the first output of an operator that has both."""
    x, y = op.inputs[0], op.outputs[0]
    if x is None or y is None:  # no rule asks this of an operator where they are optional
        msg = f"{op.name} has no first input or no first output"
        raise ValueError(msg)
    return x, y


def option(op: Op, position: int) -> Value | None:
    """An operand that may be absent or left out."""
    return op.inputs[position] if position < len(op.inputs) else None


def axes_of(op: Op, net: Builder, rank: int, *, position: int = 1) -> list[int]:
    """The axes an operator works on, counted from the front; all of them if none is named."""
    given = op.attributes.get("axis", op.attributes.get("axes"))
    if given is None:
        operand = option(op, position)
        given = [] if operand is None else net.numbers(operand)
    axes = given if isinstance(given, (list, tuple)) else [given]
    if not axes or op.attributes.get("reduce_all"):
        return list(range(rank))
    return [int(axis) % max(1, rank) for axis in axes]


def integers(values: Sequence[int] | np.ndarray) -> np.ndarray:
    """Sizes, axes or bounds as ONNX takes them."""
    return np.asarray(values, dtype=np.int64).reshape(-1)

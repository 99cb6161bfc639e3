"""Floor 1. Operators that reduce along axes."""

from __future__ import annotations

from slimlab.legacy.files import DTYPES
from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Writer
from slimlab.lowering.registry import axes_of, ends
from slimlab.trace import Op

REDUCES = {"mean": "reduce_mean", "max": "reduce_max", "min": "reduce_min", "sum": "reduce_sum",
           "prod": "reduce_prod", "all": "reduce_all", "any": "reduce_any"}  # fmt: skip


@legacy_rule(*(f"pd_op.{name}" for name in REDUCES))
def reduce(op: Op, net: Writer) -> None:
    """Over some axes, or all."""
    x, y = ends(op)
    if x.dtype != y.dtype:
        net.refuse(f"it makes {y.dtype} of {x.dtype}; cast first")
    axes = axes_of(op, net.known, len(x.shape))
    keep = any(op.attributes.get(name) for name in ("keepdim", "keepdims", "keep_dim"))
    whole = len(axes) == len(x.shape)
    net.emit(
        REDUCES[op.short], {"X": x}, {"Out": y}, dim=axes, keep_dim=bool(keep), reduce_all=whole
    )


@legacy_rule("pd_op.argmax", "pd_op.argmin")
def pick(op: Op, net: Writer) -> None:
    """Where the first of the largest stands."""
    x, y = ends(op)
    if op.attributes["flatten"]:
        net.refuse("it looks at all elements at once")
    (axis,) = axes_of(op, net.known, len(x.shape))
    kind = "arg_max" if op.short == "argmax" else "arg_min"
    keep = bool(op.attributes["keepdims"])
    made = {"Out": y}
    net.emit(kind, {"X": x}, made, axis=axis, keepdims=keep, flatten=False, dtype=DTYPES[y.dtype])

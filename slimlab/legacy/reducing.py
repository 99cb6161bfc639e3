"""Floor 1. Operators that reduce along axes."""

from __future__ import annotations

from slimlab.legacy.files import DTYPES
from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Made, Writer
from slimlab.lowering.registry import axes_of, ends, option
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


@legacy_rule("pd_op.p_norm")
def p_norm(op: Op, net: Writer) -> None:
    """The root of a sum of powers along an axis, or over all."""
    x, y = ends(op)
    net.emit(
        "p_norm",
        {"X": x},
        {"Out": y},
        porder=float(op.attributes["porder"]),
        axis=int(op.attributes["axis"]),
        epsilon=float(op.attributes["epsilon"]),
        keepdim=bool(op.attributes["keepdim"]),
        asvector=bool(op.attributes["asvector"]),
    )


@legacy_rule("pd_op.topk")
def top(op: Op, net: Writer) -> None:
    """Values and where they stand."""
    x, _ = ends(op)
    values, places = op.outputs[:2]
    if values is None or places is None:
        net.refuse("it makes no values or no places")
    (count,) = net.integers(option(op, 1))
    flags = {name: bool(op.attributes[name]) for name in ("largest", "sorted")}
    made: dict[str, Made] = {"Out": values, "Indices": places}
    net.emit("top_k_v2", {"X": x}, made, k=count, axis=int(op.attributes["axis"]), **flags)


@legacy_rule("pd_op.cumsum", "pd_op.cumsum_")
def running(op: Op, net: Writer) -> None:
    """Along one axis."""
    x, y = ends(op)
    axis = net.integers(option(op, 1))[0]
    flags = {name: bool(op.attributes[name]) for name in ("flatten", "exclusive", "reverse")}
    net.emit("cumsum", {"X": x}, {"Out": y}, axis=axis, **flags)


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

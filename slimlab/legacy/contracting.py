"""Floor 1. Products that sum over an axis."""

from __future__ import annotations

from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Writer
from slimlab.lowering.registry import ends
from slimlab.trace import Op


@legacy_rule("pd_op.matmul", "pd_op.bmm", "pd_op.mv")
def matmul(op: Op, net: Writer) -> None:
    """A linear layer's weight stays (in, out)."""
    x, y = ends(op)
    turned = {
        short: bool(op.attributes.get(name, False))
        for short, name in (("trans_x", "transpose_x"), ("trans_y", "transpose_y"))
    }
    net.emit("matmul_v2", {"X": x, "Y": op.inputs[1]}, {"Out": y}, **turned)


@legacy_rule("pd_op.dot")
def dot(op: Op, net: Writer) -> None:
    """The sum of the products along the last axis."""
    x, y = ends(op)
    made = net.emit("elementwise_mul", {"X": x, "Y": op.inputs[1]}, {"Out": x.shape}, axis=-1)
    net.emit("reduce_sum", {"X": made}, {"Out": y}, dim=[-1], keep_dim=False, reduce_all=False)

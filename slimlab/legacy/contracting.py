"""Floor 1. Products that sum over an axis."""

from __future__ import annotations

from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Made, Operand, Writer
from slimlab.lowering.registry import ends, option
from slimlab.trace import Op


@legacy_rule("pd_op.matmul", "pd_op.bmm", "pd_op.mv")
def matmul(op: Op, net: Writer) -> None:
    """A linear layer's weight stays (in, out); Paddle Lite has fully connected layers of `mul`."""
    x, y = ends(op)
    if net.style.lite and _is_linear(op, net):
        columns = {"x_num_col_dims": len(x.shape) - 1, "y_num_col_dims": 1}
        net.emit("mul", {"X": x, "Y": op.inputs[1]}, {"Out": y}, **columns)
        return
    turned = {
        short: bool(op.attributes.get(name, False))
        for short, name in (("trans_x", "transpose_x"), ("trans_y", "transpose_y"))
    }
    net.emit("matmul_v2", {"X": x, "Y": op.inputs[1]}, {"Out": y}, **turned)


def _is_linear(op: Op, net: Writer) -> bool:
    """Whether the second operand is a stored matrix, not turned."""
    weight, x = op.inputs[1], op.inputs[0]
    maker = net.maker(weight)
    if weight is None or x is None or len(weight.shape) != 2 or len(x.shape) < 2:
        return False
    if op.attributes.get("transpose_x") or op.attributes.get("transpose_y"):
        return False
    if maker is not None and maker.short.removesuffix("_") == "dequantize_linear":
        whole = maker.inputs[0]
        stored = None if whole is None else net.variables.get(net.known.names[whole.id])
        return stored is not None and stored.numbers is not None
    return weight.parameter is not None


@legacy_rule("pd_op.bilinear")
def bilinear(op: Op, net: Writer) -> None:
    """`x` times a matrix an output times `y`, plus the bias."""
    x, y = ends(op)
    inputs: dict[str, Operand] = {"X": x, "Y": op.inputs[1], "Weight": op.inputs[2]}
    net.emit("bilinear_tensor_product", {**inputs, "Bias": option(op, 3)}, {"Out": y})


@legacy_rule("pd_op.einsum")
def einsum(op: Op, net: Writer) -> None:
    """The equation is written the same way; what is noted for training holds nothing."""
    items = net.items(op.inputs[0])
    made: dict[str, Made] = {"Out": ends(op)[1]}
    for slot in ("InnerCache", "XShape"):
        made[slot] = [net.fresh((0,)) for _ in items]
    equation = str(op.attributes["equation"]).replace(" ", "")
    net.emit("einsum", {"Operands": items}, made, equation=equation)


@legacy_rule("pd_op.dot")
def dot(op: Op, net: Writer) -> None:
    """The sum of the products along the last axis."""
    x, y = ends(op)
    made = net.emit("elementwise_mul", {"X": x, "Y": op.inputs[1]}, {"Out": x.shape}, axis=-1)
    net.emit("reduce_sum", {"X": made}, {"Out": y}, dim=[-1], keep_dim=False, reduce_all=False)

"""Floor 1. Convolutions, transposed ones, and tables that are looked up."""

from __future__ import annotations

from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Writer
from slimlab.lowering.registry import ends, option
from slimlab.trace import Op


def integers(op: Op, *names: str) -> dict[str, list[int]]:
    """Attributes that are lists of whole numbers."""
    return {name: [int(n) for n in op.attributes[name]] for name in names}


@legacy_rule("pd_op.conv2d", "pd_op.depthwise_conv2d", "pd_op.conv3d")
def convolution(op: Op, net: Writer) -> None:
    """The same attributes in both."""
    x, y = ends(op)
    net.emit(
        op.short,
        {"Input": x, "Filter": op.inputs[1]},
        {"Output": y},
        **integers(op, "strides", "paddings", "dilations"),
        groups=int(op.attributes["groups"]),
        padding_algorithm=str(op.attributes["padding_algorithm"]),
        data_format=str(op.attributes["data_format"]),
    )


@legacy_rule("pd_op.conv2d_transpose", "pd_op.depthwise_conv2d_transpose", "pd_op.conv3d_transpose")
def transposed(op: Op, net: Writer) -> None:
    """The size of the output follows from the rest, and from what it has more at its end."""
    x, y = ends(op)
    sizes = net.integers(option(op, 2)) if option(op, 2) is not None else []
    sizes = sizes or [int(n) for n in op.attributes.get("output_size") or ()]
    net.emit(
        op.short,
        {"Input": x, "Filter": op.inputs[1]},
        {"Output": y},
        **integers(op, "strides", "paddings", "dilations", "output_padding"),
        output_size=sizes,
        groups=int(op.attributes["groups"]),
        padding_algorithm=str(op.attributes["padding_algorithm"]),
        data_format=str(op.attributes["data_format"]),
    )


@legacy_rule("pd_op.embedding")
def embedding(op: Op, net: Writer) -> None:
    """Rows of a table."""
    index, y = ends(op)
    pad = int(op.attributes.get("padding_idx", -1))
    net.emit("lookup_table_v2", {"Ids": index, "W": op.inputs[1]}, {"Out": y}, padding_idx=pad)

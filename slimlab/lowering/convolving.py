"""Floor 1. Convolutions, transposed ones, and tables that are looked up."""

from __future__ import annotations

import numpy as np

from slimlab.lowering.builder import Builder
from slimlab.lowering.layout import image, is_last, on_image, pads_of
from slimlab.lowering.registry import ends, lowering_rule, option
from slimlab.trace import Op


@lowering_rule("pd_op.conv2d", "pd_op.depthwise_conv2d", "pd_op.conv3d")
def convolution(op: Op, net: Builder) -> None:
    """Filters are (out, in / groups, ...) in both, also when the channels come last."""
    x, _ = ends(op)
    weight = op.inputs[1]
    kernel = [] if weight is None else list(weight.shape[2:])
    strides = [int(n) for n in op.attributes["strides"]]
    before, after = pads_of(op, net, image(x.shape, last=is_last(op)), kernel, strides)
    dilations = [int(n) for n in op.attributes["dilations"]]
    if op.attributes.get("padding_algorithm") == "SAME":
        dilations = [1] * len(dilations)  # Paddle takes no dilation together with SAME
    on_image(
        op,
        net,
        "Conv",
        [weight],
        kernel_shape=kernel,
        strides=strides,
        pads=[*before, *after],
        dilations=dilations,
        group=int(op.attributes["groups"]),
    )


@lowering_rule(
    "pd_op.conv2d_transpose", "pd_op.depthwise_conv2d_transpose", "pd_op.conv3d_transpose"
)
def transposed(op: Op, net: Builder) -> None:
    """Filters are (in, out / groups, ...); what the traced output has more is padded at its end."""
    x, y = ends(op)
    weight, last = op.inputs[1], is_last(op)
    kernel = [] if weight is None else list(weight.shape[2:])
    strides = [int(n) for n in op.attributes["strides"]]
    dilations = [int(n) for n in op.attributes["dilations"]]
    if op.attributes.get("padding_algorithm") == "SAME":
        net.refuse("padding SAME of a transposed convolution")
    before, after = pads_of(op, net, image(x.shape, last=last), kernel, strides)
    reach = [
        (size - 1) * s + d * (k - 1) + 1 - low - high
        for size, s, d, k, low, high in zip(
            image(x.shape, last=last), strides, dilations, kernel, before, after, strict=True
        )
    ]
    more = [a - b for a, b in zip(image(y.shape, last=last), reach, strict=True)]
    if any(n < 0 or n >= max(s, d) for n, s, d in zip(more, strides, dilations, strict=True)):
        net.refuse(f"an output of {list(y.shape)} that its strides and paddings do not give")
    on_image(
        op,
        net,
        "ConvTranspose",
        [weight],
        kernel_shape=kernel,
        strides=strides,
        pads=[*before, *after],
        dilations=dilations,
        output_padding=more if any(more) else None,
        group=int(op.attributes["groups"]),
    )


@lowering_rule("pd_op.embedding")
def embedding(op: Op, net: Builder) -> None:
    """Rows of a table; the row that pads is zero, whatever it holds."""
    index, y = ends(op)
    table, pad = option(op, 1), int(op.attributes.get("padding_idx", -1))
    if pad < 0:
        net.emit("Gather", [table, index], y, axis=0)
        return
    rows = net.emit("Gather", [table, index], axis=0)
    is_pad = net.emit("Equal", [index, np.asarray(pad, net.numpy_type(index))])
    is_pad = net.emit("Unsqueeze", [is_pad, np.asarray([-1])])
    net.emit("Where", [is_pad, np.zeros((), net.numpy_type(y)), rows], y)

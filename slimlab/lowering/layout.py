"""Floor 1. Operators on images, whose channels may come last. ONNX has them first.

Knows `data_format` and padding attributes, and no operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slimlab.lowering.builder import Builder, Operand
from slimlab.lowering.registry import ends
from slimlab.trace import Op, Shape


def is_last(op: Op) -> bool:
    """Whether the channels of an operator's tensors are the last axis."""
    return not str(op.attributes.get("data_format", "NCHW")).startswith("NC")


def image(shape: Shape, *, last: bool) -> Shape:
    """Sizes of height, width and so on: all axes but the batch and the channels."""
    return shape[1:-1] if last else shape[2:]


def channels_first(op: Op, net: Builder) -> Operand:
    """The operator's first input with its channels as axis 1."""
    x, _ = ends(op)
    rank = len(x.shape)
    if not is_last(op) or rank < 3:
        return x
    return net.emit("Transpose", [x], perm=[0, rank - 1, *range(1, rank - 1)])


def give_back(op: Op, net: Builder, kind: str, inputs: Sequence[Operand], **attributes: Any) -> str:
    """Write the node that makes the operator's output from tensors with channels as axis 1."""
    _, y = ends(op)
    rank = len(y.shape)
    if not is_last(op) or rank < 3:
        return net.emit(kind, inputs, y, **attributes)
    made = net.emit(kind, inputs, **attributes)
    return net.emit("Transpose", [made], y, perm=[0, *range(2, rank), 1])


def on_image(
    op: Op, net: Builder, kind: str, others: Sequence[Operand] = (), **attributes: Any
) -> str:
    """Write one node that works on the operator's image, with its other inputs."""
    return give_back(op, net, kind, [channels_first(op, net), *others], **attributes)


def pads_of(
    op: Op, net: Builder, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Padding before and after each axis of an image."""
    algorithm = op.attributes.get("padding_algorithm", "EXPLICIT")
    written = [int(n) for n in op.attributes["paddings"]]
    rank = len(sizes)
    if algorithm == "VALID":
        return [0] * rank, [0] * rank
    if algorithm == "SAME":
        before, after = [], []
        for size, k, stride in zip(sizes, kernel, strides, strict=True):
            short = max((-(-size // stride) - 1) * stride + k - size, 0)
            before.append(short // 2)
            after.append(short - short // 2)
        return before, after
    if len(written) == rank:
        return written, written
    if len(written) != 2 * rank:
        net.refuse(f"paddings {written} for an image of {rank} axes")
    return written[::2], written[1::2]

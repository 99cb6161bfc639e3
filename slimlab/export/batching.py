"""Floor 2. A network lowered for two batch sizes, as one for any.

What differs between the two is the batch: sizes of values, and sizes written into reshapes.
Anything else that differs would be wrong for other batches, and is refused. Knows ONNX only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from slimlab.errors import UnsupportedOpError
from slimlab.export.formats import BATCHES

AXIS = "batch"


def any_batch(first: ModelProto, second: ModelProto) -> ModelProto:
    """Merge two models of one network, lowered with `BATCHES`.

    Raises
    ------
    UnsupportedOpError
        When a batch size is part of what the network computes.
    """
    made = ModelProto()
    made.CopyFrom(first)
    for node, other in zip(made.graph.node, second.graph.node, strict=False):
        if node != other:
            _refuse(f"operator {node.op_type} {node.name!r}")
    if len(first.graph.node) != len(second.graph.node):
        _refuse("the number of operators")
    others = {one.name: one for one in second.graph.initializer}
    for one in made.graph.initializer:
        other = others.get(one.name)
        if other is None or one.data_type != other.data_type:
            _refuse(f"constant {one.name!r}")
        if one.raw_data != other.raw_data:
            array = _free(made, one.name, numpy_helper.to_array(one), numpy_helper.to_array(other))
            one.CopyFrom(numpy_helper.from_array(array, one.name))
    infos = [made.graph.input, made.graph.output, made.graph.value_info]
    twins = [second.graph.input, second.graph.output, second.graph.value_info]
    for ours, theirs in zip(infos, twins, strict=True):
        for info, twin in zip(ours, theirs, strict=True):
            _free_axes(info, twin)
    return made


def _free(
    model: ModelProto, name: str, one: NDArray[np.generic], two: NDArray[np.generic]
) -> NDArray[np.int64]:
    """Sizes for any batch, from those for two."""
    readers = [node for node in model.graph.node if name in node.input]
    if one.dtype != np.int64 or one.shape != two.shape or not readers:
        _refuse(f"constant {name!r}")
    free: NDArray[np.int64] = one.astype(np.int64)
    for place in np.flatnonzero(one != two):
        if not _is_multiple(int(one[place]), int(two[place])):
            _refuse(f"size {int(one[place])} of {readers[0].op_type}")
        free[place] = _free_size(readers, one, int(place))
    return free


def _free_size(readers: Sequence[NodeProto], sizes: NDArray[np.generic], place: int) -> int:
    kinds = {node.op_type for node in readers}
    if kinds == {"Expand"}:
        return 1  # what is expanded keeps the size that it has; checked by running it
    others = [int(n) for at, n in enumerate(sizes.tolist()) if at != place]
    if kinds == {"Reshape"} and -1 not in others:
        return -1
    if kinds != {"Reshape"} or place:
        _refuse(f"a size of {', '.join(sorted(kinds))}")
    return 0  # the size of the input's first axis


def _is_multiple(one: int, two: int) -> bool:
    return one % BATCHES[0] == 0 and one // BATCHES[0] * BATCHES[1] == two


def _free_axes(info: ValueInfoProto, twin: ValueInfoProto) -> None:
    ours, theirs = info.type.tensor_type.shape.dim, twin.type.tensor_type.shape.dim
    if info.name != twin.name or len(ours) != len(theirs):
        _refuse(f"the shape of {info.name!r}")
    for dim, other in zip(ours, theirs, strict=True):
        if dim.dim_value != other.dim_value:
            times = dim.dim_value // BATCHES[0]
            dim.dim_param = AXIS if times == 1 else f"{times}*{AXIS}"


def _refuse(what: str) -> NoReturn:
    msg = (
        f"This network can't be written for any number of images: {what} depends on the batch "
        "size. Let forward() give -1 to reshape instead of the batch size."
    )
    raise UnsupportedOpError(msg, found=what)


def initializers(model: ModelProto) -> dict[str, TensorProto]:
    """Name to each stored tensor of a model."""
    return {one.name: one for one in model.graph.initializer}

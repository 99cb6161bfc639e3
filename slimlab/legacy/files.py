"""Floor 1. The two files of an inference model: its program and its parameters.

The program is a `ProgramDesc` of Paddle's `framework.proto`. The parameters are tensors one after
the other, in the order of their names; each is the version of its stream (uint32), the number of
its levels of detail (uint64, none), the version of its tensor (uint32), the length of its
description (int32), that description (a `VarType.TensorDesc`), and its numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle.base.proto import framework_pb2 as proto

from slimlab.legacy.network import Ends, Network, Variable
from slimlab.legacy.schema import check, fill

DTYPES = {
    "bool": proto.VarType.BOOL, "int8": proto.VarType.INT8, "uint8": proto.VarType.UINT8,
    "int16": proto.VarType.INT16, "int32": proto.VarType.INT32, "int64": proto.VarType.INT64,
    "float16": proto.VarType.FP16, "float32": proto.VarType.FP32, "float64": proto.VarType.FP64,
}  # fmt: skip
FEED, FETCH = "feed", "fetch"
# Versions of operators since which their attributes mean what they mean here; 0 for all others.
VERSIONS = {
    "arg_max": 1, "assign_value": 1, "clip": 1, "conv2d": 1, "conv2d_transpose": 2, "conv3d": 1,
    "conv3d_transpose": 1, "depthwise_conv2d": 1, "depthwise_conv2d_transpose": 1,
    "elementwise_add": 1, "elementwise_div": 1, "elementwise_mul": 1, "elementwise_pow": 1,
    "elementwise_sub": 1, "equal": 1, "flip": 1, "gather": 1, "greater_equal": 1,
    "greater_than": 1, "instance_norm": 1, "leaky_relu": 1, "less_equal": 1, "less_than": 1,
    "lookup_table_v2": 1, "max_pool2d_with_index": 1, "not_equal": 1, "p_norm": 1,
    "pixel_shuffle": 1, "roll": 2, "softplus": 1, "thresholded_relu": 1,
}  # fmt: skip


def program_bytes(network: Network) -> bytes:
    """The program: one block, with operators that feed inputs and fetch outputs."""
    program = proto.ProgramDesc()
    block = program.blocks.add(idx=0, parent_idx=-1)
    for name, kind in ((FEED, proto.VarType.FEED_MINIBATCH), (FETCH, proto.VarType.FETCH_LIST)):
        block.vars.add(name=name, persistable=True).type.type = kind
    for variable in network.variables.values():
        _declare(block.vars.add(), variable, network)
    for column, name in enumerate(network.inputs):
        _operator(block.ops.add(), FEED, {"X": (FEED,)}, {"Out": (name,)}, {"col": column})
    for node in network.nodes:
        check(node)
        _operator(block.ops.add(), node.kind, node.inputs, node.outputs, node.attributes)
    for column, name in enumerate(network.outputs):
        _operator(block.ops.add(), FETCH, {"X": (name,)}, {"Out": (FETCH,)}, {"col": column})
    program.version.version = _version()
    for kind in sorted({node.kind for node in network.nodes} & set(VERSIONS)):
        pair = program.op_version_map.pair.add(op_name=kind)
        pair.op_version.version = VERSIONS[kind]
    made: bytes = program.SerializeToString(deterministic=True)
    return made


def params_bytes(network: Network) -> bytes:
    """The parameters."""
    return b"".join(part for array in network.stored().values() for part in _stream(array))


def _stream(array: NDArray[np.generic]) -> Iterator[bytes]:
    desc = proto.VarType.TensorDesc(data_type=DTYPES[array.dtype.name], dims=array.shape)
    content = desc.SerializeToString()
    yield struct.pack("<IQIi", 0, 0, 0, len(content)) + content
    yield np.ascontiguousarray(array).tobytes()


def _declare(message: Any, variable: Variable, network: Network) -> None:
    message.name = variable.name
    message.type.type = proto.VarType.DENSE_TENSOR
    tensor = message.type.dense_tensor.tensor
    tensor.data_type = DTYPES[variable.dtype]
    tensor.dims.extend(variable.shape)
    message.persistable = variable.numbers is not None
    if variable.name in network.inputs:
        message.need_check_feed = True
    if variable.numbers is not None:
        message.is_parameter = True
        message.stop_gradient = True


def _operator(message: Any, kind: str, inputs: Ends, outputs: Ends, attributes: Any) -> None:
    message.type = kind
    for slots, ends in ((message.inputs, inputs), (message.outputs, outputs)):
        for slot, names in sorted(ends.items()):
            slots.add(parameter=slot, arguments=names)
    for name, value in sorted(attributes.items()):
        fill(message.attrs.add(), kind, name, value)


def _version() -> int:
    """Paddle's own version as its programs carry it: 3.3.1 is 3003001."""
    major, minor, patch = (*paddle.__version__.split(".")[:3], "0", "0")[:3]
    digits = "".join(c for c in patch if c.isdigit()) or "0"
    return int(major) * 1_000_000 + int(minor) * 1_000 + int(digits)

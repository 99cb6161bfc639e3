"""A reader of Paddle's inference models that shares no code with what writes them, and runs them.

The messages are read by the wire format of protocol buffers, with the numbers of the fields as
`framework.proto` has had them since Paddle 1; the operators are run with NumPy and
`paddle.nn.functional`, after what Paddle's documentation says of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

F = nn.functional
DTYPES = {
    0: np.bool_, 1: np.int16, 2: np.int32, 3: np.int64, 4: np.float16, 5: np.float32,
    6: np.float64, 20: np.uint8, 21: np.int8,
}  # fmt: skip
DENSE, FEED, FETCH = 7, 9, 10
# Type of an attribute -> the number of its field, and whether it is a list.
ATTRIBUTES = {0: (3, False), 1: (4, False), 2: (5, False), 3: (6, True), 4: (7, True),
              5: (8, True), 6: (10, False), 7: (11, True), 9: (13, False),
              11: (15, True)}  # fmt: skip


def varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and content of each field of a message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            content, at = varint(data, at)
            yield key >> 3, signed(content)
        elif kind == 2:
            size, at = varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size
        elif kind == 5:
            yield key >> 3, struct.unpack_from("<f", data, at)[0]
            at += 4
        elif kind == 1:
            yield key >> 3, struct.unpack_from("<d", data, at)[0]
            at += 8
        else:
            msg = f"wire type {kind}"
            raise ValueError(msg)


def first(data: bytes, number: int, otherwise: Any = None) -> Any:
    return next((content for n, content in fields(data) if n == number), otherwise)


@dataclass(frozen=True)
class Var:
    name: str
    kind: int
    dtype: Any
    shape: tuple[int, ...]
    stored: bool


@dataclass(frozen=True)
class Operator:
    kind: str
    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]
    attributes: dict[str, Any]
    types: dict[str, int]

    def reads(self, slot: str) -> str:
        (name,) = self.inputs[slot]
        return name


@dataclass(frozen=True)
class Model:
    """A program with its parameters."""

    variables: dict[str, Var]
    operators: list[Operator]
    params: dict[str, np.ndarray] = field(default_factory=dict)
    version: int = 0

    def of(self, kind: str) -> list[Operator]:
        return [op for op in self.operators if op.kind == kind]

    def maker(self, name: str) -> Operator | None:
        made = [op for op in self.operators if any(name in n for n in op.outputs.values())]
        return made[0] if made else None

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        values: dict[str, Any] = {n: paddle.to_tensor(a) for n, a in self.params.items()}
        outputs: dict[int, np.ndarray] = {}
        with paddle.no_grad():
            for op in self.operators:
                if op.kind == "feed":
                    fed = paddle.to_tensor(inputs[op.attributes["col"]])
                    values[op.outputs["Out"][0]] = fed
                elif op.kind == "fetch":
                    outputs[op.attributes["col"]] = values[op.reads("X")].numpy()
                else:
                    RUN[op.kind](op, values)
        return [outputs[n] for n in range(len(outputs))]


def read_model(folder: Path, stem: str = "model") -> Model:
    program = (folder / f"{stem}.pdmodel").read_bytes()
    (block,) = [content for n, content in fields(program) if n == 1]
    variables = [_variable(content) for n, content in fields(block) if n == 3]
    operators = [_operator(content) for n, content in fields(block) if n == 4]
    names = sorted(v.name for v in variables if v.stored and v.kind == DENSE)
    params = _params((folder / f"{stem}.pdiparams").read_bytes(), names)
    known = {v.name: v for v in variables}
    assert len(known) == len(variables)
    for name, array in params.items():
        assert array.dtype == known[name].dtype, name
        assert array.shape == known[name].shape, name
    version = first(first(program, 4), 1, 0)
    return Model(known, operators, params, version)


def _variable(data: bytes) -> Var:
    kind = first(data, 2)
    dense, dtype, shape = first(kind, 3), None, ()
    if dense is not None:
        tensor = first(dense, 1)
        dtype = np.dtype(DTYPES[first(tensor, 1)])
        shape = tuple(content for n, content in fields(tensor) if n == 2)
    stored = bool(first(data, 3, 0))
    return Var(first(data, 1).decode(), first(kind, 1), dtype, shape, stored)


def _ends(data: bytes, number: int) -> dict[str, list[str]]:
    found = {}
    for n, content in fields(data):
        if n == number:
            names = [c.decode() for k, c in fields(content) if k == 2]
            found[first(content, 1).decode()] = names
    return found


def _operator(data: bytes) -> Operator:
    attributes, types = {}, {}
    for n, content in fields(data):
        if n == 4:
            name, kind = first(content, 1).decode(), first(content, 2)
            number, many = ATTRIBUTES[kind]
            held = [c.decode() if isinstance(c, bytes) else c
                    for k, c in fields(content) if k == number]  # fmt: skip
            made = [bool(c) for c in held] if kind in (6, 7) else held
            attributes[name] = made if many else made[0]
            types[name] = kind
    return Operator(first(data, 3).decode(), _ends(data, 1), _ends(data, 2), attributes, types)


def _params(data: bytes, names: list[str]) -> dict[str, np.ndarray]:
    at, found = 0, {}
    for name in names:
        version, levels, inner, size = struct.unpack_from("<IQIi", data, at)
        assert (version, levels, inner) == (0, 0, 0), name
        at += struct.calcsize("<IQIi")
        desc, at = data[at : at + size], at + size
        shape = tuple(content for n, content in fields(desc) if n == 2)
        dtype = np.dtype(DTYPES[first(desc, 1)])
        count = int(np.prod(shape, dtype=np.int64))
        found[name] = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += count * dtype.itemsize
    assert at == len(data), "there is more than the parameters"
    return found


# ------------------------------------------------------------------------------- running operators
Values = dict[str, Any]
RUN: dict[str, Callable[[Operator, Values], None]] = {}


def runs(*kinds: str) -> Any:
    def register(function: Any) -> Any:
        for kind in kinds:
            RUN[kind] = function
        return function

    return register


def _one(kind: str, function: Callable[..., Any]) -> None:
    """An operator from X to Out."""

    def run(op: Operator, values: Values) -> None:
        values[op.outputs["Out"][0]] = function(values[op.reads("X")], op.attributes)

    RUN[kind] = run


_one("abs", lambda x, a: x.abs())
_one("reduce_max", lambda x, a: x.max(axis=a["dim"], keepdim=a["keep_dim"]))
_one("relu", lambda x, a: F.relu(x))
_one("relu6", lambda x, a: F.relu6(x))
_one("hard_swish", lambda x, a: x * (x + a["offset"]).clip(0, a["threshold"]) / a["scale"])
_one("hard_sigmoid", lambda x, a: (x * a["slope"] + a["offset"]).clip(0, 1))
_one("sigmoid", lambda x, a: F.sigmoid(x))
_one("swish", lambda x, a: x * F.sigmoid(x))
_one("silu", lambda x, a: x * F.sigmoid(x))
_one("gelu", lambda x, a: F.gelu(x, approximate=a["approximate"]))
_one("softmax", lambda x, a: F.softmax(x, axis=a["axis"]))
_one("assign", lambda x, a: x)
_one("flatten_contiguous_range", lambda x, a: x.flatten(a["start_axis"], a["stop_axis"]))
_one("reshape2", lambda x, a: x.reshape(a["shape"]))
_one("transpose2", lambda x, a: x.transpose(a["axis"]))
_one("squeeze2", lambda x, a: x.squeeze(a["axes"]))
_one("scale", lambda x, a: x * a["scale"] + a["bias"] if a["bias_after_scale"]
     else (x + a["bias"]) * a["scale"])  # fmt: skip
_one("reduce_mean", lambda x, a: x.mean(axis=a["dim"], keepdim=a["keep_dim"]))


@runs("conv2d", "depthwise_conv2d")
def _conv(op: Operator, values: Values) -> None:
    a = op.attributes
    assert a["padding_algorithm"] == "EXPLICIT"
    assert a["data_format"] == "NCHW"
    x, weight = values[op.reads("Input")], values[op.reads("Filter")]
    made = F.conv2d(x, weight, None, a["strides"], a["paddings"], a["dilations"], a["groups"])
    values[op.outputs["Output"][0]] = made


@runs("conv2d_transpose")
def _turned(op: Operator, values: Values) -> None:
    a = op.attributes
    x, weight = values[op.reads("Input")], values[op.reads("Filter")]
    more = a["output_padding"] or 0
    made = F.conv2d_transpose(
        x, weight, None, a["strides"], a["paddings"], more,
        dilation=a["dilations"], groups=a["groups"],
    )  # fmt: skip
    values[op.outputs["Output"][0]] = made


@runs("batch_norm")
def _norm(op: Operator, values: Values) -> None:
    x, scale, bias, mean, variance = (
        values[op.reads(slot)] for slot in ("X", "Scale", "Bias", "Mean", "Variance")
    )
    assert op.attributes["is_test"]
    assert op.outputs["MeanOut"] == op.inputs["Mean"]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    factor = scale / paddle.sqrt(variance + op.attributes["epsilon"])
    made = (x - mean.reshape(shape)) * factor.reshape(shape) + bias.reshape(shape)
    values[op.outputs["Y"][0]] = made


@runs("layer_norm")
def _layer_norm(op: Operator, values: Values) -> None:
    x, scale, bias = (values[op.reads(slot)] for slot in ("X", "Scale", "Bias"))
    shape = x.shape[op.attributes["begin_norm_axis"] :]
    axes = list(range(op.attributes["begin_norm_axis"], x.ndim))
    mean = x.mean(axis=axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axis=axes, keepdim=True)
    made = (x - mean) / paddle.sqrt(variance + op.attributes["epsilon"])
    values[op.outputs["Y"][0]] = made * scale.reshape(shape) + bias.reshape(shape)


@runs("pool2d")
def _pool(op: Operator, values: Values) -> None:
    a, x = op.attributes, values[op.reads("X")]
    most = a["pooling_type"] == "max"
    if a["global_pooling"] or (a["adaptive"] and a["ksize"] == [1, 1]):
        made = x.max(axis=[2, 3], keepdim=True) if most else x.mean(axis=[2, 3], keepdim=True)
    elif a["adaptive"]:
        made = (F.adaptive_max_pool2d if most else F.adaptive_avg_pool2d)(x, a["ksize"])
    elif most:
        made = F.max_pool2d(x, a["ksize"], a["strides"], a["paddings"], ceil_mode=a["ceil_mode"])
    else:
        made = F.avg_pool2d(
            x, a["ksize"], a["strides"], a["paddings"], a["ceil_mode"], a["exclusive"]
        )
    values[op.outputs["Out"][0]] = made


@runs("matmul_v2")
def _matmul(op: Operator, values: Values) -> None:
    a = op.attributes
    x, y = values[op.reads("X")], values[op.reads("Y")]
    values[op.outputs["Out"][0]] = paddle.matmul(x, y, a["trans_x"], a["trans_y"])


@runs("mul")
def _mul(op: Operator, values: Values) -> None:
    x, y = values[op.reads("X")], values[op.reads("Y")]
    assert op.attributes == {"x_num_col_dims": x.ndim - 1, "y_num_col_dims": 1}
    values[op.outputs["Out"][0]] = paddle.matmul(x, y)


@runs("where")
def _where(op: Operator, values: Values) -> None:
    condition, x, y = (values[op.reads(slot)] for slot in ("Condition", "X", "Y"))
    values[op.outputs["Out"][0]] = paddle.where(condition, x, y)


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "elementwise_add": lambda x, y: x + y,
    "elementwise_sub": lambda x, y: x - y,
    "elementwise_mul": lambda x, y: x * y,
    "elementwise_div": lambda x, y: x / y,
    "elementwise_min": paddle.minimum,
    "elementwise_max": paddle.maximum,
    "greater_equal": lambda x, y: x >= y,
}


@runs(*BINARY)
def _elementwise(op: Operator, values: Values) -> None:
    x, y, axis = values[op.reads("X")], values[op.reads("Y")], op.attributes["axis"]
    if axis != -1:
        y = y.reshape([*y.shape, *[1] * (x.ndim - axis - y.ndim)])
    values[op.outputs["Out"][0]] = BINARY[op.kind](x, y)


@runs("concat")
def _concat(op: Operator, values: Values) -> None:
    parts = [values[name] for name in op.inputs["X"]]
    values[op.outputs["Out"][0]] = paddle.concat(parts, op.attributes["axis"])


@runs("split")
def _split(op: Operator, values: Values) -> None:
    parts = paddle.split(values[op.reads("X")], op.attributes["sections"], op.attributes["axis"])
    values.update(zip(op.outputs["Out"], parts, strict=True))


def _grid(op: Operator, values: Values) -> tuple[np.ndarray, np.ndarray, float]:
    a = op.attributes
    assert (a["qmin"], a["qmax"]) == (-(2 ** (a["bit_length"] - 1)), 2 ** (a["bit_length"] - 1) - 1)
    x, scale = values[op.reads("X")].numpy(), values[op.reads("Scale")].numpy()
    assert not values[op.reads("ZeroPoint")].numpy().any()
    along = scale.reshape(-1)
    if along.size > 1:
        along = along.reshape([-1 if n == a["quant_axis"] else 1 for n in range(x.ndim)])
    return x, along, np.float32(a["qmax"])


@runs("quantize_linear")
def _quantize(op: Operator, values: Values) -> None:
    x, scale, top = _grid(op, values)
    made = np.clip(np.rint(x * (np.float32(1) / scale) * top), -top - 1, top)
    values[op.outputs["Y"][0]] = paddle.to_tensor(made.astype(np.float32))


@runs("dequantize_linear")
def _dequantize(op: Operator, values: Values) -> None:
    whole, scale, top = _grid(op, values)
    values[op.outputs["Y"][0]] = paddle.to_tensor(whole.astype(np.float32) * scale / top)

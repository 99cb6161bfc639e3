"""Floor 1. A model as a list of operators over values, read from Paddle's PIR program.

Knows Paddle's tracer and nothing of channels. The model is not changed: `to_static` replaces the
`forward` of what it is given, so it is given a wrapper. The process stays in dynamic mode.
"""

from __future__ import annotations

import functools
import linecache
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import paddle
from paddle import Tensor
from paddle.nn import Layer
from paddle.static import InputSpec

from slimlab import call_stacks, stand_ins
from slimlab.call_stacks import short_stacks
from slimlab.errors import TaskError, UnsupportedOpError
from slimlab.layers import Tensors, evaluating
from slimlab.stand_ins import standing_in

Shape = tuple[int, ...]
# What PIR attaches to every operator and no rule needs; the call stack alone is most of the cost.
_NOISE = frozenset({"op_callstack", "stop_gradient", "persistable", "struct_name"})
_PLACE = re.compile(r'\s*File "(.*)", line (\d+)')
_PADDLE = str(Path(paddle.__file__).parent)
_MODELS = str(Path(paddle.__file__).parent / "vision")
_TENSOR = f"{_PADDLE}/tensor/".replace(chr(92), "/")
_DECORATORS = tuple(str(Path(paddle.__file__).parent / name) for name in ("base", "utils"))
_LAYERS = f"{_PADDLE}/nn/layer/".replace(chr(92), "/")
_FUNCTIONS = tuple(
    f"{_PADDLE}/{name}/".replace(chr(92), "/")
    for name in ("tensor", "nn/functional", "base", "utils", "amp", "pir")
)
_OURS = (str(Path(__file__)), str(Path(stand_ins.__file__)), str(Path(call_stacks.__file__)))


@dataclass(frozen=True)
class Value:
    """A tensor inside the program: the input or output of operators.

    Attributes
    ----------
    id
        Number inside one program, in the order in which values are made.
    shape
        Static shape; the batch is the example's.
    parameter
        Name of the model's tensor this value is, or `None`.
    dtype
        Type of an element, such as `"float32"`; empty for a list of tensors.
    """

    id: int
    shape: Shape
    parameter: str | None = None
    dtype: str = ""


@dataclass(frozen=True)
class Op:
    """One operator of the program.

    Attributes
    ----------
    name
        PIR's name, such as `"pd_op.conv2d"`.
    inputs, outputs
        Values by position; `None` where an optional one is absent.
    attributes
        PIR's attributes without bookkeeping.
    captured
        Values used inside nested blocks (the branches of a condition, the body of a loop).
    where
        Path of layer classes around the operator, as Paddle records it.
    stack
        Python's call stack at the operator, as Paddle records it: a line for the place, then one
        for the code, which may be empty.
    """

    name: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    captured: tuple[Value, ...] = ()
    where: str = ""
    stack: Sequence[str] = ()

    @property
    def short(self) -> str:
        """The name without its dialect: `conv2d`."""
        return self.name.rpartition(".")[2]

    @property
    def source(self) -> tuple[str, str]:
        """Place and text of the line outside Paddle that asked for the operator."""
        for n in reversed(range(len(self.stack))):
            found = _PLACE.match(self.stack[n])
            if found and _is_users(found[1]):
                code = self.stack[n + 1].strip() if n + 1 < len(self.stack) else ""
                # A short stack holds no text.
                code = code or linecache.getline(found[1], int(found[2])).strip()
                return f"{_slashed(found[1]).rpartition('/')[2]}:{found[2]}", code
        return "", ""

    @property
    def caller(self) -> str:
        """File of the innermost code that is neither Paddle's functions nor its machinery."""
        for line in reversed(self.stack):
            found = _PLACE.match(line)
            if found and found[1] not in _OURS and not _slashed(found[1]).startswith(_FUNCTIONS):
                return _slashed(found[1])
        return ""

    @property
    def is_of_paddles_layer(self) -> bool:
        """Whether a layer of Paddle's, whose remembered sizes are cut with it, asked for this."""
        return self.caller.startswith(_LAYERS)

    @property
    def is_asked_by_user(self) -> bool:
        """Whether a network's own code called the function of Paddle's that made the operator.

        What Paddle's functions do among themselves follows the sizes they are given.
        """
        files = [found[1] for line in self.stack if (found := _PLACE.match(line))]
        inner = [_slashed(f) for f in files if f not in _OURS and not f.startswith(_DECORATORS)]
        while inner and inner[-1].startswith(_TENSOR):
            inner.pop()
        return bool(inner) and _is_users(inner[-1])


def _slashed(file: str) -> str:
    return file.replace(chr(92), "/")


def _is_users(file: str) -> bool:
    """Whether a file holds a network, not the machinery that runs or traces it."""
    return file not in _OURS and (not file.startswith(_PADDLE) or file.startswith(_MODELS))


@dataclass(frozen=True)
class Program:
    """The operators of one forward pass in evaluation mode, in execution order.

    Attributes
    ----------
    ops
        Operators; parameters and inputs are values, not operators.
    inputs, outputs
        Values that enter and leave the network.
    held
        By a value's id, tensors that the network reads and does not save with its state, such as
        a buffer that is not persistable.
    """

    ops: tuple[Op, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    held: Mapping[int, Tensor] = field(default_factory=dict)


class _Converted(Layer):
    """Stands between `to_static` and the model, whose own `forward` must stay as it is."""

    def __init__(self, model: Layer) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Sequence[Tensor]) -> Any:
        return self.model(*inputs)


@paddle.jit.not_to_static
def _as_it_is(model: Layer, inputs: Sequence[Tensor]) -> Any:
    return model(*inputs)


class _Plain(_Converted):
    """The same, with the model's code run as it is, not converted first.

    Paddle's conversion knows `if` and `while` over values, but not all of Python, and it needs the
    source.
    """

    def forward(self, inputs: Sequence[Tensor]) -> Any:
        return _as_it_is(self.model, inputs)


def _concrete(model: Layer, inputs: Sequence[Tensor]) -> Any:
    """Paddle's program of a model in evaluation mode; the first way's error where both fail."""
    specs = [InputSpec(shape=list(x.shape), dtype=x.dtype) for x in inputs]
    first: Exception | None = None
    # The first way says most of the sizes; each of the others can do what those before it can't.
    for way, known_sizes in ((_Converted, True), (_Converted, False), (_Plain, True)):
        wrapped = way(model)
        wrapped.eval()
        try:
            with standing_in(known_sizes=known_sizes), short_stacks():
                static = paddle.jit.to_static(wrapped, full_graph=True, input_spec=[specs])
                return static.forward.concrete_program
        except Exception as error:
            first = first or error
    told = [line for line in str(first).strip().splitlines() if line.strip()] or [""]
    msg = (
        f"{type(model).__name__} can't be traced with an input of shape "
        f"{[list(x.shape) for x in inputs]}: {type(first).__name__}: {told[-1].strip()} "
        "Check that model(example) runs and that forward() has no control flow over "
        "tensor values."
    )
    raise UnsupportedOpError(msg, model=type(model).__name__) from first


def trace_program(model: Layer, example: Tensor | Sequence[Tensor]) -> Program:
    """Trace one forward pass of a model in evaluation mode.

    Parameters
    ----------
    model
        Any layer whose `forward` takes tensors by position. It is not changed.
    example
        One input tensor, usually with batch 1, or a sequence of them for several inputs.

    Raises
    ------
    UnsupportedOpError
        When Paddle can't turn the model into a program (for example control flow over values).
    TaskError
        When the example is no tensor.
    """
    inputs = as_inputs(example)
    held = model.state_dict()
    names = {held[name].name: name for name in Tensors.of(model).slots}
    with evaluating(model):
        concrete = _concrete(model, inputs)
    return _read(concrete, names)


def as_inputs(example: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The example as a tuple of tensors, or a sentence that says what it should be."""
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    for position, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            msg = (
                f"Example input {position} is a {type(x).__name__}; give a paddle.Tensor such as "
                "task.example, or a sequence of them for a model with several inputs."
            )
            raise TaskError(msg, position=position)
    return inputs


def _read(concrete: Any, names: Mapping[str, str]) -> Program:
    block = concrete.main_program.global_block()
    values: dict[int, Value] = {}
    inputs: list[Value] = []
    ops: list[Op] = []
    tensors = {tensor.name: tensor for tensor in concrete.parameters[0]}
    held: dict[int, Tensor] = {}
    for raw in block.ops:
        kind = raw.name()
        if kind == "builtin.parameter":
            inner = raw.str_attr("parameter_name")
            value = _add(values, raw.results()[0], names.get(inner))
            if value.parameter is None and inner in tensors:
                held[value.id] = tensors[inner]
        elif kind == "pd_op.data":
            inputs.append(_add(values, raw.results()[0]))
        elif kind not in {"builtin.shadow_output", "builtin.set_parameter"}:
            ops.append(_op(raw, values))
    made = paddle.utils.flatten(concrete.outputs)
    outputs = tuple(values[v.id] for v in made if getattr(v, "id", None) in values)
    return Program(tuple(ops), tuple(inputs), outputs, MappingProxyType(held))


def _op(raw: Any, values: dict[int, Value]) -> Op:
    sources = raw.operands_source()
    taken = tuple(values.get(v.id) if v.initialized() else None for v in sources)
    made = tuple(_add(values, v) if v.initialized() else None for v in raw.results())
    # Paddle 3.3 crashes on attrs() of the structural builtin operators, which have none of
    # interest.
    attributes = {} if raw.name().startswith("builtin.") else raw.attrs()
    names = [n for n in attributes if n not in _NOISE]
    return Op(
        name=raw.name(),
        inputs=taken,
        outputs=made,
        attributes=MappingProxyType({n: attributes[n] for n in names}),
        captured=tuple(_captured(raw, values)),
        where=str(attributes.get("struct_name", "")),
        stack=attributes.get("op_callstack", ()),
    )


def _captured(raw: Any, values: Mapping[int, Value]) -> list[Value]:
    if not raw.num_regions():
        return []
    found = []
    for block in raw.blocks():
        for inner in block.ops:
            for operand in inner.operands():
                source = operand.source()
                if source.initialized() and source.id in values:
                    found.append(values[source.id])
            found += _captured(inner, values)
    return found


@functools.cache
def _dtype_name(dtype: object) -> str:
    return str(dtype).rpartition(".")[2]


def _add(values: dict[int, Value], raw: Any, parameter: str | None = None) -> Value:
    dense = raw.is_dense_tensor_type()
    # Numbered, because Paddle's own id is an address that differs from run to run.
    dtype = _dtype_name(raw.dtype) if dense else ""
    value = Value(len(values), tuple(raw.shape) if dense else (), parameter, dtype)
    values[raw.id] = value
    return value

"""Floor 1. What rules write into: nodes, constants and the names of values.

Knows ONNX nodes and the values of a program, and no operator of Paddle's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from onnx import NodeProto, helper
from paddle import Tensor

from slimlab.errors import UnsupportedOpError
from slimlab.lowering.inplace import without_overwriting
from slimlab.trace import Op, Program, Value

# What an input of a node may be given as; `None` leaves an optional one out.
Operand = Value | str | np.ndarray | None
_REMEMBERED = 4096  # bytes; larger constants are not compared with each other
NUMPY = {
    "bool": np.bool_,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "float16": np.float16,
    "float32": np.float32,
    "float64": np.float64,
}


def value_name(value: Value) -> str:
    """Name a traced value has in the ONNX graph, unless it enters or leaves the network.

    A parameter has its name in `state_dict`, any other value is `v` and its number. The inputs and
    outputs of the network are named by `value_names`.

    Examples
    --------
    >>> from slimlab.lowering import value_name
    >>> from slimlab.trace import Value
    >>> value_name(Value(7, (1, 8))), value_name(Value(0, (8,), "fc.bias"))
    ('v7', 'fc.bias')
    """
    return value.parameter or f"v{value.id}"


def value_names(program: Program) -> dict[int, str]:
    """Names of all values of a program in the ONNX graph, by the values' ids.

    Inputs are `input_0` and so on, outputs `output_0` and so on. A constant has a name here and no
    tensor in the graph of that name: it is an initializer where a node reads it.
    """
    program = without_overwriting(program)
    made = {v.id: v for op in program.ops for v in op.outputs if v is not None}
    read = {v.id: v for op in program.ops for v in op.inputs if v is not None}
    names = {number: value_name(value) for number, value in {**read, **made}.items()}
    names |= {value.id: f"input_{n}" for n, value in enumerate(program.inputs)}
    for n, value in reversed(list(enumerate(program.outputs))):
        if value.id in made:
            names[value.id] = f"output_{n}"
    return names


class Builder:
    """Collects the ONNX nodes that rules write, one operator after the other.

    Parameters
    ----------
    program
        What is lowered.
    state
        Tensors of the model by name, for rules that need a parameter's numbers.

    Attributes
    ----------
    nodes
        Nodes in execution order.
    constants
        Initializers that are no tensors of the model, by name.
    op
        The operator being lowered.
    """

    def __init__(self, program: Program, state: Mapping[str, Tensor] | None = None) -> None:
        self.nodes: list[NodeProto] = []
        self.makers: dict[str, Op] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.op = Op("", (), ())
        self.names = value_names(program)
        self._state = state or {}
        self._types: dict[int, str] = {}
        self._known: dict[int, np.ndarray] = {}
        self._items: dict[int, tuple[Value | None, ...]] = {}
        self._remembered: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._fresh = 0
        self.live = _live(program)
        for op in program.ops:
            if op.name == "builtin.combine" and op.outputs[0] is not None:
                self._items[op.outputs[0].id] = op.inputs
            elif op.name == "builtin.split" and op.inputs[0] is not None:
                self._items.setdefault(op.inputs[0].id, op.outputs)

    def emit(
        self,
        kind: str,
        inputs: Sequence[Operand],
        output: Value | Sequence[Value | str | None] | None = None,
        **attributes: Any,
    ) -> str:
        """Write one node and give the name of its first output.

        Parameters
        ----------
        kind
            ONNX operator, such as `"Conv"`.
        inputs
            Traced values, names that an earlier `emit` gave, arrays (which become initializers),
            or `None` for an optional input that is left out.
        output
            The traced value that the node makes, or several of them, among which names of the
            rule's own may be; `None` for a value of the rule's own, which is named here.
        **attributes
            ONNX attributes. Those that are `None` are left out.
        """
        given = [self.name(each) for each in inputs]
        while given and not given[-1]:
            given.pop()
        if output is None:
            self._fresh += 1
            made = [f"{self._stem}_{self._fresh}"]
        else:
            several = [output] if isinstance(output, Value) else output
            made = [self.names[v.id] if isinstance(v, Value) else v or "" for v in several]
        kept = {key: value for key, value in attributes.items() if value is not None}
        node = helper.make_node(kind, given, made, name=f"{made[0]}.{kind}", **kept)
        self.nodes.append(node)
        self.makers.update((name, self.op) for name in made if name)
        return made[0]

    def start(self, op: Op) -> None:
        """Turn to the next operator."""
        first = next((v for v in op.outputs if v is not None), None)
        self.op, self._fresh = op, 0
        self._stem = f"v{first.id}" if first is not None else "v"

    def name(self, operand: Operand) -> str:
        """The name by which a node reads something; a constant becomes an initializer."""
        if operand is None or isinstance(operand, str):
            return operand or ""
        if isinstance(operand, Value):
            known = self._known.get(operand.id)
            if known is None:
                return self.names[operand.id]
            operand = known
        return self._constant(np.ascontiguousarray(operand).reshape(operand.shape))

    def _constant(self, array: np.ndarray) -> str:
        name = f"const_{len(self.constants)}"
        if array.nbytes <= _REMEMBERED:
            key = (str(array.dtype), array.shape, array.tobytes())
            name = self._remembered.setdefault(key, name)
        self.constants.setdefault(name, array)
        return name

    def set_constant(self, value: Value, array: np.ndarray | float) -> None:
        """Say what numbers a value has; it becomes an initializer only where a node reads it."""
        numbers = np.asarray(array).astype(self.numpy_type(value))
        # Paddle does not always trace the length of what is made of numbers.
        known = -1 not in value.shape
        self._known[value.id] = np.broadcast_to(numbers, value.shape) if known else numbers

    def hold(self, number: int, array: np.ndarray) -> None:
        """Say what numbers a tensor has that the network holds and does not save."""
        self._known[number] = array

    def copy(self, value: Value, name: str) -> None:
        """Give a value a second name."""
        self.nodes.append(helper.make_node("Identity", [self.name(value)], [name], name=name))

    def apart(self) -> Builder:
        """A builder that knows the same constants and has no nodes yet."""
        other = copy.copy(self)
        other.nodes, other.makers, other.constants = [], {}, {}
        other._known, other._remembered = dict(self._known), {}
        return other

    def take_constants(self, other: Builder) -> None:
        """Know what another builder came to know."""
        self._known = other._known

    def made(self, op: Op) -> list[Value]:
        """The tensors that an operator makes, those of a list one by one."""
        made = [v for v in op.outputs if v is not None]
        return [i for v in made for i in self._items.get(v.id, (v,)) if i is not None]

    def known(self, value: Value | None) -> np.ndarray | None:
        """The numbers of a constant; `None` for what depends on an input or a parameter."""
        return None if value is None else self._known.get(value.id)

    def array(self, value: Value | None) -> np.ndarray | None:
        """The numbers of a constant or a parameter; `None` for what depends on an input."""
        name = None if value is None else value.parameter
        if name is not None and name in self._state:
            numbers: np.ndarray = self._state[name].numpy()
            return numbers
        return self.known(value)

    def store(self, value: Value, name: str, array: np.ndarray) -> None:
        """Make an initializer of its own name, and let a value be read from it."""
        self.constants[name] = array
        self.names[value.id] = name

    def retype(self, value: Value, dtype: str) -> None:
        """Say that a value has another element type in ONNX than in Paddle."""
        self._types[value.id] = dtype

    def type_of(self, value: Value) -> str:
        """The element type that a value has in ONNX, such as `"float32"`."""
        return self._types.get(value.id, value.dtype)

    def numbers(self, value: Value | None) -> list[Any]:
        """The numbers of a constant operand such as a shape, or refuse to lower the operator."""
        if value is not None and value.id in self._items:
            return [n for item in self.items(value) for n in self.numbers(item)]
        array = self.known(value)
        if array is None:
            self.refuse("its sizes, axes or bounds are computed from tensor values")
        flat: list[Any] = array.reshape(-1).tolist()
        return flat

    def items(self, value: Value | None) -> list[Value]:
        """The tensors of a list of tensors."""
        listed = self._items.get(-1 if value is None else value.id)
        if listed is None or any(item is None for item in listed):
            self.refuse("its list of tensors can't be told apart")
        return [item for item in listed if item is not None]

    def used(self, value: Value | None) -> bool:
        """Whether anything that the outputs depend on reads a value."""
        return value is not None and value.id in self.live

    def is_constant(self, op: Op) -> bool:
        """Whether all that an operator reads is known."""
        taken = [v for v in op.inputs if v is not None]
        flat = [i for v in taken for i in self._items.get(v.id, (v,)) if i is not None]
        return bool(flat) and all(value.id in self._known for value in flat)

    def numpy_type(self, value: Value) -> Any:
        """The NumPy type of a value's elements, or refuse a type that can't be written."""
        dtype = self.type_of(value)
        if dtype not in NUMPY:
            self.refuse(f"it works on {dtype or 'a list of tensors'}")
        return NUMPY[dtype]

    def as_type(self, value: Value, kind: Any) -> Operand:
        """A value in an element type (of NumPy), as ONNX never converts by itself."""
        if self.numpy_type(value) == kind:
            return value
        known = self.known(value)
        if known is not None:
            return known.astype(kind)
        return self.emit("Cast", [value], to=onnx_type(kind))

    def refuse(self, why: str) -> NoReturn:
        """Refuse to lower the present operator."""
        raise refusal(self.op, f"can't be written in ONNX: {why}")


def onnx_type(numpy_type: Any) -> int:
    """ONNX's number for a NumPy type."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(numpy_type)))


def refusal(op: Op, what: str, advice: str = "Write it with other operators") -> UnsupportedOpError:
    """The error for an operator: which, where in the model, and what to do."""
    place, code = op.source
    where = f" in {op.where.strip('/')}" if op.where.strip("/") else ""
    line = f" ({place}: {code})" if place else ""
    msg = (
        f"Operator {op.short}{where}{line} {what}. {advice}, or teach SlimLab "
        f'with @lowering_rule("{op.name}") as docs/add-an-operator.md shows.'
    )
    return UnsupportedOpError(msg, operator=op.name, layer=op.where, source=place)


def _live(program: Program) -> set[int]:
    """Ids of the values that the outputs depend on."""
    live = {value.id for value in program.outputs}
    for op in reversed(program.ops):
        if any(v is not None and v.id in live for v in op.outputs):
            live.update(v.id for v in _read(op))
    return live


def _read(op: Op) -> Iterable[Value]:
    return (v for v in (*op.inputs, *op.captured) if v is not None)

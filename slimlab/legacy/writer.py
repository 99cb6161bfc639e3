"""Floor 1. What rules write into: nodes and variables of an inference model.

What is known before the network runs (sizes, axes, constants) is worked out by `slimlab.lowering`.
Knows no operator of Paddle's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray
from paddle import Tensor

from slimlab.errors import UnwritableError
from slimlab.legacy.files import FEED, FETCH
from slimlab.legacy.network import Attribute, Network, Node, Variable
from slimlab.legacy.style import Style
from slimlab.lowering import Builder
from slimlab.lowering.network import fold
from slimlab.trace import Op, Program, Value

# What a slot of an operator may be given: traced values, names, arrays (which are stored).
Operand: TypeAlias = Value | str | np.ndarray | Sequence["Value | str"] | None
# What a slot may make: traced values, names, or a shape of a float32 variable of the rule's own.
Made: TypeAlias = Value | Sequence["Value | str"] | tuple[int, ...] | str


class Writer:
    """Collects nodes and variables.

    Parameters
    ----------
    program
        Without operators that overwrite their inputs.
    state
        Tensors of the model by name.
    style
        Who the file is for.

    Attributes
    ----------
    known
        Knows constants, lists, and the names of values.
    op
        The operator that is being written.
    """

    def __init__(self, program: Program, state: Mapping[str, Tensor], style: Style) -> None:
        self.known = Builder(program, state)
        self.style = style
        self.program = program
        self.nodes: list[Node] = []
        self.variables: dict[str, Variable] = {}
        self.op = Op("", (), ())
        self._state = state
        self._fresh = 0
        self._makers: dict[int, Op] = {}

    def start(self, op: Op) -> None:
        """Turn to the next operator."""
        self.op, self._fresh = op, 0
        self.known.start(op)
        self._makers.update((v.id, op) for v in op.outputs if v is not None)

    def fold(self, op: Op) -> None:
        """Work out what an operator makes of constants."""
        fold(op, self.known)

    def emit(
        self,
        kind: str,
        inputs: Mapping[str, Operand],
        outputs: Mapping[str, Made],
        **attributes: Attribute | None,
    ) -> str:
        """Write a node and give the name of its first output.

        Slots that are given None, and attributes that are None, are left out.
        """
        taken = {slot: self._read(operand) for slot, operand in inputs.items()}
        made = {slot: self._made(output) for slot, output in outputs.items()}
        node = Node(
            kind,
            {slot: names for slot, names in taken.items() if names},
            {slot: names for slot, names in made.items() if names},
            {name: value for name, value in attributes.items() if value is not None},
        )
        if not self.style.knows(kind):
            self.refuse(f"it has no operator {kind!r}")
        self.nodes.append(node)
        return next(iter(made.values()))[0]

    def also(self, outputs: Mapping[str, str]) -> None:
        """Let the last node write over variables that it reads."""
        last = self.nodes[-1]
        more = {slot: (name,) for slot, name in outputs.items()}
        self.nodes[-1] = replace(last, outputs={**last.outputs, **more})

    def same(self, x: Value, y: Value) -> None:
        """Let a value be read under the name of another one, without a node."""
        self.known.names[y.id] = self.name(x)
        if (numbers := self.known.known(x)) is not None:
            self.known.set_constant(y, numbers)

    def name(self, operand: Value | str | np.ndarray) -> str:
        """The name of a variable that a node reads; constants and parameters are stored."""
        if isinstance(operand, str):
            return operand
        if isinstance(operand, np.ndarray):
            return self._constant(operand)
        numbers = self.known.known(operand)
        if numbers is not None:
            return self._constant(numbers)
        if operand.parameter and operand.parameter not in self.variables:
            self.store(operand.parameter, self._state[operand.parameter].numpy())
        return self.known.names[operand.id]

    def store(self, name: str, numbers: NDArray[np.generic]) -> str:
        """Make a stored variable of a name, once."""
        if name in (FEED, FETCH):
            self.refuse(f"its tensor {name!r} has a name that programs keep for themselves")
        numbers = np.ascontiguousarray(numbers).reshape(numbers.shape)
        self.variables.setdefault(name, Variable(name, numbers.dtype.name, numbers.shape, numbers))
        return name

    def maker(self, value: Value | None) -> Op | None:
        """The operator that made a value."""
        return None if value is None else self._makers.get(value.id)

    def fresh(self, shape: Sequence[int], dtype: str = "float32") -> str:
        """Declare a variable of the rule's own."""
        first = next(v for v in self.op.outputs if v is not None)
        self._fresh += 1
        name = f"v{first.id}_{self._fresh}"
        self.variables[name] = Variable(name, dtype, tuple(shape))
        return name

    def numbers(self, value: Value | None) -> list[float]:
        """The numbers of a constant operand."""
        return self.known.numbers(value)

    def integers(self, value: Value | None) -> list[int]:
        """The numbers of a constant operand, as whole numbers."""
        return [int(n) for n in self.numbers(value)]

    def items(self, value: Value | None) -> list[Value]:
        """The tensors of a list."""
        return self.known.items(value)

    def array(self, value: Value | None) -> np.ndarray | None:
        """The numbers of a constant or a parameter."""
        return self.known.array(value)

    def used(self, value: Value | None) -> bool:
        """Whether the outputs depend on a value."""
        return self.known.used(value)

    def refuse(self, why: str) -> NoReturn:
        """Refuse to write the present operator.

        Raises
        ------
        UnwritableError
            Always.
        """
        place, code = self.op.source
        where = f" in {self.op.where.strip('/')}" if self.op.where.strip("/") else ""
        line = f" ({place}: {code})" if place else ""
        what = f"Operator {self.op.short}{where}{line}"
        msg = f"{what} can't be written for {self.style.reader}: {why}."
        raise UnwritableError(msg, operator=self.op.name, layer=self.op.where, source=place)

    def network(self) -> Network:
        """What was written, with outputs of their own names."""
        outputs = []
        for number, value in enumerate(self.program.outputs):
            wanted, found = f"output_{number}", self.name(value)
            if found != wanted:
                self.variables[wanted] = Variable(wanted, value.dtype, value.shape)
                self.nodes.append(Node("assign", {"X": (found,)}, {"Out": (wanted,)}))
            outputs.append(wanted)
        inputs = [self.known.names[value.id] for value in self.program.inputs]
        entering = {
            name: Variable(name, value.dtype, value.shape)
            for name, value in zip(inputs, self.program.inputs, strict=True)
        }
        known = {**entering, **self.variables}
        return Network(tuple(self.nodes), known, tuple(inputs), tuple(outputs)).tidied()

    def _read(self, operand: Operand) -> tuple[str, ...]:
        if operand is None:
            return ()
        if isinstance(operand, (Value, str, np.ndarray)):
            return (self.name(operand),)
        return tuple(self.name(each) for each in operand)

    def _made(self, output: Made) -> tuple[str, ...]:
        if isinstance(output, str):
            return (output,)
        if isinstance(output, Value):
            output = (output,)
        if output and isinstance(output[0], int):
            return (self.fresh(output),)  # type: ignore[arg-type]
        return tuple(each if isinstance(each, str) else self._declared(each) for each in output)  # type: ignore[arg-type]

    def _declared(self, value: Value) -> str:
        name = self.known.names[value.id]
        self.variables[name] = Variable(name, self.known.type_of(value), value.shape)
        return name

    def _constant(self, numbers: np.ndarray) -> str:
        for name, variable in self.variables.items():
            if name.startswith("const_") and variable.numbers is not None:
                there = variable.numbers
                same = there.dtype == numbers.dtype and there.shape == numbers.shape
                if same and there.tobytes() == numbers.tobytes():
                    return name
        count = sum(name.startswith("const_") for name in self.variables)
        return self.store(f"const_{count}", np.asarray(numbers))

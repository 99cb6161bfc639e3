"""Floor 2. Which layer feeds which: read from a traced copy whose layers leave marks.

A traced program knows operators, not layers' names. So each layer without layers of its own marks
what goes in and what comes out with a `scale` by one, whose number says whose it is. What lies
between two marks of a layer is the layer's own; the rest is Python's.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import paddle
from paddle import Tensor
from paddle.nn import Layer

from slimlab.layers import Tensors, sublayers
from slimlab.trace import Op, Program, Value, trace_program

MARK = 1_000_000  # added by no network; float32 is exact to 16 million
JOINS = ("pd_op.add", "pd_op.add_", "pd_op.concat")
# What moves or picks values of a grid, and makes none that are not on it.
MOVES = (
    "relu", "reshape", "transpose", "flatten", "squeeze", "unsqueeze", "max_pool2d_with_index",
    "pool2d", "slice", "dropout", "assign", "share_data",
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A layer's call: the values that went in and came out."""

    layer: str
    given: int
    made: int


@dataclass
class Survey:
    """Layers and joins of a traced network.

    Attributes
    ----------
    calls
        In execution order.
    joins
        For each addition and concatenation outside of layers, the values that meet, by their ids.
    makers, readers, by_made, aliases
        By a value's id: the operator outside of layers that made it; how often it is read; the call
        that made it; the value that it is again behind a layer that does nothing.
    """

    calls: list[Call] = field(default_factory=list)
    joins: list[tuple[int, ...]] = field(default_factory=list)
    makers: dict[int, Op] = field(default_factory=dict)
    readers: dict[int, int] = field(default_factory=dict)
    by_made: dict[int, Call] = field(default_factory=dict)
    aliases: dict[int, int] = field(default_factory=dict)

    def same(self, value: int) -> int:
        """A value, or the one that it is under another number."""
        return self.aliases.get(value, value)

    @property
    def order(self) -> list[str]:
        """Layers in the order of their first call."""
        return list(dict.fromkeys(call.layer for call in self.calls))

    def once(self, layer: str) -> Call | None:
        """The call of a layer that is called exactly once."""
        found = [call for call in self.calls if call.layer == layer]
        return found[0] if len(found) == 1 else None

    def feeder(self, call: Call) -> Call | None:
        """The call whose output is this call's input, as it is."""
        return self.by_made.get(call.given)

    def only_reader(self, call: Call) -> bool:
        """Whether nothing but one call, or one operator, reads what a call made."""
        return self.readers.get(call.made, 0) == 1

    def source(self, value: int) -> Call | None:
        """The call that made a value, perhaps moved or picked from since."""
        while value not in self.by_made:
            op = self.makers.get(value)
            if op is None or op.short.removesuffix("_") not in MOVES or op.inputs[0] is None:
                return None
            value = self.same(op.inputs[0].id)
        return self.by_made[value]

    def ancestor(self, value: int, kinds: Collection[str]) -> str | None:
        """The nearest layer of some back along a value's first inputs; None past a join."""
        while True:
            call = self.source(value)
            if call is None or call.layer in kinds:
                return None if call is None else call.layer
            value = call.given


def survey(model: Layer, example: Tensor | Sequence[Tensor]) -> Survey:
    """Trace a marked copy of a model in evaluation mode. The model is not changed.

    Raises
    ------
    UnsupportedOpError
        When Paddle can't trace the model.
    """
    marked = copy.deepcopy(model)
    marked.eval()
    names = [name for name, layer in sublayers(marked).items() if name and not layer._sub_layers]
    layers = sublayers(marked)
    for number, name in enumerate(names):
        layers[name].register_forward_pre_hook(_before(2 * number))
        layers[name].register_forward_post_hook(_after(2 * number + 1))
    return _read(trace_program(marked, example), names)


def _before(number: int) -> Any:
    def mark(layer: Layer, inputs: tuple[Any, ...]) -> Any:
        if not inputs or not _is_float(inputs[0]):
            return None
        return (_marked(inputs[0], number), *inputs[1:])

    return mark


def _after(number: int) -> Any:
    def mark(layer: Layer, inputs: tuple[Any, ...], output: Any) -> Any:
        return _marked(output, number) if _is_float(output) else None

    return mark


def _is_float(x: Any) -> bool:
    return hasattr(x, "dtype") and hasattr(x, "shape") and "float32" in str(x.dtype).lower()


def _marked(x: Any, number: int) -> Any:
    return paddle.scale(x, scale=1.0, bias=float(MARK + number))


def _number(op: Op, count: int) -> int | None:
    """The number of a mark."""
    if op.name not in {"pd_op.scale", "pd_op.scale_"}:
        return None
    number = float(op.attributes.get("bias", 0.0)) - MARK
    return int(number) if number == int(number) and 0 <= number < 2 * count else None


def _read(program: Program, names: Sequence[str]) -> Survey:
    found = Survey()
    open_calls: list[tuple[int, int, int]] = []  # layer's number, value before, value inside
    items: dict[int, tuple[Value | None, ...]] = {}
    for op in program.ops:
        number = _number(op, len(names))
        given, made = _first(op.inputs), _first(op.outputs)
        if op.name == "builtin.combine" and made is not None:
            items[made.id] = op.inputs
        if number is None or given is None or made is None:
            if not open_calls:
                _outside(found, op, items)
        elif number % 2 == 0:
            open_calls.append((number // 2, found.same(given.id), made.id))
            _count(found, given.id)
        elif open_calls and open_calls[-1][0] == number // 2:
            _, before, inside = open_calls.pop()
            if inside == given.id:  # a layer that does nothing here, such as an Identity
                found.aliases[made.id] = before
                found.readers[before] -= 1
                continue
            call = Call(names[number // 2], before, made.id)
            found.calls.append(call)
            found.by_made[call.made] = call
    for value in program.outputs:
        _count(found, value.id)
    return found


def _first(values: Sequence[Value | None]) -> Value | None:
    return next((value for value in values if value is not None), None)


def _outside(found: Survey, op: Op, items: Mapping[int, tuple[Value | None, ...]]) -> None:
    """Record an operator that lies in no layer."""
    for value in op.inputs:
        if value is not None:
            _count(found, value.id)
    for value in op.outputs:
        if value is not None:
            found.makers[value.id] = op
    if op.name not in JOINS or op.inputs[0] is None:
        return
    met = items[op.inputs[0].id] if op.name == "pd_op.concat" else op.inputs[:2]
    known = [value for value in met if value is not None and value.parameter is None]
    if len(known) >= 2:
        found.joins.append(tuple(found.same(value.id) for value in known))


def _count(found: Survey, value: int) -> None:
    value = found.same(value)
    found.readers[value] = found.readers.get(value, 0) + 1


def own_weights(model: Layer) -> set[str]:
    """Layers whose weight no other layer uses."""
    slots = Tensors.of(model).slots
    shared = {slot.layer for places in slots.values() if len(places) > 1 for slot in places}
    return set(sublayers(model)) - shared

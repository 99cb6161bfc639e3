"""Floor 1. What Paddle itself says of its operators: names of slots, names and types of attributes.

Whatever is written is held against it, so that no file names a slot or an attribute that Paddle
has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from paddle.base.framework import OpProtoHolder
from paddle.base.proto import framework_pb2 as proto

from slimlab.errors import ExportError
from slimlab.legacy.network import Attribute, Node

# What Paddle has no attribute for any more, and what its older readers ask for.
COMPARE = ("equal", "not_equal", "greater_than", "greater_equal", "less_than", "less_equal")
OLDER = {
    ("mish", "threshold"): proto.FLOAT,
    ("relu6", "threshold"): proto.FLOAT,
    ("swish", "beta"): proto.FLOAT,
    **{(kind, "force_cpu"): proto.BOOLEAN for kind in COMPARE},
    ("set_value", "bool_values"): proto.INTS,
    ("set_value", "int32_values"): proto.INTS,
    ("set_value", "int64_values"): proto.LONGS,
    ("set_value", "fp32_values"): proto.FLOATS,
}
# Type of an attribute -> the field that holds it, and what it is made of.
FIELDS: dict[int, tuple[str, type]] = {
    proto.INT: ("i", int), proto.FLOAT: ("f", float), proto.STRING: ("s", str),
    proto.INTS: ("ints", int), proto.FLOATS: ("floats", float), proto.STRINGS: ("strings", str),
    proto.BOOLEAN: ("b", bool), proto.BOOLEANS: ("bools", bool), proto.LONG: ("l", int),
    proto.LONGS: ("longs", int), proto.FLOAT64: ("float64", float),
}  # fmt: skip


@dataclass(frozen=True)
class Schema:
    """An operator as Paddle knows it.

    Attributes
    ----------
    inputs, outputs
        Names of slots.
    attributes
        Name -> type, in the numbers of `framework.proto`.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, int]


@cache
def schema_of(kind: str) -> Schema:
    """What Paddle says of an operator.

    Raises
    ------
    ExportError
        When it has none of this name.

    Examples
    --------
    >>> from slimlab.legacy.schema import schema_of
    >>> schema_of("conv2d").inputs
    ('Input', 'Filter')
    """
    try:
        known: Any = OpProtoHolder.instance().get_op_proto(kind)
    except (KeyError, ValueError, AssertionError) as error:
        msg = f"Paddle has no operator {kind!r} in its programs."
        raise ExportError(msg, operator=kind) from error
    types = {one.name: int(one.type) for one in known.attrs}
    types |= {name: kind_ for (owner, name), kind_ in OLDER.items() if owner == kind}
    return Schema(
        tuple(one.name for one in known.inputs), tuple(one.name for one in known.outputs), types
    )


def check(node: Node) -> None:
    """Hold an operator against its schema.

    Raises
    ------
    ExportError
        When it has a slot or an attribute that Paddle's has not.
    """
    schema = schema_of(node.kind)
    for word, found, known in (
        ("input", node.inputs, schema.inputs),
        ("output", node.outputs, schema.outputs),
        ("attribute", node.attributes, tuple(schema.attributes)),
    ):
        for name in found:
            if name not in known:
                msg = f"Paddle's operator {node.kind!r} has no {word} {name!r}; it has {known}."
                raise ExportError(msg, operator=node.kind, name=name)


def fill(message: Any, kind: str, name: str, value: Attribute) -> None:
    """Write an attribute into its message, in the type that Paddle gives it."""
    number = schema_of(kind).attributes[name]
    place, type_ = FIELDS[number]
    message.name, message.type = name, number
    if isinstance(value, list):
        getattr(message, place).extend(type_(one) for one in value)
    else:
        setattr(message, place, type_(value))

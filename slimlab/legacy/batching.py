"""Floor 1. A network written for two batch sizes, as one for any number of images.

What differs between the two is the batch: sizes of variables, and sizes written into reshapes.
Anything else that differs would be wrong for other batches, and is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np

from slimlab.errors import UnwritableError
from slimlab.legacy.network import Attribute, Network, Node, Variable


def any_batch(first: Network, second: Network, batches: tuple[int, int]) -> Network:
    """Merge two descriptions of one network, made with batches of these sizes.

    Raises
    ------
    UnwritableError
        When a batch size is part of what the network computes.
    """
    if len(first.nodes) != len(second.nodes) or set(first.variables) != set(second.variables):
        _refuse("the number of operators")
    nodes = tuple(
        _merged(one, other, batches) for one, other in zip(first.nodes, second.nodes, strict=True)
    )
    variables = {
        name: _variable(one, second.variables[name]) for name, one in first.variables.items()
    }
    return replace(first, nodes=nodes, variables=variables)


def _merged(one: Node, other: Node, batches: tuple[int, int]) -> Node:
    what = f"operator {one.kind} that makes {next(iter(one.makes), '')!r}"
    if (one.kind, one.inputs, one.outputs) != (other.kind, other.inputs, other.outputs):
        _refuse(what)
    if set(one.attributes) != set(other.attributes):
        _refuse(what)
    changed: dict[str, Attribute] = {}
    for name, value in one.attributes.items():
        twin = other.attributes[name]
        if value != twin:
            if (one.kind, name) != ("reshape2", "shape"):
                _refuse(f"{name} of {what}")
            changed[name] = _shape(value, twin, batches, what)  # type: ignore[arg-type]
    return replace(one, attributes={**one.attributes, **changed})


def _shape(one: list[int], two: list[int], batches: tuple[int, int], what: str) -> list[int]:
    """A size that is a multiple of the batch is worked out from the others."""
    apart = [n for n, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    for n in apart:
        if one[n] % batches[0] or one[n] // batches[0] * batches[1] != two[n]:
            _refuse(f"a size of {what}")
    if len(apart) != 1 or -1 in one:
        _refuse(f"more than one size of {what}")
    return [-1 if n in apart else size for n, size in enumerate(one)]


def _variable(one: Variable, other: Variable) -> Variable:
    if one.dtype != other.dtype or len(one.shape) != len(other.shape):
        _refuse(f"the shape of {one.name!r}")
    if one.numbers is not None:
        same = other.numbers is not None and np.array_equal(one.numbers, other.numbers)
        if not same:
            _refuse(f"constant {one.name!r}")
        return one
    sizes = zip(one.shape, other.shape, strict=True)
    return replace(one, shape=tuple(a if a == b else -1 for a, b in sizes))


def _refuse(what: str) -> NoReturn:
    msg = (
        f"This network can't be written for any number of images: {what} depends on the batch "
        "size. Let forward() give -1 to reshape instead of the batch size."
    )
    raise UnwritableError(msg, found=what)

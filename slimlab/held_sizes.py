"""Floor 1. Numbers of channels that layers remember in attributes, and that shrink with them.

A forward that reads `self.num_heads` or `self.mid_channels` follows a cut if the attribute is cut
as well. Whether it does is for a rehearsal to say; here is what could be tried.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from paddle.nn import Layer

from slimlab.channels import Channels
from slimlab.constraints import Assumption, Atoms, HeldSize
from slimlab.layers import remembered, sublayers

if TYPE_CHECKING:
    from slimlab.gathering import Builder

Numbers = Mapping[str, Mapping[str, int]]


def numbers_of(model: Layer, functions: Iterable[types.FunctionType]) -> Numbers:
    """Layer to the whole numbers in its attributes that some of the network's functions read.

    A number in a list has a name such as `"splits[1]"`.
    """
    read = {name for function in functions for name in _names(function.__code__)}
    found: dict[str, Mapping[str, int]] = dict(remembered(model))
    for name, layer in sublayers(model).items():
        if not type(layer).__module__.startswith("paddle.nn"):
            kept = {a: v for a, v in vars(layer).items() if a in read}
            several = (
                (f"{a}[{place}]", n)
                for a, listed in kept.items()
                if type(listed) in {list, tuple}
                for place, n in enumerate(listed)
            )
            numbers = (*kept.items(), *several)
            found[name] = {a: n for a, n in numbers if type(n) is int and n > 1}
    return {name: numbers for name, numbers in found.items() if numbers}


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def heads_of(
    channels: Channels, along: Atoms, sizes: Sequence[int]
) -> tuple[int, tuple[str, ...]] | None:
    """Which of these axes are the heads of the attention that channels belong to.

    Gives the axis and the attributes of a layer that hold its length, if a layer around the one
    that makes the channels says how many heads it has.
    """
    for layer in _around(channels, along):
        counts = channels.remembered.get(layer, {})
        heads = {name: count for name, count in counts.items() if "head" in name.lower()}
        for n, size in enumerate(sizes) if heads else ():
            names = [name for name, count in heads.items() if count == size]
            if names:
                return n, tuple(_path(layer, name) for name in names)
        if heads:
            return None
    return None


def attached(builder: Builder, numbers: Numbers) -> dict[str, tuple[HeldSize, ...]]:
    """Key of an assumption to the attributes that may be the size that it is about."""
    found: dict[str, list[HeldSize]] = {}
    for assumption in builder.channels.assumptions:
        found.setdefault(assumption.key, []).extend(_sizes_of(builder, assumption, numbers))
    return {key: tuple(sizes) for key, sizes in found.items() if sizes}


def _sizes_of(builder: Builder, assumption: Assumption, numbers: Numbers) -> list[HeldSize]:
    counted = assumption.counted
    layers = list(_around(builder.channels, counted))
    if counted.size and counted[0] >= 0:
        # Then those around what it is tied to: what reads it may lie in the layer that splits it.
        tied = np.flatnonzero(builder.channel == builder.solution.component[counted[0]])
        axes = dict.fromkeys(builder.axes[n].parameter for n in builder.which[tied].tolist())
        layers += [layer for parameter in axes for layer in _outwards(parameter)]
    for layer in sorted(dict.fromkeys(layers), key=lambda layer: not layer):  # the whole model last
        names = [name for name, n in numbers.get(layer, {}).items() if n == len(counted)]
        if names:
            return [HeldSize(_path(layer, name), counted) for name in names]
    return []


def _around(channels: Channels, along: Atoms) -> Iterator[str]:
    """The layers around the one that makes channels, the innermost first."""
    own = channels.maker(along[along >= 0])
    if own is not None:
        yield from _outwards(own.parameter)


def _outwards(parameter: str) -> Iterator[str]:
    layer = parameter.rpartition(".")[0]
    yield layer
    while layer:
        layer = layer.rpartition(".")[0]
        yield layer


def _path(layer: str, attribute: str) -> str:
    return f"{layer}.{attribute}" if layer else attribute

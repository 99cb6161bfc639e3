"""Floor 1. What constraints over channels are made of; `channels.py` gathers and solves them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Atoms = NDArray[np.int64]
FIXED = -1  # an index that can never be removed
Labels = tuple["Atoms | None", ...]  # one entry an axis; None: the axis has a fixed length


@dataclass(frozen=True)
class Axis:
    """An axis of a parameter whose indices can be removed: `("conv1.weight", 0)`."""

    parameter: str
    axis: int


@dataclass(frozen=True)
class Assumption:
    """Channels that may go only if user code reads a size instead of having it written down.

    Attributes
    ----------
    key
        The operator and the line of code that asked for it; one verdict holds for all of a line.
    atoms
        What is frozen when the assumption is wrong.
    reason
        Why, then.
    counted
        Channels of which the size that is given is the number.
    """

    key: str
    atoms: Atoms
    reason: str
    counted: Atoms


@dataclass(frozen=True)
class HeldSize:
    """A number that a layer remembers, which is the number of some channels.

    Attributes
    ----------
    path
        Layer and attribute: `"blocks.0.attn.num_heads"`.
    atoms
        One for each of what it counts.
    """

    path: str
    atoms: Atoms


@dataclass(frozen=True)
class Product:
    """Multiply-adds between activations: the product of the lengths of these axes.

    Attributes
    ----------
    layer
        Structured name of the layer it belongs to.
    axes
        Length of each axis, with its atoms when it can shrink.
    """

    layer: str
    axes: tuple[tuple[int, Atoms | None], ...]


@dataclass(frozen=True, eq=False)
class Solution:
    """Channels as connected components of atoms.

    Attributes
    ----------
    component
        Shape `(atoms,)`: the channel each atom belongs to.
    reason
        Shape `(channels,)`: index into `reasons`, -1 where the channel can be removed.
    reasons
        Sentences.
    sizes
        Numbers that layers remember and that shrink with channels.
    """

    component: Atoms
    reason: Atoms
    reasons: tuple[str, ...]
    sizes: tuple[HeldSize, ...] = ()

"""Floor 1. MACs, parameters and bytes of a network as a function of its group widths.

Every tensor costs a coefficient times the product of its axes' lengths, and an axis is a constant
plus a whole number of indices for every channel that is kept. So the cost of any widths is a few
array operations: exact, and fast enough for a slider. The same numbers, as JSON, serve the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from slimlab.errors import PlanError, nearest


@dataclass(frozen=True)
class Length:
    """Length of one axis: `constant + sum(times * kept[group])`.

    Attributes
    ----------
    constant
        Indices that always stay.
    per_group
        Pairs (group number, indices that each channel of it owns).
    """

    constant: int
    per_group: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Term:
    """What one tensor costs, before its prunable axes are multiplied in.

    Attributes
    ----------
    layer
        The layer the tensor lies in.
    macs, params, size
        Multiply-adds an image, trainable parameters and bytes on disk, each for one element of the
        product of `factors`.
    factors
        Lengths of the axes that can shrink.
    """

    layer: str
    macs: int
    params: int
    size: int
    factors: tuple[Length, ...]


@dataclass(frozen=True)
class Totals:
    """MACs an image, trainable parameters and bytes on disk of a whole network."""

    macs: int
    params: int
    bytes: int


def removed_share(whole: int, left: int) -> float:
    """Share of a cost that is removed, 0 to 1; of nothing, nothing can be.

    Examples
    --------
    >>> from slimlab.cost import removed_share
    >>> removed_share(8, 6), removed_share(0, 0)
    (0.25, 0.0)
    """
    return 1 - left / whole if whole else 0.0


@dataclass(frozen=True)
class Cost:
    """Cost of a network for any number of kept channels.

    Attributes
    ----------
    groups
        Names of the channel groups.
    widths
        Channels of each group before pruning.
    terms
        One a tensor.

    Examples
    --------
    >>> from slimlab.cost import Cost, Length, Term
    >>> both = (Length(0, ((0, 1),)), Length(0, ((1, 1),)))      # a 1x1 convolution, 4 -> 8
    >>> cost = Cost(("a", "b"), (4, 8), (Term("b", macs=49, params=1, size=4, factors=both),))
    >>> cost.totals().macs, cost.totals({"a": 2}).macs
    (1568, 784)
    """

    groups: tuple[str, ...]
    widths: tuple[int, ...]
    terms: tuple[Term, ...]

    def totals(self, kept: Mapping[str, int] | Sequence[int] | None = None) -> Totals:
        """Cost with so many channels kept.

        Parameters
        ----------
        kept
            Group name to channels kept (groups left out keep all), or a number for every group.
        """
        sizes = self._sizes(kept)
        macs, params, size = self._coefficients @ sizes
        return Totals(round(macs), round(params), round(size))

    def by_layer(self, kept: Mapping[str, int] | None = None) -> dict[str, Totals]:
        """Cost of each layer with so many channels kept."""
        sizes = self._sizes(kept)
        found: dict[str, Totals] = {}
        for term, size in zip(self.terms, sizes, strict=True):
            old = found.get(term.layer, Totals(0, 0, 0))
            found[term.layer] = Totals(
                old.macs + round(term.macs * size),
                old.params + round(term.params * size),
                old.bytes + round(term.size * size),
            )
        return found

    def shrinking_macs(self) -> int:
        """Multiply-adds of all tensors and products that have an axis which can shrink."""
        sizes = self._sizes(None)
        return sum(
            round(term.macs * size)
            for term, size in zip(self.terms, sizes, strict=True)
            if term.factors
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON for the front end, which computes the same totals while a slider moves."""
        return {
            "groups": list(self.groups),
            "widths": list(self.widths),
            "terms": [
                {
                    "macs": t.macs,
                    "params": t.params,
                    "bytes": t.size,
                    "factors": [[f.constant, [list(p) for p in f.per_group]] for f in t.factors],
                }
                for t in self.terms
            ],
        }

    def _sizes(self, kept: Mapping[str, int] | Sequence[int] | None) -> NDArray[np.float64]:
        widths = np.asarray(self.widths, dtype=np.float64)
        if isinstance(kept, Mapping):
            for name, channels in kept.items():
                if name not in self._number:
                    msg = f"No channel group {name!r}. {nearest(name, self.groups)}"
                    raise PlanError(msg, group=name)
                widths[self._number[name]] = channels
        elif kept is not None:
            widths = np.asarray(kept, dtype=np.float64)
        constants, matrix = self._lengths
        lengths = constants + matrix @ widths
        depth = len(lengths) // max(1, len(self.terms))
        return np.asarray(np.prod(lengths.reshape(len(self.terms), depth), axis=1))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: n for n, name in enumerate(self.groups)}

    @cached_property
    def _coefficients(self) -> NDArray[np.float64]:
        rows = [(t.macs, t.params, t.size) for t in self.terms]
        return np.array(rows, dtype=np.float64).reshape(len(rows), 3).T

    @cached_property
    def _lengths(self) -> tuple[NDArray[np.float64], csr_matrix]:
        """Constant part and matrix of all lengths, each term padded with ones to equal depth.

        A length depends on few groups: the matrix is sparse, or it would grow quadratically.
        """
        depth = max((len(t.factors) for t in self.terms), default=0) or 1
        constants = np.ones(len(self.terms) * depth)
        rows: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        for n, term in enumerate(self.terms):
            for m, factor in enumerate(term.factors):
                constants[n * depth + m] = factor.constant
                for group, times in factor.per_group:
                    rows.append(n * depth + m)
                    columns.append(group)
                    counts.append(times)
        shape = (len(constants), len(self.groups))
        return constants, csr_matrix((counts, (rows, columns)), shape=shape, dtype=np.float64)

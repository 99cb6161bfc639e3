"""Floor 2. Many small tables over two axes, read at once: a slider asks for hundreds of layers.

Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tables:
    """Tables padded to one size.

    Attributes
    ----------
    first, second
        Knots of the two axes, ascending, shapes `(tables, n)` and `(tables, m)`; at least two.
    values
        Shape `(tables, n, m)`.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.timing.interpolate import Tables
    >>> tables = Tables.of([((1, 3), (2,), np.array([[10.0], [20.0]]))])
    >>> tables.look_up(np.array([0, 0]), np.array([2.0, 9.0]), np.array([2.0, 2.0])).tolist()
    [15.0, 20.0]
    """

    first: Array
    second: Array
    values: Array

    @classmethod
    def of(cls, tables: Sequence[tuple[Sequence[int], Sequence[int], Array]]) -> Tables:
        """Pad tables of `(first knots, second knots, values)`."""
        n = max((len(first) for first, _, _ in tables), default=1) + 1
        m = max((len(second) for _, second, _ in tables), default=1) + 1
        ends = [np.empty((len(tables), size)) for size in (n, m)]
        values = np.empty((len(tables), n, m))
        for row, (first, second, table) in enumerate(tables):
            # The last knot and value again, further on: what is beyond keeps the last value.
            for end, knots in zip(ends, (first, second), strict=True):
                more = end.shape[1] - len(knots)
                end[row] = [*knots, *(knots[-1] + 1 + k for k in range(more))]
            fill = ((0, n - len(first)), (0, m - len(second)))
            values[row] = np.pad(table, fill, mode="edge")
        return cls(ends[0], ends[1], values)

    def look_up(self, rows: Rows, first: Array, second: Array) -> Array:
        """Values of tables at points, bilinear and constant beyond the knots; shape `(points,)`."""
        i, s = _place(self.first[rows], first)
        j, t = _place(self.second[rows], second)
        low = self.values[rows, i, j] * (1 - t) + self.values[rows, i, j + 1] * t
        high = self.values[rows, i + 1, j] * (1 - t) + self.values[rows, i + 1, j + 1] * t
        return np.asarray(low * (1 - s) + high * s)


def _place(knots: Array, where: Array) -> tuple[Rows, Array]:
    """The knot before each point, and how far it is on the way to the next."""
    where = np.clip(where, knots[:, 0], knots[:, -1])
    n = np.clip((knots <= where[:, None]).sum(axis=1) - 1, 0, knots.shape[1] - 2)
    rows = np.arange(len(where))
    start, end = knots[rows, n], knots[rows, n + 1]
    return n, (where - start) / (end - start)

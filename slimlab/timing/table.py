"""Floor 2. Measured times of layers by their widths, and what they say of a whole network.

Values only: `measure.py` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from slimlab.cost import Length
from slimlab.errors import ArtifactError, PlanError, nearest
from slimlab.timing.interpolate import Tables
from slimlab.timing.settings import TimingSettings

Array = NDArray[np.float64]
LITTLE = 0.1  # of a layer's time: what its narrowest width saves at least, or it buys no time


@dataclass(frozen=True, eq=False)
class LayerTimes:
    """Milliseconds of one layer by its widths.

    Attributes
    ----------
    layer
        Structured name.
    inputs, outputs
        Its two widths as functions of the groups' channels, groups by number.
    read, made
        Widths that were measured, ascending: `(n,)` and `(m,)`. One number alone where a width
        does not change, and for the inputs of a depthwise convolution, which follow its outputs.
    ms
        Shape `(n, m)`.
    """

    layer: str
    inputs: Length
    outputs: Length
    read: tuple[int, ...]
    made: tuple[int, ...]
    ms: Array

    def at(self, inputs: Array, outputs: Array) -> Array:
        """Milliseconds at any widths, linear between those measured, shapes as broadcast.

        Examples
        --------
        >>> import numpy as np
        >>> from slimlab.cost import Length
        >>> from slimlab.timing import LayerTimes
        >>> free = Length(0, ((0, 1),))
        >>> times = LayerTimes("conv", Length(3), free, (3,), (8, 16), np.array([[1.0, 2.0]]))
        >>> times.at(np.array(3.0), np.array([8.0, 12.0, 16.0])).tolist()
        [1.0, 1.5, 2.0]
        """
        a, b = np.broadcast_arrays(np.asarray(inputs, float), np.asarray(outputs, float))
        table = _tables([self])
        shape = a.shape
        rows = np.zeros(a.size, dtype=np.int64)
        return np.asarray(table.look_up(rows, a.reshape(-1), b.reshape(-1)).reshape(shape))

    def to_dict(self) -> dict[str, Any]:
        """JSON that `from_dict` reads."""
        return {
            "layer": self.layer,
            "inputs": [self.inputs.constant, [list(p) for p in self.inputs.per_group]],
            "outputs": [self.outputs.constant, [list(p) for p in self.outputs.per_group]],
            "read": list(self.read),
            "made": list(self.made),
            "ms": self.ms.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerTimes:
        """Read what `to_dict` wrote."""
        ends = []
        for constant, parts in (data["inputs"], data["outputs"]):
            ends.append(Length(int(constant), tuple((int(g), int(n)) for g, n in parts)))
        read, made = (tuple(int(n) for n in data[name]) for name in ("read", "made"))
        ms = np.asarray(data["ms"], dtype=np.float64)
        if ms.shape != (len(read), len(made)) or not np.isfinite(ms).all():
            msg = f"times of {data['layer']} have shape {ms.shape}"
            raise ValueError(msg)
        return cls(str(data["layer"]), ends[0], ends[1], read, made, ms)


@dataclass(frozen=True)
class Check:
    """A whole network that was measured, beside what the table says of it.

    Attributes
    ----------
    network
        What it was, in a word or two.
    predicted, measured
        Milliseconds.
    fitted
        Whether `TimeTable.base` and `factor` were fitted to it; the others were only checked.
    """

    network: str
    predicted: float
    measured: float
    fitted: bool

    @property
    def error(self) -> float:
        """Share by which the prediction is above what was measured."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True, eq=False)
class TimeTable:
    """Times of a network's layers by width, measured on one machine in one runtime.

    A network's time is predicted as `base + factor * (sum over its layers)`. Both numbers are
    fitted to a few whole networks: layers run one after the other find their input in a cache,
    and what lies between them (additions, pooling, the call itself) takes time too.

    Attributes
    ----------
    layers
        Tables of the layers.
    widths
        Group to the channels that were measured, all first, descending.
    groups
        Names of all groups, in the graph's order, and their channels before pruning.
    base, factor
        Milliseconds, and a number.
    checks
        Whole networks, predicted and measured.
    clock, machine, settings
        What it was measured with.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.timing import TimingSettings
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> few = TimingSettings(levels=2, runs=2, turns=1)
    >>> times = sl.measure_times(
    ...     model, graph, task.example, settings=few, cache=None, progress=False
    ... )
    >>> times.staircase(graph.layers[0])["kept"].tolist()
    [2, 4, 8]
    >>> bool(times.predict({}) > 0)
    True
    """

    layers: tuple[LayerTimes, ...]
    widths: Mapping[str, tuple[int, ...]]
    groups: Mapping[str, int]
    base: float
    factor: float
    checks: tuple[Check, ...]
    clock: str
    machine: str
    settings: TimingSettings = TimingSettings()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", MappingProxyType(dict(self.widths)))
        object.__setattr__(self, "groups", MappingProxyType(dict(self.groups)))

    def sums(self, kept: Mapping[str, int]) -> float:
        """Milliseconds of all layers alone, with so many channels of each group kept."""
        channels = np.array(list(self.groups.values()), dtype=np.float64)
        for name, count in kept.items():
            if name not in self._number:
                msg = f"No channel group {name!r} in this table. {nearest(name, self.groups)}"
                raise PlanError(msg, group=name)
            channels[self._number[name]] = count
        tables, constants, matrix = self._arrays
        lengths = constants + matrix @ channels
        count = len(self.layers)
        found = tables.look_up(np.arange(count), lengths[:count], lengths[count:])
        return float(found.sum())

    def predict(self, kept: Mapping[str, int]) -> float:
        """Milliseconds of the whole network; groups left out keep all channels."""
        return self.base + self.factor * self.sums(kept)

    def removed(self, kept: Mapping[str, int]) -> float:
        """Share of the network's predicted time that is gone."""
        return 1 - self.predict(kept) / self.whole

    @cached_property
    def whole(self) -> float:
        """Milliseconds of the network with all its channels, as predicted."""
        return self.predict({})

    @property
    def error(self) -> float:
        """Largest error of a prediction, as a share, among the networks that nothing was fitted to.

        Not a number where there was none.
        """
        return max((abs(c.error) for c in self.checks if not c.fitted), default=float("nan"))

    def staircase(self, group: str) -> pd.DataFrame:
        """Time of the whole network by the width of one group: `kept, ms, removed`."""
        if group not in self.widths:
            msg = f"The widths of {group!r} were not measured. {nearest(group, self.widths)}"
            raise PlanError(msg, group=group)
        rows = []
        for count in reversed(self.widths[group]):
            ms = self.predict({group: count})
            rows.append((count, ms, 1 - ms / self.whole))
        return pd.DataFrame(rows, columns=["kept", "ms", "removed"])

    @cached_property
    def flat(self) -> tuple[str, ...]:
        """Groups whose narrowing buys no time: the layers they run through take nearly as long."""
        found = []
        for name, widths in self.widths.items():
            number, least = self._number[name], {name: widths[-1]}
            touched = [
                t
                for t in self.layers
                if any(number == g for g, _ in (*t.inputs.per_group, *t.outputs.per_group))
            ]
            part = replace(self, layers=tuple(touched))
            whole = part.sums({})
            if whole > 0 and 1 - part.sums(least) / whole < LITTLE:
                found.append(name)
        return tuple(found)

    @property
    def warning(self) -> str:
        """A sentence on where pruning buys no time, else nothing."""
        if not self.flat:
            return ""
        named = ", ".join(self.flat[:4]) + (" and others" if len(self.flat) > 4 else "")
        return (
            f"Pruning buys no time in {named}: at the narrowest width measured, the layers "
            f"concerned still take more than {1 - LITTLE:.0%} of their time."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a layer and pair of widths: `layer, inputs, outputs, ms`."""
        rows = [
            (t.layer, a, b, float(t.ms[i, j]))
            for t in self.layers
            for i, a in enumerate(t.read)
            for j, b in enumerate(t.made)
        ]
        return pd.DataFrame(rows, columns=["layer", "inputs", "outputs", "ms"])

    def checks_frame(self) -> pd.DataFrame:
        """One row a whole network: `network, predicted, measured, error, fitted`."""
        rows = [(c.network, c.predicted, c.measured, c.error, c.fitted) for c in self.checks]
        return pd.DataFrame(rows, columns=["network", "predicted", "measured", "error", "fitted"])

    def __str__(self) -> str:
        head = (
            f"{len(self.layers)} layers, {self.whole:.3f} ms for {self.settings.batch} images "
            f"({self.clock}; {self.machine})"
        )
        lines = [
            f"  {c.network}: {c.predicted:.3f} ms predicted, {c.measured:.3f} ms measured "
            f"({c.error:+.1%}{', fitted to it' if c.fitted else ''})"
            for c in self.checks
        ]
        return "\n".join([head, *lines, *([self.warning] if self.warning else [])])

    def to_dict(self) -> dict[str, Any]:
        """JSON that `from_dict` reads back."""
        return {
            "layers": [t.to_dict() for t in self.layers],
            "widths": {name: list(widths) for name, widths in self.widths.items()},
            "groups": dict(self.groups),
            "base": self.base,
            "factor": self.factor,
            "checks": [vars(c).copy() for c in self.checks],
            "clock": self.clock,
            "machine": self.machine,
            "settings": asdict(self.settings),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TimeTable:
        """Read what `to_dict` wrote.

        Raises
        ------
        ArtifactError
            When something is missing or of another kind.
        """
        try:
            return cls(
                tuple(LayerTimes.from_dict(one) for one in data["layers"]),
                {str(name): tuple(map(int, kept)) for name, kept in data["widths"].items()},
                {str(name): int(width) for name, width in data["groups"].items()},
                float(data["base"]),
                float(data["factor"]),
                tuple(Check(**one) for one in data["checks"]),
                str(data["clock"]),
                str(data["machine"]),
                TimingSettings(**data["settings"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, PlanError) as error:
            msg = f"This is no table of times: {type(error).__name__} at {error}."
            raise ArtifactError(msg) from error

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: n for n, name in enumerate(self.groups)}

    @cached_property
    def _arrays(self) -> tuple[Tables, Array, csr_matrix]:
        """All layers' tables, and their inputs' then outputs' lengths: constants and a matrix."""
        lengths = [*(t.inputs for t in self.layers), *(t.outputs for t in self.layers)]
        entries = [(n, g, k) for n, one in enumerate(lengths) for g, k in one.per_group]
        rows, columns, counts = zip(*entries, strict=True) if entries else ((), (), ())
        shape = (len(lengths), len(self.groups))
        matrix = csr_matrix((counts, (rows, columns)), shape=shape, dtype=np.float64)
        return _tables(self.layers), np.array([one.constant for one in lengths]), matrix


def _tables(layers: Sequence[LayerTimes]) -> Tables:
    return Tables.of([(t.read, t.made, t.ms) for t in layers])

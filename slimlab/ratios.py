"""Floor 1. Pruning ratios by layer, and the scope they may be chosen in. Knows no model."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from slimlab.errors import PlanError, nearest

if TYPE_CHECKING:
    from slimlab.graph import ChannelGroup, Graph


class Ratios(Mapping[str, float]):
    """Layer to pruning ratio: the share of its output channels that is removed, in [0, 1).

    Immutable. Layers left out keep all channels.

    Raises
    ------
    PlanError
        When a ratio is no number in [0, 1).

    Examples
    --------
    >>> import slimlab as sl
    >>> ratios = sl.Ratios({"conv1": 0.25})
    >>> ratios.replace("conv2", 0.5)
    Ratios({'conv1': 0.25, 'conv2': 0.5})
    >>> sl.Ratios({"conv1": 1.2})
    Traceback (most recent call last):
    slimlab.errors.PlanError: Pruning ratio 1.2 for layer 'conv1' is outside [0, 1): it is the
    share \
of channels removed, and at least one has to stay.
    """

    def __init__(self, ratios: Mapping[str, float] | None = None) -> None:
        checked = {str(layer): _checked(layer, r) for layer, r in dict(ratios or {}).items()}
        self._ratios = MappingProxyType(checked)

    def __getitem__(self, layer: str) -> float:
        return self._ratios[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ratios)

    def __len__(self) -> int:
        return len(self._ratios)

    def __hash__(self) -> int:
        return hash(frozenset(self._ratios.items()))

    def __repr__(self) -> str:
        return f"Ratios({dict(self._ratios)!r})"

    def replace(self, layer: str, ratio: float) -> Ratios:
        """The same ratios with one layer's changed."""
        return Ratios({**self._ratios, layer: ratio})

    def to_dict(self) -> dict[str, float]:
        """A plain dictionary, for JSON."""
        return dict(self._ratios)

    def to_frame(self) -> pd.DataFrame:
        """One row a layer: `layer, ratio`."""
        return pd.DataFrame(list(self._ratios.items()), columns=["layer", "ratio"])

    def of_groups(self, graph: Graph) -> dict[str, float]:
        """Ratio of each channel group of a graph.

        Raises
        ------
        PlanError
            For a layer that does not exist or can't be pruned, and for two layers whose channels
            are tied (as by a residual addition) with different ratios.
        """
        found: dict[str, tuple[str, float]] = {}
        for layer, ratio in self._ratios.items():
            name = graph.group(layer).name
            other, known = found.setdefault(name, (layer, ratio))
            if known != ratio:
                msg = (
                    f"Layers {other!r} and {layer!r} are tied: their channels go together. They "
                    "have "
                    f"ratios {known} and {ratio}; give one of them."
                )
                raise PlanError(msg, layers=(other, layer), ratios=(known, ratio))
        return {name: ratio for name, (_, ratio) in found.items()}


def _checked(layer: object, ratio: object) -> float:
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)):
        try:
            ratio = float(ratio)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            msg = f"Pruning ratio {ratio!r} for layer {layer!r} is no number; give one in [0, 1)."
            raise PlanError(msg, layer=layer, ratio=ratio) from None
    if not 0 <= ratio < 1 or math.isnan(ratio):
        msg = (
            f"Pruning ratio {ratio} for layer {layer!r} is outside [0, 1): it is the share of "
            "channels "
            "removed, and at least one has to stay."
        )
        raise PlanError(msg, layer=layer, ratio=ratio)
    return float(ratio)


def kept_channels(width: int, ratio: float) -> int:
    """Channels that stay of `width` when the share `ratio` is removed: at least one.

    Examples
    --------
    >>> from slimlab.ratios import kept_channels
    >>> kept_channels(64, 0.3125), kept_channels(4, 0.99)
    (44, 1)
    """
    return max(1, width - round(width * ratio))


@dataclass(frozen=True)
class Scope:
    """Which layers may be pruned.

    Attributes
    ----------
    include, exclude
        Regular expressions, searched for in the names of the layers that make a group's channels. A
        group is in scope when one of its layers matches `include` and none matches `exclude`.
    min_channels
        Groups narrower than this are left alone.

    Raises
    ------
    PlanError
        For an expression that can't be compiled.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.Scope(include="pointwise", exclude="conv6")
    Scope(include='pointwise', exclude='conv6', min_channels=2)
    """

    include: str = ""
    exclude: str | None = None
    min_channels: int = 2

    def __post_init__(self) -> None:
        for word, pattern in (("include", self.include), ("exclude", self.exclude)):
            try:
                re.compile(pattern or "")
            except re.error as error:
                msg = f"Scope {word}={pattern!r} is no regular expression: {error}."
                raise PlanError(msg, pattern=pattern) from None

    def groups(self, graph: Graph) -> tuple[ChannelGroup, ...]:
        """The groups of a graph that are in scope.

        Raises
        ------
        PlanError
            When there is none.
        """
        found = tuple(group for group in graph.groups if self._holds(group))
        if not found:
            msg = (
                f"No prunable layer of {graph.model} is in scope (include={self.include!r}, "
                f"exclude={self.exclude!r}, min_channels={self.min_channels}). "
                f"{nearest(self.include, graph.layers)}"
            )
            raise PlanError(msg, scope=self)
        return found

    def _holds(self, group: ChannelGroup) -> bool:
        names: Iterable[str] = dict.fromkeys((*group.layers, group.name))
        wanted = any(re.search(self.include, name) for name in names)
        barred = self.exclude is not None and any(re.search(self.exclude, n) for n in names)
        return wanted and not barred and group.width >= self.min_channels

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


def kept_channels(width: int, ratio: float, *, multiple: int = 1, least: int = 1) -> int:
    """Channels that stay of `width` when the share `ratio` is removed: at least one.

    Parameters
    ----------
    width
        Channels before.
    ratio
        Share of them to remove.
    multiple
        What the number kept is rounded to, as hardware likes it; 1 is off. Never more than `width`,
        never nothing.
    least
        Channels that stay at any ratio.

    Examples
    --------
    >>> from slimlab.ratios import kept_channels
    >>> kept_channels(64, 0.3125), kept_channels(4, 0.99)
    (44, 1)
    >>> kept_channels(64, 0.3125, multiple=8), kept_channels(20, 0.9, multiple=8, least=10)
    (48, 16)
    """
    if ratio == 0:
        return width
    kept = max(1, least, width - round(width * ratio))
    if multiple > 1:
        kept = max(multiple, math.floor(kept / multiple + 0.5) * multiple)
        kept += multiple if kept < least else 0
    return min(width, kept)


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
    types, exclude_types
        Class names of layers, such as `"Conv2D"`: one of a group's layers must have one of `types`
        (any when empty), and none one of `exclude_types`.
    multiple
        What the number of channels kept is rounded to; 1 is off, 8 suits most hardware.
    least
        Channels that each group keeps at any ratio.

    Raises
    ------
    PlanError
        For an expression that can't be compiled, or a number below one.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.Scope(include="pointwise", exclude="conv6").multiple
    1
    >>> task = sl.load_task("digits")
    >>> graph = sl.trace(sl.load_model("vgg", task), task.example)
    >>> ratios = sl.uniform_ratios(graph, ratio=0.4, scope=sl.Scope(multiple=8))
    >>> {kept % 8 for _, kept in sl.preview(graph, ratios).widths.values()}
    {0}
    """

    include: str = ""
    exclude: str | None = None
    min_channels: int = 2
    types: tuple[str, ...] = ()
    exclude_types: tuple[str, ...] = ()
    multiple: int = 1
    least: int = 1

    def __post_init__(self) -> None:
        for word, pattern in (("include", self.include), ("exclude", self.exclude)):
            try:
                re.compile(pattern or "")
            except (re.error, OverflowError, RecursionError) as error:
                msg = f"Scope {word}={pattern!r} is no regular expression: {error}."
                raise PlanError(msg, pattern=pattern) from None
        for word, number in (("multiple", self.multiple), ("least", self.least)):
            if number < 1:
                msg = f"Scope {word}={number} makes no sense; give 1 or more."
                raise PlanError(msg, number=number)

    def kept(self, width: int, ratio: float) -> int:
        """Channels that stay of a group of `width` at a ratio, within this scope."""
        return kept_channels(width, ratio, multiple=self.multiple, least=self.least)

    def align(self, graph: Graph, ratios: Mapping[str, float]) -> Ratios:
        """The ratios that keep as many channels as this scope allows, so that all else follows.

        What is planned, previewed and drawn counts `width - round(width * ratio)` channels; for the
        ratios given back that number is rounded already.
        """
        found = {}
        for layer, ratio in Ratios(ratios).items():
            width = graph.group(layer).width
            found[layer] = ratio if self._is_plain else 1 - self.kept(width, ratio) / width
        return Ratios(found)

    @property
    def _is_plain(self) -> bool:
        return self.multiple == 1 and self.least == 1

    def groups(self, graph: Graph) -> tuple[ChannelGroup, ...]:
        """The groups of a graph that are in scope.

        Raises
        ------
        PlanError
            When there is none.
        """
        types = {row[0]: row[1] for row in graph.coverage.rows}
        found = tuple(group for group in graph.groups if self._holds(group, types))
        if not found:
            msg = (
                f"No prunable layer of {graph.model} is in scope (include={self.include!r}, "
                f"exclude={self.exclude!r}, min_channels={self.min_channels}). "
                f"{nearest(self.include, graph.layers)}"
            )
            raise PlanError(msg, scope=self)
        return found

    def _holds(self, group: ChannelGroup, types: Mapping[str, str]) -> bool:
        names: Iterable[str] = dict.fromkeys((*group.layers, group.name))
        wanted = any(re.search(self.include, name) for name in names)
        barred = self.exclude is not None and any(re.search(self.exclude, n) for n in names)
        kinds = {types.get(name, "") for name in group.layers}
        fits = not self.types or bool(kinds.intersection(self.types))
        fits = fits and not kinds.intersection(self.exclude_types)
        return wanted and not barred and fits and group.width >= self.min_channels

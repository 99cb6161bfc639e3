"""Floor 5. Pictures of what is cut out of a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from slimlab.allocate import preview
from slimlab.graph import Graph
from slimlab.plots.style import (
    ACCENT,
    MARKS,
    MUTED,
    WARM,
    Picture,
    empty,
    line_colours,
    new_axes,
    plain,
    short,
)
from slimlab.timing import TimeTable


def pruned_widths(graph: Graph, ratios: Mapping[str, float]) -> Figure:
    """Channels of each layer before (pale) and after (dark) pruning.

    Examples
    --------
    >>> import slimlab as sl
    >>> graph = sl.trace(sl.load_model("vgg"), sl.load_task("fashion-mnist").example)
    >>> sl.plots.pruned_widths(graph, sl.uniform_ratios(graph, ratio=0.5)).axes[0].get_ylabel()
    'Channels'
    """
    widths = preview(graph, ratios).widths
    figure = Picture(figsize=(max(5.0, 0.32 * len(widths) + 2), 3.6), layout="constrained")
    axes = new_axes(figure, "", "Channels")
    at = np.arange(len(widths))
    axes.bar(at, [before for before, _ in widths.values()], color="#d5d9e0", label="before")
    axes.bar(at, [after for _, after in widths.values()], color=ACCENT, label="kept")
    names = [short(name) for name in widths]
    axes.set_xticks(at, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    axes.legend(frameon=False, fontsize=8)
    return plain(figure)


def time_staircase(times: TimeTable, layer: str) -> Figure:
    """Time of the whole network by the channels that one layer keeps: the stairs of its runtime.

    Hollow points buy nothing: a wider layer takes no longer.

    Parameters
    ----------
    times
        What `measure_times` gave.
    layer
        One whose widths were measured.

    Raises
    ------
    PlanError
        For a layer whose widths were not.

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
    >>> sl.plots.time_staircase(times, graph.layers[0]).axes[0].get_xlabel()
    'Channels kept of features.0.conv'
    """
    stairs = times.staircase(layer)
    figure = Picture(figsize=(6.4, 3.6), layout="constrained")
    axes = new_axes(figure, f"Channels kept of {short(layer)}", "Milliseconds")
    kept, ms = stairs["kept"].to_numpy(), stairs["ms"].to_numpy()
    axes.plot(kept, ms, "-", color=MUTED, lw=1)
    for n, (width, time) in enumerate(zip(kept, ms, strict=True)):
        idle = bool((ms[n + 1 :] <= time).any())
        fill, edge = ("white", WARM) if idle else (ACCENT, ACCENT)
        axes.plot([width], [time], "o", ms=5, mfc=fill, mec=edge)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.08 * float(ms.max()))
    axes.set_title(
        f"{times.settings.batch} images, {short(times.clock)}", fontsize=8, color=MUTED, loc="left"
    )
    return plain(figure)


def picked_ratios(picks: Mapping[str, Mapping[str, float]]) -> Figure:
    """The pruning ratio of each layer, for one pick or several: a mark each.

    Parameters
    ----------
    picks
        Name of a pick to its ratios; a layer that is left out of one keeps all channels there.

    Examples
    --------
    >>> import slimlab as sl
    >>> picks = {"mine": {"conv1": 0.5}, "yours": {"conv1": 0.25, "conv2": 0.75}}
    >>> [t.get_text() for t in sl.plots.picked_ratios(picks).axes[0].get_yticklabels()]
    ['conv1', 'conv2']
    """
    layers = list(dict.fromkeys(layer for ratios in picks.values() for layer in ratios))
    figure = Picture(figsize=(7.2, 1.4 + 0.26 * len(layers)), layout="constrained")
    axes = new_axes(figure, "Pruning ratio (share of channels removed)", "")
    if not layers:
        return empty(figure, axes, "Nothing is pruned")
    at = range(len(layers))
    for n, (name, ratios) in enumerate(picks.items()):
        colour, mark = line_colours(len(picks))[n], MARKS[n % len(MARKS)]
        values = [float(ratios.get(layer, 0.0)) for layer in layers]
        # A little apart, so that equal ratios of two picks are both seen.
        rows = [row + 0.16 * (n - (len(picks) - 1) / 2) for row in at]
        axes.plot(values, rows, mark, ms=6, mfc=colour, mec=colour, alpha=0.85, label=short(name))
    axes.set_yticks(at, [short(layer) for layer in layers], fontsize=8)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return plain(figure)

"""Floor 5. Pictures of what is cut out of a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from slimlab.allocate import preview
from slimlab.graph import Graph
from slimlab.plots.style import ACCENT, MARKS, Picture, empty, line_colours, new_axes, plain, short


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

"""Floor 5. Pictures of a sensitivity scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from slimlab.plots.style import (
    INK,
    MARKS,
    MUTED,
    Picture,
    empty,
    line_colours,
    new_axes,
    plain,
    short,
)
from slimlab.sensitivity import Sensitivity

FEW = 12  # more curves than this can't be told apart by colour: the steepest are named
NAMED = 6


def sensitivity_curves(
    sensitivity: Sensitivity, ratios: Mapping[str, float] | None = None
) -> Figure:
    """Metric against pruning ratio, a curve a layer; crosses are cells, dots are chosen ratios.

    A filled point's drop can be told from zero, a hollow one's can't. The lines are the fitted
    curves that never fall. With many layers, the most sensitive ones are coloured and named.

    Parameters
    ----------
    sensitivity
        The scan; may have holes.
    ratios
        Chosen ratios, marked on the curves.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.5], images=50, progress=False)
    >>> sl.plots.sensitivity_curves(scan).axes[0].get_xlabel()
    'Pruning ratio (share of channels removed)'
    """
    figure = Picture(figsize=(7.2, 4.2), layout="constrained")
    axes = new_axes(figure, _across(sensitivity), _label(sensitivity))
    layers = [layer for layer in sensitivity.layers if sensitivity.curve(layer)]
    if not layers:
        return empty(figure, axes, "No cells measured yet")
    shown = _most_sensitive(sensitivity, layers)
    colours = dict(zip(shown, line_colours(len(shown)), strict=True))
    axes.axhline(sensitivity.baseline, color=MUTED, lw=1, ls=":", zorder=1)
    for layer in layers:
        colour = colours.get(layer, "#c3c8d0")
        width = 1.6 if layer in colours else 0.9
        label = short(layer) if layer in colours else None
        at, drops = sensitivity.fitted(layer)
        values = [sensitivity.value(drop) for drop in drops]
        axes.plot(at, values, color=colour, lw=width, label=label, zorder=2)
        for cell in sensitivity.curve(layer):
            fill = colour if cell.is_clear else "white"
            axes.plot(
                cell.ratio,
                sensitivity.value(cell.drop),
                "o",
                ms=3.5,
                mfc=fill,
                mec=colour,
                zorder=3,
            )
        if ratios and ratios.get(layer):
            chosen = float(ratios[layer])
            value = sensitivity.value(sensitivity.predicted_drop(layer, chosen))
            axes.plot(chosen, value, "D", ms=6, mfc=colour, mec=INK, zorder=4)
    axes.set_xlim(0, 1)
    note = "" if len(shown) == len(layers) else f"; {len(layers) - len(shown)} more in grey"
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, title=f"Layer{note}")
    axes.set_title(_what(sensitivity), fontsize=9, color=MUTED)
    return plain(figure)


def drop_intervals(scans: Sensitivity | Mapping[str, Sensitivity], ratio: float) -> Figure:
    """The drop of each layer at one pruning ratio, with its 95 % interval.

    A filled point's drop can be told from zero, a hollow one's can't: its interval holds zero.

    Parameters
    ----------
    scans
        A scan, or several of the same layers under the names that the legend shows, such as one on
        fewer images.
    ratio
        The pruning ratio; a scan without cells at it shows none.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.5], images=50, progress=False)
    >>> sl.plots.drop_intervals(scan, 0.5).axes[0].get_xlabel()
    'Drop at pruning ratio 0.5 (points), with 95 % interval'
    """
    named = {"": scans} if isinstance(scans, Sensitivity) else dict(scans)
    layers = list(dict.fromkeys(layer for scan in named.values() for layer in scan.layers))
    figure = Picture(figsize=(7.2, 1.4 + 0.3 * len(layers) * max(1, len(named)) ** 0.5))
    figure.set_layout_engine("constrained")
    unit = " (points)" if all(scan.unit == "%" for scan in named.values()) else ""
    label = f"Drop at pruning ratio {ratio:g}{unit}, with 95 % interval"
    axes = new_axes(figure, label, "")
    axes.axvline(0, color=INK, lw=1, zorder=1)
    at = {layer: n for n, layer in enumerate(layers)}
    for n, (name, scan) in enumerate(named.items()):
        shift = 0.24 * (n - (len(named) - 1) / 2)
        colour = line_colours(len(named))[n]
        cells = [c for layer in scan.layers for c in scan.curve(layer) if c.ratio == ratio]
        for row, cell in enumerate(cells):
            y, mark = at[cell.layer] + shift, MARKS[n % len(MARKS)]
            fill = colour if cell.is_clear else "white"
            axes.plot([cell.low, cell.high], [y, y], color=colour, lw=1.6, zorder=2)
            known = short(name) if row == 0 and name else None
            axes.plot(cell.drop, y, mark, ms=6, mfc=fill, mec=colour, label=known, zorder=3)
    axes.set_yticks(range(len(layers)), [short(layer) for layer in layers], fontsize=8)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_title("hollow: not told from no drop", fontsize=9, color=MUTED)
    if any(named):
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return plain(figure)


def _across(sensitivity: Sensitivity) -> str:
    if sensitivity.bits is not None:
        pairs = zip(sensitivity.ratios, sensitivity.bits, strict=True)
        bits = ", ".join(f"{ratio:g}: {number}" for ratio, number in pairs)
        return f"Share of a weight's 32 bits removed ({bits} bits)"
    return "Pruning ratio (share of channels removed)"


def _label(sensitivity: Sensitivity) -> str:
    unit = f" ({sensitivity.unit.strip()})" if sensitivity.unit else ""
    return f"{sensitivity.metric}{unit} on test images"


def _what(sensitivity: Sensitivity) -> str:
    words = f"{sensitivity.criterion}, {sensitivity.images:,} images"
    previews = sorted({cell.dtype for cell in sensitivity.cells} - {"float32"})
    if previews:
        some = any(cell.dtype == "float32" for cell in sensitivity.cells)
        words += f"; {'partly ' if some else ''}preview in {' and '.join(previews)}"
    # Two lines where one would reach past the axes.
    return words + ("\n" if previews else "; ") + "hollow: not told from no drop"


def _most_sensitive(sensitivity: Sensitivity, layers: Sequence[str]) -> list[str]:
    if len(layers) <= FEW:
        return list(layers)
    steep = sorted(layers, key=lambda n: -float(np.mean(sensitivity.fitted(n)[1])))[:NAMED]
    return [layer for layer in layers if layer in steep]

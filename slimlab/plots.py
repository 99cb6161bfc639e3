"""Floor 5. Pictures of results, as matplotlib figures: for notebooks without a kernel, and reports.

Draws what tables hold and computes nothing. Figures are made object by object and never through
pyplot, whose state is shared between threads.

Examples
--------
>>> import slimlab as sl
>>> sl.plots.training_history(sl.History()).axes[0].get_ylabel()
'Loss'
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from slimlab.allocate import preview
from slimlab.compare import Comparison
from slimlab.graph import Graph
from slimlab.sensitivity import Sensitivity
from slimlab.train import History

INK, MUTED, ACCENT, WARM = "#1f2430", "#7a8190", "#0072b2", "#d55e00"  # Okabe and Ito's palette
# Told apart by readers with any colour vision; black and yellow are left out.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKS = "osD^v"  # of the scans in one picture, beside their colours
FEW = 12  # more curves than this can't be told apart by colour: the steepest are named
NAMED = 6


class Picture(Figure):
    """A matplotlib figure that a notebook shows by itself, as pyplot's figures are shown.

    Examples
    --------
    >>> from slimlab.plots import Picture
    >>> Picture(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        FigureCanvasAgg(self).print_png(buffer)  # type: ignore[no-untyped-call]
        return buffer.getvalue()


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
    axes = _axes(figure, "Pruning ratio (share of channels removed)", _label(sensitivity))
    layers = [layer for layer in sensitivity.layers if sensitivity.curve(layer)]
    if not layers:
        return _empty(figure, axes, "No cells measured yet")
    shown = _most_sensitive(sensitivity, layers)
    colours = dict(zip(shown, _colours(len(shown)), strict=True))
    axes.axhline(sensitivity.baseline, color=MUTED, lw=1, ls=":", zorder=1)
    for layer in layers:
        colour = colours.get(layer, "#c3c8d0")
        width = 1.6 if layer in colours else 0.9
        label = layer if layer in colours else None
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
    return _plain(figure)


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
    axes = _axes(figure, label, "")
    axes.axvline(0, color=INK, lw=1, zorder=1)
    at = {layer: n for n, layer in enumerate(layers)}
    for n, (name, scan) in enumerate(named.items()):
        shift = 0.24 * (n - (len(named) - 1) / 2)
        colour = _colours(len(named))[n]
        cells = [c for layer in scan.layers for c in scan.curve(layer) if c.ratio == ratio]
        for row, cell in enumerate(cells):
            y, mark = at[cell.layer] + shift, MARKS[n % len(MARKS)]
            fill = colour if cell.is_clear else "white"
            axes.plot([cell.low, cell.high], [y, y], color=colour, lw=1.6, zorder=2)
            known = name if row == 0 and name else None
            axes.plot(cell.drop, y, mark, ms=6, mfc=fill, mec=colour, label=known, zorder=3)
    axes.set_yticks(range(len(layers)), layers, fontsize=8)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_title("hollow: not told from no drop", fontsize=9, color=MUTED)
    if any(named):
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return _plain(figure)


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
    axes = _axes(figure, "", "Channels")
    at = np.arange(len(widths))
    axes.bar(at, [before for before, _ in widths.values()], color="#d5d9e0", label="before")
    axes.bar(at, [after for _, after in widths.values()], color=ACCENT, label="kept")
    axes.set_xticks(at, list(widths), rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    axes.legend(frameon=False, fontsize=8)
    return _plain(figure)


def training_history(history: History, metric: str = "metric") -> Figure:
    """Loss of each step, and the metric where it was measured, against training steps.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.plots.training_history(sl.History()).axes[0].get_xlabel()
    'Training step'
    """
    figure = Picture(figsize=(7.2, 3.6), layout="constrained")
    axes = _axes(figure, "Training step", "Loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    losses = [(r.step, r.loss) for r in history.records if r.loss is not None]
    scores = [(r.step, r.metric) for r in history.records if r.metric is not None]
    if not losses and not scores:
        return _empty(figure, axes, "No steps yet")
    axes.plot([s for s, _ in losses], [v for _, v in losses], color=ACCENT, lw=0.9, label="loss")
    axes.yaxis.label.set_color(ACCENT)
    if scores:
        right = axes.twinx()
        right.plot([s for s, _ in scores], [v for _, v in scores], "o-", color=WARM, ms=4)
        right.set_ylabel(metric, color=WARM)
        right.spines["top"].set_visible(False)
    return _plain(figure)


def tradeoff(comparison: Comparison, against: str = "macs") -> Figure:
    """The metric against what it costs: one point a trial, the Pareto-optimal ones filled.

    Parameters
    ----------
    comparison
        The trials.
    against
        `"macs"`, `"params"`, `"bytes"` or `"latency_ms"`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> trial = sl.measure_trial("baseline", sl.load_model("vgg", task), task, latency=False)
    >>> sl.plots.tradeoff(sl.compare([trial])).axes[0].get_xlabel()
    'Million MACs an image'
    """
    table = comparison.to_frame()
    first = comparison.trials[0]
    label, scale = {
        "macs": ("Million MACs an image", 1e-6),
        "params": ("Thousand parameters", 1e-3),
        "bytes": ("Kilobytes on disk", 1e-3),
        "latency_ms": ("Latency, ms a batch", 1.0),
    }[against]
    figure = Picture(figsize=(6.4, 4.0), layout="constrained")
    axes = _axes(figure, label, f"{first.metric} (%)" if first.higher_is_better else first.metric)
    for n, row in table.iterrows():
        x, y = row[against] * scale, row[first.metric]
        axes.plot(x, y, "o", ms=8, mfc=ACCENT if row["pareto"] else "white", mec=ACCENT)
        above = int(str(n)) % 2 == 0
        offset = (0, 9) if above else (0, -15)
        axes.annotate(
            row["name"], (x, y), offset, textcoords="offset points", ha="center", fontsize=8
        )
    axes.margins(0.18)
    return _plain(figure)


def _axes(figure: Figure, x: str, y: str) -> Axes:
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#e6e8ec", lw=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def _plain(figure: Figure) -> Figure:
    """The figure with texts as they are: a dollar sign in a name starts no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure


def _empty(figure: Figure, axes: Axes, words: str) -> Figure:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=MUTED)
    return figure


def _label(sensitivity: Sensitivity) -> str:
    unit = f" ({sensitivity.unit})" if sensitivity.unit else ""
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


def _colours(count: int) -> list[str]:
    """Okabe and Ito's colours for a few curves; beyond them, ordered ones along viridis."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    return [to_hex(colormaps["viridis"](x)) for x in np.linspace(0.0, 0.92, count)]

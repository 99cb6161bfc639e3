"""Floor 5. The look that all pictures share, and the figure that shows itself."""

from __future__ import annotations

import io

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

INK, MUTED, ACCENT, WARM = "#1f2430", "#7a8190", "#0072b2", "#d55e00"  # Okabe and Ito's palette
# Told apart by readers with any colour vision; black and yellow are left out.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LONGEST = 36  # letters of a name in a picture: a longer one would leave no room for the data
MARKS = "osD^v"  # of the scans in one picture, beside their colours


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


def new_axes(figure: Figure, x: str, y: str) -> Axes:
    """The only axes of a figure, with labels and a pale grid."""
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#e6e8ec", lw=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def short(name: str) -> str:
    """A name as a picture shows it: whole, or its two ends.

    Examples
    --------
    >>> from slimlab.plots.style import short
    >>> short("conv1"), short("backbone." * 9 + "conv1")
    ('conv1', 'backbone.backbone…ne.backbone.conv1')
    """
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def plain(figure: Figure) -> Figure:
    """The figure with texts as they are: a dollar sign in a name starts no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure


def empty(figure: Figure, axes: Axes, words: str) -> Figure:
    """A figure that says why there is nothing to see."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=MUTED)
    return figure


def line_colours(count: int) -> list[str]:
    """Okabe and Ito's colours for a few curves; beyond them, ordered ones along viridis."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    return [to_hex(colormaps["viridis"](x)) for x in np.linspace(0.0, 0.92, count)]

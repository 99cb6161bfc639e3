"""Floor 5. Figures as images that lie in the page itself: vector graphics in data addresses."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Says nothing of when it was drawn: the page says that once.
_METADATA = {"Date": None, "Creator": None}


@dataclass(frozen=True)
class Image:
    """A picture in a page.

    Attributes
    ----------
    address
        A `data:` address that holds the whole picture.
    words
        What it shows, for who can't see it.
    caption
        What stands under it.
    """

    address: str
    words: str
    caption: str


def image(figure: Figure, words: str, caption: str) -> Image:
    """Draw a figure as SVG. Letters become outlines, so that no font is needed.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.report.pictures import image
    >>> image(sl.plots.training_history(sl.History()), "no steps", "Loss").address[:26]
    'data:image/svg+xml;base64,'
    """
    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
        buffer, metadata=_METADATA
    )
    coded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Image(f"data:image/svg+xml;base64,{coded}", words, caption)

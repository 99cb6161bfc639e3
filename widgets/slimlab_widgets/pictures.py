"""Top floor. Matplotlib figures as PNG, for when a notebook is opened without a kernel.

Knows `Figure` objects and nothing of pyplot, whose global state other threads may be using.
"""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Matplotlib's font cache is shared between figures; two threads may want pictures at once.
_DRAWING = threading.Lock()


def png(figures: Sequence[Figure], *, dpi: int = 80) -> str:
    """Draw figures under one another.

    Parameters
    ----------
    figures
        At least one figure.
    dpi
        Pixels per inch.

    Returns
    -------
    str
        One PNG, base64-encoded, as a notebook stores it.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from slimlab_widgets.pictures import png
    >>> png([Figure(figsize=(1, 1)), Figure(figsize=(2, 1))])[:6]
    'iVBORw'
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.image import imsave

    images = []
    with _DRAWING:
        for figure in figures:
            figure.set_dpi(dpi)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            images.append(np.asarray(canvas.buffer_rgba()).copy())
        width = max(image.shape[1] for image in images)
        padded = [
            np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0)), constant_values=255)
            for image in images
        ]
        buffer = io.BytesIO()
        imsave(buffer, np.ascontiguousarray(np.vstack(padded)), format="png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")

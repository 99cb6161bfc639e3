"""Floor 5. Pictures of trainings and of trials side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from slimlab.compare import Comparison
from slimlab.plots.style import ACCENT, WARM, Picture, empty, new_axes, plain, short
from slimlab.train import History

Place = tuple[tuple[float, float], str, str]
# Where a name may stand beside its point: distance in points, and how it is aligned.
PLACES: tuple[Place, ...] = (
    ((0, 8), "center", "bottom"),
    ((0, -8), "center", "top"),
    ((9, 0), "left", "center"),
    ((-9, 0), "right", "center"),
    ((0, 20), "center", "bottom"),
    ((0, -20), "center", "top"),
)


def training_history(history: History, metric: str = "metric") -> Figure:
    """Loss of each step, and the metric where it was measured, against training steps.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.plots.training_history(sl.History()).axes[0].get_xlabel()
    'Training step'
    """
    figure = Picture(figsize=(7.2, 3.6), layout="constrained")
    axes = new_axes(figure, "Training step", "Loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    losses = [(r.step, r.loss) for r in history.records if r.loss is not None]
    scores = [(r.step, r.metric) for r in history.records if r.metric is not None]
    if not losses and not scores:
        return empty(figure, axes, "No steps yet")
    axes.plot([s for s, _ in losses], [v for _, v in losses], color=ACCENT, lw=0.9, label="loss")
    axes.yaxis.label.set_color(ACCENT)
    if scores:
        right = axes.twinx()
        right.plot([s for s, _ in scores], [v for _, v in scores], "o-", color=WARM, ms=4)
        right.set_ylabel(metric, color=WARM)
        right.spines["top"].set_visible(False)
    return plain(figure)


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
    axes = new_axes(
        figure, label, f"{first.metric} (%)" if first.higher_is_better else first.metric
    )
    points = []
    for _, row in table.iterrows():
        x, y = row[against] * scale, row[first.metric]
        axes.plot(x, y, "o", ms=8, mfc=ACCENT if row["pareto"] else "white", mec=ACCENT)
        points.append((str(row["name"]), float(x), float(y)))
    axes.margins(0.18)
    figure.draw_without_rendering()  # lays it out: names are placed by what is where
    _name_points(axes, points)
    return plain(figure)


def _name_points(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write a name beside each point, where it covers no other point or name."""
    at = [axes.transData.transform((x, y)) for _, x, y in points]
    taken = [Bbox.from_bounds(px - 5, py - 5, 10, 10) for px, py in at]
    for (name, x, y), own in zip(points, list(taken), strict=True):
        if not np.isfinite([x, y]).all():
            continue
        trials = [_name(axes, name, (x, y), place) for place in PLACES]
        boxes = [trial.get_window_extent() for trial in trials]
        others = [box for box in taken if box is not own]
        covered = [sum(box.overlaps(other) for other in others) for box in boxes]
        best = int(np.argmin(covered))
        taken.append(boxes[best])
        for trial in trials[:best] + trials[best + 1 :]:
            trial.remove()


def _name(axes: Axes, name: str, point: tuple[float, float], place: Place) -> Annotation:
    offset, across, along = place
    return axes.annotate(
        short(name),
        point,
        offset,
        textcoords="offset points",
        ha=across,
        va=along,
        fontsize=8,
        parse_math=False,
    )

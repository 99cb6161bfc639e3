"""Checks of lesson 03: ratios against a budget and against another pick. Changes no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab_widgets.teaching.verdict import Verdict

if TYPE_CHECKING:
    from slimlab import Graph, Sensitivity


def check_pick(
    answer: Mapping[str, float] | None,
    graph: Graph,
    sensitivity: Sensitivity,
    *,
    macs: float,
    than: Mapping[str, float],
) -> Verdict:
    """Check ratios that are to remove a share of the MACs at a lower predicted drop than others.

    Parameters
    ----------
    answer
        Layer to pruning ratio, such as `picker.ratios`; None or nothing pruned while unanswered.
    graph, sensitivity
        The traced model and its scan.
    macs
        Share of the MACs to remove, 0 to 1.
    than
        The ratios to beat.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.4, 0.8], images=50, progress=False)
    >>> uniform = sl.uniform_ratios(graph, macs=0.5)
    >>> teaching.check_pick(uniform, graph, scan, macs=0.5, than=uniform).right
    False
    """
    if not answer or not any(answer.values()):
        return Verdict("open", "All pruning ratios are 0; pick some with the mouse or in code.")
    try:
        mine = sl.preview(graph, answer, sensitivity)
    except SlimLabError as error:
        return Verdict("wrong", str(error))
    other = sl.preview(graph, than, sensitivity)
    faults = []
    if mine.macs_removed < macs:
        faults.append(
            f"Your pick removes {mine.macs_removed:.1%} of the MACs; {macs:.0%} are asked for."
        )
    if mine.drop is not None and other.drop is not None and mine.drop >= other.drop:
        faults.append(
            f"Its predicted drop of {mine.drop:.1f} points is no better than the {other.drop:.1f} "
            "that you are to beat. Which layer's own drop is the largest part of it?"
        )
    praise = (
        f"{mine.macs_removed:.1%} of the MACs removed at a predicted drop of {mine.drop:.1f} "
        f"points, against {other.drop:.1f}."
    )
    return Verdict.of(faults, praise)

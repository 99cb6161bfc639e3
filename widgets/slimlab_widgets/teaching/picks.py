"""Checks of lessons 01 and 03: measured models, and ratios against others. Changes no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab_widgets.teaching.verdict import Verdict

if TYPE_CHECKING:
    from slimlab import Comparison, Graph, Sensitivity


def check_models(answer: Comparison | None, *, macs: float, drop: float) -> Verdict:
    """Check that one of the models that were compared is small and still accurate.

    Parameters
    ----------
    answer
        Such as `bench.comparison`, with the unpruned model first; None while nothing was compared.
    macs
        Share of the MACs to remove, 0 to 1.
    drop
        Points that may be lost against the unpruned model.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> trial = sl.measure_trial("baseline", model, task, latency=False)
    >>> teaching.check_models(sl.compare([trial]), macs=0.5, drop=2.0)
    … Not answered yet. Prune a model or two, and press Compare in step 5.
    """
    if answer is None or len(answer.trials) < 2:
        return Verdict("open", "Prune a model or two, and press Compare in step 5.")
    table = answer.to_frame()
    rows = table.iloc[1:].assign(removed=1 - table["macs"] / table["macs"].iloc[0])
    small = rows[rows["removed"] >= macs]
    if small.empty:
        most = rows.loc[rows["removed"].idxmax()]
        words = f"'{most['name']}' removes {most['removed']:.0%} of the MACs, the most of yours; "
        return Verdict("wrong", f"{words}{macs:.0%} are asked for.")
    best = small.loc[small["drop"].idxmin()]
    found = f"'{best['name']}' removes {best['removed']:.0%} and loses {best['drop']:.1f} points."
    if best["drop"] > drop:
        hint = "Was it fine-tuned long enough, and were the right layers spared?"
        return Verdict("wrong", f"{found} {drop:g} are allowed. {hint}")
    return Verdict("right", found)


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

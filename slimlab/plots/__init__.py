"""Floor 5. Pictures of results, as matplotlib figures: for notebooks without a kernel, and reports.

Draws what tables hold and computes nothing. Figures are made object by object and never through
pyplot, whose state is shared between threads.

Examples
--------
>>> import slimlab as sl
>>> sl.plots.training_history(sl.History()).axes[0].get_ylabel()
'Loss'
"""

from slimlab.plots.curves import drop_intervals, sensitivity_curves
from slimlab.plots.networks import picked_ratios, pruned_widths, time_staircase
from slimlab.plots.runs import tradeoff, training_history
from slimlab.plots.style import Picture

__all__ = [
    "Picture",
    "drop_intervals",
    "picked_ratios",
    "pruned_widths",
    "sensitivity_curves",
    "time_staircase",
    "tradeoff",
    "training_history",
]

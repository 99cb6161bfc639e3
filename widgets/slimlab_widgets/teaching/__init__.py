"""Checkers for the exercises of the lessons in `notebooks/`: an answer in, a `Verdict` out.

A verdict says what is wrong with an answer and never what the right one is. What is right is worked
out from the student's own scan, graph or task, so that it holds whatever was changed before.
"""

from slimlab_widgets.teaching.combining import check_losses, check_merged, check_recipe
from slimlab_widgets.teaching.grids import check_bits, check_on_grid
from slimlab_widgets.teaching.own import check_prunable, check_task
from slimlab_widgets.teaching.picks import check_models, check_pick
from slimlab_widgets.teaching.scans import check_clear_layers, check_images
from slimlab_widgets.teaching.verdict import Verdict

__all__ = [
    "Verdict",
    "check_bits",
    "check_clear_layers",
    "check_images",
    "check_losses",
    "check_merged",
    "check_models",
    "check_on_grid",
    "check_pick",
    "check_prunable",
    "check_recipe",
    "check_task",
]

"""Floor 3. Ratios from a sensitivity table, from scores or from nothing, and what they would cost.

Every picker gives `Ratios`, and all budgets are shares *removed*. Knows curves and costs; changes
no model.
"""

from __future__ import annotations

from slimlab.allocate.bits import bits_for_budget
from slimlab.allocate.budget import Allocation, Search, allocate_budget, ratios_for_budget
from slimlab.allocate.predict import Preview, predicted_against_actual, preview
from slimlab.allocate.reach import Budget, Reachable, reachable
from slimlab.allocate.scores import ratios_from_scores, score_channels
from slimlab.allocate.uniform import uniform_ratios
from slimlab.allocate.within import ratios_within_drop

__all__ = [
    "Allocation",
    "Budget",
    "Preview",
    "Reachable",
    "Search",
    "allocate_budget",
    "bits_for_budget",
    "predicted_against_actual",
    "preview",
    "ratios_for_budget",
    "ratios_from_scores",
    "ratios_within_drop",
    "reachable",
    "score_channels",
    "uniform_ratios",
]

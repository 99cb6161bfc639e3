"""Floor 4. Pruning that decides by itself: several candidates, or several rounds.

Knows scans, cuts and fine-tuning, and puts them together; measures nothing on test images but what
fine-tuning reports.
"""

from __future__ import annotations

from slimlab.search.auto import auto_prune, iter_auto_prune
from slimlab.search.candidates import Candidate, candidate_ratios, candidates
from slimlab.search.contest import AutoResult, AutoSettings, Tried
from slimlab.search.iterative import iter_iterative_prune, iterative_prune
from slimlab.search.rounds import IterativeResult, IterativeSettings, Round, step_shares
from slimlab.search.timed import TimedRatios, iter_ratios_for_latency, ratios_for_latency

__all__ = [
    "AutoResult",
    "AutoSettings",
    "Candidate",
    "IterativeResult",
    "IterativeSettings",
    "Round",
    "TimedRatios",
    "Tried",
    "auto_prune",
    "candidate_ratios",
    "candidates",
    "iter_auto_prune",
    "iter_iterative_prune",
    "iter_ratios_for_latency",
    "iterative_prune",
    "ratios_for_latency",
    "step_shares",
]

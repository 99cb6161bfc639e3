"""Floor 2. Trains a copy of a model on a task, step by step and repeatably.

Knows losses, teachers, optimizers and learning rates; knows nothing of pruning or quantization,
nor of who watches. Two runs with the same seed on the same computer give bit-equal weights.
"""

from __future__ import annotations

from slimlab.train.history import History, Record
from slimlab.train.loop import fine_tune, iter_fine_tune
from slimlab.train.schedules import (
    Constant,
    Cosine,
    Exponential,
    Piecewise,
    Polynomial,
    Schedule,
)
from slimlab.train.settings import Callback, Event, Training
from slimlab.train.teachers import fast_teacher
from slimlab.train.trainer import soft_label_loss

__all__ = [
    "Callback",
    "Constant",
    "Cosine",
    "Event",
    "Exponential",
    "History",
    "Piecewise",
    "Polynomial",
    "Record",
    "Schedule",
    "Training",
    "fast_teacher",
    "fine_tune",
    "iter_fine_tune",
    "soft_label_loss",
]

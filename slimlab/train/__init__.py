"""Floor 2. Trains a copy of a model on a task, step by step and repeatably.

Knows losses, optimizers and learning rates; knows nothing of pruning or quantization, nor of who
watches. Two runs with the same seed on the same computer give bit-equal weights.
"""

from __future__ import annotations

from slimlab.train.history import History, Record
from slimlab.train.loop import fine_tune, iter_fine_tune
from slimlab.train.trainer import Training, soft_label_loss

__all__ = ["History", "Record", "Training", "fine_tune", "iter_fine_tune", "soft_label_loss"]

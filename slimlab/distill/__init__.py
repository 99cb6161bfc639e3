"""Floor 1. Distillation: losses between any layers of a student and of its teachers.

Knows losses, shapes and features; knows no optimizer and no epochs but the number it is told.
Neither model is changed: features are read by hooks that are gone after each forward pass.
"""

from __future__ import annotations

from slimlab.distill.base import (
    LOSSES,
    DistillLoss,
    distill_loss,
    loss_from_dict,
    loss_to_dict,
)
from slimlab.distill.capture import captured
from slimlab.distill.distiller import Distiller
from slimlab.distill.features import FSP, L2, AttentionTransfer, Custom
from slimlab.distill.logits import DIST, DKD, SoftLabel
from slimlab.distill.pairs import Pair, suggest_pairs

__all__ = [
    "DIST",
    "DKD",
    "FSP",
    "L2",
    "LOSSES",
    "AttentionTransfer",
    "Custom",
    "DistillLoss",
    "Distiller",
    "Pair",
    "SoftLabel",
    "captured",
    "distill_loss",
    "loss_from_dict",
    "loss_to_dict",
    "suggest_pairs",
]

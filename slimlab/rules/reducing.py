"""Floor 1. Operators that reduce, order or normalise along axes."""

from __future__ import annotations

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.rules.registry import axes_of, channel_rule, freeze_inputs, tensors
from slimlab.trace import Op

SUMS = ("sum", "p_norm", "frobenius_norm", "reduce_as")
REDUCES = ("mean", "max", "min", "amax", "amin", "prod", "logsumexp", "all", "any", *SUMS)
PICKS = ("argmax", "argmin", "topk", "kthvalue", "median", "mode", "nanmedian")
KEEPS_LENGTH = (
    "softmax",
    "softmax_",
    "log_softmax",
    "cumprod",
    "flip",
    "roll",
    "argsort",
    "logcumsumexp",
    "cummax",
    "cummin",
)


@channel_rule(*(f"pd_op.{name}" for name in REDUCES))
def reduce(op: Op, channels: Channels) -> None:
    """Axes that are reduced must stay, but for sums over channels that masking makes zero."""
    (x, *_), y = tensors(op)
    axes = axes_of(op, channels, len(x.shape))
    if axes is None or op.attributes.get("asvector"):
        freeze_inputs(op, channels, f"{op.short} over axes that are not known")
        return
    if not axes or op.attributes.get("reduce_all"):
        axes = tuple(range(len(x.shape)))
    labels, zeros = channels.labels(x), channels.zeros(x)
    for axis in axes:
        if not (op.short in SUMS and zeros[axis]):
            channels.freeze(labels[axis], f"{op.short} over these channels")
    keepdim = op.attributes.get("keepdim", len(x.shape) == len(y.shape))
    left: list[Atoms | None] = []
    flags: list[bool] = []
    for axis, along in enumerate(labels):
        if axis not in axes or keepdim:
            left.append(None if axis in axes else along)
            flags.append(zeros[axis] and op.short != "logsumexp")
    if len(left) != len(y.shape):
        freeze_inputs(op, channels, f"{op.short} over axes that are not known")
        return
    channels.set(y, left, zeros=flags)


@channel_rule(*(f"pd_op.{name}" for name in PICKS))
def pick(op: Op, channels: Channels) -> None:
    """The axis that is searched must stay; both outputs keep the others."""
    (x, *_), y = tensors(op)
    axes = axes_of(op, channels, len(x.shape))
    if axes is None or len(axes) != 1 or op.attributes.get("flatten"):
        freeze_inputs(op, channels, f"{op.short} over several axes")
        return
    labels = list(channels.labels(x))
    channels.freeze(labels[axes[0]], f"{op.short} over these channels")
    labels[axes[0]] = None
    if len(y.shape) != len(x.shape):
        del labels[axes[0]]
    for output in op.outputs:
        if output is not None and len(output.shape) == len(labels):
            channels.set(output, labels)


@channel_rule(*(f"pd_op.{name}" for name in KEEPS_LENGTH))
def along_axis(op: Op, channels: Channels) -> None:
    """Every channel of the axis matters to the others, or its position does."""
    (x, *_), y = tensors(op)
    axes = axes_of(op, channels, len(x.shape))
    if axes is None or not axes or op.attributes.get("flatten") or x.shape != y.shape:
        freeze_inputs(op, channels, f"{op.short} over axes that are not known")
        return
    labels, zeros = list(channels.labels(x)), list(channels.zeros(x))
    for axis in axes:
        channels.freeze(labels[axis], f"{op.short} over these channels")
        labels[axis] = None
    moves = "softmax" in op.short or "logcumsumexp" in op.short or "arg" in op.short
    for output in op.outputs:
        if output is not None and output.shape == x.shape:
            channels.set(output, labels, zeros=[zero and not moves for zero in zeros])

"""Floor 1. Normalisations."""

from __future__ import annotations

import numpy as np

from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Operand, Writer
from slimlab.lowering.layout import is_last
from slimlab.lowering.norms import given
from slimlab.lowering.registry import ends, option
from slimlab.trace import Op


@legacy_rule("pd_op.batch_norm_", "pd_op.batch_norm", "pd_op.sync_batch_norm_")
def batch_norm(op: Op, net: Writer) -> None:
    """With the statistics that were learned."""
    x, y = ends(op)
    if not op.attributes["is_test"] and not op.attributes["use_global_stats"]:
        net.refuse("it normalises with the statistics of the batch, even in evaluation mode")
    mean, variance, scale, bias = (option(op, n) for n in (1, 2, 3, 4))
    size = x.shape[-1] if is_last(op) and len(x.shape) > 2 else x.shape[1]
    inputs: dict[str, Operand] = {
        "X": x,
        "Scale": _held(given(net.known, scale, size, 1, x)),
        "Bias": _held(given(net.known, bias, size, 0, x)),
        "Mean": mean,
        "Variance": variance,
    }
    names = {slot: net.name(inputs[slot]) for slot in ("Mean", "Variance")}  # type: ignore[arg-type]
    net.emit(
        "batch_norm",
        inputs,
        {"Y": y, "SavedMean": (size,), "SavedVariance": (size,)},
        epsilon=float(op.attributes["epsilon"]),
        momentum=float(op.attributes["momentum"]),
        data_layout=str(op.attributes["data_format"]),
        is_test=True,
        use_global_stats=bool(op.attributes["use_global_stats"]),
        trainable_statistics=False,
    )
    # It writes the statistics it was given over themselves: in programs that is how it looks.
    net.also({"MeanOut": names["Mean"], "VarianceOut": names["Variance"]})


def _held(operand: object) -> Operand:
    """A parameter, or the constant in its place."""
    return operand  # type: ignore[return-value]


@legacy_rule("pd_op.layer_norm")
def layer_norm(op: Op, net: Writer) -> None:
    """Over the last axes."""
    x, y = ends(op)
    begin = int(op.attributes["begin_norm_axis"]) % len(x.shape)
    rows = int(np.prod(x.shape[:begin]))
    net.emit(
        "layer_norm",
        {"X": x, "Scale": option(op, 1), "Bias": option(op, 2)},
        {"Y": y, "Mean": (rows,), "Variance": (rows,)},
        epsilon=float(op.attributes["epsilon"]),
        begin_norm_axis=begin,
    )


@legacy_rule("pd_op.instance_norm")
def instance_norm(op: Op, net: Writer) -> None:
    """Over each image's channels alone."""
    x, y = ends(op)
    rows = x.shape[0] * x.shape[1]
    net.emit(
        "instance_norm",
        {"X": x, "Scale": option(op, 1), "Bias": option(op, 2)},
        {"Y": y, "SavedMean": (rows,), "SavedVariance": (rows,)},
        epsilon=float(op.attributes["epsilon"]),
    )


@legacy_rule("pd_op.group_norm")
def group_norm(op: Op, net: Writer) -> None:
    """Over groups of channels."""
    x, y = ends(op)
    groups = int(op.attributes["groups"])
    net.emit(
        "group_norm",
        {"X": x, "Scale": option(op, 1), "Bias": option(op, 2)},
        {"Y": y, "Mean": (x.shape[0], groups), "Variance": (x.shape[0], groups)},
        epsilon=float(op.attributes["epsilon"]),
        groups=groups,
        data_layout=str(op.attributes["data_format"]),
    )

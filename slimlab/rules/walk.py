"""Floor 1. Apply the rules to a program, operator by operator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from slimlab.channels import Channels
from slimlab.errors import SlimLabError
from slimlab.rules.elementwise import KEEPS_ZEROS, MOVES_ZEROS
from slimlab.rules.registry import RULES, freeze_inputs, named, unknown
from slimlab.trace import Op, Program

# What ordinary convolutional networks consist of. A network with anything else in it is rehearsed
# before its groups are promised.
ROUTINE = frozenset(
    (
        *named((*KEEPS_ZEROS, *MOVES_ZEROS, "add", "multiply", "reshape", "flatten", "squeeze")),
        *(
            f"pd_op.{name}"
            for name in (
                "conv2d", "depthwise_conv2d", "batch_norm", "batch_norm_", "pool2d", "matmul",
                "concat", "split", "split_with_num", "transpose", "unsqueeze", "full",
                "full_int_array", "nearest_interp", "bilinear_interp",
            )
        ),
        "builtin.combine", "builtin.split", "builtin.constant",
    )
)  # fmt: skip


_NO_HEADS: Mapping[str, Mapping[str, int]] = MappingProxyType({})


def walk(program: Program, heads: Mapping[str, Mapping[str, int]] = _NO_HEADS) -> Channels:
    """Apply the rules to every operator of a program, in order.

    `heads` says of layers which of their attributes hold the number of attention heads
    (`layers.remembered`); only then can whole heads go.
    """
    channels = Channels(program, heads)
    used = {v.id for op in program.ops for v in (*op.inputs, *op.captured) if v is not None}
    used |= {value.id for value in program.outputs}
    for op in program.ops:
        channels.unusual = channels.unusual or not _is_routine(op)
        for value in op.captured:
            channels.freeze_value(value, f"used inside control flow ({op.short})")
        _apply(op, channels, used)
        # A second output that is read, and of whose channels the rule said nothing, might shrink.
        for extra in op.outputs[1:]:
            if extra is not None and extra.id in used and not channels.knows(extra):
                freeze_inputs(op, channels, f"a second output of {op.short} is used")
    for value in program.outputs:
        channels.freeze_value(value, "reaches the network's output")
    return channels


def _is_routine(op: Op) -> bool:
    """Whether this is an ordinary operator whose weights, if any, a layer of Paddle's holds."""
    if op.name not in ROUTINE:
        return False
    own = any(value is not None and value.parameter for value in op.inputs)
    return not own or op.is_of_paddles_layer


def _apply(op: Op, channels: Channels, used: Collection[int]) -> None:
    """Apply one rule; where it fails, its operator is left alone and the report says so."""
    made = [value for value in op.outputs if value is not None and value.id in used]
    values = [*(value for value in op.inputs if value is not None), *made]
    if any(size < 0 for value in values for size in value.shape):
        place = channels.place(op)
        why = f"{op.short} {place}works on a tensor whose size depends on values"
        freeze_inputs(op, channels, why)
        return
    try:
        RULES.get(op.name, unknown)(op, channels)
    except SlimLabError:
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        for value in values:
            channels.freeze_value(value, f"the channel rule of {op.short} failed with {told}")

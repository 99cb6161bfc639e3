"""Floor 1. Rounding to a grid and back: what is on a grid keeps its channels."""

from __future__ import annotations

from slimlab.channels import Channels
from slimlab.rules.registry import channel_rule, freeze_inputs, named, tensors
from slimlab.trace import Op


@channel_rule(*named(("quantize_linear", "dequantize_linear")))
def rounding(op: Op, channels: Channels) -> None:
    """The same tensor in another form, whose scales belong to the channels it has now."""
    (x, *_), y = tensors(op)
    freeze_inputs(op, channels, "it is quantized; prune a model before you quantize it")
    channels.set(y, channels.labels(x), zeros=channels.zeros(x))
    channels.derive(y, x)

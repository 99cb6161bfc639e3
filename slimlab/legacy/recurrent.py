"""Floor 1. Recurrent layers."""

from __future__ import annotations

from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Made, Operand, Writer
from slimlab.lowering.registry import ends
from slimlab.trace import Op


@legacy_rule("pd_op.rnn")
def rnn(op: Op, net: Writer) -> None:
    """RNN, LSTM or GRU of any number of layers, one way or both; time is the first axis."""
    x, y = ends(op)
    before, weights = (net.items(value) for value in op.inputs[1:3])
    lengths, states = op.inputs[3], op.outputs[2]
    after: Made = [net.fresh(each.shape) for each in before]
    if net.used(states):
        after = net.items(states)
    numbers = {
        name: int(op.attributes[name]) for name in ("input_size", "hidden_size", "num_layers")
    }
    inputs: dict[str, Operand] = {
        "Input": x,
        "PreState": before,
        "WeightList": weights,
        "SequenceLength": lengths,
    }
    made: dict[str, Made] = {
        "Out": y,
        "State": after,
        "DropoutState": net.fresh((0,), "uint8"),
        "Reserve": net.fresh((0,)),
    }
    net.emit(
        "rnn",
        inputs,
        made,
        mode=str(op.attributes["mode"]),
        is_bidirec=bool(op.attributes["is_bidirec"]),
        dropout_prob=float(op.attributes["dropout_prob"]),
        is_test=True,
        seed=0,
        **numbers,
    )

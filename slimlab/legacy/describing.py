"""Floor 1. From a program to an inference model: the walk over its operators.

Knows no operator, but those that only make constants.
"""

from __future__ import annotations

import numpy as np
from paddle.nn import Layer

from slimlab.legacy.network import Network
from slimlab.legacy.registry import RULES
from slimlab.legacy.style import Style
from slimlab.legacy.writer import Writer
from slimlab.lowering import LOWERINGS
from slimlab.lowering.inplace import without_overwriting
from slimlab.trace import Op, Program

# Their rules in `slimlab.lowering` say what they make.
CONSTANTS = frozenset(
    f"pd_op.{name}"
    for name in (
        "full", "full_", "full_int_array", "full_like", "full_like_", "full_with_tensor",
        "assign_value", "assign_value_", "shape", "shape64", "numel", "arange", "linspace", "eye",
    )
)  # fmt: skip


def describe(program: Program, model: Layer, style: Style) -> Network:
    """Write a traced program as an inference model, for the batch that it was traced with.

    Parameters
    ----------
    program
        What `trace_program(model, example)` gave.
    model
        The network that was traced; its tensors become parameters. It is not changed.
    style
        Who it is written for.

    Returns
    -------
    Network
        Inputs are named `input_0` and so on, outputs `output_0` and so on, parameters as in
        `state_dict`, every other variable as in the ONNX graph of the same program.

    Raises
    ------
    UnwritableError
        When an operator, or one of its attributes, can't be written.

    Examples
    --------
    >>> import paddle
    >>> from slimlab.legacy import FLOAT, describe
    >>> from slimlab.trace import trace_program
    >>> model = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU())
    >>> network = describe(trace_program(model, paddle.zeros([2, 3, 8, 8])), model, FLOAT)
    >>> [node.kind for node in network.nodes], list(network.stored())
    (['conv2d', 'elementwise_add', 'relu'], ['0.bias', '0.weight'])
    """
    program = without_overwriting(program)
    net = Writer(program, model.state_dict(), style)
    for number, tensor in program.held.items():
        net.known.hold(number, np.asarray(tensor.numpy()))
    for op in program.ops:
        if any(net.used(value) for value in op.outputs):
            _write(op, net)
    return net.network()


def _write(op: Op, net: Writer) -> None:
    net.start(op)
    if op.captured:
        net.refuse("it is control flow over tensor values; compute both branches and choose")
    if op.name in LOWERINGS and (op.name in CONSTANTS or net.known.is_constant(op)):
        net.fold(op)
        return
    rule = RULES.get(op.name)
    if rule is None:
        net.refuse("there is no rule for it; write it with other operators, or add a rule with "
                   f'@legacy_rule("{op.name}")')  # fmt: skip
    rule(op, net)

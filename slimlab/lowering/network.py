"""Floor 1. From a program to an ONNX model: the walk over its operators.

Knows no operator.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from paddle.nn import Layer

from slimlab.lowering.assembling import IR_VERSION, OPSET, assemble
from slimlab.lowering.builder import Builder, refusal
from slimlab.lowering.inplace import without_overwriting
from slimlab.lowering.registry import LOWERINGS
from slimlab.trace import Op, Program


def lower(program: Program, model: Layer) -> ModelProto:
    """Write a traced program as an ONNX model.

    Parameters
    ----------
    program
        What `trace_program(model, example)` gave. Shapes are those of its example, the batch
        included.
    model
        The network that was traced; its tensors become the initializers. It is not changed.

    Returns
    -------
    onnx.ModelProto
        Opset 17. Inputs are named `input_0` and so on, outputs `output_0` and so on, parameters
        as in `state_dict`, every other value by `value_name`, and every value has its element
        type and shape. Parameters are stored as they are, once each; constants are initializers
        named `const_<n>`. There are no unused initializers and no nodes that nothing reads.

    Raises
    ------
    UnsupportedOpError
        When an operator, or one of its attributes, has no counterpart here. The model that comes
        out is never a wrong one.
    ExportError
        When the program was not traced from this model.

    Examples
    --------
    >>> import paddle
    >>> from slimlab.lowering import lower
    >>> from slimlab.trace import trace_program
    >>> model = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU())
    >>> program = trace_program(model, paddle.zeros([2, 3, 8, 8]))
    >>> graph = lower(program, model).graph
    >>> [node.op_type for node in graph.node]
    ['Conv', 'Reshape', 'Add', 'Relu']
    >>> [initializer.name for initializer in graph.initializer]
    ['0.weight', '0.bias', 'const_0']
    """
    program = without_overwriting(program)
    net = Builder(program, model.state_dict())
    for number, tensor in program.held.items():
        if number in net.live:
            net.hold(number, tensor.numpy())
    for op in program.ops:
        if any(net.used(value) for value in op.outputs):
            _lower_op(op, net)
    for position, value in enumerate(program.outputs):
        if net.name(value) != f"output_{position}":
            net.copy(value, f"output_{position}")
    net.nodes = _needed(net.nodes, [f"output_{n}" for n in range(len(program.outputs))])
    return assemble(program, net, model)


def _lower_op(op: Op, net: Builder) -> None:
    rule = LOWERINGS.get(op.name)
    if op.captured:
        advice = "Compute both branches and choose with paddle.where"
        raise refusal(op, "is control flow over tensor values", advice)
    if rule is None:
        raise refusal(op, "has no lowering rule")
    net.start(op)
    if net.is_constant(op):
        fold(op, net)
        return
    rule(op, net)
    for value in net.made(op):
        if net.used(value) and net.known(value) is None and -1 in value.shape:
            net.refuse(f"its output of shape {list(value.shape)} has no fixed size")


def fold(op: Op, net: Builder) -> None:
    """Work out an operator whose inputs are all known, if it has any."""
    apart = net.apart()
    LOWERINGS[op.name](op, apart)
    wanted = [v for v in apart.made(op) if net.used(v) and apart.known(v) is None]
    if wanted:
        # A graph's output must have some type; the evaluator does not read it.
        ends = [
            helper.make_tensor_value_info(net.names[v.id], TensorProto.FLOAT, None) for v in wanted
        ]
        constants = [numpy_helper.from_array(a, name) for name, a in apart.constants.items()]
        graph = helper.make_graph(apart.nodes, "constants", [], ends, constants)
        opset = [helper.make_opsetid("", OPSET)]
        tiny = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        for value, array in zip(wanted, ReferenceEvaluator(tiny).run(None, {}), strict=True):
            apart.set_constant(value, np.asarray(array))
    net.take_constants(apart)


def _needed(nodes: list[NodeProto], outputs: list[str]) -> list[NodeProto]:
    """The nodes that the outputs depend on, in order."""
    read = set(outputs)
    kept = []
    for node in reversed(nodes):
        if any(name in read for name in node.output):
            kept.append(node)
            read.update(node.input)
    return kept[::-1]

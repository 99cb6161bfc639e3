"""Floor 1. From a program to an ONNX model: the walk over its operators, and what holds the nodes.

Knows no operator. Shapes are checked: what ONNX's own inference says of every value must be what
Paddle traced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import ExportError, UnsupportedOpError
from slimlab.lowering.builder import NUMPY, Builder, onnx_type, refusal
from slimlab.lowering.registry import LOWERINGS
from slimlab.trace import Op, Program, Value

OPSET = 17
IR_VERSION = 8
Sizes = tuple[int, ...]
# Element type and shape of a value.
Kind = tuple[int, Sizes]


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
    ['Reshape', 'Conv', 'Add', 'Relu']
    >>> [initializer.name for initializer in graph.initializer]
    ['0.weight', '0.bias', 'const_0']
    """
    net = Builder(program)
    for value_id, tensor in program.held.items():
        if value_id in net.live:
            net.hold(value_id, tensor.numpy())
    for op in program.ops:
        if any(net.used(value) for value in op.outputs):
            _lower_op(op, net)
    for position, value in enumerate(program.outputs):
        if net.name(value) != f"output_{position}":
            net.copy(value, f"output_{position}")
    nodes, read = _needed(net, [f"output_{n}" for n in range(len(program.outputs))])
    made = ModelProto(ir_version=IR_VERSION, producer_name="slimlab")
    made.opset_import.append(helper.make_opsetid("", OPSET))
    made.graph.name = type(model).__name__
    made.graph.node.extend(nodes)
    kinds = _traced(program, net)
    weights = _weights(program, model, read)
    _check(_infer(made, kinds, weights, net), kinds, net)
    return made


def _lower_op(op: Op, net: Builder) -> None:
    rule = LOWERINGS.get(op.name)
    if rule is None or op.captured:
        what = "is control flow over tensor values" if op.captured else "has no lowering rule"
        raise refusal(op, what)
    net.start(op)
    if net.is_constant(op):
        _fold(op, net)
    else:
        rule(op, net)


def _fold(op: Op, net: Builder) -> None:
    """Compute an operator whose inputs are all known."""
    apart = net.apart()
    LOWERINGS[op.name](op, apart)
    wanted = [v for v in apart.made(op) if net.used(v) and apart.known(v) is None]
    if wanted:
        graph = helper.make_graph(
            apart.nodes,
            "constants",
            [],
            [helper.make_tensor_value_info(net.names[v.id], 0, None) for v in wanted],
            [numpy_helper.from_array(a, name) for name, a in apart.constants.items()],
        )
        # A graph output must have some type; the evaluator does not read it.
        for each in graph.output:
            each.type.tensor_type.elem_type = TensorProto.FLOAT
        opset = [helper.make_opsetid("", OPSET)]
        tiny = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        for value, array in zip(wanted, ReferenceEvaluator(tiny).run(None, {}), strict=True):
            apart.set_constant(value, np.asarray(array))
    net.take_constants(apart)


def _needed(net: Builder, outputs: list[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that the outputs depend on, in order, and all names that they read."""
    read = set(outputs)
    kept = []
    for node in reversed(net.nodes):
        if any(name in read for name in node.output):
            kept.append(node)
            read.update(name for name in node.input if name)
    return kept[::-1], read


def _values(program: Program) -> Iterator[Value]:
    yield from program.inputs
    for op in program.ops:
        yield from (v for v in (*op.inputs, *op.outputs) if v is not None)


def _traced(program: Program, net: Builder) -> dict[str, Kind]:
    """Element type and shape of every value that Paddle's tracer knows, by its name in ONNX."""
    kinds = {}
    for value in _values(program):
        if value.dtype in NUMPY:
            kinds[net.names[value.id]] = (onnx_type(NUMPY[value.dtype]), value.shape)
    for position, value in enumerate(program.outputs):
        kinds[f"output_{position}"] = (onnx_type(net.numpy_type(value)), value.shape)
    return kinds


def _weights(program: Program, model: Layer, read: set[str]) -> dict[str, Tensor]:
    """The parameters that the graph reads, in the model's order."""
    wanted = {v.parameter: v for v in _values(program) if v.parameter in read}
    state: Mapping[str, Tensor] = model.state_dict()
    for name, value in wanted.items():
        if name not in state or tuple(state[name].shape) != value.shape:
            there = list(state[name].shape) if name in state else "missing"
            msg = (
                f"The program reads {name!r} with shape {list(value.shape)}, which is {there} in "
                f"the {type(model).__name__} given. Lower a program together with the model that "
                "it was traced from."
            )
            raise ExportError(msg, parameter=name)
    return {name: tensor for name, tensor in state.items() if name in wanted}


def _infer(
    made: ModelProto, kinds: Mapping[str, Kind], weights: Mapping[str, Tensor], net: Builder
) -> dict[str, Kind]:
    """Fill in initializers, inputs, outputs and value_info; give what ONNX infers.

    Inference copies the model, so it is run on one in which the weights are inputs.
    """
    graph = made.graph
    made_here = {name for node in graph.node for name in node.output}
    read = {name for node in graph.node for name in node.input}
    constants = {name: array for name, array in net.constants.items() if name in read}
    skeleton = ModelProto()
    skeleton.CopyFrom(made)
    entries = [name for name in kinds if name.startswith("input_") and name not in made_here]
    for name in [*entries, *weights]:
        skeleton.graph.input.append(_info(name, kinds[name]))
    for name, array in constants.items():
        skeleton.graph.initializer.append(numpy_helper.from_array(array, name))
    outputs = [name for name in kinds if name.startswith("output_")]
    skeleton.graph.output.extend(_info(name, kinds[name]) for name in outputs)
    try:
        inferred = shape_inference.infer_shapes(
            skeleton, check_type=True, strict_mode=True, data_prop=True
        ).graph
    except shape_inference.InferenceError as error:
        msg = f"The network was written as ONNX that does not hold together: {error}"
        raise UnsupportedOpError(msg) from error
    found = {info.name: _kind(info) for info in (*inferred.value_info, *inferred.output)}
    graph.input.extend(_info(name, kinds[name]) for name in entries)
    graph.output.extend(_info(name, kinds[name]) for name in outputs)
    for node in graph.node:
        for name in node.output:
            if name and name not in outputs:
                graph.value_info.append(_info(name, kinds.get(name) or found[name]))
    for name, tensor in weights.items():
        graph.initializer.append(numpy_helper.from_array(tensor.numpy(), name))
    for name, array in constants.items():
        graph.initializer.append(numpy_helper.from_array(array, name))
    return found


def _info(name: str, kind: Kind) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind[0], kind[1])


def _kind(info: ValueInfoProto) -> Kind:
    tensor = info.type.tensor_type
    return tensor.elem_type, tuple(
        size.dim_value if size.HasField("dim_value") else -1 for size in tensor.shape.dim
    )


def _check(found: Mapping[str, Kind], kinds: Mapping[str, Kind], net: Builder) -> None:
    """Refuse a graph in which some value is not what Paddle says it is."""
    for name, op in net.makers.items():
        if name not in found:
            continue
        traced, inferred = kinds.get(name, found[name]), found[name]
        if traced != inferred or any(size < 0 for size in inferred[1]):
            raise refusal(
                op,
                f"became a tensor of {inferred} in ONNX, and {traced} was traced;"
                " its lowering rule does not cover this case",
            )

"""Floor 1. The ONNX model around the nodes: initializers, inputs, outputs, and types of values.

Knows no operator. Types and shapes are checked: what ONNX's own inference says of every value must
be what Paddle traced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from onnx import GraphProto, ModelProto, ValueInfoProto, helper, shape_inference
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import ExportError, UnsupportedOpError
from slimlab.lowering.builder import NUMPY, Builder, onnx_type, refusal
from slimlab.trace import Program, Value

OPSET = 17
IR_VERSION = 8
# Element type (ONNX's number) and shape of a value.
Kind = tuple[int, tuple[int, ...]]


def assemble(program: Program, net: Builder, model: Layer) -> ModelProto:
    """Put nodes, constants and the model's tensors together, and check what came out."""
    kinds = _traced(program, net)
    made = ModelProto(ir_version=IR_VERSION, producer_name="slimlab")
    made.opset_import.append(helper.make_opsetid("", OPSET))
    graph = made.graph
    graph.name = type(model).__name__
    graph.node.extend(net.nodes)
    read = {name for node in net.nodes for name in node.input}
    graph.input.extend(_info(f"input_{n}", kinds) for n in range(len(program.inputs)))
    graph.output.extend(_info(f"output_{n}", kinds) for n in range(len(program.outputs)))
    constants = {name: array for name, array in net.constants.items() if name in read}
    weights = _weights(program, model, read)
    ours = {*net.makers, *constants, *(info.name for info in graph.input)}
    for name in sorted(ours & set(weights)):
        msg = f"The model's tensor {name!r} has a name that is used in the graph. Rename it."
        raise ExportError(msg, parameter=name)
    light = _light(made, constants, [_info(name, kinds) for name in weights])
    try:
        found = _inferred(light, strict=True)
    except shape_inference.InferenceError as error:
        # The node that is named there may only read what another one made wrongly.
        _check(net, _inferred(light, strict=False), kinds)
        msg = f"The network was written as ONNX that does not hold together: {error}"
        raise UnsupportedOpError(msg) from error
    _check(net, found, kinds)
    outputs = {info.name for info in graph.output}
    for node in graph.node:
        inner = [name for name in node.output if name and name not in outputs]
        graph.value_info.extend(_info(name, found) for name in inner)
    for name, tensor in weights.items():
        _store(graph, name, tensor.numpy())
    for name, array in constants.items():
        _store(graph, name, array)
    return made


def _values(program: Program) -> Iterator[Value]:
    yield from program.inputs
    for op in program.ops:
        yield from (v for v in (*op.inputs, *op.outputs) if v is not None)


def _traced(program: Program, net: Builder) -> dict[str, Kind]:
    """Element type and shape of every value that Paddle's tracer knows, by its name in ONNX."""
    kinds = {}
    for value in _values(program):
        dtype = net.type_of(value)
        if dtype in NUMPY:
            kinds[net.names[value.id]] = (onnx_type(NUMPY[dtype]), value.shape)
    for position, value in enumerate(program.outputs):
        kinds[f"output_{position}"] = (onnx_type(net.numpy_type(value)), value.shape)
    return kinds


def _weights(program: Program, model: Layer, read: set[str]) -> dict[str, Tensor]:
    """The tensors of the model that the graph reads, in the model's order."""
    wanted = {v.parameter: v for v in _values(program) if v.parameter in read}
    state: Mapping[str, Tensor] = model.state_dict()
    for name, value in wanted.items():
        if name not in state or tuple(state[name].shape) != value.shape:
            there = f"has shape {list(state[name].shape)}" if name in state else "is missing"
            msg = (
                f"The program reads {name!r} with shape {list(value.shape)}, which {there} in the "
                f"{type(model).__name__} given. Lower a program together with the model that it "
                "was traced from."
            )
            raise ExportError(msg, parameter=name)
    return {name: tensor for name, tensor in state.items() if name in wanted}


def _light(
    made: ModelProto, constants: Mapping[str, np.ndarray], weights: list[ValueInfoProto]
) -> ModelProto:
    """The model with its weights as inputs, because inference copies what it is given."""
    light = ModelProto()
    light.CopyFrom(made)
    light.graph.input.extend(weights)
    for name, array in constants.items():
        _store(light.graph, name, array)
    return light


def _inferred(light: ModelProto, *, strict: bool) -> dict[str, Kind]:
    """What ONNX infers of all values; where it fails, nothing if it is not to be strict."""
    graph = shape_inference.infer_shapes(light, strict, strict, True).graph
    return {info.name: _kind(info) for info in (*graph.value_info, *graph.output)}


def _info(name: str, kinds: Mapping[str, Kind]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, *kinds[name])


def _kind(info: ValueInfoProto) -> Kind:
    tensor = info.type.tensor_type
    sizes = (size.dim_value if size.HasField("dim_value") else -1 for size in tensor.shape.dim)
    return tensor.elem_type, tuple(sizes)


def _store(graph: GraphProto, name: str, array: np.ndarray) -> None:
    """Add an initializer, copying its numbers as few times as Python's bytes allow."""
    entry = graph.initializer.add()
    entry.name = name
    entry.data_type = onnx_type(array.dtype)
    entry.dims.extend(array.shape)
    entry.raw_data = array.tobytes()


def _check(net: Builder, found: Mapping[str, Kind], kinds: Mapping[str, Kind]) -> None:
    """Refuse a graph in which some value is not what Paddle says it is."""
    for node in net.nodes:
        for name in filter(None, node.output):
            kind = found.get(name)
            if kind is None or kind != kinds.get(name, kind) or min(kind[1], default=0) < 0:
                written = "a value of unknown shape" if kind is None else _words(kind)
                traced = f" where {_words(kinds[name])} was traced" if name in kinds else ""
                what = f"was written as {written}{traced}: its rule does not cover this case"
                raise refusal(net.makers.get(name, net.op), what)


def _words(kind: Kind) -> str:
    return f"{helper.tensor_dtype_to_np_dtype(kind[0])} of shape {list(kind[1])}"

"""Floor 2. Biases as the third input of convolutions, which runtimes fuse best. Knows ONNX only."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto, NodeProto, numpy_helper

from slimlab.export.batching import initializers


def with_biases(model: ModelProto) -> None:
    """Merge, in place, each convolution with the addition of its bias behind it.

    It is the same sum; the value that the addition gave keeps its name. Biases stay float: int32
    ones move values to the next step of a grid.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    for one in graph.output:
        readers[one.name] = readers.get(one.name, 0) + 1
    gone = []
    for node in graph.node:
        if node.op_type != "Add":
            continue
        conv = makers.get(node.input[0])
        bias = _bias(model, makers, node.input[1])
        if conv is None or bias is None or conv.op_type not in {"Conv", "ConvTranspose"}:
            continue
        if len(conv.input) == 2 and readers[conv.output[0]] == 1:
            gone += [conv.output[0]]
            conv.input.append(bias)
            conv.output[0] = node.output[0]
            graph.node.remove(node)
    _sweep(model, set(gone))


def _bias(model: ModelProto, makers: Mapping[str, NodeProto], name: str) -> str | None:
    """The stored vector that a value is, spread over the axis of channels; None for another."""
    reshape, known = makers.get(name), initializers(model)
    if reshape is None or reshape.op_type != "Reshape" or reshape.input[0] not in known:
        return None
    sizes = numpy_helper.to_array(known[reshape.input[1]]).tolist()
    dims = list(known[reshape.input[0]].dims)
    spread = len(dims) == 1 and len(sizes) > 2 and sizes[1] in {-1, dims[0]}
    others = [size for place, size in enumerate(sizes) if place != 1]
    return str(reshape.input[0]) if spread and set(others) == {1} else None


def _sweep(model: ModelProto, gone: set[str]) -> None:
    """Remove nodes, constants and infos that nothing reads any more."""
    graph = model.graph
    ends = {one.name for one in graph.output}
    changed = True
    while changed:
        read = {name for node in graph.node for name in node.input}
        idle = [node for node in graph.node if not (read | ends).intersection(node.output)]
        for node in idle:
            gone.update(node.output)
            graph.node.remove(node)
        changed = bool(idle)
    for one in [one for one in graph.initializer if one.name not in read]:
        graph.initializer.remove(one)
    for info in [info for info in graph.value_info if info.name in gone]:
        graph.value_info.remove(info)

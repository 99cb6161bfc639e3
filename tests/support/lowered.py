"""What holds for every lowered network, and that it computes what Paddle computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import paddle
from paddle import Tensor, nn

from slimlab.lowering import lower
from slimlab.trace import trace_program

RELATIVE = 1e-4
onnxruntime.set_default_logger_severity(3)


def plainly(model: onnx.ModelProto, inputs: Sequence[Tensor]) -> list[np.ndarray]:
    """Outputs of ONNX Runtime, with all of its rewriting of graphs turned off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    taken = {each.name for each in session.get_inputs()}
    feed = {f"input_{n}": x.numpy() for n, x in enumerate(inputs) if f"input_{n}" in taken}
    return session.run(None, feed)


def tidy(model: onnx.ModelProto) -> None:
    """Hold a model against the rules for all of them."""
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    assert {each.domain for each in model.opset_import} == {""}
    read = {name for node in graph.node for name in node.input}
    outputs = [each.name for each in graph.output]
    assert outputs == [f"output_{n}" for n in range(len(outputs))]
    assert [each.name for each in graph.input] == [f"input_{n}" for n in range(len(graph.input))]
    assert {each.name for each in graph.initializer} <= read
    assert not [node for node in graph.node if node.op_type == "Constant"]
    assert not [n for n in graph.node if not ({*n.output} & (read | {*outputs}))]
    infos = [*graph.value_info, *graph.output]
    made = [name for node in graph.node for name in node.output if name]
    assert sorted(each.name for each in infos) == sorted(made)
    for each in infos:
        sizes = each.type.tensor_type.shape.dim
        assert each.type.tensor_type.elem_type
        assert all(size.HasField("dim_value") for size in sizes), each.name


def differences(model: nn.Layer, inputs: Tensor | Sequence[Tensor]) -> list[float]:
    """Lower a model, and give the largest relative difference of each of its outputs."""
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    model.eval()
    made = lower(trace_program(model, given), model)
    tidy(made)
    found = plainly(made, given)
    with paddle.no_grad():
        expected = tensors(model(*given))
    assert [(a.dtype, a.shape) for a in found] == [(b.dtype, b.shape) for b in expected]
    return [relative(a, b) for a, b in zip(found, expected, strict=True)]


def tensors(made: Any) -> list[np.ndarray]:
    return [t.numpy() for t in paddle.utils.flatten(made) if isinstance(t, Tensor)]


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    if expected.dtype.kind != "f":
        return float((found != expected).any())
    same = np.isnan(found) & np.isnan(expected)
    largest = np.abs(np.where(same, 0, found - expected)).max(initial=0.0)
    return float(largest / max(np.abs(np.nan_to_num(expected)).max(initial=0.0), 1e-6))

"""Runs an exported file in a process of its own, with the runtime it is for and nothing of SlimLab.

Started by path. Requests and replies are one line of JSON, then the bytes of the arrays that it
lists; they go through the process's own standard streams, which the runtimes do not get to see.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

Arrays = list[np.ndarray]


def read(stream: BinaryIO) -> tuple[dict[str, Any], Arrays] | None:
    """Read a message; None at the end."""
    line = stream.readline()
    if not line:
        return None
    head = json.loads(line)
    arrays = []
    for dtype, shape in head.pop("arrays"):
        count = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        content = stream.read(count)
        if len(content) != count:
            return None
        arrays.append(np.frombuffer(content, dtype).reshape(shape))
    return head, arrays


def write(stream: BinaryIO, head: dict[str, Any], arrays: Arrays) -> None:
    """Send a message."""
    listed = [[array.dtype.str, list(array.shape)] for array in arrays]
    stream.write(json.dumps({**head, "arrays": listed}).encode() + b"\n")
    for array in arrays:
        stream.write(np.ascontiguousarray(array).tobytes())
    stream.flush()


class OnnxRuntime:
    """ONNX Runtime, with or without its own changes of the graph."""

    def __init__(self, file: Path, asked: dict[str, Any]) -> None:
        import onnxruntime

        content: Any = str(file)
        if asked["values"]:
            import onnx

            model = onnx.load(str(file))
            known = {info.name: info for info in model.graph.value_info}
            there = {info.name for info in model.graph.output}
            model.graph.output.extend(known[n] for n in asked["values"] if n not in there)
            content = model.SerializeToString()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if asked["plain"]:
            level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.graph_optimization_level = level
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(content, options, providers=providers)
        self.names = [one.name for one in self.session.get_inputs()]

    def run(self, inputs: Arrays, names: list[str]) -> Arrays:
        """The outputs, or the values of these names."""
        feed = dict(zip(self.names, inputs, strict=True))
        return list(self.session.run(names or None, feed))


class OpenVino:
    """OpenVINO in float32 and int8: its default on some processors would be bfloat16."""

    def __init__(self, file: Path, asked: dict[str, Any]) -> None:
        import openvino

        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(str(file), "CPU", settings)
        self.request = compiled.create_infer_request()

    def run(self, inputs: Arrays, names: list[str]) -> Arrays:
        """The outputs."""
        self.request.infer(list(inputs))
        return [np.array(self.request.get_tensor(n).data) for n in self.request.model_outputs]


class PaddleInference:
    """Paddle Inference, with or without its own changes of the graph."""

    def __init__(self, file: Path, asked: dict[str, Any]) -> None:
        from paddle import inference

        program, params = file.read_bytes(), file.with_suffix(".pdiparams").read_bytes()
        if asked["values"]:
            program = fetching(program, asked["values"])
        config = inference.Config()
        config.set_model_buffer(program, len(program), params, len(params))
        config.disable_glog_info()
        if asked["plain"]:
            config.switch_ir_optim(False)
        self.predictor = inference.create_predictor(config)

    def run(self, inputs: Arrays, names: list[str]) -> Arrays:
        """The outputs, or the values of these names."""
        for name, array in zip(self.predictor.get_input_names(), inputs, strict=True):
            self.predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(array))
        self.predictor.run()
        wanted = names or [n for n in self.predictor.get_output_names() if n.startswith("output_")]
        return [self.predictor.get_output_handle(name).copy_to_cpu() for name in wanted]


def fetching(program: bytes, names: list[str]) -> bytes:
    """A program that gives more of its values."""
    from paddle.base.proto import framework_pb2 as proto

    made = proto.ProgramDesc.FromString(program)
    block = made.blocks[0]
    last = [op for op in block.ops if op.type == "fetch"]
    there = {op.inputs[0].arguments[0] for op in last}
    for name in names:
        if name not in there:
            more = block.ops.add()
            more.CopyFrom(last[0])
            more.inputs[0].arguments[0] = name
            more.attrs[0].i = len(there)
            there.add(name)
    content: bytes = made.SerializeToString()
    return content


RUNTIMES: dict[str, Any] = {
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "paddle-inference": PaddleInference,
}


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Load what the first request names, and run what the others ask for."""
    network: Any = None
    while (message := read(requests)) is not None:
        asked, arrays = message
        try:
            if network is None:
                network = RUNTIMES[asked["runtime"]](Path(asked["file"]), asked)
                write(replies, {}, [])
            elif asked["runs"]:
                write(replies, {"seconds": timed(network, arrays, asked["runs"])}, [])
            else:
                write(replies, {}, network.run(arrays, asked["values"]))
        except Exception as error:  # whatever a runtime raises goes to who asked
            told = str(error).strip() or type(error).__name__
            write(replies, {"error": told[-2000:], "type": type(error).__name__}, [])


def timed(network: Any, inputs: Arrays, runs: int) -> list[float]:
    """Seconds of so many runs, after a few that are not counted."""
    for _ in range(3):
        network.run(inputs, [])
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        network.run(inputs, [])
        found.append(time.perf_counter() - start)
    return found


def main() -> None:
    """Keep the standard streams for messages: what a runtime prints goes to the errors' stream."""
    sys.path.pop(0)  # this folder
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()

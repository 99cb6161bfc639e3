"""Floor 2. The formats `onnx` and `onnx-int8`."""

from __future__ import annotations

from onnx import ModelProto

from slimlab.errors import ExportError
from slimlab.export.batching import any_batch
from slimlab.export.biases import with_biases
from slimlab.export.formats import Subject, Written, export_format
from slimlab.export.fusing import fuse_whole
from slimlab.export.outputs import layer_values
from slimlab.lowering import value_names

FILE = "model.onnx"
LINES = (
    "import onnxruntime",
    f'session = onnxruntime.InferenceSession("{FILE}")',
    'logits = session.run(None, {"input_0": images})[0]',
)
MOST = 2**31 - 1  # bytes; a protocol buffer holds no more


@export_format(
    "onnx",
    runtime="onnxruntime",
    timed=("onnxruntime", "openvino"),
    quantized=False,
    lines=LINES,
)
def write_onnx(subject: Subject) -> Written:
    """Opset 17, for any number of images, with parameters as initializers of their names."""
    return _written(onnx_model(subject), subject)


def _written(model: ModelProto, subject: Subject) -> Written:
    if model.ByteSize() > MOST:
        msg = f"The network has {model.ByteSize():,} bytes; an ONNX file holds {MOST:,}."
        raise ExportError(msg, bytes=model.ByteSize())
    names = value_names(subject.programs[0])
    made = {name for node in model.graph.node for name in node.output}
    values = layer_values(subject.programs[0])
    layers = {layer: names[v.id] for layer, v in values.items() if names.get(v.id) in made}
    return Written({FILE: model.SerializeToString()}, layers)


def onnx_model(subject: Subject) -> ModelProto:
    """The network as ONNX, for any batch."""
    model = any_batch(*subject.lowered)
    with_biases(model)
    return model


@export_format(
    "onnx-int8",
    runtime="onnxruntime",
    timed=("onnxruntime", "openvino"),
    quantized=True,
    lines=LINES,
)
def write_onnx_int8(subject: Subject) -> Written:
    """Weights are int8 initializers behind a DequantizeLinear, one scale a channel (or tensor);
    activations pass a QuantizeLinear and a DequantizeLinear, in uint8 where the grid is static.
    Biases of convolutions are float.
    """
    model = onnx_model(subject)
    fuse_whole(model)
    return _written(model, subject)

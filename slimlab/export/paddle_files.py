"""Floor 2. The formats of Paddle itself: a program and its parameters."""

from __future__ import annotations

from slimlab.export.formats import BATCHES, Subject, Written, export_format
from slimlab.export.outputs import layer_values
from slimlab.export.translating import paddle3_bytes
from slimlab.legacy import (
    FLOAT,
    INT8,
    LITE,
    Style,
    any_batch,
    describe,
    for_lite,
    params_bytes,
    program_bytes,
)
from slimlab.lowering import value_names
from slimlab.quantize import is_quantized

PROGRAM, PARAMS = "model.pdmodel", "model.pdiparams"
PROGRAM_3 = "model.json"
RUNTIME = "paddle-inference"
LINES = (
    "import paddle",
    f'config = paddle.inference.Config("{PROGRAM}", "{PARAMS}")',
    "logits = paddle.inference.create_predictor(config).run([paddle.to_tensor(images)])[0].numpy()",
)


@export_format("paddle-float", runtime=RUNTIME, timed=(RUNTIME,), quantized=False, lines=LINES)
def write_float(subject: Subject) -> Written:
    """Everything is stored as float32; a weight on a grid has the values of the grid.

    A second program, for the loaders of Paddle 3, shares the parameters. There is none of quantized
    networks, of which Paddle 3.3 loads it and computes something else.
    """
    made = written(subject, FLOAT)
    translated = None if is_quantized(subject.model) else paddle3_bytes(made.files[PROGRAM])
    if translated is None:
        return made
    return Written({**made.files, PROGRAM_3: translated}, made.layers)


@export_format("paddle-int8", runtime=RUNTIME, timed=(RUNTIME,), quantized=True, lines=LINES)
def write_int8(subject: Subject) -> Written:
    """Weights are int8 behind a `dequantize_linear`, one scale a channel or tensor; activations
    pass a `quantize_linear` and a `dequantize_linear`. Biases are float.
    """
    return written(subject, INT8)


@export_format(
    "paddle-lite",
    runtime=RUNTIME,
    timed=(RUNTIME,),
    quantized=True,
    lines=LINES,
    note=(
        "Paddle Lite's optimizer makes a file of its own of it: `paddle_lite_opt "
        f"--model_file={PROGRAM} --param_file={PARAMS} --valid_targets=arm --optimize_out=model`. "
        "Its int8 kernels for x86 add products in 16 bits and overflow with weights of 8 bits: for "
        "`--valid_targets=x86`, quantize with `weight_bits=7`."
    ),
)
def write_lite(subject: Subject) -> Written:
    """As `paddle-int8`, of operators that Paddle Lite has, in the form in which its optimizer finds
    quantized operators: activations with stored scales and 8 bits.
    """
    return written(subject, LITE)


def written(subject: Subject, style: Style) -> Written:
    """The two files, for any number of images."""
    first, second = (describe(program, subject.model, style) for program in subject.programs)
    network = any_batch(first, second, BATCHES)
    if style.lite:
        network = for_lite(network)
    names = value_names(subject.programs[0])
    made = {name for node in network.nodes for name in node.makes}
    values = layer_values(subject.programs[0])
    layers = {layer: names[v.id] for layer, v in values.items() if names.get(v.id) in made}
    return Written({PROGRAM: program_bytes(network), PARAMS: params_bytes(network)}, layers)

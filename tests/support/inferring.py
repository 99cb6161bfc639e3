"""Networks written as inference models and run by Paddle Inference, beside the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle
from lowered import relative, tensors
from paddle import Tensor, inference, nn

from slimlab.evaluate import inference as evaluation
from slimlab.export.formats import BATCHES, Subject
from slimlab.legacy import FLOAT, Network, Style, any_batch, describe, params_bytes, program_bytes


def network_of(model: nn.Layer, inputs: Tensor | Sequence[Tensor], style: Style = FLOAT) -> Network:
    """A network for any batch."""
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    subject = Subject.of(model, given)
    first, second = (describe(program, subject.model, style) for program in subject.programs)
    return any_batch(first, second, BATCHES)


def run_network(network: Network, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    program, params = program_bytes(network), params_bytes(network)
    config = inference.Config()
    config.set_model_buffer(program, len(program), params, len(params))
    config.disable_glog_info()
    config.switch_ir_optim(False)
    predictor = inference.create_predictor(config)
    for name, array in zip(predictor.get_input_names(), inputs, strict=True):
        predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(array))
    predictor.run()
    return [predictor.get_output_handle(n).copy_to_cpu() for n in predictor.get_output_names()]


def differences(model: nn.Layer, inputs: Tensor | Sequence[Tensor]) -> list[float]:
    """How far the file's outputs are from the model's, with two batches."""
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    network = network_of(model, given)
    found = []
    for batch in (1, 3):
        many = [paddle.tile(x[:1], [batch] + [1] * (x.ndim - 1)) for x in given]
        noisy = [x + 0.1 * paddle.randn(x.shape) if x.is_floating_point() else x for x in many]
        made: Any = None
        with evaluation(model):
            made = tensors(model(*noisy))
        outputs = run_network(network, [x.numpy() for x in noisy])
        found += [relative(a, b) for a, b in zip(outputs, made, strict=True)]
    return found

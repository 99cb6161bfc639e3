"""Real clocks: they run what they should, and give times."""

from __future__ import annotations

import numpy as np
import onnx
import paddle
import pytest
from paddle.nn import functional

import slimlab as sl
from slimlab.runtimes import fastest
from slimlab.timing import LayerShape, RuntimeClock, TimingSettings
from slimlab.timing.clock import least_ms, onnx_layer

CONV = LayerShape("conv", 2, 4, 6, (7, 5), (3, 3), (2, 1), (1, 0, 0, 2), (1, 1), 2)
LINEAR = LayerShape("linear", 3, 5, 4)


def test_the_layer_that_is_timed_is_the_layer():
    model, (x,) = onnx_layer(CONV)
    onnx.checker.check_model(model)
    weight, bias = (onnx.numpy_helper.to_array(t) for t in model.graph.initializer)
    (found,) = fastest().compile(model)([x])
    expected = functional.relu(
        functional.conv2d(
            paddle.to_tensor(x),
            paddle.to_tensor(np.array(weight)),
            paddle.to_tensor(np.array(bias)),
            stride=[2, 1],
            padding=[1, 0, 0, 2],
            groups=2,
        )
    )
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "paddle"])
def test_every_runtime_tells_the_time_of_layers_and_networks(runtime):
    clock = RuntimeClock(TimingSettings(runtime=runtime, batch=2, runs=2, turns=1))
    assert runtime in clock.name
    assert clock.layer(CONV) > 0
    assert clock.layer(LINEAR) > 0
    task = sl.load_task("digits")
    model = sl.load_model("vgg", task)
    whole, again = clock.networks([model, model], task.example)
    assert whole > 0
    assert again > 0


def test_the_least_of_all_turns_counts():
    ticks = iter([0, 5, 0, 9, 0, 3, 0, 1])
    found = least_ms([lambda: None, lambda: None], runs=1, turns=2, now=lambda: 1e-3 * next(ticks))
    assert found == pytest.approx((3, 1))


def test_an_unknown_runtime_is_refused_by_name():
    with pytest.raises(sl.TaskError, match="onnxruntime"):
        RuntimeClock(TimingSettings(runtime="onnxrutnime"))

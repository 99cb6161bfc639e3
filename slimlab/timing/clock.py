"""Floor 2. Clocks: how many milliseconds a layer of a shape takes, and how many whole networks.

The least of several runs is what counts: a machine's other work only ever adds time. Knows
runtimes; knows no widths and no budgets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import paddle
from onnx import TensorProto, helper, numpy_helper
from paddle import Tensor
from paddle.nn import Layer, functional

from slimlab.evaluate import inference
from slimlab.lowering import lower
from slimlab.lowering.assembling import IR_VERSION, OPSET
from slimlab.runtimes import fastest
from slimlab.timing.layers import LayerShape
from slimlab.timing.settings import TimingSettings
from slimlab.trace import as_inputs, trace_program

Run = Callable[[], object]


class Clock(Protocol):
    """What tells the time of layers and networks."""

    @property
    def name(self) -> str:
        """Everything that a layer's time depends on, beside its shape and the machine."""
        ...

    def layer(self, shape: LayerShape) -> float:
        """Milliseconds of one layer."""
        ...

    def networks(
        self, models: Sequence[Layer], example: Tensor | Sequence[Tensor]
    ) -> tuple[float, ...]:
        """Milliseconds of each of some networks, measured in turns."""
        ...


class RuntimeClock:
    """The clock on the wall, for a runtime.

    Examples
    --------
    >>> from slimlab.timing import LayerShape, RuntimeClock, TimingSettings
    >>> clock = RuntimeClock(TimingSettings(runs=2))
    >>> clock.layer(LayerShape("linear", 8, 16, 4)) > 0
    True
    """

    def __init__(self, settings: TimingSettings | None = None) -> None:
        self._settings = settings = settings or TimingSettings()
        if settings.runtime != "paddle":
            self._runtime = fastest(names=[settings.runtime])

    @property
    def name(self) -> str:
        """Runtime, its version, threads."""
        name = self._settings.runtime
        if name == "paddle":
            return f"paddle {paddle.__version__}"
        return f"{name} {version(name)}, {self._settings.threads} threads"

    def layer(self, shape: LayerShape) -> float:
        """Least milliseconds over the runs."""
        if self._settings.runtime == "paddle":
            run = _paddle_layer(shape)
        else:
            model, inputs = onnx_layer(shape)
            compiled = self._runtime.compile(model, threads=self._settings.threads)

            def run() -> object:
                return compiled(inputs)

        run()
        return least_ms([run], runs=self._settings.runs)[0]

    def networks(
        self, models: Sequence[Layer], example: Tensor | Sequence[Tensor]
    ) -> tuple[float, ...]:
        """Least milliseconds of each over all turns."""
        runs = [self.network(model, example) for model in models]
        for run in runs:
            run()
        return least_ms(runs, runs=self._settings.runs, turns=self._settings.turns)

    def network(self, model: Layer, example: Tensor | Sequence[Tensor]) -> Run:
        """A function that runs a whole network once."""
        batch = self._settings.batch
        inputs = [paddle.tile(x, [batch] + [1] * (len(x.shape) - 1)) for x in as_inputs(example)]
        if self._settings.runtime == "paddle":

            def eager() -> object:
                with inference(model):
                    return model(*inputs)

            return eager
        network = lower(trace_program(model, inputs), model)
        compiled = self._runtime.compile(network, threads=self._settings.threads)
        arrays = [np.ascontiguousarray(x.numpy()) for x in inputs]
        return lambda: compiled(arrays)


def least_ms(
    functions: Sequence[Run],
    *,
    runs: int,
    turns: int = 1,
    now: Callable[[], float] = time.perf_counter,
) -> tuple[float, ...]:
    """Least milliseconds of each function: in each turn each is run so many times.

    Examples
    --------
    >>> from slimlab.timing.clock import least_ms
    >>> ticks = iter([0.0, 0.005, 1.0, 1.002])            # 5 ms, then 2 ms
    >>> round(least_ms([lambda: None], runs=2, now=lambda: next(ticks))[0], 6)
    2.0
    """
    least = [float("inf")] * len(functions)
    for _ in range(turns):
        for n, function in enumerate(functions):
            for _ in range(runs):
                start = now()
                function()
                least[n] = min(least[n], 1e3 * (now() - start))
    return tuple(least)


def onnx_layer(shape: LayerShape) -> tuple[Any, list[np.ndarray[Any, Any]]]:
    """A network of one layer and its input; weights are drawn, for times don't depend on them."""
    rng = np.random.default_rng(0)

    def tensor(*sizes: int) -> np.ndarray[Any, Any]:
        return rng.standard_normal(sizes, dtype=np.float32)

    if shape.kind == "linear":
        x, weight = tensor(shape.batch, shape.inputs), tensor(shape.inputs, shape.outputs)
        nodes = [
            helper.make_node("MatMul", ["x", "weight"], ["made"]),
            helper.make_node("Add", ["made", "bias"], ["y"]),
        ]
    else:
        x = tensor(shape.batch, shape.inputs, *shape.size)
        weight = tensor(shape.outputs, shape.inputs // shape.groups, *shape.kernel)
        attributes: dict[str, Any] = {
            "kernel_shape": shape.kernel,
            "strides": shape.strides,
            "pads": shape.pads,
            "dilations": shape.dilations,
            "group": shape.groups,
        }
        nodes = [
            helper.make_node("Conv", ["x", "weight", "bias"], ["made"], **attributes),
            helper.make_node("Relu", ["made"], ["y"]),
        ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * x.ndim)],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(tensor(shape.outputs), "bias"),
        ],
    )
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION), [x]


def _paddle_layer(shape: LayerShape) -> Run:
    """One layer as Paddle's networks have it: a convolution with BatchNorm and ReLU after it."""
    if shape.kind == "linear":
        x = paddle.randn([shape.batch, shape.inputs])
        weight, bias = paddle.randn([shape.inputs, shape.outputs]), paddle.randn([shape.outputs])
        return _without_gradients(lambda: functional.linear(x, weight, bias))
    x = paddle.randn([shape.batch, shape.inputs, *shape.size])
    weight = paddle.randn([shape.outputs, shape.inputs // shape.groups, *shape.kernel])
    zeros, ones = paddle.zeros([shape.outputs]), paddle.ones([shape.outputs])
    top, left, bottom, right = shape.pads
    settings: dict[str, Any] = {
        "stride": list(shape.strides),
        "padding": [top, bottom, left, right],
        "dilation": list(shape.dilations),
        "groups": shape.groups,
    }

    def run() -> object:
        made = functional.conv2d(x, weight, **settings)
        return functional.relu(functional.batch_norm(made, zeros, ones, ones, zeros))

    return _without_gradients(run)


def _without_gradients(run: Run) -> Run:
    def quietly() -> object:
        with paddle.no_grad():
            return run()

    return quietly

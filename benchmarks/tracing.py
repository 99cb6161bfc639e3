"""How long tracing takes: Paddle's `to_static` alone, SlimLab's `trace`, and their ratio.

Processor seconds, not the clock's, so that other people's work matters less; without Python's
garbage collector, as `timeit` does it, whose full collections take as long as a small network.

Run it with the names of constructors of `paddle.vision.models`, or without for one of each family.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable

import paddle

import slimlab as sl

NAMES = [
    "LeNet", "alexnet", "vgg16", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2",
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x1_0", "squeezenet1_1",
    "densenet121", "googlenet", "inception_v3",
]  # fmt: skip


class Wrapper(paddle.nn.Layer):
    """Stands before the model: `to_static` replaces the forward of what it is given."""

    def __init__(self, model: paddle.nn.Layer) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: paddle.Tensor) -> object:
        """Run the model."""
        return self.model(x)


def to_static(model: paddle.nn.Layer, x: paddle.Tensor) -> object:
    """Trace with Paddle alone."""
    wrapper = Wrapper(model)
    wrapper.eval()
    spec = [paddle.static.InputSpec(x.shape, x.dtype)]
    static = paddle.jit.to_static(wrapper, full_graph=True, input_spec=spec)
    return static.forward.concrete_program


def seconds(work: Callable[..., object], model: paddle.nn.Layer, x: paddle.Tensor) -> float:
    """Processor time of a call."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        work(model, x)
        return time.process_time() - start
    finally:
        gc.enable()


def main(names: list[str], repeats: int = 5) -> None:
    """Print a row an architecture: medians of `repeats` calls, in turn."""
    print(f"{'architecture':24s}{'to_static':>10s}{'trace':>10s}{'ratio':>8s}")
    for name in names:
        model = getattr(paddle.vision.models, name)()
        model.eval()
        x = paddle.zeros([1, 1, 28, 28] if name == "LeNet" else [1, 3, 224, 224])
        to_static(model, x)  # the first one also compiles Paddle's own functions
        pairs = [
            (seconds(to_static, model, x), seconds(sl.trace, model, x)) for _ in range(repeats)
        ]
        alone, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name:24s}{alone:10.3f}{whole:10.3f}{whole / alone:8.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or NAMES)

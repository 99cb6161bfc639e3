"""Floor 2. Teachers on a fast runtime: logits several times sooner than in training's own runtime.

Knows nothing of losses; `Distiller` takes any function from images to logits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import DistillError
from slimlab.evaluate import inference
from slimlab.lowering import lower
from slimlab.runtimes import Compiled, fastest
from slimlab.trace import trace_program

TOLERANCE = 1e-3  # of the largest logit
Function = Callable[[Tensor], Tensor]


def fast_teacher(
    model: Layer, example: Tensor, *, runtime: str | None = None, threads: int | None = None
) -> Function:
    """Give a model's logits as a function that runs on ONNX Runtime or OpenVINO.

    Use it as a teacher where the losses compare logits only: its layers can't be read.

    Parameters
    ----------
    model
        Taken as it is now; it is not changed. What happens to it later does not reach the function.
    example
        An input ``(1, c, h, w)`` float32, on which the function is compared with the model.
    runtime
        `"onnxruntime"` or `"openvino"`; the faster one in float32 when None.
    threads
        Of the runtime; all of the machine's when None.

    Returns
    -------
    function
        From images ``(n, c, h, w)`` to logits ``(n, num_classes)`` float32. The network is compiled
        anew for each new `n`.

    Raises
    ------
    UnsupportedOpError
        When an operator can't be run there.
    DistillError
        When the model gives something else than one tensor, or the runtime other logits.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("resnet20", task)
    >>> teacher = sl.fast_teacher(model, task.example)
    >>> x, _ = next(task.test.batches(32))
    >>> bool((teacher(x) - model(x)).abs().max() < 1e-3)
    True
    """
    chosen = fastest() if runtime is None else fastest(names=[runtime])
    kept = copy.deepcopy(model)
    compiled: dict[tuple[int, ...], Compiled] = {}

    def teacher(x: Tensor) -> Tensor:
        shape = tuple(x.shape)
        if shape not in compiled:
            network = lower(trace_program(kept, x), kept)
            compiled[shape] = chosen.compile(network, threads=threads)
        return paddle.to_tensor(compiled[shape]([np.ascontiguousarray(x.numpy())])[0])

    _check(kept, teacher, example, chosen.name)
    return teacher


def _check(model: Layer, teacher: Function, example: Tensor, runtime: str) -> None:
    """Compare the first logits with the model's own."""
    with inference(model):
        own = model(example)
    if not isinstance(own, Tensor):
        msg = f"The teacher gives a {type(own).__name__}; distillation needs logits, a tensor."
        raise DistillError(msg, found=type(own).__name__)
    given, expected = teacher(example).numpy(), own.numpy()
    worst = float(np.abs(given - expected).max() / max(1e-12, float(np.abs(expected).max())))
    if given.shape != expected.shape or not worst <= TOLERANCE:
        msg = (
            f"The teacher's logits differ by {worst:.2g} of the largest in {runtime}. Use the "
            "model itself as the teacher."
        )
        raise DistillError(msg, runtime=runtime, difference=worst)

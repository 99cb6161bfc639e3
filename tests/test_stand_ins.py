"""Methods of eager tensors that Paddle's tracer refuses: traced, and equal to the real ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
import pytest
from foreign.registry import Net
from paddle import Tensor, nn

import slimlab as sl
from slimlab.trace import trace_program


def filled(m: nn.Layer, x: Tensor) -> Tensor:
    y = x * 2
    y.fill_(3.0)
    return y + x


def zeroed(m: nn.Layer, x: Tensor) -> Tensor:
    y = x * 2
    y.zero_()
    return y + x


def copied(m: nn.Layer, x: Tensor) -> Tensor:
    y = paddle.zeros([1, 4, 6])
    y.copy_(x, True)
    return y


def buffered(m: nn.Layer, x: Tensor) -> Tensor:
    m.state.set_value(x.mean(2))
    return m.state.unsqueeze(2) + x


def hooked(m: nn.Layer, x: Tensor) -> Tensor:
    if not x.stop_gradient:
        x.register_hook(lambda gradient: gradient)
    return x * 2


CALLS: dict[str, Callable[[nn.Layer, Tensor], Any]] = {
    "view": lambda m, x: x.view(1, 2, -1),
    "view of a list": lambda m, x: x.view([2, 12]),
    "view as": lambda m, x: x.view_as(paddle.zeros([2, 2, 6])),
    "function": lambda m, x: paddle.view(x, [24]),
    "same type": lambda m, x: x.view("float32"),
    "windows": lambda m, x: x.unfold(2, 3, 2),
    "windows of the middle": lambda m, x: x.unfold(-2, 2, 1),
    "narrow": lambda m, x: x.narrow(1, -3, 2),
    "length": lambda m, x: x * len(x[0]),
    "data": lambda m, x: x.data * 2,
    "no gradient": lambda m, x: x * (2 if x.grad is None else 3),
    "detach": lambda m, x: (x * 2).detach_() + x,
    "fill": filled,
    "zero": zeroed,
    "copy": copied,
    "buffer": buffered,
    "hook": hooked,
}


def make(call: Callable[[nn.Layer, Tensor], Any]) -> Net:
    net = Net(lambda m, x: call(m, m.first(x)), first=nn.Conv1D(4, 4, 1))
    net.register_buffer("state", paddle.zeros([1, 4]))
    return net.eval()


@pytest.mark.parametrize("name", CALLS)
def test_the_traced_program_gives_the_shape_that_the_model_does(name: str) -> None:
    model, x = make(CALLS[name]), paddle.randn([1, 4, 6])
    traced = trace_program(model, x).outputs
    assert [value.shape for value in traced] == [tuple(copy.deepcopy(model)(x).shape)]


@pytest.mark.parametrize("name", ["view", "windows", "windows of the middle", "narrow", "fill"])
def test_the_traced_program_computes_the_same(name: str, tmp_path: Any) -> None:
    """Carried out by ONNX Runtime, from the operators that stood in."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from slimlab.lowering import lower

    model, x = make(CALLS[name]), paddle.randn([1, 4, 6])
    made = lower(trace_program(model, x), model)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    (found,) = session.run(None, {"input_0": x.numpy()})
    np.testing.assert_allclose(found, model(x).numpy(), rtol=1e-5, atol=1e-6)


def test_nothing_of_paddle_is_left_replaced() -> None:
    before = [vars(paddle.pir.Value).get(n) for n in ("view", "data", "fill_")], paddle.view
    sl.trace(make(CALLS["view"]), paddle.randn([1, 4, 6]))
    assert (
        [vars(paddle.pir.Value).get(n) for n in ("view", "data", "fill_")],
        paddle.view,
    ) == before
    assert paddle.view(paddle.zeros([4]), [2, 2]).shape == [2, 2]


def test_code_that_paddle_cant_convert_is_run_as_it_is() -> None:
    made: dict[str, Any] = {"nn": nn}
    count = "len(list(zip('ab', [1, 2], strict=True)))"  # a word that the conversion does not know
    code = f"class Net(nn.Layer):\n def forward(self, x):\n  return x * {count}"
    exec(code, made)  # without source
    model = nn.Sequential(nn.Conv2D(3, 8, 3), made["Net"](), nn.Conv2D(8, 4, 3))
    assert sl.trace(model, paddle.randn([1, 3, 8, 8])).layers == ("0",)


def test_what_no_way_traces_says_why() -> None:
    model = make(lambda m, x: x * float(x.numpy().max()))
    with pytest.raises(sl.UnsupportedOpError, match="numpy"):
        sl.trace(model, paddle.randn([1, 4, 6]))

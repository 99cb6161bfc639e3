"""Depthwise convolutions of small maps as matrix products: the same numbers, forward and back."""

from __future__ import annotations

import copy

import numpy as np
import paddle
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from paddle import nn

import slimlab as sl
from slimlab.train import Training
from slimlab.train import depthwise as module
from slimlab.train.depthwise import dense_depthwise
from slimlab.zoo import mobilenet_v1


def whole(rng, shape):
    """Small whole numbers: their sums and products are exact in float32, in any order."""
    return paddle.to_tensor(rng.integers(-4, 5, shape).astype(np.float32))


def through(model, x, slopes):
    """Outputs, and the gradients of the input and of all parameters."""
    x = x.detach()
    x.stop_gradient = False
    y = model(x)
    y.backward(slopes(y.shape))
    found = [y.numpy(), x.grad.numpy(), *(p.grad.numpy() for p in model.parameters())]
    model.clear_gradients()
    return found


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(1, 8),
    kernel=st.sampled_from([1, 2, 3, 5]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_the_convolution_to_the_last_bit(side, kernel, stride, padding, bias, seed):
    assume(side + 2 * padding >= kernel)
    rng, more = np.random.default_rng(seed), {} if bias else {"bias_attr": False}
    images, channels = (int(n) for n in rng.integers((1, 2), (5, 6)))
    layer = nn.Conv2D(channels, channels, kernel, stride, padding, groups=channels, **more)
    for parameter in layer.parameters():
        parameter.set_value(whole(rng, parameter.shape))
    model, x = nn.Sequential(layer), whole(rng, [images, channels, side, side])

    def slopes(shape):
        return whole(np.random.default_rng(seed), shape)

    plain = through(model, x, slopes)
    with dense_depthwise(model):
        assert type(layer) is not nn.Conv2D
        dense = through(model, x, slopes)
    assert type(layer) is nn.Conv2D
    assert len(plain) == len(dense) == (4 if bias else 3)
    for a, b in zip(plain, dense, strict=True):
        np.testing.assert_array_equal(a, b)


def test_products_are_what_is_computed(monkeypatch):
    """Else the test above would compare the convolution with itself."""
    layer = nn.Conv2D(3, 3, 3, padding=1, groups=3)
    called = []
    forward = nn.Conv2D.forward
    monkeypatch.setattr(nn.Conv2D, "forward", lambda s, x: called.append(1) or forward(s, x))
    with dense_depthwise(nn.Sequential(layer)):
        layer(paddle.ones([1, 3, module.LARGEST, module.LARGEST]))
        assert not called
        layer(paddle.ones([1, 3, module.LARGEST + 1, module.LARGEST + 1]))
        assert len(called) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"padding": [1, 0]},
        {"padding": "SAME"},
        {"padding": [1, 1, 0, 0]},
        {"padding": [[0, 0], [0, 0], [1, 1], [1, 1]]},
        {"stride": [1, 2], "padding": 1},
        {"dilation": 2, "padding": 2},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": 1, "data_format": "NHWC"},
        {"padding": 1, "groups": 2},
    ],
    ids=str,
)
def test_what_is_written_otherwise_gives_what_it_gave(settings):
    paddle.seed(0)
    layer = nn.Conv2D(4, 4, 3, **{"groups": 4, **settings})
    model, x = nn.Sequential(layer), paddle.randn([2, 4, 4, 4])
    plain = through(model, x, paddle.ones)
    with dense_depthwise(model):
        changed = through(model, x, paddle.ones)
    for a, b in zip(plain, changed, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_map_that_is_not_square_gives_what_it_gave():
    paddle.seed(0)
    layer = nn.Conv2D(4, 4, 3, padding=1, groups=4)
    model, x = nn.Sequential(layer), paddle.randn([2, 4, 3, 5])
    plain = model(x).numpy()
    with dense_depthwise(model):
        np.testing.assert_array_equal(model(x).numpy(), plain)


def test_layers_are_plain_again_after_an_error():
    model = mobilenet_v1(0.125)
    kinds = [type(layer) for layer in model.sublayers()]

    def broken():
        with dense_depthwise(model):
            assert [type(layer) for layer in model.sublayers()] != kinds
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert [type(layer) for layer in model.sublayers()] == kinds


@pytest.fixture(scope="module")
def task():
    """Two batches of 16 an epoch."""
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 1, 12, 12), dtype=np.float32), rng.integers(0, 4, 32)
    return sl.Task.from_arrays(x, y, x, y, num_classes=4)


def trained(model, task, **quantized):
    settings = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "progress": False}
    settings["training"] = Training("sgd")
    if quantized:
        config = sl.QuantConfig(calibration_images=16, **quantized)
        return sl.quantize(model, task, config, **settings)
    return sl.fine_tune(model, task, **settings)[0]


@pytest.mark.parametrize(
    "quantized", [{}, {"batch_norm": "freeze"}, {"weight": "abs_max"}], ids=str
)
def test_a_training_is_the_same_but_for_rounding(task, monkeypatch, quantized):
    paddle.seed(1)
    model = mobilenet_v1(0.125, num_classes=4, size=12)
    before = copy.deepcopy(model).state_dict()
    dense = trained(model, task, **quantized)
    monkeypatch.setattr(module, "LARGEST", 0)
    plain = trained(model, task, **quantized)
    assert [type(a) for a in dense.sublayers()] == [type(b) for b in plain.sublayers()]
    found, wanted = dense.state_dict(), plain.state_dict()
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        far = np.abs(found[name].numpy() - tensor.numpy()).max(initial=0)
        # A weight between two steps of its grid may fall to either.
        near = np.abs(tensor.numpy()).max(initial=0) * (2 / 127 if quantized else 1e-4)
        assert far <= near + 1e-6, name
    assert all((before[name].numpy() == t.numpy()).all() for name, t in model.state_dict().items())

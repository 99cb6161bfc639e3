"""What rounding adds to a network's output: predicted as it is measured, and made least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import paddle
import pytest
from paddle import Tensor, nn
from scipy.optimize import brute

import slimlab as sl
from slimlab.evaluate import inference
from slimlab.layers import sublayers
from slimlab.quantize import install, layout_of
from slimlab.quantize.calibration import calibration_batches
from slimlab.quantize.channel_view import as_stored, by_channels
from slimlab.quantize.equalizing import equalize
from slimlab.quantize.layout import lay_out
from slimlab.quantize.noise import Noise
from slimlab.quantize.quantized import quantizers
from slimlab.quantize.quantizers import Quantizer, disabled
from slimlab.quantize.run import prepared
from slimlab.quantize.survey import survey

LEVELS = 127


class Two(nn.Layer):
    """Two linear layers with a ReLU between, and one output."""

    def __init__(self, hidden: int = 2) -> None:
        super().__init__()
        self.first = nn.Linear(3, hidden)
        self.relu = nn.ReLU()
        self.second = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.relu(self.first(x)))


def network(hidden: int = 2) -> Two:
    model = Two(hidden)
    draws = np.random.default_rng(3)
    first = draws.normal(size=(3, hidden)) * np.geomspace(0.1, 10, hidden)
    model.first.weight.set_value(first.astype(np.float32))
    model.first.bias.set_value(np.full(hidden, 30, np.float32))  # so that no unit is off
    model.second.weight.set_value(draws.normal(size=(hidden, 1)).astype(np.float32))
    return model


IMAGE = np.float32([[1.0, -2.0, 0.5]])
PAIRS = (("first", "second"),)


def placed(model: nn.Layer, weight: str, example: np.ndarray) -> nn.Layer:
    """The model with quantizers that have seen nothing, and no channel scaled."""
    config = sl.QuantConfig(weight=weight, activation="abs_max")
    install(model, lay_out(model, survey(model, paddle.to_tensor(example)), config))
    return model


def scaled(model: Two, factors: np.ndarray) -> Two:
    other = Two(len(factors))
    other.first.weight.set_value(model.first.weight.numpy() / factors.astype(np.float32))
    other.first.bias.set_value(model.first.bias.numpy() / factors.astype(np.float32))
    other.second.weight.set_value(model.second.weight.numpy() * factors.astype(np.float32)[:, None])
    return other


def by_hand(model: Two, *, per_channel: bool) -> float:
    """Variances of the errors of both weights and of the second layer's input, at the output."""
    first = model.first.weight.numpy().astype(np.float64)
    second = model.second.weight.numpy().astype(np.float64)
    x = IMAGE[0].astype(np.float64)
    hidden = x @ first + model.first.bias.numpy()
    assert (hidden > 0).all()
    largest = np.abs(first).max(axis=0) if per_channel else np.abs(first).max()
    of_first = (largest**2 * second[:, 0] ** 2).sum() * (x**2).sum()
    of_second = np.abs(second).max() ** 2 * (hidden**2).sum()
    of_hidden = hidden.max() ** 2 * (second**2).sum()
    return float(of_first + of_second + of_hidden) / LEVELS**2 / 12


@pytest.mark.parametrize("weight", ["abs_max", "channel_wise_abs_max"])
def test_noise_by_hand(weight: str) -> None:
    model = network()
    noise = Noise(placed(model, weight, IMAGE), PAIRS, [paddle.to_tensor(IMAGE)])
    for factors in ([1, 1], [1, 5], [0.3, 2]):
        want = by_hand(scaled(model, np.array(factors)), per_channel=weight != "abs_max")
        found, _ = noise.of(np.log(factors))
        assert found == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("weight", ["abs_max", "channel_wise_abs_max"])
def test_the_least_is_that_of_a_search_of_all(weight: str) -> None:
    # Scaling both channels alike changes nothing, so that one of them is enough to search.
    model = network()
    noise = Noise(placed(model, weight, IMAGE), PAIRS, [paddle.to_tensor(IMAGE)])
    found = noise.of(np.log(noise.least()[0]))[0]
    _, least, *_ = brute(
        lambda log: noise.of(np.array([0.0, log[0]]))[0],
        [(-5, 5)], Ns=4_001, full_output=True, finish=None,
    )  # fmt: skip
    assert found <= 1.01 * least
    assert found < 0.95 * noise.of(np.zeros(2))[0]


@pytest.mark.parametrize("sharpness", [8.0, 32.0])
@pytest.mark.parametrize("weight", ["abs_max", "channel_wise_abs_max"])
def test_its_gradient_is_that_of_differences(weight: str, sharpness: float) -> None:
    task = sl.load_task("digits")
    model = sl.load_model("mobilenet_v1", task)
    config = sl.QuantConfig(weight=weight, calibration_images=16, equalize=True)
    fresh = prepared(model, task, config)
    layout = layout_of(fresh)
    assert layout is not None
    noise = Noise(fresh, layout.equalized, calibration_batches(task, config))
    draws = np.random.default_rng(0)
    logs = draws.normal(size=sum(noise.sizes)) * 0.2
    _, gradient = noise.of(logs, sharpness)
    for _ in range(5):
        step = draws.normal(size=len(logs)) * 1e-5
        ends = [noise.of(logs + sign * step, sharpness)[0] for sign in (1, -1)]
        assert ends[0] - ends[1] == pytest.approx(2 * gradient @ step, rel=1e-3)


KINDS = {
    "conv": nn.Conv2D(6, 4, 3),
    "grouped": nn.Conv2D(6, 4, 3, groups=2),
    "depthwise": nn.Conv2D(6, 6, 3, groups=6),
    "transposed": nn.Conv2DTranspose(6, 4, 2),
    "transposed in groups": nn.Conv2DTranspose(6, 4, 2, groups=2),
    "linear": nn.Linear(6, 4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_by_channels_scales_what_the_layer_reads_and_makes(kind: str) -> None:
    layer = KINDS[kind]
    shape = (5, 6) if kind == "linear" else (5, 6, 4, 4)
    draws = np.random.default_rng(0)
    x = draws.normal(size=shape).astype(np.float32)
    with paddle.no_grad():
        before = layer(paddle.to_tensor(x)).numpy() - bias_of(layer)
        seen = by_channels(layer)
        assert (as_stored(layer, seen) == layer.weight.numpy()).all()
        groups, out, read, _ = seen.shape
        made = draws.uniform(0.5, 2, size=groups * out).astype(np.float32)
        given = draws.uniform(0.5, 2, size=groups * read).astype(np.float32)
        was = layer.weight.numpy().copy()
        factors = made.reshape(groups, out, 1, 1) * given.reshape(groups, 1, read, 1)
        layer.weight.set_value(np.ascontiguousarray(as_stored(layer, seen * factors)))
        across = (1, -1) + (1,) * (len(shape) - 2)
        after = layer(paddle.to_tensor(x / given.reshape(across))).numpy() - bias_of(layer)
        layer.weight.set_value(was)
    assert np.allclose(after, before * made.reshape(across), atol=1e-4)


def bias_of(layer: nn.Layer) -> np.ndarray:
    bias = layer.bias.numpy()
    return bias if isinstance(layer, nn.Linear) else bias.reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("mobilenet_v1", "abs_max"),
        ("mobilenet_v1", "channel_wise_abs_max"),
        ("vgg", "abs_max"),
        ("resnet20", "channel_wise_abs_max"),
    ],
)
def test_the_predicted_noise_is_the_measured_one_and_falls(name: str, weight: str) -> None:
    task = sl.load_task("digits")
    model = sl.load_model(name, task)
    config = sl.QuantConfig(weight=weight, activation="abs_max", calibration_images=128)
    layout = layout_of(prepared(model, task, replace(config, equalize=True)))
    assert layout is not None
    pairs, batches = layout.equalized, list(calibration_batches(task, config))
    found = {}
    for equalized in (False, True):
        fresh = prepared(model, task, config)
        only_between(fresh, pairs)
        if equalized:
            equalize(fresh, pairs, task.example, batches)
        noise = Noise(fresh, pairs, batches)
        predicted, _ = noise.of(np.zeros(sum(noise.sizes)))
        found[equalized] = predicted, measured(fresh, batches)
    for predicted, real in found.values():
        assert 0.4 < real / predicted < 2.5
    assert found[True][0] < 0.95 * found[False][0]


def only_between(model: nn.Layer, pairs: Sequence[tuple[str, str]]) -> None:
    """Leave grids on where a prediction counts them: pairs' weights, and what lies between."""
    layers = sublayers(model)
    on = {f"{name}.weight_quantizer" for pair in pairs for name in pair}
    on |= {f"{second}.input_quantizer" for _, second in pairs}
    assert on <= set(layers)
    for name, layer in layers.items():
        if isinstance(layer, Quantizer):
            layer.enabled = name in on


def measured(model: nn.Layer, batches: Sequence[Tensor]) -> float:
    """Sum over outputs of the mean squared error that grids make; scales are those of a batch."""
    with disabled(quantizers(model)), inference(model):
        want = [model(x).numpy() for x in batches]
    with inference(model):
        off = [np.square(model(x).numpy() - y) for x, y in zip(batches, want, strict=True)]
    return float(np.concatenate(off).sum(axis=1).mean())

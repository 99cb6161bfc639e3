"""Cross-layer equalization, bias correction and AdaRound: what each promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import Tensor, nn
from paddle.nn import functional as F  # noqa: N812

import slimlab as sl
from slimlab.quantize import layout_of
from slimlab.quantize.biases import mean_shift
from slimlab.quantize.calibration import calibrate, calibration_batches
from slimlab.quantize.quantized import quantizers
from slimlab.quantize.quantizers import disabled
from slimlab.quantize.rounding import round_adaptively
from slimlab.quantize.run import prepared
from slimlab.quantize.watching import in_float


class Chain(nn.Layer):
    """Every kind of neighbours, and some that are not: through a sigmoid, and read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2D(1, 8, 3, padding=1, bias_attr=False)
        self.norm = nn.BatchNorm2D(8)
        self.depthwise = nn.Conv2D(8, 8, 3, padding=1, groups=8)
        self.relu = nn.ReLU()
        self.grouped = nn.Conv2D(8, 8, 1, groups=2)
        self.up = nn.Conv2DTranspose(8, 6, 2, stride=2, groups=2)
        self.squash = nn.Conv2D(6, 4, 1)
        self.twice = nn.Conv2D(4, 4, 1)
        self.after = nn.Conv2D(4, 4, 1)
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(16, 12)
        self.head = nn.Linear(12, 10, bias_attr=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.first(x)))
        x = self.grouped(self.relu(self.depthwise(x)))
        x = self.squash(F.relu(self.up(x)))
        x = self.twice(F.sigmoid(x))
        x = F.max_pool2d(F.relu(self.after(x) + x), 8)
        return self.head(F.relu(self.hidden(self.flatten(x))))


@pytest.fixture(scope="module")
def task() -> sl.Task:
    return sl.load_task("digits")


@pytest.fixture
def chain() -> nn.Layer:
    paddle.seed(0)
    model = Chain()
    for layer in model.sublayers():
        if hasattr(layer, "weight") and layer.weight is not None and layer.weight.ndim > 1:
            axis = 1 if isinstance(layer, nn.Linear) else 0
            shape = [-1 if n == axis else 1 for n in range(layer.weight.ndim)]
            uneven = 10 ** paddle.uniform([layer.weight.shape[axis]], min=-1.0, max=1.0)
            layer.weight.set_value(layer.weight * uneven.reshape(shape))
    model.norm._mean.set_value(paddle.randn([8]) * 0.1)
    model.norm._variance.set_value(paddle.rand([8]) + 0.5)
    model.eval()
    return model


def floats(model: nn.Layer, task: sl.Task) -> np.ndarray:
    x, _ = next(task.test.batches(64, images=64))
    with disabled(quantizers(model)), paddle.no_grad():
        return model(x).numpy()


def made(model: nn.Layer, task: sl.Task) -> np.ndarray:
    x, _ = next(task.test.batches(64, images=64))
    with paddle.no_grad():
        return model(x).numpy()


def test_equalizing_leaves_the_float_function_as_it_is(chain: nn.Layer, task: sl.Task) -> None:
    before = made(chain, task)
    fresh = prepared(chain, task, sl.QuantConfig(equalize=True, weight="abs_max"))
    layout = layout_of(fresh)
    assert layout is not None
    # Not: what goes through a sigmoid, and what is read twice or comes from an addition.
    assert layout.equalized == (
        ("first", "depthwise"),
        ("depthwise", "grouped"),
        ("grouped", "up"),
        ("up", "squash"),
        ("hidden", "head"),
    )
    assert np.abs(floats(fresh, task) - before).max() <= 1e-4 * np.abs(before).max()
    weights = (fresh.hidden.weight.numpy(), chain.hidden.weight.numpy())
    assert np.abs(weights[0] - weights[1]).max() > 0.01
    assert (made(chain, task) == before).all()  # what was handed in is not changed


class Across(nn.Layer):
    """A linear layer along the width of maps, as wide as they have channels; a recurrent one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2D(1, 8, 3, padding=1)
        self.along = nn.Linear(8, 8)
        self.last = nn.Conv2D(8, 4, 1)
        self.inner = nn.Conv2D(4, 6, 1)
        self.rows = nn.GRU(48, 12, dropout=0.5)
        self.head = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.last(F.relu(self.along(F.relu(self.first(x)))))
        x = F.relu(self.inner(F.relu(x)))
        x, _ = self.rows(x.transpose([0, 2, 1, 3]).flatten(2))
        return self.head(x[:, -1])


def test_features_are_no_channels_and_recurrent_layers_have_gradients(task: sl.Task) -> None:
    paddle.seed(0)
    model = Across()
    model.eval()
    for parameter in model.rows.parameters()[:2]:
        parameter.stop_gradient = True
    want = made(model, task)
    fresh = prepared(model, task, sl.QuantConfig(equalize=True, calibration_images=32))
    layout = layout_of(fresh)
    assert layout is not None
    # Not: the linear layer's features are columns of the maps, of which there are as many.
    assert layout.equalized == (("last", "inner"),)
    assert np.abs(floats(fresh, task) - want).max() <= 1e-4 * np.abs(want).max()
    assert not fresh.rows.training
    assert fresh.rows.dropout == 0.5
    assert [p.stop_gradient for p in fresh.rows.parameters()] == [True, True, False, False]


def test_uneven_channels_are_worth_equalizing(chain: nn.Layer, task: sl.Task) -> None:
    want = made(chain, task)
    off = []
    for equalize in (False, True):
        config = sl.QuantConfig(weight="abs_max", equalize=equalize, calibration_images=64)
        int8 = sl.quantize(chain, task, config, progress=False)
        off.append(float(np.square(made(int8, task) - want).mean()))
    assert off[1] < off[0]


def test_equalizing_shipped_networks(task: sl.Task) -> None:
    for name, least in (("vgg", 7), ("mobilenet_v1", 27), ("resnet20", 9)):
        model = sl.load_model(name, task)
        want = made(model, task)
        fresh = prepared(model, task, sl.QuantConfig(equalize=True))
        layout = layout_of(fresh)
        assert layout is not None
        assert len(layout.equalized) >= least
        assert np.abs(floats(fresh, task) - want).max() <= 1e-3 * np.abs(want).max()


def test_biases_take_the_shift_of_the_mean_back(chain: nn.Layer, task: sl.Task) -> None:
    plain = sl.QuantConfig(weight_bits=4, weight="abs_max", calibration_images=64)
    config = sl.QuantConfig.from_dict({**plain.to_dict(), "correct_bias": True})
    shifts = {}
    for asked in (plain, config):
        fresh = prepared(chain, task, asked)
        reference = in_float(fresh)
        for _ in calibrate(fresh, task, asked):
            pass
        if asked.correct_bias:  # the layers that were given a bias are there in both
            assert not reference.head.bias.numpy().any()
        batches = list(calibration_batches(task, asked))
        shifts[asked] = {
            name: np.abs(mean_shift(fresh, reference, name, batches)).max()
            for name, layer in fresh.named_sublayers()
            if "weight_quantizer" in layer._sub_layers
        }
    assert shifts[plain].keys() == shifts[config].keys()
    assert "head" in shifts[config]  # it was given a bias
    assert max(shifts[plain].values()) > 0.01
    assert max(shifts[config].values()) < 1e-4 * max(shifts[plain].values())


def test_a_corrected_model_reloads(chain: nn.Layer, task: sl.Task, tmp_path: Path) -> None:
    config = sl.QuantConfig(correct_bias=True, equalize=True, calibration_images=32)
    int8 = sl.quantize(chain, task, config, progress=False)
    again = sl.load(sl.save(int8, tmp_path / "saved"), model=Chain())
    assert (made(again, task) == made(int8, task)).all()
    assert layout_of(again) == layout_of(int8)


@pytest.mark.parametrize("weight", ["abs_max", "channel_wise_abs_max"])
def test_learned_rounding_is_never_worse_than_the_nearest(
    weight: str, chain: nn.Layer, task: sl.Task
) -> None:
    config = sl.QuantConfig(weight=weight, weight_bits=3, calibration_images=64)
    fresh = prepared(chain, task, config)
    for _ in calibrate(fresh, task, config):
        pass
    batches, reference = list(calibration_batches(task, config)), in_float(fresh)
    gains = []
    for name in ("first", "depthwise", "grouped", "up", "hidden", "head"):
        layer = dict(fresh.named_sublayers())[name]
        before = layer.weight.numpy()
        learned, nearest = round_adaptively(fresh, reference, name, batches, steps=60)
        assert 0 <= learned <= nearest
        gains.append(learned / max(nearest, 1e-12))
        after, quantizer = layer.weight.numpy(), layer.weight_quantizer
        assert quantizer.settled
        # Each weight is one of the two whole numbers around it.
        shape = [-1 if n == quantizer.axis else 1 for n in range(after.ndim)]
        step = (quantizer.scale.numpy() / 3).reshape(shape if quantizer.axis is not None else [1])
        assert (np.abs(after - before) <= step * (1 + 1e-5)).all()
        assert np.abs(after / step - np.rint(after / step)).max() < 1e-4
    assert min(gains) < 0.8


def test_learned_rounding_helps_the_network(task: sl.Task) -> None:
    model = sl.load_model("vgg", task)
    want = made(model, task)
    off = []
    for steps in (0, 40):
        config = sl.QuantConfig(weight_bits=3, adaround=steps, calibration_images=128)
        labels = []
        run = sl.iter_quantize(model, task, config)
        small = _result(run, labels)
        assert len([one for one in labels if one.startswith("round ")]) == (8 if steps else 0)
        off.append(float(np.square(made(small, task) - want).mean()))
    assert off[1] < 0.8 * off[0]


def _result(steps, labels: list[str]) -> nn.Layer:
    total = None
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value
        assert step.done <= step.total
        assert total in (None, step.total)
        total = step.total
        labels.append(step.label)


def test_what_can_not_be_together_is_refused(task: sl.Task) -> None:
    model = sl.load_model("vgg", task)
    with pytest.raises(sl.PlanError, match="use one of the two"):
        sl.quantize(model, task, sl.QuantConfig(adaround=10), epochs=1, progress=False)
    with pytest.raises(sl.PlanError, match="adaround is -1"):
        sl.QuantConfig(adaround=-1)


def test_remedies_go_together_and_leave_the_model_alone(task: sl.Task) -> None:
    model = sl.load_model("vgg", task)
    before = made(model, task)
    config = sl.QuantConfig(
        weight="abs_max",
        weight_bits=4,
        equalize=True,
        correct_bias=True,
        adaround=10,
        calibration_images=64,
    )
    plain = sl.QuantConfig(weight="abs_max", weight_bits=4, calibration_images=64)
    off = [
        float(np.square(made(sl.quantize(model, task, c, progress=False), task) - before).mean())
        for c in (plain, config)
    ]
    assert off[1] < off[0]
    assert (made(model, task) == before).all()

"""Networks and images at which scales could become zero, NaN or denormal, from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import Tensor, nn

import slimlab as sl
from slimlab.quantize.config import OBSERVERS
from slimlab.quantize.quantized import quantizers
from slimlab.train import Training

CONFIGS = (
    {"weight": "abs_max", "activation": "abs_max"},
    {"weight": "abs_max", "activation": "range_abs_max"},
    {"weight": "channel_wise_abs_max", "activation": "moving_average_abs_max"},
)
IMAGES = {
    "zeros": lambda rng: np.zeros([16, 1, 4, 4]),
    "constant": lambda rng: np.full([16, 1, 4, 4], 3.0),
    "denormal": lambda rng: np.full([16, 1, 4, 4], 1e-42),
    "one huge": lambda rng: np.where(np.arange(256).reshape(16, 1, 4, 4) == 7, 1e20, 0.1),
    "ordinary": lambda rng: rng.standard_normal([16, 1, 4, 4]),
}


class Dead(nn.Layer):
    """A channel of zeros, a layer of zeros, and a weight beyond all others."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2D(1, 4, 3, padding=1)
        self.dead = nn.Conv2D(4, 4, 1)
        self.head = nn.Linear(64, 2)
        weight = self.first.weight.numpy()
        weight[1] = 0
        weight[2, 0, 0, 0] = 1e8
        self.first.weight.set_value(paddle.to_tensor(weight))
        self.dead.weight.set_value(paddle.zeros([4, 4, 1, 1]))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu(self.first(x))
        return self.head((x + self.dead(x)).flatten(1))


def task_of(images: str) -> sl.Task:
    x = IMAGES[images](np.random.default_rng(0)).astype(np.float32)
    return sl.Task.from_arrays(x, np.arange(16) % 2, x, np.arange(16) % 2, num_classes=2)


def check(model: nn.Layer, task: sl.Task) -> None:
    least = np.finfo(np.float32).tiny
    for quantizer in quantizers(model):
        if "scale" in quantizer._buffers:
            scale = quantizer.scale.numpy()
            assert np.isfinite(scale).all()
            assert (scale / np.float32(127) >= least).all()
    x, _ = next(iter(task.test.batches(16)))
    with paddle.no_grad():
        assert np.isfinite(model(x).numpy()).all()


@pytest.mark.parametrize("images", IMAGES)
@pytest.mark.parametrize("config", CONFIGS)
def test_scales_are_usable_and_outputs_finite(config: dict[str, str], images: str) -> None:
    paddle.seed(0)
    task = task_of(images)
    check(sl.quantize(Dead(), task, sl.QuantConfig(**config), progress=False), task)


@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("images", IMAGES)
def test_whatever_chooses_the_scales(observer: str, images: str) -> None:
    paddle.seed(0)
    task = task_of(images)
    config = sl.QuantConfig(observer=observer, activation_bits=4)
    check(sl.quantize(Dead(), task, config, progress=False), task)


@pytest.mark.parametrize("config", [*CONFIGS, {"lsq": True}, {"lsq": True, "weight_bits": 2}])
def test_and_after_training_on_the_grid(config: dict[str, str]) -> None:
    paddle.seed(0)
    for images in ("zeros", "constant", "denormal", "ordinary"):
        task = task_of(images)
        quiet = Training("sgd", weight_decay=0.0)
        made = sl.quantize(
            Dead(), task, sl.QuantConfig(**config), epochs=2, learning_rate=1e-9, batch_size=8,
            training=quiet, progress=False,
        )  # fmt: skip
        check(made, task)


def test_such_a_network_is_exported(tmp_path: Path) -> None:
    paddle.seed(0)
    task = task_of("constant")
    int8 = sl.quantize(Dead(), task, progress=False)
    for form in ("onnx-int8", "paddle-int8", "paddle-lite"):
        folder = tmp_path / form
        report = sl.export(int8, folder, task, format=form, runs=0, progress=False)
        assert report.parity.holds

"""Small recipes and runs for the tests of the Compressor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

import slimlab as sl

PRUNE = {"strategy": "prune", "method": "uniform", "macs": 0.4}
DISTILL = {
    "strategy": "distill",
    "end_epoch": 2,
    "teachers": {"before": {"original": True}},
    "losses": [
        {"loss": "soft_label", "weight": 0.5},
        {"loss": "l2", "student": "5", "teacher": "5", "adapter": True},
    ],
    "training": {"learning_rate": 0.02, "optimizer": "momentum", "ema": 0.9},
}
TUNE = {"strategy": "fine_tune", "start_epoch": 2, "end_epoch": 4}


def recipe(*strategies: dict[str, Any], **more: Any) -> sl.Recipe:
    """Give a recipe of these strategies, four steps an epoch for `task`."""
    return sl.Recipe(**{"version": 1, "batch_size": 32, "strategies": list(strategies), **more})


def task(images: int = 128) -> sl.Task:
    """Give images that can be learned, a few classes of noisy stripes, with an augmentation."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, images)
    x = rng.normal(0, 0.5, (images, 1, 8, 8)).astype("float32")
    x[np.arange(images), 0, y * 2] += 2.0

    def augment(pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return pictures + random.normal(0, 0.05, pictures.shape).astype("float32")

    return sl.Task.from_arrays(x, y, x, y, num_classes=4, augment=augment, name="stripes")


def network() -> nn.Layer:
    """Give a network with BatchNorm and dropout, always the same."""
    paddle.seed(3)
    return nn.Sequential(
        nn.Conv2D(1, 8, 3, padding=1), nn.BatchNorm2D(8), nn.ReLU(), nn.Dropout(0.1),
        nn.Conv2D(8, 8, 3, padding=1), nn.BatchNorm2D(8), nn.ReLU(), nn.AdaptiveAvgPool2D(4),
        nn.Flatten(), nn.Linear(128, 4),
    )  # fmt: skip


def compress(recipe: sl.Recipe, folder: Path | None = None, **more: Any) -> sl.Compression:
    """Run a recipe on the network and the stripes."""
    return sl.Compressor(recipe, network(), task(), folder=folder, **more).run(progress=False)


def weights(model: nn.Layer) -> dict[str, np.ndarray]:
    """Copy all tensors of a model."""
    return {name: np.array(tensor.numpy()) for name, tensor in model.state_dict().items()}


def same(one: nn.Layer, two: nn.Layer) -> bool:
    """Whether two models hold the same bits."""
    a, b = weights(one), weights(two)
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)

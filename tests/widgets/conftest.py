"""Small real models on the digits task, shared by the widget tests; made once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab_widgets.jobs import inline
from slimlab_widgets.workbench import Workbench


class Bench(Workbench):
    """A workbench whose jobs run before the call returns."""

    def __init__(self, model, task, **options):
        super().__init__(model, task, **{"run": inline, "scans": None, **options})


@dataclass(frozen=True)
class Case:
    model: nn.Layer
    task: sl.Task
    graph: sl.Graph
    sensitivity: sl.Sensitivity


def tiny_task() -> sl.Task:
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 3
    images = rng.normal(0, 0.3, (160, 1, 8, 8)).astype("float32")
    for label in range(3):  # a bright column tells the class
        images[labels == label, :, :, 2 * label] += 1
    return sl.Task.from_arrays(
        images[:96], labels[:96], images[96:], labels[96:], num_classes=3, name="columns"
    )


def tiny_model() -> nn.Layer:
    paddle.seed(1)
    return nn.Sequential(
        nn.Conv2D(1, 6, 3, padding=1),
        nn.BatchNorm2D(6),
        nn.ReLU(),
        nn.Conv2D(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2D(4),
        nn.Flatten(),
        nn.Linear(128, 3),
    )


@pytest.fixture(autouse=True)
def work_folder(tmp_path, monkeypatch) -> None:
    """Work in a folder that goes with the test: a workbench keeps its scans where it runs."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def case() -> Case:
    task, model = tiny_task(), tiny_model()
    model, _ = sl.fine_tune(model, task, epochs=6, learning_rate=0.02, progress=False)
    graph = sl.trace(model, task.example)
    sensitivity = sl.scan_sensitivity(model, task, ratios=(0.25, 0.5, 0.75), progress=False)
    return Case(model, task, graph, sensitivity)


@pytest.fixture
def bench(case: Case) -> Bench:
    return Bench(case.model, case.task, graph=case.graph)


@pytest.fixture
def scanned(case: Case) -> Bench:
    return Bench(case.model, case.task, graph=case.graph, sensitivity=case.sensitivity)


@pytest.fixture
def stopped(scanned: Bench) -> Bench:
    """Give a workbench whose fine-tuning of 50 epochs was stopped after three steps or so."""

    def stop(change):
        if len(change["new"]["loss"]) >= 3:
            scanned.stop()

    scanned.pick_uniform(0.5)
    scanned.prune()
    scanned._publisher._every = 0.0
    scanned.observe(stop, "run_view")
    scanned.fine_tune(epochs=50)
    assert scanned.progress.status == "stopped"
    return scanned

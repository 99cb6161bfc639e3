"""Fixtures for all tests of this folder. Seeds and the summary are in ../conftest.py."""

from __future__ import annotations

from pathlib import Path

import paddle
import prerequisites
import pytest

import slimlab as sl

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the folder of the clone."""
    return ROOT


@pytest.fixture(scope="session")
def fashion_mnist_folder() -> Path:
    """Give the folder of the real Fashion-MNIST, or skip the test where it is not installed."""
    folder = prerequisites.find_fashion_mnist()
    if folder is None:
        pytest.skip(prerequisites.NO_FASHION_MNIST)
    return folder


@pytest.fixture(scope="session")
def digits() -> sl.Task:
    """Give the small real task that is always there."""
    return sl.load_task("digits")


@pytest.fixture(scope="session")
def vgg(digits: sl.Task) -> paddle.nn.Layer:
    """Give a trained network; tests must not change it."""
    return sl.load_model("vgg", digits)


@pytest.fixture(scope="session")
def vgg_graph(vgg: paddle.nn.Layer, digits: sl.Task) -> sl.Graph:
    """Give the trained network's graph."""
    return sl.trace(vgg, digits.example)


@pytest.fixture(scope="session")
def vgg_scan(vgg: paddle.nn.Layer, digits: sl.Task) -> sl.Sensitivity:
    """Give a whole scan of the trained network, three ratios a layer on 200 images."""
    return sl.scan_sensitivity(vgg, digits, ratios=[0.3, 0.6, 0.9], images=200, progress=False)

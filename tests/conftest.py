"""Fixtures for all tests of this folder. Seeds and the summary are in ../conftest.py."""

from __future__ import annotations

from pathlib import Path

import prerequisites
import pytest

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

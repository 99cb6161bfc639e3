"""Floor 1. The 1,797 handwritten 8x8 digits that lie inside scikit-learn; always there."""

from __future__ import annotations

import numpy as np

from slimlab.data.augment import ShiftAndFlip
from slimlab.loaders import FIXED_SEED, ArrayLoader
from slimlab.task import Task

TEST_SHARE = 0.2
CALIBRATION_IMAGES = 256
MEAN, DEVIATION = 4.884, 6.017  # of all pixels, which run from 0 to 16


def digits() -> Task:
    """Make the task of telling ten handwritten digits apart.

    Images are ``(1, 8, 8)`` float32 with zero mean and unit deviation. Every class gives a fifth of
    its images to the test split, and the calibration split (256 images) and the training split
    share the rest; no image is in two splits, and the splits are the same on every machine.

    Examples
    --------
    >>> from slimlab.data import digits
    >>> task = digits()
    >>> len(task.train), len(task.calibration), len(task.test), tuple(task.example.shape)
    (1182, 256, 359, (1, 1, 8, 8))
    """
    # Imported on demand: scikit-learn takes about a second to import.
    from sklearn.datasets import load_digits

    data = load_digits()
    images = ((data.images[:, None] - MEAN) / DEVIATION).astype(np.float32)
    labels = data.target.astype(np.int64)
    test, calibration, train = _split(labels)
    return Task(
        name="digits",
        train=ArrayLoader(images, labels, order=train),
        calibration=ArrayLoader(images, labels, order=calibration),
        test=ArrayLoader(images, labels, order=test),
        num_classes=10,
        augment=ShiftAndFlip(shift=1, flip=False, fill=-MEAN / DEVIATION),
    )


def _split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the indices of the test, calibration and training images, each in a mixed order.

    Dealing each class evenly over the whole order makes any long run of it stratified, so that the
    first part can be the test split and the next the calibration split.
    """
    rng = np.random.default_rng(FIXED_SEED)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        place[members] = (np.arange(len(members)) + rng.random(len(members))) / len(members)
    order = np.argsort(place, kind="stable")
    first = round(TEST_SHARE * len(labels))
    second = first + CALIBRATION_IMAGES
    return order[:first], order[first:second], order[second:]

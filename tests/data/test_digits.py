"""The digits task: real images, disjoint and even splits, the same on each machine."""

import numpy as np
import pytest

import slimlab as sl


@pytest.fixture(scope="module")
def task():
    return sl.load_task("digits")


def everything(loader):
    x, y = next(loader.batches(len(loader)))
    return x.numpy(), y.numpy()


def test_splits_are_disjoint_and_complete(task):
    from sklearn.datasets import load_digits

    splits = [task.train, task.calibration, task.test]
    assert [len(s) for s in splits] == [1182, 256, 359]
    found = np.concatenate([everything(s)[0] for s in splits]).reshape(1797, -1)
    expected = (load_digits().data - 4.884) / 6.017
    # Every image of the source is there once: no row is in two splits.
    assert np.sort(found.sum(1)) == pytest.approx(np.sort(expected.sum(1)), abs=1e-3)


def test_each_split_has_its_share_of_each_class(task):
    for split in (task.train, task.calibration, task.test):
        counts = np.bincount(everything(split)[1], minlength=10)
        assert counts.max() - counts.min() <= 0.15 * counts.mean() + 3


def test_pixels_have_zero_mean_and_unit_deviation(task):
    x, _ = everything(task.train)
    assert x.dtype == np.float32
    assert abs(x.mean()) < 0.02
    assert abs(x.std() - 1) < 0.02


def test_the_same_split_on_every_machine(task):
    # A changed split would void the accuracies that ship with the weights.
    assert sl.load_task("digits").fingerprint() == task.fingerprint()
    assert everything(task.test)[1][:12].tolist() == FIRST_LABELS


def test_augmentation_never_mirrors(task):
    assert task.augment.flip is False


def test_folder_is_refused():
    with pytest.raises(sl.TaskError, match="inside scikit-learn"):
        sl.load_task("digits", folder="/somewhere")


def test_unknown_task_names_the_nearest():
    with pytest.raises(sl.TaskError, match="Did you mean 'digits'"):
        sl.load_task("digit")


FIRST_LABELS = [0, 4, 6, 5, 3, 2, 8, 9, 7, 1, 1, 3]

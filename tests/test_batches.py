"""Batches of a DataLoader: cut anew, in an order that a seed repeats, with its own mixing."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab.batches import BatchLoader


class Numbered(paddle.io.Dataset):
    """Image i is filled with i, and so is its label; `noise` draws from the global generator."""

    def __init__(self, start, count, *, noise=False):
        self.start, self.count, self.noise = start, count, noise

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        number = self.start + index
        add = np.random.rand() / 2 if self.noise else 0  # noqa: NPY002
        return np.full((1, 4, 4), number + add, "float32"), number


class Mixed(paddle.io.BatchSampler):
    """Half of each batch from the first data set, half from the second."""

    def __init__(self, first, second):
        self.batch_size, self.first, self.second = 4, first, second

    def __iter__(self):
        one = np.random.permutation(self.first)  # noqa: NPY002
        two = self.first + np.random.permutation(self.second)  # noqa: NPY002
        for at in range(0, min(self.first, self.second), 2):
            yield [*one[at : at + 2].tolist(), *two[at : at + 2].tolist()]

    def __len__(self):
        return min(self.first, self.second) // 2


def mixed(**more):
    data = paddle.io.ConcatDataset([Numbered(0, 8, **more), Numbered(100, 8, **more)])
    return BatchLoader(paddle.io.DataLoader(data, batch_sampler=Mixed(8, 8)), name="train")


def labels(loader, size=4, **more):
    return [y.tolist() for _, y in loader.batches(size, **more)]


def test_the_samplers_mixing_is_kept():
    for batch in labels(mixed()):
        assert [number >= 100 for number in batch] == [False, False, True, True]


@pytest.mark.parametrize("size", [1, 3, 4, 5, 16, 50])
def test_batches_are_cut_anew(size):
    whole = [n for batch in labels(mixed()) for n in batch]
    found = labels(mixed(), size)
    assert [n for batch in found for n in batch] == whole
    assert all(len(batch) == size for batch in found[:-1])
    assert all(
        (x == y.reshape([-1, 1, 1, 1]).astype("float32")).all() for x, y in mixed().batches(size)
    )


@pytest.mark.parametrize("images", [1, 4, 7, 16, 99])
def test_the_first_images_of_the_fixed_order(images):
    whole = [n for batch in labels(mixed()) for n in batch]
    assert [n for b in labels(mixed(), 3, images=images) for n in b] == whole[:images]


def test_a_seed_repeats_sampler_and_data_whoever_draws_between():
    def read(seed):
        found = []
        for x, y in mixed(noise=True).batches(4, seed=seed):
            found.append((x.numpy().tolist(), y.tolist()))
            np.random.rand(3)  # noqa: NPY002
        return found

    assert read(1) == read(1)
    assert read(1) != read(2)


def test_the_global_state_is_left_alone():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand(2).tolist()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    list(mixed(noise=True).batches(4, seed=1))
    assert np.random.rand(2).tolist() == expected  # noqa: NPY002


def test_a_task_of_loaders_trains_repeatably():
    class Noise(paddle.io.Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, index):
            return np.random.default_rng(index).random((1, 4, 4), "float32"), index % 3

    train = paddle.io.DataLoader(Noise(), batch_size=7, shuffle=True, drop_last=True)
    test = paddle.io.DataLoader(Noise(), batch_size=16)
    task = sl.Task.from_datasets(train, test, num_classes=3, name="noise")
    assert (len(task.train), len(task.test), tuple(task.example.shape)) == (35, 40, (1, 1, 4, 4))
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    runs = [sl.fine_tune(model, task, epochs=2, batch_size=8, progress=False) for _ in range(2)]
    assert runs[0][1] == runs[1][1]
    assert runs[0][1].records[-1].step == 8
    assert task.fingerprint() == task.fingerprint()


def test_an_iterable_data_set_must_say_how_many():
    class Stream(paddle.io.IterableDataset):
        def __iter__(self):
            for index in range(10):
                yield np.full((1, 4, 4), index, "float32"), index

    loader = paddle.io.DataLoader(Stream(), batch_size=3)
    with pytest.raises(sl.TaskError, match="say it with BatchLoader"):
        BatchLoader(loader, name="train")
    assert labels(BatchLoader(loader, name="train", images=8), 5) == [[0, 1, 2, 3, 4], [5, 6, 7]]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (np.zeros((1, 4, 4), "float32"), "no pair"),
        ((np.zeros((4, 4), "float32"), 1), "channels, height, width"),
        ((np.zeros((1, 4, 4)), 1), "float64"),
        ((np.zeros((1, 4, 4), "float32"), 0.5), "one whole number"),
    ],
)
def test_a_batch_of_something_else_is_named(item, words):
    class Odd(paddle.io.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return item

    loader = BatchLoader(paddle.io.DataLoader(Odd(), batch_size=2), name="odd")
    with pytest.raises(sl.TaskError, match=words):
        next(iter(loader.batches(2)))

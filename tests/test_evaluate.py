"""Scores: the right numbers, and a model that is left as it was."""

import numpy as np
import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab.evaluate import inference, iter_evaluate, per_image, quick_batch
from slimlab.steps import finish_early
from slimlab.task import Metric, Task

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])


class Table(nn.Layer):
    """Reads the class off the first pixel; has Dropout, to show the mode it runs in."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.9)
        self.modes = []

    def forward(self, x):
        self.modes.append((self.training, self.dropout.training, paddle.is_grad_enabled()))
        return self.dropout(nn.functional.one_hot(x[:, 0, 0, 0].astype("int64"), 3) * 4.0)


@pytest.fixture
def task():
    """Ten images whose first pixel names a class: the right one for seven of them."""
    said = LABELS.copy()
    said[[1, 4, 8]] = (said[[1, 4, 8]] + 1) % 3
    x = np.zeros((10, 1, 2, 2), np.float32)
    x[:, 0, 0, 0] = said
    return Task.from_arrays(x, LABELS, x, LABELS, num_classes=3)


def test_values_are_known(task):
    scores = sl.evaluate(Table(), task, batch_size=4)
    assert scores["top1"] == pytest.approx(70.0)
    assert scores["top5"] == pytest.approx(100.0)
    right, wrong = np.log(np.e**4 + 2) - 4, np.log(np.e**4 + 2)
    assert scores["loss"] == pytest.approx(0.7 * right + 0.3 * wrong, rel=1e-5)
    assert scores.images == 10


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_batch_size_changes_nothing(task, batch_size):
    scores = sl.evaluate(Table(), task, batch_size=batch_size)
    assert dict(scores.values) == pytest.approx(dict(sl.evaluate(Table(), task).values))


def test_images_are_the_first_of_the_fixed_order(task):
    each = np.concatenate(list(per_image(Table(), task)))
    assert sl.evaluate(Table(), task, images=4)["top1"] == pytest.approx(each[:4].mean() * 100)
    assert sl.evaluate(Table(), task, images=99).images == 10


def test_runs_in_evaluation_mode_without_gradients(task):
    model = Table()
    sl.evaluate(model, task)
    assert set(model.modes) == {(False, False, False)}


def test_every_layers_mode_comes_back(task):
    model = Table()
    model.train()
    model.dropout.eval()
    for _ in iter_evaluate(model, task, batch_size=3):
        # Nothing leaks into whoever drains the generator.
        assert (model.training, model.dropout.training) == (True, False)
        assert paddle.is_grad_enabled()
    assert (model.training, model.dropout.training) == (True, False)


def test_modes_come_back_after_an_error(task):
    class Failing(Table):
        def forward(self, x):
            raise ZeroDivisionError

    model = Failing()
    with pytest.raises(ZeroDivisionError):
        sl.evaluate(model, task)
    assert model.training
    assert model.dropout.training
    assert paddle.is_grad_enabled()


def test_modes_come_back_after_closing_early(task):
    model = Table()
    scores = per_image(model, task, batch_size=2)
    next(scores)
    scores.close()
    assert model.training
    assert model.dropout.training


def test_inference_keeps_a_mixture_of_modes():
    model = Table()
    model.eval()
    model.dropout.train()
    with inference(model):
        assert not model.dropout.training
    assert (model.training, model.dropout.training) == (False, True)


def test_steps_count_images_and_carry_scores(task):
    steps = list(iter_evaluate(Table(), task, batch_size=4))
    assert [(s.done, s.total) for s in steps] == [(4, 10), (8, 10), (10, 10)]
    assert [s.item.images for s in steps] == [4, 8, 10]


def test_stopped_early_gives_the_scores_so_far(task):
    steps = iter_evaluate(Table(), task, batch_size=4)
    first = next(steps).item
    assert finish_early(steps) == first


def test_per_image_scores_are_zero_or_one(task):
    found = np.concatenate(list(per_image(Table(), task, batch_size=4)))
    assert found.dtype == np.float32
    assert sorted(found.tolist()) == [0.0] * 3 + [1.0] * 7


def test_per_image_of_another_metric(task):
    losses = np.concatenate(list(per_image(Table(), task, task.metrics[2], 6, 4)))
    assert losses.shape == (6,)
    assert losses.mean() == pytest.approx(sl.evaluate(Table(), task, images=6)["loss"], rel=1e-5)


def test_table_of_scores(task):
    frame = sl.evaluate(Table(), task).to_frame()
    assert list(frame.columns) == ["metric", "value", "images"]
    assert frame.metric.tolist() == ["top1", "top5", "loss"]


def test_scores_can_not_be_changed(task):
    scores = sl.evaluate(Table(), task)
    with pytest.raises(TypeError):
        scores.values["top1"] = 100


def test_unknown_metric_shows_the_nearest(task):
    with pytest.raises(sl.TaskError, match="Did you mean 'top5' or 'top1'"):
        sl.evaluate(Table(), task)["top2"]


def test_too_many_classes_get_a_sentence(task):
    with pytest.raises(sl.TaskError, match=r"gave \(10, 5\) for 10 images.*\(10, 3\)"):
        sl.evaluate(nn.Sequential(nn.Flatten(), nn.Linear(4, 5)), task)


def test_an_output_that_is_no_tensor_gets_a_sentence(task):
    class Pair(nn.Layer):
        def forward(self, x):
            return x, x

    with pytest.raises(sl.TaskError, match="gave tuple"):
        sl.evaluate(Pair(), task)


def test_a_metric_must_score_each_image(task):
    import dataclasses

    mean = Metric("mean", lambda logits, labels: logits.mean())
    with pytest.raises(sl.TaskError, match="one score an image"):
        sl.evaluate(Table(), dataclasses.replace(task, metrics=(mean,)))


def test_no_images_are_refused(task):
    with pytest.raises(sl.TaskError, match="at least 1"):
        sl.evaluate(Table(), task, images=0)


@pytest.mark.parametrize(("side", "expected"), [(8, 256), (28, 127), (224, 8), (1024, 8)])
def test_a_batch_is_over_soon(side, expected):
    """Stop is answered between two batches, so a batch may not hold too many pixels."""
    images, labels = np.zeros((4, 1, side, side), np.float32), np.arange(4) % 2
    sized = sl.Task.from_arrays(images, labels, images, labels, num_classes=2)
    assert quick_batch(sized) == expected

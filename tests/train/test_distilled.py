"""Training with teachers: parts of the loss, repeatability, and what is left alone."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab.train import Training


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 1, 6, 6), dtype=np.float32), rng.integers(0, 4, 64)
    return sl.Task.from_arrays(x, y, x, y, num_classes=4)


def network(width, seed):
    paddle.seed(seed)
    return nn.Sequential(
        nn.Conv2D(1, width, 3), nn.BatchNorm2D(width), nn.ReLU(), nn.Dropout(0.2),
        nn.Conv2D(width, width, 3), nn.Flatten(), nn.Linear(4 * width, 4),
    )  # fmt: skip


@pytest.fixture
def student():
    return network(3, seed=1)


@pytest.fixture
def teacher():
    net = network(5, seed=2)
    net.train()
    return net


LOSSES = (
    sl.SoftLabel(weight=0.5),
    sl.L2(student="0", teacher="0", adapter=True, weight=((0, 2.0), (2, 0.0))),
    sl.FSP(student=("0", "1"), teacher=("0", "1"), adapter=True, start_epoch=1),
)


def tune(student, task, **more):
    options = {"epochs": 2, "learning_rate": 0.02, "batch_size": 32, "progress": False}
    return sl.fine_tune(student, task, **(options | more))


def weights(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all((one[k] == two[k]).all() for k in one)


def test_same_seed_same_bits_with_adapters(student, task, teacher):
    runs = []
    for seed in (0, 0, 1):
        paddle.seed(len(runs))  # adapters must not be drawn from this
        model, history = tune(student, task, teacher=teacher, distill=LOSSES, seed=seed)
        runs.append((weights(model), history))
    assert same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert not same(runs[0][0], runs[2][0])


def test_history_has_the_parts_and_they_add_up(student, task, teacher):
    _, history = tune(student, task, teacher=teacher, distill=LOSSES)
    first, last = history.records[1], history.records[-1]
    assert [name for name, _ in first.parts] == ["task", "soft_label", "l2(0)"]
    assert [name for name, _ in last.parts] == ["task", "soft_label", "l2(0)", "fsp(0, 1)"]
    for record in history.records[1:]:
        assert sum(value for _, value in record.parts) == pytest.approx(record.loss, rel=1e-5)
    frame = history.to_frame()
    assert frame.columns.tolist()[5:] == [
        "loss.task", "loss.soft_label", "loss.l2(0)", "loss.fsp(0, 1)",
    ]  # fmt: skip
    assert frame["loss.fsp(0, 1)"].isna().tolist() == [True, True, True, False, False]


def test_nothing_of_the_adapters_is_in_the_result(student, task, teacher):
    tuned, _ = tune(student, task, teacher=teacher, distill=LOSSES)
    assert weights(tuned).keys() == weights(student).keys()
    assert not any(layer._forward_post_hooks for layer in tuned.sublayers(include_self=True))


def test_student_and_teacher_are_left_alone(student, task, teacher):
    teacher[1].eval()
    before = weights(student), weights(teacher)
    tune(student, task, teacher=teacher, distill=LOSSES)
    assert same(weights(student), before[0])
    assert same(weights(teacher), before[1])
    assert [layer.training for layer in teacher] == [layer is not teacher[1] for layer in teacher]
    for layer in [*student, *teacher]:
        assert not layer._forward_post_hooks
    assert all(p.grad is None for p in [*student.parameters(), *teacher.parameters()])


def test_adapters_are_trained(student, task, teacher):
    """With the student's own layers held, only the adapter can lower the loss."""
    for parameter in student[0].parameters():
        parameter.stop_gradient = True
    loss = sl.L2(student="0", teacher="0", adapter=True)
    _, history = tune(
        student, task, teacher=teacher, distill=[loss], epochs=30, training=Training(task_weight=0)
    )
    values = [dict(r.parts)["l2(0)"] for r in history.records[1:]]
    assert values[-1] < values[0] / 3


def test_the_tasks_loss_has_its_weight(student, task, teacher):
    _, history = tune(student, task, teacher=teacher, distill=[sl.SoftLabel()],
                      training=Training(task_weight=0.25))  # fmt: skip
    _, plain = tune(student, task)
    assert dict(history.records[1].parts)["task"] == pytest.approx(plain.records[1].loss / 4)


def test_several_teachers(student, task, teacher):
    losses = [sl.SoftLabel(teacher_model="a"), sl.SoftLabel(teacher_model="b")]
    _, history = tune(student, task, teacher={"a": teacher, "b": student}, distill=losses)
    assert [n for n, _ in history.records[1].parts] == ["task", "soft_label", "soft_label #2"]


def test_what_does_not_fit_is_refused_before_the_first_step(student, task, teacher):
    unfit = [sl.L2(student="0", teacher="0")]
    steps = sl.iter_fine_tune(student, task, teacher=teacher, distill=unfit)
    with pytest.raises(sl.DistillError, match="3 channels of 4 x 4"):
        next(steps)
    with pytest.raises(sl.DistillError, match="no teacher"):
        tune(student, task, distill=[sl.SoftLabel()])
    with pytest.raises(sl.DistillError, match="2 teachers; say in distill"):
        tune(student, task, teacher={"a": teacher, "b": teacher})


def test_distilled_on_digits_the_student_comes_near_its_teacher(digits):
    teacher = sl.load_model("vgg", digits)
    paddle.seed(4)
    student = nn.Sequential(
        nn.Conv2D(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)
    )
    distill = [sl.SoftLabel(student_temperature=2, teacher_temperature=2, weight=4)]
    tuned, _ = sl.fine_tune(
        student, digits, epochs=12, learning_rate=0.03, teacher=teacher, distill=distill,
        training=Training(task_weight=0), progress=False,
    )  # fmt: skip
    assert sl.evaluate(tuned, digits)["top1"] > 85

"""Training: it learns, repeats bit for bit, stops when asked, and leaves everything else alone."""

import dataclasses

import numpy as np
import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab.evaluate import inference
from slimlab.steps import finish_early
from slimlab.task import Task
from slimlab.train import Training, iter_fine_tune, soft_label_loss


@pytest.fixture(scope="module")
def task():
    return sl.load_task("digits")


@pytest.fixture
def model():
    """A small network with Dropout, so that training draws random numbers of Paddle's."""
    paddle.seed(1)
    return nn.Sequential(
        nn.Conv2D(1, 8, 3), nn.BatchNorm2D(8), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(288, 10),
    )  # fmt: skip


def weights(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all((one[k] == two[k]).all() for k in one)


def test_it_learns(model, task):
    tuned, history = sl.fine_tune(model, task, epochs=6, learning_rate=0.01, progress=False)
    metric = history.to_frame().metric.dropna()
    assert len(metric) == 7  # at the start, and after each epoch
    assert metric.iloc[0] < 30
    assert metric.iloc[-1] > 80
    assert metric.iloc[-1] == pytest.approx(sl.evaluate(tuned, task)["top1"])


def test_same_seed_same_bits(model, task):
    runs = []
    for seed in (0, 0, 1):
        # What happened before, and in between, must not matter.
        paddle.seed(len(runs))
        np.random.seed(len(runs))  # noqa: NPY002
        steps = iter_fine_tune(model, task, seed=seed)
        while True:
            try:
                next(steps)
                paddle.rand([len(runs) + 1])
            except StopIteration as stop:
                runs.append((weights(stop.value[0]), stop.value[1]))
                break
    assert same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert not same(runs[0][0], runs[2][0])


def test_global_random_states_are_left_alone(model, task):
    def draws():
        return paddle.rand([4]).tolist(), np.random.rand(4).tolist()  # noqa: NPY002

    paddle.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = draws()
    paddle.seed(5)
    np.random.seed(5)  # noqa: NPY002
    sl.fine_tune(model, task, progress=False)
    assert draws() == expected


def test_the_given_model_is_not_changed(model, task):
    model.eval()
    model[3].train()
    before = weights(model)
    tuned, _ = sl.fine_tune(model, task, progress=False)
    assert same(weights(model), before)
    assert not same(weights(tuned), before)
    for one in (model, tuned):
        assert [layer.training for layer in one] == [layer is one[3] for layer in one]
        assert all(p.grad is None for p in one.parameters())


def test_history_has_a_record_for_each_step(model, task):
    _, history = sl.fine_tune(model, task, epochs=2, batch_size=100, progress=False)
    frame = history.to_frame()
    assert frame.columns.tolist() == ["step", "epoch", "loss", "learning_rate", "metric"]
    assert frame.step.tolist() == list(range(23))  # 2 x (1182 // 100), and the start
    assert frame.loss.isna().tolist() == [True] + [False] * 22
    assert frame.step[frame.metric.notna()].tolist() == [0, 11, 22]
    assert frame.epoch.iloc[-1] == 2.0


def test_learning_rate_follows_a_cosine(model, task):
    _, history = sl.fine_tune(model, task, epochs=2, learning_rate=0.02, progress=False)
    rates = history.to_frame().learning_rate[1:].to_numpy()
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(18) / 18))
    assert rates == pytest.approx(expected, rel=1e-4)


def test_warm_up_rises_first(model, task):
    _, history = sl.fine_tune(
        model, task, epochs=2, learning_rate=0.02, progress=False, training=Training(warmup=0.25)
    )
    rates = history.to_frame().learning_rate[1:].to_numpy()
    assert (np.diff(rates[:4]) > 0).all()
    assert rates.max() == pytest.approx(0.02)
    assert (np.diff(rates[5:]) < 0).all()


def test_steps_count_updates_and_never_fall(model, task):
    steps = list(iter_fine_tune(model, task, epochs=2))
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert (done[0], done[-1], {step.total for step in steps}) == (0, 18, {18})
    assert {s.label for s in steps} == {"evaluate", "epoch 1 of 2", "epoch 2 of 2"}
    lengths = [len(s.item.records) for s in steps if s.item is not None]
    assert lengths == sorted(lengths)


def test_gradients_stay_on_for_the_consumer(model, task):
    for step in iter_fine_tune(model, task):
        assert paddle.is_grad_enabled(), step


@pytest.mark.parametrize("after", [1, 3, 8, 14])
def test_stopped_early_it_gives_what_it_has(model, task, after):
    steps = iter_fine_tune(model, task, epochs=3)
    last = None
    for _ in range(after):
        last = next(steps).item or last
    tuned, history = finish_early(steps)
    assert isinstance(tuned, nn.Layer)
    assert len(history.records) >= (len(last.records) if last else 1)
    learned = history.records[-1].step > 0
    assert same(weights(tuned), weights(model)) is not learned


def test_a_loss_that_is_no_number_is_an_error_with_the_step(model, task):
    broken = dataclasses.replace(task, loss=lambda logits, labels: logits.mean() * float("nan"))
    with pytest.raises(sl.SlimLabError, match="loss became nan at step 1") as caught:
        sl.fine_tune(model, broken, progress=False)
    assert caught.value.step == 1


def test_a_learning_rate_that_is_too_high_is_named(model, task):
    wild = Training(optimizer="momentum")
    with pytest.raises(sl.SlimLabError, match="smaller learning rate"):
        sl.fine_tune(
            nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Linear(64, 10)),
            task,
            learning_rate=1e12,
            epochs=3,
            progress=False,
            training=wild,
        )


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": -1.0}]
)
def test_arguments_out_of_range(model, task, options):
    with pytest.raises(sl.SlimLabError, match="must be at least 1"):
        sl.fine_tune(model, task, progress=False, **options)


@pytest.mark.parametrize(
    "options",
    [{"optimizer": "sdg"}, {"warmup": 1.5}, {"teacher_share": -0.1}, {"temperature": 0.0},
     {"weight_decay": -1.0}],
)  # fmt: skip
def test_training_refuses(options):
    with pytest.raises(sl.SlimLabError):
        Training(**options)


def test_momentum_learns_too(model, task):
    _, history = sl.fine_tune(
        model, task, epochs=5, learning_rate=0.05, progress=False, training=Training("momentum")
    )
    assert history.records[-1].metric > 80


def test_fewer_test_images_for_each_evaluation(model, task):
    short = Training(evaluate_images=50)
    tuned, history = sl.fine_tune(model, task, progress=False, training=short)
    expected = sl.evaluate(tuned, task, images=50)["top1"]
    assert history.records[-1].metric == pytest.approx(expected)


def test_fewer_images_than_a_batch(model):
    rng = np.random.default_rng(0)
    x, y = rng.random((7, 1, 8, 8), dtype=np.float32), rng.integers(0, 10, 7)
    _, history = sl.fine_tune(
        model, Task.from_arrays(x, y, x, y, num_classes=10), epochs=3, progress=False
    )
    assert history.records[-1].step == 3


def test_augmentation_is_used_in_training_only(model, task):
    seen = []

    def augment(images, rng):
        seen.append(images.shape)
        return np.zeros_like(images)

    changed = dataclasses.replace(task, augment=augment)
    tuned, _ = sl.fine_tune(model, changed, progress=False)
    assert seen == [(128, 1, 8, 8)] * 9
    plain, _ = sl.fine_tune(model, task, progress=False)
    assert not same(weights(tuned), weights(plain))


class TestTeacher:
    def test_soft_label_loss_is_the_papers(self):
        rng = np.random.default_rng(0)
        s, t = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))

        def softmax(z):
            e = np.exp(z / 3)
            return e / e.sum(1, keepdims=True)

        p, q = softmax(s), softmax(t)
        expected = 9 * (q * np.log(q / p)).sum(1).mean()
        found = soft_label_loss(
            paddle.to_tensor(s.astype("f4")), paddle.to_tensor(t.astype("f4")), temperature=3.0
        )
        assert float(found) == pytest.approx(expected, rel=1e-4)

    def test_it_is_zero_for_equal_logits(self):
        z = paddle.randn([3, 10])
        assert float(soft_label_loss(z, z, temperature=4.0)) == pytest.approx(0, abs=1e-5)

    def test_the_student_learns_from_the_teacher_alone(self, model, task):
        teacher = sl.load_model("vgg", task)
        before = weights(teacher)
        alone = Training(teacher_share=1.0)
        tuned, _ = sl.fine_tune(
            model, task, epochs=8, learning_rate=0.01, teacher=teacher, training=alone,
            progress=False,
        )  # fmt: skip
        x, _ = next(task.test.batches(359))
        with inference(teacher), inference(tuned):
            agree = (teacher(x).argmax(1) == tuned(x).argmax(1)).astype("float32").mean()
        assert float(agree) > 0.9
        assert same(weights(teacher), before)

    def test_the_teacher_changes_the_result_and_keeps_its_mode(self, model, task):
        teacher = sl.load_model("vgg", task)
        teacher.train()
        with_teacher, _ = sl.fine_tune(model, task, teacher=teacher, progress=False)
        without, _ = sl.fine_tune(model, task, progress=False)
        assert not same(weights(with_teacher), weights(without))
        assert teacher.training
        assert all(p.grad is None for p in teacher.parameters())

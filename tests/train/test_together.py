"""Several workers train what one would, and none is left behind when one dies."""

from __future__ import annotations

import os
import signal

import numpy as np
import paddle
import pytest
from compressing import network, same, task, weights
from family import forked
from paddle import nn

import slimlab as sl
from slimlab.compressor.quantizing import followed
from slimlab.quantize.run import calibrate, prepared
from slimlab.train import Training


def plain() -> nn.Layer:
    """Give a network whose result does not depend on how a batch is shared out."""
    paddle.seed(3)
    return nn.Sequential(
        nn.Conv2D(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2D(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2D(4), nn.Flatten(), nn.Linear(128, 4),
    )  # fmt: skip


def tune(model, **more):
    options = {"epochs": 2, "learning_rate": 0.05, "batch_size": 32, "progress": False}
    return sl.fine_tune(model, task(), **(options | more))


def close(one, two, rtol=1e-4):
    a, b = weights(one), weights(two)
    return a.keys() == b.keys() and all(np.allclose(a[k], b[k], rtol=rtol, atol=1e-5) for k in a)


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize(
    "training",
    [
        Training("momentum", clip_norm=0.5, ema=0.9),
        Training("adamw", weight_decay=0.01),
    ],
)
def test_workers_train_what_one_trains(workers, training):
    """A batch of 32 has no equal parts for three."""
    more = {"learning_rate": 0.002} if training.optimizer == "adamw" else {}
    one, history = tune(plain(), training=training, **more)
    several, shared = tune(plain(), training=training, workers=workers, **more)
    assert close(one, several)
    assert not close(one, plain())
    assert [r.loss for r in shared.records[1:]] == pytest.approx(
        [r.loss for r in history.records[1:]], rel=1e-4
    )


def test_workers_are_taught_what_one_is_taught():
    teacher = network()
    losses = [sl.SoftLabel(weight=0.5), sl.L2(student="2", teacher="4", adapter=True)]
    one, history = tune(plain(), teacher=teacher, distill=losses)
    two, shared = tune(plain(), teacher=teacher, distill=losses, workers=2)
    assert close(one, two)
    for mine, theirs in zip(shared.records[1:], history.records[1:], strict=True):
        assert dict(mine.parts) == pytest.approx(dict(theirs.parts), rel=1e-3)


def test_batchnorm_follows_the_mean_of_the_workers():
    """By hand: two halves of each batch, gradients and statistics their mean."""
    paddle.seed(5)
    model = nn.Sequential(nn.Conv2D(1, 4, 3), nn.BatchNorm2D(4), nn.Flatten(), nn.Linear(144, 4))
    data = task()
    settings = Training("sgd", weight_decay=0.0, schedule=sl.train.Constant())
    found, _ = tune(model, epochs=1, workers=2, training=settings)

    byhand = [p for p in model.parameters() if not p.stop_gradient]
    shuffle = int(np.random.default_rng([0, 0]).integers(2**31))
    for place, (x, y) in enumerate(data.train.batches(32, seed=shuffle)):
        x = paddle.to_tensor(data.augment(x.numpy(), np.random.default_rng([0, 0, place])))
        start = {k: v.numpy() for k, v in model.state_dict().items() if "_" in k.split(".")[-1][:1]}
        slopes, moved = [], []
        for half in (slice(0, 16), slice(16, 32)):
            model.set_state_dict({**model.state_dict(), **start})
            model.train()
            data.loss(model(x[half]), y[half]).backward()
            slopes.append([p.grad.numpy() for p in byhand])
            moved.append({k: model.state_dict()[k].numpy() for k in start})
            model.clear_gradients(set_to_zero=False)
        for name in start:
            model.state_dict()[name].set_value((moved[0][name] + moved[1][name]) / 2)
        for parameter, one, two in zip(byhand, *slopes, strict=True):
            parameter.set_value(parameter.numpy() - 0.05 * (one + two) / 2)
    assert len(start) == 2
    assert close(found, model, rtol=1e-3)


def test_the_same_bits_again_and_random_numbers_of_their_own():
    runs = [tune(network(), workers=2, seed=seed)[0] for seed in (0, 0, 1)]
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_a_worker_that_is_killed_ends_the_others():
    def kill(event):
        if event.record.step == 2:
            (other,) = forked()
            seen.append(other)
            other.send_signal(signal.SIGKILL)

    seen = []
    with pytest.raises(sl.WorkerError, match="Worker 1 died") as death:
        tune(network(), workers=2, training=Training(callbacks=(kill,)))
    assert death.value.worker == 1
    assert not seen[0].is_running()
    assert not forked()


def test_an_error_in_a_worker_is_told():
    class Fails(nn.Layer):
        def __init__(self):
            super().__init__()
            self.inner = plain()

        def forward(self, x):
            if os.getpid() != home and self.training:
                msg = "out of paper"
                raise ValueError(msg)
            return self.inner(x)

    home = os.getpid()
    with pytest.raises(sl.WorkerError, match=r"Worker 1 of 2 failed: ValueError: out of paper"):
        tune(Fails(), workers=2)
    assert not forked()


def test_not_a_number_in_one_part_is_found_in_the_whole():
    data = task()

    def spoil(x, random):
        x = x.copy()
        x[20:, 0, 0, 0] = np.inf  # the second worker's
        return x

    spoilt = sl.Task(
        "spoilt", data.train, data.calibration, data.test, num_classes=4, augment=spoil
    )
    with pytest.raises(sl.SlimLabError, match=r"at step 1, .*images themselves") as stop:
        sl.fine_tune(plain(), spoilt, batch_size=32, workers=2, progress=False)
    assert stop.value.step == 1
    assert not forked()


def test_a_callback_that_changes_the_model_is_found_out():
    def meddle(event):
        if event.kind == "step":
            event.model[0].bias.set_value(event.model[0].bias + 1)

    with pytest.raises(sl.WorkerError, match="came to another result"):
        tune(plain(), workers=2, training=Training(callbacks=(meddle,)))


def test_stopped_early_nobody_waits():
    steps = sl.iter_fine_tune(network(), task(), batch_size=32, workers=2)
    for step in steps:
        if step.done == 2:
            break
    assert len(forked()) == 1
    _, history = sl.finish_early(steps)
    assert history.records[-1].step == 2
    assert not forked()


@pytest.mark.parametrize(
    ("workers", "words"), [(0, "1 or more"), (2.0, "1 or more"), (33, "can't share a batch of 32")]
)
def test_numbers_of_workers_that_cannot_be(workers, words):
    with pytest.raises(sl.WorkerError, match=words):
        tune(plain(), workers=workers)


def test_a_teacher_on_another_runtime_is_refused():
    with pytest.raises(sl.WorkerError, match=r"no paddle\.nn\.Layer"):
        tune(plain(), teacher=lambda x: x, distill=[sl.SoftLabel()], workers=2)


@pytest.mark.parametrize("kind", ["moving_average_abs_max", "range_abs_max", "abs_max"])
def test_quantizers_see_the_largest_value_of_the_whole_batch(kind):
    config = sl.QuantConfig(activation=kind, calibration_images=64)
    model = prepared(plain(), task(), config)
    for _ in calibrate(model, task(), config):
        pass
    settings = Training("sgd", weight_decay=0.0)
    more = {"epochs": 1, "learning_rate": 1e-3, "training": settings}
    (one, alone), (two, shared) = (tune(model, workers=n, **more) for n in (1, 2))
    losses = [record.loss for record in alone.records[1:]]
    assert [record.loss for record in shared.records[1:]] == pytest.approx(losses, rel=2e-5)
    a, b = weights(one), weights(two)
    scales = [name for name in a if name.endswith("scale") and "weight" not in name]
    assert bool(scales) == (kind != "abs_max")
    for name in scales:
        assert a[name] == pytest.approx(b[name], rel=1e-3)
    mine, theirs = followed(one), followed(two)
    assert mine.keys() == theirs.keys()
    for name, (state, total, maxima, batches) in mine.items():
        assert theirs[name][0] == state
        assert theirs[name][3] == batches == (0 if kind == "abs_max" else len(alone.records) - 1)
        assert theirs[name][1] == pytest.approx(total, rel=1e-3)
        assert theirs[name][2] == pytest.approx(maxima, rel=1e-3)

"""What a training can be told: optimizers, averages, clipping, evaluations, callbacks, trouble."""

from __future__ import annotations

import dataclasses

import numpy as np
import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab.steps import Stopped
from slimlab.train import Constant, Training, iter_fine_tune


@pytest.fixture(scope="module")
def task():
    """Two batches of 32 an epoch."""
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 1, 6, 6), dtype=np.float32), rng.integers(0, 4, 64)
    return sl.Task.from_arrays(x, y, x, y, num_classes=4)


@pytest.fixture
def model():
    paddle.seed(3)
    return nn.Sequential(
        nn.Conv2D(1, 3, 3), nn.BatchNorm2D(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)
    )


def tune(model, task, *, epochs=2, learning_rate=0.1, **training):
    return sl.fine_tune(
        model, task, epochs=epochs, learning_rate=learning_rate, batch_size=32, progress=False,
        training=Training(**training),
    )  # fmt: skip


def by_hand(model, task, make, *, steps=4):
    """The same training as a plain loop of Paddle, from the batches that the trainer takes."""
    from slimlab.train.trainer import Trainer

    trainer = Trainer(model, task, Training(), seed=0)
    optimizer = make([p for p in model.parameters() if not p.stop_gradient])
    model.train()
    path = []
    for step in range(steps):
        if step % 2 == 0:
            batches = trainer.batches(step // 2, 32, 2)
        x, y = next(batches)
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.clear_grad()
        path.append({k: v.numpy().copy() for k, v in model.state_dict().items()})
    return path


OPT = paddle.optimizer
CLIP = nn.ClipGradByGlobalNorm


@pytest.mark.parametrize(
    ("training", "make"),
    [
        ({"optimizer": "sgd"}, lambda p: OPT.SGD(0.1, p, 1e-4)),
        (
            {"optimizer": "momentum", "momentum": 0.8, "nesterov": False},
            lambda p: OPT.Momentum(0.1, 0.8, p, weight_decay=1e-4),
        ),
        ({"optimizer": "adam"}, lambda p: OPT.Adam(0.1, parameters=p, weight_decay=1e-4)),
        (
            {"optimizer": "adamw", "weight_decay": 0.3},
            lambda p: OPT.AdamW(0.1, parameters=p, weight_decay=0.3),
        ),
        (
            {"optimizer": "sgd", "weight_decay": 0.0, "clip_norm": 0.05},
            lambda p: OPT.SGD(0.1, p, grad_clip=CLIP(0.05)),
        ),
    ],
    ids=["sgd", "momentum", "adam", "adamw", "clipped"],
)
def test_it_is_paddles_own_optimizer(model, task, training, make):
    tuned, _ = tune(model, task, schedule=Constant(), **training)
    last = by_hand(model, task, make)[-1]
    for name, tensor in tuned.state_dict().items():
        assert tensor.numpy() == pytest.approx(last[name], abs=1e-6), name


def test_the_average_of_the_weights_is_given_back(model, task):
    kind = {"optimizer": "sgd", "weight_decay": 0.0, "schedule": Constant()}
    tuned, history = tune(model, task, ema=0.25, **kind)
    # What is learned is the same: only what is shown differs.
    _, plain = tune(model, task, **kind)
    assert [r.loss for r in history.records] == [r.loss for r in plain.records]
    average = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    for step, weights in enumerate(by_hand(model, task, lambda p: OPT.SGD(0.1, p)), start=1):
        decay = min(0.25, (1 + step) / (10 + step))
        average = {k: decay * v + (1 - decay) * weights[k] for k, v in average.items()}
    for name, tensor in tuned.state_dict().items():
        assert tensor.numpy() == pytest.approx(average[name], abs=1e-5), name
    assert history.records[-1].metric == pytest.approx(sl.evaluate(tuned, task)["top1"])


def test_an_average_keeps_modes_and_leaves_no_gradient(model, task):
    model.eval()
    model[1].train()
    tuned, _ = tune(model, task, ema=0.9)
    assert [layer.training for layer in tuned] == [layer is model[1] for layer in model]
    assert all(p.grad is None for p in tuned.parameters())


def test_evaluated_every_so_many_epochs_and_at_the_end(model, task):
    _, history = tune(model, task, epochs=5, evaluate_every=2)
    measured = [r.epoch for r in history.records if r.metric is not None]
    assert measured == [0, 2, 4, 5]


class TestCallbacks:
    def test_they_see_every_step_in_order(self, model, task):
        seen = []
        _, history = tune(model, task, callbacks=(lambda event: seen.append(event),))
        kinds = [event.kind for event in seen]
        assert kinds == ["start", "step", "step", "epoch", "step", "step", "epoch", "end"]
        assert [e.record.step for e in seen] == [0, 1, 2, 2, 3, 4, 4, 4]
        assert seen[-1].record == history.records[-1]
        assert all(isinstance(event.model, nn.Layer) for event in seen)

    def test_one_that_draws_random_numbers_changes_nothing(self, model, task):
        plain, _ = tune(model, task)
        noisy, _ = tune(model, task, callbacks=[lambda event: paddle.rand([3])])
        for name, tensor in plain.state_dict().items():
            assert (tensor == noisy.state_dict()[name]).all(), name

    def test_one_may_stop(self, model, task):
        def enough(event):
            if event.record.step == 3:
                raise Stopped

        _, history = tune(model, task, callbacks=[enough])
        assert history.records[-1].step == 3

    def test_other_exceptions_pass_through(self, model, task):
        def broken(event):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            tune(model, task, callbacks=[broken])


class Poison(nn.Layer):
    """Turns the output into NaN, or its gradient, after some calls in training."""

    def __init__(self, after, *, backwards=False):
        super().__init__()
        self.scale = self.create_parameter([1], default_initializer=nn.initializer.Constant(1.0))
        self.calls, self.after, self.backwards = 0, after, backwards

    def forward(self, x):
        if not self.training:
            return x
        self.calls += 1
        if self.calls <= self.after:
            return x * self.scale
        # The root of zero is zero, with an infinite slope.
        return x * self.scale + ((self.scale * 0).sqrt() if self.backwards else float("nan"))


class TestNotFinite:
    def network(self, poison):
        paddle.seed(0)
        body = nn.Sequential(nn.Conv2D(1, 2, 3), poison, nn.Sigmoid())
        return nn.Sequential(body, nn.Flatten(), nn.Linear(32, 4))

    def test_the_first_layer_whose_output_is_not_finite(self, task):
        with pytest.raises(sl.SlimLabError, match=r"layer '0\.1' \(Poison\)") as caught:
            tune(self.network(Poison(2)), task)
        assert (caught.value.step, caught.value.layer) == (3, "0.1")

    def test_the_first_layer_back_from_the_loss_whose_gradient_is_not_finite(self, task):
        with pytest.raises(sl.SlimLabError, match=r"'scale' of layer '0\.1' \(Poison\)") as caught:
            tune(self.network(Poison(1, backwards=True)), task)
        assert (caught.value.step, caught.value.layer) == (2, "0.1")
        assert "clip_norm" in str(caught.value)

    def test_the_loss_alone(self, model, task):
        broken = dataclasses.replace(task, loss=lambda z, y: z.mean() * float("inf"))
        with pytest.raises(sl.SlimLabError, match="Every layer's output is finite") as caught:
            tune(model, broken)
        assert caught.value.layer is None

    def test_a_part_of_the_loss(self, model, task):
        def bad(s, t, y):
            return s.mean() / 0

        loss = sl.CustomLoss(function=bad, student="0", teacher="0")
        with pytest.raises(sl.SlimLabError, match=r"Part 'bad\(0\)' of the loss"):
            sl.fine_tune(model, task, batch_size=32, teacher=model, distill=[loss], progress=False)

    def test_the_images(self, model, task):
        poisoned = dataclasses.replace(task, augment=lambda x, rng: x * np.float32("inf"))
        with pytest.raises(sl.SlimLabError, match="images themselves"):
            tune(model, poisoned)

    def test_an_output_that_an_activation_hides_from_the_loss(self, model, task):
        """Paddle's ReLU makes 0 of NaN: the loss is finite, the gradients before it are not."""
        paddle.seed(0)
        hidden = nn.Sequential(model[0], Poison(1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
        hidden[1].backwards = True
        with pytest.raises(sl.SlimLabError) as caught:
            tune(hidden, task)
        assert (caught.value.step, caught.value.layer) == (2, "1")

    def test_a_large_sum_of_finite_gradients_is_fine(self):
        from slimlab.train.diagnosis import gradients_are_finite

        weight = paddle.zeros([4])
        weight.stop_gradient = False
        (weight * 3e38).sum().backward()
        assert gradients_are_finite([weight])


@pytest.mark.parametrize(
    "options",
    [{"momentum": 1.0}, {"clip_norm": 0.0}, {"ema": 1.0}, {"evaluate_every": 0},
     {"task_weight": -1.0}, {"weight_decay": float("nan")}, {"clip_norm": float("inf")}],
)  # fmt: skip
def test_refused(options):
    with pytest.raises(sl.SlimLabError, match=next(iter(options))):
        Training(**options)


def test_hooks_of_the_diagnosis_are_gone(task):
    model = TestNotFinite().network(Poison(0))
    kept = []
    steps = iter_fine_tune(
        model, task, batch_size=32,
        training=Training(callbacks=[lambda event: kept.append(event.model)]),
    )  # fmt: skip
    with pytest.raises(sl.SlimLabError):
        for _ in steps:
            pass
    layers = kept[0].sublayers(include_self=True)
    assert not any(layer._forward_post_hooks for layer in layers)

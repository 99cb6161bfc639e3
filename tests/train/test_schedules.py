"""Learning rates: what each schedule gives, as laws and by Paddle's own schedulers."""

from __future__ import annotations

import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import slimlab as sl
from slimlab.train import Constant, Cosine, Exponential, Piecewise, Polynomial
from slimlab.train.schedules import Course

STEPS, EPOCH = 60, 10  # six epochs
LR = paddle.optimizer.lr


def rates(schedule, **more):
    course = Course(0.5, STEPS, EPOCH, schedule=schedule, **more)
    return [course.rate(step) for step in range(STEPS)]


@pytest.mark.parametrize(
    ("schedule", "scheduler"),
    [
        (Cosine(), LR.CosineAnnealingDecay(0.5, T_max=STEPS)),
        (Cosine(last=0.1), LR.CosineAnnealingDecay(0.5, T_max=STEPS, eta_min=0.05)),
        (
            Piecewise((2, 3.5), (1, 0.1, 0.02)),
            LR.PiecewiseDecay([2 * EPOCH, 35], [0.5, 0.05, 0.01]),
        ),
        (Polynomial(), LR.PolynomialDecay(0.5, STEPS, end_lr=0.0)),
        (Polynomial(2.0, last=0.2), LR.PolynomialDecay(0.5, STEPS, end_lr=0.1, power=2.0)),
        (Exponential(0.8), LR.ExponentialDecay(0.5, 0.8 ** (1 / EPOCH))),
        (Exponential(0.8, every=2, staircase=True), LR.StepDecay(0.5, 2 * EPOCH, 0.8)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_as_paddle_has_it(schedule, scheduler):
    expected = []
    for _ in range(STEPS):
        expected.append(scheduler.last_lr)
        scheduler.step()
    assert rates(schedule) == pytest.approx(expected, abs=1e-7)


schedules = st.sampled_from(
    [Constant(), Cosine(), Cosine(0.3), Piecewise((2, 4), (1, 0.5, 0.1)), Polynomial(3.0),
     Exponential(0.7), Exponential(0.7, 2, True)]
)  # fmt: skip


@given(schedules, st.floats(0, 1))
def test_after_the_warm_up_no_rate_rises_and_none_is_negative(schedule, warmup):
    found = rates(schedule, warmup=warmup)
    rising = min(round(warmup * STEPS), STEPS - 1)
    warm, rest = found[:rising], found[rising:]
    assert warm == sorted(warm)
    assert rest == sorted(rest, reverse=True)
    assert all(0 <= rate <= 0.5 + 1e-12 for rate in found)
    # Boundaries are counted from the beginning of the training, so a step may have passed.
    assert isinstance(schedule, Piecewise) or rest[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cosine(1.5), "a share of the learning rate"),
        (lambda: Polynomial(0), "above 0"),
        (lambda: Polynomial(last=-0.1), "share"),
        (lambda: Exponential(1.2), "gamma"),
        (lambda: Exponential(every=0), "every"),
        (lambda: Piecewise((3, 2), (1, 1, 1)), "must rise"),
        (lambda: Piecewise((3,), (1,)), "in 2, but there are 1"),
        (lambda: Piecewise((3,), (1, float("nan"))), "must rise"),
    ],
)
def test_refused(make, words):
    with pytest.raises(sl.SlimLabError, match=words):
        make()

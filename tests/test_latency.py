from __future__ import annotations

import paddle
import pytest

import slimlab as sl


class Counting(paddle.nn.Layer):
    """Remembers the batches it was run on, and whether it was in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, bool, bool]] = []

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        self.seen.append((x.shape[0], self.training, paddle.is_grad_enabled()))
        return x * 2


def test_every_run_is_timed_and_warm_up_is_not() -> None:
    model = Counting()
    latency = sl.measure_latency(model, paddle.zeros([1, 4]), batch=8, runs=5, warmup=2)
    assert model.seen == [(8, False, False)] * 7
    assert latency.runs == 5
    assert latency.batch == 8
    assert 0 < latency.low_ms <= latency.median_ms <= latency.high_ms
    assert model.training


def test_stopped_it_gives_what_it_has() -> None:
    steps = sl.iter_measure_latency(Counting(), paddle.zeros([1, 4]), runs=50, warmup=0)
    for _ in range(3):
        next(steps)
    assert sl.finish_early(steps).runs == 3


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"runs": 0}, {"warmup": -1}])
def test_nonsense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(sl.PlanError, match="give at least 1, 1 and 0"):
        sl.measure_latency(Counting(), paddle.zeros([1, 4]), **wrong)


def test_more_work_takes_longer() -> None:
    """A ratio in one run: sixteen times the images cannot take less time than one."""
    model = paddle.nn.Conv2D(8, 32, 3)
    x = paddle.randn([1, 8, 32, 32])
    one = sl.measure_latency(model, x, batch=1, runs=9)
    many = sl.measure_latency(model, x, batch=16, runs=9)
    assert many.median_ms > one.median_ms

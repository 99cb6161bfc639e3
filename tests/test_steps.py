from __future__ import annotations

from collections.abc import Generator

import pytest

import slimlab as sl
from slimlab.steps import Stopped, drain


def counting(n: int, *, stoppable: bool = True) -> Generator[sl.Step[int], None, int]:
    seen = 0
    try:
        for seen in range(1, n + 1):
            yield sl.Step(seen, n, "count", seen)
    except Stopped:
        if not stoppable:
            raise
    return seen


@pytest.mark.parametrize("progress", [True, False])
def test_drain_gives_the_result(progress: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert drain(counting(5), progress=progress, title="Counting") == 5
    shown = capsys.readouterr().err
    assert ("Counting" in shown) is progress


def test_finish_early_gives_the_partial_result() -> None:
    steps = counting(5)
    next(steps), next(steps)
    assert sl.finish_early(steps) == 2


def test_work_without_a_partial_result_says_so() -> None:
    steps = counting(5, stoppable=False)
    next(steps)
    with pytest.raises(Stopped):
        sl.finish_early(steps)


def test_work_that_goes_on_is_an_error() -> None:
    def stubborn() -> Generator[sl.Step[int], None, int]:
        while True:
            try:
                yield sl.Step(0, 1, "on and on")
            except Stopped:
                continue

    steps = stubborn()
    next(steps)
    with pytest.raises(RuntimeError, match="went on"):
        sl.finish_early(steps)


def test_an_error_in_the_work_reaches_the_caller() -> None:
    def failing() -> Generator[sl.Step[int], None, int]:
        yield sl.Step(0, 2, "first")
        msg = "broken"
        raise sl.PlanError(msg, layer="a")

    with pytest.raises(sl.PlanError, match="broken") as caught:
        drain(failing(), progress=False)
    assert caught.value.layer == "a"
    with pytest.raises(AttributeError, match="no fact named 'ratio'"):
        _ = caught.value.ratio

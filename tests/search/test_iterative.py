from __future__ import annotations

from itertools import pairwise

import paddle
import pytest
from clocks import StairClock
from hypothesis import given
from hypothesis import strategies as st

import slimlab as sl
from slimlab.errors import PlanError
from slimlab.search import Candidate, IterativeSettings, step_shares

SCAN = {"images": 64, "ratios": [0.3, 0.6, 0.9]}


@pytest.fixture(scope="module")
def task() -> sl.Task:
    return sl.load_task("digits")


@pytest.fixture(scope="module")
def model(task) -> paddle.nn.Layer:
    return sl.load_model("vgg", task)


@given(share=st.floats(0, 0.99), steps=st.integers(1, 20))
def test_each_round_removes_the_same_share_of_what_is_left(share, steps):
    shares = step_shares(share, steps)
    left = [1.0, *(1 - s for s in shares)]
    factors = [after / before for before, after in pairwise(left)]
    assert shares[-1] == share
    assert factors == pytest.approx([factors[0]] * steps)


@pytest.mark.parametrize("rescan", [True, False])
@pytest.mark.parametrize("allocation", ["budget", "scores-mean"])
def test_rounds_meet_their_shares_and_the_last_the_budget(task, model, allocation, rescan):
    settings = IterativeSettings(rescan=rescan, scan=SCAN)
    found = sl.iterative_prune(
        model,
        task,
        steps=3,
        macs=0.6,
        way=Candidate(allocation),
        epochs=0,
        settings=settings,
        progress=False,
    )
    removed = found.to_frame()["macs_removed"]
    assert all(r >= s for r, s in zip(removed, step_shares(0.6, 3), strict=True))
    assert removed.is_monotonic_increasing
    actual = 1 - sl.trace(found.model, task.example).macs / sl.trace(model, task.example).macs
    assert actual == pytest.approx(removed.iloc[-1])


def test_one_step_without_rescan_is_the_way_itself(task, model):
    graph = sl.trace(model, task.example)
    scan = sl.scan_sensitivity(model, task, progress=False, **SCAN)
    for rescan in (True, False):
        found = sl.iterative_prune(
            model,
            task,
            steps=1,
            macs=0.5,
            sensitivity=scan,
            epochs=0,
            settings=IterativeSettings(rescan=rescan),
            progress=False,
        )
        wanted = sl.ratios_for_budget(graph, scan, macs=0.5)
        assert sl.trace(found.model, task.example).macs == sl.preview(graph, wanted).macs


@pytest.mark.parametrize("rescan", [True, False])
@pytest.mark.parametrize("allocation", ["budget", "uniform"])
def test_rounds_meet_shares_of_the_time(task, model, allocation, rescan):
    """By a clock that is exact, the predictions are those of the networks that come out."""
    graph, clock = sl.trace(model, task.example), StairClock(step=1)
    few = sl.TimingSettings(batch=1, levels=8, grain=1)
    times = sl.measure_times(
        model, graph, task.example, settings=few, cache=None, clock=clock, progress=False
    )
    found = sl.iterative_prune(
        model, task, steps=2, latency=0.5, times=times, way=Candidate(allocation),
        epochs=0, settings=IterativeSettings(rescan=rescan, scan=SCAN), progress=False,
    )  # fmt: skip
    gone = found.to_frame()["latency_removed"].tolist()
    assert all(g >= share - 1e-9 for g, share in zip(gone, step_shares(0.5, 2), strict=True))
    assert gone[0] < 0.5
    whole, small = (clock.network(m, task.example) for m in (model, found.model))
    assert 1 - small / whole == pytest.approx(gone[-1])


def test_fine_tuning_lies_between_the_rounds_and_a_stop_gives_what_is_there(task, model):
    way = Candidate("uniform")
    steps = sl.iter_iterative_prune(model, task, steps=2, macs=0.5, way=way)
    last = 0
    for step in steps:
        assert step.done >= last
        last = step.done
        if step.label == "round 2: cut":
            break
    found = sl.finish_early(steps)
    assert [r.history is not None for r in found.rounds] == [True, False]
    assert 0.5 <= found.rounds[-1].macs_removed < 0.53


def test_bad_steps_and_budgets_are_refused(task, model):
    with pytest.raises(PlanError, match="steps=0"):
        next(sl.iter_iterative_prune(model, task, steps=0, macs=0.5))
    with pytest.raises(PlanError, match="At most"):
        next(sl.iter_iterative_prune(model, task, steps=2, macs=0.9999))

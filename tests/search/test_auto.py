from __future__ import annotations

from dataclasses import replace

import numpy as np
import paddle
import pytest
from clocks import StairClock

import slimlab as sl
from slimlab.allocate import Budget
from slimlab.allocate.time_tables import on_measured_widths
from slimlab.errors import PlanError
from slimlab.search import AutoSettings, Candidate, candidates
from slimlab.search.contest import Contest

FEW = AutoSettings(images=128, recalibration=64, scan={"images": 64, "ratios": [0.3, 0.6, 0.9]})


@pytest.fixture(scope="module")
def task() -> sl.Task:
    return sl.load_task("digits")


@pytest.fixture(scope="module")
def model(task) -> paddle.nn.Layer:
    return sl.load_model("vgg", task)


class Unseen:
    """Test images that must not be looked at, but for the one whose shape a trace needs."""

    def __init__(self, loader) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return 10

    def batches(self, batch_size=128, *, images=None, seed=None):
        if images == 1:
            return self._loader.batches(batch_size, images=images, seed=seed)
        msg = "test images were looked at"
        raise AssertionError(msg)

    def fingerprint(self) -> str:
        return "unseen"


def test_all_candidates_meet_the_budget_and_the_best_is_first(task, model):
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    blind = replace(task, test=Unseen(task.test))
    found = sl.auto_prune(model, blind, macs=0.5, epochs=0, settings=FEW, progress=False)
    frame = found.to_frame()
    assert len(frame) == len(candidates())
    assert (frame["macs_removed"] >= 0.5).all()
    assert frame["re_estimated"][1:].is_monotonic_decreasing
    assert found.winner.candidate.name in found.why
    assert found.winner.preview.macs == sl.trace(found.model, task.example).macs
    after = {k: v.numpy() for k, v in model.state_dict().items()}
    assert all((before[k] == after[k]).all() for k in before)


class Counted:
    """A loader that counts the images it gives, but for the one whose shape a task needs."""

    def __init__(self, loader) -> None:
        self._loader, self.given = loader, 0

    def __len__(self) -> int:
        return len(self._loader)

    def batches(self, batch_size=128, *, images=None, seed=None):
        for x, labels in self._loader.batches(batch_size, images=images, seed=seed):
            self.given += len(labels) if images != 1 else 0
            yield x, labels

    def fingerprint(self) -> str:
        return self._loader.fingerprint()


@pytest.mark.parametrize("as_cut", [False, True])
def test_each_candidate_is_evaluated_once_and_before_only_when_asked(task, model, as_cut):
    counted = Counted(task.calibration)
    found = sl.auto_prune(
        model,
        replace(task, calibration=counted),
        macs=0.5,
        tried=candidates(["uniform", "scores-lamp"]),
        epochs=0,
        settings=replace(FEW, as_cut=as_cut),
        progress=False,
    )
    statistics, evaluation = 64, 128
    assert counted.given == 2 * (statistics + (1 + as_cut) * evaluation)
    assert ("as_cut" in found.to_frame()) == as_cut
    assert all((one.as_cut is not None) == as_cut for one in found.tried)


def test_what_removes_more_than_allowed_is_left_out(task, model):
    graph = sl.trace(model, task.example)
    coarse = sl.Scope(multiple=4)
    ways = candidates(["uniform"], scopes=[sl.Scope(), coarse])
    fine, lumps = (
        sl.preview(graph, sl.uniform_ratios(graph, macs=0.4, scope=way.scope)).macs_removed
        for way in ways
    )
    assert fine < lumps
    settings = {"tried": ways, "epochs": 0, "settings": FEW, "progress": False}
    found = sl.auto_prune(model, task, macs=0.4, macs_most=(fine + lumps) / 2, **settings)
    assert [one.candidate for one in found.tried] == [ways[0]]
    ((name, why),) = found.left_out
    assert name == ways[1].name
    assert f"{lumps:.1%} of the MACs" in why
    with pytest.raises(PlanError, match=r"No candidate was measured: .* come in lumps"):
        sl.auto_prune(model, task, macs=0.4, macs_most=0.4, **settings)
    for wrong in (0.3, 1.0):
        with pytest.raises(PlanError, match="macs_most"):
            next(sl.iter_auto_prune(model, task, macs=0.4, macs_most=wrong))


@pytest.fixture(scope="module")
def times(task, model) -> sl.TimeTable:
    graph = sl.trace(model, task.example)
    few = sl.TimingSettings(batch=1, levels=4, grain=1)
    clock = StairClock(step=2, odd=2)
    return sl.measure_times(
        model, graph, task.example, settings=few, cache=None, clock=clock, progress=False
    )


def test_every_way_meets_a_budget_of_time_at_measured_widths(task, model, times):
    settings = replace(FEW, tries=2)
    found = sl.auto_prune(
        model, task, latency=0.4, times=times, macs=0.2, epochs=0, settings=settings, progress=False
    )
    frame = found.to_frame()
    assert len(frame) == len(candidates()) + 1
    assert (frame["latency_removed"] >= 0.4).all()
    assert (frame["macs_removed"] >= 0.2).all()
    for one in found.tried:
        assert all(kept in times.widths[n] for n, (_, kept) in one.preview.widths.items())
    # The least that is enough: a step less anywhere, and the ways that ask nothing else would fail.
    graph = sl.trace(model, task.example)
    uniform = next(one for one in found.tried if one.candidate.allocation == "uniform")
    less = {n: 0.8 * ratio for n, ratio in uniform.ratios.items()}
    near = on_measured_widths(graph, times, sl.Scope(), sl.Ratios(less))
    assert sl.preview(graph, near, times=times).latency_removed < 0.4


def test_a_way_that_cant_meet_the_time_is_left_out_and_said(task, model, times):
    scan = sl.scan_sensitivity(model, task, images=64, ratios=[0.2], progress=False)
    found = sl.auto_prune(
        model, task, latency=0.5, times=times, tried=candidates(["drop", "uniform"]),
        sensitivity=scan, epochs=0, settings=FEW, progress=False,
    )  # fmt: skip
    assert [one.candidate.allocation for one in found.tried] == ["uniform"]
    assert [name for name, _ in found.left_out] == ["drop, l1_norm"]
    with pytest.raises(PlanError, match=r"At most .*% of the time"):
        next(sl.iter_auto_prune(model, task, latency=0.999, times=times))


def test_annealing_is_entered_beside_the_others(task, model):
    settings = replace(FEW, tries=3)
    found = sl.auto_prune(
        model,
        task,
        macs=0.4,
        tried=candidates(["uniform"]),
        epochs=0,
        settings=settings,
        progress=False,
    )
    names = {t.candidate.allocation for t in found.tried}
    assert names == {"uniform", "annealing"}


def test_the_winner_is_fine_tuned(task, model):
    found = sl.auto_prune(
        model, task, macs=0.5, tried=candidates(["uniform"]), settings=FEW, progress=False
    )
    assert found.history is not None
    assert found.history.records[-1].metric > found.history.records[0].metric


@pytest.mark.parametrize("steps_before", [1, 5])
def test_a_stopped_search_gives_what_was_measured(task, model, steps_before):
    steps = sl.iter_auto_prune(model, task, macs=0.5, settings=FEW)
    for _ in range(steps_before):
        next(steps)
    found = sl.finish_early(steps)
    assert len(found.tried) < len(candidates())
    if not found.tried:
        with pytest.raises(PlanError, match="No candidate"):
            _ = found.winner


def test_an_unreachable_budget_is_refused_before_any_work(task, model):
    with pytest.raises(PlanError, match=r"At most .*% .* can be removed"):
        next(sl.iter_auto_prune(model, task, macs=0.9999))


def test_nothing_to_try_and_unknown_allocations_are_refused(task, model):
    with pytest.raises(PlanError, match="nothing to try"):
        next(sl.iter_auto_prune(model, task, macs=0.5, tried=[]))
    with pytest.raises(PlanError, match="budget"):
        Candidate("budgte")


@pytest.mark.parametrize(
    ("right", "chosen", "told"),
    [
        ((40, 43), "uniform", "behind"),  # three images of sixty are chance
        ((40, 60), "scores-lamp", "clearly"),
        ((43, 40), "uniform", "not told from chance"),
    ],
)
def test_of_ways_that_can_not_be_told_apart_the_first_is_chosen(
    task, model, monkeypatch, right, chosen, told
):
    contest = Contest(model, task, Budget(macs=0.5), AutoSettings(recalibration=16))
    waiting = [np.repeat([1.0, 0.0], [count, 60 - count]) for count in right]
    monkeypatch.setattr(contest, "_scores", lambda _: waiting.pop(0))
    for name in ("uniform", "scores-lamp"):
        contest.enter(Candidate(name), None)
    found = contest.result()
    assert found.winner.candidate.allocation == chosen
    assert told in found.why
    assert found.winner.preview.macs == sl.trace(found.model, task.example).macs
    assert len(found.tried) == 2

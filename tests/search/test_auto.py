from __future__ import annotations

from dataclasses import replace

import paddle
import pytest

import slimlab as sl
from slimlab.errors import PlanError
from slimlab.search import AutoSettings, Candidate, candidates

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
    assert frame["re_estimated"].is_monotonic_decreasing
    assert found.winner.candidate.name in found.why
    assert found.winner.preview.macs == sl.trace(found.model, task.example).macs
    after = {k: v.numpy() for k, v in model.state_dict().items()}
    assert all((before[k] == after[k]).all() for k in before)


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

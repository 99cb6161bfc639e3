from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab.allocate import Budget
from slimlab.search.annealing import anneal, asked, to_budget
from slimlab.steps import drain


@pytest.fixture(scope="module")
def graph() -> sl.Graph:
    task = sl.load_task("digits")
    return sl.trace(sl.load_model("vgg", task), task.example)


@settings(deadline=None, max_examples=25)
@given(data=st.data(), share=st.floats(0.05, 0.8))
def test_any_proposal_is_brought_to_the_budget(graph, data, share):
    names = [group.name for group in graph.groups]
    proposal = {n: data.draw(st.floats(0.02, 0.9), label=n) for n in names}
    ratios = to_budget(graph, Budget(macs=share), proposal, sl.Scope())
    assert sl.preview(graph, ratios).macs_removed >= share


def test_annealing_finds_better_than_it_began_with_and_repeats(graph):
    first = graph.layers[0]

    def value(ratios: sl.Ratios) -> float:
        return -ratios[first]

    found = [
        drain(anneal(graph, Budget(macs=0.4), value, tries=40, seed=3), progress=False)
        for _ in range(2)
    ]
    begin = to_budget(graph, Budget(macs=0.4), dict.fromkeys(graph.layers, 0.5), sl.Scope())
    assert found[0] == found[1]
    assert found[0].value > value(begin)
    assert found[0].value == value(found[0].ratios)


def test_stopped_annealing_gives_its_best_and_leaves_no_thread(graph):
    seen: list[float] = []

    def value(ratios: sl.Ratios) -> float:
        seen.append(-sum(ratios.values()))
        return seen[-1]

    steps = anneal(graph, Budget(macs=0.4), value, tries=40)
    next(steps), next(steps), next(steps)
    best = sl.finish_early(steps)
    assert best.tried == 3
    assert best.value == max(seen)
    assert "optimiser" not in {thread.name for thread in threading.enumerate()}


def test_an_error_of_the_optimiser_reaches_the_asker():
    def breaks(f):
        f(np.zeros(2))
        msg = "broken"
        raise ValueError(msg)

    questions = asked(breaks)
    next(questions)
    with pytest.raises(ValueError, match="broken"):
        questions.send(1.0)

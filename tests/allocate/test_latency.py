"""Budgets of measured time: against brute force, on clocks whose stairs are known."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from clocks import StairClock
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import table
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.allocate import Budget, Search, allocate_budget
from slimlab.allocate.problem import Problem
from slimlab.allocate.solve import solve
from slimlab.allocate.time_tables import most_removed, time_tables
from slimlab.timing import TimeTable, TimingSettings, measure_times

RATIOS = (0.25, 0.5, 0.75)
NO_DOUBT = Search(caution=0.0, gap=0.0)
FEW = TimingSettings(batch=1, levels=3, last=0.75, grain=1)
NAMES = ("chain", "residual", "depthwise", "projected residual")


def timed(name: str, clock: StairClock) -> tuple[sl.Graph, TimeTable]:
    model, x = TOPOLOGIES[name](), example()
    graph = sl.trace(model, x)
    times = measure_times(model, graph, x, settings=FEW, cache=None, clock=clock, progress=False)
    return graph, times


@pytest.fixture(scope="module")
def networks() -> dict[str, tuple[sl.Graph, TimeTable]]:
    # Widths off the multiples of three take three times as long: a wider layer may be faster.
    return {name: timed(name, StairClock(step=2, odd=3)) for name in (*NAMES, "concat")}


def random_scan(graph: sl.Graph, seed: int) -> sl.Sensitivity:
    rng = np.random.default_rng(seed)
    drops = {g.name: np.cumsum(rng.exponential(3, 3) * rng.integers(0, 2, 3)) for g in graph.groups}
    return table({name: list(values) for name, values in drops.items()}, RATIOS)


def every_choice(times: TimeTable) -> list[dict[str, int]]:
    return [dict(zip(times.widths, kept, strict=True)) for kept in product(*times.widths.values())]


def as_ratios(graph: sl.Graph, kept: dict[str, int]) -> dict[str, float]:
    return {name: 1 - n / graph.group(name).width for name, n in kept.items()}


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    seed=st.integers(0, 10_000),
    latency=st.floats(0.05, 0.8),
    macs=st.none() | st.floats(0.05, 0.5),
)
def test_no_other_measured_widths_lose_less_and_are_fast_enough(
    networks, name: str, seed: int, latency: float, macs: float | None
) -> None:
    graph, times = networks[name]
    scan = random_scan(graph, seed)
    least = math.inf
    for kept in every_choice(times):
        seen = sl.preview(graph, as_ratios(graph, kept), scan, times)
        if seen.latency_removed >= latency and seen.macs_removed >= (macs or 0):
            # What is minimised adds up where drops of an accuracy multiply: the same order.
            least = min(least, seen.drop)
    budget = Budget(macs=macs, latency=latency, times=times)
    if math.isinf(least):
        with pytest.raises(sl.PlanError, match=r"can be removed|can't be met"):
            allocate_budget(graph, scan, budget, search=NO_DOUBT)
        return
    found = allocate_budget(graph, scan, budget, search=NO_DOUBT)
    seen = sl.preview(graph, found.ratios, scan, times)
    assert seen.latency_removed >= latency - 1e-9
    assert seen.macs_removed >= (macs or 0)
    assert seen.drop == pytest.approx(least, abs=1e-6)
    assert found.method == "exact"


@pytest.mark.parametrize("name", NAMES)
def test_tables_add_up_to_what_the_times_predict(networks, name):
    _, times = networks[name]
    kept = {group: np.array(widths) for group, widths in times.widths.items()}
    tables, fixed = time_tables(times, kept)
    zeros = tuple(np.zeros(len(widths)) for widths in kept.values())
    problem = Problem(zeros, tables, np.ones(1))
    rng = np.random.default_rng(3)
    for _ in range(10):
        choice = np.array([rng.integers(len(widths)) for widths in kept.values()])
        chosen = {g: int(w[n]) for (g, w), n in zip(kept.items(), choice, strict=True)}
        share = times.predict(chosen) / times.predict({})
        assert problem.cost(choice)[0] + fixed == pytest.approx(share)


def test_widths_of_several_groups_become_pairs_and_exact_for_planes():
    graph, times = timed("concat", StairClock(step=1))
    kept = {group: np.array(widths) for group, widths in times.widths.items()}
    tables, fixed = time_tables(times, kept)
    assert max(len(scope) for scope in tables) == 2
    zeros = tuple(np.zeros(len(widths)) for widths in kept.values())
    problem = Problem(zeros, tables, np.ones(1))
    for chosen in every_choice(times)[::7]:
        choice = [list(times.widths[g]).index(n) for g, n in chosen.items()]
        share = times.predict(chosen) / times.predict({})
        assert problem.cost(choice)[0] + fixed == pytest.approx(share)
    found = sl.ratios_for_budget(graph, random_scan(graph, 1), latency=0.4, times=times)
    assert sl.preview(graph, found, times=times).latency_removed >= 0.4


def test_widths_off_the_fast_kernels_are_left_alone_even_when_they_lose_less():
    """By hand: the first layer has 8, 6, 4 or 2 channels, and only multiples of 4 are fast."""
    graph, times = timed("chain", StairClock(step=2, odd=4))
    scan = table({"a.0": [0.1, 0.2, 0.3], "b.0": [50.0, 60.0, 70.0]}, RATIOS)
    found = sl.ratios_for_budget(graph, scan, latency=0.3, times=times)
    assert sl.preview(graph, found).widths["a.0"] == (8, 4)
    by_macs = sl.ratios_for_budget(graph, scan, macs=0.3, search=NO_DOUBT)
    assert sl.preview(graph, by_macs, times=times).latency_removed < 0.3  # why a clock is asked


def test_the_range_is_that_of_all_choices(networks):
    for graph, times in (networks[name] for name in NAMES):
        least = min(times.predict(kept) for kept in every_choice(times)) / times.predict({})
        reach = sl.reachable(graph, times=times)
        assert reach.latency == pytest.approx((0, 1 - least), abs=1e-6)
        assert f"{1 - least:.1%} of the time" in str(reach)
        kept = {group: np.array(widths) for group, widths in times.widths.items()}
        assert most_removed(times, kept) == pytest.approx(1 - least)


def test_what_cant_be_met_says_how_far(networks):
    graph, times = networks["chain"]
    scan = random_scan(graph, 0)
    with pytest.raises(sl.PlanError, match=r"At most .*% of the time .* \(stairs") as caught:
        sl.ratios_for_budget(graph, scan, latency=0.99, times=times)
    assert caught.value.target == 0.99
    most = sl.reachable(graph, times=times).latency[1]
    assert caught.value.reachable == pytest.approx(most)
    sl.ratios_for_budget(graph, scan, latency=most - 1e-9, times=times)
    with pytest.raises(sl.PlanError, match="needs measured times"):
        sl.ratios_for_budget(graph, scan, latency=0.3)
    other, _ = networks["residual"]
    with pytest.raises(sl.PlanError, match="another network"):
        sl.ratios_for_budget(other, random_scan(other, 0), latency=0.1, times=times)
    with pytest.raises(sl.PlanError, match="another network"):
        sl.preview(other, {}, times=times)


def test_a_scopes_multiple_chooses_among_the_measured_widths(networks):
    graph, times = networks["chain"]
    scan = random_scan(graph, 4)
    found = sl.ratios_for_budget(graph, scan, latency=0.2, times=times, multiple=3)
    for layer, (before, after) in sl.preview(graph, found).widths.items():
        assert after == before or after % 3 == 0
        assert after in times.widths[layer]


def test_previews_and_reports_tell_the_latency(networks):
    graph, times = networks["chain"]
    seen = sl.preview(graph, {"a.0": 0.5}, times=times)
    assert seen.latency == pytest.approx(times.predict({"a.0": 4}))
    assert seen.latency_removed == pytest.approx(1 - seen.latency / times.predict({}))
    assert sl.preview(graph, {"a.0": 0.5}).latency is None
    report = sl.predicted_against_actual(seen, graph, latency=2 * seen.latency)
    row = report.set_index("quantity").loc["latency"]
    assert row["difference"] == pytest.approx(seen.latency)


def any_problem(seed: int, groups: int, levels: int, budgets: int) -> Problem:
    """Costs without any order: more channels may cost less."""
    rng = np.random.default_rng(seed)
    losses = tuple(np.r_[0.0, rng.exponential(1, levels - 1).cumsum()] for _ in range(groups))
    scopes = [(v,) for v in range(groups)] + [(v, v + 1) for v in range(groups - 1)]
    tables = {s: rng.uniform(0, 1, (budgets, *(levels for _ in s))) for s in scopes}
    whole = sum(t.reshape(budgets, -1)[:, 0] for t in tables.values())
    return Problem(losses, tables, whole * rng.uniform(0.2, 1.1, budgets))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    groups=st.integers(1, 5),
    levels=st.integers(1, 4),
    budgets=st.integers(1, 3),
)
def test_the_solver_needs_no_order_in_the_costs(seed, groups, levels, budgets):
    problem = any_problem(seed, groups, levels, budgets)
    choices = [np.array(c) for c in product(range(levels), repeat=groups)]
    within = [problem.loss(c) for c in choices if problem.is_within(c)]
    found = solve(problem, gap=0)
    assert (found is None) == (not within)
    if found is not None:
        assert problem.is_within(found.choice)
        assert found.loss == pytest.approx(min(within), abs=1e-9)
        assert found.bound <= min(within) + 1e-7

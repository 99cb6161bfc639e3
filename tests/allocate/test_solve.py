"""The solver against brute force: on tables, without any network."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from slimlab.allocate import elimination
from slimlab.allocate.elimination import Elimination
from slimlab.allocate.improve import fit, refine
from slimlab.allocate.problem import Problem
from slimlab.allocate.solve import solve


def random_problem(seed: int, *, groups: int, levels: int, budgets: int, triple: bool) -> Problem:
    """Widths of neighbours multiply along a chain with a skip; losses rise, here and there flat."""
    rng = np.random.default_rng(seed)
    kept = [np.sort(rng.uniform(0.1, 1, levels))[::-1] for _ in range(groups)]
    losses = tuple(
        np.r_[0.0, np.cumsum(rng.exponential(1, levels - 1) * rng.integers(0, 2, levels - 1))]
        for _ in range(groups)
    )
    tables = {}
    scopes = [(v,) for v in range(groups)] + [(v, v + 1) for v in range(groups - 1)]
    scopes += [(0, groups - 1)] if groups > 2 else []
    scopes += [(0, 1, 2)] if triple and groups > 2 else []
    for scope in scopes:
        table = rng.uniform(0, 1, budgets).reshape(-1, *(1 for _ in scope))
        for axis, v in enumerate(scope):
            table = table * kept[v].reshape([-1 if n == axis else 1 for n in range(len(scope))])
        tables[scope] = table
    whole = sum(table.reshape(budgets, -1)[:, 0] for table in tables.values())
    return Problem(losses, tables, whole * rng.uniform(0.3, 0.9, budgets))


def brute_force(problem: Problem) -> float | None:
    choices = [np.array(c) for c in product(*(range(n) for n in problem.sizes))]
    within = [problem.loss(c) for c in choices if problem.is_within(c)]
    return min(within) if within else None


problems = st.builds(
    random_problem,
    st.integers(0, 2**32 - 1),
    groups=st.integers(1, 5),
    levels=st.integers(1, 4),
    budgets=st.integers(1, 3),
    triple=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(problem=problems)
def test_it_is_the_optimum_of_all_choices(problem: Problem) -> None:
    best, found = brute_force(problem), solve(problem, gap=0)
    assert (best is None) == (found is None)
    if best is not None and found is not None:
        assert problem.is_within(found.choice)
        assert found.loss == pytest.approx(best, abs=1e-9)
        assert found.loss == pytest.approx(problem.loss(found.choice))
        assert found.gap == pytest.approx(0, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(problem=problems, gap=st.sampled_from([0.0, 0.01, 0.2]), labels=st.sampled_from([1, 3, 50]))
def test_the_bound_holds_whatever_is_left_out(problem: Problem, gap: float, labels: int) -> None:
    """Few labels or an early end may cost the optimum, but never make the proof wrong."""
    best, found = brute_force(problem), solve(problem, gap=gap, labels=labels)
    if best is not None and found is not None:
        assert problem.is_within(found.choice)
        assert found.bound <= best + 1e-7 <= found.loss + 2e-7
        assert found.gap == pytest.approx(found.loss - found.bound)


def test_it_agrees_with_an_integer_program() -> None:
    """A chain of eight groups of eight levels: 16.7 million choices."""
    problem = random_problem(5, groups=8, levels=8, budgets=2, triple=False)
    found = solve(problem, gap=0)
    assert found is not None
    assert found.loss == pytest.approx(integer_program(problem), abs=1e-6)


def integer_program(problem: Problem) -> float:
    """The same problem for HiGHS: a binary a level, and one a pair of levels, made to agree."""
    scopes = [(v,) for v in range(len(problem.sizes))]
    scopes += [scope for scope in problem.tables if len(scope) == 2]
    shapes = [tuple(problem.sizes[v] for v in scope) for scope in scopes]
    starts = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    loss = np.concatenate([*problem.losses, np.zeros(starts[-1] - sum(problem.sizes))])
    cost = np.zeros((len(problem.limits), starts[-1]))
    equal, right = [], []
    for n, (scope, shape) in enumerate(zip(scopes, shapes, strict=True)):
        table = problem.tables.get(scope)
        if table is not None:
            cost[:, starts[n] : starts[n + 1]] = table.reshape(len(cost), -1)
        number = np.arange(starts[n], starts[n + 1]).reshape(shape)
        if len(scope) == 1:
            row = np.zeros(starts[-1])
            row[number] = 1
            equal.append(row)
            right.append(1)
            continue
        for axis, v in enumerate(scope):
            for level in range(problem.sizes[v]):
                row = np.zeros(starts[-1])
                row[np.take(number, level, axis=axis)] = 1
                row[starts[v] + level] = -1
                equal.append(row)
                right.append(0)
    result = milp(
        loss,
        constraints=[
            LinearConstraint(np.array(equal), right, right),
            LinearConstraint(cost, -np.inf, problem.limits),
        ],
        integrality=np.ones(len(loss)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0},
    )
    return float(result.fun)


@settings(max_examples=60, deadline=None)
@given(problem=problems, seed=st.integers(0, 1000))
def test_elimination_gives_the_least_weighted_sum(problem: Problem, seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0, 3, 1 + len(problem.limits))
    sums = [
        weights[0] * problem.loss(c) + weights[1:] @ problem.cost(c)
        for c in (np.array(c) for c in product(*(range(n) for n in problem.sizes)))
    ]
    eliminated = Elimination.of(problem)
    assert eliminated is not None
    minimum = eliminated.minimum(weights)
    assert minimum.value == pytest.approx(min(sums))
    choice = eliminated.choice(minimum)
    total = weights[0] * problem.loss(choice) + weights[1:] @ problem.cost(choice)
    assert total == pytest.approx(minimum.value)


@settings(max_examples=60, deadline=None)
@given(problem=problems)
def test_alternatives_are_differences_of_costs(problem: Problem) -> None:
    rng = np.random.default_rng(0)
    choice = np.array([rng.integers(n) for n in problem.sizes])
    for v, size in enumerate(problem.sizes):
        costs = problem.alternatives(choice, v)
        for level in range(size):
            other = choice.copy()
            other[v] = level
            change = costs[:, level] - costs[:, choice[v]]
            np.testing.assert_allclose(
                problem.cost(other) - problem.cost(choice), change, atol=1e-12
            )


@settings(max_examples=60, deadline=None)
@given(problem=problems)
def test_greedy_steps_fit_whatever_can_be_fitted_and_only_improve(problem: Problem) -> None:
    start = np.zeros(len(problem.sizes), dtype=np.int64)
    fitted = fit(problem, start)
    if brute_force(problem) is None:
        assert fitted is None
        return
    assert fitted is not None  # costs only fall along the levels, so there is always a step
    better = refine(problem, fitted)
    assert problem.is_within(fitted)
    assert problem.is_within(better)
    assert problem.loss(better) <= problem.loss(fitted) + 1e-12


def test_an_entangled_network_is_solved_greedily_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = random_problem(3, groups=5, levels=4, budgets=2, triple=True)
    monkeypatch.setattr(elimination, "LARGEST", 3)
    found, best = solve(problem), brute_force(problem)
    assert found is not None
    assert best is not None
    assert (found.method, found.bound) == ("greedy", 0.0)
    assert problem.is_within(found.choice)
    assert found.loss >= best


def test_it_is_repeatable() -> None:
    problem = random_problem(11, groups=8, levels=8, budgets=2, triple=True)
    first, again = solve(problem), solve(problem)
    assert first is not None
    assert again is not None
    assert first.choice.tolist() == again.choice.tolist()

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.ratios import kept_channels


@pytest.mark.parametrize("bad", [1.2, 1.0, -0.1, math.nan, math.inf, "half", None, True])
def test_a_ratio_outside_is_refused_by_name(bad: object) -> None:
    with pytest.raises(sl.PlanError, match=r"'conv1' is (outside \[0, 1\)|no number)"):
        sl.Ratios({"conv1": bad})


def test_ratios_are_immutable_values() -> None:
    ratios = sl.Ratios({"a": 0.5})
    changed = ratios.replace("a", 0.25)
    assert (ratios["a"], changed["a"]) == (0.5, 0.25)
    assert ratios == {"a": 0.5}
    assert hash(ratios) == hash(sl.Ratios({"a": 0.5}))
    with pytest.raises(TypeError):
        ratios["a"] = 0.1


@given(width=st.integers(1, 4096), ratio=st.floats(0, 1, exclude_max=True))
def test_kept_channels_are_whole_and_never_none(width: int, ratio: float) -> None:
    kept = kept_channels(width, ratio)
    assert 1 <= kept <= width
    assert abs((width - kept) - width * ratio) <= 0.5 or kept == 1


@pytest.mark.parametrize(
    ("width", "ratio", "kept"),
    [(64, 0.3125, 44), (10, 0.25, 8), (10, 0.35, 6), (2, 0.25, 2), (4, 0.99, 1), (8, 0.0, 8)],
)
def test_kept_channels_round_half_to_even(width: int, ratio: float, kept: int) -> None:
    assert kept_channels(width, ratio) == kept


def test_tied_layers_need_one_ratio() -> None:
    graph = sl.trace(TOPOLOGIES["residual"](), example())
    assert sl.Ratios({"b.0": 0.5}).of_groups(graph) == {"stem.0": 0.5}
    assert sl.Ratios({"b.0": 0.5, "stem.0": 0.5}).of_groups(graph) == {"stem.0": 0.5}
    with pytest.raises(sl.PlanError, match=r"'b\.0' and 'c\.0' are tied.*0\.5 and 0\.25"):
        sl.Ratios({"b.0": 0.5, "c.0": 0.25}).of_groups(graph)


def test_scope_chooses_by_name() -> None:
    graph = sl.trace(TOPOLOGIES["chain"](), example())
    assert [g.name for g in sl.Scope(include=r"^a\.").groups(graph)] == ["a.0"]
    assert [g.name for g in sl.Scope(exclude=r"^a\.").groups(graph)] == ["b.0"]
    assert [g.name for g in sl.Scope(min_channels=9).groups(graph)] == ["b.0"]


def test_scope_chooses_by_type_and_rounds() -> None:
    graph = sl.trace(TOPOLOGIES["flatten to linear"](), example())
    kinds = {row[0]: row[1] for row in graph.coverage.rows}
    for kind in ("Conv2D", "Linear"):
        expected = [g.name for g in graph.groups if kinds[g.name] == kind]
        if expected:
            assert [g.name for g in sl.Scope(types=(kind,)).groups(graph)] == expected
    convolutions = sl.Scope(types=("Conv2D",)).groups(graph)
    assert convolutions
    with pytest.raises(sl.PlanError, match="in scope"):
        sl.Scope(types=("Conv2D",), exclude_types=("Conv2D",)).groups(graph)
    assert [sl.Scope(multiple=4).kept(16, r) for r in (0.1, 0.5, 0.9)] == [16, 8, 4]
    assert [sl.Scope(least=6).kept(16, r) for r in (0.1, 0.5, 0.9)] == [14, 8, 6]


def test_scope_reaches_a_group_through_any_of_its_layers() -> None:
    graph = sl.trace(TOPOLOGIES["residual"](), example())
    assert [g.name for g in sl.Scope(include=r"^c\.").groups(graph)] == ["stem.0"]
    assert [g.name for g in sl.Scope(exclude=r"^c\.").groups(graph)] == ["a.0"]


def test_an_empty_scope_and_a_broken_expression_are_sentences() -> None:
    graph = sl.trace(TOPOLOGIES["chain"](), example())
    with pytest.raises(sl.PlanError, match="No prunable layer of Toy is in scope"):
        sl.Scope(include="nothing").groups(graph)
    for broken in ("(", r"\UFFFFFFFF", "a{99999999999999999999}", "(" * 5000 + ")" * 5000):
        with pytest.raises(sl.PlanError, match="no regular expression"):
            sl.Scope(include=broken)

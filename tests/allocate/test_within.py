from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import table
from topologies import TOPOLOGIES, example

import slimlab as sl

RATIOS = (0.3, 0.6, 0.9)


@pytest.fixture(scope="module")
def chain() -> sl.Graph:
    return sl.trace(TOPOLOGIES["chain"](), example())


@settings(max_examples=40, deadline=None)
@given(
    a=st.lists(st.floats(0.5, 10), min_size=3, max_size=3).map(sorted),
    b=st.lists(st.floats(0.5, 10), min_size=3, max_size=3).map(sorted),
    macs=st.floats(0.05, 0.8),
)
def test_the_smallest_common_drop_that_meets_the_budget(
    chain: sl.Graph, a: list[float], b: list[float], macs: float
) -> None:
    scan = table({"a.0": a, "b.0": b}, RATIOS)
    found = sl.ratios_within_drop(scan, graph=chain, macs=macs)
    assert sl.preview(chain, found).macs_removed >= macs
    drop = max(scan.predicted_drop(layer, ratio) for layer, ratio in found.items())
    for layer, ratio in found.items():  # all at that drop, or at the end of their curve
        assert scan.predicted_drop(layer, ratio) == pytest.approx(drop, abs=1e-6) or (
            ratio == pytest.approx(0.9)
        )
    smaller = sl.ratios_within_drop(scan, max(0.0, drop - 1e-3))
    if drop > 0.01:
        assert sl.preview(chain, smaller).macs_removed < macs


def test_of_flat_curves_all_layers_take_the_same_part_that_is_enough(chain: sl.Graph) -> None:
    """By hand: no drop at all removes 0.6 of both layers, far more than a tenth of the MACs."""
    scan = table({"a.0": [0.0, 0.0, 5.0], "b.0": [0.0, 0.0, 5.0]}, RATIOS)
    found = sl.ratios_within_drop(scan, graph=chain, macs=0.1)
    assert found["a.0"] == pytest.approx(found["b.0"])
    assert found["a.0"] < 0.1
    assert 0.1 <= sl.preview(chain, found).macs_removed < 0.2
    smaller = {name: 0.99 * ratio for name, ratio in found.items()}
    assert sl.preview(chain, smaller).macs_removed < 0.1


def test_a_step_where_curves_are_flat_is_taken_in_part(chain: sl.Graph) -> None:
    """By hand: at a drop of 2 layer a goes from 0.3 to 0.6 at once; half of it is enough."""
    scan = table({"a.0": [2.0, 2.0, 50.0], "b.0": [40.0, 60.0, 80.0]}, RATIOS)
    at_once = sl.preview(chain, sl.ratios_within_drop(scan, 2.0)).macs_removed
    before = sl.preview(chain, sl.ratios_within_drop(scan, 1.999)).macs_removed
    wanted = (before + at_once) / 2
    found = sl.ratios_within_drop(scan, graph=chain, macs=wanted)
    assert 0.3 < found["a.0"] < 0.6
    assert wanted <= sl.preview(chain, found).macs_removed < at_once


def test_scope_rounds_and_leaves_out(chain: sl.Graph) -> None:
    scan = table({"a.0": [1.0, 2.0, 3.0], "b.0": [1.0, 2.0, 3.0]}, RATIOS)
    found = sl.ratios_within_drop(scan, graph=chain, macs=0.3, scope=sl.Scope(multiple=4))
    assert {after % 4 for _, after in sl.preview(chain, found).widths.values()} == {0}
    only = sl.ratios_within_drop(scan, 2.0, graph=chain, scope=sl.Scope(include="^b"))
    assert dict(only) == pytest.approx({"b.0": 0.6})


def test_it_refuses_what_makes_no_sense(chain: sl.Graph) -> None:
    scan = table({"a.0": [1.0, 2.0, 3.0]}, RATIOS)
    with pytest.raises(sl.PlanError, match="a drop or a budget"):
        sl.ratios_within_drop(scan, 1.0, graph=chain, macs=0.5)
    with pytest.raises(sl.PlanError, match="pass graph="):
        sl.ratios_within_drop(scan, macs=0.5)
    with pytest.raises(sl.PlanError, match=r"At most .* within the scanned ratios"):
        sl.ratios_within_drop(scan, graph=chain, macs=0.95)
    with pytest.raises(sl.PlanError, match="None of the 1 scanned layers is in scope"):
        sl.ratios_within_drop(scan, graph=chain, macs=0.1, scope=sl.Scope(include="^b"))


def test_predictions_beside_what_came_out(chain: sl.Graph) -> None:
    model = TOPOLOGIES["chain"]()
    scan = table({"a.0": [1.0, 2.0, 3.0], "b.0": [1.0, 2.0, 3.0]}, RATIOS)
    ratios = {"a.0": 0.3, "b.0": 0.6}
    seen = sl.preview(chain, ratios, scan)
    small = sl.prune(model, sl.plan_pruning(model, chain, ratios))
    report = sl.predicted_against_actual(seen, sl.profile(small, example()), drop=4.0)
    rows = report.set_index("quantity")
    assert rows.index.tolist() == ["macs", "params", "bytes", "drop"]
    assert rows.loc[["macs", "params", "bytes"], "difference"].tolist() == [0, 0, 0]
    assert rows.loc["drop", "difference"] == pytest.approx(4.0 - (seen.drop or 0))
    without = sl.predicted_against_actual(seen, sl.profile(small, example()))
    assert "drop" not in without["quantity"].tolist()

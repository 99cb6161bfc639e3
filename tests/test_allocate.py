from __future__ import annotations

from dataclasses import replace

import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import table
from topologies import TOPOLOGIES, example

import slimlab as sl


@pytest.fixture(scope="module")
def chain() -> sl.Graph:
    """a: 3 -> 8 and b: 8 -> 12, 3x3 on 6x6; fc: 12 -> 5."""
    return sl.trace(TOPOLOGIES["chain"](), example())


def macs(a: int, b: int) -> int:
    return 36 * 9 * (3 * a + a * b) + b * 5


def test_preview_by_hand(chain: sl.Graph) -> None:
    scan = table({"a.0": [1.0, 3.0], "b.0": [0.0, 2.0]}, (0.25, 0.5))
    seen = sl.preview(chain, {"a.0": 0.25, "b.0": 0.5}, scan)
    assert seen.macs == macs(6, 6)
    assert seen.macs_removed == pytest.approx(1 - macs(6, 6) / macs(8, 12))
    assert seen.params == 9 * (3 * 6 + 6 * 6) + 2 * 6 + 2 * 6 + 6 * 5 + 5
    assert seen.bytes == 4 * (seen.params + 2 * 6 + 2 * 6)
    assert seen.drop == pytest.approx(90 * (1 - (1 - 1 / 90) * (1 - 2 / 90)), abs=1e-6)
    assert seen.widths == {"a.0": (8, 6), "b.0": (12, 6)}
    assert sl.preview(chain, {}).drop is None
    assert sl.preview(chain, {}).macs_removed == 0


def test_a_ratio_that_removes_no_channel_costs_nothing(chain: sl.Graph) -> None:
    scan = table({"a.0": [10.0, 30.0], "b.0": [5.0, 6.0]}, (0.25, 0.5))
    assert sl.preview(chain, {"a.0": 0.05, "b.0": 0.02}, scan).drop == 0
    assert sl.preview(chain, {"a.0": 0.05, "b.0": 0.25}, scan).drop == pytest.approx(5, abs=1e-6)


def test_drops_together_never_exceed_the_baseline(chain: sl.Graph) -> None:
    scan = table({"a.0": [80.0, 85.0], "b.0": [80.0, 85.0]}, (0.25, 0.5))
    drop = sl.preview(chain, {"a.0": 0.5, "b.0": 0.5}, scan).drop
    assert drop == pytest.approx(90 * (1 - (5 / 90) ** 2), abs=1e-6)
    by_loss = replace(scan, unit="", metric="loss")
    assert sl.preview(chain, {"a.0": 0.5, "b.0": 0.5}, by_loss).drop == pytest.approx(170, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(a=st.floats(0, 0.99), b=st.floats(0, 0.99))
def test_preview_is_what_pruning_gives(chain: sl.Graph, a: float, b: float) -> None:
    model = TOPOLOGIES["chain"]()
    small = sl.prune(model, sl.plan_pruning(model, chain, {"a.0": a, "b.0": b}))
    seen, counted = sl.preview(chain, {"a.0": a, "b.0": b}), sl.profile(small, example())
    assert (seen.macs, seen.params, seen.bytes) == (counted.macs, counted.params, counted.bytes)


def test_uniform_by_ratio(chain: sl.Graph) -> None:
    assert sl.uniform_ratios(chain, ratio=0.5) == {"a.0": 0.5, "b.0": 0.5}
    only = sl.uniform_ratios(chain, ratio=0.5, scope=sl.Scope(include="^a"))
    assert only == {"a.0": 0.5}


@pytest.mark.parametrize("target", [0.3, 0.5, 0.7])
def test_uniform_is_the_least_ratio_that_meets_the_target(target: float) -> None:
    graph = sl.trace(sl.load_model("mobilenet_v1"), paddle.zeros([1, 1, 28, 28]))
    for what in ("macs", "params", "bytes"):

        def removed(ratio: float, name: str = what) -> float:
            seen = sl.preview(graph, dict.fromkeys(graph.layers, ratio))
            return float(getattr(seen, f"{name}_removed"))

        (ratio,) = set(sl.uniform_ratios(graph, **{what: target}).values())
        assert removed(ratio) >= target > removed(ratio - 1e-9)
        (near,) = set(sl.uniform_ratios(graph, **{what: target}, tolerance=0.01).values())
        assert removed(near) == pytest.approx(target, abs=0.01)


def test_uniform_ratios_meet_several_shares_at_once(chain: sl.Graph) -> None:
    (ratio,) = set(sl.uniform_ratios(chain, macs=0.4, bytes=0.5).values())
    most = max(
        next(iter(sl.uniform_ratios(chain, **{n: v}).values()))
        for n, v in (("macs", 0.4), ("bytes", 0.5))
    )
    assert ratio == pytest.approx(most, abs=1e-9)
    assert set(sl.uniform_ratios(chain, macs=0.0).values()) == {0.0}
    with pytest.raises(sl.PlanError, match="without a tolerance"):
        sl.uniform_ratios(chain, macs=0.4, bytes=0.5, tolerance=0.01)


def test_the_seed_tables_ratios_follow_from_bisection() -> None:
    """PaddleSlim's uniform table: the 13 pointwise convolutions of MobileNetV1 at 224."""
    graph = sl.trace(paddle.vision.models.mobilenet_v1(), paddle.zeros([1, 3, 224, 224]))
    scope = sl.Scope(include="pointwise")
    expected = {0.5: 0.3125, 0.6: 0.390625, 0.7: 0.484375}
    for target, ratio in expected.items():
        found = sl.uniform_ratios(graph, macs=target, scope=scope, tolerance=0.01)
        assert set(found.values()) == {ratio}
        assert len(found) == 13


def test_what_cant_be_reached_says_how_far_it_goes(chain: sl.Graph) -> None:
    with pytest.raises(sl.PlanError, match=r"At most \d+\.\d% of the macs of Toy can be removed"):
        sl.uniform_ratios(chain, macs=0.95, scope=sl.Scope(include="^a"))


def test_exactly_one_target(chain: sl.Graph) -> None:
    with pytest.raises(sl.PlanError, match=r"exactly one of ratio=, macs=, params="):
        sl.uniform_ratios(chain)
    with pytest.raises(sl.PlanError, match=r"exactly one"):
        sl.uniform_ratios(chain, ratio=0.5, macs=0.5)
    for wrong in ({"ratio": 1.0}, {"macs": 1.2}, {"params": -0.1}):
        with pytest.raises(sl.PlanError, match=r"outside \[0, 1\)"):
            sl.uniform_ratios(chain, **wrong)


def test_within_drop_by_hand() -> None:
    scan = table({"a": [1.0, 3.0], "b": [0.0, 0.0], "c": [4.0, 5.0]}, (0.2, 0.4))
    ratios = sl.ratios_within_drop(scan, 2.0)
    assert ratios["a"] == pytest.approx(0.3)  # halfway from 1 to 3 points
    assert ratios["b"] == pytest.approx(0.4)  # never beyond what was measured
    assert ratios["c"] == pytest.approx(0.1)  # halfway from 0 to 4 points


def test_within_no_drop_keeps_what_costs() -> None:
    scan = table({"a": [1.0, 3.0], "b": [0.0, 2.0]}, (0.2, 0.4))
    ratios = sl.ratios_within_drop(scan, 0.0)
    assert ratios["a"] == pytest.approx(0.0, abs=1e-6)
    assert ratios["b"] == pytest.approx(0.2, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    drops=st.lists(st.floats(-3, 50), min_size=4, max_size=4),
    accepted=st.floats(0, 60),
    more=st.floats(0, 10),
)
def test_picked_ratios_keep_the_promise_and_grow_with_it(
    drops: list[float], accepted: float, more: float
) -> None:
    scan = table({"a": drops}, (0.2, 0.4, 0.6, 0.8))
    picked = sl.ratios_within_drop(scan, accepted)["a"]
    assert scan.predicted_drop("a", picked) <= accepted + 1e-6
    assert sl.ratios_within_drop(scan, accepted + more)["a"] >= picked - 1e-9
    if picked < 0.8:
        assert scan.predicted_drop("a", picked + 1e-3) > accepted - 1e-6


def test_within_drop_refuses_nonsense() -> None:
    scan = table({"a": []}, (0.2,))
    with pytest.raises(sl.PlanError, match="no cells yet"):
        sl.ratios_within_drop(scan, 1.0)
    with pytest.raises(sl.PlanError, match=r"-1\.0 points makes no sense"):
        sl.ratios_within_drop(table({"a": [1.0]}, (0.2,)), -1.0)

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import table
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.allocate import Budget, Search, allocate_budget
from slimlab.allocate.charge import charged, doubt

RATIOS = (0.25, 0.5, 0.75)
NO_DOUBT = Search(caution=0.0, gap=0.0)


@pytest.fixture(scope="module")
def graphs() -> dict[str, sl.Graph]:
    names = ("chain", "residual", "depthwise", "concat", "projected residual")
    return {name: sl.trace(TOPOLOGIES[name](), example()) for name in names}


@pytest.fixture(scope="module")
def mobilenet() -> sl.Graph:
    return sl.trace(sl.load_model("mobilenet_v1"), sl.load_task("digits").example)


def random_scan(graph: sl.Graph, seed: int) -> sl.Sensitivity:
    rng = np.random.default_rng(seed)
    drops = {g.name: np.cumsum(rng.exponential(3, 3) * rng.integers(0, 2, 3)) for g in graph.groups}
    return table({name: list(values) for name, values in drops.items()}, RATIOS)


def every_ratio(graph: sl.Graph, levels: int) -> list[list[float]]:
    found = []
    for group in graph.groups:
        kept = {group.width - round(group.width * 0.75 * n / levels) for n in range(levels + 1)}
        found.append([1 - k / group.width for k in sorted(kept, reverse=True)])
    return found


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["chain", "residual", "depthwise", "concat", "projected residual"]),
    seed=st.integers(0, 10_000),
    macs=st.none() | st.floats(0.05, 0.6),
    params=st.none() | st.floats(0.05, 0.6),
    size=st.none() | st.floats(0.05, 0.6),
)
def test_no_other_ratios_lose_less_and_meet_the_budgets(
    graphs: dict[str, sl.Graph],
    name: str,
    seed: int,
    macs: float | None,
    params: float | None,
    size: float | None,
) -> None:
    graph = graphs[name]
    scan = random_scan(graph, seed)
    shares = {"macs": macs, "params": params, "bytes": size}
    budget = {n: s for n, s in shares.items() if s is not None} or {"bytes": 0.3}
    least = math.inf
    for ratios in product(*every_ratio(graph, 3)):
        seen = sl.preview(graph, dict(zip(graph.layers, ratios, strict=True)), scan)
        if all(getattr(seen, f"{n}_removed") >= share for n, share in budget.items()):
            least = min(least, seen.drop if seen.drop is not None else math.inf)
    search = replace(NO_DOUBT, levels=3)
    if math.isinf(least):
        with pytest.raises(sl.PlanError, match="At most"):
            sl.ratios_for_budget(graph, scan, **budget, search=search)
        return
    found = sl.ratios_for_budget(graph, scan, **budget, search=search)
    seen = sl.preview(graph, found, scan)
    for n, share in budget.items():
        assert getattr(seen, f"{n}_removed") >= share - 1e-9
    assert seen.drop == pytest.approx(least, abs=1e-6)


def test_it_loses_less_than_uniform_and_than_one_common_drop(mobilenet: sl.Graph) -> None:
    rng = np.random.default_rng(2)
    drops = {n: list(np.cumsum(rng.exponential(2, 3))) for n in mobilenet.layers}
    scan = table(drops, RATIOS)
    found = sl.ratios_for_budget(mobilenet, scan, macs=0.5, search=Search(caution=0))
    uniform = sl.uniform_ratios(mobilenet, macs=0.5, tolerance=0.001)
    common = sl.ratios_within_drop(scan, graph=mobilenet, macs=0.5)
    drop = {
        name: sl.preview(mobilenet, ratios, scan).drop or 0.0
        for name, ratios in (("found", found), ("uniform", uniform), ("common", common))
    }
    assert drop["found"] < drop["common"]
    assert drop["found"] < drop["uniform"]


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_a_scan_that_tells_nothing_gives_nearly_uniform_ratios(
    mobilenet: sl.Graph, share: float
) -> None:
    """Every curve is flat at zero, with intervals of the same width: nothing to choose by."""
    scan = table({n: [0.0, 0.0, 0.0] for n in mobilenet.layers}, RATIOS)
    found = sl.ratios_for_budget(mobilenet, scan, macs=share, search=Search(levels=64))
    uniform = next(iter(sl.uniform_ratios(mobilenet, macs=share, tolerance=0.002).values()))
    widths = {g.name: g.width for g in mobilenet.groups}
    for layer, ratio in found.items():
        # The first and last layers also cost what no neighbour shares, so they differ a little.
        assert ratio == pytest.approx(uniform, abs=0.07 + 1 / widths[layer])


def test_without_doubt_one_flat_layer_would_be_pruned_to_its_end(mobilenet: sl.Graph) -> None:
    """What the charge for doubt is there for."""
    flat = mobilenet.layers[5]
    drops = {n: [1e-3, 2e-3, 3e-3] for n in mobilenet.layers} | {flat: [0.0, 0.0, 0.0]}
    scan = table(drops, RATIOS)
    bold = sl.ratios_for_budget(mobilenet, scan, macs=0.3, search=Search(caution=0))
    careful = sl.ratios_for_budget(mobilenet, scan, macs=0.3)
    assert bold[flat] == pytest.approx(0.75)
    assert careful[flat] < 0.35


def test_a_surely_sensitive_layer_is_spared(mobilenet: sl.Graph) -> None:
    spared = mobilenet.layers[5]
    drops = {n: [0.1, 0.3, 1.0] for n in mobilenet.layers} | {spared: [30.0, 60.0, 80.0]}
    assert sl.ratios_for_budget(mobilenet, table(drops, RATIOS), macs=0.5)[spared] == 0


def test_several_budgets_are_all_met(mobilenet: sl.Graph) -> None:
    scan = random_scan(mobilenet, 4)
    found = sl.ratios_for_budget(mobilenet, scan, macs=0.4, params=0.5, bytes=0.45)
    seen = sl.preview(mobilenet, found)
    assert seen.macs_removed >= 0.4
    assert seen.params_removed >= 0.5
    assert seen.bytes_removed >= 0.45


@pytest.mark.parametrize("multiple", [4, 8])
def test_channels_are_multiples_where_anything_is_removed(
    mobilenet: sl.Graph, multiple: int
) -> None:
    scan = random_scan(mobilenet, 1)
    found = sl.ratios_for_budget(mobilenet, scan, macs=0.4, multiple=multiple)
    seen = sl.preview(mobilenet, found)
    assert seen.macs_removed >= 0.4
    for before, after in seen.widths.values():
        assert after == before or after % multiple == 0
        assert before - after <= round(before * 0.75)  # not beyond what was scanned


def test_scope_and_holes_in_the_scan_are_left_alone(mobilenet: sl.Graph) -> None:
    scan = random_scan(mobilenet, 3)
    hole = mobilenet.layers[2]
    holed = replace(scan, cells=tuple(c for c in scan.cells if c.layer != hole))
    barred = mobilenet.layers[4]
    scope = sl.Scope(exclude=f"^{barred}$", least=5)
    found = sl.ratios_for_budget(mobilenet, holed, macs=0.4, scope=scope)
    assert hole not in found
    assert barred not in found
    kept = [after for before, after in sl.preview(mobilenet, found).widths.values()]
    assert min(kept) >= 5


def test_what_cant_be_met_says_how_far_and_what_blocks(mobilenet: sl.Graph) -> None:
    only = mobilenet.layers[3]
    scan = table({only: [1.0, 2.0, 3.0]}, RATIOS)
    with pytest.raises(sl.PlanError, match="not scanned") as caught:
        sl.ratios_for_budget(mobilenet, scan, macs=0.5)
    assert caught.value.target == 0.5
    most = sl.preview(mobilenet, {only: 0.75}).macs_removed
    assert caught.value.reachable == pytest.approx(most)
    with pytest.raises(sl.PlanError, match="at least one of macs="):
        sl.ratios_for_budget(mobilenet, scan)
    with pytest.raises(sl.PlanError, match=r"outside \[0, 1\)"):
        sl.ratios_for_budget(mobilenet, scan, macs=1.5)


def test_the_allocation_tells_what_it_did(graphs: dict[str, sl.Graph]) -> None:
    graph = graphs["chain"]
    scan = table({"a.0": [1.0, 3.0, 9.0], "b.0": [0.0, 2.0, 7.0]}, RATIOS)
    found = allocate_budget(graph, scan, Budget(macs=0.4), search=NO_DOUBT)
    frame = found.to_frame().set_index("layer")
    assert dict(found.ratios) == pytest.approx(frame["ratio"].to_dict())
    assert frame["charge"].sum() == pytest.approx(found.charge)
    for layer, row in frame.iterrows():
        assert row["drop"] == pytest.approx(scan.predicted_drop(str(layer), row["ratio"]))
    together = sl.preview(graph, found.ratios, scan).drop
    assert together == pytest.approx(90 * (1 - math.exp(-found.charge / 90)))
    assert (
        str(found)
        == f"-40% MACs: {found.charge:.2f} points charged, within 0 points of the best choice"
    )


def test_the_charge_by_hand() -> None:
    scan = table({"a": [2.0, 4.0, 8.0]}, RATIOS)
    assert doubt(scan, "a") == pytest.approx(1.0)  # the toy intervals are one point each way
    ratios = np.array([0.0, 0.5, 0.75])
    points = np.array([0.0, 4.0, 8.0]) + 2.0 * 1.0 * 1.5 * ratios**2
    expected = -90 * np.log(1 - points / 90)
    found = charged(scan, "a", ratios, weight=1.5, caution=2.0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    by_loss = replace(scan, unit="", metric="loss")
    np.testing.assert_allclose(
        charged(by_loss, "a", ratios, weight=1.5, caution=2.0), points, atol=1e-6
    )


@settings(max_examples=50, deadline=None)
@given(drops=st.lists(st.floats(-5, 200), min_size=3, max_size=3), caution=st.floats(0, 3))
def test_a_charge_never_falls_and_is_finite(drops: list[float], caution: float) -> None:
    scan = table({"a": drops}, RATIOS)
    found = charged(scan, "a", np.linspace(0, 0.75, 20), weight=1.0, caution=caution)
    assert found[0] == 0
    assert np.isfinite(found).all()
    assert (np.diff(found) >= -1e-9).all()


def test_the_doubt_of_a_table_without_intervals_is_a_hundredth() -> None:
    scan = table({"a": [1.0, 2.0, 3.0]}, RATIOS)
    cells = tuple(replace(c, low=-math.inf, high=math.inf) for c in scan.cells)
    assert doubt(replace(scan, cells=cells), "a") == pytest.approx(0.9)


@pytest.mark.parametrize("wrong", [{"levels": 0}, {"caution": -1.0}, {"gap": -0.1}, {"labels": 0}])
def test_search_refuses_nonsense(wrong: dict[str, float]) -> None:
    with pytest.raises(sl.PlanError, match="makes no sense"):
        Search(**wrong)

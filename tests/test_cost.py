from __future__ import annotations

import time
from pathlib import Path

import paddle
import pytest
from paddle import nn
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.cost import Cost, Length, Term, Totals


def test_by_hand() -> None:
    """A 3x3 convolution 4 -> 8 on 5x5 whose input is 4 channels and 2 fixed ones."""
    factors = (Length(0, ((1, 1),)), Length(2, ((0, 1),)))
    cost = Cost(("a", "b"), (4, 8), (Term("c", macs=9 * 25, params=9, size=36, factors=factors),))
    assert cost.totals() == Totals(9 * 25 * 8 * 6, 9 * 8 * 6, 36 * 8 * 6)
    assert cost.totals({"a": 1}) == Totals(9 * 25 * 8 * 3, 9 * 8 * 3, 36 * 8 * 3)
    assert cost.totals([1, 2]) == Totals(9 * 25 * 2 * 3, 9 * 2 * 3, 36 * 2 * 3)
    assert cost.by_layer({"b": 4})["c"].params == 9 * 4 * 6


def test_an_unknown_group_is_named() -> None:
    graph = sl.trace(TOPOLOGIES["chain"](), example())
    with pytest.raises(sl.PlanError, match=r"No channel group 'a\.1'"):
        graph.cost.totals({"a.1": 3})


def test_the_front_ends_numbers_give_the_same_totals() -> None:
    """The formula the browser uses, spelled out in Python."""
    graph = sl.trace(TOPOLOGIES["concat"](), example())
    data = graph.cost.to_dict()
    kept = [max(1, width - 2) for width in data["widths"]]
    sums = {"macs": 0, "params": 0, "bytes": 0}
    for term in data["terms"]:
        product = 1
        for constant, per_group in term["factors"]:
            product *= constant + sum(kept[group] * times for group, times in per_group)
        for what in sums:
            sums[what] += term[what] * product
    totals = graph.cost.totals(kept)
    assert sums == {"macs": totals.macs, "params": totals.params, "bytes": totals.bytes}


def test_nothing_in_it_is_quadratic_in_layers() -> None:
    """Ten times the terms may not cost a hundred times: a ratio in one run, generously bounded."""

    def seconds(layers: int) -> float:
        terms = tuple(
            Term(str(n), 1, 1, 4, (Length(0, ((n, 1),)), Length(0, ((max(0, n - 1), 1),))))
            for n in range(layers)
        )
        cost = Cost(tuple(map(str, range(layers))), (8,) * layers, terms)
        cost.totals()
        start = time.perf_counter()
        for _ in range(200):
            cost.totals([4] * layers)
        return time.perf_counter() - start

    assert seconds(200) < 100 * seconds(20)


@pytest.mark.parametrize(
    "model",
    [
        nn.ReLU(),
        nn.Sequential(nn.MaxPool2D(2), nn.Flatten()),
        nn.BatchNorm2D(3, weight_attr=False, bias_attr=False),
    ],
    ids=["activation", "moves", "statistics only"],
)
def test_a_network_without_parameters_costs_nothing(model: nn.Layer, tmp_path: Path) -> None:
    model.eval()
    x = paddle.randn([1, 3, 6, 6])
    graph = sl.trace(model, x)
    assert (graph.groups, graph.macs, graph.params) == ((), 0, 0)
    assert graph.cost.totals() == Totals(0, 0, graph.bytes)
    assert (graph.coverage.macs_share, graph.coverage.params_share) == (0, 0)
    expected = sl.preview(graph, {})
    assert (expected.macs_removed, expected.params_removed, expected.bytes_removed) == (0, 0, 0)
    with pytest.raises(sl.PlanError, match="There are none"):
        sl.uniform_ratios(graph, macs=0.5)
    small = sl.prune(model, sl.plan_pruning(model, graph, {}))
    again = sl.load(sl.save(small, tmp_path / "m"), model=model)
    assert bool((again(x) == model(x)).all())

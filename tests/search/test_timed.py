from __future__ import annotations

import math

import paddle
import pytest

import slimlab as sl
from slimlab.errors import PlanError


@pytest.fixture(scope="module")
def parts():
    task = sl.load_task("digits")
    model = sl.load_model("vgg", task)
    graph = sl.trace(model, task.example)
    scan = sl.scan_sensitivity(model, task, images=64, ratios=[0.3, 0.6, 0.9], progress=False)
    return model, graph, scan, task.example


def macs(example, overhead: float = 0.0):
    """A clock on which multiply-adds cost time, and something else does too."""

    def clock(model: paddle.nn.Layer) -> float:
        return sl.trace(model, example).macs + overhead

    return clock


@pytest.mark.parametrize("target", [0.2, 0.6])
def test_the_target_is_met_and_hardly_passed(parts, target):
    model, graph, scan, example = parts
    found = sl.ratios_for_latency(
        model, graph, scan, example, latency=target, tries=12, clock=macs(example), progress=False
    )
    assert target <= found.latency_removed <= target + 0.05
    small = sl.prune(model, sl.plan_pruning(model, graph, found.ratios))
    actual = 1 - macs(example)(small) / macs(example)(model)
    assert actual == pytest.approx(found.latency_removed)
    assert found.warning == ""


def test_a_staircase_is_no_obstacle(parts):
    model, graph, scan, example = parts

    def stairs(network: paddle.nn.Layer) -> float:
        return math.ceil(10 * sl.trace(network, example).macs / graph.macs)

    found = sl.ratios_for_latency(
        model, graph, scan, example, latency=0.35, clock=stairs, progress=False
    )
    assert found.latency_removed == pytest.approx(0.4)  # the first stair below
    assert all(cut >= found.macs_removed for cut, saved in found.rows if saved >= 0.35)


def test_what_buys_no_time_is_said_and_what_is_too_much_refused_with_the_range(parts):
    model, graph, scan, example = parts
    slow = macs(example, overhead=4 * graph.macs)
    found = sl.ratios_for_latency(
        model, graph, scan, example, latency=0.1, clock=slow, progress=False
    )
    assert "not spent on multiply-adds" in found.warning
    with pytest.raises(PlanError, match=r"At most 1\d\.\d% of the time") as error:
        sl.ratios_for_latency(model, graph, scan, example, latency=0.5, clock=slow, progress=False)
    assert error.value.reachable < 0.2


@pytest.mark.parametrize("latency", [0.0, 1.0, -0.5, math.nan])
def test_no_share_is_refused(parts, latency):
    with pytest.raises(PlanError, match="between 0 and 1"):
        next(sl.iter_ratios_for_latency(*parts, latency=latency))

from __future__ import annotations

import math

import paddle
import pytest
from clocks import StairClock

import slimlab as sl
from slimlab.errors import PlanError
from slimlab.timing import TimingSettings

FEW = TimingSettings(batch=1, levels=8, grain=1)


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
    assert all(cut >= found.macs_removed for cut, _, saved in found.rows if saved >= 0.35)


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


@pytest.fixture(scope="module")
def stairs(parts):
    """Layers that take stairs of their widths, and the table that was measured of them."""
    model, graph, _, example = parts
    clock = StairClock(step=4)
    times = sl.measure_times(
        model, graph, example, settings=FEW, cache=None, clock=clock, progress=False
    )
    return clock, times


@pytest.mark.parametrize("latency", [0.2, 0.5])
def test_a_table_that_is_right_meets_the_target_in_one_try(parts, stairs, latency):
    model, graph, scan, example = parts
    clock, times = stairs
    found = sl.ratios_for_latency(
        model,
        graph,
        scan,
        example,
        latency=latency,
        times=times,
        clock=lambda network: clock.network(network, example),
        tolerance=0.05,
        progress=False,
    )
    assert len(found.rows) == 1
    assert latency <= found.latency_removed <= latency + 0.05
    frame = found.to_frame()
    assert frame["predicted"].tolist() == pytest.approx(frame["latency_removed"].tolist())
    assert dict(found.ratios) == dict(
        sl.ratios_for_budget(graph, scan, latency=latency - 1e-9, times=times)
    )


@pytest.mark.parametrize("overhead", [0.3, -0.2])
def test_what_a_table_is_wrong_by_is_corrected(parts, stairs, overhead):
    """The whole network is slower, or faster, than the table knows: shares shrink, or grow."""
    model, graph, scan, example = parts
    clock, times = stairs
    more = overhead * times.predict({})

    def real(network: paddle.nn.Layer) -> float:
        return clock.network(network, example) + more

    found = sl.ratios_for_latency(
        model,
        graph,
        scan,
        example,
        latency=0.4,
        times=times,
        clock=real,
        tolerance=0.05,
        progress=False,
    )
    assert 0.4 <= found.latency_removed <= 0.45
    assert len(found.rows) > 1
    small = sl.prune(model, sl.plan_pruning(model, graph, found.ratios))
    assert 1 - real(small) / real(model) == pytest.approx(found.latency_removed)


def test_what_is_out_of_reach_when_measured_is_refused_with_the_measured_range(parts, stairs):
    model, graph, scan, example = parts
    clock, times = stairs

    def slow(network: paddle.nn.Layer) -> float:
        return clock.network(network, example) + 4 * times.predict({})

    with pytest.raises(PlanError, match=r"At most 1\d\.\d% of the time .* as measured") as error:
        sl.ratios_for_latency(
            model,
            graph,
            scan,
            example,
            latency=0.5,
            times=times,
            clock=slow,
            progress=False,
        )
    assert error.value.reachable < 0.2


def test_a_runtime_is_timed_with_the_settings_of_the_table(parts):
    model, graph, scan, example = parts
    settings = TimingSettings(batch=16, levels=3, runs=3, turns=2)
    times = sl.measure_times(model, graph, example, settings=settings, cache=None, progress=False)
    found = sl.ratios_for_latency(
        model, graph, scan, example, latency=0.1, times=times, tries=3, progress=False
    )
    assert found.latency_removed >= 0.1
    assert len(found.rows) <= 3

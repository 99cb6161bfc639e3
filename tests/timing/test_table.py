"""Tables of times: what they predict, by hand and against networks that were really cut."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from clocks import StairClock
from hypothesis import given, settings
from hypothesis import strategies as st
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.cost import Length
from slimlab.errors import ArtifactError, PlanError
from slimlab.timing import (
    LayerTimes,
    TimeTable,
    TimingSettings,
    iter_measure_times,
    measure_times,
    narrowed,
)

FEW = TimingSettings(batch=1, levels=3, last=0.75, grain=1)


def table_of(ms: list[list[float]], *, base: float = 0.0, factor: float = 1.0) -> TimeTable:
    """Two groups `a`, `b` of 4 and 8 channels, and one layer between them, measured at two widths
    of each.
    """
    between = LayerTimes(
        "b", Length(0, ((0, 1),)), Length(0, ((1, 1),)), (2, 4), (4, 8), np.array(ms)
    )
    widths = {"a": (4, 2), "b": (8, 4)}
    return TimeTable((between,), widths, {"a": 4, "b": 8}, base, factor, (), "clock", "machine")


@pytest.fixture(scope="module")
def networks():
    names = ("chain", "residual", "projected residual", "depthwise", "grouped", "concat")
    found = {}
    for name in names:
        model, x = TOPOLOGIES[name](), example()
        found[name] = (model, sl.trace(model, x), x)
    return found


@pytest.mark.parametrize("name", ["chain", "residual", "projected residual", "grouped", "concat"])
def test_the_times_of_a_pruned_network_need_no_new_measurement(networks, name):
    model, graph, x = networks[name]
    clock = StairClock(step=1)
    times = measure_times(model, graph, x, settings=FEW, cache=None, clock=clock, progress=False)
    first = {group: widths[1] for group, widths in times.widths.items()}
    ratios = {g: 1 - kept / graph.group(g).width for g, kept in first.items()}
    small = sl.prune(model, sl.plan_pruning(model, graph, ratios))
    after = sl.trace(small, x)
    later = narrowed(times, {group.name: group.width for group in after.groups})
    assert later.predict({}) == pytest.approx(times.predict(first))
    assert later.predict({}) == pytest.approx(clock.network(small, x))
    least = {group: widths[-1] for group, widths in later.widths.items()}
    assert later.predict(least) == pytest.approx(times.predict({**first, **least}))
    assert all(widths[0] == first[group] for group, widths in later.widths.items())
    sl.preview(after, {}, times=later)  # it is this network's, and no other's
    with pytest.raises(PlanError, match="another network"):
        sl.preview(graph, {}, times=later)


def test_a_group_that_is_gone_keeps_one_channel_and_none_gets_wider():
    times = table_of([[1.0, 2.0], [3.0, 6.0]])
    only = narrowed(times, {"b": 4})
    assert only.predict({}) == times.predict({"a": 1, "b": 4})
    assert only.widths == {"b": (4,)}
    with pytest.raises(PlanError, match="has 9 channels, and 8"):
        narrowed(times, {"a": 4, "b": 9})
    with pytest.raises(PlanError, match="none"):
        narrowed(times, {"c": 2})


def test_predictions_by_hand():
    times = table_of([[1.0, 2.0], [3.0, 6.0]], base=0.5, factor=2.0)
    assert times.predict({}) == 0.5 + 2 * 6.0
    assert times.predict({"a": 2}) == 0.5 + 2 * 2.0
    assert times.predict({"a": 3, "b": 6}) == 0.5 + 2 * (1 + 2 + 3 + 6) / 4
    assert times.predict({"a": 1, "b": 1}) == 0.5 + 2 * 1.0  # narrower than measured: as that
    assert times.removed({"a": 2}) == pytest.approx(1 - 4.5 / 12.5)
    stairs = times.staircase("a")
    assert stairs["kept"].tolist() == [2, 4]
    assert stairs["ms"].tolist() == [4.5, 12.5]


def test_where_pruning_buys_no_time_is_said():
    times = table_of([[5.8, 5.9], [1.0, 6.0]])
    assert times.flat == ("a",)  # 5.9 of 6 at its narrowest; b's goes down to 1
    assert "buys no time in a" in times.warning
    assert table_of([[1.0, 2.0], [3.0, 6.0]]).warning == ""


@pytest.mark.parametrize(
    "name", ["chain", "residual", "projected residual", "depthwise", "grouped"]
)
def test_at_measured_widths_the_sum_is_that_of_the_cut_network(networks, name):
    model, graph, x = networks[name]
    clock = StairClock()
    times = measure_times(model, graph, x, settings=FEW, cache=None, clock=clock, progress=False)
    assert times.base == pytest.approx(0.5, abs=1e-6)
    assert times.factor == pytest.approx(2.0)
    assert times.error < 1e-6
    rng = np.random.default_rng(7)
    for _ in range(3):
        kept = {g: int(rng.choice(widths)) for g, widths in times.widths.items()}
        ratios = {g: 1 - n / graph.group(g).width for g, n in kept.items()}
        small = sl.prune(model, sl.plan_pruning(model, graph, ratios))
        assert times.predict(kept) == pytest.approx(clock.network(small, x))


def test_several_groups_that_make_one_width_are_read_between_measured_ones(networks):
    model, graph, x = networks["concat"]
    clock = StairClock(step=1)  # linear in each width, so that reading between is exact
    times = measure_times(model, graph, x, settings=FEW, cache=None, clock=clock, progress=False)
    kept = {g: widths[n % len(widths)] for n, (g, widths) in enumerate(times.widths.items())}
    ratios = {g: 1 - n / graph.group(g).width for g, n in kept.items()}
    small = sl.prune(model, sl.plan_pruning(model, graph, ratios))
    assert times.predict(kept) == pytest.approx(clock.network(small, x))


def test_equal_shapes_are_measured_once_and_the_cache_spares_the_rest(networks, tmp_path):
    model, graph, x = networks["residual"]
    path = tmp_path / "deep" / "times.sqlite"
    first, again, other = StairClock(), StairClock(), StairClock()
    other.name = "another clock"
    tables = [
        measure_times(model, graph, x, settings=FEW, cache=path, clock=clock, progress=False)
        for clock in (first, again, other)
    ]
    assert len(first.asked) == len(set(first.asked)) > 0
    assert again.asked == []
    assert sorted(other.asked) == sorted(first.asked)  # what another clock said does not count
    assert tables[0].to_dict() == tables[1].to_dict()


def test_what_was_measured_before_a_stop_is_kept(networks, tmp_path):
    model, graph, x = networks["chain"]
    path = tmp_path / "times.sqlite"
    first, second = StairClock(), StairClock()
    steps = iter_measure_times(model, graph, x, settings=FEW, cache=path, clock=first)
    for _ in range(3):
        next(steps)
    steps.close()
    measure_times(model, graph, x, settings=FEW, cache=path, clock=second, progress=False)
    assert len(first.asked) == 3
    assert not set(first.asked) & set(second.asked)


def test_widths_keep_to_the_grain_and_a_scope_goes_before():
    settings = TimingSettings(levels=4, last=0.8)
    assert settings.kept(128, sl.Scope()) == (128, 96, 80, 48, 32)
    assert settings.kept(20, sl.Scope()) == (20, 16, 12, 8, 4)  # narrow: multiples of four
    assert settings.kept(3, sl.Scope()) == (3, 2, 2, 1, 1)
    assert settings.kept(128, sl.Scope(multiple=32)) == (128, 96, 64, 64, 32)
    with pytest.raises(PlanError, match="makes no sense"):
        TimingSettings(batch=0)
    with pytest.raises(PlanError, match="makes no sense"):
        TimingSettings(last=1.0)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(0.1, 10), min_size=4, max_size=4),
    a=st.floats(1, 5),
    b=st.floats(3, 9),
)
def test_between_measured_widths_a_time_lies_between_theirs(values, a, b):
    layer = table_of([values[:2], values[2:]]).layers[0]
    found = float(layer.at(np.array(a), np.array(b)))
    assert min(values) - 1e-9 <= found <= max(values) + 1e-9


def test_json_gives_the_same_table_and_damage_is_refused(networks):
    model, graph, x = networks["concat"]
    times = measure_times(
        model, graph, x, settings=FEW, cache=None, clock=StairClock(), progress=False
    )
    data = json.loads(json.dumps(times.to_dict(), allow_nan=False))
    back = TimeTable.from_dict(data)
    assert back.to_dict() == times.to_dict()
    assert str(back) == str(times)
    for damage in (
        {"layers": [{}]},
        {"base": "x"},
        {"checks": [{"n": 1}]},
        {"settings": {"runs": 0}},
    ):
        with pytest.raises(ArtifactError, match="no table of times"):
            TimeTable.from_dict({**data, **damage})
    wrong = [{**data["layers"][0], "ms": [[1.0]]}, *data["layers"][1:]]
    with pytest.raises(ArtifactError, match="have shape"):
        TimeTable.from_dict({**data, "layers": wrong})
    with pytest.raises(PlanError, match="No channel group"):
        times.predict({"nothing": 3})


def test_checks_tell_the_error_of_what_nothing_was_fitted_to(networks):
    class Moody(StairClock):
        def networks(self, models, x):
            return (*super().networks(models, x)[:-1], 1000.0)

    model, graph, x = networks["chain"]
    times = measure_times(model, graph, x, settings=FEW, cache=None, clock=Moody(), progress=False)
    assert times.base == pytest.approx(0.5, abs=1e-6)  # the last is not fitted to
    assert times.error == pytest.approx(1 - times.checks[-1].predicted / 1000)
    assert f"{times.checks[-1].error:+.1%}" in str(times)
    assert times.checks_frame()["fitted"].tolist() == [True] * 4 + [False] * 2


def test_two_hundred_layers_are_predicted_in_less_than_many_single_reads():
    """All layers are read at once: work grows by the table, not by a loop over layers."""
    between = table_of([[1.0, 2.0], [3.0, 6.0]]).layers[0]
    many = TimeTable(
        (between,) * 200, {"a": (4, 2), "b": (8, 4)}, {"a": 4, "b": 8}, 0.0, 1.0, (), "", ""
    )
    assert many.predict({"a": 2}) == pytest.approx(200 * 2.0)
    began = time.perf_counter()
    for _ in range(20):
        many.predict({"a": 3})
    together = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(20):
        for one in many.layers:
            one.at(np.array(3.0), np.array(8.0))
    assert together < time.perf_counter() - began

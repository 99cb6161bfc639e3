"""Budgets in the workbench: their range, the ratios for them, and time among them."""

from __future__ import annotations

import pytest

import slimlab as sl
from slimlab_widgets.publisher import Publisher
from slimlab_widgets.screen import Screen
from slimlab_widgets.state import State


def click(bench, event, facts):
    """As the page does: an error goes to the status line."""
    bench._receive(bench, {"event": event, **facts}, [])


def test_the_range_is_what_the_last_scanned_ratios_remove(scanned, case):
    reach = scanned.budget_view["reach"]
    last = sl.preview(case.graph, dict.fromkeys(case.graph.layers, 0.75))
    assert reach["macs"] == pytest.approx(last.macs_removed)
    assert reach["bytes"] == pytest.approx(last.bytes_removed)
    assert reach["latency"] is None


def test_without_a_scan_there_is_no_range_and_no_budget(bench):
    assert bench.budget_view == {}
    click(bench, "budget", {"macs": 0.5})
    assert bench.progress.status == "error"
    assert "Press Scan first" in bench.progress.message


def test_a_budget_picks_what_the_core_picks_and_says_how(scanned, case):
    click(scanned, "budget", {"macs": 0.4, "bytes": 0.3})
    expected = sl.ratios_for_budget(case.graph, case.sensitivity, macs=0.4, bytes=0.3)
    assert scanned.ratios == {n: r for n, r in expected.items() if r > 0}
    assert scanned.picks.now.name == "-40% MACs, -30% bytes"
    removed = scanned.picked_view["preview"]
    assert removed["macs"] <= 0.6 * case.graph.macs
    assert removed["bytes"] <= 0.7 * case.graph.bytes
    scanned.undo()
    assert scanned.ratios == {}


def test_what_can_not_be_reached_is_refused_and_nothing_changes(scanned):
    click(scanned, "budget", {"macs": 0.3})
    before = scanned.ratios
    click(scanned, "budget", {"macs": 0.99})
    assert scanned.progress.status == "error"
    assert "At most" in scanned.progress.message
    assert scanned.ratios == before


def test_no_share_at_all_and_time_without_times_are_refused(scanned):
    click(scanned, "budget", {"macs": 0.0})
    assert "at least one of macs=" in scanned.progress.message
    click(scanned, "budget", {"macs": 0.0, "latency": 0.2})
    assert "Press Time the layers first" in scanned.progress.message


def test_timed_layers_make_latency_a_budget(scanned, case):
    click(scanned, "times", {})
    assert scanned.progress.status == "done"
    view, times = scanned.budget_view, scanned.state.times
    assert view["times"]["whole"] == pytest.approx(times.predict({}))
    assert 0 <= view["reach"]["latency"] < 1
    assert scanned.picked_view["preview"]["latency"] == pytest.approx(times.predict({}))
    share = 0.5 * view["reach"]["latency"]
    if share > 0:
        click(scanned, "budget", {"macs": 0.0, "bytes": 0.0, "latency": share})
        expected = sl.ratios_for_budget(case.graph, case.sensitivity, latency=share, times=times)
        assert scanned.ratios == {n: r for n, r in expected.items() if r > 0}
        kept = {n: after for n, (_, after) in scanned.picked_view["preview"]["widths"].items()}
        assert times.removed(kept) >= share - 1e-9


def test_the_code_of_a_budget_names_it_and_gives_its_ratios(scanned):
    scanned.pick_budget(macs=0.4)
    scanned.prune()
    text = scanned.code()
    assert "# Found by sl.ratios_for_budget(graph, sensitivity, macs=0.4)" in text
    assert all(repr(layer) in text for layer in scanned.ratios)


def test_a_share_is_checked_like_every_setting(scanned):
    click(scanned, "settings", {"remove_macs": 1.5})
    assert scanned.progress.status == "error"
    assert scanned.state.settings.remove_macs == 0.5


def test_the_budget_is_sent_only_when_its_sources_change(case):
    sent: list = []
    screen = Screen(case.model, case.graph, case.task, Publisher(sent.append, every=0.0))
    scanned = State(sensitivity=case.sensitivity)
    screen.note(None, scanned)
    screen.send()
    assert "budget_view" in sent[-1]
    screen.note(scanned, State(sensitivity=case.sensitivity, settings=scanned.settings))
    screen.send()
    assert "budget_view" not in sent[-1]

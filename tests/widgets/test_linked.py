"""What the linked views are drawn from: map, run, predictions beside measurements, reports."""

from __future__ import annotations

import pytest

import slimlab as sl
from slimlab.errors import SlimLabError


def test_the_map_has_the_traced_wiring(bench, case):
    wiring = bench.graph_view["wiring"]
    assert [tuple(node) for node in wiring["nodes"]] == list(case.graph.wiring.nodes)
    assert [name for name, kind in wiring["nodes"] if kind == "layer"] == ["0", "3", "7"]


def test_a_run_shows_the_rate_of_each_step(scanned):
    scanned.pick_uniform(0.5)
    scanned.prune("half")
    scanned.fine_tune("half", epochs=2)
    view, records = scanned.run_view, scanned.state.running.history.records
    assert view["rate"] == [[r.step, r.learning_rate] for r in records if r.step > 0]
    assert view["epoch"] == pytest.approx(2.0)


def test_the_drop_right_after_the_cut_stays_beside_the_prediction(scanned):
    scanned.pick_uniform(0.5)
    scanned.prune("half")
    scanned.compare()
    row = {r["name"]: r for r in scanned.comparison_view["rows"]}["half"]
    candidate = scanned.state.candidate("half")
    assert row["predicted"] == pytest.approx(candidate.preview.drop)
    measured = scanned.trials[0].value - scanned.trials[1].value
    assert row["cut_drop"] == pytest.approx(measured)
    scanned.fine_tune("half", epochs=3, learning_rate=0.02)
    scanned.compare()
    later = {r["name"]: r for r in scanned.comparison_view["rows"]}["half"]
    assert later["cut_drop"] == pytest.approx(measured)  # not that of the trained model
    assert later["drop"] != pytest.approx(measured)


def test_without_a_comparison_before_training_the_drop_after_the_cut_is_not_known(scanned):
    scanned.pick_uniform(0.5)
    scanned.prune("half")
    scanned.fine_tune("half", epochs=1)
    scanned.compare()
    row = {r["name"]: r for r in scanned.comparison_view["rows"]}["half"]
    assert row["cut_drop"] is None
    assert scanned.comparison_view["rows"][0]["predicted"] is None  # nothing was cut there


def test_the_ratios_of_a_model_are_picked_again(scanned):
    scanned.pick_uniform(0.5)
    scanned.prune("half")
    ratios = dict(scanned.ratios)
    scanned.clear()
    scanned._handle_custom_msg({"event": "reuse", "name": "half"}, [])
    assert dict(scanned.ratios) == ratios
    assert dict(scanned.candidates_view["rows"][0]["ratios"]) == ratios


def test_a_report_tells_what_was_done(scanned, tmp_path):
    scanned.pick_uniform(0.5)
    scanned.prune("half")
    scanned.fine_tune("half", epochs=1)
    scanned.compare()
    scanned.report(str(tmp_path / "report.html"))
    assert scanned.progress.status == "done"
    assert str(tmp_path / "report.html") in scanned.progress.message
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "sl.uniform_ratios(graph, ratio=0.5)" in page
    assert "Fine-tuned for 1 epoch from a learning rate of" in page
    assert "half" in page


def test_a_report_before_a_comparison_says_what_to_do(scanned, tmp_path):
    scanned.report(str(tmp_path / "report.html"))
    assert scanned.progress.status == "error"
    assert "Press Compare first" in scanned.progress.message
    assert not (tmp_path / "report.html").exists()


def test_a_model_that_is_not_there_can_not_be_reused(scanned):
    with pytest.raises(SlimLabError, match="no pruned model"):
        scanned.reuse("nobody")
    assert scanned.ratios == sl.Ratios()

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from tables import table

import slimlab as sl
import slimlab_widgets as slw
from slimlab.errors import PlanError
from slimlab_widgets import views


def click(widget, event, **facts):
    widget._handle_custom_msg({"event": event, **facts}, [])


def picture(widget):
    data, _ = widget._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    return data["text/plain"]


def test_sensitivity_view_shows_every_cell(case):
    view = slw.SensitivityView(case.sensitivity)
    points = [p for curve in view.curves_view["curves"] for p in curve["points"]]
    assert len(points) == len(case.sensitivity.cells)
    cell, (ratio, value, low, high) = case.sensitivity.cells[0], points[0]
    assert (ratio, value) == (cell.ratio, pytest.approx(cell.metric, rel=1e-5))
    assert high - low == pytest.approx(cell.high - cell.low, rel=1e-4)
    assert "6 cells measured" in picture(view)


def test_the_same_view_shows_a_scan_of_bits(case):
    config = sl.QuantConfig(calibration_images=16)
    scan = sl.quant_sensitivity(
        case.model, case.task, config, bits=[8, 4, 2], images=20, progress=False
    )
    view = slw.SensitivityView(scan)
    shown = view.curves_view
    assert shown["bits"] == [8, 4, 2]
    assert shown["ratios"] == [0.75, 0.875, 0.9375]
    points = [p for curve in shown["curves"] for p in curve["points"]]
    assert [p[1] for p in points] == pytest.approx([cell.metric for cell in scan.cells])
    words = picture(view)
    assert "at 8, 4, 2 bits" in words
    assert "in float" in words
    with pytest.raises(PlanError, match="bits_for_budget"):
        slw.RatioPicker(scan, case.graph)
    # A table of pruning ratios says nothing of bits.
    assert "bits" not in slw.SensitivityView(case.sensitivity).curves_view


def test_an_interval_lies_around_the_metric_whichever_way_is_better():
    scan = table({"a": [2.0]}, (0.5,))  # of 90 %, 2 points lost, 1 to 3
    assert views.curves_view(scan)["curves"][0]["points"] == [[0.5, 88.0, 87.0, 89.0]]
    loss = dataclasses.replace(scan, baseline=0.3, higher_is_better=False)
    loss = dataclasses.replace(loss, cells=(sl.Cell("a", 0.5, 0.5, 0.2, 0.1, 0.4, 100),))
    assert views.curves_view(loss)["curves"][0]["points"] == [[0.5, 0.5, 0.4, 0.7]]


def test_a_view_without_a_baseline_is_valid_json(case):
    blank = dataclasses.replace(case.sensitivity, cells=(), baseline=math.nan)
    assert views.curves_view(blank)["baseline"] is None


def test_picker_gives_ratios_back(case):
    picker = slw.RatioPicker(case.sensitivity, case.graph, {"0": 0.25})
    assert picker.ratios == sl.Ratios({"0": 0.25})
    click(picker, "ratios", ratios={"0": 0.5, "3": 0.25}, view="v", seq=1)
    assert picker.ratios == sl.Ratios({"0": 0.5, "3": 0.25})
    assert picker.preview == sl.preview(case.graph, picker.ratios, case.sensitivity)
    picker.ratios = {"3": 0.75}
    assert picker.picked_view["ratios"] == {"3": 0.75}
    assert "1 of 2 layers pruned" in picture(picker)
    click(picker, "undo")
    assert picker.ratios == sl.Ratios({"0": 0.5, "3": 0.25})
    assert picker.picks_view["redo"] == "picked"


def test_picker_presets(case):
    picker = slw.RatioPicker(case.sensitivity, case.graph)
    click(picker, "uniform", value=0.5)
    assert picker.ratios == sl.uniform_ratios(case.graph, ratio=0.5)
    click(picker, "clear", value=0)
    assert not picker.ratios


def test_picker_shows_an_error_and_keeps_its_ratios(case):
    picker = slw.RatioPicker(case.sensitivity, case.graph, {"0": 0.25})
    click(picker, "uniform", value=1.5)
    assert picker.job_view["status"] == "error"
    assert "1.5" in picker.job_view["message"]
    assert picker.ratios == sl.Ratios({"0": 0.25})
    with pytest.raises(PlanError):
        picker.ratios = {"nothing": 0.5}


def test_run_view_thins_a_long_series(case):
    _, history = sl.fine_tune(case.model, case.task, epochs=2, progress=False)
    view = slw.RunView(history, name="again")
    assert view.run_view["loss"][-1][1] == history.records[-1].loss or view.run_view["score"]
    assert "before" in picture(view)
    long = [(n, float(n)) for n in range(10_000)]
    thin = views._thinned(long)
    assert len(thin) == 400
    assert thin[-1] == [9999, 9999.0]
    assert all(a[0] < b[0] for a, b in itertools.pairwise(thin))


def test_comparison_view_has_a_row_a_trial(case):
    plan = sl.plan_pruning(case.model, case.graph, {"0": 0.5})
    trials = [
        sl.measure_trial("baseline", case.model, case.task, latency=False),
        sl.measure_trial("half", sl.prune(case.model, plan), case.task),
    ]
    view = slw.ComparisonView(sl.compare(trials))
    first, second = view.comparison_view["rows"]
    assert (first["name"], first["drop"], first["latency"]) == ("baseline", 0.0, None)
    assert second["macs"] < first["macs"]
    assert second["latency"] > 0
    assert "half" in picture(view)

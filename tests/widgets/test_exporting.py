"""Exports from the bench: checked against their models, shown, and in the report."""

from __future__ import annotations

from pathlib import Path

import slimlab as sl


def click(bench, event, **facts):
    bench._handle_custom_msg({"event": event, **facts}, [])
    bench._publisher.flush()


def test_an_export_is_shown_with_its_agreement_and_comes_into_the_report(scanned):
    click(scanned, "uniform", value=0.5)
    click(scanned, "prune", name="half")
    click(scanned, "quantize", name="half")
    click(scanned, "export", name="half", format="onnx")
    assert scanned.progress.status == "done", scanned.progress.message
    assert "Exported 'half' to models/half-onnx: outputs of 64 images differ by" in (
        scanned.progress.message
    )
    click(scanned, "export", name="half int8", format="onnx-int8")
    float_row, int8_row = scanned.exports_view["rows"]
    assert (float_row["name"], float_row["format"]) == ("half", "onnx")
    assert (int8_row["name"], int8_row["format"]) == ("half int8", "onnx-int8")
    assert int8_row["images"] == float_row["images"] == 64
    assert float_row["largest"] < 1e-3
    assert {one["runtime"] for one in float_row["times"]} == {"onnxruntime", "openvino"}
    assert sl.verify_export(Path("models/half-onnx"), scanned.candidates[0].model).parity.holds
    formats = {one["name"]: one["quantized"] for one in scanned.exports_view["formats"]}
    assert (formats["onnx"], formats["onnx-int8"]) == (False, True)

    click(scanned, "compare")
    click(scanned, "report")
    page = Path("report.html").read_text(encoding="utf-8")
    assert "half, onnx" in page
    assert "half int8, onnx-int8" in page


def test_a_model_that_is_trained_on_has_no_export_any_more(scanned):
    click(scanned, "uniform", value=0.5)
    click(scanned, "prune", name="half")
    click(scanned, "export", format="onnx")
    click(scanned, "fine_tune", epochs=1)
    assert scanned.exports_view["rows"] == []


def test_a_format_that_does_not_fit_is_refused_in_words(scanned):
    click(scanned, "uniform", value=0.5)
    click(scanned, "prune", name="half")
    click(scanned, "export", name="half", format="onnx-int8")
    assert scanned.progress.status == "error"
    assert "quantize" in scanned.progress.message.lower()
    assert scanned.exports_view["rows"] == []

"""Exports of a recipe that are stopped half-way: nothing is lost, and the run goes on with them."""

from __future__ import annotations

import pytest
from compressing import PRUNE, compress, network, recipe, same, task

import slimlab as sl

WANTED = recipe({**PRUNE}, {"strategy": "quantize"}, export=["onnx", "onnx-int8"])


def stopped_at(folder, format_, label):
    """Run until the export of a format does something, and ask to stop there."""
    running = sl.Compressor(WANTED, network(), task(), folder=folder).iter_run()
    exports, seen = list(WANTED.export), []
    for step in running:
        name = step.label.removeprefix("measure ")
        if name == "write":
            seen.append(exports[len(seen)])
        if seen and seen[-1] == format_ and name == label:
            return sl.finish_early(running)
    pytest.fail(f"the run never came to {label!r} of {format_}")


@pytest.mark.parametrize(
    ("format_", "label", "whole"), [("onnx", "write", []), ("onnx-int8", "check", ["onnx"])]
)
def test_a_stop_among_the_exports_keeps_the_rest_and_the_run_goes_on(
    format_, label, whole, tmp_path
):
    result = tmp_path / "result"
    stopped = stopped_at(tmp_path, format_, label)
    assert not stopped.complete
    assert stopped.trial is not None
    assert [report.format for report in stopped.exports] == whole
    assert same(sl.load(result / "model", model=network()), stopped.model)
    left = sorted(path.name for path in result.iterdir())
    assert left == sorted(["model", "report", *whole]), "no folder is half-written"

    again = compress(WANTED, tmp_path)
    assert again.complete
    assert same(again.model, stopped.model)
    assert again.history == stopped.history, "nothing is trained again"
    assert [report.format for report in again.exports] == ["onnx", "onnx-int8"]
    assert all(report.parity.holds for report in again.exports)

"""The strategy `Quantize` in a run: the functions' result, trained on, interrupted, saved."""

from __future__ import annotations

import json

import pytest
from compressing import PRUNE, compress, network, recipe, same, task

import slimlab as sl


def test_without_epochs_it_is_what_the_function_gives():
    found = compress(recipe({"strategy": "quantize", "weight": "abs_max"}))
    config = sl.QuantConfig(weight="abs_max")
    assert same(found.model, sl.quantize(network(), task(), config, progress=False))


@pytest.mark.parametrize("activation", ["abs_max", "range_abs_max", "moving_average_abs_max"])
def test_an_interrupted_one_ends_with_the_same_bits(activation, tmp_path):
    quantize = {"strategy": "quantize", "start_epoch": 1, "end_epoch": 3, "activation": activation}
    quantize["training"] = {"learning_rate": 1e-3, "ema": 0.5}
    steps = recipe(PRUNE, quantize, epochs=4)
    running = sl.Compressor(steps, network(), task(), folder=tmp_path / "run").iter_run()
    for step in running:
        if step.done == 7:
            break
    assert not sl.finish_early(running).complete
    again, whole = compress(steps, tmp_path / "run"), compress(steps)
    assert same(again.model, whole.model)
    saved = sl.load(tmp_path / "run" / "result" / "model", model=network())
    x = task().example
    assert (saved(x) == whole.model(x)).all()


def test_what_a_recipe_exports_is_the_model_that_was_made(tmp_path):
    quantized = {"strategy": "quantize"}
    found = compress(recipe(PRUNE, quantized, export=["onnx", "onnx-int8"]), tmp_path / "run")
    result = tmp_path / "run" / "result"
    assert [report.folder for report in found.exports] == [result / "onnx", result / "onnx-int8"]
    for report in found.exports:
        again = sl.verify_export(report.folder, found.model, task=task(), progress=False)
        assert again.parity.holds
    facts = json.loads((result / "report" / "slimlab.json").read_text())
    assert [export["format"] for export in facts["exports"]] == ["onnx", "onnx-int8"]


def test_exports_need_a_place_and_a_format_that_is_there():
    exporting = recipe({"strategy": "quantize"}, export=["onnx-int8"])
    with pytest.raises(sl.RecipeError, match="give folder= or output="):
        sl.Compressor(exporting, network(), task())

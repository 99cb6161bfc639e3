"""The strategy `Quantize` in a run: the functions' result, trained on, interrupted, saved."""

from __future__ import annotations

import json

import pytest
from compressing import PRUNE, compress, network, recipe, same, task

import slimlab as sl


def stopped_after(done, steps, folder):
    """A run that is stopped when so many of its steps are done."""
    running = sl.Compressor(steps, network(), task(), folder=folder).iter_run()
    for step in running:
        if step.done == done:
            break
    return sl.finish_early(running)


def test_without_epochs_it_is_what_the_function_gives():
    found = compress(recipe({"strategy": "quantize", "weight": "abs_max"}))
    config = sl.QuantConfig(weight="abs_max")
    assert same(found.model, sl.quantize(network(), task(), config, progress=False))


@pytest.mark.parametrize("activation", ["abs_max", "range_abs_max", "moving_average_abs_max"])
def test_an_interrupted_one_ends_with_the_same_bits(activation, tmp_path):
    quantize = {"strategy": "quantize", "start_epoch": 1, "end_epoch": 3, "activation": activation}
    quantize["training"] = {"learning_rate": 1e-3, "ema": 0.5}
    steps = recipe(PRUNE, quantize, epochs=4)
    assert not stopped_after(7, steps, tmp_path / "run").complete
    again, whole = compress(steps, tmp_path / "run"), compress(steps)
    assert same(again.model, whole.model)
    saved = sl.load(tmp_path / "run" / "result" / "model", model=network())
    x = task().example
    assert (saved(x) == whole.model(x)).all()


def test_a_run_that_goes_on_knows_how_many_batches_scales_have_followed(tmp_path):
    quantize = {"strategy": "quantize", "end_epoch": 2, "follow": 3}
    steps = recipe(quantize, epochs=2)
    assert not stopped_after(2, steps, tmp_path / "run").complete
    again, whole = compress(steps, tmp_path / "run"), compress(steps)
    assert same(again.model, whole.model)


def test_scales_that_are_trained_go_on_with_the_same_bits(tmp_path):
    quantize = {"strategy": "quantize", "end_epoch": 2, "lsq": True, "observer": "kl"}
    quantize |= {"training": {"learning_rate": 1e-2}, "layer_bits": {"4": 4}, "joins": False}
    steps = recipe(quantize, epochs=3)
    found = stopped_after(6, steps, tmp_path / "run")
    trained = {n for n, _ in found.model.named_parameters() if "scale" in n}
    assert trained
    again, whole = compress(steps, tmp_path / "run"), compress(steps)
    assert same(again.model, whole.model)
    assert not any("scale" in name for name, _ in whole.model.named_parameters()), "final by now"


def test_chosen_rounding_is_that_of_the_function_and_outlives_a_stop(tmp_path):
    own = {"adaround": 20, "equalize": True, "correct_bias": True, "weight_bits": 4}
    steps = recipe({"strategy": "quantize", **own})
    running = sl.Compressor(steps, network(), task(), folder=tmp_path / "run").iter_run()
    for step in running:
        if step.label.startswith("quantize: final"):
            break
    assert not sl.finish_early(running).complete
    again, whole = compress(steps, tmp_path / "run"), compress(steps)
    assert same(again.model, whole.model)
    assert same(whole.model, sl.quantize(network(), task(), sl.QuantConfig(**own), progress=False))


def test_what_it_is_trained_on_is_what_the_function_trains_on():
    own = {"lsq": True, "weight_bits": 4, "activation": "range_abs_max", "batch_norm": "freeze"}
    training = {"learning_rate": 1e-3, "optimizer": "momentum"}
    quantize = {"strategy": "quantize", "end_epoch": 1, **own, "training": training}
    found = compress(recipe(quantize))
    settings = sl.FineTune(end_epoch=1, training=training).training.build()
    expected = sl.quantize(
        network(), task(), sl.QuantConfig(**own), epochs=1, learning_rate=1e-3, batch_size=32,
        training=settings, progress=False,
    )  # fmt: skip
    assert same(found.model, expected)


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

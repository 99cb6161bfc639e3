"""The quantization tab: what rounding costs, what the button makes, and how it is written down."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

import slimlab as sl
from slimlab.quantize.grid import top_of


def click(bench, event, **facts):
    bench._handle_custom_msg({"event": event, **facts}, [])
    bench._publisher.flush()


def logits(model, task):
    model.eval()
    with paddle.no_grad():
        return model(next(iter(task.test.batches(64)))[0]).numpy()


def test_the_three_numbers_give_the_error_that_rounding_makes():
    """The page's formula against rounding itself, on weights of channels of unlike size."""
    from slimlab_widgets.grids import quant_view

    rng = np.random.default_rng(0)
    layer = paddle.nn.Conv2D(16, 32, 3)
    weight = rng.normal(size=(32, 16, 3, 3)) * np.geomspace(0.05, 1, 32)[:, None, None, None]
    layer.weight.set_value(weight.astype("float32"))
    (row,) = quant_view("m", paddle.nn.Sequential(layer))["layers"]
    assert row["weights"] == 32 * 16 * 9
    for bits in (4, 6, 8):
        for each in (False, True):
            most = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) if each else row["most"]
            step = most / top_of(bits)
            error = np.sqrt(np.mean((np.round(weight / step) * step - weight) ** 2)) / row["rms"]
            scale = row["channels"] if each else row["most"]
            expected = scale / top_of(bits) / np.sqrt(12) / row["rms"]
            assert error == pytest.approx(expected, rel=0.1)


def test_quantize_makes_what_the_core_makes(scanned, case):
    scanned.pick_uniform(0.5)
    scanned.prune("half")
    click(scanned, "settings", weight="abs_max", weight_bits=4, layer_bits={"7": 32}, equalize=True)
    click(scanned, "quantize", name="half")
    assert scanned.progress.status == "done", scanned.progress.message
    made = scanned.state.candidate("half int4")
    half = scanned.state.candidate("half")
    config = sl.QuantConfig(weight="abs_max", weight_bits=4, layer_bits={"7": 32}, equalize=True)
    expected = sl.quantize(half.model, case.task, config, progress=False)
    assert np.array_equal(logits(made.model, case.task), logits(expected, case.task))
    assert made.preview.bytes == sl.profile(expected, case.task.example).bytes < half.preview.bytes
    assert not half.quantized
    assert scanned.candidates_view["rows"][1]["quantized"]


def test_the_unpruned_model_is_quantized_too_and_its_code_gives_the_same(scanned, case):
    click(scanned, "quantize", name="baseline")
    made = scanned.state.candidate("baseline int8")
    names = {"sl": sl, "task": case.task, "model": case.model}
    exec(scanned.code("baseline int8"), names)
    assert np.array_equal(logits(names["small"], case.task), logits(made.model, case.task))


def test_grids_that_do_not_exist_are_refused_and_what_is_on_grids_stays(scanned):
    click(scanned, "settings", weight_bits=17)
    assert scanned.progress.status == "error"
    assert scanned.state.settings.weight_bits == 8
    click(scanned, "quantize", name="baseline")
    click(scanned, "quantize", name="baseline int8")
    assert "quantized already" in scanned.progress.message
    click(scanned, "fine_tune", name="baseline int8", epochs=1)
    assert "Fine-tune before quantizing" in scanned.progress.message


def test_the_tab_shows_the_weights_of_the_model_that_is_looked_at(scanned, case):
    assert scanned.quant_view["name"] == "baseline"
    assert [row["layer"] for row in scanned.quant_view["layers"]] == ["0", "3", "7"]
    scanned.pick_uniform(0.5)
    scanned.prune("half")
    click(scanned, "look_at_weights", name="half")
    assert scanned.quant_view["name"] == "half"
    assert scanned.quant_view["layers"][0]["weights"] == 3 * 9  # half of 6 channels

"""The strategy `Quantize` in a run: the functions' result, trained on, interrupted, saved."""

from __future__ import annotations

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

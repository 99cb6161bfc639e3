from __future__ import annotations

import itertools

import numpy as np
import pytest

import slimlab as sl
from slimlab.quantize.observers import make_observer
from slimlab.sensitivity import BITS, Cell, Fingerprint, Sensitivity, ratio_of_bits
from slimlab.steps import finish_early

IMAGES = 120
CONFIG = sl.QuantConfig(calibration_images=32, joins=False)


@pytest.fixture(scope="module")
def task() -> sl.Task:
    return sl.load_task("digits")


@pytest.fixture(scope="module")
def model(task: sl.Task):
    return sl.load_model("vgg", task)


@pytest.fixture(scope="module")
def scan(model, task: sl.Task) -> Sensitivity:
    return sl.quant_sensitivity(model, task, CONFIG, bits=[2, 8], images=IMAGES, progress=False)


def test_a_cell_is_the_network_with_one_layer_quantized(scan, model, task: sl.Task) -> None:
    assert scan.complete
    assert scan.exact
    assert scan.baseline == sl.evaluate(model, task, images=IMAGES)["top1"]
    for layer in (scan.layers[0], scan.layers[-1]):
        for cell, bits in zip(scan.curve(layer), (8, 2), strict=True):
            config = sl.QuantConfig(
                calibration_images=32, joins=False, include=f"^{layer}$", layer_bits={layer: bits}
            )
            int8 = sl.quantize(model, task, config, progress=False)
            assert cell.ratio == ratio_of_bits(bits)
            assert cell.metric == pytest.approx(sl.evaluate(int8, task, images=IMAGES)["top1"])
            assert cell.drop == pytest.approx(scan.baseline - cell.metric)
    assert Sensitivity.from_dict(scan.to_dict()) == scan
    label = sl.plots.sensitivity_curves(scan).axes[0].get_xlabel()
    assert "0.75: 8" in label


def test_beside_all_others_a_drop_is_what_the_layer_adds(scan, model, task: sl.Task) -> None:
    config = sl.QuantConfig(calibration_images=32, include="hidden|classifier")
    found = sl.quant_sensitivity(
        model, task, config, bits=[2], mode="others", images=IMAGES, progress=False
    )
    layer = "hidden"
    whole = sl.QuantConfig(calibration_images=32, include="hidden|classifier", joins=False)
    without = sl.QuantConfig(calibration_images=32, include="classifier", joins=False)
    both = sl.QuantConfig.from_dict({**whole.to_dict(), "layer_bits": {layer: 2}})
    after, before = (
        sl.evaluate(sl.quantize(model, task, c, progress=False), task, images=IMAGES)["top1"]
        for c in (both, without)
    )
    (cell,) = found.curve(layer)
    assert cell.metric == pytest.approx(after)
    assert cell.drop == pytest.approx(before - after)


def test_stopped_it_gives_what_there_is(model, task: sl.Task) -> None:
    steps = sl.iter_quant_sensitivity(model, task, CONFIG, bits=[8], images=20)
    for step in steps:
        if step.done == 3:
            break
    assert len(finish_early(steps).cells) == 2
    with pytest.raises(sl.PlanError, match="bits must be 2 to 8"):
        sl.quant_sensitivity(model, task, bits=[1], progress=False)


def _table(model, drops: dict[str, tuple[float, float]]) -> Sensitivity:
    ratios = (ratio_of_bits(8), ratio_of_bits(4))
    cells = tuple(
        Cell(layer, ratio, 90 - drop, drop, drop, drop, 100)
        for layer, both in drops.items()
        for ratio, drop in zip(ratios, both, strict=True)
    )
    facts = (90.0, "top1", "%", f"{BITS}, by hand", 100, Fingerprint("", ""))
    return Sensitivity(cells, tuple(drops), ratios, *facts)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.8])
def test_the_best_bits_of_all(share: float, model) -> None:
    layers = {name: layer for name, layer in model.named_sublayers() if name}
    names = [n for n, layer in layers.items() if type(layer).__name__ in {"Conv2D", "Linear"}][-5:]
    rng = np.random.default_rng(0)
    drops = {n: tuple(map(float, np.sort(rng.uniform(0, 5, 2)))) for n in names}
    table = _table(model, drops)
    state = model.state_dict()
    whole = sum(4 * t.size for t in state.values())

    def removed(bits: tuple[int, ...]) -> float:
        less = 0
        for name, b in zip(names, bits, strict=True):
            weight = layers[name].weight
            channels = weight.shape[1 if weight.ndim == 2 else 0]
            less += 0 if b == 32 else 4 * weight.size - -(-weight.size * b // 8) - 4 * channels
        return less / whole

    def lost(bits: tuple[int, ...]) -> float:
        alone = [{32: 0.0, 8: drops[n][0], 4: drops[n][1]}[b] for n, b in zip(names, bits)]  # noqa: B905
        return table.together(alone)

    every = list(itertools.product((32, 8, 4), repeat=len(names)))
    if max(map(removed, every)) < share:
        with pytest.raises(sl.PlanError, match="at most"):
            sl.bits_for_budget(model, table, bytes=share)
        return
    found = tuple(sl.bits_for_budget(model, table, bytes=share).values())
    assert removed(found) >= share - 1e-9
    assert lost(found) == pytest.approx(min(lost(b) for b in every if removed(b) >= share))
    within = tuple(sl.bits_for_budget(model, table, drop=4.0).values())
    assert lost(within) <= 4.0 + 1e-9
    assert removed(within) == pytest.approx(max(removed(b) for b in every if lost(b) <= 4.0))


def test_bits_go_into_a_config(scan, model, task: sl.Task) -> None:
    bits = sl.bits_for_budget(model, scan, bytes=0.8)
    small = sl.quantize(model, task, sl.QuantConfig(layer_bits=bits), progress=False)
    before, after = (sl.profile(m, task.example).bytes for m in (model, small))
    assert after <= 0.22 * before
    with pytest.raises(sl.PlanError, match="one of the two"):
        sl.bits_for_budget(model, scan)


def test_divergence_is_not_ruled_by_zeros() -> None:
    # Behind a ReLU half of all are zeros; without them the best range holds nearly all.
    rng = np.random.default_rng(0)
    values = np.maximum(rng.standard_normal(100_000), 0).astype(np.float32)
    scales = []
    for zeros in (0, 1_000_000):
        observer = make_observer(sl.QuantConfig(observer="kl"), bits=8)
        observer.see(np.concatenate([values, np.zeros(zeros, np.float32)]))
        scales.append(observer.scale())
    assert scales[0] == scales[1] > 2

"""Every recipe that ships is carried out to its end, cut short: all its stages, exports too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recipes import IMAGES, at_home, image_net, larger, shaded_digits

import slimlab as sl
from slimlab.compressor.timetable import acts

HERE = [name for name in sl.shipped_recipes() if not name.startswith("imagenet_")]
QUICK = "imagenet_pruning_quantization"
IMAGENET = [
    pytest.param(name, marks=() if name == QUICK else pytest.mark.slow)
    for name in sl.shipped_recipes()
    if name.startswith("imagenet_")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as a user of ImageNet has it."""
    return image_net(tmp_path_factory.mktemp("user"))


def carried_out(recipe, task, place):
    """Carry a recipe out, and check what it says that it does."""
    found = sl.Compressor(recipe, task=task, folder=place).run(progress=False)
    assert found.complete
    assert [done.act for done in found.acted] == list(acts(recipe))
    steps = len(task.train) // recipe.batch_size * recipe.total_epochs
    assert found.history.records[-1].step == steps
    wanted = [strategy for strategy in recipe.strategies if isinstance(strategy, sl.Prune)]
    for strategy in wanted:
        removed = 1 - found.trial.profile.macs / found.baseline.profile.macs
        assert removed > strategy.macs - 0.06
        if strategy.method == "uniform":  # curves of a few images rise in few, high steps
            assert removed < strategy.macs + 0.06
    quantized = any(isinstance(strategy, sl.Quantize) for strategy in recipe.strategies)
    assert found.trial.bytes < 0.4 * found.baseline.bytes or not quantized
    assert [report.format for report in found.exports] == list(recipe.export)
    assert all(report.parity.holds for report in found.exports)
    again = sl.load(place / "result" / "model")
    assert (again(task.example) == found.model(task.example)).all()
    return found


@pytest.mark.parametrize("name", HERE)
def test_it_is_carried_out(name, tmp_path):
    recipe, task = sl.shortened(sl.load_recipe(name), images=IMAGES), shaded_digits()
    if name == "distillation":  # its features have one size in images of this size only
        task = larger(task)
    carried_out(recipe, sl.few_images(task, IMAGES), tmp_path)


@pytest.mark.parametrize("name", IMAGENET)
def test_it_is_carried_out_on_a_users_folder(name, folder, tmp_path):
    recipe = at_home(sl.load_recipe(name), folder)
    task = sl.few_images(sl.Compressor(recipe, output=tmp_path).task, IMAGES)
    found = carried_out(sl.shortened(recipe, images=IMAGES), task, tmp_path)
    assert found.model(task.example).shape == [1, 4]


@pytest.mark.parametrize("name", HERE)
def test_each_has_one_for_imagenet_that_does_the_same(name):
    if name == "digits":
        return
    small, large = sl.load_recipe(name), sl.load_recipe(f"imagenet_{name}")
    assert [s.strategy for s in small.strategies] == [s.strategy for s in large.strategies]
    for one, two in zip(small.strategies, large.strategies, strict=True):
        if isinstance(one, sl.Prune):
            assert (one.method, one.macs) == (two.method, two.macs)
    assert large.total_epochs >= 20


def test_few_images_are_the_first_and_the_rest_stays():
    task = sl.load_task("digits")
    few = sl.few_images(task, 20)
    for split in ("train", "calibration", "test"):
        x, labels = next(getattr(task, split).batches(20, images=20))
        (found,) = list(getattr(few, split).batches(100))
        assert (found[0] == x).all()
        assert (found[1] == labels).all()
    rest = {"train": task.train, "calibration": task.calibration, "test": task.test}
    assert replace(few, **rest) == task

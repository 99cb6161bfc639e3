from __future__ import annotations

import paddle
import pytest

import slimlab as sl
from slimlab.errors import RecipeError
from slimlab_widgets.script import Pruned, Source, Tuned, code, recipe
from slimlab_widgets.settings import Settings


def click(bench, event, **facts):
    bench._handle_custom_msg({"event": event, **facts}, [])


def weights(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def run(text, **names):
    """Run a cell as a script would: with nothing but what it says itself."""
    exec(compile(text, "cell", "exec"), names)
    return names["small"]


@pytest.fixture(scope="module")
def digits():
    task = sl.load_task("digits")
    return task, sl.load_model("vgg", task)


@pytest.fixture
def zoo_bench(digits):
    from slimlab_widgets.jobs import inline
    from slimlab_widgets.workbench import Workbench

    task, model = digits
    settings = Settings(images=32, criterion="l2_norm")
    return Workbench(model, task, run=inline, scans=None, settings=settings)


def test_the_code_of_clicks_gives_the_same_weights_bit_for_bit(zoo_bench):
    bench = zoo_bench
    click(bench, "uniform", value=0.25)
    click(bench, "prune", name="")
    click(bench, "fine_tune", epochs=1, learning_rate=0.004, teacher=False)
    click(bench, "fine_tune", epochs=1, learning_rate=0.002, teacher=True)
    click(bench, "code")
    bench._publisher.flush()
    shown = bench.script_view
    assert bench.candidates[0].epochs == 2
    assert (shown["kind"], shown["name"]) == ("code", "uniform 0.25")
    assert "sl.uniform_ratios(graph, ratio=0.25)" in shown["text"]
    assert "criterion='l2_norm'" in shown["text"]
    # Another random state than the one in which the clicks were made.
    paddle.seed(4321)
    assert weights(run(shown["text"])) == weights(bench.candidates[0].model)


def test_ratios_by_hand_and_by_drop_are_written_as_numbers(zoo_bench):
    bench = zoo_bench
    bench.scan(ratios="0.3, 0.6", images=16)
    click(bench, "drop", value=5.0)
    click(bench, "prune", name="by drop")
    text = bench.code("by drop")
    assert "# Found by sl.ratios_within_drop(sensitivity, drop=5.0)" in text
    assert weights(run(text)) == weights(bench.candidates[0].model)
    first = bench.graph.layers[0]
    click(bench, "ratios", ratios={first: 0.37}, view="v", seq=1)
    click(bench, "prune", name="by hand")
    text = bench.code()
    assert f"sl.Ratios({{{first!r}: 0.37}})" in text
    assert "Found by" not in text
    assert weights(run(text)) == weights(bench.candidates[1].model)


def test_a_fine_tuning_that_was_stopped_is_stopped_again(stopped, case):
    text = stopped.code()
    assert "finish_early" in text
    again = run(text, model=case.model, task=case.task)
    assert weights(again) == weights(stopped.candidates[0].model)


def test_what_is_the_users_own_is_said_and_not_guessed(scanned, digits):
    scanned.pick_uniform(0.5)
    scanned.prune()
    assert "# model: your own" in scanned.code()
    assert "# task: your own" in scanned.code()
    click(scanned, "recipe")
    scanned._publisher.flush()
    assert "Show the code instead" in scanned.job_view["message"]
    # A zoo network whose weights were changed since is the user's own as well.
    task, model = digits
    assert Source.of(model, task) == Source("vgg", "digits")
    changed, _ = sl.fine_tune(model, task, progress=False)
    assert Source.of(changed, task) == Source("", "digits")


def test_the_recipe_says_the_same(zoo_bench):
    bench = zoo_bench
    click(bench, "uniform", value=0.25)
    click(bench, "prune", name="")
    click(bench, "fine_tune", epochs=2, learning_rate=0.004, teacher=True)
    click(bench, "recipe")
    bench._publisher.flush()
    found = sl.Recipe.from_yaml(bench.script_view["text"])
    prune, distill = found.strategies
    assert (found.name, found.model.name, found.task.name) == ("uniform 0.25", "vgg", "digits")
    assert prune.ratios == dict(bench.ratios)
    assert prune.criterion == "l2_norm"
    assert (distill.start_epoch, distill.end_epoch) == (0, 2)
    assert distill.training.learning_rate == 0.004
    assert distill.losses == (
        sl.SoftLabel(weight=0.5, student_temperature=4.0, teacher_temperature=4.0, rescale=True),
    )
    assert distill.training.task_weight == 0.5
    assert distill.teachers["original"].original


def test_the_recipe_of_clicks_gives_the_same_weights_bit_for_bit(zoo_bench):
    bench = zoo_bench
    bench.ratios = {bench.graph.layers[1]: 0.6, bench.graph.layers[2]: 0.25}
    click(bench, "prune", name="by hand")
    click(bench, "fine_tune", epochs=1, learning_rate=0.004, teacher=False)
    click(bench, "fine_tune", epochs=1, learning_rate=0.002, teacher=True)
    assert bench.candidates[0].epochs == 2
    paddle.seed(99)
    made = sl.Compressor(sl.Recipe.from_yaml(bench.recipe())).run(progress=False)
    assert weights(made.model) == weights(bench.candidates[0].model)
    assert weights(run(bench.code())) == weights(bench.candidates[0].model)


def test_budget_training_and_grids_give_the_same_weights_from_code_and_recipe(zoo_bench):
    bench = zoo_bench
    bench.scan(ratios="0.3, 0.6", images=16)
    click(bench, "budget", macs=0.4, bytes=0.2)
    click(bench, "prune", name="small")
    click(bench, "fine_tune", epochs=1, learning_rate=0.004, teacher=False)
    click(bench, "settings", weight="abs_max", weight_bits=6)
    click(bench, "quantize", name="small")
    assert [c.name for c in bench.candidates] == ["small", "small int6"], bench.progress.message
    expected = weights(bench.candidates[1].model)
    paddle.seed(7)
    assert weights(run(bench.code("small int6"))) == expected
    made = sl.Compressor(sl.Recipe.from_yaml(bench.recipe("small int6"))).run(progress=False)
    assert weights(made.model) == expected


def test_bits_of_single_layers_and_training_on_grids_give_the_same_weights_too(zoo_bench):
    bench = zoo_bench
    first = bench.graph.layers[0]
    click(bench, "uniform", value=0.25)
    click(bench, "prune", name="small")
    click(bench, "fine_tune", epochs=1, learning_rate=0.004, teacher=True)
    facts = {"weight_bits": 5, "layer_bits": {first: 8}, "quant_epochs": 2}
    click(bench, "quantize", name="small", **facts)
    assert bench.candidates[1].deeds[-1].first_epoch == 1, bench.progress.message
    expected = weights(bench.candidates[1].model)
    paddle.seed(11)
    assert weights(run(bench.code("small int5"))) == expected
    made = sl.Compressor(sl.Recipe.from_yaml(bench.recipe("small int5"))).run(progress=False)
    assert weights(made.model) == expected


def test_trainings_follow_one_another_in_a_recipe_and_a_stopped_one_is_refused():
    deeds = [Pruned(sl.Ratios({"a": 0.5}), "l1_norm"), Tuned(2, 0.1), Tuned(3, 0.01)]
    found = sl.Recipe.from_yaml(recipe("x", Source("vgg", "digits"), deeds))
    assert [(s.start_epoch, s.last_epoch) for s in found.strategies] == [(0, 0), (0, 2), (2, 5)]
    stopped = [*deeds[:1], Tuned(2, 0.1, steps=7)]
    with pytest.raises(RecipeError, match="stopped in the middle"):
        recipe("x", Source("vgg", "digits"), stopped)
    assert "step.done >= 7" in code(Source("vgg", "digits"), stopped)


def test_a_long_mapping_gets_a_line_for_each_layer():
    ratios = sl.Ratios({f"stage{n}.0.conv1": n / 100 for n in range(30)})
    text = code(Source("vgg", "digits"), [Pruned(ratios, "l1_norm")])
    assert max(map(len, text.splitlines())) <= 100
    names: dict = {"sl": sl}
    start, end = text.index("ratios = "), text.index("plan = ")
    exec(text[start:end], names)
    assert names["ratios"] == sl.Ratios({k: v for k, v in ratios.items() if v})

"""Teachers on a fast runtime: the model's own logits, in trainings and recipes that go on."""

from __future__ import annotations

import paddle
import pytest
from compressing import compress, network, recipe, same, task

import slimlab as sl


@pytest.mark.parametrize("runtime", [None, "onnxruntime", "openvino"])
def test_its_logits_are_the_models(runtime, digits):
    model = sl.load_model("mobilenet_v1", digits)
    teacher = sl.fast_teacher(model, digits.example, runtime=runtime)
    for images in (7, 30, 7):
        x, _ = next(digits.test.batches(images))
        expected = model(x)
        assert teacher(x).shape == expected.shape
        assert float((teacher(x) - expected).abs().max() / expected.abs().max()) < 1e-4


def test_it_is_the_model_as_it_was(digits):
    model = sl.load_model("vgg", digits)
    x, _ = next(digits.test.batches(4))
    before = model(x)
    teacher = sl.fast_teacher(model, digits.example)
    model.train()
    for parameter in model.parameters():
        parameter.set_value(parameter * 0)
    assert float((teacher(x) - before).abs().max()) < 1e-3


def test_what_it_can_not_do_is_said(digits):
    with pytest.raises(sl.TaskError, match="Did you mean 'onnxruntime'"):
        sl.fast_teacher(sl.load_model("vgg", digits), digits.example, runtime="onnxrun")

    class Two(paddle.nn.Layer):
        def forward(self, x):
            return x, x

    with pytest.raises(sl.DistillError, match="a tuple; distillation needs logits"):
        sl.fast_teacher(Two(), digits.example)


def distilled(runtime):
    teachers = {"before": {"original": True, "runtime": runtime}}
    losses = [{"loss": "soft_label", "student_temperature": 2.0, "teacher_temperature": 2.0}]
    strategy = {"strategy": "distill", "end_epoch": 2, "teachers": teachers, "losses": losses}
    return recipe({"strategy": "prune", "method": "uniform", "macs": 0.4}, strategy)


def test_in_a_recipe_it_teaches_what_the_model_teaches(tmp_path):
    slow, fast = compress(distilled("paddle")), compress(distilled("onnxruntime"))
    parts = [dict(found.history.records[1].parts)["soft_label"] for found in (slow, fast)]
    assert parts[0] == pytest.approx(parts[1], rel=1e-4)
    running = sl.Compressor(distilled("onnxruntime"), network(), task(), folder=tmp_path).iter_run()
    for step in running:
        if step.done == 3:
            break
    sl.finish_early(running)
    assert same(compress(distilled("onnxruntime"), tmp_path).model, fast.model)


def test_a_recipe_that_reads_its_layers_is_refused():
    teachers = {"before": {"original": True, "runtime": "openvino"}}
    losses = [{"loss": "l2", "student": "5", "teacher": "5"}]
    with pytest.raises(sl.RecipeError, match="openvino gives only the logits"):
        sl.Distill(end_epoch=1, teachers=teachers, losses=losses)


def test_several_workers_can_not_ask_it():
    with pytest.raises(sl.RecipeError, match="runs on onnxruntime, which 2 workers"):
        sl.Compressor(distilled("onnxruntime"), network(), task(), workers=2)


def given(**more):
    teachers = {"mine": {"given": True, **more}}
    return recipe({"strategy": "distill", "end_epoch": 1, "teachers": teachers,
                   "losses": [{"loss": "l2", "student": "5", "teacher": "5"}]})  # fmt: skip


def other():
    model = network()
    model[0].weight.set_value(model[0].weight * 2)
    return model


def test_a_teacher_that_a_script_hands_over(tmp_path):
    taught = {"folder": tmp_path, "teachers": {"mine": other()}}
    running = sl.Compressor(given(), network(), task(), **taught).iter_run()
    for step in running:
        if step.done == 2:
            break
    sl.finish_early(running)
    with pytest.raises(sl.ArtifactError, match="another teacher mine"):
        compress(given(), tmp_path, teachers={"mine": network()})
    again = compress(given(), tmp_path, teachers={"mine": other()})
    whole = compress(given(), teachers={"mine": other()})
    assert same(again.model, whole.model)
    assert not same(compress(given(), teachers={"mine": network()}).model, whole.model)


@pytest.mark.parametrize(
    ("teachers", "words"),
    [
        (None, "a teacher 'mine' that a script hands over"),
        ({"mime": network()}, "a teacher 'mine' that a script hands over"),
        ({"mine": network(), "more": network()}, "asks for no teacher 'more'"),
    ],
)
def test_teachers_that_are_not_those_of_the_recipe(teachers, words):
    with pytest.raises(sl.RecipeError, match=words):
        sl.Compressor(given(), network(), task(), teachers=teachers)


def test_a_teacher_has_one_source():
    for more in ({"original": True}, {"name": "vgg"}, {"artifact": "x"}):
        with pytest.raises(sl.RecipeError, match="give exactly one"):
            given(**more)

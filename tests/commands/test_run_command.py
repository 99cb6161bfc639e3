"""`slimlab run`: results, stopping, going on, and refusals as sentences."""

from __future__ import annotations

import os
import signal

import pytest

import slimlab as sl
from slimlab import cli
from slimlab.export import exporting

RECIPE = """
version: 1
name: small
model: {name: vgg}
task: {name: digits}
batch_size: 128
strategies:
  - {strategy: prune, method: uniform, macs: 0.5}
  - {strategy: fine_tune, end_epoch: 2}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    return path


def run(recipe, *more):
    return cli.main(["run", str(recipe), "--quiet", *map(str, more)])


def test_a_recipe_is_carried_out(recipe, tmp_path, capsys):
    assert run(recipe, "--checkpoint-dir", tmp_path / "run", "--output", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "before" in said
    assert "small" in said
    model = sl.load(tmp_path / "out" / "model")
    expected = sl.Compressor(RECIPE_VALUE).run(progress=False).model
    assert all((expected.state_dict()[k] == v).all() for k, v in model.state_dict().items())
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 3


def test_each_epoch_and_strategy_is_a_line(recipe, tmp_path, capsys):
    assert cli.main(["run", str(recipe), "--checkpoint-dir", str(tmp_path / "run"), "--short"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("A strategy changed the model: ")
    assert said[1].startswith("Epoch 1, step 4, loss ")
    assert "metric" in said[1]


RECIPE_VALUE = sl.Recipe.from_yaml(RECIPE)


def test_a_signal_stops_it_and_the_same_command_goes_on(recipe, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    original = sl.train.trainer.Trainer.step
    count = []

    def step(self, *batch):
        count.append(1)
        if len(count) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *batch)

    monkeypatch.setattr(sl.train.trainer.Trainer, "step", step)
    assert run(recipe, "--checkpoint-dir", folder) == 130
    assert "Stopped after 5 training steps" in capsys.readouterr().out
    assert run(recipe, "--checkpoint-dir", folder) == 0
    assert len(count) == 2 * (len(sl.load_task("digits").train) // 128), "no step was done twice"


def test_a_signal_among_the_exports_stops_it_and_the_same_command_goes_on(
    recipe, tmp_path, capsys, monkeypatch
):
    recipe.write_text(RECIPE + "export: [onnx]\n")
    folder, file = tmp_path / "run", tmp_path / "run" / "result" / "onnx" / "model.onnx"
    original = exporting.iter_parity

    def parity(*arguments, **more):
        os.kill(os.getpid(), signal.SIGINT)
        return (yield from original(*arguments, **more))

    with monkeypatch.context() as patched:
        patched.setattr(exporting, "iter_parity", parity)
        assert run(recipe, "--checkpoint-dir", folder) == 130
    said = capsys.readouterr().out
    assert "Stopped with onnx still to be exported" in said
    assert "same command goes on" in said
    assert sl.load(folder / "result" / "model") is not None
    assert not file.exists()
    assert run(recipe, "--checkpoint-dir", folder) == 0
    assert file.exists()


def test_what_a_person_should_know_is_told(recipe, tmp_path, capsys):
    assert run(recipe, "--checkpoint-dir", tmp_path / "run") == 0
    recipe.write_text(RECIPE.replace("end_epoch: 2", "end_epoch: 3"))
    assert run(recipe, "--checkpoint-dir", tmp_path / "run") == 0
    assert "slimlab: note: Epoch 2" in capsys.readouterr().err


def test_short_tries_every_stage_out_beside_the_run(recipe, tmp_path, capsys):
    recipe.write_text(RECIPE.replace("end_epoch: 2", "end_epoch: 200"))
    assert run(recipe, "--checkpoint-dir", tmp_path / "run", "--short") == 0
    assert "Every stage of the recipe works" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    assert sl.load(tmp_path / "run-short" / "result" / "model") is not None
    assert run(recipe, "--output", tmp_path / "out", "--short") == 1
    assert "Leave out --output" in capsys.readouterr().err


def test_task_and_model_of_the_command_line_count(recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe.write_text(RECIPE.replace("digits", "fashion-mnist").replace("vgg", "mobilenet_v1"))
    sl.save(sl.load_model("vgg", sl.load_task("digits")), "mine")
    assert run(recipe, "--task", "digits", "--model", "mine", "--short") == 0
    result = tmp_path / "slimlab-runs" / "small-short" / "result"
    assert type(sl.load(result / "model")).__name__ == "VGG"
    assert sl.Recipe.from_yaml(result / "report" / "recipe.yaml").model.artifact == "mine"
    assert run(recipe, "--task", "digit") == 1
    assert "'digits'" in capsys.readouterr().err


def test_a_name_does_not_lead_elsewhere(recipe, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    recipe.write_text(RECIPE.replace("name: small", "name: ../../é b"))
    assert run(recipe, "--short") == 0
    assert [p.name for p in (tmp_path / "here" / "slimlab-runs").iterdir()] == ["-..-é-b-short"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RECIPE.replace("macs", "mac"), "line 8"),
        (RECIPE.replace("vgg", "vvg"), "'vgg'"),
        (RECIPE.replace("task: {name: digits}", ""), "names no task"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(text, words, recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe.write_text(text)
    assert run(recipe) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "slimlab-runs").exists()


def test_help_says_what_it_does(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    text = capsys.readouterr().out
    for words in ("--checkpoint-dir", "goes on after a crash", "slimlab run uniform_pruning"):
        assert words in text

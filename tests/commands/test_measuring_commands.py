"""`slimlab scan`, `compare`, `export` and `verify`: the same numbers as the library's."""

from __future__ import annotations

import copy

import pandas as pd
import pytest

import slimlab as sl
from slimlab import cli


def test_scan_gives_the_librarys_table_and_goes_on_from_its_file(tmp_path, capsys, vgg, digits):
    file, csv = tmp_path / "deep" / "vgg.scan", tmp_path / "vgg.csv"
    arguments = ["scan", "vgg", "--task", "digits", "--ratios", "0.5", "--images", "64", "--quiet"]
    assert cli.main([*arguments, "--file", str(file), "--csv", str(csv)]) == 0
    expected = sl.scan_sensitivity(vgg, digits, ratios=[0.5], images=64, progress=False)
    pd.testing.assert_frame_equal(pd.read_csv(csv), expected.to_frame(), check_dtype=False)
    assert sl.load_scan(file) == expected
    text = capsys.readouterr().out
    assert all(layer in text for layer in expected.layers)


def test_compare_measures_zoo_networks_and_saved_ones(tmp_path, capsys, vgg, digits):
    graph = sl.trace(vgg, digits.example)
    small = sl.prune(vgg, sl.plan_pruning(vgg, graph, sl.uniform_ratios(graph, ratio=0.5)))
    folder = sl.save(small, tmp_path / "run" / "result" / "model")
    assert cli.main(["compare", "vgg", str(folder), "--task", "digits", "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "run/result/model" in text
    scores = sl.evaluate(small, digits)
    assert f"{scores['top1']:.2f}" in text
    assert str(sl.profile(small, digits.example).macs) in text


def test_export_writes_what_verify_finds_to_agree(tmp_path, capsys):
    folder = tmp_path / "files" / "vgg"
    data = ["--task", "digits", "--images", "64", "--quiet"]
    assert cli.main(["export", "vgg", str(folder), *data]) == 0
    assert (folder / "model.onnx").is_file()
    assert cli.main(["verify", str(folder), "vgg", *data]) == 0
    assert "computes what the model computes" in capsys.readouterr().out


def test_verify_fails_for_another_model_and_names_the_first_layer(tmp_path, capsys, vgg, digits):
    sl.export(vgg, tmp_path / "vgg", digits, images=64, runs=0, progress=False)
    other = copy.deepcopy(vgg)
    layer = next(
        name for name, value in other.named_sublayers() if type(value).__name__ == "Conv2D"
    )
    weight = other.get_sublayer(layer).weight
    weight.set_value(weight * 1.1)
    sl.save(other, tmp_path / "other")
    data = ["--task", "digits", "--images", "64", "--quiet"]
    assert cli.main(["verify", str(tmp_path / "vgg"), str(tmp_path / "other"), *data]) == 1
    assert layer in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scan", "vggg", "--task", "digits"], "'vgg'"),
        (["scan", "vgg", "--task", "digit"], "'digits'"),
        (["scan", "vgg", "--task", "digits", "--ratios", "1.5"], "outside [0, 1)"),
        (["compare", "vgg", "vgg/", "--task", "digits"], "vgg/"),
        (["compare", "vgg", "--task", "digits", "--images", "0"], "images"),
        (["export", "vgg", "x", "--task", "digits", "--format", "onnx-int8"], "sl.quantize"),
        (["verify", "no/such/folder", "vgg", "--task", "digits"], "no/such/folder"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(arguments, words, capsys):
    assert cli.main([*arguments, "--quiet"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("slimlab: ")
    assert words in error


@pytest.mark.parametrize("command", ["scan", "compare", "run", "recipe"])
def test_every_command_has_help_with_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"  slimlab {command} " in text

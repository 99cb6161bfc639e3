"""`slimlab recipe`: what ships, what is checked, and how a wrong recipe is told."""

from __future__ import annotations

import json

import pytest

import slimlab as sl
from slimlab import cli


def test_list_names_every_recipe_that_ships(capsys):
    assert cli.main(["recipe", "list"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in sl.shipped_recipes())


def test_what_is_shown_can_be_read_again(capsys):
    assert cli.main(["recipe", "show", "digits"]) == 0
    text = capsys.readouterr().out
    assert "# " in text, "with its comments"
    assert sl.Recipe.from_yaml(text) == sl.load_recipe("digits")


def test_check_says_what_happens_when(capsys, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(sl.load_recipe("sensitivity_pruning").to_yaml())
    assert cli.main(["recipe", "check", str(path)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["0", "prune,", "step", "1"] in rows
    assert ["2", "prune,", "step", "3"] in rows
    assert ["2", "6", "train:", "momentum,", "0.02"] in rows


def test_check_tells_the_line_of_what_is_wrong(capsys, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("version: 1\nstrategies:\n  - {strategy: prunee}\n")
    assert cli.main(["recipe", "check", str(path)]) == 1
    error = capsys.readouterr().err
    assert "line 3" in error
    assert "'prune'" in error


def test_the_schema_is_json(capsys):
    assert cli.main(["recipe", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == sl.recipe_schema()


@pytest.mark.parametrize("arguments", [["recipe"], ["recipe", "chekc", "x"], ["recipe", "check"]])
def test_a_wrong_command_line_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2

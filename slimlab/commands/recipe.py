"""Floor 6. `slimlab recipe`: shows, checks and describes recipes; runs none."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from slimlab.commands.terminal import say, show
from slimlab.compressor.timetable import acts, pieces
from slimlab.recipe import (
    Recipe,
    convert_recipe,
    load_recipe,
    recipe_schema,
    shipped_recipes,
)

DESCRIPTION = "Look at recipes: which ones ship, what is in one, whether one can be carried out."
EPILOG = """\
examples:
  slimlab recipe list                    the recipes that ship
  slimlab recipe show digits > my.yaml   a recipe to begin with
  slimlab recipe check my.yaml           what it does in which epoch; or what is wrong, in which line
  slimlab recipe convert old.yaml > my.yaml   a configuration of PaddleSlim 1.x, as far as one can
  slimlab recipe schema > recipe.json    a JSON Schema, with which editors complete and check recipes
"""  # noqa: E501 - lines of a terminal


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "recipe",
        help="list, show and check recipes",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    kinds = parser.add_subparsers(title="commands", dest="kind", metavar="COMMAND", required=True)
    kinds.add_parser("list", help="the recipes that ship").set_defaults(run=_list)
    for name, words, function in (
        ("show", "write a recipe's text", _show),
        ("check", "say what a recipe does in which epoch, or what is wrong with it", _check),
    ):
        each = kinds.add_parser(name, help=words)
        each.add_argument("recipe", metavar="RECIPE", help="a .yaml file, or a shipped one's name")
        each.set_defaults(run=function)
    old = kinds.add_parser("convert", help="write a configuration of PaddleSlim 1.x as a recipe")
    old.add_argument("file", metavar="FILE", type=Path, help="a .yaml file of 1.x")
    old.set_defaults(run=_convert)
    kinds.add_parser("schema", help="write the JSON Schema of recipes").set_defaults(run=_schema)


def _list(arguments: argparse.Namespace) -> int:
    rows = []
    for name, path in shipped_recipes().items():
        recipe = Recipe.from_yaml(path)
        task = "" if recipe.task is None else recipe.task.name or recipe.task.images
        steps = ", ".join(strategy.strategy for strategy in recipe.strategies)
        rows.append((name, task, steps, recipe.total_epochs))
    show(pd.DataFrame(rows, columns=["recipe", "task", "strategies", "epochs"]))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    known = shipped_recipes()
    recipe = load_recipe(arguments.recipe)
    # Of one that ships the text itself, with its comments.
    path = known.get(arguments.recipe)
    say((recipe.to_yaml() if path is None else path.read_text(encoding="utf-8")).rstrip("\n"))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    recipe = load_recipe(arguments.recipe)
    rows: list[tuple[int, str, str]] = []
    for act in acts(recipe):
        strategy = recipe.strategies[act.strategy]
        again = f", step {act.number + 1}" if getattr(strategy, "steps", 1) > 1 else ""
        freezes = strategy.strategy == "quantize" and act.number == 1
        what = "freeze scales" if freezes else f"{strategy.strategy}{again}"
        rows.append((act.epoch, "", what))
    for piece in pieces(recipe):
        way = "distil" if piece.distill is not None else "train"
        what = f"{way}: {piece.training.optimizer}, {piece.training.learning_rate:g}"
        rows.append((piece.start, str(piece.end), what))
    rows.sort(key=lambda row: (row[0], row[1] != ""))
    show(pd.DataFrame(rows, columns=["from epoch", "to epoch", "what"]))
    say(f"Recipe {recipe.name!r} can be read; it has {recipe.total_epochs} epochs.")
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    found = convert_recipe(arguments.file)
    say(f"# From PaddleSlim 1.x ({arguments.file.name}). What to look at:")
    for note in found.notes:
        say(f"# - {note}")
    say(found.recipe.to_yaml().rstrip("\n"))
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    say(json.dumps(recipe_schema(), indent=1, ensure_ascii=False))
    return 0

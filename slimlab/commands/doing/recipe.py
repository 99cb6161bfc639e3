"""Floor 6. `slimlab recipe`: shows, checks and describes recipes; runs none."""

from __future__ import annotations

import argparse
import json

import pandas as pd

from slimlab.commands.doing.terminal import say, show
from slimlab.compressor.timetable import acts, pieces
from slimlab.recipe import (
    Recipe,
    convert_recipe,
    load_recipe,
    recipe_schema,
    shipped_recipes,
)


def run_list(arguments: argparse.Namespace) -> int:
    """Carry `slimlab recipe list` out."""
    rows = []
    for name, path in shipped_recipes().items():
        recipe = Recipe.from_yaml(path)
        task = "" if recipe.task is None else recipe.task.name or recipe.task.images
        steps = ", ".join(strategy.strategy for strategy in recipe.strategies)
        rows.append((name, task, steps, recipe.total_epochs))
    show(pd.DataFrame(rows, columns=["recipe", "task", "strategies", "epochs"]))
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Carry `slimlab recipe show` out."""
    known = shipped_recipes()
    recipe = load_recipe(arguments.recipe)
    # Of one that ships the text itself, with its comments.
    path = known.get(arguments.recipe)
    say((recipe.to_yaml() if path is None else path.read_text(encoding="utf-8")).rstrip("\n"))
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Carry `slimlab recipe check` out."""
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


def run_convert(arguments: argparse.Namespace) -> int:
    """Carry `slimlab recipe convert` out."""
    found = convert_recipe(arguments.file)
    say(f"# From PaddleSlim 1.x ({arguments.file.name}). What to look at:")
    for note in found.notes:
        say(f"# - {note}")
    say(found.recipe.to_yaml().rstrip("\n"))
    return 0


def run_schema(arguments: argparse.Namespace) -> int:
    """Carry `slimlab recipe schema` out."""
    say(json.dumps(recipe_schema(), indent=1, ensure_ascii=False))
    return 0

"""Floor 6. What can be typed behind `slimlab recipe`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slimlab.commands.adding import add_command

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
    parser = add_command(
        commands,
        "recipe",
        "recipe.run_list",
        help="list, show and check recipes",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    kinds = parser.add_subparsers(title="commands", dest="kind", metavar="COMMAND", required=True)
    add_command(kinds, "list", "recipe.run_list", help="the recipes that ship")
    for name, words in (
        ("show", "write a recipe's text"),
        ("check", "say what a recipe does in which epoch, or what is wrong with it"),
    ):
        each = add_command(kinds, name, f"recipe.run_{name}", help=words)
        each.add_argument("recipe", metavar="RECIPE", help="a .yaml file, or a shipped one's name")
    words = "write a configuration of PaddleSlim 1.x as a recipe"
    old = add_command(kinds, "convert", "recipe.run_convert", help=words)
    old.add_argument("file", metavar="FILE", type=Path, help="a .yaml file of 1.x")
    add_command(kinds, "schema", "recipe.run_schema", help="write the JSON Schema of recipes")

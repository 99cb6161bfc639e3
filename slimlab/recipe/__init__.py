"""Floor 4. Recipes: a compression as a YAML file. Reads, checks and writes them; runs nothing."""

from __future__ import annotations

from slimlab.recipe.converting import Converted, convert_recipe
from slimlab.recipe.recipe import Recipe, load_recipe, recipe_schema, shipped_recipes
from slimlab.recipe.short import shortened
from slimlab.recipe.strategies import Distill, FineTune, Prune, Quantize

__all__ = [
    "Converted",
    "Distill",
    "FineTune",
    "Prune",
    "Quantize",
    "Recipe",
    "convert_recipe",
    "load_recipe",
    "recipe_schema",
    "shipped_recipes",
    "shortened",
]

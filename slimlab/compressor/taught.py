"""Floor 4. Whether the teachers that a recipe names are there, before anything is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slimlab.distill.distiller import Teacher
from slimlab.errors import RecipeError, nearest
from slimlab.recipe import Distill, Recipe
from slimlab.recipe.parts import TeacherSource


def check_teachers(recipe: Recipe, given: Mapping[str, Teacher], workers: int) -> None:
    """Refuse teachers that are missing, that nobody asks for, or that several workers can't ask.

    Raises
    ------
    RecipeError
    """
    wanted: set[str] = set()
    for place, name, teacher in _teachers(recipe):
        if teacher.given:
            wanted.add(name)
        if teacher.given and name not in given:
            msg = (
                f"Strategy {place} learns from a teacher {name!r} that a script hands over: give "
                f"Compressor teachers={{{name!r}: model}}."
            )
            raise RecipeError(msg, strategy=place, teacher=name)
        if workers > 1 and teacher.runtime != "paddle":
            msg = (
                f"Teacher {name!r} of strategy {place} runs on {teacher.runtime}, which {workers} "
                "workers can't share; say `runtime: paddle`, or train with 1 worker."
            )
            raise RecipeError(msg, strategy=place, teacher=name, workers=workers)
    for name in given:
        if name not in wanted:
            msg = f"The recipe asks for no teacher {name!r} with `given: true`. "
            raise RecipeError(msg + nearest(name, wanted), teacher=name)


def _teachers(recipe: Recipe) -> Iterator[tuple[int, str, TeacherSource]]:
    for place, strategy in enumerate(recipe.strategies):
        if isinstance(strategy, Distill):
            for name, teacher in strategy.teachers.items():
                yield place, name, teacher

"""Floor 4. What strategies see of a run: recipe, data, the first model, what was done before."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from paddle.nn import Layer

from slimlab.artifact import load
from slimlab.compressor.timetable import Act
from slimlab.data import image_folder, load_task
from slimlab.distill.distiller import Teacher
from slimlab.recipe import Recipe
from slimlab.recipe.parts import ModelSource, TaskSettings, TeacherSource
from slimlab.recipe.strategies import Distill
from slimlab.steps import Step
from slimlab.task import Task
from slimlab.train import fast_teacher
from slimlab.train.random_state import drawing
from slimlab.zoo import load_model

Facts = Mapping[str, Any]
MODELS = 3  # what is drawn, beside the seed: random weights of models; 0 to 2 are the trainer's


@dataclass(frozen=True)
class Acted:
    """An act that was carried out.

    Attributes
    ----------
    act
        Which it was, and when.
    facts
        JSON values: what was decided, with which the same change can be made again.
    """

    act: Act
    facts: Facts


@dataclass(frozen=True)
class Scene:
    """What strategies see of a run.

    Attributes
    ----------
    recipe, task, original
        The model as it was before the first strategy; nobody changes it.
    scans
        A folder for scan files; None where nothing is kept.
    teachers_given
        Those that a script handed over, by name.
    acted
        What was done before.
    """

    recipe: Recipe
    task: Task
    original: Layer
    scans: Path | None = None
    teachers_given: Mapping[str, Teacher] = field(default_factory=dict)
    acted: tuple[Acted, ...] = field(default=())

    def facts(self, strategy: int, number: int = 0) -> Facts | None:
        """What an earlier act of a strategy decided; None where there was none."""
        for done in self.acted:
            if (done.act.strategy, done.act.number) == (strategy, number):
                return done.facts
        return None

    def teachers(self, strategy: Distill) -> dict[str, Teacher]:
        """Make a strategy's teachers; the same weights each time."""
        found: dict[str, Teacher] = {}
        for place, (name, source) in enumerate(strategy.teachers.items()):
            with drawing(self.recipe.seed, MODELS, 1 + place):
                found[name] = self._teacher(name, source)
        return found

    def _teacher(self, name: str, source: TeacherSource) -> Teacher:
        model: Teacher
        if source.given:
            model = self.teachers_given[name]
        else:
            model = self.original if source.original else model_of(source, self.task)
        if source.runtime == "paddle" or not isinstance(model, Layer):
            return model
        return fast_teacher(model, self.task.example, runtime=source.runtime)


class Actor(Protocol):
    """Carries a kind of strategy out; `rebuild` makes the same change again from its facts."""

    def act(
        self, model: Layer, act: Act, scene: Scene
    ) -> Generator[Step[Any], None, tuple[Layer, Facts]]:
        """Change a model: give a new one, and what was decided."""
        ...

    def rebuild(self, model: Layer, act: Act, facts: Facts, scene: Scene) -> Layer:
        """Change a model as the facts say; its values are filled in later."""
        ...


def model_of(source: ModelSource, task: Task) -> Layer:
    """Make the model that a recipe names."""
    if source.artifact is not None:
        return load(source.artifact)
    name = str(source.name)
    return load_model(name, task, pretrained=source.pretrained, **source.arguments)


def task_of(settings: TaskSettings) -> Task:
    """Make the task that a recipe names."""
    if settings.name is not None:
        return load_task(settings.name, folder=settings.folder)
    return image_folder(
        str(settings.images),
        size=settings.size,
        channels=settings.channels,
        pixels=settings.pixels(),
    )

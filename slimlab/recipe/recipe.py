"""Floor 4. A compression written down: model, data, training, and the strategies in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from slimlab.errors import RecipeError, SlimLabError, nearest
from slimlab.recipe.combining import check_combination
from slimlab.recipe.parts import (
    CheckpointSettings,
    Epoch,
    ModelSource,
    TaskSettings,
    TrainingSettings,
)
from slimlab.recipe.settings import Settings, recipe_error, refuse
from slimlab.recipe.strategies import Quantize, Strategy
from slimlab.recipe.text import MAX_CHARACTERS, read_yaml, write_yaml

SHIPPED = Path(__file__).resolve().parents[1] / "recipes"
Format = Literal["onnx", "onnx-int8", "paddle-float", "paddle-int8", "paddle-lite"]


class Recipe(Settings):
    """What is to be done to a model, as a value that can be read, written and compared.

    Epochs in which no strategy trains are trained with the task's loss and `training`.

    Examples
    --------
    >>> import slimlab as sl
    >>> recipe = sl.Recipe.from_yaml('''
    ... version: 1
    ... model: {name: mobilenet_v1}
    ... task: {name: digits}
    ... strategies:
    ...   - {strategy: prune, method: uniform, macs: 0.5}
    ...   - {strategy: fine_tune, end_epoch: 2}
    ... ''')
    >>> recipe.total_epochs, [strategy.strategy for strategy in recipe.strategies]
    (2, ['prune', 'fine_tune'])
    >>> sl.Recipe.from_yaml(recipe.to_yaml()) == recipe
    True
    """

    version: Literal[1]
    """Of this format."""
    name: Annotated[str, Field(max_length=200)] = "recipe"
    """What tables call the result."""
    model: ModelSource | None = None
    """What is compressed; left out where a script gives the model."""
    task: TaskSettings | None = None
    """What it is for; left out where a script gives the task."""
    strategies: Annotated[tuple[Strategy, ...], Field(min_length=1, max_length=100)]
    """What is done, in order; strategies that start in one epoch start in this order."""
    epochs: Epoch | None = None
    """Passes over the training data; up to the last strategy's end by default."""
    batch_size: Annotated[int, Field(ge=1, le=10**6)] = 128
    """Images in a training step."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of everything that is drawn: same recipe, same weights."""
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    """Of epochs whose strategy has none of its own; its schedule runs over the whole recipe."""
    checkpoint: CheckpointSettings = Field(default_factory=CheckpointSettings)
    """When the state is written down."""
    export: Annotated[tuple[Format, ...], Field(max_length=5)] = ()
    """Formats that the result is written in."""

    @model_validator(mode="after")
    def _combined(self) -> Recipe:
        check_combination(self.strategies)
        if self.epochs is not None:
            for place, strategy in enumerate(self.strategies):
                if strategy.last_epoch > self.epochs:
                    refuse(
                        f"Strategy {place} ends at epoch {strategy.last_epoch}, after the recipe's "
                        f"{self.epochs} epochs.",
                        "epochs",
                    )
        quantized = any(isinstance(strategy, Quantize) for strategy in self.strategies)
        for place, format_ in enumerate(self.export):
            if format_.endswith(("int8", "lite")) and not quantized:
                refuse(f"{format_!r} needs a strategy `quantize`.", "export", place)
            self._check_lite(format_, place)
        return self

    def _check_lite(self, format_: str, place: int) -> None:
        """Paddle Lite knows no scales that are computed as the network runs, and 8 bits only."""
        for strategy in self.strategies if format_ == "paddle-lite" else ():
            if isinstance(strategy, Quantize) and (
                strategy.activation == "abs_max" or strategy.activation_bits != 8
            ):
                refuse(
                    f"{format_!r} needs activations of 8 bits with stored scales, such as "
                    "activation: moving_average_abs_max.",
                    "export",
                    place,
                )

    @property
    def total_epochs(self) -> int:
        """Passes over the training data in all."""
        ends = [strategy.last_epoch for strategy in self.strategies]
        return max([self.epochs or 0, *ends])

    @classmethod
    def from_yaml(cls, source: str | Path) -> Recipe:
        """Read a recipe.

        Parameters
        ----------
        source
            YAML text, or the path of a file: a `Path`, or one line that ends in `.yaml` or `.yml`.

        Raises
        ------
        RecipeError
            For a file that can't be read, text that is no YAML, an unknown key (with the nearest
            known one), a value that can't be used, or strategies that can't be combined; with the
            line as attribute where there is one.
        """
        text, name = text_of(source)
        try:
            document = read_yaml(text)
        except RecipeError as error:
            if not name:
                raise
            msg = f"{name}: {error}"
            raise RecipeError(msg, **{**error.facts, "source": name}) from None
        try:
            return cls.model_validate_json(json.dumps(document.data), strict=True)
        except ValidationError as error:
            raise recipe_error(error, cls, document, name) from None

    def to_yaml(self) -> str:
        """Write the recipe with every value, so that later defaults don't change it.

        Raises
        ------
        DistillError
            For a loss that is a user's function.
        """
        try:
            return write_yaml(self.model_dump(mode="json", exclude_none=True))
        except ValueError as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, SlimLabError):
                raise cause from None
            msg = f"The recipe can't be written: {error}"
            raise RecipeError(msg) from None


def recipe_schema() -> dict[str, Any]:
    """Give the JSON Schema of a recipe, with which editors complete and check YAML files.

    Examples
    --------
    >>> import slimlab as sl
    >>> schema = sl.recipe_schema()
    >>> schema["required"], "Prune" in schema["$defs"]
    (['version', 'strategies'], True)
    """
    schema = Recipe.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def shipped_recipes() -> dict[str, Path]:
    """Give the recipes that ship, by name.

    Examples
    --------
    >>> import slimlab as sl
    >>> "uniform_pruning" in sl.shipped_recipes()
    True
    """
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def load_recipe(name: str | Path) -> Recipe:
    """Read a recipe that ships by its name, or any by its path.

    Raises
    ------
    RecipeError
        As `Recipe.from_yaml`, and for a name that does not exist.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.load_recipe("digits").task.name
    'digits'
    """
    known = shipped_recipes()
    if isinstance(name, Path) or str(name).endswith((".yaml", ".yml")):
        return Recipe.from_yaml(Path(name))
    if name not in known:
        msg = f"No recipe {name!r} ships. {nearest(str(name), known)} Or give a path to a .yaml."
        raise RecipeError(msg, name=name)
    return Recipe.from_yaml(known[name])


def text_of(source: str | Path) -> tuple[str, str]:
    """Give a text or a file's, and the name of the file or nothing."""
    if not isinstance(source, Path):
        one_line = "\n" not in source and len(source) < 4096
        if not (one_line and source.endswith((".yaml", ".yml"))):
            return source, ""
    path = Path(source)
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_CHARACTERS + 1)
        if len(content) > 4 * MAX_CHARACTERS:
            msg = f"{path} has more than {4 * MAX_CHARACTERS:,} bytes; that is no recipe."
            raise RecipeError(msg, source=str(path))
        return content.decode("utf-8-sig"), str(path)
    except (OSError, ValueError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        msg = f"The recipe {path} can't be read: {why}."
        raise RecipeError(msg, source=str(path)) from None

"""Floor 6. `slimlab run`: carries a recipe out, or goes on with it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from slimlab.commands.doing.launching import launch, launches
from slimlab.commands.doing.terminal import notes, say, say_above, show, work
from slimlab.compressor import Compression, Compressor, few_images
from slimlab.errors import RecipeError
from slimlab.recipe import Recipe, load_recipe, shortened
from slimlab.recipe.parts import OF_FOLDERS, ModelSource, TaskSettings
from slimlab.train import Event
from slimlab.train.launched import launched


def run(arguments: argparse.Namespace) -> int:
    """Carry `slimlab run` out."""
    recipe = _chosen(load_recipe(arguments.recipe), arguments)
    folder = arguments.checkpoint_dir or Path("slimlab-runs") / _file_name(recipe.name)
    output = arguments.output or folder / "result"
    if launches(arguments):
        return launch(arguments, folder)
    group = launched()
    quiet = arguments.quiet or (group is not None and group.rank > 0)
    with notes():
        more = {"workers": arguments.workers, "callbacks": [] if quiet else [_log]}
        if arguments.short:
            compressor, output = _short(recipe, folder, arguments.output, more)
        else:
            compressor = Compressor(recipe, folder=folder, output=output, **more)
        result, stopped = work(compressor.iter_run(), title=recipe.name, quiet=quiet)
    if stopped and not result.complete:
        say(_stopped(result, output))
        return 130
    _tell(result, output)
    if arguments.short:
        say("Every stage of the recipe works. The accuracies above are those of a few images.")
    return 0


def _chosen(recipe: Recipe, arguments: argparse.Namespace) -> Recipe:
    """The recipe with the task and the model of the command line."""
    changed: dict[str, Any] = {}
    if arguments.task is not None:
        given = recipe.task if recipe.task is not None and recipe.task.images else None
        if Path(arguments.task).is_dir():  # prepared as the recipe says
            own = {} if given is None else {key: getattr(given, key) for key in OF_FOLDERS}
            changed["task"] = TaskSettings(images=arguments.task, **own)
        else:
            changed["task"] = TaskSettings(name=arguments.task)
    if arguments.model is not None:
        kind = "artifact" if Path(arguments.model).is_dir() else "name"
        changed["model"] = ModelSource(**{kind: arguments.model})
    return recipe.model_copy(update=changed)


def _short(
    recipe: Recipe, folder: Path, output: Path | None, more: dict[str, Any]
) -> tuple[Compressor, Path]:
    """The recipe cut short, beside where it would be carried out."""
    if output is not None:
        msg = "Leave out --output: what --short makes is not for use."
        raise RecipeError(msg, output=str(output))
    aside = folder.with_name(f"{folder.name}-short")
    whole = Compressor(recipe, folder=aside)
    task = few_images(whole.task)
    return Compressor(shortened(recipe), whole.model, task, folder=aside, **more), aside / "result"


def _log(event: Event) -> None:
    """Write a line at the end of each epoch and strategy: the log of a run of days."""
    record = event.record
    if event.kind == "strategy":
        weights = sum(parameter.size for parameter in event.model.parameters())
        say_above(f"A strategy changed the model: {weights:,} parameters.")
    if event.kind == "epoch":
        loss = "" if record.loss is None else f", loss {record.loss:.4f}"
        metric = "" if record.metric is None else f", metric {record.metric:.2f}"
        rate = f", learning rate {record.learning_rate:.3g}"
        say_above(f"Epoch {record.epoch:.0f}, step {record.step}{loss}{metric}{rate}.")


def _file_name(name: str) -> str:
    """A recipe's name as that of a folder, which must not lead elsewhere."""
    return re.sub(r"[^\w.-]+", "-", name).lstrip(".") or "recipe"


def _stopped(result: Compression, output: Path) -> str:
    """Say how far a stopped run came."""
    if result.trial is None:
        done = max(record.step for record in result.history.records)
        return f"Stopped after {done} training steps; the same command goes on."
    missing = ", ".join(result.recipe.export[len(result.exports) :])
    return (
        f"Stopped with {missing} still to be exported; the model is in {output / 'model'}. The "
        "same command goes on."
    )


def _tell(result: Compression, output: Path) -> None:
    show(result.to_frame())
    for report in result.exports:
        say(f"{report.folder.name}: {report.bytes} bytes, {report.share:.2f} of those in float.")
    say(f"The model is in {output / 'model'}, its numbers in {output / 'report'}.")

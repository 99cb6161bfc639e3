"""Floor 4. The `Compressor`: a recipe, a model and a task in; a smaller model out."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from paddle.nn import Layer

from slimlab.compare import Trial, iter_measure_trial
from slimlab.compressor.changes import compare_courses
from slimlab.compressor.checkpoints import Checkpoints, State
from slimlab.compressor.outputs import MODEL, NUMBERS, Compression, write_outputs
from slimlab.compressor.run import Run
from slimlab.compressor.scene import MODELS, Scene, model_of, task_of
from slimlab.compressor.taught import check_teachers
from slimlab.distill.distiller import Teacher
from slimlab.errors import ArtifactError, RecipeError, SlimLabWarning
from slimlab.export import FORMATS, ExportReport, iter_export
from slimlab.recipe import Recipe, load_recipe
from slimlab.scan.setup import fingerprint
from slimlab.steps import Step, Stopped, drain
from slimlab.store import remove_left_overs
from slimlab.task import Task
from slimlab.train import Callback, Record
from slimlab.train.launched import launched
from slimlab.train.random_state import drawing
from slimlab.train.together import check_shares

CHECKPOINTS, SCANS = "checkpoints", "scans"


class Compressor:
    """Carries a recipe out: strategies over epochs, with checkpoints from which it goes on.

    Parameters
    ----------
    recipe
        A `Recipe`, the path of a YAML file, or the name of one that ships.
    model
        What is compressed; it is not changed. The recipe's own when None.
    task
        What it is for. The recipe's own when None.
    folder
        Where checkpoints and scans are kept. A run that finds some there goes on from the newest:
        its result is bit-equal to that of a run that was never interrupted. Nothing is kept when
        None.
    output
        Where the result is written: `model/` as `save` does, `report/` with the numbers, the
        history and the recipe, and a folder for each format that the recipe exports.
        ``folder/result`` when None and there is a folder.
    callbacks
        Functions that are told of every `slimlab.train.Event`, in this process.
    teachers
        Models of your own that the recipe's distillation learns from, by the names that it gives
        them (`given: true`).
    workers
        Processes that train together, as in `fine_tune`; this one does all else. A run may go on
        with another number of them.

    Raises
    ------
    RecipeError
        When the recipe can't be read or carried out here, or names no model or task and none is
        given.
    WorkerError
        When so many workers can't share a batch, or not on this system.

    Examples
    --------
    >>> import slimlab as sl
    >>> recipe = sl.Recipe.from_yaml('''
    ... version: 1
    ... model: {name: vgg}
    ... task: {name: digits}
    ... strategies:
    ...   - {strategy: prune, method: uniform, macs: 0.5}
    ...   - {strategy: fine_tune, end_epoch: 1}
    ... ''')
    >>> found = sl.Compressor(recipe).run(progress=False)
    >>> found.trial.profile.macs < 0.52 * found.baseline.profile.macs
    True
    """

    def __init__(  # noqa: PLR0913 - what a file can't hold comes beside it
        self,
        recipe: Recipe | str | Path,
        model: Layer | None = None,
        task: Task | None = None,
        *,
        folder: str | Path | None = None,
        output: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
        teachers: Mapping[str, Teacher] | None = None,
        workers: int = 1,
    ) -> None:
        self.recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
        self._folder = None if folder is None else Path(folder)
        default = None if self._folder is None else self._folder / "result"
        self._output = default if output is None else Path(output)
        _check_possible(self.recipe, self._output)
        check_shares(workers, self.recipe.batch_size)
        self._teachers = dict(teachers or {})
        check_teachers(self.recipe, self._teachers, workers)
        self._callbacks, self._workers = tuple(callbacks), workers
        self.task = task if task is not None else _task(self.recipe)
        self.model = model if model is not None else _model(self.recipe, self.task)

    def run(self, *, progress: bool = True) -> Compression:
        """Carry the recipe out, or go on with it.

        Raises
        ------
        SlimLabError
            When the loss or a gradient is no longer finite, with the step and the first such layer.
        WorkerError
            When a worker died or failed; the same run goes on from the last checkpoint.
        ArtifactError
            When the checkpoints in the folder belong to another model or other data, none of them
            is whole, or the recipe was changed in a way that can't be joined to what was done.
        """
        return drain(self.iter_run(), progress=progress, title=self.recipe.name)

    def iter_run(self) -> Generator[Step[Record], None, Compression]:
        """Run step by step; `done` counts training steps, `item` is the latest record.

        Stopped early it writes a checkpoint, where there is a folder, and gives the model and the
        history as they are then; stopped among the exports, the whole result without those that
        are missing.

        Examples
        --------
        >>> import slimlab as sl
        >>> recipe = sl.load_recipe("uniform_pruning")
        >>> task = sl.load_task("digits")
        >>> model = sl.load_model("mobilenet_v1", task)
        >>> steps = sl.Compressor(recipe, model, task).iter_run()
        >>> for step in steps:
        ...     if step.done == 1:
        ...         break
        >>> sl.finish_early(steps).complete
        False
        """
        group = launched()
        writes = group is None or group.rank == 0  # of launched processes one
        scans = self._folder / SCANS if self._folder is not None and writes else None
        scene = Scene(self.recipe, self.task, self.model, scans, self._teachers)
        if self._output is not None:
            remove_left_overs(self._output, (MODEL, NUMBERS, *self.recipe.export))
        checkpoints, identity = None, {}
        if self._folder is not None:
            keep = self.recipe.checkpoint.keep
            checkpoints = Checkpoints(self._folder / CHECKPOINTS, keep, writes=writes)
            identity = {"model": fingerprint(self.model), "task": self.task.fingerprint()}
            identity |= {
                f"teacher {name}": fingerprint(model)
                for name, model in self._teachers.items()
                if isinstance(model, Layer)
            }
        run = Run(scene, self._callbacks, checkpoints, identity, workers=self._workers)
        notes = self._resume(run, checkpoints, identity)
        if group is not None:
            group.end(run.position.step)  # nobody writes what another still reads
        for note in notes:
            warnings.warn(note, SlimLabWarning, stacklevel=2)
        trials: list[Trial] = []
        try:
            yield from run.steps()
            for name, model in (("before", self.model), (self.recipe.name, run.model)):
                measuring = iter_measure_trial(name, model, self.task, latency=False)
                trials.append((yield from _measured(measuring, run)))
        except Stopped:
            run.save()
        result = Compression(
            self.recipe, run.model, run.history, acted=run.scene.acted, notes=notes
        )
        result.model.eval()
        if len(trials) < 2:
            return result
        trial = replace(trials[1], history=run.history)
        result = replace(result, baseline=trials[0], trial=trial)
        if self._output is not None and writes:
            write_outputs(result, self._output)
            if self.recipe.export:
                # The model is safe by now; a file that does not agree with it takes nothing along.
                exports = yield from self._exported(result, run)
                result = replace(result, exports=exports)
                write_outputs(result, self._output)
        return result

    def _exported(
        self, result: Compression, run: Run
    ) -> Generator[Step[Record], None, tuple[ExportReport, ...]]:
        """Write each format of the recipe into a folder of its name, checked on the test images.

        Stopped early it gives those that are whole.
        """
        assert self._output is not None
        reports: list[ExportReport] = []
        try:
            for name in self.recipe.export:
                exporting = iter_export(result.model, self._output / name, self.task, format=name)
                reports.append((yield from _measured(exporting, run)))
        except Stopped:
            pass
        return tuple(reports)

    def _resume(
        self, run: Run, checkpoints: Checkpoints | None, identity: dict[str, str]
    ) -> tuple[str, ...]:
        """Go on from the newest checkpoint, where there is one; say what a person should know."""
        if checkpoints is None:
            return ()
        checkpoints.clean()
        state, passed = checkpoints.newest()
        if state is None:
            return ()
        _check_identity(state, identity, checkpoints.folder)
        changes, goes_on = compare_courses(state, self.recipe)
        run.resume(state if goes_on else replace(state, training=False))
        return (*passed, *changes)


def _check_possible(recipe: Recipe, output: Path | None) -> None:
    """Refuse what can't be carried out before anything is done."""
    for name in recipe.export:
        if name not in FORMATS:
            msg = (
                f"This version of SlimLab does not export {name!r}; it knows "
                f"{', '.join(sorted(FORMATS))}. Change `export` in the recipe."
            )
            raise RecipeError(msg, export=name)
    if recipe.export and output is None:
        msg = (
            f"The recipe exports {', '.join(recipe.export)}, but there is no place for the files: "
            "give folder= or output=."
        )
        raise RecipeError(msg, export=recipe.export)


def _task(recipe: Recipe) -> Task:
    if recipe.task is None:
        msg = "The recipe names no task; add `task: {name: ...}` to it, or give task=."
        raise RecipeError(msg)
    return task_of(recipe.task)


def _model(recipe: Recipe, task: Task) -> Layer:
    if recipe.model is None:
        msg = "The recipe names no model; add `model: {name: ...}` to it, or give model=."
        raise RecipeError(msg)
    with drawing(recipe.seed, MODELS, 0):
        return model_of(recipe.model, task)


def _check_identity(state: State, identity: dict[str, str], folder: Path) -> None:
    for what, mine in identity.items():
        if state.identity.get(what) != mine:
            words = {"model": "another model (or other weights)", "task": "other data"}
            named = words.get(what, f"another {what} (or other weights)")
            msg = (
                f"The checkpoints in {folder} belong to {named}. Begin with what they were made "
                "with, or give another folder."
            )
            raise ArtifactError(msg, path=str(folder), differing=what)


def _measured(steps: Generator[Step[Any], None, Any], run: Run) -> Any:
    try:
        while True:
            step = next(steps)
            total = max(1, run.total)
            yield Step(run.position.step, total, f"measure {step.label}", run.history.records[-1])
    except StopIteration as end:
        return end.value
    finally:
        steps.close()

"""Floor 4. The run itself: acts at the beginning of epochs, training in between, checkpoints.

What comes next follows from the recipe and the position alone, so a run that goes on from a
checkpoint does exactly what it would have done.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from paddle.nn import Layer

from slimlab.compressor.checkpoints import Checkpoints, Position, State
from slimlab.compressor.pruning import Pruner
from slimlab.compressor.quantizing import Quantizer, follow_on, followed
from slimlab.compressor.scene import Acted, Actor, Scene
from slimlab.compressor.timetable import Act, Piece, acts, pieces
from slimlab.distill import DistillLoss
from slimlab.distill.distiller import Teacher
from slimlab.errors import ArtifactError, SlimLabError
from slimlab.evaluate import image_count, per_image
from slimlab.recipe import Distill
from slimlab.steps import Step
from slimlab.train import Callback, Event, History, Record, Training
from slimlab.train.snapshot import Snapshot, arrays_of, fill
from slimlab.train.together import working_together
from slimlab.train.trainer import Start, Trainer

LONGEST = 700  # characters of an error that is told as it is
ACTORS: dict[str, Actor] = {"prune": Pruner(), "quantize": Quantizer()}


class Run:
    """One run of a recipe: the only thing here that changes.

    Parameters
    ----------
    scene
        Recipe, data and the first model.
    callbacks
        Told of every event.
    checkpoints
        Where the state is written; nowhere when None.
    identity
        Hashes of the first model and of the data, for checkpoints.
    workers
        Processes that train together.
    """

    def __init__(
        self,
        scene: Scene,
        callbacks: Sequence[Callback] = (),
        checkpoints: Checkpoints | None = None,
        identity: dict[str, str] | None = None,
        *,
        workers: int = 1,
    ) -> None:
        self.scene = scene
        self._workers = workers
        self.position = Position()
        self._callbacks, self._checkpoints = tuple(callbacks), checkpoints
        self._identity = dict(identity or {})
        self._acts, self._pieces = acts(scene.recipe), pieces(scene.recipe)
        self._model = copy.deepcopy(scene.original)
        self._trainer: Trainer | None = None
        self._records: list[Record] = []
        self._written: tuple[Position, int] | None = None
        self._batches = max(1, len(scene.task.train) // scene.recipe.batch_size)

    @property
    def model(self) -> Layer:
        """What the run has made so far."""
        return self._model if self._trainer is None else self._trainer.model

    @property
    def history(self) -> History:
        """What was recorded so far."""
        return History(tuple(self._records))

    @property
    def total(self) -> int:
        """Training steps of the whole recipe."""
        return self._batches * self.scene.recipe.total_epochs

    def resume(self, state: State) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        ArtifactError
            When it does not fit what the recipe makes of the model.
        """
        try:
            self._restored(state)
        except Exception as error:  # a foreign hand wrote it: a checksum only tells of accidents
            if isinstance(error, SlimLabError) and len(str(error)) < LONGEST:
                raise
            what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            msg = (
                f"The checkpoint says what can't be made of the model ({what}). Give another folder"
                " to begin anew."
            )
            raise ArtifactError(msg) from error

    def _restored(self, state: State) -> None:
        at = state.position
        if at.step != at.epoch * self._batches + at.batch or at.batch > self._batches:
            msg = (
                f"The checkpoint is at step {at.step}, batch {at.batch} of epoch {at.epoch}; an "
                f"epoch has {self._batches} batches. Give another folder to begin anew."
            )
            raise ArtifactError(msg, position=at)
        model = copy.deepcopy(self.scene.original)
        for done in state.acted:
            scene = replace(self.scene, acted=state.acted)
            model = self._actor(done.act).rebuild(model, done.act, done.facts, scene)
        self.scene = replace(self.scene, acted=state.acted)
        self.position, self._records = state.position, list(state.history.records)
        self._model = model
        fill(model, state.snapshot.student, "the model")
        follow_on(model, state.quantizers)
        if state.training:
            piece = self._piece(state.position.epoch)
            self._trainer = self._made(piece)
            self._trainer.restore(state.snapshot)

    def steps(self) -> Generator[Step[Record], None, None]:
        """Carry the recipe out from where the run is."""
        recipe = self.scene.recipe
        if not self._records:
            self._records = [Record(0, 0.0, None, recipe.training.learning_rate)]
            yield from self._measure(recipe.training.build())
            self._tell("start")
        yield from self._act()
        while self.position.epoch < recipe.total_epochs:
            yield from self._epoch()
            yield from self._act()
        self._write()
        self._tell("end")

    def save(self) -> None:
        """Write a checkpoint now, where there is a folder for them."""
        self._write()

    def _act(self) -> Generator[Step[Record], None, None]:
        """Carry out what is due at the beginning of the epoch that comes."""
        for act in self._acts[len(self.scene.acted) :]:
            if act.epoch > self.position.epoch:
                return
            self._hand_over()
            strategy = self.scene.recipe.strategies[act.strategy]
            acting = self._actor(act).act(self._model, act, self.scene)
            self._model, facts = yield from self._labelled(acting, strategy.strategy)
            self.scene = replace(self.scene, acted=(*self.scene.acted, Acted(act, facts)))
            self._write()
            self._tell("strategy")

    def _epoch(self) -> Generator[Step[Record], None, None]:
        """Train for one epoch, or for what is left of it."""
        epoch, recipe = self.position.epoch, self.scene.recipe
        piece = self._piece(epoch)
        if epoch == piece.start and self.position.batch == 0:
            self._hand_over()
        if self._trainer is None:
            self._trainer = self._made(piece)
        trainer, settings = self._trainer, piece.training.build()
        size, count = recipe.batch_size, self._batches
        batches = partial(trainer.batches, epoch, size, count, skip=self.position.batch)
        with working_together(trainer, self._workers, batches):
            for x, labels in batches():
                rate = trainer.learning_rate
                loss, parts = trainer.step(x, labels)
                at = self.position
                self.position = replace(at, batch=at.batch + 1, step=at.step + 1)
                passed = self.position.step / self._batches
                self._records.append(Record(at.step + 1, passed, loss, rate, parts=parts))
                self._tell("step")
                yield self._step(f"epoch {epoch + 1} of {recipe.total_epochs}")
                self._write_inside()
        last = epoch + 1 == recipe.total_epochs
        if (epoch + 1) % settings.evaluate_every == 0 or last:
            yield from self._measure(settings)
        self.position = Position(epoch + 1, 0, self.position.step)
        self._tell("epoch")
        if (epoch + 1) % recipe.checkpoint.every == 0:
            self._write()

    def _hand_over(self) -> None:
        """End the piece under way: its average, where it keeps one, is what goes on."""
        remembered = followed(self._model)  # an average's own are those of its beginning
        self._model, self._trainer = self.model, None
        follow_on(self._model, remembered)
        self._model.eval()

    def _made(self, piece: Piece) -> Trainer:
        """Give a trainer for a piece, which may have begun before."""
        recipe, position = self.scene.recipe, self.position
        teachers: dict[str, Teacher] | None = None
        losses: tuple[DistillLoss, ...] | None = None
        since = 0
        if piece.distill is not None:
            strategy = recipe.strategies[piece.distill]
            assert isinstance(strategy, Distill)
            teachers, losses = self.scene.teachers(strategy), strategy.losses
            since = strategy.start_epoch
        trainer = Trainer(
            self._model,
            self.scene.task,
            piece.training.build(),
            teachers=teachers,
            losses=losses,
            seed=recipe.seed,
        )
        start = Start(
            done=position.step - piece.first * self._batches,
            step=position.step,
            epoch=position.step / self._batches - since,
        )
        steps = (piece.last - piece.first) * self._batches
        trainer.schedule(piece.training.learning_rate, steps, self._batches, start)
        return trainer

    def _piece(self, epoch: int) -> Piece:
        return next(piece for piece in self._pieces if piece.start <= epoch < piece.end)

    def _actor(self, act: Act) -> Actor:
        return ACTORS[self.scene.recipe.strategies[act.strategy].strategy]

    def _measure(self, settings: Training) -> Generator[Step[Record], None, None]:
        """Evaluate the main metric, and put it into the latest record."""
        task, model = self.scene.task, self.model
        count, score = image_count(task, settings.evaluate_images), 0.0
        for batch in per_image(model, task, images=settings.evaluate_images):
            score += float(batch.sum(dtype=np.float64))
            yield self._step("evaluate")
        metric = score / count * task.metric.scale
        self._records[-1] = replace(self._records[-1], metric=metric)

    def _labelled(self, steps: Generator[Step[Any], None, Any], label: str) -> Any:
        """Pass another work's steps on as this run's; its result."""
        try:
            while True:
                step = next(steps)
                share = 100 * step.done // max(1, step.total)
                yield self._step(f"{label}: {step.label} {share} %")
        except StopIteration as end:
            return end.value
        finally:
            steps.close()

    def _step(self, label: str) -> Step[Record]:
        return Step(self.position.step, max(1, self.total), label, self._records[-1])

    def _tell(self, kind: Literal["start", "step", "epoch", "end", "strategy"]) -> None:
        for callback in self._callbacks:
            callback(Event(kind, self._records[-1], self._model))

    def _write_inside(self) -> None:
        every, at = self.scene.recipe.checkpoint.steps, self.position
        # The end of an epoch has its own, after the evaluation.
        if every is not None and at.step % every == 0 and at.batch < self._batches:
            self._write()

    def _write(self) -> None:
        now = (self.position, len(self.scene.acted))
        if self._checkpoints is None or now == self._written:
            return
        self._written = now
        epoch = self.position.epoch
        goes_on = self._trainer is not None and epoch < self.scene.recipe.total_epochs
        goes_on = goes_on and (self.position.batch > 0 or self._piece(epoch).start < epoch)
        if self._trainer is not None and goes_on:
            snapshot = self._trainer.snapshot()
        else:
            snapshot = Snapshot(student=arrays_of(self.model))
        state = State(
            self.scene.recipe, self._identity, self.position, self.scene.acted, self.history,
            snapshot, goes_on, followed(self._model),
        )  # fmt: skip
        self._checkpoints.write(state)

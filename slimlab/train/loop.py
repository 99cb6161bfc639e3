"""Floor 2. The loop of a training: epochs, evaluations, and what to give when it is stopped."""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from paddle.nn import Layer

from slimlab.distill import DistillLoss
from slimlab.distill.distiller import Teachers
from slimlab.errors import SlimLabError
from slimlab.evaluate import image_count, per_image
from slimlab.steps import Step, Stopped, drain
from slimlab.task import Task
from slimlab.train.history import History, Record
from slimlab.train.settings import Event, Training
from slimlab.train.together import check_shares, working_together
from slimlab.train.trainer import Start, Trainer


def fine_tune(  # noqa: PLR0913 - each is set often enough to have its name here
    model: Layer,
    task: Task,
    *,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    batch_size: int = 128,
    seed: int = 0,
    teacher: Teachers | None = None,
    distill: Sequence[DistillLoss] | None = None,
    training: Training | None = None,
    first_epoch: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> tuple[Layer, History]:
    """Train a copy of a model.

    The learning rate follows a cosine from `learning_rate` to 0, or what `training` says. Batches,
    augmentation and dropout are drawn from `seed` alone; the global random states of Paddle and
    NumPy are left as they were.

    Parameters
    ----------
    model
        What to start from; it is not changed.
    task
        Gives the training images, the augmentation, the loss, and the main metric.
    epochs
        Passes over the training data, at least 1. Images that don't fill a last batch are left out
        of a pass.
    learning_rate
        The highest.
    batch_size
        Images in a step.
    seed
        Same seed, same weights.
    teacher
        A model to learn from as well, or several by name. They are run in evaluation mode without
        gradients, and are not changed.
    distill
        What is learned from them: losses such as `SoftLabel`, `L2`, `FSP`, in any number, added to
        the task's. When None, the teacher's softened outputs (Hinton et al. 2015).
    training
        The rest; see `Training`.
    first_epoch
        Epochs of training that lie behind: batches and random numbers are those of a longer run
        from there, as in a recipe with several trainings.
    workers
        Processes that train together, each on its part of every batch (Linux). Weights and loss are
        those of one process but for the order in which numbers are added, where the model has no
        BatchNorm (each worker's own images are normalized together) and no dropout.
    progress
        Show a progress bar.

    Returns
    -------
    model, history
        The trained copy, its layers in the modes of `model`'s layers, and what happened.

    Raises
    ------
    SlimLabError
        When the loss or a gradient is no longer finite, with the step and the first such layer as
        attributes, or an argument can't be used.
    DistillError
        When a loss doesn't fit the models: before the first step, naming layers and shapes.
    TaskError
        When the model's output doesn't fit the task.
    WorkerError
        When a worker dies, fails, or can't be started.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> tuned, history = sl.fine_tune(model, task, epochs=1, progress=False)
    >>> history.to_frame().columns.tolist()
    ['step', 'epoch', 'loss', 'learning_rate', 'metric']
    >>> losses = [sl.SoftLabel(weight=0.5), sl.L2(student="classifier", teacher="classifier")]
    >>> _, history = sl.fine_tune(model, task, teacher=model, distill=losses, progress=False)
    >>> history.to_frame().columns.tolist()[5:]
    ['loss.task', 'loss.soft_label', 'loss.l2(classifier)']
    """
    steps = iter_fine_tune(
        model,
        task,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        teacher=teacher,
        distill=distill,
        training=training,
        first_epoch=first_epoch,
        workers=workers,
    )
    return drain(steps, progress=progress, title="Fine-tune")


def iter_fine_tune(  # noqa: PLR0913 - the same as fine_tune
    model: Layer,
    task: Task,
    *,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    batch_size: int = 128,
    seed: int = 0,
    teacher: Teachers | None = None,
    distill: Sequence[DistillLoss] | None = None,
    training: Training | None = None,
    first_epoch: int = 0,
    workers: int = 1,
) -> Generator[Step[History], None, tuple[Layer, History]]:
    """Train step by step; `done` counts training steps, `item` holds the history so far.

    `item` is None while a test batch is evaluated. Stopped early it returns the model and the
    history as they are then. The arguments are those of `fine_tune`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> steps = sl.iter_fine_tune(model, task, epochs=5)
    >>> for step in steps:
    ...     if step.done == 2:
    ...         break
    >>> tuned, history = sl.finish_early(steps)
    >>> max(record.step for record in history.records)
    2
    """
    if epochs < 1 or batch_size < 1 or not learning_rate > 0 or first_epoch < 0:
        msg = (
            f"epochs ({epochs}) and batch_size ({batch_size}) must be at least 1, "
            f"learning_rate ({learning_rate}) above 0, first_epoch ({first_epoch}) not below 0."
        )
        raise SlimLabError(msg, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    check_shares(workers, batch_size, teacher)
    settings = training or Training()
    per_epoch = max(1, len(task.train) // batch_size)
    total = epochs * per_epoch
    student = copy.deepcopy(model)
    modes = [layer.training for layer in student.sublayers(include_self=True)]
    trainer = Trainer(student, task, settings, teachers=teacher, losses=distill, seed=seed)
    start = Start(step=first_epoch * per_epoch)
    trainer.schedule(learning_rate, total, per_epoch, start)
    records = [Record(0, 0.0, None, trainer.learning_rate)]
    label = f"epoch 1 of {epochs}"

    def tell(kind: Literal["start", "step", "epoch", "end"]) -> None:
        settings.tell(Event(kind, records[-1], student))

    try:
        records[-1] = yield from _measured(trainer.model, task, records[-1], settings, total)
        yield Step(0, total, label, History(tuple(records)))
        tell("start")
        for epoch in range(epochs):
            label = f"epoch {epoch + 1} of {epochs}"
            batches = partial(trainer.batches, first_epoch + epoch, batch_size, per_epoch)
            with working_together(trainer, workers, batches):
                for x, labels in batches():
                    rate = trainer.learning_rate
                    loss, parts = trainer.step(x, labels)
                    done = records[-1].step + 1
                    records.append(Record(done, done / per_epoch, loss, rate, parts=parts))
                    tell("step")
                    yield Step(done, total, label, History(tuple(records)))
            if (epoch + 1) % settings.evaluate_every == 0 or epoch + 1 == epochs:
                now = records[-1]
                records[-1] = yield from _measured(trainer.model, task, now, settings, total)
            tell("epoch")
            yield Step(records[-1].step, total, label, History(tuple(records)))
        tell("end")
    except Stopped:
        pass
    result = trainer.model
    _leave(result, modes)
    return result, History(tuple(records))


def _leave(model: Layer, modes: Sequence[bool]) -> None:
    """Give layers the modes that they had, and take the gradients away."""
    for layer, mode in zip(model.sublayers(include_self=True), modes, strict=True):
        layer.training = mode
    model.clear_gradients(set_to_zero=False)


def _measured(
    model: Layer, task: Task, record: Record, settings: Training, total: int
) -> Generator[Step[History], None, Record]:
    """Evaluate the main metric batch by batch, and give the record with it."""
    images = settings.evaluate_images
    count, score = image_count(task, images), 0.0
    for batch in per_image(model, task, images=images):
        score += float(batch.sum(dtype=np.float64))
        yield Step(record.step, total, "evaluate")
    return replace(record, metric=score / count * task.metric.scale)

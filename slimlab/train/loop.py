"""Floor 2. The loop of a training: epochs, evaluations, and what to give when it is stopped."""

from __future__ import annotations

import copy
import math
from collections.abc import Generator

import numpy as np
from paddle.nn import Layer

from slimlab.errors import SlimLabError
from slimlab.evaluate import image_count, per_image
from slimlab.steps import Step, Stopped, drain
from slimlab.task import Task
from slimlab.train.history import History, Record
from slimlab.train.trainer import Trainer, Training


def fine_tune(  # noqa: PLR0913 - each is set often enough to have its name here
    model: Layer,
    task: Task,
    *,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    batch_size: int = 128,
    seed: int = 0,
    teacher: Layer | None = None,
    training: Training | None = None,
    progress: bool = True,
) -> tuple[Layer, History]:
    """Train a copy of a model.

    The learning rate follows a cosine from `learning_rate` to 0. Batches, augmentation and dropout
    are drawn from `seed` alone; the global random states of Paddle and NumPy are left as they were.

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
        A model whose softened outputs are learned as well (Hinton et al. 2015).
    training
        The rest; see `Training`.
    progress
        Show a progress bar.

    Returns
    -------
    model, history
        The trained copy, its layers in the modes of `model`'s layers, and what happened.

    Raises
    ------
    SlimLabError
        When the loss is no longer finite, with the step as attribute, or an argument can't be used.
    TaskError
        When the model's output doesn't fit the task.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> tuned, history = sl.fine_tune(model, task, epochs=1, progress=False)
    >>> history.to_frame().columns.tolist()
    ['step', 'epoch', 'loss', 'learning_rate', 'metric']
    """
    steps = iter_fine_tune(
        model,
        task,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        teacher=teacher,
        training=training,
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
    teacher: Layer | None = None,
    training: Training | None = None,
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
    if epochs < 1 or batch_size < 1 or not learning_rate > 0:
        msg = (
            f"epochs ({epochs}) and batch_size ({batch_size}) must be at least 1, and "
            f"learning_rate ({learning_rate}) above 0."
        )
        raise SlimLabError(msg, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    settings = training or Training()
    per_epoch = max(1, len(task.train) // batch_size)
    total = epochs * per_epoch
    student = copy.deepcopy(model)
    modes = [(layer, layer.training) for layer in student.sublayers(include_self=True)]
    trainer = Trainer(student, task, settings, teacher=teacher, seed=seed)
    trainer.schedule(learning_rate, total)
    records = [Record(0, 0.0, None, trainer.learning_rate)]
    label = f"epoch 1 of {epochs}"
    try:
        records[-1] = yield from _measured(student, task, records[-1], settings, total)
        yield Step(0, total, label, History(tuple(records)))
        for epoch in range(epochs):
            label = f"epoch {epoch + 1} of {epochs}"
            for x, labels in trainer.batches(epoch, batch_size, per_epoch):
                rate = trainer.learning_rate
                done = len(records)
                loss = trainer.step(x, labels)
                _check_finite(loss, done, rate)
                records.append(Record(done, done / per_epoch, loss, rate))
                yield Step(done, total, label, History(tuple(records)))
            records[-1] = yield from _measured(student, task, records[-1], settings, total)
            yield Step(records[-1].step, total, label, History(tuple(records)))
    except Stopped:
        pass
    for layer, mode in modes:
        layer.training = mode
    student.clear_gradients(set_to_zero=False)
    return student, History(tuple(records))


def _measured(
    student: Layer, task: Task, record: Record, settings: Training, total: int
) -> Generator[Step[History], None, Record]:
    """Evaluate the main metric batch by batch, and give the record with it."""
    images = settings.evaluate_images
    count, score = image_count(task, images), 0.0
    for batch in per_image(student, task, images=images):
        score += float(batch.sum(dtype=np.float64))
        yield Step(record.step, total, "evaluate")
    metric = score / count * task.metric.scale
    return Record(record.step, record.epoch, record.loss, record.learning_rate, metric)


def _check_finite(loss: float, step: int, learning_rate: float) -> None:
    if not math.isfinite(loss):
        msg = (
            f"The loss became {loss} at step {step}, at a learning rate of {learning_rate:.3g}; "
            "try a smaller learning rate, and look for extreme values in the images."
        )
        raise SlimLabError(msg, step=step, loss=loss, learning_rate=learning_rate)

"""Floor 2. Quantize a model: put quantizers in, calibrate, train, settle."""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence

import paddle
from paddle.nn import Layer

from slimlab.distill import DistillLoss
from slimlab.distill.distiller import Teachers
from slimlab.errors import PlanError
from slimlab.layers import sublayers
from slimlab.prune import ARCHITECTURE, architecture
from slimlab.quantize.biases import settle_biases
from slimlab.quantize.calibration import calibrate, calibration_batches, calibration_steps
from slimlab.quantize.config import QuantConfig
from slimlab.quantize.equalizing import equalize
from slimlab.quantize.grid import numbers_on_grid, top_of, whole_numbers
from slimlab.quantize.layout import install, is_quantized, lay_out
from slimlab.quantize.quantized import activation_quantizers, quantizers, weight_quantizers
from slimlab.quantize.survey import survey
from slimlab.steps import Step, Stopped, drain, finish_early
from slimlab.task import Task
from slimlab.train import History, Training, iter_fine_tune


def quantize(  # noqa: PLR0913 - each is set often enough to have its name here
    model: Layer,
    task: Task,
    config: QuantConfig | None = None,
    *,
    epochs: int = 0,
    learning_rate: float = 1e-4,
    batch_size: int = 128,
    seed: int = 0,
    teacher: Teachers | None = None,
    distill: Sequence[DistillLoss] | None = None,
    training: Training | None = None,
    first_epoch: int = 0,
    progress: bool = True,
) -> Layer:
    """Copy a model with its convolutions and linear layers computed on grids of few bits.

    Without epochs the scales are chosen on calibration images (post-training quantization); with
    epochs the weights are trained on the grids besides (quantization-aware training, Jacob et al.
    2018, 1712.05877).

    Parameters
    ----------
    model
        In float: trained, pruned or distilled. It is not changed.
    task
        Gives calibration images, and for training what `fine_tune` reads.
    config
        What goes on which grid; `QuantConfig()` when None.
    epochs
        Passes over the training data.
    learning_rate, batch_size, seed, teacher, distill, training, first_epoch
        Of the training, as for `fine_tune`.
    progress
        Show a progress bar.

    Returns
    -------
    Layer
        The quantized copy, in evaluation mode. It computes in float32 what runtimes compute in
        whole numbers: its weights lie on their grids, activations are rounded as it runs.

    Raises
    ------
    PlanError
        When the model is quantized already, or no layer would be; when `config` asks for what
        doesn't go with `epochs`.
    UnsupportedOpError
        When Paddle can't trace the model.
    SlimLabError
        What `fine_tune` raises.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> int8 = sl.quantize(model, task, sl.QuantConfig(weight="abs_max"), progress=False)
    >>> before, after = (sl.evaluate(m, task)["top1"] for m in (model, int8))
    >>> abs(before - after) < 1
    True
    """
    steps = iter_quantize(
        model,
        task,
        config,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        teacher=teacher,
        distill=distill,
        training=training,
        first_epoch=first_epoch,
    )
    return drain(steps, progress=progress, title="Quantize")


def iter_quantize(  # noqa: PLR0913 - the same as quantize
    model: Layer,
    task: Task,
    config: QuantConfig | None = None,
    *,
    epochs: int = 0,
    learning_rate: float = 1e-4,
    batch_size: int = 128,
    seed: int = 0,
    teacher: Teachers | None = None,
    distill: Sequence[DistillLoss] | None = None,
    training: Training | None = None,
    first_epoch: int = 0,
) -> Generator[Step[History], None, Layer]:
    """Quantize step by step: batches of calibration, then training steps.

    `item` holds the history of the training so far; None before it. Stopped early it returns the
    model as it is then, with scales from at least one batch. The arguments are those of `quantize`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> config = sl.QuantConfig(calibration_images=64)
    >>> [step.label for step in sl.iter_quantize(model, task, config)][-1]
    'calibrate'
    """
    asked = config or QuantConfig()
    _check(model, asked, epochs)
    fresh = prepared(model, task, asked)
    total = calibration_steps(fresh, task, asked)
    try:
        yield from calibrate(fresh, task, asked)
        if epochs:
            if asked.lsq:
                learn_scales(fresh)
            steps = iter_fine_tune(
                fresh,
                task,
                epochs=epochs,
                learning_rate=learning_rate,
                batch_size=batch_size,
                seed=seed,
                teacher=teacher,
                distill=distill,
                training=training,
                first_epoch=first_epoch,
            )
            fresh = yield from _trained(steps, total)
    except Stopped:
        pass
    return settled(fresh)


def _check(model: Layer, config: QuantConfig, epochs: int) -> None:
    if is_quantized(model):
        msg = (
            f"This {type(model).__name__} is quantized already; quantize the model that it was "
            "made from, or train it on with sl.fine_tune."
        )
        raise PlanError(msg, model=type(model).__name__)
    if epochs < 0 or (config.lsq and epochs == 0):
        msg = f"epochs is {epochs}; it must be 0 or more, and 1 or more with lsq=True."
        raise PlanError(msg, epochs=epochs)
    if epochs and config.adaround:
        msg = (
            f"adaround={config.adaround} chooses the rounding once; epochs={epochs} would train "
            "the weights on; use one of the two."
        )
        raise PlanError(msg, epochs=epochs, adaround=config.adaround)


def prepared(model: Layer, task: Task, config: QuantConfig) -> Layer:
    """Copy a model with quantizers put in that have seen nothing yet.

    Raises
    ------
    PlanError
        When no layer would be quantized.
    UnsupportedOpError
        When Paddle can't trace the model.
    """
    found = survey(model, task.example)
    fresh = copy.deepcopy(model)
    fresh.eval()
    layout = lay_out(model, found, config)
    install(fresh, layout)
    fresh.eval()
    equalize(fresh, layout.equalized, task.example, calibration_batches(task, config))
    if not hasattr(fresh, ARCHITECTURE):
        object.__setattr__(fresh, ARCHITECTURE, architecture(model))
    return fresh


def _trained(
    steps: Generator[Step[History], None, tuple[Layer, History]], before: int
) -> Generator[Step[History], None, Layer]:
    """Pass the steps of a training on, counted after those before it; give the model."""
    try:
        while True:
            step = next(steps)
            try:
                yield Step(step.done + before, step.total + before, step.label, step.item)
            except Stopped:
                return finish_early(steps)[0]
    except StopIteration as stop:
        return stop.value[0]
    finally:
        steps.close()


def learn_scales(model: Layer) -> None:
    """Make the scales of a scratch model parameters, in place.

    Those of weights start as in LSQ, section 2.1, and never above the largest magnitude.
    """
    layers = sublayers(model)
    for name, quantizer in weight_quantizers(model).items():
        weight = layers[name].weight
        others = [n for n in range(len(weight.shape)) if n != quantizer.axis]
        mean = weight.abs().mean(axis=others).reshape(quantizer.scale.shape)
        start = 2 * mean * top_of(quantizer.bits) ** 0.5
        quantizer.set_scale(paddle.minimum(start, quantizer.scale_of(weight)).numpy())
    for each in quantizers(model):
        each.learn()


def settled(model: Layer) -> Layer:
    """Make the scales of a scratch model final, in place; put its weights and biases on grids."""
    layers = sublayers(model)
    for name, quantizer in weight_quantizers(model).items():
        weight = layers[name].weight
        if not quantizer.settled and not quantizer.learned:
            quantizer.set_scale(quantizer.scale_of(weight).numpy())
        quantizer.settle()
        grid = (quantizer.scale.numpy(), quantizer.axis, quantizer.bits)
        on_it = numbers_on_grid(whole_numbers(weight.numpy(), *grid), *grid)
        weight.set_value(paddle.to_tensor(on_it))
    for activation in activation_quantizers(model):
        activation.settle()
    settle_biases(model)
    model.eval()
    return model

"""Floor 2. Estimate BatchNorm statistics anew on a few images, since pruning makes them wrong.

Statistics that a network was trained with belong to its old channels. A few forward passes without
gradients give those of the new ones, and how well a pruned network does with them says far better
than before which pruning will be best after fine-tuning (Li et al., EagleEye: Fast Sub-net
Evaluation for Efficient Neural Network Pruning, ECCV 2020, 2007.02491). Knows no plans and no
ratios; changes no weight.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import paddle
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import TaskError
from slimlab.layers import evaluating
from slimlab.steps import Step, Stopped, drain
from slimlab.task import Task

IMAGES = 512  # enough for a mean and a variance a channel; more changes little
BATCH = 64  # the statistics of a network are those of batches, which must not be small


def recalibrate_bn(
    model: Layer,
    task: Task,
    *,
    images: int = IMAGES,
    batch_size: int = BATCH,
    progress: bool = False,
) -> Layer:
    """Copy a model with the statistics of its BatchNorms estimated anew.

    They become the plain average of the means and (biased) variances of the batches, weighted by
    their images; what was there before is forgotten. Each BatchNorm normalises by the batch
    meanwhile, as in training; all other layers, dropout too, are in evaluation mode.

    Parameters
    ----------
    model
        It is not changed.
    task
        Whose calibration images are used, without augmentation and without their labels.
    images
        The first so many calibration images. A last batch that is not full is left out, unless it
        is the only one.
    batch_size
        Images in a batch.
    progress
        Show a progress bar.

    Returns
    -------
    Layer
        The copy, its layers in the modes of `model`'s; an equal one where nothing is a BatchNorm.

    Raises
    ------
    TaskError
        For fewer than two images or two a batch: one image has no variance.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> plan = sl.plan_pruning(model, graph, sl.uniform_ratios(graph, macs=0.5))
    >>> small = sl.prune(model, plan)
    >>> before, after = (sl.evaluate(m, task) for m in (small, sl.recalibrate_bn(small, task)))
    >>> after["top1"] > before["top1"]
    True
    """
    steps = iter_recalibrate_bn(model, task, images=images, batch_size=batch_size)
    return drain(steps, progress=progress, title="Recalibrate")


def iter_recalibrate_bn(
    model: Layer, task: Task, *, images: int = IMAGES, batch_size: int = BATCH
) -> Generator[Step[None], None, Layer]:
    """Estimate batch by batch; `done` counts batches.

    Stopped early it returns the copy with the statistics of the batches seen until then (with those
    it had, when there was none). The arguments are those of `recalibrate_bn`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> [step.done for step in sl.iter_recalibrate_bn(model, task, images=128)]
    [1, 2]
    """
    batches = calibration_batches(task, images=images, batch_size=batch_size)
    total = _batch_count(task, images, batch_size)
    fresh = copy.deepcopy(model)
    average = RunningAverage(fresh)
    try:
        for done, x in enumerate(batches, start=1):
            average.add(x)
            yield Step(done, total, "BatchNorm statistics")
    except Stopped:
        pass
    return fresh


def calibration_batches(
    task: Task, *, images: int = IMAGES, batch_size: int = BATCH
) -> Iterator[Tensor]:
    """Give the images that statistics are estimated on, `(n, c, h, w)` a batch.

    Raises
    ------
    TaskError
        For fewer than two images or two a batch.
    """
    total = _batch_count(task, images, batch_size)
    return _first(task, images, batch_size, total)


def _first(task: Task, images: int, batch_size: int, total: int) -> Iterator[Tensor]:
    for number, (x, _) in enumerate(task.calibration.batches(batch_size, images=images)):
        if number < total:
            yield x


def _batch_count(task: Task, images: int, batch_size: int) -> int:
    there = min(images, len(task.calibration))
    if there < 2 or batch_size < 2:
        msg = (
            f"BatchNorm statistics can't be estimated on {there} calibration images, {batch_size} "
            "at once: a variance needs two or more."
        )
        raise TaskError(msg, images=there, batch_size=batch_size)
    return max(1, there // batch_size)


class RunningAverage:
    """Statistics of a scratch model's BatchNorms, averaged over the batches that are added.

    Between two additions the model can be used: it has the average so far. A BatchNorm that is
    called several times a pass averages over its calls. Those with `use_global_stats=True` keep
    their statistics.

    Parameters
    ----------
    model
        Changed in place, so never a user's own.

    Examples
    --------
    >>> import numpy as np, paddle
    >>> from slimlab.recalibrate import RunningAverage
    >>> model = paddle.nn.BatchNorm2D(1)
    >>> average = RunningAverage(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     average.add(paddle.full([4, 1, 2, 2], value))
    >>> round(model._mean.item(), 5)
    3.0
    """

    def __init__(self, model: Layer) -> None:
        self._model = model
        self._seen = dict.fromkeys(batch_norms(model), 0)

    def add(self, x: Tensor) -> None:
        """Run a batch `(n, c, h, w)` and let its statistics count as `n` images."""
        with evaluating(self._model), self._counting(len(x)), paddle.no_grad():
            self._model(x)

    @contextmanager
    def _counting(self, count: int) -> Iterator[None]:
        layers = batch_norms(self._model)
        momenta = {name: layer._momentum for name, layer in layers.items()}
        hooks = []
        for name, layer in layers.items():
            layer.training = True
            hooks.append(layer.register_forward_pre_hook(self._weigh(name, count)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for name, layer in layers.items():
                layer._momentum = momenta[name]

    def _weigh(self, name: str, count: int) -> Any:
        def before(layer: Layer, _: object) -> None:
            seen = self._seen[name]
            # What Paddle keeps of the old statistics; nothing of those before the first batch.
            layer._momentum = seen / (seen + count)
            self._seen[name] = seen + count

        return before


def batch_norms(model: Layer) -> dict[str, Layer]:
    """Structured name to every layer that keeps running statistics and may change them."""
    found = {}
    for name, layer in model.named_sublayers(include_self=True):
        statistics = all(hasattr(layer, a) for a in ("_mean", "_variance", "_momentum"))
        if statistics and getattr(layer, "_use_global_stats", None) is not True:
            found[name] = layer
    return found

"""Floor 2. What is chosen on calibration images: static scales, the rounding of weights, biases."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from paddle import Tensor
from paddle.nn import Layer

from slimlab.evaluate import inference, quick_batch
from slimlab.quantize.biases import correct_bias, correctable
from slimlab.quantize.config import QuantConfig
from slimlab.quantize.layout import layout_of
from slimlab.quantize.observers import make_observer
from slimlab.quantize.quantized import activation_quantizers, quantizers
from slimlab.quantize.quantizers import disabled
from slimlab.quantize.rounding import round_adaptively
from slimlab.quantize.watching import in_float
from slimlab.steps import Step
from slimlab.task import Task
from slimlab.train import History

BATCH = 32  # images that flow through at once


def calibration_images(task: Task, config: QuantConfig) -> int:
    """Images that scales are chosen on."""
    there = len(task.calibration)
    return min(there, config.calibration_images or there)


def calibration_batches(task: Task, config: QuantConfig) -> Iterator[Tensor]:
    """Batches of the images that scales are chosen on, ``(n, c, h, w)`` each."""
    size = min(quick_batch(task), BATCH)
    for x, _ in task.calibration.batches(size, images=calibration_images(task, config)):
        yield x


def calibration_steps(model: Layer, task: Task, config: QuantConfig) -> int:
    """How many steps `calibrate` takes with a scratch model."""
    return _scale_steps(task, config) + len(_layer_work(model, config))


def _scale_steps(task: Task, config: QuantConfig) -> int:
    """How many batches choose scales; none where nothing static is to be chosen."""
    if config.activation == "abs_max":
        return 0
    return -(-calibration_images(task, config) // min(quick_batch(task), BATCH))


def _layer_work(model: Layer, config: QuantConfig) -> list[tuple[str, str]]:
    """What is done to single layers, in their order: pairs (what, layer)."""
    layout = layout_of(model)
    names = [each.layer for each in layout.placed if each.weight_bits] if layout else []
    may = set(correctable(model))
    return [("round", name) for name in names if config.adaround] + [
        ("correct", name) for name in names if config.correct_bias and name in may
    ]


def calibrate(
    model: Layer, task: Task, config: QuantConfig
) -> Generator[Step[History], None, None]:
    """Choose scales of a scratch model from what flows through it in float, in place; then, where
    `config` asks for it, the rounding of weights and the biases.
    """
    total = calibration_steps(model, task, config)
    done = 0
    watching = activation_quantizers(model) if _scale_steps(task, config) else []
    for quantizer in watching:
        quantizer.observer = make_observer(config, quantizer.bits)
    try:
        for x in calibration_batches(task, config) if watching else ():
            with disabled(quantizers(model)), inference(model):
                model(x)
            done += 1
            yield Step(done, total, "calibrate")
    finally:
        for quantizer in watching:
            quantizer.calibrated()
    work = _layer_work(model, config)
    if not work:
        return
    batches, reference = list(calibration_batches(task, config)), in_float(model)
    for what, name in work:
        if what == "round":
            round_adaptively(model, reference, name, batches, steps=config.adaround)
        else:
            correct_bias(model, reference, name, batches)
        done += 1
        yield Step(done, total, f"{what} {name}")

"""Floor 2. Where a training stopped being finite: the first layer, forwards or backwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import SlimLabError
from slimlab.layers import sublayers


def gradients_are_finite(parameters: Sequence[Tensor]) -> bool:
    """Whether every gradient is finite. Cheap: a sum of sums is finite only if all are, mostly."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients or math.isfinite(float(paddle.add_n([g.sum() for g in gradients]))):
        return True
    # Finite numbers may have a sum that is too large for a float32.
    return all(_is_finite(g) for g in gradients)


def loss_error(
    model: Layer, x: Tensor, parts: Sequence[tuple[str, float]], loss: float, *, step: int,
    learning_rate: float,
) -> SlimLabError:  # fmt: skip
    """Give the error of a loss that isn't finite; the forward pass is repeated to find where.

    Parameters
    ----------
    model
        As it was in the step, in the same mode.
    x
        The step's images.
    parts
        The parts of the loss with their names.
    loss, step, learning_rate
        What the sentence tells.
    """
    where, layer, _ = _in_the_forward_pass(model, x)
    if not where:
        bad = [name for name, value in parts if not math.isfinite(value)]
        what = f"Part {bad[0]!r} of the loss" if bad else "The loss itself"
        where = f"Every layer's output is finite. {what} is not."
    msg = (
        f"The loss became {loss} at step {step}, at a learning rate of {learning_rate:.3g}. "
        f"{where} Try a smaller learning rate, and look for extreme values in the images."
    )
    facts = {"step": step, "loss": loss, "learning_rate": learning_rate, "layer": layer or None}
    return SlimLabError(msg, **facts)


def gradient_error(
    model: Layer, x: Tensor, loss: float, *, step: int, learning_rate: float
) -> SlimLabError:
    """Give the error of gradients that aren't finite, with the layer that is nearest to the loss.

    The arguments are those of `loss_error`; the parameters hold the step's gradients.
    """
    where, found, order = _in_the_forward_pass(model, x)
    if not where:
        bad = {name: _bad_gradient(layer) for name, layer in sublayers(model).items()}
        bad = {name: parameter for name, parameter in bad.items() if parameter}
        # Gradients run backwards: the last layer that was called is the first to have its own.
        found = max(bad, key=lambda name: order.get(name, -1), default="")
        whose = f"{bad[found]!r} of layer {found!r}" if bad else "a distillation adapter"
        if found:
            whose += f" ({type(sublayers(model)[found]).__name__})"
        where = f"Going back from the loss, the first is that of {whose}."
    msg = (
        f"A gradient is not finite at step {step}, where the loss was {loss:.4g}, at a learning "
        f"rate of {learning_rate:.3g}. {where} Try a smaller learning rate, or "
        "Training(clip_norm=...)."
    )
    facts = {"step": step, "loss": loss, "learning_rate": learning_rate, "layer": found or None}
    return SlimLabError(msg, **facts)


def _bad_gradient(layer: Layer) -> str:
    """Name a layer's own parameter whose gradient isn't finite; nothing where there is none."""
    for name, parameter in layer._parameters.items():
        gradient = None if parameter is None else parameter.grad
        if gradient is not None and not _is_finite(gradient):
            return str(name)
    return ""


def _in_the_forward_pass(model: Layer, x: Tensor) -> tuple[str, str, dict[str, int]]:
    """Say what isn't finite on the way to the output, with the layer, and the order of calls."""
    order, layer, type_ = forward_order(model, x)
    if not _is_finite(x):
        return "The images themselves hold values that are not finite.", "", order
    if layer:
        what = f"The first output that is not finite is that of layer {layer!r} ({type_})."
        return what, layer, order
    return "", "", order


def forward_order(model: Layer, x: Tensor) -> tuple[dict[str, int], str, str]:
    """Run a model and look at each layer's output.

    Returns
    -------
    order, name, type
        Each layer's place in the order in which calls end (the last place of a layer that is called
        again), and the first layer whose output isn't finite; empty words where all are.
    """
    order: dict[str, int] = {}
    found: list[tuple[str, str]] = []

    def watching(name: str) -> Callable[..., None]:
        def watch(layer: Layer, inputs: Any, output: Any) -> None:
            order.pop(name, None)
            order[name] = len(order)
            outputs = output if isinstance(output, list | tuple) else [output]
            if not found and not all(_is_finite(o) for o in outputs if isinstance(o, Tensor)):
                found.append((name, type(layer).__name__))

        return watch

    handles = []
    try:
        for name, layer in sublayers(model).items():
            handles.append(layer.register_forward_post_hook(watching(name)))
        with paddle.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    places = {name: place for place, name in enumerate(order)}
    return places, *(found[0] if found else ("", ""))


def _is_finite(tensor: Tensor) -> bool:
    return not paddle.is_floating_point(tensor) or bool(paddle.isfinite(tensor).all())

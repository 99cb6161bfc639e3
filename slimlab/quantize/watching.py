"""Floor 2. What single layers take and give while a model runs, up to the layer and no further."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from paddle import Tensor
from paddle.nn import Layer

from slimlab.evaluate import inference
from slimlab.quantize.quantized import quantizers


def in_float(model: Layer) -> Layer:
    """Copy a model with quantizers that let everything pass."""
    reference = copy.deepcopy(model)
    for quantizer in quantizers(reference):
        quantizer.enabled = False
    return reference


class _Enough(Exception):  # noqa: N818 - it is no error
    """The layer has run; what is behind it is not needed."""


def inputs_and_outputs(
    model: Layer, layer: Layer, batches: Iterable[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """What a layer that is called once takes and gives for each batch.

    Parameters
    ----------
    model
        Run in evaluation mode, without gradients, as its quantizers are set.
    layer
        One of its layers.
    batches
        Inputs of the model.
    """
    seen: list[tuple[Tensor, Tensor]] = []

    def watch(_: Layer, taken: tuple[Any, ...], made: Any) -> None:
        seen.append((taken[0], made))
        raise _Enough

    for x in batches:
        hook = layer.register_forward_post_hook(watch)
        try:
            with inference(model):
                model(x)
        except _Enough:
            pass
        finally:
            hook.remove()
        yield seen.pop()

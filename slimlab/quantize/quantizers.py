"""Floor 2. Quantizers: small layers that put a weight or an activation on its grid.

In evaluation mode each computes Paddle's `quantize_linear` and `dequantize_linear`, so that a
traced model exports as it is. A quantizer is made with its layer, calibrated or trained, and
settled: then its scale is a buffer that is saved with the model. Knows no model.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.quantize.config import QuantConfig
from slimlab.quantize.grid import LEAST, LearnedStep, StraightThrough, largest, on_grid, safe
from slimlab.quantize.observers import Observer
from slimlab.workers import agreed_largest, together


class Quantizer(Layer):
    """What weights' and activations' quantizers share.

    Parameters
    ----------
    bits
        2 to 8.
    axis
        The axis with a scale an index; None for one scale.
    channels
        Length of that axis; 1 for one scale.

    Attributes
    ----------
    enabled
        Whether it does anything; see `disabled`.
    settled
        Whether the scale is final.
    """

    scale: Tensor

    def __init__(self, bits: int, axis: int | None = None, channels: int = 1) -> None:
        super().__init__()
        self.bits, self.axis = bits, axis
        self.enabled, self.settled, self.learned = True, False, False
        self.register_buffer("scale", paddle.ones([channels]))

    def extra_repr(self) -> str:
        """Words for the layer's repr."""
        per = "" if self.axis is None else f", axis={self.axis}"
        return f"bits={self.bits}{per}"

    def set_scale(self, scale: NDArray[np.float32] | float) -> None:
        """Set the scale, or all of them; unusable ones become usable."""
        shape = tuple(self.scale.shape)
        numbers = np.broadcast_to(safe(np.asarray(scale, np.float32)), shape)
        self.scale.set_value(paddle.to_tensor(np.ascontiguousarray(numbers)))

    def learn(self) -> None:
        """Make the scale a parameter that is trained, from what it is now."""
        scale = self.scale
        del self._buffers["scale"]
        self._non_persistable_buffer_names_set.discard("scale")
        start = paddle.nn.initializer.Assign(scale.numpy())
        self.scale = self.create_parameter(scale.shape, default_initializer=start)
        self.learned = True

    def settle(self) -> None:
        """Make the scale final: a usable buffer."""
        numbers = self.scale.numpy()
        if self.learned:
            del self._parameters["scale"]
            self.register_buffer("scale", paddle.ones(list(numbers.shape)))
            self.learned = False
        self.set_scale(numbers)
        self.settled = True

    def rounded(self, x: Tensor, scale: Tensor) -> Tensor:
        """Put a tensor on the grid; with a gradient where something is trained."""
        if not (paddle.in_dynamic_mode() and paddle.is_grad_enabled()):
            return on_grid(x, scale, self.axis, self.bits)
        if self.learned:
            return LearnedStep.apply(x, scale.clip(min=LEAST), self.axis, self.bits)
        return StraightThrough.apply(x, scale.detach(), self.axis, self.bits)


class WeightQuantizer(Quantizer):
    """Puts a weight on the grid of its largest magnitude, until it is settled."""

    def forward(self, weight: Tensor) -> Tensor:
        """Give the weight on its grid."""
        if not self.enabled:
            return weight
        return self.rounded(weight, self.scale_of(weight))

    def scale_of(self, weight: Tensor) -> Tensor:
        """The scale that the weight has now."""
        return self.scale if self.settled or self.learned else largest(weight, self.axis).detach()


class ActivationQuantizer(Quantizer):
    """Puts an activation on a grid: see `QuantConfig.activation`.

    Parameters
    ----------
    config
        The kind of quantizer, and its bits.
    """

    def __init__(self, config: QuantConfig) -> None:
        super().__init__(config.activation_bits)
        self.kind, self.decay, self.follow = config.activation, config.decay, config.follow
        self.observer: Observer | None = None
        self._maxima: deque[float] = deque(maxlen=config.window)
        self._count, self._sum, self._batches = 0.0, 0.0, 0
        if self.dynamic:  # nothing is kept
            del self._buffers["scale"]

    @property
    def dynamic(self) -> bool:
        """Whether each batch has its own scale."""
        return bool(self.kind == "abs_max")

    @property
    def follows(self) -> bool:
        """Whether the next batch of a training moves the scale."""
        if self.dynamic or self.settled or self.learned:
            return False
        return self.follow is None or self._batches < self.follow

    def extra_repr(self) -> str:
        """Words for the layer's repr."""
        return f"{self.kind}, bits={self.bits}"

    def forward(self, x: Tensor) -> Tensor:
        """Give the activation on its grid; it is only watched while there is an observer."""
        if self.observer is not None:
            self.observer.see(x.numpy())
            return x
        if not self.enabled:
            return x
        if self.dynamic:
            scale = largest(x, None)
            if together():
                scale = paddle.full([1], agreed_largest(scale.item()))
            return self.rounded(x, scale)
        if self.training and self.follows:
            self._follow(agreed_largest(float(x.detach().abs().max())))
        return self.rounded(x, self.scale)

    def calibrated(self) -> None:
        """Take the scale of the observer, and go on without it."""
        if self.observer is not None and not self.dynamic:
            self.set_scale(self.observer.scale())
        self.observer = None

    def learn(self) -> None:
        """Make the scale a parameter that is trained; a dynamic one has none."""
        if not self.dynamic:
            super().learn()

    def settle(self) -> None:
        """Make the scale final."""
        if self.dynamic:
            self.settled = True
        else:
            super().settle()

    @property
    def followed(self) -> list[Any]:
        """What it remembers of the batches it was trained on, beside its scale, for JSON.

        The count and the sum of the moving average, the largest of the last batches, and how many
        batches there were.
        """
        return [self._count, self._sum, list(self._maxima), self._batches]

    def follow_on(self, followed: Sequence[Any]) -> None:
        """Remember what `followed` told."""
        count, total, maxima, batches = followed
        self._batches = int(batches)
        self._count, self._sum = float(count), float(total)
        self._maxima = deque(map(float, maxima), maxlen=self._maxima.maxlen)

    def _follow(self, high: float) -> None:
        """Count a training batch."""
        self._batches += 1
        if not np.isfinite(high):
            return  # the training will say so; the scale stays what it was
        if self.kind == "range_abs_max":
            self._maxima.append(high)
            self.set_scale(max(self._maxima))
            return
        if self._count == 0:  # what calibration found counts as one batch
            self._count, self._sum = 1.0, float(self.scale.item())
        self._count = self._count * self.decay + 1
        self._sum = self._sum * self.decay + high
        self.set_scale(self._sum / self._count)


@contextlib.contextmanager
def disabled(quantizers: list[Quantizer]) -> Iterator[None]:
    """Let values pass some quantizers unchanged inside the block."""
    before = [q.enabled for q in quantizers]
    for quantizer in quantizers:
        quantizer.enabled = False
    try:
        yield
    finally:
        for quantizer, was in zip(quantizers, before, strict=True):
            quantizer.enabled = was

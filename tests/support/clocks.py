"""A clock whose times are known: steps of widths, whatever the machine does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from paddle.nn import Layer

import slimlab as sl
from slimlab.timing import LayerShape, timed_layers
from slimlab.trace import trace_program


class StairClock:
    """A layer takes a stair of its inputs times one of its outputs; widths off `odd` take longer.

    A whole network takes `base` and `factor` times the sum of its layers.
    """

    name = "stairs"

    def __init__(
        self, *, step: int = 2, odd: int = 1, base: float = 0.5, factor: float = 2.0
    ) -> None:
        self._step, self._odd, self._base, self._factor = step, odd, base, factor
        self.asked: list[str] = []

    def layer(self, shape: LayerShape) -> float:
        self.asked.append(shape.key)
        return self.of(shape)

    def of(self, shape: LayerShape) -> float:
        slow = 1 if shape.outputs % self._odd == 0 else 3
        read = shape.inputs // shape.groups
        area = math.prod(shape.size)
        return slow * 0.01 * area * self._stairs(read) * self._stairs(shape.outputs)

    def networks(self, models: Sequence[Layer], example: Any) -> tuple[float, ...]:
        return tuple(self.network(model, example) for model in models)

    def network(self, model: Layer, example: Any) -> float:
        layers = timed_layers(trace_program(model, example), sl.trace(model, example))
        return self._base + self._factor * sum(self.of(one.shape) for one in layers)

    def _stairs(self, width: int) -> int:
        return math.ceil(width / self._step)

"""Where networks of other people's collections are listed, and the parts they share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import paddle
from paddle import Tensor, nn

F = nn.functional
Made = tuple[nn.Layer, Any]
NETWORKS: dict[str, Callable[[], Made]] = {}


def network(make: Callable[[], Made]) -> Callable[[], Made]:
    """List a function that gives a network and an example of its input, under its name."""
    if make.__name__ in NETWORKS:
        raise ValueError(make.__name__)
    NETWORKS[make.__name__] = make
    return make


def image(size: int = 16, channels: int = 3, batch: int = 1) -> Tensor:
    return paddle.randn([batch, channels, size, size])


def ids(length: int = 6, words: int = 11) -> Tensor:
    return paddle.randint(0, words, [1, length])


def unit(into: int, out: int, kernel: int = 3, act: Any = nn.ReLU, **more: Any) -> nn.Layer:
    """Convolution, BatchNorm, activation."""
    if "padding" not in more:
        more["padding"] = kernel // 2 * more.get("dilation", 1)
    conv = nn.Conv2D(into, out, kernel, bias_attr=False, **more)
    return nn.Sequential(conv, nn.BatchNorm2D(out), *([act()] if act else []))


def row(into: int, out: int, kernel: int = 3, act: Any = nn.ReLU, **more: Any) -> nn.Layer:
    """The same for signals."""
    if "padding" not in more:
        more["padding"] = kernel // 2 * more.get("dilation", 1)
    conv = nn.Conv1D(into, out, kernel, **more)
    return nn.Sequential(conv, nn.BatchNorm1D(out), *([act()] if act else []))


def head(width: int, classes: int = 5) -> nn.Layer:
    return nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(width, classes))


def mlp(*widths: int, act: Any = nn.ReLU) -> nn.Layer:
    parts: list[nn.Layer] = []
    for into, out in pairwise(widths):
        parts += [nn.Linear(into, out), act()]
    return nn.Sequential(*parts[:-1])


class Residual(nn.Layer):
    """What it holds, and the input beside it."""

    def __init__(self, inner: nn.Layer, shortcut: nn.Layer | None = None) -> None:
        super().__init__()
        self.inner, self.shortcut = inner, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + (x if self.shortcut is None else self.shortcut(x))


def classifier(*blocks: nn.Layer, width: int, size: int = 16, stem: int = 8) -> Made:
    return nn.Sequential(unit(3, stem), *blocks, head(width)), image(size)


class Net(nn.Layer):
    """Layers under names, and a function that combines them."""

    def __init__(self, forward: Callable[..., Any], **layers: Any) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, nn.LayerList(layer) if isinstance(layer, list) else layer)
        self._run = forward

    def forward(self, *inputs: Tensor) -> Any:
        return self._run(self, *inputs)

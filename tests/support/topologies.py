"""Toy networks, one for each way channels can be tied, for the mask-equals-cut contract."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import paddle
from paddle import Tensor, nn

SIZE = 6  # height and width of the toy inputs
Forward = Callable[[nn.Layer, Tensor], Tensor]


class Toy(nn.Layer):
    """Layers under names, and a forward that combines them."""

    def __init__(self, forward: Forward, **layers: nn.Layer) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


class ConvBN(nn.Sequential):
    """Convolution, BatchNorm and an activation."""

    def __init__(self, into: int, out: int, act: type[nn.Layer] = nn.ReLU, **options: int) -> None:
        super().__init__(
            nn.Conv2D(into, out, 3, padding=1, bias_attr=False, **options),
            nn.BatchNorm2D(out),
            act(),
        )


def chain(act: type[nn.Layer] = nn.ReLU) -> Toy:
    return Toy(
        lambda m, x: m.fc(m.pool(m.b(m.a(x))).flatten(1)),
        a=ConvBN(3, 8, act),
        b=ConvBN(8, 12, act),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(12, 5),
    )


def plain_with_bias() -> Toy:
    return Toy(
        lambda m, x: m.b(nn.functional.relu(m.a(x))),
        a=nn.Conv2D(3, 8, 3),
        b=nn.Conv2D(8, 4, 3, stride=2),
    )


def residual() -> Toy:
    def forward(m: nn.Layer, x: Tensor) -> Tensor:
        y = m.stem(x)
        y = nn.functional.relu(y + m.b(m.a(y)))
        return m.fc(m.pool(y + m.c(y)).flatten(1))

    return Toy(
        forward,
        stem=ConvBN(3, 8),
        a=ConvBN(8, 6),
        b=ConvBN(6, 8),
        c=ConvBN(8, 8),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(8, 5),
    )


def projected_residual() -> Toy:
    def forward(m: nn.Layer, x: Tensor) -> Tensor:
        y = m.stem(x)
        return m.fc(m.pool(m.shortcut(y) + m.b(m.a(y))).flatten(1))

    return Toy(
        forward,
        stem=ConvBN(3, 8),
        a=ConvBN(8, 6, stride=2),
        b=ConvBN(6, 10),
        shortcut=nn.Conv2D(8, 10, 1, stride=2),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(10, 5),
    )


def depthwise(multiplier: int = 1) -> Toy:
    wide = 8 * multiplier
    return Toy(
        lambda m, x: m.fc(m.pool(m.point(m.depth(m.stem(x)))).flatten(1)),
        stem=ConvBN(3, 8),
        depth=ConvBN(8, wide, groups=8),
        point=ConvBN(wide, 12),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(12, 5),
    )


def flatten_linear() -> Toy:
    return Toy(
        lambda m, x: m.fc2(nn.functional.relu(m.fc1(paddle.flatten(m.b(m.a(x)), 1)))),
        a=ConvBN(3, 8),
        b=ConvBN(8, 6),
        fc1=nn.Linear(6 * SIZE * SIZE, 16),
        fc2=nn.Linear(16, 5),
    )


def shared_layer() -> Toy:
    return Toy(
        lambda m, x: m.fc(m.pool(m.twice(m.twice(m.stem(x)))).flatten(1)),
        stem=ConvBN(3, 8),
        twice=ConvBN(8, 8),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(8, 5),
    )


def shared_parameter() -> Toy:
    toy = Toy(
        lambda m, x: m.fc(m.pool(m.b(nn.functional.relu(m.a(m.stem(x))))).flatten(1)),
        stem=ConvBN(3, 8),
        a=nn.Conv2D(8, 8, 3, padding=1),
        b=nn.Conv2D(8, 8, 3, padding=1),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(8, 5),
    )
    toy.b.weight = toy.a.weight
    return toy


def grouped() -> Toy:
    return Toy(
        lambda m, x: m.fc(m.pool(m.b(m.a(m.stem(x)))).flatten(1)),
        stem=ConvBN(3, 8),
        a=ConvBN(8, 12, groups=2),
        b=ConvBN(12, 6),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(6, 5),
    )


def concatenated() -> Toy:
    def forward(m: nn.Layer, x: Tensor) -> Tensor:
        y = m.stem(x)
        return m.fc(m.pool(m.c(paddle.concat([m.a(y), y, m.b(y)], axis=1))).flatten(1))

    return Toy(
        forward,
        stem=ConvBN(3, 8),
        a=ConvBN(8, 5),
        b=ConvBN(8, 7),
        c=ConvBN(20, 6),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(6, 5),
    )


def squeeze_and_excite() -> Toy:
    def forward(m: nn.Layer, x: Tensor) -> Tensor:
        y = m.stem(x)
        gate = nn.functional.sigmoid(m.up(nn.functional.relu(m.down(m.pool(y)))))
        return m.fc(m.pool(y * gate).flatten(1))

    return Toy(
        forward,
        stem=ConvBN(3, 8),
        down=nn.Conv2D(8, 4, 1),
        up=nn.Conv2D(4, 8, 1),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(8, 5),
    )


def prelu() -> Toy:
    return Toy(
        lambda m, x: m.fc(m.pool(m.act(m.a(x))).flatten(1)),
        a=nn.Conv2D(3, 8, 3),
        act=nn.PReLU(8),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(8, 5),
    )


def unknown_operator() -> Toy:
    """`cumsum` over channels mixes them: what feeds it must be left alone, the rest not."""
    return Toy(
        lambda m, x: m.fc(m.pool(m.b(paddle.cumsum(m.a(x), axis=1))).flatten(1)),
        a=ConvBN(3, 8),
        b=ConvBN(8, 6),
        pool=nn.AdaptiveAvgPool2D(1),
        fc=nn.Linear(6, 5),
    )


TOPOLOGIES: dict[str, Callable[[], Toy]] = {
    "chain": chain,
    "sigmoid": lambda: chain(nn.Sigmoid),
    "hardswish": lambda: chain(nn.Hardswish),
    "bias": plain_with_bias,
    "residual": residual,
    "projected residual": projected_residual,
    "depthwise": depthwise,
    "depthwise multiplier": lambda: depthwise(2),
    "flatten to linear": flatten_linear,
    "shared layer": shared_layer,
    "shared parameter": shared_parameter,
    "grouped": grouped,
    "concat": concatenated,
    "squeeze and excite": squeeze_and_excite,
    "prelu": prelu,
    "unknown operator": unknown_operator,
}


def example(seed: int = 0, batch: int = 1) -> Tensor:
    """Random input for any toy: (batch, 3, 6, 6)."""
    rng = np.random.default_rng(seed)
    return paddle.to_tensor(rng.standard_normal((batch, 3, SIZE, SIZE)).astype("float32"))


def randomise_statistics(model: nn.Layer, seed: int = 0) -> nn.Layer:
    """Give BatchNorms statistics and biases that hide nothing: no zeros, no ones."""
    rng = np.random.default_rng(seed)
    for name, tensor in model.state_dict().items():
        shape = tensor.shape
        if name.endswith(("_mean", "bias")):
            tensor.set_value(rng.normal(0, 0.3, shape).astype("float32"))
        elif name.endswith("_variance"):
            tensor.set_value(rng.uniform(0.5, 2.0, shape).astype("float32"))
    model.eval()
    return model

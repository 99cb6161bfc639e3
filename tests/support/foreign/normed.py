"""Normalisations and activations written by hand."""

from __future__ import annotations

import math

import numpy as np
import paddle
from paddle import Tensor, nn

from foreign.registry import (
    F,
    Made,
    Net,
    Residual,
    classifier,
    head,
    image,
    mlp,
    network,
    unit,
)

# fmt: off


@network
def acon() -> Made:
    class Acon(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            normal = nn.initializer.Normal()
            self.p1 = self.create_parameter([1, width, 1, 1], default_initializer=normal)
            self.p2 = self.create_parameter([1, width, 1, 1], default_initializer=normal)
            self.beta = self.create_parameter([1, width, 1, 1])

        def forward(self, x: Tensor) -> Tensor:
            dpx = (self.p1 - self.p2) * x
            return dpx * F.sigmoid(self.beta * dpx) + self.p2 * x
    return classifier(nn.Conv2D(8, 12, 3), Acon(12), unit(12, 8), Acon(8), width=8)


@network
def frelu() -> Made:
    class FReLU(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2D(width, width, 3, padding=1, groups=width), nn.BatchNorm2D(width)

        def forward(self, x: Tensor) -> Tensor:
            return paddle.maximum(x, self.bn(self.conv(x)))
    return classifier(nn.Conv2D(8, 12, 3), FReLU(12), width=12)


@network
def split_batch_norm_groups() -> Made:
    def run(m, x):
        x = m.stem(x)
        mean = x.reshape([x.shape[0], 4, -1]).mean(-1, keepdim=True)
        var = x.reshape([x.shape[0], 4, -1]).var(-1, keepdim=True)
        y = ((x.reshape([x.shape[0], 4, -1]) - mean) / (var + 1e-5).sqrt()).reshape(x.shape)
        return m.head(m.last(y))
    return Net(run, stem=nn.Conv2D(3, 8, 3), last=unit(8, 8), head=head(8)), image(8)


@network
def switchable_norm() -> Made:
    class Switch(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            one = nn.initializer.Constant(1.0)
            self.weight = self.create_parameter([1, width, 1, 1], default_initializer=one)
            self.bias = self.create_parameter([1, width, 1, 1], is_bias=True)
            self.mix = self.create_parameter([2], default_initializer=one)

        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            flat = x.reshape([n, c, -1])
            mean_in, var_in = flat.mean(-1, keepdim=True), flat.var(-1, keepdim=True)
            mean_ln, var_ln = mean_in.mean(1, keepdim=True), var_in.mean(1, keepdim=True)
            p = F.softmax(self.mix, 0)
            mean, var = p[0] * mean_in + p[1] * mean_ln, p[0] * var_in + p[1] * var_ln
            flat = (flat - mean) / (var + 1e-5).sqrt()
            return flat.reshape([n, c, h, w]) * self.weight + self.bias
    return classifier(nn.Conv2D(8, 8, 3), Switch(8), unit(8, 12), width=12)


@network
def filter_response_norm() -> Made:
    class FRN(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            normal = nn.initializer.Normal(1.0, 0.2)
            self.gamma, self.beta, self.tau = (
                self.create_parameter([1, width, 1, 1], default_initializer=normal) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            nu2 = x.pow(2).mean([2, 3], keepdim=True)
            return paddle.maximum(self.gamma * x * paddle.rsqrt(nu2 + 1e-6) + self.beta, self.tau)
    return classifier(nn.Conv2D(8, 12, 3), FRN(12), unit(12, 8), width=8)


@network
def global_response_norm() -> Made:
    class GRN(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.gamma, self.beta = self.create_parameter([1, 1, 1, dim]), self.create_parameter([dim])

        def forward(self, x: Tensor) -> Tensor:
            gx = paddle.norm(x, p=2, axis=[1, 2], keepdim=True)
            nx = gx / (gx.mean(-1, keepdim=True) + 1e-6)
            return self.gamma * (x * nx) + self.beta + x
    inner = nn.Sequential(nn.Linear(8, 32), nn.GELU(), GRN(32), nn.Linear(32, 8))
    return Net(lambda m, x: m.head(m.body(m.stem(x).transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])),
               stem=unit(3, 8), body=Residual(inner), head=head(8)), image(8)


@network
def positional_sines() -> Made:
    def run(m, x):
        y = m.stem(x).flatten(2).transpose([0, 2, 1])
        n, d = y.shape[1], y.shape[2]
        table = np.zeros((n, d), np.float32)
        angle = np.arange(n)[:, None] / 10000 ** (np.arange(0, d, 2) / d)
        table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)
        y = y * math.sqrt(d) + paddle.to_tensor(table)
        return m.fc(m.body(y).mean(1))
    return Net(run, stem=unit(3, 8), body=mlp(8, 16, 8), fc=nn.Linear(8, 3)), image(8)


@network
def wide_and_factorised() -> Made:
    """Low-rank factors multiplied before use."""
    class LowRank(nn.Layer):
        def __init__(self, into: int, out: int, rank: int) -> None:
            super().__init__()
            self.u, self.v = self.create_parameter([into, rank]), self.create_parameter([rank, out])

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, paddle.matmul(self.u, self.v))
    return nn.Sequential(nn.Flatten(), LowRank(192, 20, 6), nn.ReLU(), LowRank(20, 12, 4),
                         nn.ReLU(), nn.Linear(12, 5)), image(8)

"""Descendants of ResNet: shortcuts, branches, attention over channels."""

from __future__ import annotations

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


class OptionA(nn.Layer):
    """The shortcut of the CIFAR ResNets without weights: strided, channels padded with zeros."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = unit(into, out, stride=stride), unit(out, out, act=None)
        self.planes, self.stride = out - into, stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        if self.planes or self.stride != 1:
            half = self.planes // 2
            x = F.pad(x[:, :, ::2, ::2], [0, 0, half, self.planes - half, 0, 0, 0, 0])
        return F.relu(x + y)


@network
def resnet_option_a() -> Made:
    return classifier(OptionA(8, 8, 1), OptionA(8, 16, 2), OptionA(16, 32, 2), width=32)


@network
def resnet_padded_by_concat() -> Made:
    def run(m, x):
        x = m.stem(x)
        y = m.b(m.a(x))
        short = F.avg_pool2d(x, 2)
        zeros = paddle.zeros_like(short)
        return m.head(F.relu(y + paddle.concat([short, zeros], axis=1)))
    return Net(run, stem=unit(3, 8), a=unit(8, 16, stride=2), b=unit(16, 16), head=head(16)), image()


class PreAct(nn.Layer):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2D(into), nn.Conv2D(into, out, 3, padding=1)
        self.bn2, self.conv2 = nn.BatchNorm2D(out), nn.Conv2D(out, out, 3, padding=1)
        self.shortcut = nn.Conv2D(into, out, 1) if into != out else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(x))
        short = self.shortcut(y) if self.shortcut is not None else x
        return self.conv2(F.relu(self.bn2(self.conv1(y)))) + short


@network
def preact_resnet() -> Made:
    return classifier(PreAct(8, 8), PreAct(8, 12), PreAct(12, 12), nn.BatchNorm2D(12), width=12)


@network
def pyramidnet() -> Made:
    def run(m, x):
        x = m.stem(x)
        for block in m.blocks:
            y = block(x)
            extra = y.shape[1] - x.shape[1]
            pad = paddle.zeros([x.shape[0], extra, x.shape[2], x.shape[3]])
            x = y + paddle.concat([x, pad], axis=1)
        return m.head(x)
    return Net(run, stem=unit(3, 8), blocks=[unit(8, 10), unit(10, 14)], head=head(14)), image()


class Squeeze(nn.Layer):
    def __init__(self, channel: int, reduction: int = 4, act: type = nn.Sigmoid) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2D(1)
        self.fc = nn.Sequential(nn.Linear(channel, channel // reduction, bias_attr=False), nn.ReLU(),
                                nn.Linear(channel // reduction, channel, bias_attr=False), act())

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.shape
        y = self.avg_pool(x).reshape([b, c])
        y = self.fc(y).reshape([b, c, 1, 1])
        return x * y.expand_as(x)


@network
def senet() -> Made:
    return classifier(unit(8, 16), Residual(nn.Sequential(unit(16, 16), Squeeze(16))), width=16)


class ECA(nn.Layer):
    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.conv = nn.Conv1D(1, 1, kernel, padding=kernel // 2, bias_attr=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(x)
        y = self.conv(y.squeeze(-1).transpose([0, 2, 1])).transpose([0, 2, 1]).unsqueeze(-1)
        return x * F.sigmoid(y).expand_as(x)


@network
def ecanet() -> Made:
    return classifier(unit(8, 16), ECA(), Residual(unit(16, 12), unit(16, 12, 1)), width=12)


class GlobalContext(nn.Layer):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mask = nn.Conv2D(width, 1, 1)
        self.add = nn.Sequential(nn.Conv2D(width, width // 2, 1), nn.LayerNorm([width // 2, 1, 1]),
                                 nn.ReLU(), nn.Conv2D(width // 2, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        values = x.reshape([b, c, h * w]).unsqueeze(1)
        mask = F.softmax(self.mask(x).reshape([b, 1, h * w]), axis=2).unsqueeze(3)
        return x + self.add(paddle.matmul(values, mask).reshape([b, c, 1, 1]))


@network
def gcnet() -> Made:
    return classifier(unit(8, 12), GlobalContext(12), width=12)


class SplitAttention(nn.Layer):
    def __init__(self, width: int, radix: int = 2, cardinality: int = 2) -> None:
        super().__init__()
        self.radix, self.cardinality = radix, cardinality
        self.conv = unit(width, width * radix, groups=cardinality * radix)
        self.fc1 = nn.Conv2D(width, 8, 1, groups=cardinality)
        self.fc2 = nn.Conv2D(8, width * radix, 1, groups=cardinality)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        b, rc = x.shape[0], x.shape[1]
        parts = paddle.split(x, self.radix, axis=1)
        gap = F.adaptive_avg_pool2d(sum(parts), 1)
        att = self.fc2(F.relu(self.fc1(gap)))
        att = att.reshape([b, self.cardinality, self.radix, -1]).transpose([0, 2, 1, 3])
        att = F.softmax(att, axis=1).reshape([b, -1, 1, 1])
        gates = paddle.split(att, self.radix, axis=1)
        return sum(a * p for a, p in zip(gates, parts, strict=True))


@network
def resnest() -> Made:
    return classifier(unit(8, 16), SplitAttention(16), unit(16, 12), width=12)


class CoordinateAttention(nn.Layer):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn = nn.Conv2D(width, 8, 1), nn.BatchNorm2D(8)
        self.conv_h, self.conv_w = nn.Conv2D(8, width, 1), nn.Conv2D(8, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        rows = F.adaptive_avg_pool2d(x, [None, 1])
        columns = F.adaptive_avg_pool2d(x, [1, None]).transpose([0, 1, 3, 2])
        y = F.hardswish(self.bn(self.conv1(paddle.concat([rows, columns], axis=2))))
        rows, columns = paddle.split(y, [h, w], axis=2)
        a_w = F.sigmoid(self.conv_w(columns.transpose([0, 1, 3, 2])))
        return x * a_w * F.sigmoid(self.conv_h(rows))


@network
def coordinate_attention() -> Made:
    return classifier(unit(8, 16), CoordinateAttention(16), width=16)


class ZPool(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.conv = unit(2, 1, 7, None)

    def forward(self, x: Tensor) -> Tensor:
        pooled = paddle.concat([x.max(1).unsqueeze(1), x.mean(1).unsqueeze(1)], axis=1)
        return x * F.sigmoid(self.conv(pooled))


@network
def triplet_attention() -> Made:
    def run(m, x):
        x = m.body(m.stem(x))
        a = m.cw(x.transpose([0, 2, 1, 3])).transpose([0, 2, 1, 3])
        b = m.hc(x.transpose([0, 3, 2, 1])).transpose([0, 3, 2, 1])
        return m.head(m.after(1 / 3 * (m.hw(x) + a + b)))
    return Net(run, stem=unit(3, 8), body=unit(8, 12), cw=ZPool(), hc=ZPool(), hw=ZPool(),
               after=unit(12, 8), head=head(8)), image()


class SimAM(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        _, _, h, w = x.shape
        n = w * h - 1
        square = (x - x.mean([2, 3], keepdim=True)).pow(2)
        y = square / (4 * (square.sum([2, 3], keepdim=True) / n + 1e-4)) + 0.5
        return x * F.sigmoid(y)


@network
def simam() -> Made:
    return classifier(unit(8, 12), SimAM(), unit(12, 8), width=8)


@network
def bam() -> Made:
    def run(m, x):
        x = m.stem(x)
        b, c = x.shape[:2]
        channel = m.bn(m.gate(F.avg_pool2d(x, x.shape[2:]).flatten(1)))
        channel = channel.unsqueeze(2).unsqueeze(3).expand_as(x)
        return m.head(x * (1 + F.sigmoid(channel * m.spatial(x).expand_as(x))))
    spatial = nn.Sequential(unit(12, 4, 1), unit(4, 4, dilation=4), nn.Conv2D(4, 1, 1))
    return Net(run, stem=unit(3, 12), gate=mlp(12, 3, 12), bn=nn.BatchNorm1D(12), spatial=spatial,
               head=head(12)), image()


@network
def concurrent_squeeze() -> Made:
    def run(m, x):
        x = m.stem(x)
        z = F.adaptive_avg_pool2d(x, 1)
        return m.head(paddle.maximum(x * F.sigmoid(m.b(F.relu(m.a(z)))), x * F.sigmoid(m.s(x))))
    return Net(run, stem=unit(3, 12), a=nn.Conv2D(12, 6, 1), b=nn.Conv2D(6, 12, 1),
               s=nn.Conv2D(12, 1, 1), head=head(12)), image()


@network
def double_attention() -> Made:
    def run(m, x):
        x = m.stem(x)
        b, c, h, w = x.shape
        a = m.a(x).reshape([b, -1, h * w])
        maps = F.softmax(m.b(x).reshape([b, -1, h * w]), axis=-1)
        vectors = F.softmax(m.v(x).reshape([b, -1, h * w]), axis=1)
        descriptors = paddle.bmm(a, maps.transpose([0, 2, 1]))
        return m.head(x + m.out(descriptors.matmul(vectors).reshape([b, -1, h, w])))
    return Net(run, stem=unit(3, 12), a=nn.Conv2D(12, 8, 1), b=nn.Conv2D(12, 6, 1),
               v=nn.Conv2D(12, 6, 1), out=nn.Conv2D(8, 12, 1), head=head(12)), image(8)


@network
def highway() -> Made:
    def run(m, x):
        x = m.stem(x)
        t = F.sigmoid(m.gate(x))
        return m.head(F.relu(m.body(x)) * t + x * (1 - t))
    return Net(run, stem=unit(3, 8), gate=nn.Conv2D(8, 8, 1), body=unit(8, 8), head=head(8)), image()


@network
def fractalnet() -> Made:
    def run(m, x):
        x = m.stem(x)
        a = m.a(x)
        b = m.c(paddle.mean(paddle.stack([m.b(x), a]), axis=0))
        return m.head(paddle.stack([a, b, m.d(x)]).mean(0))
    return Net(run, stem=unit(3, 8), a=unit(8, 8), b=unit(8, 8), c=unit(8, 8), d=unit(8, 8),
               head=head(8)), image()


@network
def stochastic_depth() -> Made:
    class Drop(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.p = unit(8, 8), 0.5

        def forward(self, x: Tensor) -> Tensor:
            if not self.training:
                return x + self.body(x) * (1 - self.p)
            keep = paddle.rand([x.shape[0], 1, 1, 1]) >= self.p
            return x + self.body(x) * keep.astype(x.dtype) / (1 - self.p)
    return classifier(Drop(), Drop(), width=8)


@network
def deep_layer_aggregation() -> Made:
    def run(m, x):
        x = m.stem(x)
        a = m.a(x)
        b = m.b(a)
        c = m.root(paddle.concat([b, a, x], 1))
        d = m.c(c)
        return m.head(F.relu(m.root2(paddle.concat([m.d(d), d, c, F.max_pool2d(x, 1)], 1)) + d))
    return Net(run, stem=unit(3, 8), a=unit(8, 12), b=unit(12, 12), root=unit(32, 16, 1),
               c=unit(16, 16), d=unit(16, 16), root2=unit(56, 16, 1, None), head=head(16)), image()


@network
def resnet_rs_stem() -> Made:
    short = nn.Sequential(nn.AvgPool2D(2, 2, ceil_mode=True), nn.Conv2D(8, 16, 1), nn.BatchNorm2D(16))
    inner = nn.Sequential(unit(8, 6, 1), unit(6, 6, stride=2), unit(6, 16, 1, None))
    return classifier(Residual(inner, short), nn.ReLU(), unit(16, 12), width=12)

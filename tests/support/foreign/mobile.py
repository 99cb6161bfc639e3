"""Light networks: depthwise, shuffled, split, reparameterised, searched cells."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.registry import F, Made, Net, Residual, classifier, head, image, mlp, network, unit
from foreign.residual import ECA, Squeeze

# fmt: off


def depthwise(width: int, kernel: int = 3, act: type | None = nn.ReLU, **more) -> nn.Layer:
    return unit(width, width, kernel, act, groups=width, **more)


def separable(into: int, out: int, kernel: int = 3, act: type | None = nn.ReLU) -> nn.Layer:
    return nn.Sequential(depthwise(into, kernel, None), unit(into, out, 1, act))


def inverted(into: int, out: int, expand: int = 3, act: type = nn.Hardswish, **more) -> nn.Layer:
    mid = into * expand
    inner = nn.Sequential(unit(into, mid, 1, act), depthwise(mid, act=act, **more),
                          Squeeze(mid, act=nn.Hardsigmoid), unit(mid, out, 1, None))
    return Residual(inner) if into == out and not more else inner


@network
def mnasnet() -> Made:
    return classifier(separable(8, 8), inverted(8, 8), inverted(8, 12, 6, nn.ReLU, stride=2), width=12)


@network
def mobilenet_v3_like() -> Made:
    net = nn.Sequential(unit(3, 8, act=nn.Hardswish), inverted(8, 8), inverted(8, 16, stride=2),
                        unit(16, 32, 1, nn.Hardswish), nn.AdaptiveAvgPool2D(1),
                        nn.Conv2D(32, 40, 1, bias_attr=False), nn.Hardswish(), nn.Dropout(0.2),
                        nn.Flatten(start_axis=1, stop_axis=-1), nn.Linear(40, 5))
    return net, image()


@network
def pp_lcnet() -> Made:
    class DepthwiseSeparable(nn.Layer):
        def __init__(self, into: int, out: int, kernel: int, use_se: bool) -> None:
            super().__init__()
            self.use_se = use_se
            self.dw_conv = depthwise(into, kernel, nn.Hardswish)
            if use_se:
                self.se = Squeeze(into, act=nn.Hardsigmoid)
            self.pw_conv = unit(into, out, 1, nn.Hardswish)

        def forward(self, x: Tensor) -> Tensor:
            x = self.dw_conv(x)
            if self.use_se:
                x = self.se(x)
            return self.pw_conv(x)
    return classifier(DepthwiseSeparable(8, 16, 3, False), DepthwiseSeparable(16, 24, 5, True), width=24)


@network
def pp_hgnet() -> Made:
    class HG(nn.Layer):
        def __init__(self, into: int, mid: int, out: int, count: int) -> None:
            super().__init__()
            self.layers = nn.LayerList([unit(into if n == 0 else mid, mid) for n in range(count)])
            self.squeeze, self.excite = unit(into + count * mid, out // 2, 1), unit(out // 2, out, 1)
            self.identity = into == out

        def forward(self, x: Tensor) -> Tensor:
            identity, output = x, []
            output.append(x)
            for layer in self.layers:
                x = layer(x)
                output.append(x)
            x = self.excite(self.squeeze(paddle.concat(output, axis=1)))
            if self.identity:
                x += identity
            return x
    return classifier(HG(8, 6, 16, 3), HG(16, 8, 16, 2), width=16)


class GhostModule(nn.Layer):
    def __init__(self, into: int, out: int, ratio: int = 2) -> None:
        super().__init__()
        self.oup = out
        init = -(-out // ratio)
        self.primary_conv, self.cheap_operation = unit(into, init, 1), nn.Sequential(
            nn.Conv2D(init, init * (ratio - 1), 3, padding=1, groups=init), nn.BatchNorm2D(init))

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.primary_conv(x)
        x2 = self.cheap_operation(x1)
        out = paddle.concat([x1, x2], axis=1)
        return out[:, :self.oup, :, :]


@network
def ghostnet_odd() -> Made:
    return classifier(GhostModule(8, 13), Squeeze(13), GhostModule(13, 16), width=16)


@network
def ghostnet_v2() -> Made:
    class Attended(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.ghost = GhostModule(into, out)
            self.short = nn.Sequential(unit(into, out, 1, None), unit(out, out, (1, 5), None, groups=out,
                                       padding=(0, 2)), unit(out, out, (5, 1), None, groups=out,
                                                             padding=(2, 0)))

        def forward(self, x: Tensor) -> Tensor:
            gate = F.sigmoid(self.short(F.avg_pool2d(x, 2, 2)))
            y = self.ghost(x)
            return y * F.interpolate(gate, size=[y.shape[-2], y.shape[-1]], mode="nearest")
    return classifier(Attended(8, 16), unit(16, 8), width=8)


class RepVGGBlock(nn.Layer):
    def __init__(self, into: int, out: int, groups: int = 1) -> None:
        super().__init__()
        self.dense, self.one = unit(into, out, 3, None, groups=groups), unit(into, out, 1, None,
                                                                            groups=groups)
        self.identity = nn.BatchNorm2D(into) if into == out else None

    def forward(self, x: Tensor) -> Tensor:
        id_out = 0 if self.identity is None else self.identity(x)
        return F.relu(self.dense(x) + self.one(x) + id_out)


@network
def repvgg() -> Made:
    return classifier(RepVGGBlock(8, 8), RepVGGBlock(8, 16), RepVGGBlock(16, 16, 2), width=16)


@network
def mobileone() -> Made:
    def run(m, x):
        x = m.stem(x)
        x = F.relu(sum(branch(x) for branch in m.deep) + m.skip(x))
        return m.head(F.relu(sum(branch(x) for branch in m.point)))
    deep = [depthwise(8, act=None), depthwise(8, act=None), depthwise(8, 1, None)]
    return Net(run, stem=unit(3, 8), deep=deep, skip=nn.BatchNorm2D(8),
               point=[unit(8, 12, 1, None), unit(8, 12, 1, None)], head=head(12)), image()


@network
def mixnet() -> Made:
    class Mix(nn.Layer):
        def __init__(self, width: int, kernels: tuple[int, ...]) -> None:
            super().__init__()
            self.splits = [width // len(kernels)] * len(kernels)
            self.splits[0] += width - sum(self.splits)
            self.convs = nn.LayerList([nn.Conv2D(c, c, k, padding=k // 2, groups=c)
                                       for c, k in zip(self.splits, kernels, strict=True)])

        def forward(self, x: Tensor) -> Tensor:
            parts = paddle.split(x, self.splits, axis=1)
            return paddle.concat([c(p) for c, p in zip(self.convs, parts, strict=True)], axis=1)
    return classifier(unit(8, 12, 1), Mix(12, (3, 5, 7)), nn.BatchNorm2D(12), nn.Silu(),
                      unit(12, 10, 1, None), Mix(10, (3, 5, 7)), width=10)


@network
def shufflenet_v1() -> Made:
    class Shuffle(nn.Layer):
        def __init__(self, into: int, out: int, groups: int) -> None:
            super().__init__()
            self.groups = groups
            self.a = unit(into, out // 2, 1, groups=groups)
            self.b, self.c = depthwise(out // 2, act=None, stride=2), unit(
                out // 2, out - into, 1, None, groups=groups)

        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            n, c, h, w = y.shape
            y = y.reshape([n, self.groups, c // self.groups, h, w])
            y = paddle.transpose(y, [0, 2, 1, 3, 4]).reshape([n, c, h, w])
            return F.relu(paddle.concat([F.avg_pool2d(x, 3, 2, 1), self.c(self.b(y))], 1))
    return classifier(Shuffle(8, 24, 2), Shuffle(24, 48, 2), width=48)


@network
def squeezenext() -> Made:
    inner = nn.Sequential(unit(8, 6, 1), unit(6, 4, 1), unit(4, 6, (3, 1), padding=(1, 0)),
                          unit(6, 6, (1, 3), padding=(0, 1)), unit(6, 8, 1))
    return classifier(Residual(inner), width=8)


@network
def xception() -> Made:
    inner = nn.Sequential(nn.ReLU(), separable(8, 12), separable(12, 12, act=None),
                          nn.MaxPool2D(3, 2, 1))
    short = nn.Sequential(nn.Conv2D(8, 12, 1, stride=2), nn.BatchNorm2D(12))
    return classifier(Residual(inner, short), separable(12, 16), width=16)


@network
def pnasnet() -> Made:
    def run(m, x):
        left, right = m.stem(x), None
        right = m.adjust(left)
        for n in range(2):
            a = m.s5[n](left) + F.max_pool2d(left, 3, 1, 1)
            b = m.s7[n](right) + F.max_pool2d(right, 3, 1, 1)
            c = m.s3[n](right) + m.s5b[n](right)
            left, right = m.fit[n](paddle.concat([a, b, c], axis=1)), left
        return m.head(left)
    two = lambda f: [f(), f()]
    return Net(run, stem=unit(3, 8), adjust=unit(8, 8, 1), s5=two(lambda: separable(8, 8, 5)),
               s7=two(lambda: separable(8, 8, 7)), s3=two(lambda: separable(8, 8)),
               s5b=two(lambda: separable(8, 8, 5)), fit=two(lambda: unit(24, 8, 1)),
               head=head(8)), image()


@network
def nasnet_factorised() -> Made:
    def run(m, x):
        x = F.relu(m.stem(x))
        a = m.conv_1(F.avg_pool2d(x, 1, 2))
        padded = F.pad(x, [0, 1, 0, 1])[:, :, 1:, 1:]
        b = m.conv_2(F.avg_pool2d(padded, 1, 2))
        return m.head(m.bn(paddle.concat([a, b], axis=1)))
    return Net(run, stem=unit(3, 8), conv_1=nn.Conv2D(8, 6, 1), conv_2=nn.Conv2D(8, 7, 1),
               bn=nn.BatchNorm2D(13), head=head(13)), image()


@network
def darts_mixed_op() -> Made:
    class Mixed(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.ops = nn.LayerList([nn.Identity(), unit(width, width), separable(width, width),
                                     unit(width, width, dilation=2)])
            self.alphas = self.create_parameter([4], default_initializer=nn.initializer.Normal())

        def forward(self, x: Tensor) -> Tensor:
            weights = F.softmax(self.alphas)
            return sum(w * op(x) for w, op in zip(weights, self.ops, strict=True))
    return classifier(Mixed(8), Mixed(8), width=8)


@network
def once_for_all_slices() -> Made:
    class Elastic(nn.Conv2D):
        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight[:12, :x.shape[1]], None, padding=self._padding)
    return classifier(Elastic(8, 16, 3, padding=1), unit(12, 8), width=8)


@network
def rexnet() -> Made:
    def run(m, x):
        x = m.stem(x)
        y = m.inner(x)
        y = paddle.concat([y[:, :x.shape[1]] + x, y[:, x.shape[1]:]], axis=1)
        return m.head(y)
    inner = nn.Sequential(unit(8, 24, 1, nn.Silu), depthwise(24, act=None), Squeeze(24), nn.ReLU6(),
                          unit(24, 11, 1, None))
    return Net(run, stem=unit(3, 8), inner=inner, head=head(11)), image()


@network
def micronet_maxed() -> Made:
    def run(m, x):
        x = m.stem(x)
        b, c = x.shape[:2]
        a = F.sigmoid(m.gate(F.adaptive_avg_pool2d(x, 1).flatten(1))) * 4 - 2
        first, second = paddle.split(a, 2, axis=1)
        return m.head(paddle.maximum(x * first.reshape([b, c, 1, 1]), x * second.unsqueeze([2, 3])))
    return Net(run, stem=unit(3, 8), gate=mlp(8, 4, 16), head=head(8)), image()


@network
def fasternet() -> Made:
    class Partial(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.dim_conv = dim // 4
            self.dim_untouched = dim - self.dim_conv
            self.conv = nn.Conv2D(self.dim_conv, self.dim_conv, 3, padding=1)
            self.mlp = nn.Sequential(unit(dim, 2 * dim, 1), nn.Conv2D(2 * dim, dim, 1))

        def forward(self, x: Tensor) -> Tensor:
            x1, x2 = paddle.split(x, [self.dim_conv, self.dim_untouched], axis=1)
            return x + self.mlp(paddle.concat((self.conv(x1), x2), 1))
    return classifier(unit(8, 16), Partial(16), Partial(16), width=16)


@network
def efficientvit_cascaded() -> Made:
    def run(m, x):
        x = m.stem(x)
        feat, outs = None, []
        for n, part in enumerate(x.chunk(2, axis=1)):
            feat = part if feat is None else feat + part
            b, c, h, w = feat.shape
            q, k, v = paddle.split(m.qkv[n](feat), [4, 4, c], axis=1)
            q, k, v = m.dws[n](q).flatten(2), k.flatten(2), v.flatten(2)
            attn = F.softmax((q.transpose([0, 2, 1]) @ k) * 0.5, axis=-1)
            feat = (v @ attn.transpose([0, 2, 1])).reshape([b, c, h, w])
            outs.append(feat)
        return m.head(x + m.proj(F.relu(paddle.concat(outs, 1))))
    return Net(run, stem=unit(3, 12), qkv=[unit(6, 14, 1, None), unit(6, 14, 1, None)],
               dws=[depthwise(4, act=None), depthwise(4, act=None)], proj=unit(12, 12, 1, None),
               head=head(12)), image(8)


@network
def proxyless() -> Made:
    return classifier(inverted(8, 8, 3, nn.ReLU6), inverted(8, 12, 6, nn.ReLU6, stride=2), ECA(), width=12)


@network
def espnet_v2() -> Made:
    def run(m, x):
        y = m.reduce(m.stem(x))
        parts = [branch(y) for branch in m.branches]
        for n in range(1, len(parts)):
            parts[n] = parts[n] + parts[n - 1]
        return m.head(m.fuse(F.prelu(paddle.concat(parts, 1), m.slope)))
    net = Net(run, stem=unit(3, 12), reduce=unit(12, 6, 1, groups=3),
              branches=[depthwise(6, dilation=d) for d in (1, 2, 3)], fuse=unit(18, 12, 1, groups=3),
              head=head(12))
    net.slope = net.create_parameter([18], default_initializer=nn.initializer.Constant(0.25))
    return net, image()

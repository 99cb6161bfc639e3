"""Restoration and generation: super-resolution, GANs, flows, autoencoders, diffusion."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.registry import F, Made, Net, Residual, image, network, unit

# fmt: off


def conv(into: int, out: int, kernel: int = 3, **more) -> nn.Layer:
    return nn.Conv2D(into, out, kernel, padding=kernel // 2, **more)


@network
def srcnn() -> Made:
    return nn.Sequential(conv(1, 12, 9), nn.ReLU(), conv(12, 8, 1), nn.ReLU(), conv(8, 1, 5)), image(16, 1)


@network
def vdsr() -> Made:
    return Residual(nn.Sequential(conv(1, 8), nn.ReLU(), conv(8, 8), nn.ReLU(), conv(8, 1))), image(16, 1)


@network
def espcn() -> Made:
    return nn.Sequential(conv(1, 12, 5), nn.Tanh(), conv(12, 8), nn.Tanh(), conv(8, 4), nn.PixelShuffle(2)), image(8, 1)


@network
def fsrcnn() -> Made:
    return nn.Sequential(conv(1, 12, 5), nn.PReLU(12), conv(12, 6, 1), nn.PReLU(6), conv(6, 6), nn.PReLU(6),
                         conv(6, 12, 1), nn.PReLU(12), nn.Conv2DTranspose(12, 1, 9, 2, 4, output_padding=1)), image(8, 1)


@network
def edsr() -> Made:
    class Block(nn.Layer):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.body = nn.Sequential(conv(n, n), nn.ReLU(), conv(n, n))

        def forward(self, x: Tensor) -> Tensor:
            res = self.body(x).scale(0.1)
            res += x
            return res

    def run(m, x):
        x = m.first(x - m.mean.reshape([1, 3, 1, 1]))
        res = m.body(x)
        res += x
        return m.tail(res) + m.mean.reshape([1, 3, 1, 1])
    net = Net(run, first=conv(3, 8), body=nn.Sequential(Block(8), Block(8), conv(8, 8)),
              tail=nn.Sequential(conv(8, 32), nn.PixelShuffle(2), conv(8, 3)))
    net.register_buffer("mean", paddle.to_tensor([0.4, 0.5, 0.6]))
    return net, image(8)


class DenseBlock(nn.Layer):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.LayerList([conv(width + n * growth, growth) for n in range(3)])
        self.last = conv(width + 3 * growth, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.convs:
            features.append(F.leaky_relu(layer(paddle.concat(features, axis=1)), 0.2))
        return self.last(paddle.concat(features, 1)) * 0.2 + x


@network
def residual_dense() -> Made:
    def run(m, x):
        first = m.sfe1(x)
        y, local = m.sfe2(first), []
        for block in m.blocks:
            y = block(y)
            local.append(y)
        return m.up(m.gff(paddle.concat(local, 1)) + first)
    return Net(run, sfe1=conv(3, 8), sfe2=conv(8, 8), blocks=[DenseBlock(8, 4), DenseBlock(8, 4)], gff=conv(16, 8, 1),
               up=nn.Sequential(conv(8, 16), nn.PixelShuffle(2), conv(4, 3))), image(8)


@network
def rrdb() -> Made:
    inner = nn.Sequential(DenseBlock(8, 4), DenseBlock(8, 4))
    return Net(lambda m, x: m.last(F.leaky_relu(m.hr(F.leaky_relu(m.up(F.interpolate(m.first(x) + m.trunk(m.first(x)), scale_factor=2)))))),
               first=conv(3, 8), trunk=nn.Sequential(Residual(inner), conv(8, 8)), up=conv(8, 8), hr=conv(8, 6),
               last=conv(6, 3)), image(8)


@network
def rcan() -> Made:
    class ChannelAttention(nn.Layer):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.du = nn.Sequential(conv(n, n // 4, 1), nn.ReLU(), conv(n // 4, n, 1), nn.Sigmoid())

        def forward(self, x: Tensor) -> Tensor:
            return x * self.du(F.adaptive_avg_pool2d(x, 1))
    block = lambda: Residual(nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8), ChannelAttention(8)))
    return nn.Sequential(conv(3, 8), Residual(nn.Sequential(block(), block(), conv(8, 8))), conv(8, 12), nn.PixelShuffle(2)), image(8)


@network
def carn() -> Made:
    def run(m, x):
        x = m.entry(x)
        c0 = o0 = x
        c1 = paddle.concat([c0, m.b1(o0)], 1)
        o1 = m.c1(c1)
        c2 = paddle.concat([c1, m.b1(o1)], 1)
        return m.last(m.c2(c2))
    block = Residual(nn.Sequential(conv(8, 8, groups=2), nn.ReLU(), conv(8, 8, 1)))
    return Net(run, entry=conv(3, 8), b1=block, c1=conv(16, 8, 1), c2=conv(24, 8, 1), last=conv(8, 3)), image(8)


@network
def information_distillation() -> Made:
    class IMD(nn.Layer):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.distilled, self.remaining = n // 4, n - n // 4
            self.c1, self.c2 = conv(n, n), conv(self.remaining, n)
            self.c3, self.c5 = conv(self.remaining, self.distilled), conv(3 * self.distilled, n, 1)

        def forward(self, x: Tensor) -> Tensor:
            d1, r1 = paddle.split(F.leaky_relu(self.c1(x)), (self.distilled, self.remaining), axis=1)
            d2, r2 = paddle.split(F.leaky_relu(self.c2(r1)), (self.distilled, self.remaining), axis=1)
            return self.c5(paddle.concat([d1, d2, self.c3(r2)], axis=1)) + x
    return nn.Sequential(conv(3, 12), IMD(12), IMD(12), conv(12, 12), nn.PixelShuffle(2)), image(8)


@network
def laplacian_pyramid() -> Made:
    def run(m, x):
        out, picture = m.first(x), x
        outs = []
        for up, residual, widen in zip(m.up, m.residual, m.widen, strict=False):
            out = up(out)
            picture = widen(picture) + residual(out)
            outs.append(picture)
        return tuple(outs)
    two = lambda f: [f(), f()]
    return Net(run, first=conv(1, 8), up=two(lambda: nn.Sequential(conv(8, 8), nn.Conv2DTranspose(8, 8, 4, 2, 1))),
               residual=two(lambda: conv(8, 1)), widen=two(lambda: nn.Conv2DTranspose(1, 1, 4, 2, 1))), image(8, 1)


@network
def dncnn() -> Made:
    return Net(lambda m, x: x - m.net(x), net=nn.Sequential(conv(1, 8), nn.ReLU(), unit(8, 8), unit(8, 8), conv(8, 1))), image(16, 1)


@network
def ffdnet() -> Made:
    def run(m, x, sigma):
        y = F.pixel_unshuffle(x, 2)
        noise = sigma.reshape([-1, 1, 1, 1]).tile([1, 1, y.shape[2], y.shape[3]])
        return F.pixel_shuffle(m.net(paddle.concat([noise, y], 1)), 2)
    return Net(run, net=nn.Sequential(conv(5, 12), nn.ReLU(), unit(12, 12), conv(12, 4))), [image(16, 1), paddle.rand([1])]


@network
def nafnet() -> Made:
    class Gate(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            x1, x2 = x.chunk(2, axis=1)
            return x1 * x2

    class LayerNorm2D(nn.Layer):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.weight, self.bias = self.create_parameter([n]), self.create_parameter([n], is_bias=True)

        def forward(self, x: Tensor) -> Tensor:
            mu = x.mean(1, keepdim=True)
            var = (x - mu).pow(2).mean(1, keepdim=True)
            return self.weight.reshape([1, -1, 1, 1]) * ((x - mu) / (var + 1e-6).sqrt()) + self.bias.reshape([1, -1, 1, 1])

    class Block(nn.Layer):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.norm, self.norm2 = LayerNorm2D(c), LayerNorm2D(c)
            self.conv1, self.conv2 = conv(c, 2 * c, 1), conv(2 * c, 2 * c, groups=2 * c)
            self.conv3, self.sca, self.sg = conv(c, c, 1), conv(c, c, 1), Gate()
            self.conv4, self.conv5 = conv(c, 2 * c, 1), conv(c, c, 1)
            self.beta = self.create_parameter([1, c, 1, 1])

        def forward(self, x: Tensor) -> Tensor:
            y = self.sg(self.conv2(self.conv1(self.norm(x))))
            y = self.conv3(y * self.sca(y.mean([2, 3], keepdim=True)))
            x = x + y * self.beta
            return x + self.conv5(self.sg(self.conv4(self.norm2(x))))
    return nn.Sequential(conv(3, 8), Block(8), Block(8), conv(8, 3)), image(8)


@network
def restormer() -> Made:
    def run(m, x):
        x = m.embed(x)
        b, c, h, w = x.shape
        q, k, v = m.dw(m.qkv(x)).chunk(3, axis=1)
        q, k, v = (t.reshape([b, 2, c // 2, h * w]) for t in (q, k, v))
        attn = F.normalize(q, axis=-1) @ F.normalize(k, axis=-1).transpose([0, 1, 3, 2]) * m.t
        x = x + m.out((F.softmax(attn, axis=-1) @ v).reshape([b, c, h, w]))
        x1, x2 = m.dwffn(m.into(x)).chunk(2, axis=1)
        return m.last(x + m.back(F.gelu(x1) * x2))
    net = Net(run, embed=conv(3, 8), qkv=conv(8, 24, 1), dw=conv(24, 24, groups=24), out=conv(8, 8, 1),
              into=conv(8, 40, 1), dwffn=conv(40, 40, groups=40), back=conv(20, 8, 1), last=conv(8, 3))
    net.t = net.create_parameter([2, 1, 1], default_initializer=nn.initializer.Constant(1.0))
    return net, image(8)

"""Generation: adversaries, autoencoders, flows, diffusion."""

from __future__ import annotations

import math

import paddle
from paddle import Tensor, nn

from foreign.generative import conv
from foreign.registry import (
    F,
    Made,
    Net,
    Residual,
    head,
    image,
    mlp,
    network,
    unit,
)

# fmt: off


@network
def dcgan_generator() -> Made:
    up = lambda a, b: nn.Sequential(nn.Conv2DTranspose(a, b, 4, 2, 1, bias_attr=False), nn.BatchNorm2D(b), nn.ReLU())
    return nn.Sequential(nn.Conv2DTranspose(10, 16, 4, 1, 0), nn.BatchNorm2D(16), nn.ReLU(), up(16, 12), up(12, 8),
                         nn.Conv2DTranspose(8, 3, 4, 2, 1), nn.Tanh()), paddle.randn([1, 10, 1, 1])


@network
def gan_from_linear() -> Made:
    def run(m, z):
        y = m.fc(z).view(z.shape[0], 16, 4, 4)
        return F.tanh(m.last(m.b(F.interpolate(m.a(F.interpolate(m.bn(y), scale_factor=2)), scale_factor=2))))
    return Net(run, fc=nn.Linear(10, 256), bn=nn.BatchNorm2D(16), a=unit(16, 12), b=unit(12, 8), last=conv(8, 3)), paddle.randn([1, 10])


@network
def gan_from_linear_open() -> Made:
    def run(m, z):
        y = m.fc(z).reshape([z.shape[0], -1, 4, 4])
        return F.tanh(m.last(m.a(F.interpolate(m.bn(y), scale_factor=2))))
    return Net(run, fc=nn.Linear(10, 256), bn=nn.BatchNorm2D(16), a=unit(16, 12), last=conv(12, 3)), paddle.randn([1, 10])


@network
def conditional_gan() -> Made:
    def run(m, z, label):
        y = paddle.concat([z, m.embed(label)], axis=-1)
        return m.net(y).reshape([z.shape[0], 1, 8, 8])
    return Net(run, embed=nn.Embedding(5, 6), net=mlp(16, 24, 32, 64, act=nn.LeakyReLU)), [paddle.randn([1, 10]), paddle.to_tensor([3])]


class Modulated(nn.Layer):
    """StyleGAN2's convolution: filters scaled by a style, and normalised."""

    def __init__(self, into: int, out: int, style: int) -> None:
        super().__init__()
        self.into, self.out, self.affine = into, out, nn.Linear(style, into)
        self.weight = self.create_parameter([1, out, into, 3, 3])
        self.noise, self.bias = self.create_parameter([1]), self.create_parameter([out], is_bias=True)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        b, _, h, w = x.shape
        s = self.affine(style).reshape([b, 1, self.into, 1, 1]) + 1
        weight = self.weight * s
        weight = weight * paddle.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8).reshape([b, self.out, 1, 1, 1])
        weight = weight.reshape([b * self.out, self.into, 3, 3])
        y = F.conv2d(x.reshape([1, b * self.into, h, w]), weight, padding=1, groups=b)
        return F.leaky_relu(y.reshape([b, self.out, h, w]) + self.bias.reshape([1, -1, 1, 1]), 0.2)


@network
def stylegan2() -> Made:
    def run(m, z):
        w = m.map(z * paddle.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))
        x = m.const.tile([z.shape[0], 1, 1, 1])
        x = m.a(x, w)
        return m.rgb(m.b(F.interpolate(x, scale_factor=2), w))
    net = Net(run, map=mlp(8, 12, 10, act=nn.LeakyReLU), a=Modulated(8, 8, 10), b=Modulated(8, 6, 10), rgb=conv(6, 3, 1))
    net.const = net.create_parameter([1, 8, 4, 4], default_initializer=nn.initializer.Normal())
    return net, paddle.randn([1, 8])


@network
def adaptive_instance_norm() -> Made:
    class AdaIN(nn.Layer):
        def __init__(self, width: int, style: int) -> None:
            super().__init__()
            self.norm, self.fc = nn.InstanceNorm2D(width, weight_attr=False, bias_attr=False), nn.Linear(style, 2 * width)

        def forward(self, x: Tensor, s: Tensor) -> Tensor:
            h = self.fc(s)
            h = h.reshape([h.shape[0], h.shape[1], 1, 1])
            gamma, beta = paddle.chunk(h, 2, axis=1)
            return (1 + gamma) * self.norm(x) + beta
    return Net(lambda m, x, s: m.last(F.relu(m.norm2(m.b(F.relu(m.norm(m.a(x), s))), s))), a=conv(3, 8), norm=AdaIN(8, 6),
               b=conv(8, 10), norm2=AdaIN(10, 6), last=conv(10, 3)), [image(8), paddle.randn([1, 6])]


@network
def spade() -> Made:
    class Spade(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.bn = nn.BatchNorm2D(width, weight_attr=False, bias_attr=False)
            self.shared, self.gamma, self.beta = conv(2, 6), conv(6, width), conv(6, width)

        def forward(self, x: Tensor, seg: Tensor) -> Tensor:
            a = F.relu(self.shared(F.interpolate(seg, size=x.shape[2:], mode="nearest")))
            return self.bn(x) * (1 + self.gamma(a)) + self.beta(a)
    return Net(lambda m, x, s: m.last(F.relu(m.two(m.b(F.relu(m.one(m.a(x), s))), s))), a=conv(3, 8), one=Spade(8),
               b=conv(8, 10), two=Spade(10), last=conv(10, 3)), [image(8), image(16, 2)]


@network
def pix2pix() -> Made:
    class Skip(nn.Layer):
        def __init__(self, outer: int, inner: int, into: int, sub: nn.Layer | None = None, last: bool = False) -> None:
            super().__init__()
            self.last = last
            down = [nn.LeakyReLU(0.2), nn.Conv2D(into, inner, 4, 2, 1)]
            up = [nn.ReLU(), nn.Conv2DTranspose(inner * (2 if sub else 1), outer, 4, 2, 1), nn.InstanceNorm2D(outer)]
            self.model = nn.Sequential(*down, *([sub] if sub else []), *up)

        def forward(self, x: Tensor) -> Tensor:
            if self.last:
                return self.model(x)
            return paddle.concat([x, self.model(x)], 1)
    return Skip(3, 8, 3, Skip(8, 12, 8, Skip(12, 16, 12)), last=True), image(16)


@network
def cyclegan() -> Made:
    block = lambda: Residual(nn.Sequential(nn.Pad2D(1, mode="reflect"), nn.Conv2D(12, 12, 3), nn.InstanceNorm2D(12), nn.ReLU(),
                                           nn.Pad2D([1, 1, 1, 1], mode="replicate"), nn.Conv2D(12, 12, 3), nn.InstanceNorm2D(12)))
    return nn.Sequential(nn.Pad2D(3, mode="reflect"), nn.Conv2D(3, 8, 7), nn.InstanceNorm2D(8), nn.ReLU(),
                         nn.Conv2D(8, 12, 3, 2, 1), nn.InstanceNorm2D(12), nn.ReLU(), block(), block(),
                         nn.Conv2DTranspose(12, 8, 3, 2, 1, 1), nn.InstanceNorm2D(8), nn.ReLU(), conv(8, 3, 7), nn.Tanh()), image(16)


@network
def variational_autoencoder() -> Made:
    def run(m, x):
        h = m.encode(x).flatten(1)
        mu, log_var = m.mu(h), m.log_var(h)
        z = mu + paddle.exp(0.5 * log_var) * (paddle.randn(mu.shape) if m.training else 0.0)
        return m.decode(m.widen(z).reshape([-1, 12, 4, 4])), mu, log_var
    return Net(run, encode=nn.Sequential(unit(1, 8, stride=2), unit(8, 12, stride=2)), mu=nn.Linear(192, 6),
               log_var=nn.Linear(192, 6), widen=nn.Linear(6, 192),
               decode=nn.Sequential(nn.Conv2DTranspose(12, 8, 2, 2), nn.ReLU(), nn.Conv2DTranspose(8, 1, 2, 2))), image(16, 1)


@network
def vq_vae() -> Made:
    def run(m, x):
        z = m.encode(x)
        flat = z.transpose([0, 2, 3, 1]).reshape([-1, z.shape[1]])
        code = m.book.weight
        apart = flat.square().sum(1, keepdim=True) + code.square().sum(1) - 2 * paddle.matmul(flat, code.t())
        nearest = paddle.argmin(apart, axis=1)
        q = m.book(nearest).reshape([z.shape[0], z.shape[2], z.shape[3], -1]).transpose([0, 3, 1, 2])
        return m.decode(z + (q - z).detach()), nearest
    return Net(run, encode=nn.Sequential(unit(1, 8, stride=2), conv(8, 6)), book=nn.Embedding(7, 6),
               decode=nn.Sequential(nn.Conv2DTranspose(6, 8, 2, 2), nn.ReLU(), conv(8, 1))), image(8, 1)


@network
def coupling_flow() -> Made:
    def run(m, x):
        log_det = paddle.zeros([x.shape[0]])
        for net in m.nets:
            a, b = x.chunk(2, axis=1)
            s, t = net(a).chunk(2, axis=1)
            s = F.tanh(s)
            b = b * paddle.exp(s) + t
            log_det = log_det + s.sum([1, 2, 3])
            x = paddle.concat([b, a], axis=1)
        return x, log_det
    return Net(run, nets=[nn.Sequential(conv(2, 8), nn.ReLU(), conv(8, 4)) for _ in range(2)]), image(8, 4)


@network
def pixel_cnn() -> Made:
    class Masked(nn.Conv2D):
        def __init__(self, kind: str, into: int, out: int) -> None:
            super().__init__(into, out, 5, padding=2)
            mask = paddle.ones_like(self.weight)
            mask[:, :, 2, 2 + (kind == "B"):] = 0
            mask[:, :, 3:] = 0
            self.register_buffer("mask", mask)

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight * self.mask, self.bias, padding=2)
    return nn.Sequential(Masked("A", 1, 8), nn.BatchNorm2D(8), nn.ReLU(), Masked("B", 8, 8), nn.ReLU(), conv(8, 4, 1)), image(8, 1)


@network
def diffusion_unet() -> Made:
    class Res(nn.Layer):
        def __init__(self, into: int, out: int, emb: int) -> None:
            super().__init__()
            self.n1, self.c1 = nn.GroupNorm(4, into), conv(into, out)
            self.n2, self.c2 = nn.GroupNorm(4, out), conv(out, out)
            self.emb, self.skip = nn.Linear(emb, out), conv(into, out, 1) if into != out else nn.Identity()

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            h = self.c1(F.silu(self.n1(x)))
            h = h + self.emb(F.silu(t))[:, :, None, None]
            return self.skip(x) + self.c2(F.silu(self.n2(h)))

    def run(m, x, t):
        half = 4
        freqs = paddle.exp(-math.log(10000) * paddle.arange(half, dtype="float32") / half)
        args = t.astype("float32").unsqueeze(1) * freqs.unsqueeze(0)
        emb = m.time(paddle.concat([paddle.cos(args), paddle.sin(args)], axis=-1))
        a = m.a(m.first(x), emb)
        b = m.b(F.avg_pool2d(a, 2), emb)
        return m.last(m.c(paddle.concat([F.interpolate(b, scale_factor=2), a], 1), emb))
    return Net(run, time=mlp(8, 12, 12, act=nn.Silu), first=conv(3, 8), a=Res(8, 8, 12), b=Res(8, 16, 12), c=Res(24, 8, 12),
               last=nn.Sequential(nn.GroupNorm(4, 8), nn.Silu(), conv(8, 3))), [image(8), paddle.to_tensor([7])]


@network
def patch_discriminator() -> Made:
    norm = nn.utils.spectral_norm
    return nn.Sequential(norm(nn.Conv2D(3, 8, 4, 2, 1)), nn.LeakyReLU(0.2), norm(nn.Conv2D(8, 12, 4, 2, 1)), nn.LeakyReLU(0.2),
                         nn.Conv2D(12, 16, 3, padding=1), nn.BatchNorm2D(16), nn.LeakyReLU(0.2), conv(16, 1)), image(16)


@network
def auxiliary_discriminator() -> Made:
    def run(m, x):
        y = m.body(x)
        std = (paddle.var(y, axis=0, unbiased=False) + 1e-8).sqrt().mean().reshape([1, 1, 1, 1]).expand([y.shape[0], 1, 4, 4])
        y = m.join(paddle.concat([y, std], axis=1)).flatten(1)
        return m.real(y), F.log_softmax(m.label(y), axis=-1)
    return Net(run, body=nn.Sequential(unit(3, 8, stride=2), unit(8, 12, stride=2)), join=unit(13, 6), real=nn.Linear(96, 1),
               label=nn.Linear(96, 5)), image(16)


@network
def style_transfer() -> Made:
    def run(m, x):
        a = m.a(x)
        b = m.b(a)
        gram = lambda y: paddle.matmul(y.flatten(2), y.flatten(2), transpose_y=True) / (y.shape[1] * y.shape[2] * y.shape[3])
        return gram(a), gram(b), m.c(b)
    return Net(run, a=unit(3, 8), b=unit(8, 10), c=unit(10, 6)), image(8)


@network
def perceptual_wrapper() -> Made:
    """A frozen network inside one that trains."""
    net = Net(lambda m, x: (m.make(x), m.see(m.make(x))), make=nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 3)),
              see=nn.Sequential(unit(3, 8), unit(8, 6), head(6)))
    for p in net.see.parameters():
        p.stop_gradient = True
    return net, image(8)

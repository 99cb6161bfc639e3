"""Convolutional networks with operators of their own: dynamic filters, capsules, frequencies."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.registry import F, Made, Net, classifier, head, image, mlp, network, unit

# fmt: off


@network
def condconv() -> Made:
    class Cond(nn.Layer):
        def __init__(self, into: int, out: int, experts: int = 3) -> None:
            super().__init__()
            self.experts, self.into, self.out = experts, into, out
            self.weight = self.create_parameter([experts, out * into * 9])
            self.route = nn.Linear(into, experts)

        def forward(self, x: Tensor) -> Tensor:
            b, c, h, w = x.shape
            r = F.sigmoid(self.route(F.adaptive_avg_pool2d(x, 1).flatten(1)))
            weight = paddle.matmul(r, self.weight).reshape([b * self.out, self.into, 3, 3])
            y = F.conv2d(x.reshape([1, b * c, h, w]), weight, padding=1, groups=b)
            return y.reshape([b, self.out, h, w])
    return classifier(unit(8, 8), Cond(8, 12), nn.BatchNorm2D(12), unit(12, 8), width=8)


@network
def dynamic_filter() -> Made:
    def run(m, x):
        y = m.stem(x)
        b, c, h, w = y.shape
        kernel = m.kernel(F.adaptive_avg_pool2d(y, 1)).reshape([b * c, 1, 3, 3])
        z = F.conv2d(y.reshape([1, b * c, h, w]), kernel, padding=1, groups=b * c)
        return m.head(z.reshape([b, c, h, w]) + y)
    return Net(run, stem=unit(3, 8), kernel=nn.Conv2D(8, 72, 1), head=head(8)), image()


@network
def involution() -> Made:
    def run(m, x):
        x = m.stem(x)
        b, c, h, w = x.shape
        weight = m.span(m.reduce(x)).reshape([b, 2, 9, h, w]).unsqueeze(2)
        out = F.unfold(x, 3, paddings=1).reshape([b, 2, c // 2, 9, h, w])
        return m.head(m.last((weight * out).sum(3).reshape([b, c, h, w])))
    return Net(run, stem=unit(3, 8), reduce=unit(8, 4, 1), span=nn.Conv2D(4, 18, 1), last=unit(8, 8),
               head=head(8)), image(8)


@network
def octave() -> Made:
    def run(m, x):
        high, low = m.hh0(x), m.hl0(F.avg_pool2d(x, 2))
        h = m.hh(high) + F.interpolate(m.lh(low), scale_factor=2, mode="nearest")
        low = m.ll(low) + m.hl(F.avg_pool2d(high, 2, 2))
        return m.head(m.last(paddle.concat([h, F.upsample(low, scale_factor=2)], 1)))
    return Net(run, hh0=unit(3, 8), hl0=unit(3, 6), hh=unit(8, 8, act=None), hl=unit(8, 6, act=None),
               lh=unit(6, 8, act=None), ll=unit(6, 6, act=None), last=unit(14, 8), head=head(8)), image()


@network
def blur_pool() -> Made:
    class Blur(nn.Layer):
        def __init__(self, channels: int) -> None:
            super().__init__()
            a = paddle.to_tensor([1.0, 2.0, 1.0])
            filt = (a.unsqueeze(1) * a.unsqueeze(0)) / 16
            self.channels = channels
            self.register_buffer("filt", filt.unsqueeze([0, 1]).tile([channels, 1, 1, 1]))

        def forward(self, x: Tensor) -> Tensor:
            x = F.pad(x, [1, 1, 1, 1], mode="reflect")
            return F.conv2d(x, self.filt, stride=2, groups=x.shape[1])
    return classifier(unit(8, 12), Blur(12), unit(12, 8), Blur(8), width=8)


@network
def coordconv() -> Made:
    def run(m, x):
        b, _, h, w = x.shape
        rows = paddle.linspace(-1, 1, h).reshape([1, 1, h, 1]).expand([b, 1, h, w])
        columns = paddle.linspace(-1, 1, w).reshape([1, 1, 1, w]).expand([b, 1, h, w])
        y = m.one(paddle.concat([x, rows, columns], 1))
        return m.head(m.two(paddle.concat([y, rows, columns], 1)))
    return Net(run, one=unit(5, 8), two=unit(10, 8), head=head(8)), image()


@network
def capsules() -> Made:
    class Caps(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.primary = unit(3, 8, 5), nn.Conv2D(8, 16, 3, stride=4)
            self.weight = self.create_parameter([1, 64, 5, 6, 4])

        def forward(self, x: Tensor) -> Tensor:
            u = self.primary(self.conv(x))
            u = u.reshape([x.shape[0], 4, 4, -1]).transpose([0, 1, 3, 2]).reshape([x.shape[0], -1, 4])
            u = u / (u.norm(axis=-1, keepdim=True) + 1e-6)
            votes = paddle.matmul(self.weight, u.unsqueeze(2).unsqueeze(4)).squeeze(-1)
            b = paddle.zeros(votes.shape[:3])
            for _ in range(2):
                c = F.softmax(b, axis=2)
                s = (c.unsqueeze(-1) * votes).sum(1)
                b = b + (votes * s.unsqueeze(1)).sum(-1)
            return s.norm(axis=-1)
    return Caps(), image(16)


@network
def spatial_transformer() -> Made:
    def run(m, x):
        theta = m.loc(F.max_pool2d(m.local(x), 4).flatten(1)).reshape([-1, 2, 3])
        grid = F.affine_grid(theta, x.shape)
        return m.head(m.body(F.grid_sample(x, grid)))
    return Net(run, local=unit(3, 6), loc=mlp(96, 10, 6), body=unit(3, 8), head=head(8)), image()


@network
def netvlad() -> Made:
    class Vlad(nn.Layer):
        def __init__(self, dim: int, clusters: int) -> None:
            super().__init__()
            self.assign = nn.Conv2D(dim, clusters, 1)
            self.centroids = self.create_parameter([clusters, dim])

        def forward(self, x: Tensor) -> Tensor:
            n, c = x.shape[:2]
            x = F.normalize(x, p=2, axis=1)
            soft = F.softmax(self.assign(x).reshape([n, 4, -1]), axis=1)
            flat = x.reshape([n, c, -1])
            r = flat.unsqueeze(1) - self.centroids.unsqueeze(0).unsqueeze(-1)
            vlad = (r * soft.unsqueeze(2)).sum(-1)
            return F.normalize(F.normalize(vlad, axis=2).flatten(1), axis=1)
    return nn.Sequential(unit(3, 8), unit(8, 12), Vlad(12, 4), nn.Linear(48, 5)), image(8)


@network
def generalised_mean() -> Made:
    def run(m, x):
        y = m.body(x).clip(min=1e-6).pow(3.0)
        y = F.avg_pool2d(y, (y.shape[-2], y.shape[-1])).pow(1.0 / 3)
        return F.normalize(m.fc(y.flatten(1)))
    return Net(run, body=nn.Sequential(unit(3, 8), unit(8, 12)), fc=nn.Linear(12, 6)), image()


@network
def bilinear_pooling() -> Made:
    def run(m, x):
        y = m.body(x).flatten(2)
        z = paddle.bmm(y, y.transpose([0, 2, 1])) / y.shape[2]
        z = paddle.sign(z) * paddle.sqrt(z.abs() + 1e-8)
        return m.fc(F.normalize(z.flatten(1)))
    return Net(run, body=unit(3, 8), fc=nn.Linear(64, 5)), image(8)


@network
def gabor_fixed_filters() -> Made:
    def run(m, x):
        return m.head(m.body(F.conv2d(x, m.bank, padding=2)))
    net = Net(run, body=unit(6, 8), head=head(8))
    net.register_buffer("bank", paddle.randn([6, 3, 5, 5]))
    return net, image()


@network
def frequencies() -> Made:
    def run(m, x):
        y = m.stem(x)
        z = paddle.fft.rfft2(y)
        z = paddle.fft.irfft2(z * m.filter.unsqueeze([0, 1]), s=y.shape[-2:])
        return m.head(m.body(z + y))
    net = Net(run, stem=unit(3, 8), body=unit(8, 8), head=head(8))
    net.filter = net.create_parameter([16, 9], default_initializer=nn.initializer.Normal())
    return net, image()


@network
def space_to_depth() -> Made:
    class ToDepth(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            x = x.reshape([n, c, h // 4, 4, w // 4, 4]).transpose([0, 3, 5, 1, 2, 4])
            return x.reshape([n, c * 16, h // 4, w // 4])
    return nn.Sequential(ToDepth(), unit(48, 8), unit(8, 12), head(12)), image()


@network
def space_to_depth_inside() -> Made:
    def run(m, x):
        x = m.stem(x)
        n, c, h, w = x.shape
        y = x.reshape([n, c, h // 2, 2, w // 2, 2]).transpose([0, 3, 5, 1, 2, 4])
        return m.head(m.body(y.reshape([n, c * 4, h // 2, w // 2])))
    return Net(run, stem=unit(3, 8), body=unit(32, 12), head=head(12)), image()


@network
def network_in_network() -> Made:
    return nn.Sequential(unit(3, 8, 5), unit(8, 6, 1), nn.MaxPool2D(3, 2), nn.Dropout(0.5),
                         unit(6, 10, 5), nn.Conv2D(10, 5, 1), nn.AdaptiveAvgPool2D(1),
                         nn.Flatten()), image()


@network
def alexnet_two_towers() -> Made:
    return nn.Sequential(nn.Conv2D(3, 8, 5), nn.ReLU(), nn.LocalResponseNorm(3), nn.MaxPool2D(2),
                         nn.Conv2D(8, 12, 3, groups=2), nn.ReLU(), nn.Flatten(),
                         mlp(192, 20, 5)), image()


@network
def maxout_net() -> Made:
    return classifier(nn.Conv2D(8, 12, 3), nn.Maxout(2), nn.Conv2D(6, 9, 3), nn.Maxout(3), width=3)


@network
def concatenated_relu() -> Made:
    class CReLU(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(paddle.concat([x, -x], axis=1))
    return classifier(nn.Conv2D(8, 6, 3), nn.BatchNorm2D(6), CReLU(), unit(12, 8), width=8)


@network
def dynamic_relu() -> Made:
    def run(m, x):
        x = m.stem(x)
        theta = 2 * F.sigmoid(m.fc(x.mean(axis=[2, 3]))) - 1
        coefs = theta.reshape([-1, x.shape[1], 4]) * m.scales + m.shifts
        y = x.transpose([2, 3, 0, 1]).unsqueeze(-1) * coefs[:, :, :2] + coefs[:, :, 2:]
        return m.head(y.max(-1).transpose([2, 3, 0, 1]))
    net = Net(run, stem=unit(3, 8), fc=mlp(8, 4, 32), head=head(8))
    net.register_buffer("scales", paddle.to_tensor([1.0, 1.0, 0.5, 0.5]))
    net.register_buffer("shifts", paddle.to_tensor([1.0, 0.0, 0.0, 0.0]))
    return net, image(8)

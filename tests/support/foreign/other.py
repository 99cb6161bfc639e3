"""Points, graphs, tables, games, video, and small things with odd wiring."""

from __future__ import annotations

import math

import paddle
from paddle import Tensor, nn

from foreign.registry import (
    F,
    Made,
    Net,
    head,
    image,
    mlp,
    network,
    row,
    unit,
)

# fmt: off


@network
def pointnet() -> Made:
    class TNet(nn.Layer):
        def __init__(self, k: int) -> None:
            super().__init__()
            self.k, self.body, self.fc = k, nn.Sequential(row(k, 8, 1), row(8, 12, 1)), mlp(12, 10, k * k)

        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(paddle.max(self.body(x), 2))
            return y.view(-1, self.k, self.k) + paddle.eye(self.k).flatten().reshape([1, self.k, self.k])

    def run(m, x):
        x = paddle.bmm(x.transpose([0, 2, 1]), m.t3(x)).transpose([0, 2, 1])
        y = m.a(x)
        t = m.t8(y)
        y = paddle.bmm(y.transpose([0, 2, 1]), t).transpose([0, 2, 1])
        g = paddle.max(m.b(y), 2, keepdim=True)
        return m.seg(paddle.concat([y, g.tile([1, 1, y.shape[2]])], 1)), m.cls(g.squeeze(2))
    return Net(run, t3=TNet(3), t8=TNet(8), a=row(3, 8, 1), b=row(8, 16, 1), seg=nn.Conv1D(24, 4, 1), cls=mlp(16, 10, 5)), paddle.randn([1, 3, 12])


@network
def dynamic_graph_cnn() -> Made:
    def edge(x, k=3):
        b, c, n = x.shape
        inner = -2 * paddle.matmul(x.transpose([0, 2, 1]), x)
        xx = (x**2).sum(1, keepdim=True)
        index = (-xx - inner - xx.transpose([0, 2, 1])).topk(k, axis=-1)[1].reshape([-1])
        points = x.transpose([0, 2, 1]).reshape([b * n, c])
        near = paddle.gather(points, index).reshape([b, n, k, c])
        me = x.transpose([0, 2, 1]).reshape([b, n, 1, c]).tile([1, 1, k, 1])
        return paddle.concat([near - me, me], axis=3).transpose([0, 3, 1, 2])

    def run(m, x):
        a = m.a(edge(x)).max(axis=-1)
        b = m.b(edge(a)).max(axis=-1)
        y = m.c(paddle.concat([a, b], axis=1))
        return m.fc(paddle.concat([F.adaptive_max_pool1d(y, 1).squeeze(-1), F.adaptive_avg_pool1d(y, 1).squeeze(-1)], 1))
    return Net(run, a=unit(6, 8, 1), b=unit(16, 10, 1), c=row(18, 12, 1), fc=nn.Linear(24, 4)), paddle.randn([1, 3, 8])


@network
def graph_convolution() -> Made:
    def run(m, x, adjacency):
        degree = adjacency.sum(-1, keepdim=True)
        x = F.relu(paddle.matmul(adjacency / degree, m.a(x)))
        return m.c(F.relu(m.b(paddle.bmm(adjacency, x)) + x))
    return Net(run, a=nn.Linear(5, 8), b=nn.Linear(8, 8), c=nn.Linear(8, 3)), [paddle.randn([1, 6, 5]), paddle.rand([1, 6, 6]) + 0.1]


@network
def graph_attention() -> Made:
    def run(m, x, adjacency):
        h = m.w(x).reshape([0, 0, 2, -1])
        left, right = (h * m.left).sum(-1), (h * m.right).sum(-1)
        e = F.leaky_relu(left.unsqueeze(2) + right.unsqueeze(1), 0.2)
        e = paddle.where(adjacency.unsqueeze(-1) > 0.3, e, paddle.full_like(e, -1e9))
        a = F.softmax(e, axis=2)
        return m.out(F.elu(paddle.einsum("bijh,bjhd->bihd", a, h).flatten(2)))
    net = Net(run, w=nn.Linear(5, 12), out=nn.Linear(12, 3))
    net.left, net.right = net.create_parameter([2, 6]), net.create_parameter([2, 6])
    return net, [paddle.randn([1, 6, 5]), paddle.rand([1, 6, 6])]


@network
def graph_sage() -> Made:
    def run(m, x, neighbours):
        for own, other in zip(m.own, m.other, strict=False):
            gathered = paddle.gather(x, neighbours.flatten()).reshape([*neighbours.shape, -1])
            x = F.relu(own(x) + other(gathered.mean(1)))
        return m.fc(F.normalize(x, axis=-1))
    return Net(run, own=[nn.Linear(5, 8), nn.Linear(8, 10)], other=[nn.Linear(5, 8), nn.Linear(8, 10)], fc=nn.Linear(10, 3)), [
        paddle.randn([6, 5]), paddle.randint(0, 6, [6, 3])]


@network
def skeleton_graph() -> Made:
    def run(m, x):
        n, c, t, v = x.shape
        y = m.a(x)
        kc = y.shape[1]
        y = y.reshape([n, 3, kc // 3, t, v])
        y = paddle.einsum("nkctv,kvw->nctw", y, m.graph * m.importance)
        return m.head(F.relu(m.tcn(F.relu(y)) + m.res(x)))
    net = Net(run, a=nn.Conv2D(3, 24, 1), tcn=unit(8, 8, (3, 1), padding=(1, 0)), res=unit(3, 8, 1, None), head=head(8))
    net.register_buffer("graph", paddle.rand([3, 5, 5]))
    net.importance = net.create_parameter([3, 5, 5], default_initializer=nn.initializer.Constant(1.0))
    return net, paddle.randn([1, 3, 8, 5])


@network
def deep_fm() -> Made:
    def run(m, x):
        e = m.embed(x)
        square, total = e.square().sum(1), e.sum(1).square()
        fm = 0.5 * (total - square).sum(1, keepdim=True)
        return F.sigmoid(m.linear(x).sum(1) + fm + m.deep(e.flatten(1)))
    return Net(run, embed=nn.Embedding(20, 6), linear=nn.Embedding(20, 1), deep=mlp(24, 16, 10, 1)), paddle.randint(0, 20, [1, 4])


@network
def wide_and_deep() -> Made:
    def run(m, numbers, kinds):
        parts = [e(kinds[:, n]) for n, e in enumerate(m.embeds)]
        deep = m.deep(paddle.concat([*parts, m.bn(numbers)], axis=1))
        return F.sigmoid(m.wide(numbers) + deep)
    return Net(run, embeds=[nn.Embedding(5, 4), nn.Embedding(7, 6)], bn=nn.BatchNorm1D(3), deep=mlp(13, 16, 1), wide=nn.Linear(3, 1)), [
        paddle.randn([1, 3]), paddle.randint(0, 5, [1, 2])]


@network
def deep_and_cross() -> Made:
    def run(m, x):
        x0 = x
        for w in m.cross:
            x = x0 * w(x) + x
        return m.out(paddle.concat([x, m.deep(x0)], -1))
    return Net(run, cross=[nn.Linear(6, 6), nn.Linear(6, 6)], deep=nn.Sequential(mlp(6, 12, 10), nn.ReLU()), out=nn.Linear(16, 1)), paddle.randn([1, 6])


@network
def compressed_interactions() -> Made:
    def run(m, x):
        x0 = m.embed(x)
        hidden, outs = x0, []
        for conv in m.convs:
            b, d = x0.shape[0], x0.shape[2]
            z = paddle.einsum("bhd,bmd->bhmd", hidden, x0).reshape([b, -1, d])
            hidden = F.relu(conv(z))
            outs.append(hidden)
        return m.fc(paddle.concat(outs, axis=1).sum(-1))
    return Net(run, embed=nn.Embedding(20, 6), convs=[nn.Conv1D(16, 5, 1), nn.Conv1D(20, 6, 1)], fc=nn.Linear(11, 1)), paddle.randint(0, 20, [1, 4])


@network
def deep_interest() -> Made:
    def run(m, history, target):
        h, t = m.embed(history), m.embed(target).unsqueeze(1)
        t = t.expand([-1, h.shape[1], -1])
        weight = m.att(paddle.concat([h, t, h - t, h * t], axis=-1))
        pooled = (weight * h).sum(1)
        return m.fc(paddle.concat([pooled, t[:, 0]], axis=-1))
    return Net(run, embed=nn.Embedding(20, 6), att=mlp(24, 10, 1, act=nn.Sigmoid), fc=mlp(12, 8, 1)), [paddle.randint(0, 20, [1, 5]), paddle.to_tensor([3])]


@network
def tab_net() -> Made:
    def run(m, x):
        x = m.bn(x)
        prior, total = paddle.ones_like(x), 0
        a = m.first(x)
        for fc, bn, step in zip(m.att, m.norm, m.steps, strict=False):
            mask = F.softmax(bn(fc(a)) * prior, axis=-1)
            prior = prior * (1.3 - mask)
            y = F.glu(step(mask * x))
            d, a = y[:, :4], y[:, 4:]
            total = total + F.relu(d)
        return m.out(total)
    return Net(run, bn=nn.BatchNorm1D(6), first=nn.Linear(6, 4), att=[nn.Linear(4, 6), nn.Linear(4, 6)], norm=[nn.BatchNorm1D(6), nn.BatchNorm1D(6)],
               steps=[nn.Linear(6, 16), nn.Linear(6, 16)], out=nn.Linear(4, 2)), paddle.randn([1, 6])


@network
def neural_matrix_factorisation() -> Made:
    def run(m, user, item):
        gmf = m.u1(user) * m.i1(item)
        return F.sigmoid(m.out(paddle.concat([gmf, m.mlp(paddle.concat([m.u2(user), m.i2(item)], -1))], -1)))
    return Net(run, u1=nn.Embedding(9, 6), i1=nn.Embedding(9, 6), u2=nn.Embedding(9, 8), i2=nn.Embedding(9, 5), mlp=mlp(13, 10, 6), out=nn.Linear(12, 1)), [
        paddle.to_tensor([2]), paddle.to_tensor([3])]


@network
def two_towers() -> Made:
    def run(m, a, b):
        a, b = F.normalize(m.a(a)), F.normalize(m.b(b))
        return paddle.matmul(a, b.t()) * paddle.exp(m.scale), a
    net = Net(run, a=nn.Sequential(unit(3, 8), head(8, 6)), b=nn.Sequential(row(4, 10), nn.AdaptiveMaxPool1D(1), nn.Flatten(), nn.Linear(10, 6)))
    net.scale = net.create_parameter([1])
    return net, [image(), paddle.randn([1, 4, 9])]


@network
def triplet() -> Made:
    def run(m, anchor, positive, negative):
        a, p, n = m.net(anchor), m.net(positive), m.net(negative)
        return F.pairwise_distance(a, p), paddle.dist(a, n, 2)
    return Net(run, net=nn.Sequential(unit(3, 8), unit(8, 12), head(12, 6))), [image(8), image(8), image(8)]


@network
def deep_sets() -> Made:
    return Net(lambda m, x: m.rho(m.phi(x).sum(1) / math.sqrt(x.shape[1])), phi=nn.Sequential(mlp(4, 12, 10), nn.Tanh()), rho=mlp(10, 8, 2)), paddle.randn([1, 7, 4])


@network
def radiance_field() -> Made:
    def run(m, x, d):
        freqs = 2.0 ** paddle.arange(3, dtype="float32")
        enc = lambda v: paddle.concat([v] + [f(v.unsqueeze(-1) * freqs).flatten(1) for f in (paddle.sin, paddle.cos)], axis=-1)
        x = enc(x)
        h = x
        for n, layer in enumerate(m.layers):
            h = F.relu(layer(h))
            if n == 1:
                h = paddle.concat([x, h], -1)
        return paddle.concat([F.sigmoid(m.rgb(F.relu(m.view(paddle.concat([m.feature(h), enc(d)], -1))))), F.relu(m.sigma(h))], -1)
    return Net(run, layers=[nn.Linear(21, 16), nn.Linear(16, 16), nn.Linear(37, 16)], sigma=nn.Linear(16, 1), feature=nn.Linear(16, 12),
               view=nn.Linear(33, 10), rgb=nn.Linear(10, 3)), [paddle.randn([4, 3]), paddle.randn([4, 3])]


@network
def siren() -> Made:
    def run(m, x):
        for layer in m.layers:
            x = paddle.sin(3.0 * layer(x))
        return m.last(x)
    return Net(run, layers=[nn.Linear(2, 16), nn.Linear(16, 12)], last=nn.Linear(12, 3)), paddle.randn([5, 2])


@network
def neural_ode() -> Made:
    def run(m, x):
        x = m.stem(x)
        f = lambda t, y: m.f(paddle.concat([y, paddle.full_like(y[:, :1], t)], axis=1))
        for n in range(2):
            k1 = f(n * 0.5, x)
            k2 = f(n * 0.5 + 0.25, x + 0.25 * k1)
            x = x + 0.5 * k2
        return m.head(x)
    return Net(run, stem=unit(3, 8), f=nn.Sequential(unit(9, 10), nn.Conv2D(10, 8, 3, padding=1)), head=head(8)), image(8)

"""Points, graphs, tables, games, video, and small things with odd wiring."""

from __future__ import annotations

import math

import paddle
from foreign.registry import F, Made, Net, Residual, classifier, head, image, mlp, network, row, unit
from paddle import Tensor, nn

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


@network
def c3d() -> Made:
    block = lambda a, b: nn.Sequential(nn.Conv3D(a, b, 3, padding=1), nn.BatchNorm3D(b), nn.ReLU())
    return nn.Sequential(block(3, 8), nn.MaxPool3D((1, 2, 2)), block(8, 12), nn.MaxPool3D(2), nn.Flatten(), mlp(192, 16, 4)), paddle.randn([1, 3, 8, 8, 8])


@network
def r2_plus_1d() -> Made:
    inner = nn.Sequential(nn.Conv3D(8, 10, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3D(10), nn.ReLU(), nn.Conv3D(10, 8, (3, 1, 1), padding=(1, 0, 0)))
    return nn.Sequential(nn.Conv3D(3, 8, 1), Residual(inner), nn.AdaptiveAvgPool3D(1), nn.Flatten(), nn.Linear(8, 4)), paddle.randn([1, 3, 4, 8, 8])


@network
def slow_fast() -> Made:
    def run(m, x):
        slow, fast = m.s1(x[:, :, ::4]), m.f1(x)
        slow = paddle.concat([slow, m.lateral(fast)], axis=1)
        slow, fast = m.s2(slow), m.f2(fast)
        pooled = [F.adaptive_avg_pool3d(y, 1).flatten(1) for y in (slow, fast)]
        return m.fc(paddle.concat(pooled, axis=1))
    return Net(run, s1=nn.Conv3D(3, 8, 1), f1=nn.Conv3D(3, 4, 1), lateral=nn.Conv3D(4, 6, (4, 1, 1), stride=(4, 1, 1)), s2=nn.Conv3D(14, 10, 1),
               f2=nn.Conv3D(4, 6, 1), fc=nn.Linear(16, 4)), paddle.randn([1, 3, 8, 4, 4])


@network
def temporal_shift_by_hand() -> Made:
    def run(m, x):
        n, t = x.shape[:2]
        y = m.a(x.flatten(0, 1))
        c, h, w = y.shape[1:]
        y = y.reshape([n, t, c, h, w])
        fold = c // 4
        out = paddle.zeros_like(y)
        out[:, :-1, :fold] = y[:, 1:, :fold]
        out[:, 1:, fold : 2 * fold] = y[:, :-1, fold : 2 * fold]
        out[:, :, 2 * fold :] = y[:, :, 2 * fold :]
        y = m.b(out.reshape([n * t, c, h, w]))
        return m.fc(y.mean([2, 3]).reshape([n, t, -1]).mean(1))
    return Net(run, a=unit(3, 8), b=unit(8, 12), fc=nn.Linear(12, 4)), paddle.randn([1, 4, 3, 8, 8])


@network
def conv_lstm() -> Made:
    def run(m, x):
        b, t, _, hh, ww = x.shape
        h = c = paddle.zeros([b, 6, hh, ww])
        for n in range(t):
            i, f, o, g = paddle.split(m.conv(paddle.concat([x[:, n], h], axis=1)), 4, axis=1)
            c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
            h = F.sigmoid(o) * F.tanh(c)
        return m.last(h)
    return Net(run, conv=nn.Conv2D(9, 24, 3, padding=1), last=nn.Conv2D(6, 2, 1)), paddle.randn([1, 3, 3, 8, 8])


@network
def alpha_zero() -> Made:
    def run(m, x):
        x = m.body(x)
        return F.log_softmax(m.pi(m.p(x).flatten(1)), axis=1), F.tanh(m.v2(F.relu(m.v1(m.v(x).flatten(1)))))
    return Net(run, body=nn.Sequential(unit(2, 8), Residual(unit(8, 8)), nn.ReLU()), p=unit(8, 4, 1), v=unit(8, 3, 1), pi=nn.Linear(100, 26), v1=nn.Linear(75, 12),
               v2=nn.Linear(12, 1)), image(5, 2)


@network
def duelling_q() -> Made:
    def run(m, x):
        y = m.body(x / 255.0).view(x.shape[0], -1)
        a, v = m.advantage(y), m.value(y)
        return v + a - a.mean(1, keepdim=True)
    return Net(run, body=nn.Sequential(nn.Conv2D(4, 8, 4, 2), nn.ReLU(), nn.Conv2D(8, 10, 3), nn.ReLU()), advantage=mlp(250, 16, 4), value=mlp(250, 12, 1)), image(16, 4)


@network
def actor_critic() -> Made:
    def run(m, x, action):
        h = F.tanh(m.shared(x))
        mu = F.tanh(m.mu(h)) * 2.0
        q = m.q(paddle.concat([h, action], axis=-1))
        return {"mu": mu, "log_std": m.log_std.expand_as(mu), "q": q.squeeze(-1)}
    net = Net(run, shared=mlp(5, 16, 12), mu=nn.Linear(12, 2), q=mlp(14, 10, 1))
    net.log_std = net.create_parameter([1, 2])
    return net, [paddle.randn([1, 5]), paddle.randn([1, 2])]


@network
def eeg_net() -> Made:
    return nn.Sequential(nn.Conv2D(1, 8, (1, 9), padding=(0, 4), bias_attr=False), nn.BatchNorm2D(8), nn.Conv2D(8, 16, (6, 1), groups=8, bias_attr=False),
                         nn.BatchNorm2D(16), nn.ELU(), nn.AvgPool2D((1, 4)), nn.Conv2D(16, 16, (1, 5), padding=(0, 2), groups=16), nn.Conv2D(16, 12, 1),
                         nn.BatchNorm2D(12), nn.ELU(), nn.AvgPool2D((1, 4)), nn.Flatten(), nn.Linear(24, 4)), paddle.randn([1, 1, 6, 32])


@network
def text_recogniser() -> Made:
    def run(m, x):
        y = m.conv(x)
        assert y.shape[2] == 1, "the height of conv must be 1"
        y = y.squeeze(2).transpose([2, 0, 1])
        y, _ = m.rnn(y)
        t, b, h = y.shape
        return m.fc(y.reshape([t * b, h])).reshape([t, b, -1])
    return Net(run, conv=nn.Sequential(unit(1, 8), nn.MaxPool2D((4, 2)), unit(8, 12), nn.MaxPool2D((2, 1))), rnn=nn.LSTM(12, 6, direction="bidirect", time_major=True),
               fc=nn.Linear(12, 5)), paddle.randn([1, 1, 8, 16])


@network
def multi_task() -> Made:
    def run(m, x):
        y = m.body(x)
        return {"depth": m.depth(y), "classes": [c(y.mean([2, 3])) for c in m.classes], "features": (y.mean(), {"deep": m.deep(y)})}
    return Net(run, body=nn.Sequential(unit(3, 8), unit(8, 12)), depth=nn.Conv2D(12, 1, 1), classes=[nn.Linear(12, 3), mlp(12, 9, 2)], deep=unit(12, 6)), image(8)


@network
def progressive_growing() -> Made:
    def run(m, x):
        for n, block in enumerate(m.blocks):
            x = block(x)
            if n % 2:
                continue
            x = F.interpolate(x, scale_factor=2)
        return m.rgb[-1](x) * 0.3 + 0.7 * m.rgb[0](x)
    return Net(run, blocks=[unit(4, 8), unit(8, 8), unit(8, 8)], rgb=[nn.Conv2D(8, 3, 1), nn.Conv2D(8, 3, 1)]), image(4, 4)


@network
def early_exit() -> Made:
    def run(m, x):
        outs = []
        for stage, out in zip(m.stages, m.outs, strict=False):
            x = stage(x)
            outs.append(out(x))
        return outs
    return Net(run, stages=[unit(3, 8), unit(8, 12), unit(12, 10)], outs=[head(8), head(12), head(10)]), image(8)


@network
def kolmogorov_arnold() -> Made:
    class Kan(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.base, self.coef = self.create_parameter([into, out]), self.create_parameter([into, 4, out])
            self.register_buffer("grid", paddle.linspace(-1, 1, 4))

        def forward(self, x: Tensor) -> Tensor:
            basis = paddle.exp(-((x.unsqueeze(-1) - self.grid) * 2) ** 2)
            return F.silu(x) @ self.base + paddle.einsum("big,igo->bo", basis, self.coef)
    return nn.Sequential(Kan(4, 10), Kan(10, 8), Kan(8, 2)), paddle.randn([3, 4])


@network
def mixture_density() -> Made:
    def run(m, x):
        h = F.tanh(m.h(x))
        return F.softmax(m.pi(h), -1), m.mu(h).reshape([-1, 3, 2]), paddle.exp(m.sigma(h)).reshape([-1, 3, 2])
    return Net(run, h=mlp(4, 12, 10), pi=nn.Linear(10, 3), mu=nn.Linear(10, 6), sigma=nn.Linear(10, 6)), paddle.randn([2, 4])


@network
def hyper_network() -> Made:
    def run(m, x, z):
        weight = m.make(z).reshape([4, 3, 3, 3])
        return m.last(F.relu(F.conv2d(m.first(x)[:, :3], weight, padding=1)))
    return Net(run, make=mlp(5, 12, 108), first=unit(3, 6), last=nn.Conv2D(4, 2, 1)), [image(8), paddle.randn([1, 5])]


@network
def weight_shared_scales() -> Made:
    def run(m, x):
        ys = [m.net(F.interpolate(x, scale_factor=s)) for s in (1, 0.5)]
        att = F.softmax(paddle.concat([m.att(F.interpolate(y, size=ys[0].shape[2:])) for y in ys], 1), axis=1)
        return sum(att[:, n : n + 1] * F.interpolate(y, size=ys[0].shape[2:]) for n, y in enumerate(map(m.cls, ys)))
    return Net(run, net=nn.Sequential(unit(3, 8), unit(8, 10)), att=nn.Conv2D(10, 1, 1), cls=nn.Conv2D(10, 3, 1)), image(8)


@network
def lambda_layers() -> Made:
    class Lambda(nn.Layer):
        def __init__(self, f) -> None:
            super().__init__()
            self.f = f

        def forward(self, x: Tensor) -> Tensor:
            return self.f(x)
    return classifier(unit(8, 12), Lambda(lambda x: x[:, :, 1:-1, 1:-1]), Lambda(lambda x: x * F.sigmoid(x)), unit(12, 10), Lambda(lambda x: x - x.mean([2, 3], keepdim=True)), width=10)

"""Video, games, and small things with odd wiring."""

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

"""Text, sound, time series, points, graphs, tables, games."""

from __future__ import annotations

import math

import paddle
from paddle import Tensor, nn

from foreign.registry import F, Made, Net, Residual, ids, network, row, unit

# fmt: off


@network
def lstm_classifier() -> Made:
    return Net(lambda m, x: m.fc(F.relu(m.mid(m.lstm(m.embed(x))[0][:, -1]))), embed=nn.Embedding(11, 8), lstm=nn.LSTM(8, 10),
               mid=nn.Linear(10, 14), fc=nn.Linear(14, 3)), ids()


@network
def bidirectional_gru() -> Made:
    def run(m, x):
        out, h = m.gru(m.embed(x))
        weights = F.softmax(m.att(F.tanh(m.proj(out))), axis=1)
        return m.fc(F.relu(m.mid(paddle.concat([(weights * out).sum(1), h[-1], h[-2]], -1))))
    return Net(run, embed=nn.Embedding(11, 8), gru=nn.GRU(8, 6, num_layers=2, direction="bidirect"), proj=nn.Linear(12, 9),
               att=nn.Linear(9, 1), mid=nn.Linear(24, 10), fc=nn.Linear(10, 3)), ids()


@network
def hand_made_lstm() -> Made:
    def run(m, x):
        b, t, _ = x.shape
        h, c = paddle.zeros([b, 8]), paddle.zeros([b, 8])
        outs = []
        for n in range(t):
            i, f, g, o = paddle.split(m.ih(x[:, n]) + m.hh(h), 4, axis=-1)
            c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
            h = F.sigmoid(o) * F.tanh(c)
            outs.append(h)
        return m.fc(paddle.stack(outs, axis=1))
    return Net(run, ih=nn.Linear(5, 32), hh=nn.Linear(8, 32), fc=nn.Linear(8, 3)), paddle.randn([1, 4, 5])


@network
def text_cnn() -> Made:
    def run(m, x):
        y = m.embed(x).transpose([0, 2, 1])
        return m.fc(m.drop(paddle.concat([F.relu(c(y)).max(axis=-1) for c in m.convs], axis=1)))
    return Net(run, embed=nn.Embedding(11, 8), convs=[nn.Conv1D(8, 6, k) for k in (2, 3, 4)], drop=nn.Dropout(0.5),
               fc=nn.Linear(18, 3)), ids(9)


@network
def text_cnn_two_dimensional() -> Made:
    def run(m, x):
        y = m.embed(x).unsqueeze(1)
        parts = [F.relu(c(y)).squeeze(3) for c in m.convs]
        return m.fc(paddle.concat([F.max_pool1d(p, p.shape[2]).squeeze(2) for p in parts], 1))
    return Net(run, embed=nn.Embedding(11, 8), convs=[nn.Conv2D(1, 6, (k, 8)) for k in (2, 3)], fc=nn.Linear(12, 3)), ids(9)


@network
def fast_text_bags() -> Made:
    return Net(lambda m, x: m.fc(F.relu(m.h(m.embed(x).mean(1)))), embed=nn.Embedding(11, 8, padding_idx=0), h=nn.Linear(8, 12),
               fc=nn.Linear(12, 3)), ids()


@network
def recurrent_cnn_text() -> Made:
    def run(m, x):
        e = m.embed(x)
        out = F.tanh(m.fit(paddle.concat([m.lstm(e)[0], e], axis=2))).transpose([0, 2, 1])
        return m.fc(F.max_pool1d(out, out.shape[2]).squeeze(2))
    return Net(run, embed=nn.Embedding(11, 8), lstm=nn.LSTM(8, 6, direction="bidirect"), fit=nn.Linear(20, 14),
               fc=nn.Linear(14, 3)), ids()


@network
def temporal_convolutions() -> Made:
    class Chomp(nn.Layer):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.size = size

        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, :-self.size].contiguous()

    def block(a, b, d):
        inner = nn.Sequential(nn.Conv1D(a, b, 3, padding=2 * d, dilation=d), Chomp(2 * d), nn.ReLU(), nn.Dropout(0.1),
                              nn.Conv1D(b, b, 3, padding=2 * d, dilation=d), Chomp(2 * d), nn.ReLU())
        return Residual(inner, nn.Conv1D(a, b, 1) if a != b else None)
    return nn.Sequential(block(3, 8, 1), block(8, 8, 2), block(8, 10, 4), nn.Conv1D(10, 2, 1)), paddle.randn([1, 3, 20])


@network
def wavenet() -> Made:
    def run(m, x):
        x = m.first(x)
        skips = 0
        for d, (f, g, r, s) in enumerate(zip(m.filter, m.gate, m.res, m.skip, strict=False)):
            padded = F.pad(x, [2**d, 0])
            z = F.tanh(f(padded)) * F.sigmoid(g(padded))
            skips = s(z) + skips
            x = r(z) + x
        return m.last(F.relu(m.mid(F.relu(skips))))
    dil = lambda: [nn.Conv1D(8, 10, 2, dilation=2**n) for n in range(3)]
    return Net(run, first=nn.Conv1D(1, 8, 1), filter=dil(), gate=dil(), res=[nn.Conv1D(10, 8, 1) for _ in range(3)],
               skip=[nn.Conv1D(10, 12, 1) for _ in range(3)], mid=nn.Conv1D(12, 9, 1), last=nn.Conv1D(9, 4, 1)), paddle.randn([1, 1, 16])


@network
def conv_tasnet() -> Made:
    def run(m, x):
        w = F.relu(m.encode(x))
        y = m.bottleneck(m.norm(w))
        for block in m.blocks:
            y = y + block(y)
        b, n, t = w.shape
        mask = F.sigmoid(m.mask(y)).reshape([b, 2, n, t])
        z = (w.unsqueeze(1) * mask).reshape([b * 2, n, t])
        return m.decode(z).reshape([b, 2, -1])
    block = lambda d: nn.Sequential(nn.Conv1D(8, 12, 1), nn.PReLU(), nn.GroupNorm(1, 12), nn.Conv1D(12, 12, 3, padding=d, dilation=d, groups=12),
                                    nn.PReLU(), nn.BatchNorm1D(12), nn.Conv1D(12, 8, 1))
    return Net(run, encode=nn.Conv1D(1, 10, 4, stride=2), norm=nn.BatchNorm1D(10), bottleneck=nn.Conv1D(10, 8, 1),
               blocks=[block(1), block(2)], mask=nn.Conv1D(8, 20, 1), decode=nn.Conv1DTranspose(10, 1, 4, stride=2)), paddle.randn([1, 1, 32])


@network
def deep_speech() -> Made:
    def run(m, x):
        y = m.conv(x.unsqueeze(1))
        b, c, f, t = y.shape
        y = y.reshape([b, c * f, t]).transpose([0, 2, 1])
        y, _ = m.rnn(F.relu(m.fit(y)))
        return F.log_softmax(m.fc(y), axis=-1)
    return Net(run, conv=nn.Sequential(unit(1, 6, stride=2), unit(6, 8, stride=2)), fit=nn.Linear(32, 12), rnn=nn.GRU(12, 8),
               fc=nn.Linear(8, 5)), paddle.randn([1, 16, 24])


@network
def quartznet() -> Made:
    def block(a, b, k):
        inner = nn.Sequential(row(a, a, k, None, groups=a), row(a, b, 1), row(b, b, k, None, groups=b), row(b, b, 1, None))
        return nn.Sequential(Residual(inner, row(a, b, 1, None)), nn.ReLU())
    return nn.Sequential(row(6, 8, 5, stride=2), block(8, 12, 5), block(12, 12, 7), nn.Conv1D(12, 4, 1)), paddle.randn([1, 6, 20])


@network
def ecapa_tdnn() -> Made:
    class SERes2(nn.Layer):
        def __init__(self, width: int, scale: int = 4) -> None:
            super().__init__()
            self.a, self.c, self.scale = row(width, width, 1), row(width, width, 1), scale
            self.convs = nn.LayerList([row(width // scale, width // scale, 3, dilation=2) for _ in range(scale - 1)])
            self.s1, self.s2 = nn.Conv1D(width, 4, 1), nn.Conv1D(4, width, 1)

        def forward(self, x: Tensor) -> Tensor:
            parts = paddle.chunk(self.a(x), self.scale, axis=1)
            outs = [parts[0]]
            for n, conv in enumerate(self.convs):
                outs.append(conv(parts[n + 1] if n == 0 else parts[n + 1] + outs[-1]))
            y = self.c(paddle.concat(outs, axis=1))
            return x + y * F.sigmoid(self.s2(F.relu(self.s1(y.mean(2, keepdim=True)))))

    def run(m, x):
        x = m.first(x)
        a = m.l1(x)
        b = m.l2(a)
        y = F.relu(m.mfa(paddle.concat([a, b], 1)))
        mean, std = y.mean(2, keepdim=True), paddle.sqrt(y.var(2, keepdim=True).clip(1e-9))
        w = m.att(paddle.concat([y, mean.expand_as(y), std.expand_as(y)], 1))
        w = F.softmax(w, axis=2)
        mu = (y * w).sum(2)
        sigma = paddle.sqrt(((y * y * w).sum(2) - mu * mu).clip(1e-5))
        return m.fc(m.bn(paddle.concat([mu, sigma], 1)))
    return Net(run, first=row(6, 8, 5), l1=SERes2(8), l2=SERes2(8), mfa=nn.Conv1D(16, 12, 1),
               att=nn.Sequential(nn.Conv1D(36, 6, 1), nn.Tanh(), nn.Conv1D(6, 12, 1)), bn=nn.BatchNorm1D(24), fc=nn.Linear(24, 5)), paddle.randn([1, 6, 16])


@network
def sinc_net() -> Made:
    def run(m, x):
        n = paddle.arange(-8, 9, dtype="float32").unsqueeze(0)
        low = m.low.abs().unsqueeze(1)
        band = m.band.abs().unsqueeze(1)
        sinc = lambda f: paddle.sin(2 * math.pi * f * n) / (math.pi * n + (n == 0).astype("float32")) + 2 * f * (n == 0).astype("float32")
        filters = (sinc(low + band) - sinc(low)).unsqueeze(1)
        return m.body(F.leaky_relu(m.bn(F.conv1d(x, filters, stride=2))))
    net = Net(run, bn=nn.BatchNorm1D(8), body=nn.Sequential(row(8, 10), nn.AdaptiveAvgPool1D(1), nn.Flatten(), nn.Linear(10, 3)))
    net.low = net.create_parameter([8], default_initializer=nn.initializer.Uniform(0.01, 0.2))
    net.band = net.create_parameter([8], default_initializer=nn.initializer.Uniform(0.01, 0.2))
    return net, paddle.randn([1, 1, 40])


@network
def sequence_to_sequence() -> Made:
    def run(m, source, target):
        memory, h = m.encode(m.embed(source))
        y, _ = m.decode(m.embed(target), h)
        scores = paddle.bmm(m.att(y), memory.transpose([0, 2, 1]))
        context = paddle.bmm(F.softmax(scores, -1), memory)
        return m.out(F.tanh(m.join(paddle.concat([y, context], axis=-1))))
    return Net(run, embed=nn.Embedding(11, 8), encode=nn.GRU(8, 8), decode=nn.GRU(8, 8), att=nn.Linear(8, 8), join=nn.Linear(16, 12),
               out=nn.Linear(12, 11)), [ids(), ids(5)]

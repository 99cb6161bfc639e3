"""Constructs of Python and of Paddle that other people's networks use, one or two a network."""

from __future__ import annotations

from collections import namedtuple
from itertools import pairwise
from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.autograd import PyLayer

from foreign.registry import F, Made, Net, classifier, head, image, mlp, network, row, unit

# fmt: off


@network
def own_gradient() -> Made:
    class Swish(PyLayer):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            y = F.sigmoid(x)
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Tensor:
            x, y = ctx.saved_tensor()
            return dy * (y + x * y * (1 - y))

    class MemoryEfficientSwish(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            return Swish.apply(x)
    return classifier(unit(8, 12, act=MemoryEfficientSwish), unit(12, 10, act=MemoryEfficientSwish), width=10)


@network
def noise_inside() -> Made:
    class Noisy(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.weight = self.create_parameter([width], default_initializer=nn.initializer.Constant(0.1))

        def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
            if noise is None:
                noise = paddle.randn([x.shape[0], 1, x.shape[2], x.shape[3]])
            return x + self.weight.reshape([1, -1, 1, 1]) * noise
    return classifier(unit(8, 12), Noisy(12), unit(12, 10), Noisy(10), width=10, size=8)


@network
def dropped_paths_in_place() -> Made:
    class Block(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.a, self.b, self.drop_prob = unit(width, width), unit(width, width, act=None), 0.2

        def forward(self, x: Tensor) -> Tensor:
            y = self.b(self.a(x))
            if self.training and self.drop_prob > 0.0:
                keep = 1 - self.drop_prob
                mask = paddle.floor(keep + paddle.rand([x.shape[0], 1, 1, 1]))
                y = y / keep * mask
            y += x
            return F.relu_(y)
    return classifier(Block(8), unit(8, 12), Block(12), width=12)


@network
def named_results() -> Made:
    Out = namedtuple("Out", ["features", "logits"])

    def run(m, x):
        features = {}
        for name, layer in m.stages.items():
            x = layer(x)
            features[name] = x
        return Out([features["c2"].mean([2, 3]), features["c3"]], m.head(x))
    net = Net(run, head=head(10))
    net.stages = nn.LayerDict({"c1": unit(3, 8), "c2": unit(8, 12, stride=2), "c3": unit(12, 10)})
    return net, image(8)


@network
def parameters_in_a_list() -> Made:
    class Basis(nn.Layer):
        def __init__(self, widths: tuple[int, ...]) -> None:
            super().__init__()
            self.weights = nn.ParameterList([self.create_parameter([a, b]) for a, b in pairwise(widths)])
            self.biases = nn.ParameterList([self.create_parameter([b], is_bias=True) for b in widths[1:]])

        def forward(self, x: Tensor) -> Tensor:
            for n, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
                x = paddle.addmm(b.unsqueeze(0), x, w)
                if n < len(self.weights) - 1:
                    x = paddle.tanh(x)
            return x
    return Basis((5, 12, 10, 3)), paddle.randn([4, 5])


@network
def tied_up_and_down() -> Made:
    def run(m, x):
        y = F.relu(m.down(x))
        z = F.conv2d_transpose(F.relu(m.mid(y)), m.down.weight, stride=2, padding=1, output_padding=1)
        return z + x
    return Net(run, down=nn.Conv2D(3, 10, 3, 2, 1), mid=nn.Conv2D(10, 10, 3, padding=1)), image(8)


@network
def standardised_weights_by_hook() -> Made:
    conv = nn.utils.weight_norm(nn.Conv1D(8, 12, 3, padding=1))
    return nn.Sequential(row(4, 8), conv, nn.LeakyReLU(0.2), nn.utils.spectral_norm(nn.Conv1D(12, 10, 3)), nn.ReLU(), nn.Conv1D(10, 2, 1)), paddle.randn([1, 4, 12])


@network
def fourier_units() -> Made:
    class Spectral(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2D(2 * width, 2 * width, 1, bias_attr=False), nn.BatchNorm2D(2 * width)

        def forward(self, x: Tensor) -> Tensor:
            b, c, h, w = x.shape
            f = paddle.fft.rfft2(x, norm="ortho")
            f = paddle.concat([f.real(), f.imag()], axis=1)
            f = F.relu(self.bn(self.conv(f)))
            real, imag = paddle.split(f, 2, axis=1)
            return x + paddle.fft.irfft2(paddle.complex(real, imag), s=[h, w], norm="ortho")
    return classifier(unit(8, 10), Spectral(10), unit(10, 12), width=12, size=8)


@network
def ellipsis_einsum() -> Made:
    def run(m, x):
        b, c, h, w = x.shape
        x = m.conv(x).transpose([0, 2, 3, 1])
        y = paddle.einsum("...i,ij->...j", x, m.mix)
        rows = paddle.einsum("bhwc,hk->bkwc", F.gelu(y), m.rows)
        return m.fc((rows + x).mean([1, 2]))
    net = Net(run, conv=unit(3, 8), fc=nn.Linear(8, 4))
    net.mix, net.rows = net.create_parameter([8, 8]), net.create_parameter([8, 8])
    return net, image(8)


@network
def scattered_pillars() -> Made:
    def run(m, points, coords):
        y = F.relu(m.bn(m.pfn(points).transpose([0, 2, 1])).transpose([0, 2, 1])).max(1)
        canvas = paddle.zeros([64, y.shape[1]])
        canvas = paddle.scatter(canvas, coords, y, overwrite=True)
        return m.backbone(canvas.transpose([1, 0]).reshape([1, -1, 8, 8]))
    return Net(run, pfn=nn.Linear(4, 10, bias_attr=False), bn=nn.BatchNorm1D(10), backbone=nn.Sequential(unit(10, 12), nn.Conv2D(12, 4, 1))), [paddle.randn([6, 5, 4]), paddle.to_tensor([3, 9, 17, 30, 44, 60])]


@network
def gumbel_choices() -> Made:
    def run(m, x):
        y = m.a(x)
        logits = m.gate(y.mean([2, 3])).reshape([-1, 2, 2])
        hard = F.one_hot(logits.argmax(-1), 2).astype("float32")[:, :, 0]
        y = m.b(y) * hard[:, 0].reshape([-1, 1, 1, 1]) + m.c(y) * hard[:, 1].reshape([-1, 1, 1, 1])
        return m.head(y)
    return Net(run, a=unit(3, 8), gate=mlp(8, 6, 4), b=unit(8, 10), c=unit(8, 10), head=head(10)), image(8)


@network
def splits_in_a_list() -> Made:
    class Mixed(nn.Layer):
        def __init__(self, widths: list[int]) -> None:
            super().__init__()
            self.splits = widths
            self.convs = nn.LayerList([nn.Conv2D(w, w, 3 + 2 * n, padding=1 + n, groups=w) for n, w in enumerate(widths)])

        def forward(self, x: Tensor) -> Tensor:
            parts = paddle.split(x, self.splits, axis=1)
            return paddle.concat([conv(part) for conv, part in zip(self.convs, parts, strict=True)], axis=1)
    return classifier(unit(8, 12), Mixed([5, 4, 3]), unit(12, 10), width=10)


@network
def config_of_widths() -> Made:
    class Attention(nn.Layer):
        def __init__(self, config: dict[str, int]) -> None:
            super().__init__()
            self.config = config
            self.qkv, self.out = nn.Linear(config["hidden"], 3 * config["inner"]), nn.Linear(config["inner"], config["hidden"])

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = paddle.split(self.qkv(x), [self.config["inner"]] * 3, axis=-1)
            return x + self.out(F.softmax(q @ k.transpose([0, 2, 1]), axis=-1) @ v)
    return nn.Sequential(nn.Linear(4, 12), Attention({"hidden": 12, "inner": 10}), Attention({"hidden": 12, "inner": 8}), nn.Linear(12, 3)), paddle.randn([1, 6, 4])


@network
def many_streams_swapped() -> Made:
    def run(m, x):
        xs = [conv(x) for conv in m.first]
        for layer in m.swap:
            xs = [xs[1], layer(xs[0] + xs[2]), xs[0]]
        xs = list(reversed(xs))
        return m.head(paddle.concat(xs[::2] + xs[1:2], axis=1))
    return Net(run, first=[unit(3, 8), unit(3, 8), unit(3, 8)], swap=[unit(8, 8), unit(8, 8)], head=head(24)), image(8)


@network
def lengths_as_an_input() -> Made:
    def run(m, x, lengths):
        mask = (paddle.arange(x.shape[1]).unsqueeze(0) < lengths.unsqueeze(1)).astype("float32")
        y = F.relu(m.a(x)) * mask.unsqueeze(-1)
        att = m.score(y).squeeze(-1) + (1 - mask) * -1e4
        pooled = (F.softmax(att, axis=1).unsqueeze(-1) * y).sum(1)
        return m.fc(pooled)
    return Net(run, a=nn.Linear(5, 12), score=mlp(12, 8, 1), fc=mlp(12, 10, 3)), [paddle.randn([2, 6, 5]), paddle.to_tensor([4, 6])]


@network
def running_memory() -> Made:
    """A buffer that is written to while the network trains, and read always."""
    class Memory(nn.Layer):
        def __init__(self, slots: int, width: int) -> None:
            super().__init__()
            self.register_buffer("memory", paddle.randn([slots, width]))

        def forward(self, x: Tensor) -> Tensor:
            weights = F.softmax(x @ self.memory.t(), axis=-1)
            if self.training:
                self.memory.set_value(0.9 * self.memory + 0.1 * x.detach().mean(0, keepdim=True))
            return paddle.concat([x, weights @ self.memory], axis=-1)
    return nn.Sequential(mlp(5, 12, 8), Memory(6, 8), nn.Linear(16, 10), nn.ReLU(), nn.Linear(10, 3)), paddle.randn([4, 5])


@network
def gated_recurrence_over_columns() -> Made:
    def run(m, x):
        y = m.body(x)
        b, c, h, w = y.shape
        rows = y.transpose([0, 2, 3, 1]).reshape([b * h, w, c])
        rows, _ = m.horizontal(rows)
        columns = rows.reshape([b, h, w, -1]).transpose([0, 2, 1, 3]).reshape([b * w, h, -1])
        columns, last = m.vertical(columns)
        return m.fc(columns.reshape([b, w, h, -1]).mean([1, 2])) + m.extra(last[0][:b])
    return Net(run, body=unit(3, 8), horizontal=nn.GRU(8, 6, direction="bidirect"), vertical=nn.GRU(12, 7), fc=nn.Linear(7, 3), extra=nn.Linear(7, 3)), image(6)


@network
def encoder_states_to_decoder() -> Made:
    def run(m, source, target):
        _, (h, c) = m.encoder(m.words(source))
        y, _ = m.decoder(m.words(target), (h, c))
        return m.out(y)
    return Net(run, words=nn.Embedding(11, 8), encoder=nn.LSTM(8, 10, num_layers=2), decoder=nn.LSTM(8, 10, num_layers=2), out=nn.Linear(10, 11)), [paddle.randint(0, 11, [2, 5]), paddle.randint(0, 11, [2, 4])]


@network
def cells_in_a_loop() -> Made:
    def run(m, x):
        state, outs = None, []
        for n in range(x.shape[1]):
            y, state = m.first(x[:, n], state)
            z, _ = m.second(y, None)
            outs.append(m.out(z))
        return paddle.stack(outs, 1)
    return Net(run, first=nn.LSTMCell(4, 8), second=nn.GRUCell(8, 6), out=nn.Linear(6, 3)), paddle.randn([2, 3, 4])


@network
def recurrence_by_hand_of_layers() -> Made:
    def run(m, x):
        y, _ = m.rnn(m.first(x))
        return m.fc(y[:, -1])
    return Net(run, first=nn.Linear(4, 9), rnn=nn.RNN(nn.SimpleRNNCell(9, 8)), fc=nn.Linear(8, 3)), paddle.randn([2, 5, 4])

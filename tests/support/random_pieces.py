"""What networks drawn at random are made of: each piece is drawn for the shape it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

F = nn.functional
Rng = np.random.Generator
Run = Callable[[nn.Layer, Tensor], Tensor]


class Piece(nn.Layer):
    """Layers under names, and a function of them."""

    def __init__(self, run: Run, **layers: nn.Layer | None) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def convolution(x: Tensor, rng: Rng) -> nn.Layer:
    """Ordinary, grouped or dilated."""
    c = x.shape[1]
    groups = int(rng.choice([g for g in (1, 1, 2, 4) if c % g == 0]))
    out = groups * int(rng.integers(2, 6)) * 2
    kernel, dilation = int(rng.choice([1, 3, 3, 5])), int(rng.choice([1, 1, 2]))
    padding, bias = kernel // 2 * dilation, None if rng.random() < 0.5 else False
    layer = nn.Conv2D(c, out, kernel, 1, padding, dilation, groups, bias_attr=bias)
    return finished(layer, out, rng)


def finished(layer: nn.Layer, width: int, rng: Rng) -> nn.Layer:
    """A norm and an activation behind a layer, or not."""
    norms: list[Any] = [nn.BatchNorm2D(width), nn.BatchNorm2D(width), nn.InstanceNorm2D(width)]
    norms.append(nn.GroupNorm(width // 4, width) if width % 4 == 0 else nn.Identity())
    acts = [nn.ReLU(), nn.Sigmoid(), nn.Hardswish(), nn.GELU(), nn.PReLU(width), nn.Identity()]
    return nn.Sequential(layer, norms[int(rng.integers(4))], acts[int(rng.integers(6))])


def depthwise(x: Tensor, rng: Rng) -> nn.Layer:
    c, times = x.shape[1], int(rng.choice([1, 1, 2]))
    return finished(nn.Conv2D(c, c * times, 3, padding=1, groups=c), c * times, rng)


def transposed(x: Tensor, rng: Rng) -> nn.Layer:
    c = x.shape[1]
    groups = int(rng.choice([g for g in (1, 2, c) if c % g == 0]))
    out = c if groups == c else 2 * groups * int(rng.integers(1, 4))
    return finished(nn.Conv2DTranspose(c, out, 3, padding=1, groups=groups), out, rng)


def moved(x: Tensor, rng: Rng) -> nn.Layer:
    """A linear layer over the channels, moved to the end; or over the rows."""
    if rng.random() < 0.3:
        fc = nn.Linear(x.shape[3], x.shape[3])
        return Piece(lambda m, x: m.fc(x), fc=fc)
    fc = nn.Linear(x.shape[1], int(rng.integers(3, 12)))
    return Piece(lambda m, x: m.fc(x.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2]), fc=fc)


def excite(m: nn.Layer, x: Tensor) -> Tensor:
    n, c = x.shape[:2]
    return x * F.hardsigmoid(m.b(F.relu(m.a(x.mean([2, 3]))))).reshape([n, c, 1, 1])


def gated(x: Tensor, rng: Rng) -> nn.Layer:
    """Squeeze and excite, by convolutions, linear layers, or over the places."""
    c, kind = x.shape[1], int(rng.integers(3))
    if kind == 0:
        return Piece(
            lambda m, x: x * F.sigmoid(m.b(F.relu(m.a(F.adaptive_avg_pool2d(x, 1))))),
            a=nn.Conv2D(c, 4, 1), b=nn.Conv2D(4, c, 1),
        )  # fmt: skip
    if kind == 1:
        return Piece(excite, a=nn.Linear(c, 5), b=nn.Linear(5, c))
    return Piece(lambda m, x: x * F.sigmoid(m.gate(x)), gate=nn.Conv2D(c, 1, 3, padding=1))


def branches(x: Tensor, rng: Rng) -> nn.Layer:
    """Some convolutions of one input, side by side."""
    c, widths = x.shape[1], [int(n) for n in rng.integers(2, 7, int(rng.integers(2, 4)))]
    kernels = [int(k) for k in rng.choice([1, 3], len(widths))]
    parts = [nn.Conv2D(c, w, k, padding=k // 2) for w, k in zip(widths, kernels, strict=True)]
    beside = bool(rng.random() < 0.5)
    return Piece(
        lambda m, x: paddle.concat([p(x) for p in m.parts] + ([x] if beside else []), axis=1),
        parts=nn.LayerList(parts),
    )


def collect(m: nn.Layer, x: Tensor) -> Tensor:
    found = [x]
    for layer in m.layers:
        found.append(F.relu(layer(paddle.concat(found, 1))))
    return paddle.concat(found, 1)


def dense(x: Tensor, rng: Rng) -> nn.Layer:
    c, growth = x.shape[1], int(rng.integers(2, 6))
    layers = [nn.Conv2D(c + n * growth, growth, 3, padding=1) for n in range(3)]
    return Piece(collect, layers=nn.LayerList(layers))


def sliced(m: nn.Layer, x: Tensor) -> Tensor:
    half = x.shape[1] // 2
    return m.conv(x[:, :half]) * x[:, half:]


def exchanged(m: nn.Layer, x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    return paddle.concat([b, m.conv(a)], 1)


def halves(x: Tensor, rng: Rng) -> nn.Layer:
    """Parts that are treated differently, and put together again."""
    c = x.shape[1]
    if c % 2:
        return nn.ReLU()
    runs: list[Run] = [
        lambda m, x: F.glu(x, axis=1) + m.conv(x.chunk(2, 1)[0]),
        sliced,
        exchanged,
        lambda m, x: paddle.stack([m.conv(p) for p in paddle.split(x, 2, axis=1)], 1).sum(1),
    ]
    return Piece(runs[int(rng.integers(4))], conv=nn.Conv2D(c // 2, c // 2, 3, padding=1))


def shuffled(x: Tensor, rng: Rng) -> nn.Layer:
    c, kind = x.shape[1], int(rng.integers(4))
    groups = int(rng.choice([g for g in (2, 3, 4, 1) if c % g == 0]))

    def by_hand(m: nn.Layer, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = x.reshape([n, groups, c // groups, h, w]).transpose([0, 2, 1, 3, 4])
        return y.reshape([n, c, h, w])

    if kind == 1 and c % 4 == 0:
        return nn.PixelShuffle(2)
    return [nn.ChannelShuffle(groups), Piece(by_hand), nn.PixelUnshuffle(2), Piece(by_hand)][kind]


def resized(x: Tensor, rng: Rng) -> nn.Layer:
    runs: list[Run] = [
        lambda m, x: F.max_pool2d(x, 2),
        lambda m, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda m, x: F.avg_pool2d(F.pad(x, [1, 1, 1, 1], value=0.5), 3, 1),
        lambda m, x: F.interpolate(F.adaptive_max_pool2d(x, 2), size=x.shape[2:]),
    ]
    return Piece(runs[int(rng.integers(4))])


def attention(x: Tensor, rng: Rng) -> nn.Layer:
    """Over the places, in several spellings."""
    c, width, kind = x.shape[1], 2 * int(rng.integers(2, 5)), int(rng.integers(4))

    def run(m: nn.Layer, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        y = x.flatten(2).transpose([0, 2, 1])
        q, k, v = (part(y) for part in (m.q, m.k, m.v)) if kind < 3 else m.qkv(y).chunk(3, axis=-1)
        if kind == 0:
            a = paddle.bmm(F.softmax(paddle.bmm(q, k.transpose([0, 2, 1])), axis=-1), v)
        elif kind == 1:
            a = F.softmax(paddle.einsum("bnc,bmc->bnm", q, k), axis=-1)
            a = paddle.einsum("bnm,bmc->bnc", a, v)
        else:
            q, k, v = (t.reshape([0, 0, 2, -1]).transpose([0, 2, 1, 3]) for t in (q, k, v))
            a = F.softmax(paddle.matmul(q, k, transpose_y=True) * 0.5, axis=-1)
            a = paddle.matmul(a, v).transpose([0, 2, 1, 3]).flatten(2)
        return x + m.out(a).transpose([0, 2, 1]).reshape([b, -1, h, w])

    linear = [nn.Linear(c, width) for _ in range(3)]
    parts = {"qkv": nn.Linear(c, 3 * width)} if kind == 3 else dict(zip("qkv", linear, strict=True))
    return Piece(run, out=nn.Linear(width, c), **parts)


def tokens(m: nn.Layer, x: Tensor) -> Tensor:
    y = m.layer(x.flatten(2).transpose([0, 2, 1]))
    y = y[0] if isinstance(y, (tuple, list)) else y
    return y.transpose([0, 2, 1]).reshape(x.shape)


def encoder(x: Tensor, rng: Rng) -> nn.Layer:
    """Paddle's own layers for sequences."""
    c = x.shape[1]
    kinds = [lambda: nn.GRU(c, c), lambda: nn.SimpleRNN(c, c)]
    if c % 2 == 0:
        one = nn.TransformerEncoderLayer(c, 2, 2 * c + 3)
        kinds += [lambda: one, lambda: nn.MultiHeadAttention(c, 2)]
        kinds += [lambda: nn.TransformerEncoder(one, 2)]
    return Piece(tokens, layer=kinds[int(rng.integers(len(kinds)))]())


def repeated(m: nn.Layer, x: Tensor) -> Tensor:
    for _ in range(2):
        x = x + F.relu(m.a(x))
    return x * m.b(x)


def shared(x: Tensor, rng: Rng) -> nn.Layer:
    """One block called several times, or two layers with one weight."""
    c = x.shape[1]
    a, b = (nn.Conv2D(c, c, 3, padding=1) for _ in range(2))
    if rng.random() < 0.5:
        b.weight = a.weight
        return Piece(lambda m, x: m.b(F.relu(m.a(x))), a=a, b=b)
    return Piece(repeated, a=a, b=b)


class Own(nn.Layer):
    """Weights of the user's own, given to functions."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.kernel = self.create_parameter([out, into, 3, 3])
        self.slope = self.create_parameter([1, out, 1, 1])
        self.mix = self.create_parameter([out, out])

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.kernel, padding=1) * (1 + self.slope)
        return paddle.einsum("bchw,cd->bdhw", y, self.mix)


def functional(x: Tensor, rng: Rng) -> nn.Layer:
    return Own(x.shape[1], int(rng.integers(3, 9)))


def written(x: Tensor, rng: Rng) -> nn.Layer:
    """Writes into parts of a tensor, and operators that work in place."""
    kind = int(rng.integers(4))

    def run(m: nn.Layer, x: Tensor) -> Tensor:
        y = x * 1.5
        if kind == 0:
            y[:, :, 0] = 0.0
        elif kind == 1:
            y[:, :, :, 1:3] = x[:, :, :, 2:4]
        elif kind == 2:
            y[:, 0] = 1.0
        else:
            y.add_(x.detach())
        return y

    return Piece(run)


def branching(x: Tensor, rng: Rng) -> nn.Layer:
    """Python's control flow over sizes and over settings."""
    times = int(rng.integers(1, 4))

    def run(m: nn.Layer, x: Tensor) -> Tensor:
        for n in range(times):
            if n % 2 == 0 and x.shape[2] > 2:
                x = F.elu(m.conv(x))
            else:
                x = x - x.mean([2, 3], keepdim=True)
        return x

    return Piece(run, conv=nn.Conv2D(x.shape[1], x.shape[1], 3, padding=1))


def arithmetic(x: Tensor, rng: Rng) -> nn.Layer:
    kinds: list[Run] = [
        lambda m, x: x - x.max([2, 3], keepdim=True),
        lambda m, x: x / (1 + x.abs()),
        lambda m, x: paddle.maximum(x, F.avg_pool2d(x, 3, 1, 1)),
        lambda m, x: paddle.where(x > 0.1, x, x * x),
        lambda m, x: x.masked_fill(x < -1, -1.0).clip(-2, 2),
        lambda m, x: paddle.concat([x, -x], 1),
        lambda m, x: x * x.sum(1, keepdim=True),
        lambda m, x: x + x.mean(1, keepdim=True),
        lambda m, x: F.normalize(x, axis=1),
        lambda m, x: paddle.cumsum(x, axis=3),
        lambda m, x: paddle.roll(x, 1, 1),
        lambda m, x: x.unsqueeze(1).tile([1, 2, 1, 1, 1]).flatten(1, 2),
        lambda m, x: F.adaptive_avg_pool2d(x, 1).expand_as(x) + x,
        lambda m, x: F.softmax(x, axis=1) + x,
        lambda m, x: x + F.pad(x[:, 1:], [0, 0, 1, 0, 0, 0, 0, 0]),
        lambda m, x: x.view(x.shape[0], x.shape[1], -1).view(x.shape) * 2,
    ]
    return Piece(kinds[int(rng.integers(len(kinds)))])


PIECES: dict[str, Callable[[Tensor, Rng], nn.Layer]] = {
    f.__name__: f
    for f in (
        convolution, depthwise, transposed, moved, gated, branches, dense, halves, shuffled,
        resized, attention, encoder, shared, functional, written, branching, arithmetic,
    )
}  # fmt: skip
PIECES.update({f"convolution {n}": convolution for n in range(6)})

"""A toy network an operator: a convolution before it, one after it, and the operator between."""

from __future__ import annotations

from collections.abc import Callable

import paddle
from paddle import Tensor, nn
from topologies import Toy

F = nn.functional
Between = Callable[[nn.Layer, Tensor], Tensor]


def between(forward: Between, *, width: int = 8, out: int | None = None, **layers: nn.Layer) -> Toy:
    """Conv (3 to `width`), BatchNorm, the operator, conv (`out` to 4)."""

    def run(m: nn.Layer, x: Tensor) -> Tensor:
        return m.last(forward(m, m.norm(m.first(x))))

    return Toy(
        run,
        first=nn.Conv2D(3, width, 3, padding=1),
        norm=nn.BatchNorm2D(width),
        last=nn.Conv2D(width if out is None else out, 4, 1),
        **layers,
    )


def vectors(forward: Between, *, width: int = 8, out: int | None = None, **layers: nn.Layer) -> Toy:
    """The same on rows of pixels, shape (batch, pixels, width), between linear layers."""

    def run(m: nn.Layer, x: Tensor) -> Tensor:
        return m.last(forward(m, m.first(x.flatten(2).transpose([0, 2, 1]))))

    return Toy(
        run,
        first=nn.Linear(3, width),
        last=nn.Linear(width if out is None else out, 4),
        **layers,
    )


def split_halves(m: nn.Layer, x: Tensor) -> Tensor:
    a, b = x.chunk(2, axis=1)
    return a * F.sigmoid(b)


def uneven(m: nn.Layer, x: Tensor) -> Tensor:
    a, b = paddle.split(x, [3, -1], axis=1)
    return paddle.concat([b, F.relu(a)], axis=1)


def even_sections(m: nn.Layer, x: Tensor) -> Tensor:
    half = x.shape[1] // 2
    a, b = paddle.split(x, [half, half], axis=1)
    return a + b


def sections_written(m: nn.Layer, x: Tensor) -> Tensor:
    a, b = paddle.split(x, [4, 4], axis=1)
    return a + b


def halves_sliced(m: nn.Layer, x: Tensor) -> Tensor:
    half = x.shape[1] // 2
    return x[:, :half] * x[:, half:]


def written_slices(m: nn.Layer, x: Tensor) -> Tensor:
    return paddle.concat([x[:, 3:], x[:, :3]], axis=1)


def write_rows(m: nn.Layer, x: Tensor) -> Tensor:
    y = x * 2
    y[:, :, 1:3] = x[:, :, 3:5]
    y[:, :, 0] = 0.0
    return y


def write_channels(m: nn.Layer, x: Tensor) -> Tensor:
    half = x.shape[1] // 2
    y = paddle.zeros_like(x)
    y[:, half:] = x[:, :half]
    return y


def shuffle_by_hand(m: nn.Layer, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    return x.reshape([b, 2, c // 2, h, w]).transpose([0, 2, 1, 3, 4]).reshape([b, c, h, w])


def shuffle_open(m: nn.Layer, x: Tensor) -> Tensor:
    h, w = x.shape[2:]
    x = x.reshape([0, 2, -1, h, w]).transpose([0, 2, 1, 3, 4])
    return x.flatten(1, 2)


def squeeze_excite(m: nn.Layer, x: Tensor) -> Tensor:
    b, c = x.shape[:2]
    gate = m.up(F.relu(m.down(F.adaptive_avg_pool2d(x, 1).reshape([b, c]))))
    return x * F.sigmoid(gate).reshape([b, c, 1, 1])


def attention(m: nn.Layer, x: Tensor) -> Tensor:
    scores = F.softmax(m.q(x) @ m.k(x).transpose([0, 2, 1]), axis=-1)
    return scores @ m.v(x)


def sigmoid_attention(m: nn.Layer, x: Tensor) -> Tensor:
    scores = F.sigmoid(m.q(x)) @ F.sigmoid(m.k(x)).transpose([0, 2, 1])
    return F.softmax(scores, axis=-1) @ m.v(x)


def einsum_attention(m: nn.Layer, x: Tensor) -> Tensor:
    scores = F.softmax(paddle.einsum("bnc,bmc->bnm", m.q(x), m.k(x)), axis=-1)
    return paddle.einsum("bnm,bmc->bnc", scores, m.v(x))


def heads(m: nn.Layer, x: Tensor) -> Tensor:
    """Two heads; their width is left open."""
    q, k, v = (layer(x).reshape([0, 0, 2, -1]).transpose([0, 2, 1, 3]) for layer in (m.q, m.k, m.v))
    mixed = F.softmax(q @ k.transpose([0, 1, 3, 2]) * 0.5, axis=-1) @ v
    return mixed.transpose([0, 2, 1, 3]).flatten(2)


def open_heads(m: nn.Layer, x: Tensor) -> Tensor:
    """Heads of width four; how many is left open."""
    q, k, v = (layer(x).reshape([0, 0, -1, 4]).transpose([0, 2, 1, 3]) for layer in (m.q, m.k, m.v))
    mixed = F.softmax(q @ k.transpose([0, 1, 3, 2]) * 0.5, axis=-1) @ v
    return mixed.transpose([0, 2, 1, 3]).flatten(2)


def linears(width: int = 8) -> dict[str, nn.Layer]:
    return {name: nn.Linear(8, width) for name in ("q", "k", "v")}


def scaled_by_width(m: nn.Layer, x: Tensor) -> Tensor:
    return x * x.shape[1] ** -0.5


def branch_on_width(m: nn.Layer, x: Tensor) -> Tensor:
    return F.relu(x) if x.shape[1] == 8 else F.tanh(x)


def normalised(m: nn.Layer, x: Tensor) -> Tensor:
    return F.normalize(x, axis=1)


def manual_layer_norm(m: nn.Layer, x: Tensor) -> Tensor:
    mean = x.mean(1, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(1, keepdim=True) + 1e-5).sqrt()


def spatial_statistics(m: nn.Layer, x: Tensor) -> Tensor:
    centred = x - x.mean([2, 3], keepdim=True)
    return centred * (centred.square().mean([2, 3], keepdim=True) + 1e-5).rsqrt()


def cbam_gate(m: nn.Layer, x: Tensor) -> Tensor:
    gate = paddle.concat([x.mean(1, keepdim=True), x.max(1, keepdim=True)], axis=1)
    return x * F.sigmoid(m.gate(gate))


def conv1d_rows(m: nn.Layer, x: Tensor) -> Tensor:
    return m.conv(x.flatten(2)).unsqueeze(2)


def conv3d_slab(m: nn.Layer, x: Tensor) -> Tensor:
    return m.conv(x.unsqueeze(2)).squeeze(2)


def log_of_channels(m: nn.Layer, x: Tensor) -> Tensor:
    return paddle.log(F.relu(x) + 1.0) + paddle.rsqrt(x.square() + 1.0)


def nhwc(m: nn.Layer, x: Tensor) -> Tensor:
    return m.conv(x.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])


# fmt: off
OPERATORS: dict[str, Callable[[], Toy]] = {
    "transposed convolution": lambda: between(
        lambda m, x: m.up(x), up=nn.Conv2DTranspose(8, 6, 2, stride=2), out=6),
    "grouped transposed": lambda: between(
        lambda m, x: m.up(x), up=nn.Conv2DTranspose(8, 12, 3, groups=2), out=12),
    "depthwise transposed": lambda: between(
        lambda m, x: m.up(x), up=nn.Conv2DTranspose(8, 8, 3, groups=8)),
    "depthwise transposed, doubling": lambda: between(
        lambda m, x: m.up(x), up=nn.Conv2DTranspose(8, 16, 3, groups=8), out=16),
    "depthwise, doubling": lambda: between(
        lambda m, x: m.conv(x), conv=nn.Conv2D(8, 16, 3, groups=8), out=16),
    "grouped": lambda: between(lambda m, x: m.conv(x), conv=nn.Conv2D(8, 12, 3, groups=2), out=12),
    "dilated": lambda: between(lambda m, x: m.conv(x), conv=nn.Conv2D(8, 6, 3, dilation=2), out=6),
    "conv1d": lambda: between(conv1d_rows, conv=nn.Conv1D(8, 6, 3), out=6),
    "conv1d depthwise": lambda: between(conv1d_rows, conv=nn.Conv1D(8, 8, 3, groups=8)),
    "conv3d": lambda: between(conv3d_slab, conv=nn.Conv3D(8, 6, (1, 3, 3)), out=6),
    "channels last": lambda: between(nhwc, conv=nn.Conv2D(8, 6, 3, data_format="NHWC"), out=6),
    "layer norm": lambda: vectors(lambda m, x: m.norm(m.mid(x)), mid=nn.Linear(8, 6),
                                  norm=nn.LayerNorm(6), out=6),
    "group norm": lambda: between(lambda m, x: m.group(x), group=nn.GroupNorm(4, 8)),
    "group norm, one group": lambda: between(lambda m, x: m.group(x), group=nn.GroupNorm(1, 8)),
    "instance norm": lambda: between(lambda m, x: m.each(x), each=nn.InstanceNorm2D(8)),
    "rms norm": lambda: vectors(lambda m, x: x * x.square().mean(-1, True).rsqrt()),
    "instance norm, bare": lambda: between(lambda m, x: F.instance_norm(x)),
    "local response norm": lambda: between(lambda m, x: F.local_response_norm(x, 3)),
    "batch norm, bare": lambda: between(
        lambda m, x: m.each(F.sigmoid(x)),
        each=nn.BatchNorm2D(8, weight_attr=False, bias_attr=False)),
    "normalize": lambda: between(normalised),
    "layer norm by hand": lambda: between(manual_layer_norm),
    "statistics by hand": lambda: between(spatial_statistics),
    "prelu": lambda: between(lambda m, x: m.act(x), act=nn.PReLU(8)),
    "maxout": lambda: between(lambda m, x: F.maxout(x, 2), out=4),
    "chunk": lambda: between(split_halves, out=4),
    "glu": lambda: between(lambda m, x: F.glu(x, axis=1), out=4),
    "uneven split": lambda: between(uneven),
    "computed split": lambda: between(even_sections, out=4),
    "written split": lambda: between(sections_written, out=4),
    "computed slices": lambda: between(halves_sliced, out=4),
    "written slices": lambda: between(written_slices),
    "last slice": lambda: between(lambda m, x: x[:, -3:] * 2, out=3),
    "one channel": lambda: between(lambda m, x: x * x[:, 2:3]),
    "strided slice": lambda: between(lambda m, x: x[:, ::2], out=4),
    "gather": lambda: between(lambda m, x: paddle.gather(x, paddle.to_tensor([0, 5]), 1), out=2),
    "unbind": lambda: between(lambda m, x: paddle.stack(x.unbind(1)[:4], 1), out=4),
    "unbind rows": lambda: between(lambda m, x: paddle.stack(x.unbind(2)[:4], 2)),
    "stack": lambda: between(lambda m, x: paddle.stack([x, F.relu(x)], 1).sum(1)),
    "concat": lambda: between(lambda m, x: paddle.concat([x, F.sigmoid(x)], 1), out=16),
    "tile": lambda: between(lambda m, x: paddle.tile(x, [1, 2, 1, 1]), out=16),
    "repeat": lambda: between(lambda m, x: paddle.repeat_interleave(x, 2, 1), out=16),
    "expand": lambda: between(
        lambda m, x: x * F.adaptive_avg_pool2d(x, 1).expand([-1, -1, 6, 6])),
    "expand as": lambda: between(lambda m, x: x + F.adaptive_avg_pool2d(x, 1).expand_as(x)),
    "expand to another": lambda: between(
        lambda m, x: x * x.sum(1, keepdim=True).expand([-1, x.shape[1], -1, -1])),
    "broadcast tensors": lambda: between(
        lambda m, x: sum(paddle.broadcast_tensors([x, F.adaptive_avg_pool2d(x, 1)]))),
    "padded channels": lambda: between(
        lambda m, x: m.wide(x) + F.pad(x, [0, 0, 1, 3, 0, 0, 0, 0]), wide=nn.Conv2D(8, 12, 1),
        out=12),
    "written rows": lambda: between(write_rows),
    "written channels": lambda: between(write_channels),
    "masked fill": lambda: between(lambda m, x: x.masked_fill(x > 0.5, 0.5)),
    "crop": lambda: between(
        lambda m, x: paddle.crop(x, [1, x.shape[1], 4, 4], [0, 0, 1, 1])),
    "triangle of pixels": lambda: between(lambda m, x: paddle.tril(x)),
    "triangle of channels": lambda: between(
        lambda m, x: paddle.tril(x.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])),
    "slice like another": lambda: between(
        lambda m, x: m.wide(x)[:, : x.shape[1]] + x, wide=nn.Conv2D(8, 12, 1)),
    "unpool": lambda: between(
        lambda m, x: F.max_unpool2d(*F.max_pool2d(x, 2, return_mask=True), 2)),
    "channel shuffle": lambda: between(lambda m, x: F.channel_shuffle(x, 2)),
    "shuffle by hand": lambda: between(shuffle_by_hand),
    "shuffle, open": lambda: between(shuffle_open),
    "grouped and shuffled": lambda: between(
        lambda m, x: m.b(shuffle_by_hand(m, m.a(x))), a=nn.Conv2D(8, 12, 1, groups=2),
        b=nn.Conv2D(12, 12, 1, groups=3), out=12),
    "pixel shuffle": lambda: between(lambda m, x: F.pixel_shuffle(x, 2), out=2),
    "pixel unshuffle": lambda: between(lambda m, x: F.pixel_unshuffle(x, 2), out=32),
    "unfold and fold": lambda: between(
        lambda m, x: F.fold(F.unfold(x, 2, strides=2), [6, 6], 2, strides=2)),
    "grid sample": lambda: between(
        lambda m, x: F.grid_sample(x, paddle.tanh(m.flow(x)).transpose([0, 2, 3, 1])),
        flow=nn.Conv2D(8, 2, 1)),
    "squeeze and excite": lambda: between(
        squeeze_excite, down=nn.Linear(8, 3), up=nn.Linear(3, 8)),
    "pool": lambda: between(lambda m, x: F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)),
    "pad": lambda: between(lambda m, x: F.pad(x, [1, 1, 1, 1])),
    "interpolate": lambda: between(
        lambda m, x: F.interpolate(x, scale_factor=2) * F.interpolate(x, [12, 12], mode="bicubic")),
    "dropout": lambda: between(lambda m, x: F.dropout2d(x, 0.5, training=False)),
    "sum over channels": lambda: between(lambda m, x: x * x.sum(1, keepdim=True)),
    "sum of sigmoids": lambda: between(lambda m, x: x * F.sigmoid(x).sum(1, keepdim=True)),
    "mean over channels": lambda: between(lambda m, x: x * x.mean(1, keepdim=True)),
    "spatial gate": lambda: between(cbam_gate, gate=nn.Conv2D(2, 1, 3, padding=1)),
    "max over pixels": lambda: between(lambda m, x: x - x.max([2, 3], keepdim=True)),
    "softmax over channels": lambda: between(lambda m, x: F.softmax(x, axis=1)),
    "log softmax over pixels": lambda: between(lambda m, x: F.log_softmax(x, axis=-1)),
    "argmax": lambda: between(lambda m, x: x * x.argmax(1, keepdim=True).astype("float32")),
    "top k": lambda: between(lambda m, x: x.topk(2, 1)[0], out=2),
    "cumulative sum": lambda: between(lambda m, x: x.cumsum(1) + x.cumsum(2)),
    "flip": lambda: between(lambda m, x: paddle.flip(x, [3]) + paddle.roll(x, 1, 2)),
    "where": lambda: between(lambda m, x: paddle.where(x > 0, x, x * 0.1)),
    "subtract": lambda: between(lambda m, x: x - x.min([2, 3], keepdim=True)),
    "divide": lambda: between(lambda m, x: x / (1 + x.abs())),
    "divide by zero": lambda: between(lambda m, x: x / x.abs()),
    "log of zero": lambda: between(lambda m, x: paddle.log(x.abs())),
    "logarithms": lambda: between(log_of_channels),
    "power": lambda: between(lambda m, x: x.square() ** 1.5 + 2.0 ** F.tanh(x)),
    "clip": lambda: between(lambda m, x: x.clip(0.1, 0.5)),
    "ones like": lambda: between(lambda m, x: x + paddle.ones_like(x)),
    "zeros": lambda: between(lambda m, x: x + paddle.zeros([1, 8, 6, 6])),
    "attention": lambda: vectors(attention, **linears()),
    "attention by einsum": lambda: vectors(einsum_attention, **linears()),
    "attention by bmm": lambda: vectors(lambda m, x: paddle.bmm(F.softmax(
        paddle.bmm(m.q(x), m.k(x).transpose([0, 2, 1])), axis=-1), m.v(x)), **linears()),
    "attention of sigmoids": lambda: vectors(sigmoid_attention, **linears()),
    "heads of open width": lambda: vectors(heads, **linears()),
    "open number of heads": lambda: vectors(open_heads, **linears()),
    "multi-head attention": lambda: vectors(
        lambda m, x: m.attend(x, x, x), attend=nn.MultiHeadAttention(8, 2)),
    "dot product attention": lambda: vectors(
        lambda m, x: F.scaled_dot_product_attention(
            *(y(x).reshape([0, 0, 2, 4]) for y in (m.q, m.k, m.v))).flatten(2), **linears()),
    "transformer": lambda: vectors(
        lambda m, x: m.encode(x), encode=nn.TransformerEncoderLayer(8, 2, 12)),
    "mlp": lambda: vectors(
        lambda m, x: x + m.two(F.gelu(m.one(x))), one=nn.Linear(8, 20), two=nn.Linear(20, 8)),
    "bilinear": lambda: vectors(
        lambda m, x: m.mix(x[:, 0], x[:, 1]), mix=nn.Bilinear(8, 8, 6), out=6),
    "gru": lambda: vectors(lambda m, x: m.rnn(x)[0], rnn=nn.GRU(8, 6), out=6),
    "lstm": lambda: vectors(lambda m, x: m.rnn(x)[0], rnn=nn.LSTM(8, 6), out=6),
    "gru cell": lambda: vectors(lambda m, x: m.cell(x[:, 0])[0], cell=nn.GRUCell(8, 6), out=6),
    "squeeze": lambda: between(lambda m, x: F.adaptive_avg_pool2d(x, 1).squeeze()
                       .reshape([1, -1, 1, 1])),
    "scaled by width": lambda: between(scaled_by_width),
    "branch on width": lambda: between(branch_on_width),
    "weight norm": lambda: between(
        lambda m, x: m.conv(x), conv=nn.utils.weight_norm(nn.Conv2D(8, 6, 3)), out=6),
    "spectral norm": lambda: between(
        lambda m, x: m.conv(x), conv=nn.utils.spectral_norm(nn.Conv2D(8, 6, 3)), out=6),
}
# fmt: on
ACTIVATIONS = [
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardshrink,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.RReLU,
    nn.SELU,
    nn.Sigmoid,
    nn.Silu,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Swish,
    nn.Tanh,
    nn.Tanhshrink,
    nn.ThresholdedReLU,
]  # fmt: skip

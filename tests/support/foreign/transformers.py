"""Vision transformers and what mixes tokens in other ways."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.registry import F, Made, Net, Residual, image, mlp, network, unit

# fmt: off


class Attention(nn.Layer):
    """One linear layer for queries, keys and values, as in timm."""

    def __init__(self, dim: int, num_heads: int = 2, out: int | None = None) -> None:
        super().__init__()
        self.num_heads, head_dim = num_heads, dim // num_heads
        self.scale = head_dim**-0.5
        self.qkv, self.proj = nn.Linear(dim, dim * 3), nn.Linear(dim, out or dim)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        qkv = self.qkv(x).reshape([B, N, 3, self.num_heads, C // self.num_heads])
        qkv = qkv.transpose([2, 0, 3, 1, 4])
        q, k, v = qkv[0], qkv[1], qkv[2]
        attn = F.softmax((q @ k.transpose([0, 1, 3, 2])) * self.scale, axis=-1)
        return self.proj((attn @ v).transpose([0, 2, 1, 3]).reshape([B, N, C]))


class Separate(nn.Layer):
    """Queries, keys and values apart; `view` in the style of other frameworks."""

    def __init__(self, dim: int, heads: int = 2, context: int | None = None) -> None:
        super().__init__()
        self.heads, self.width = heads, dim // heads
        self.q, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.k, self.v = nn.Linear(context or dim, dim), nn.Linear(context or dim, dim)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        y = x if y is None else y
        b = x.shape[0]
        q = self.q(x).view(b, -1, self.heads, self.width).transpose([0, 2, 1, 3])
        k = self.k(y).view(b, -1, self.heads, self.width).transpose([0, 2, 3, 1])
        v = self.v(y).view(b, -1, self.heads, self.width).transpose([0, 2, 1, 3])
        z = paddle.matmul(F.softmax(paddle.matmul(q, k) / self.width**0.5, axis=-1), v)
        return self.out(z.transpose([0, 2, 1, 3]).contiguous().view(b, -1, self.heads * self.width))


class Block(nn.Layer):
    def __init__(self, dim: int, attention: nn.Layer | None = None, ratio: int = 3) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = attention or Attention(dim)
        self.mlp = mlp(dim, ratio * dim, dim, act=nn.GELU)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose([0, 2, 1])


def grid(x: Tensor, h: int, w: int) -> Tensor:
    return x.transpose([0, 2, 1]).reshape([x.shape[0], -1, h, w])


def patched(body: nn.Layer, dim: int = 16, size: int = 16, out: int | None = None) -> Made:
    return Net(lambda m, x: m.head(m.norm(m.body(tokens(m.patch(x)))).mean(1)),
               patch=nn.Conv2D(3, dim, 4, 4), body=body, norm=nn.LayerNorm(out or dim),
               head=nn.Linear(out or dim, 5)), image(size)


@network
def deit_distilled() -> Made:
    def run(m, x):
        b = x.shape[0]
        x = tokens(m.patch(x))
        x = paddle.concat([m.cls.expand([b, -1, -1]), m.dist.expand([b, -1, -1]), x], axis=1) + m.pos
        x = m.norm(m.blocks(x))
        return m.head(x[:, 0]), m.head_dist(x[:, 1])
    net = Net(run, patch=nn.Conv2D(3, 16, 4, 4), blocks=nn.Sequential(Block(16), Block(16)),
              norm=nn.LayerNorm(16), head=nn.Linear(16, 5), head_dist=nn.Linear(16, 5))
    net.cls, net.dist = net.create_parameter([1, 1, 16]), net.create_parameter([1, 1, 16])
    net.pos = net.create_parameter([1, 18, 16])
    return net, image()


@network
def vit_by_views() -> Made:
    return patched(nn.Sequential(Block(16, Separate(16)), Block(16, Separate(16, 4))))


@network
def cait() -> Made:
    class Talking(nn.Layer):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.heads = heads
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.l, self.w = nn.Linear(heads, heads), nn.Linear(heads, heads)
            self.gamma = self.create_parameter([dim])

        def forward(self, x: Tensor) -> Tensor:
            b, n, c = x.shape
            q, k, v = self.qkv(x).reshape([b, n, 3, self.heads, -1]).transpose([2, 0, 3, 1, 4]).unbind(0)
            attn = q @ k.transpose([0, 1, 3, 2])
            attn = F.softmax(self.l(attn.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2]), axis=-1)
            attn = self.w(attn.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])
            return self.gamma * self.proj((attn @ v).transpose([0, 2, 1, 3]).reshape([b, n, c]))
    return patched(nn.Sequential(Block(16, Talking(16, 2)), Block(16, Talking(16, 4))))


@network
def transformer_in_transformer() -> Made:
    def run(m, x):
        b = x.shape[0]
        pixels = F.unfold(m.patch(x), 4, strides=4).transpose([0, 2, 1])
        n = pixels.shape[1]
        pixels = pixels.reshape([b * n, 6, 16]).transpose([0, 2, 1])
        patches = m.proj(pixels.reshape([b, n, -1]))
        for inner, outer, join in zip(m.inner, m.outer, m.join, strict=True):
            pixels = inner(pixels)
            patches = outer(patches + join(pixels.reshape([b, n, -1])))
        return m.head(patches.mean(1))
    return Net(run, patch=nn.Conv2D(3, 6, 3, padding=1), proj=nn.Linear(96, 16), inner=[Block(6), Block(6)],
               outer=[Block(16), Block(16)], join=[nn.Linear(96, 16), nn.Linear(96, 16)],
               head=nn.Linear(16, 5)), image(8)


class SpatialReduction(nn.Layer):
    def __init__(self, dim: int, heads: int, side: int, ratio: int) -> None:
        super().__init__()
        self.heads, self.side = heads, side
        self.q, self.kv, self.proj = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.sr, self.norm = nn.Conv2D(dim, dim, ratio, ratio), nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q = self.q(x).reshape([b, n, self.heads, c // self.heads]).transpose([0, 2, 1, 3])
        y = self.sr(x.transpose([0, 2, 1]).reshape([b, c, self.side, self.side]))
        y = self.norm(y.reshape([b, c, -1]).transpose([0, 2, 1]))
        kv = self.kv(y).reshape([b, -1, 2, self.heads, c // self.heads]).transpose([2, 0, 3, 1, 4])
        k, v = kv[0], kv[1]
        y = F.softmax(q @ k.transpose([0, 1, 3, 2]) * 0.3, axis=-1) @ v
        return self.proj(y.transpose([0, 2, 1, 3]).reshape([b, n, c]))


@network
def pvt() -> Made:
    return patched(nn.Sequential(Block(16, SpatialReduction(16, 2, 4, 2)), Block(16)))


class MixFFN(nn.Layer):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.dwconv = nn.Conv2D(hidden, hidden, 3, padding=1, groups=hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        b, n, c = x.shape
        side = int(n**0.5)
        y = self.dwconv(x.transpose([0, 2, 1]).reshape([b, c, side, side]))
        return self.fc2(F.gelu(y.flatten(2).transpose([0, 2, 1])))


@network
def pvt_v2_segformer() -> Made:
    def run(m, x):
        x = m.patch(x)
        b, c, h, w = x.shape
        y = tokens(x)
        y = y + m.attn(m.n1(y))
        y = m.n3(y + m.ffn(m.n2(y))).reshape([b, h, w, -1]).transpose([0, 3, 1, 2])
        y = F.interpolate(m.project(y), scale_factor=2, mode="bilinear")
        return m.classify(paddle.concat([y, F.interpolate(m.low(x), y.shape[2:])], 1))
    return Net(run, patch=nn.Conv2D(3, 16, 7, 4, 3), attn=SpatialReduction(16, 2, 4, 2), ffn=MixFFN(16, 40),
               n1=nn.LayerNorm(16), n2=nn.LayerNorm(16), n3=nn.LayerNorm(16), project=unit(16, 8, 1),
               low=unit(16, 8, 1), classify=nn.Conv2D(16, 4, 1)), image()


@network
def coatnet() -> Made:
    inner = nn.Sequential(nn.BatchNorm2D(8), unit(8, 24, 1, nn.GELU), unit(24, 24, 3, nn.GELU, groups=24),
                          nn.Conv2D(24, 8, 1))

    class Relative(nn.Layer):
        def __init__(self, dim: int, heads: int, side: int) -> None:
            super().__init__()
            self.heads = heads
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.table = self.create_parameter([(2 * side - 1) ** 2, heads])
            at = paddle.stack(paddle.meshgrid([paddle.arange(side)] * 2)).flatten(1)
            apart = (at.unsqueeze(2) - at.unsqueeze(1)).transpose([1, 2, 0]) + side - 1
            self.register_buffer("index", (apart[:, :, 0] * (2 * side - 1) + apart[:, :, 1]).flatten())

        def forward(self, x: Tensor) -> Tensor:
            b, n, c = x.shape
            q, k, v = paddle.split(self.qkv(x).reshape([b, n, self.heads, -1]).transpose([0, 2, 1, 3]), 3, -1)
            bias = paddle.index_select(self.table, self.index, 0).reshape([n, n, self.heads])
            attn = q @ k.transpose([0, 1, 3, 2]) + bias.transpose([2, 0, 1]).unsqueeze(0)
            return self.proj((F.softmax(attn, -1) @ v).transpose([0, 2, 1, 3]).reshape([b, n, c]))

    return Net(lambda m, x: m.head(m.block(tokens(m.down(m.conv(m.stem(x))))).mean(1)), stem=unit(3, 8),
               conv=Residual(inner), down=nn.Conv2D(8, 16, 4, 4), block=Block(16, Relative(16, 2, 4)),
               head=nn.Linear(16, 5)), image()


@network
def levit() -> Made:
    class Batched(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.c, self.bn = nn.Linear(into, out, bias_attr=False), nn.BatchNorm1D(out)

        def forward(self, x: Tensor) -> Tensor:
            x = self.c(x)
            return self.bn(x.flatten(0, 1)).reshape(x.shape)

    class LeAttention(nn.Layer):
        def __init__(self, dim: int, key: int, heads: int, ratio: int) -> None:
            super().__init__()
            self.heads, self.key, self.d = heads, key, ratio * key
            self.qkv = Batched(dim, heads * (2 * key + self.d))
            self.proj = nn.Sequential(nn.Hardswish(), Batched(self.d * heads, dim))

        def forward(self, x: Tensor) -> Tensor:
            b, n = x.shape[:2]
            qkv = self.qkv(x).reshape([b, n, self.heads, -1])
            q, k, v = paddle.split(qkv, [self.key, self.key, self.d], axis=3)
            q, k, v = (t.transpose([0, 2, 1, 3]) for t in (q, k, v))
            y = F.softmax(q @ k.transpose([0, 1, 3, 2]), -1) @ v
            return self.proj(y.transpose([0, 2, 1, 3]).reshape([b, n, self.heads * self.d]))

    body = nn.Sequential(Residual(LeAttention(16, 4, 2, 2)),
                         Residual(nn.Sequential(Batched(16, 32), nn.Hardswish(), Batched(32, 16))))
    return patched(body)


@network
def edgenext_cross_covariance() -> Made:
    class XCA(nn.Layer):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.temperature = self.create_parameter([heads, 1, 1])

        def forward(self, x: Tensor) -> Tensor:
            b, n, c = x.shape
            qkv = self.qkv(x).reshape([b, n, 3, self.heads, c // self.heads]).transpose([2, 0, 3, 4, 1])
            q, k, v = qkv[0], qkv[1], qkv[2]
            q, k = F.normalize(q, axis=-1), F.normalize(k, axis=-1)
            attn = F.softmax(q @ k.transpose([0, 1, 3, 2]) * self.temperature, -1)
            return self.proj((attn @ v).transpose([0, 3, 1, 2]).reshape([b, n, c]))
    return patched(nn.Sequential(Block(16, XCA(16, 2)), Block(16, XCA(16, 4))))

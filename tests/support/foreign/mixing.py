"""What mixes tokens without attention, or beside it."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

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
from foreign.transformers import Attention, Block, patched

# fmt: off


@network
def poolformer() -> Made:
    def run(m, x):
        x = m.patch(x)
        x = x + m.scale.unsqueeze([1, 2]) * (F.avg_pool2d(m.n1(x), 3, 1, 1) - m.n1(x))
        return m.head(x + m.down(F.gelu(m.up(m.n2(x)))))
    net = Net(run, patch=nn.Conv2D(3, 12, 7, 4, 2), n1=nn.GroupNorm(1, 12), n2=nn.GroupNorm(1, 12),
              up=nn.Conv2D(12, 48, 1), down=nn.Conv2D(48, 12, 1), head=head(12))
    net.scale = net.create_parameter([12])
    return net, image()


@network
def convmixer() -> Made:
    deep = nn.Sequential(nn.Conv2D(12, 12, 5, groups=12, padding="same"), nn.GELU(), nn.BatchNorm2D(12))
    return nn.Sequential(nn.Conv2D(3, 12, 4, 4), nn.GELU(), nn.BatchNorm2D(12), Residual(deep),
                         nn.Conv2D(12, 12, 1), nn.GELU(), nn.BatchNorm2D(12), head(12)), image()


@network
def gmlp() -> Made:
    class Gating(nn.Layer):
        def __init__(self, ffn: int, length: int) -> None:
            super().__init__()
            self.norm, self.proj = nn.LayerNorm(ffn), nn.Conv1D(length, length, 1)

        def forward(self, x: Tensor) -> Tensor:
            u, v = x.chunk(2, axis=-1)
            return u * self.proj(self.norm(v))
    inner = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 48), nn.GELU(), Gating(24, 16), nn.Linear(24, 16))
    return patched(Residual(inner))


@network
def resmlp() -> Made:
    class Affine(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.alpha, self.beta = self.create_parameter([dim]), self.create_parameter([dim], is_bias=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.alpha * x + self.beta

    class Cross(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(16, 16)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x.transpose([0, 2, 1])).transpose([0, 2, 1])
    return patched(nn.Sequential(Residual(nn.Sequential(Affine(12), Cross(), Affine(12))),
                                 Residual(nn.Sequential(Affine(12), mlp(12, 40, 12, act=nn.GELU)))), 12)


@network
def vision_permutator() -> Made:
    def run(m, x):
        x = m.patch(x).transpose([0, 2, 3, 1])
        b, h, w, c = x.shape
        s = c // 4
        y = x.reshape([b, h, w, 4, s]).transpose([0, 3, 2, 1, 4]).reshape([b, 4, w, h * s])
        y = m.h(y).reshape([b, 4, w, h, s]).transpose([0, 3, 2, 1, 4]).reshape([b, h, w, c])
        z = m.c(x)
        a = F.softmax(m.gate((y + z).transpose([0, 3, 1, 2]).flatten(2).mean(2))
                      .reshape([b, c, 2]).transpose([2, 0, 1]), axis=0).unsqueeze(2).unsqueeze(2)
        return m.head((m.proj(y * a[0] + z * a[1]) + x).mean([1, 2]))
    return Net(run, patch=nn.Conv2D(3, 16, 4, 4), h=nn.Linear(16, 16), c=nn.Linear(16, 16),
               gate=mlp(16, 4, 32), proj=nn.Linear(16, 16), head=nn.Linear(16, 5)), image()


@network
def tokens_to_token() -> Made:
    def run(m, x):
        x = F.unfold(x, 7, 4, 2).transpose([0, 2, 1])
        x = m.a(x)
        b, n, c = x.shape
        x = x.transpose([0, 2, 1]).reshape([b, c, 4, 4])
        x = F.unfold(x, 3, 2, 1).transpose([0, 2, 1])
        return m.head(m.block(m.project(x)).mean(1))
    return Net(run, a=nn.Sequential(nn.LayerNorm(147), Attention(147, 1, 8)), project=nn.Linear(72, 16),
               block=Block(16), head=nn.Linear(16, 5)), image()


@network
def bottleneck_transformer() -> Made:
    class MHSA(nn.Layer):
        def __init__(self, dims: int, side: int, heads: int = 2) -> None:
            super().__init__()
            self.heads = heads
            self.query, self.key, self.value = (nn.Conv2D(dims, dims, 1) for _ in range(3))
            self.rel_h = self.create_parameter([1, heads, dims // heads, 1, side])
            self.rel_w = self.create_parameter([1, heads, dims // heads, side, 1])

        def forward(self, x: Tensor) -> Tensor:
            n, c, w, h = x.shape
            q = self.query(x).reshape([n, self.heads, c // self.heads, -1])
            k = self.key(x).reshape([n, self.heads, c // self.heads, -1])
            v = self.value(x).reshape([n, self.heads, c // self.heads, -1])
            content = paddle.matmul(q.transpose([0, 1, 3, 2]), k)
            place = (self.rel_h + self.rel_w).reshape([1, self.heads, c // self.heads, -1])
            energy = content + paddle.matmul(place.transpose([0, 1, 3, 2]), q)
            out = paddle.matmul(v, F.softmax(energy, -1).transpose([0, 1, 3, 2]))
            return out.reshape([n, c, w, h])
    body = Residual(nn.Sequential(unit(8, 12, 1), MHSA(12, 4), nn.BatchNorm2D(12), unit(12, 8, 1, None)))
    return nn.Sequential(unit(3, 8, stride=4), body, head(8)), image()


@network
def maxvit() -> Made:
    def run(m, x):
        x = m.stem(x)
        b, c, h, w = x.shape
        y = x.reshape([b, c, h // 4, 4, w // 4, 4]).transpose([0, 2, 4, 3, 5, 1]).reshape([-1, 16, c])
        y = m.window(y).reshape([b, h // 4, w // 4, 4, 4, c]).transpose([0, 5, 1, 3, 2, 4])
        y = y.reshape([b, c, 4, h // 4, 4, w // 4]).transpose([0, 3, 5, 2, 4, 1]).reshape([-1, 16, c])
        y = m.grid(y).reshape([b, h // 4, w // 4, 4, 4, c]).transpose([0, 5, 3, 1, 4, 2])
        return m.head(y.reshape([b, c, h, w]) + x)
    return Net(run, stem=unit(3, 16), window=Block(16), grid=Block(16), head=head(16)), image(8)


@network
def hornet() -> Made:
    class Gnconv(nn.Layer):
        def __init__(self, dim: int, order: int = 3) -> None:
            super().__init__()
            self.dims = [dim // 2**n for n in range(order)][::-1]
            self.proj_in, self.proj_out = nn.Conv2D(dim, 2 * dim, 1), nn.Conv2D(dim, dim, 1)
            self.dwconv = nn.Conv2D(sum(self.dims), sum(self.dims), 7, padding=3, groups=sum(self.dims))
            self.pws = nn.LayerList([nn.Conv2D(self.dims[n], self.dims[n + 1], 1) for n in range(order - 1)])

        def forward(self, x: Tensor) -> Tensor:
            pwa, abc = paddle.split(self.proj_in(x), [self.dims[0], sum(self.dims)], axis=1)
            parts = paddle.split(self.dwconv(abc) * 0.5, self.dims, axis=1)
            x = pwa * parts[0]
            for n, pw in enumerate(self.pws):
                x = pw(x) * parts[n + 1]
            return self.proj_out(x)
    return nn.Sequential(unit(3, 16), Residual(Gnconv(16)), unit(16, 12), head(12)), image()


@network
def visual_attention() -> Made:
    class LKA(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.conv0 = nn.Conv2D(dim, dim, 5, padding=2, groups=dim)
            self.conv_spatial = nn.Conv2D(dim, dim, 7, padding=9, groups=dim, dilation=3)
            self.conv1 = nn.Conv2D(dim, dim, 1)

        def forward(self, x: Tensor) -> Tensor:
            u = x.clone()
            return u * self.conv1(self.conv_spatial(self.conv0(x)))
    inner = nn.Sequential(nn.BatchNorm2D(12), nn.Conv2D(12, 12, 1), nn.GELU(), LKA(12), nn.Conv2D(12, 12, 1))
    return nn.Sequential(unit(3, 12), Residual(inner), unit(12, 8), head(8)), image()

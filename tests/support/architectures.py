"""Small versions of networks from other people's collections, with their example inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle import Tensor, nn
from topologies import Toy

F = nn.functional
Made = tuple[nn.Layer, Any]


def image(size: int = 16, channels: int = 3) -> Tensor:
    return paddle.randn([1, channels, size, size])


def unit(into: int, out: int, kernel: int = 3, act: type | None = nn.ReLU, **more: Any) -> nn.Layer:
    parts: list[nn.Layer] = [
        nn.Conv2D(into, out, kernel, padding=kernel // 2, bias_attr=False, **more),
        nn.BatchNorm2D(out),
    ]
    return nn.Sequential(*parts, *([act()] if act else []))


def head(width: int, classes: int = 5) -> nn.Layer:
    return nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(width, classes))


class LayerNorm2D(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])


class ConvNeXtBlock(nn.Layer):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2D(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = self.create_parameter([dim], default_initializer=nn.initializer.Constant(1e-2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x).transpose([0, 2, 3, 1])
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(self.norm(y))))
        return x + y.transpose([0, 3, 1, 2])


def convnext() -> Made:
    net = nn.Sequential(
        nn.Conv2D(3, 16, 4, stride=4), LayerNorm2D(16), ConvNeXtBlock(16), ConvNeXtBlock(16),
        LayerNorm2D(16), nn.Conv2D(16, 32, 2, stride=2), ConvNeXtBlock(32), head(32),
    )  # fmt: skip
    return net, image(32)


class ViTAttention(nn.Layer):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.scale = heads, (dim // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(dim, dim * 3), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, c = x.shape[1:]
        qkv = self.qkv(x).reshape((-1, n, 3, self.num_heads, c // self.num_heads))
        q, k, v = qkv.transpose((2, 0, 3, 1, 4))
        attn = F.softmax(q.matmul(k.transpose((0, 1, 3, 2))) * self.scale, axis=-1)
        return self.proj(attn.matmul(v).transpose((0, 2, 1, 3)).reshape((-1, n, c)))


class ViTBlock(nn.Layer):
    def __init__(self, dim: int, heads: int = 2) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = ViTAttention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Layer):
    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.patch = nn.Conv2D(3, dim, 4, stride=4)
        self.token = self.create_parameter([1, 1, dim])
        self.position = self.create_parameter([1, 17, dim])
        self.blocks = nn.LayerList([ViTBlock(dim) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose([0, 2, 1])
        x = paddle.concat([self.token.expand([x.shape[0], -1, -1]), x], axis=1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class SwinBlock(nn.Layer):
    def __init__(self, dim: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm, self.attn = nn.LayerNorm(dim), ViTAttention(dim, 2)
        self.fc1, self.fc2 = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        s = self.window
        y = paddle.roll(self.norm(x), [-self.shift, -self.shift], axis=[1, 2])
        y = y.reshape([b, h // s, s, w // s, s, c]).transpose([0, 1, 3, 2, 4, 5])
        y = self.attn(y.reshape([-1, s * s, c]))
        y = y.reshape([b, h // s, w // s, s, s, c]).transpose([0, 1, 3, 2, 4, 5])
        y = paddle.roll(y.reshape([b, h, w, c]), [self.shift, self.shift], axis=[1, 2])
        x = x + y
        return x + self.fc2(F.gelu(self.fc1(x)))


class Swin(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2D(3, 12, 4, stride=4)
        self.one, self.two = SwinBlock(12, 2, 0), SwinBlock(12, 2, 1)
        self.merge, self.head = nn.Linear(48, 20), nn.Linear(20, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(self.patch(x).transpose([0, 2, 3, 1])))
        parts = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.head(self.merge(paddle.concat(parts, axis=-1)).mean([1, 2]))


class MBConv(nn.Layer):
    def __init__(self, into: int, out: int, expand: int = 4, kernel: int = 3) -> None:
        super().__init__()
        mid = into * expand
        self.expand = unit(into, mid, 1, nn.Silu)
        self.depthwise = unit(mid, mid, kernel, nn.Silu, groups=mid)
        self.reduce, self.widen = nn.Conv2D(mid, into // 2, 1), nn.Conv2D(into // 2, mid, 1)
        self.project = unit(mid, out, 1, None)
        self.skip = into == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(self.expand(x))
        gate = self.widen(F.silu(self.reduce(F.adaptive_avg_pool2d(y, 1))))
        y = self.project(y * F.sigmoid(gate))
        return x + y if self.skip else y


class RegNetBlock(nn.Layer):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.a, self.c = unit(width, width, 1), unit(width, width, 1, None)
        self.b = unit(width, width, 3, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.c(self.b(self.a(x))))


class HRFuse(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.stem = unit(3, 8)
        self.high, self.low = unit(8, 8), unit(8, 12, stride=2)
        self.up, self.down = unit(12, 8, 1, None), unit(8, 12, 3, None, stride=2)
        self.last = nn.Conv2D(20, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        a, b = self.high(x), self.low(x)
        up = F.interpolate(self.up(b), size=a.shape[-2:], mode="bilinear", align_corners=True)
        a, b = F.relu(a + up), F.relu(b + self.down(a))
        return self.last(paddle.concat([a, F.interpolate(b, size=a.shape[-2:])], axis=1))


class UNet(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = unit(3, 8), unit(8, 12), unit(12, 16)
        self.up2, self.up1 = nn.Conv2DTranspose(16, 12, 2, 2), nn.Conv2DTranspose(12, 8, 2, 2)
        self.back2, self.back1 = unit(24, 12), unit(16, 8)
        self.last = nn.Conv2D(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.one(x)
        b = self.two(F.max_pool2d(a, 2))
        y = self.up2(self.three(F.max_pool2d(b, 2)))
        dy = b.shape[2] - y.shape[2]
        y = F.pad(y, [0, dy, 0, dy])
        y = self.back2(paddle.concat([b, y], axis=1))
        return self.last(self.back1(paddle.concat([a, self.up1(y)], axis=1)))


class Detector(nn.Layer):
    """A pyramid with heads that share weights and reshape their outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.LayerList([unit(3, 8), unit(8, 16, stride=2), unit(16, 24, stride=2)])
        self.lateral = nn.LayerList([nn.Conv2D(c, 12, 1) for c in (8, 16, 24)])
        self.shared = unit(12, 12)
        self.boxes, self.classes = nn.Conv2D(12, 8, 1), nn.Conv2D(12, 6, 1)

    def forward(self, x: Tensor) -> dict[str, Any]:
        levels, top = [], None
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        boxes, classes = [], []
        for n in (2, 1, 0):
            y = self.lateral[n](levels[n])
            top = y if top is None else y + F.interpolate(top, scale_factor=2)
            z = self.shared(top)
            b = z.shape[0]
            boxes.append(self.boxes(z).transpose([0, 2, 3, 1]).reshape([b, -1, 4]))
            classes.append(F.sigmoid(self.classes(z)).flatten(2))
        return {"boxes": paddle.concat(boxes, 1), "classes": classes, "top": levels[-1].mean()}


class Ghost(nn.Layer):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.out = out
        self.primary = unit(into, out // 2, 1)
        self.cheap = unit(out // 2, out // 2, 3, groups=out // 2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.primary(x)
        return paddle.concat([a, self.cheap(a)], axis=1)[:, : self.out]


class Mixer(nn.Layer):
    def __init__(self, dim: int = 16, tokens: int = 16) -> None:
        super().__init__()
        self.patch = nn.Conv2D(3, dim, 4, stride=4)
        self.t1, self.t2 = nn.Linear(tokens, 24), nn.Linear(24, tokens)
        self.c1, self.c2 = nn.Linear(dim, 32), nn.Linear(32, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose([0, 2, 1])
        y = self.t2(F.gelu(self.t1(self.norm1(x).transpose([0, 2, 1])))).transpose([0, 2, 1])
        x = x + y
        x = x + self.c2(F.gelu(self.c1(self.norm2(x))))
        return self.head(x.mean(1))


class CSP(nn.Layer):
    """A C2f block: chunk, bottlenecks, concat of all."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.c = out // 2
        self.cv1 = unit(into, 2 * self.c, 1, nn.Silu)
        self.m = nn.LayerList([unit(self.c, self.c, 3, nn.Silu) for _ in range(2)])
        self.cv2 = unit(4 * self.c, out, 1, nn.Silu)

    def forward(self, x: Tensor) -> Tensor:
        y = list(self.cv1(x).chunk(2, 1))
        for m in self.m:
            y.append(m(y[-1]))
        return self.cv2(paddle.concat(y, 1))


class CSPSplit(CSP):
    """The same with the split written down."""

    def forward(self, x: Tensor) -> Tensor:
        y = list(paddle.split(self.cv1(x), [self.c, self.c], axis=1))
        for m in self.m:
            y.append(m(y[-1]) + y[-1])
        return self.cv2(paddle.concat(y, 1))


class DPNBlock(nn.Layer):
    def __init__(self, into: int, bottleneck: int, out: int, dense: int) -> None:
        super().__init__()
        self.out = out
        self.a, self.b = unit(into, bottleneck, 1), unit(bottleneck, bottleneck, 3, groups=2)
        self.c = nn.Conv2D(bottleneck, out + dense, 1)
        self.project = nn.Conv2D(into, out + dense, 1)

    def forward(self, x: Any) -> Any:
        x = paddle.concat(x, axis=1) if isinstance(x, (list, tuple)) else x
        s = self.project(x)
        y = self.c(self.b(self.a(x)))
        left = s[:, : self.out] + y[:, : self.out]
        return left, paddle.concat([s[:, self.out :], y[:, self.out :]], axis=1)


class DPN(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one = unit(3, 8), DPNBlock(8, 8, 12, 4)
        self.two, self.head = DPNBlock(20, 8, 12, 4), head(20)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(paddle.concat(self.two(self.one(self.stem(x))), axis=1))


class Res2Net(nn.Layer):
    def __init__(self, width: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.stem, self.conv1, self.conv3 = unit(3, 8), unit(8, width, 1), unit(width, 8, 1, None)
        self.scale = scale
        self.convs = nn.LayerList([unit(width // scale, width // scale) for _ in range(scale - 1)])
        self.head = head(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        parts = paddle.split(self.conv1(x), self.scale, axis=1)
        y = [self.convs[0](parts[0])]
        for n in range(1, len(self.convs)):
            y.append(self.convs[n](y[-1] + parts[n]))
        return self.head(F.relu(x + self.conv3(paddle.concat([*y, parts[-1]], 1))))


class CBAM(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = unit(3, 16), unit(16, 16)
        self.fc1, self.fc2 = nn.Conv2D(16, 4, 1), nn.Conv2D(4, 16, 1)
        self.spatial = nn.Conv2D(2, 1, 7, padding=3)
        self.head = head(16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.stem(x))
        pooled = [F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)]
        x = x * F.sigmoid(sum(self.fc2(F.relu(self.fc1(p))) for p in pooled))
        gate = paddle.concat([x.mean(1, keepdim=True), x.max(1, keepdim=True)], 1)
        return self.head(x * F.sigmoid(self.spatial(gate)))


class NonLocal(nn.Layer):
    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.stem = unit(3, width)
        self.theta, self.phi, self.g = (nn.Conv2D(width, width // 2, 1) for _ in range(3))
        self.out, self.head = unit(width // 2, width, 1, None), head(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        b, _, h, w = x.shape
        theta = self.theta(x).flatten(2).transpose([0, 2, 1])
        phi, g = self.phi(x).flatten(2), self.g(x).flatten(2).transpose([0, 2, 1])
        y = paddle.matmul(F.softmax(paddle.matmul(theta, phi), axis=-1), g)
        y = y.transpose([0, 2, 1]).reshape([b, -1, h, w])
        return self.head(x + self.out(y))


class Autoencoder(nn.Layer):
    """The decoder is the encoder's weight, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.middle = nn.Linear(12, 20), nn.Linear(20, 8)
        self.bias = self.create_parameter([12], is_bias=True)
        self.widen = nn.Linear(8, 20)

    def forward(self, x: Tensor) -> Tensor:
        code = F.relu(self.middle(F.relu(self.encode(x))))
        return F.linear(F.relu(self.widen(code)), self.encode.weight.t(), self.bias)


class Language(nn.Layer):
    """Embedding, GRU, attention over time, the embedding's weight as the output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.gru = nn.Embedding(11, 8), nn.GRU(8, 8)
        self.one, self.two = nn.Linear(8, 24), nn.Linear(24, 8)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x, _ = self.gru(self.embed(ids))
        x = x * mask.unsqueeze(-1)
        x = x + self.two(F.silu(self.one(x)))
        return paddle.matmul(x, self.embed.weight, transpose_y=True)


class SwiGLU(nn.Layer):
    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.embed, self.both, self.down = (
            nn.Embedding(11, dim), nn.Linear(dim, 48), nn.Linear(24, dim))  # fmt: skip
        self.scale = self.create_parameter([dim], default_initializer=nn.initializer.Constant(1.0))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        y = x * paddle.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.scale
        gate, up = self.both(y).chunk(2, axis=-1)
        return x + self.down(F.silu(gate) * up)


class Recurrent(nn.Layer):
    """One block called three times, whose input is its own output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = unit(3, 8), unit(8, 8), head(8)

    def forward(self, x: Tensor) -> Sequence[Tensor]:
        x = self.stem(x)
        outputs = []
        for _ in range(3):
            x = self.block(x) + x
            outputs.append(self.head(x))
        return outputs


class Siamese(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(unit(3, 8), unit(8, 12), nn.AdaptiveAvgPool2D(1), nn.Flatten())

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return F.cosine_similarity(self.body(a), self.body(b), axis=1)


class Conditional(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b, self.head = unit(3, 8), unit(8, 8), unit(8, 8), head(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.mean() > 0:
            y = self.a(x)
        else:
            y = x
        return self.head(self.b(y))


class SelectiveKernel(nn.Layer):
    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.stem = unit(3, width)
        self.paths = nn.LayerList([unit(width, width, k) for k in (3, 5)])
        self.down, self.up = nn.Linear(width, 6), nn.LayerList([nn.Linear(6, width)] * 2)
        self.head = head(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = paddle.stack([path(x) for path in self.paths], axis=1)
        pooled = F.relu(self.down(y.sum(1).mean([2, 3])))
        gate = F.softmax(paddle.stack([up(pooled) for up in self.up], 1), axis=1)
        return self.head((y * gate.unsqueeze([3, 4])).sum(1))


class SubPixel(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.body = nn.Conv2D(3, 8, 3, padding=1), unit(8, 8)
        self.up, self.last = nn.Conv2D(8, 32, 3, padding=1), nn.Conv2D(8, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = F.pixel_shuffle(self.up(self.body(y) + y), 2)
        return F.interpolate(x, scale_factor=2, mode="bilinear") + self.last(F.prelu(
            y, paddle.full([1], 0.25)))  # fmt: skip


class Involved(nn.Layer):
    """Reads sizes in many ways: all of them follow."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = unit(3, 8), unit(8, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x))
        n, c, h, w = x.shape
        y = x.reshape([n, c, h * w]).transpose([0, 2, 1]).reshape([n * h * w, c])
        return self.fc(y).reshape([n, h, w, -1]).sum([1, 2]) / (h * w)


class Convolver(nn.Layer):
    """MobileViT's unfolding of patches into sequences."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.stem, self.into = unit(3, 8), nn.Conv2D(8, dim, 1)
        self.block, self.out, self.head = ViTBlock(dim), unit(dim, 8, 1), head(16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.into(x)
        b, c, h, w = y.shape
        y = y.reshape([b * c * h // 2, 2, w // 2, 2]).transpose([0, 2, 1, 3])
        y = y.reshape([b, c, h * w // 4, 4]).transpose([0, 3, 2, 1]).reshape([b * 4, -1, c])
        y = self.block(y).reshape([b, 4, h * w // 4, c]).transpose([0, 3, 2, 1])
        y = y.reshape([b * c * h // 2, w // 2, 2, 2]).transpose([0, 2, 1, 3]).reshape([b, c, h, w])
        return self.head(paddle.concat([x, self.out(y)], axis=1))


def sequence(*blocks: nn.Layer, width: int, size: int = 16) -> Made:
    return nn.Sequential(unit(3, 8), *blocks, head(width)), image(size)


def ids() -> Tensor:
    return paddle.randint(0, 11, [1, 6])


def shared_weights() -> Made:
    """Two layers hold one parameter."""
    a, b = nn.Conv2D(8, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1)
    b.weight = a.weight
    run = lambda m, x: m.head(m.b(F.relu(m.a(m.stem(x)))))  # noqa: E731
    return Toy(run, stem=unit(3, 8), a=a, b=b, head=head(8)), image()


# fmt: off
ARCHITECTURES: dict[str, Callable[[], Made]] = {
    "convnext": convnext,
    "vit": lambda: (ViT(), image()),
    "swin": lambda: (Swin(), image(16)),
    "efficientnet": lambda: sequence(MBConv(8, 8), MBConv(8, 12, 6, 5), width=12),
    "regnet": lambda: sequence(unit(8, 16, 1), RegNetBlock(16, 4), RegNetBlock(16, 2), width=16),
    "hrnet": lambda: (HRFuse(), image()),
    "unet": lambda: (UNet(), image()),
    "detector": lambda: (Detector(), image()),
    "ghostnet": lambda: sequence(Ghost(8, 16), Ghost(16, 12), width=12),
    "mixer": lambda: (Mixer(), image()),
    "cspnet": lambda: sequence(CSP(8, 16), CSP(16, 12), width=12),
    "cspnet, written": lambda: sequence(CSPSplit(8, 16), width=16),
    "dpn": lambda: (DPN(), image()),
    "res2net": lambda: (Res2Net(), image()),
    "cbam": lambda: (CBAM(), image()),
    "non-local": lambda: (NonLocal(), image(8)),
    "tied autoencoder": lambda: (Autoencoder(), paddle.randn([1, 12])),
    "language": lambda: (Language(), [ids(), paddle.ones([1, 6])]),
    "swiglu": lambda: (SwiGLU(), ids()),
    "recurrent": lambda: (Recurrent(), image()),
    "siamese": lambda: (Siamese(), [image(), image()]),
    "conditional": lambda: (Conditional(), image()),
    "selective kernel": lambda: (SelectiveKernel(), image()),
    "sub-pixel": lambda: (SubPixel(), image(8)),
    "reshapes": lambda: (Involved(), image(8)),
    "mobilevit": lambda: (Convolver(), image(8)),
    "shared weights": shared_weights,
}
# fmt: on

"""Segmentation, detection, poses: pyramids, U-shapes and heads with several outputs."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.mobile import separable
from foreign.registry import F, Made, Net, Residual, image, network, unit

# fmt: off


def bigger(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


@network
def unet_plus_plus() -> Made:
    def run(m, x):
        x00 = m.c00(x)
        x10 = m.c10(F.max_pool2d(x00, 2))
        x01 = m.c01(paddle.concat([x00, bigger(x10, x00)], 1))
        x20 = m.c20(F.max_pool2d(x10, 2))
        x11 = m.c11(paddle.concat([x10, bigger(x20, x10)], 1))
        x02 = m.c02(paddle.concat([x00, x01, bigger(x11, x00)], 1))
        return [m.f1(x01), m.f2(x02)]
    return Net(run, c00=unit(3, 6), c10=unit(6, 8), c20=unit(8, 12), c01=unit(14, 6), c11=unit(20, 8),
               c02=unit(20, 6), f1=nn.Conv2D(6, 2, 1), f2=nn.Conv2D(6, 2, 1)), image()


@network
def attention_unet() -> Made:
    def run(m, x):
        a = m.a(x)
        b = m.b(F.max_pool2d(a, 2))
        g = m.up(b)
        gate = F.sigmoid(m.psi(F.relu(m.wg(g) + m.wx(a))))
        return m.last(m.back(paddle.concat([a * gate, g], axis=1)))
    return Net(run, a=unit(3, 8), b=unit(8, 12), up=nn.Conv2DTranspose(12, 8, 2, 2), wg=unit(8, 6, 1, None),
               wx=unit(8, 6, 1, None), psi=unit(6, 1, 1, None), back=unit(16, 8),
               last=nn.Conv2D(8, 3, 1)), image()


@network
def recurrent_residual_unet() -> Made:
    class Recurrent(nn.Layer):
        def __init__(self, width: int, t: int = 2) -> None:
            super().__init__()
            self.t, self.conv = t, unit(width, width)

        def forward(self, x: Tensor) -> Tensor:
            for i in range(self.t):
                if i == 0:
                    x1 = self.conv(x)
                x1 = self.conv(x + x1)
            return x1
    return Net(lambda m, x: m.last(paddle.concat([m.r(m.a(x)), F.upsample(m.r2(m.b(F.max_pool2d(x, 2))), scale_factor=2)], 1)),
               a=unit(3, 8), b=unit(3, 6), r=Residual(Recurrent(8)), r2=Recurrent(6), last=nn.Conv2D(14, 2, 1)), image()


@network
def vnet_3d() -> Made:
    def run(m, x):
        a = F.prelu(m.bn1(m.a(x)) + x.expand([-1, 8, -1, -1, -1]), m.slope)
        b = F.elu(m.down(a))
        return m.last(paddle.concat([m.up(m.deep(b) + b), a], axis=1))
    net = Net(run, a=nn.Conv3D(1, 8, 3, padding=1), bn1=nn.BatchNorm3D(8), down=nn.Conv3D(8, 12, 2, 2),
              deep=nn.Conv3D(12, 12, 3, padding=1), up=nn.Conv3DTranspose(12, 6, 2, 2), last=nn.Conv3D(14, 2, 1))
    net.slope = net.create_parameter([8], default_initializer=nn.initializer.Constant(0.2))
    return net, paddle.randn([1, 1, 8, 8, 8])


@network
def fcn_with_crop() -> Made:
    def run(m, x):
        h = F.max_pool2d(m.c1(x), 2, ceil_mode=True)
        g = F.max_pool2d(m.c2(h), 2, ceil_mode=True)
        up = m.up(m.score(g))
        skip = m.score1(h)
        skip = paddle.crop(skip, shape=up.shape, offsets=[0, 0, 0, 0])
        return m.final(up + skip)[:, :, 1:15, 1:15]
    return Net(run, c1=unit(3, 8), c2=unit(8, 12), score=nn.Conv2D(12, 6, 1), score1=nn.Conv2D(8, 6, 1),
               up=nn.Conv2DTranspose(6, 6, 2, 2), final=nn.Conv2DTranspose(6, 2, 2, 2)), image()


@network
def segnet_unpool() -> Made:
    def run(m, x):
        a = m.a(x)
        y, where = F.max_pool2d(a, 2, 2, return_mask=True)
        return m.last(m.c(F.max_unpool2d(m.b(y), where, 2, 2)))
    return Net(run, a=unit(3, 8), b=unit(8, 8), c=unit(8, 6), last=nn.Conv2D(6, 3, 1)), image()


@network
def pspnet() -> Made:
    def run(m, x):
        x = m.body(x)
        parts = [x]
        for size, stage in zip((1, 2, 4), m.stages, strict=False):
            parts.append(bigger(stage(F.adaptive_avg_pool2d(x, size)), x))
        return m.last(m.bottle(paddle.concat(parts, axis=1)))
    return Net(run, body=nn.Sequential(unit(3, 8), unit(8, 12)), stages=[unit(12, 4, 1) for _ in range(3)],
               bottle=unit(24, 10), last=nn.Conv2D(10, 4, 1)), image()


@network
def deeplab_v3_plus() -> Made:
    def run(m, x):
        low = m.low(x)
        y = m.deep(low)
        pooled = F.interpolate(m.pool(F.adaptive_avg_pool2d(y, 1)), y.shape[-2:], mode="bilinear")
        y = m.join(paddle.concat([*(branch(y) for branch in m.aspp), pooled], axis=1))
        y = bigger(y, low)
        return F.interpolate(m.last(paddle.concat([y, m.reduce(low)], 1)), x.shape[2:], mode="bilinear")
    return Net(run, low=unit(3, 8, stride=2), deep=unit(8, 16, stride=2),
               aspp=[unit(16, 8, 1), unit(16, 8, dilation=2), separable(16, 8)], pool=unit(16, 8, 1),
               join=unit(32, 12, 1), reduce=unit(8, 4, 1),
               last=nn.Sequential(separable(16, 10), nn.Conv2D(10, 4, 1))), image()


@network
def ocrnet() -> Made:
    def run(m, x):
        feats = m.body(x)
        soft = m.aux(feats)
        b, k = soft.shape[:2]
        probs = F.softmax(soft.reshape([b, k, -1]), axis=2)
        pixels = m.pixel(feats)
        proxy = paddle.bmm(probs, pixels.flatten(2).transpose([0, 2, 1])).transpose([0, 2, 1]).unsqueeze(-1)
        q = m.q(pixels).flatten(2).transpose([0, 2, 1])
        key, value = m.k(proxy).flatten(2), m.v(proxy).flatten(2).transpose([0, 2, 1])
        sim = F.softmax(paddle.bmm(q, key) * 0.35, axis=-1)
        context = paddle.bmm(sim, value).transpose([0, 2, 1]).reshape([b, -1, *pixels.shape[2:]])
        return [m.cls(m.out(paddle.concat([context, pixels], 1))), soft]
    return Net(run, body=unit(3, 12), aux=nn.Conv2D(12, 4, 1), pixel=unit(12, 10), q=unit(10, 8, 1),
               k=unit(10, 8, 1), v=unit(10, 8, 1), out=unit(18, 10, 1), cls=nn.Conv2D(10, 4, 1)), image(8)


def pyramid(*widths: int) -> list[nn.Layer]:
    return [unit(a, b, stride=2) for a, b in zip((3, *widths), widths, strict=False)]


def levels(m: nn.Layer, x: Tensor) -> list[Tensor]:
    found = []
    for stage in m.stages:
        x = stage(x)
        found.append(x)
    return found


@network
def feature_pyramid_retinanet() -> Made:
    def run(m, x):
        c = levels(m, x)
        p = [lateral(y) for lateral, y in zip(m.lateral, c, strict=False)]
        for n in range(len(p) - 1, 0, -1):
            p[n - 1] = p[n - 1] + F.interpolate(p[n], size=p[n - 1].shape[2:], mode="nearest")
        p = [smooth(y) for smooth, y in zip(m.smooth, p, strict=False)]
        p.append(m.p6(p[-1]))
        boxes, scores = [], []
        for y in p:
            b = m.box(y).transpose([0, 2, 3, 1])
            s = m.cls(y).transpose([0, 2, 3, 1])
            n, h, w, _ = s.shape
            boxes.append(b.reshape([n, -1, 4]))
            scores.append(s.reshape([n, h, w, 2, 3]).reshape([n, -1, 3]))
        return paddle.concat(boxes, 1), F.sigmoid(paddle.concat(scores, 1))
    tower = lambda out: nn.Sequential(unit(10, 10), unit(10, 10), nn.Conv2D(10, out, 3, padding=1))
    return Net(run, stages=pyramid(8, 12, 16), lateral=[nn.Conv2D(c, 10, 1) for c in (8, 12, 16)],
               smooth=[nn.Conv2D(10, 10, 3, padding=1) for _ in range(3)], p6=unit(10, 10, stride=2),
               box=tower(8), cls=tower(6)), image(32)


@network
def path_aggregation() -> Made:
    def run(m, x):
        c3, c4, c5 = levels(m, x)
        p5 = m.r5(c5)
        p4 = m.f4(paddle.concat([F.interpolate(p5, scale_factor=2), c4], 1))
        p3 = m.f3(paddle.concat([F.interpolate(m.r4(p4), scale_factor=2), c3], 1))
        n4 = m.g4(paddle.concat([m.d3(p3), p4], 1))
        n5 = m.g5(paddle.concat([m.d4(n4), p5], 1))
        return {"p3": m.o3(p3), "rest": (m.o4(n4), [m.o5(n5)])}
    return Net(run, stages=pyramid(8, 12, 16), r5=unit(16, 12, 1), f4=unit(24, 12), r4=unit(12, 8, 1),
               f3=unit(16, 8), d3=unit(8, 8, stride=2), g4=unit(20, 12), d4=unit(12, 12, stride=2),
               g5=unit(24, 16), o3=nn.Conv2D(8, 6, 1), o4=nn.Conv2D(12, 6, 1), o5=nn.Conv2D(16, 6, 1)), image(32)


@network
def weighted_pyramid() -> Made:
    class Fuse(nn.Layer):
        def __init__(self, inputs: int, width: int) -> None:
            super().__init__()
            self.weight = self.create_parameter([inputs], default_initializer=nn.initializer.Constant(1.0))
            self.conv = separable(width, width)

        def forward(self, parts: list[Tensor]) -> Tensor:
            w = F.relu(self.weight)
            w = w / (w.sum() + 1e-4)
            return self.conv(F.silu(sum(w[n] * part for n, part in enumerate(parts))))

    def run(m, x):
        a, b, c = (lat(y) for lat, y in zip(m.lateral, levels(m, x), strict=False))
        top = m.f1([b, F.interpolate(c, scale_factor=2)])
        out = m.f2([a, F.interpolate(top, scale_factor=2)])
        mid = m.f3([b, top, F.max_pool2d(out, 3, 2, 1)])
        return m.head(out), m.head(mid), m.head(m.f4([c, F.max_pool2d(mid, 3, 2, 1)]))
    return Net(run, stages=pyramid(8, 12, 16), lateral=[unit(c, 8, 1, None) for c in (8, 12, 16)],
               f1=Fuse(2, 8), f2=Fuse(2, 8), f3=Fuse(3, 8), f4=Fuse(2, 8), head=nn.Conv2D(8, 4, 1)), image(32)

"""Segmentation, detection, poses: pyramids, U-shapes and heads with several outputs."""

from __future__ import annotations

import paddle
from foreign.registry import F, Made, Net, Residual, image, network, unit
from foreign.mobile import Squeeze, depthwise, separable
from paddle import Tensor, nn

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


@network
def yolo_v3() -> Made:
    def run(m, x):
        a, b = levels(m, x)
        b = m.neck(paddle.concat([b] + [F.max_pool2d(b, k, 1, k // 2) for k in (5, 9)], 1))
        outs = []
        for y, out in ((b, m.o1), (m.f(paddle.concat([F.upsample(m.r(b), scale_factor=2), a], 1)), m.o2)):
            p = out(y)
            bs, _, ny, nx = p.shape
            p = p.view(bs, 3, 7, ny, nx).transpose([0, 1, 3, 4, 2])
            gy, gx = paddle.meshgrid(paddle.arange(ny), paddle.arange(nx))
            grid = paddle.stack([gx, gy], 2).view([1, 1, ny, nx, 2]).astype("float32")
            z = F.sigmoid(p)
            xy = (z[..., 0:2] * 2.0 - 0.5 + grid) * 8
            wh = (z[..., 2:4] * 2) ** 2 * paddle.to_tensor([10.0, 13.0])
            outs.append(paddle.concat([xy, wh, z[..., 4:]], -1).view(bs, -1, 7))
        return paddle.concat(outs, 1)
    return Net(run, stages=pyramid(8, 12), neck=unit(36, 12, 1, nn.LeakyReLU), r=unit(12, 6, 1), f=unit(14, 8),
               o1=nn.Conv2D(12, 21, 1), o2=nn.Conv2D(8, 21, 1)), image()


@network
def yolo_v5_focus() -> Made:
    def run(m, x):
        x = paddle.concat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
        x = m.stem(x)
        y1 = m.cv3(m.body(m.cv1(x)))
        y2 = m.cv2(x)
        return m.detect(m.cv4(F.silu(m.bn(paddle.concat((y1, y2), axis=1)))))
    return Net(run, stem=unit(12, 12, 3, nn.Silu), cv1=unit(12, 6, 1, nn.Silu), body=Residual(unit(6, 6)),
               cv3=nn.Conv2D(6, 6, 1, bias_attr=False), cv2=nn.Conv2D(12, 6, 1, bias_attr=False),
               bn=nn.BatchNorm2D(12), cv4=unit(12, 12, 1), detect=nn.Conv2D(12, 18, 1)), image()


@network
def yolo_v7_elan() -> Made:
    def run(m, x):
        x = m.stem(x)
        outs = [m.a(x), m.b(x)]
        for conv in m.convs:
            outs.append(conv(outs[-1]))
        y = m.join(paddle.concat(outs[::-1], 1))
        return m.last(paddle.concat([m.d2(m.d1(y)), m.p(F.max_pool2d(y, 2, 2))], 1))
    return Net(run, stem=unit(3, 8), a=unit(8, 6, 1), b=unit(8, 6, 1), convs=[unit(6, 6), unit(6, 6)],
               join=unit(24, 12, 1), d1=unit(12, 6, 1), d2=unit(6, 6, stride=2), p=unit(12, 6, 1),
               last=nn.Conv2D(12, 9, 1)), image()


@network
def yolo_v8_with_dfl() -> Made:
    class C2f(nn.Layer):
        def __init__(self, c1: int, c2: int, n: int = 2) -> None:
            super().__init__()
            self.c = c2 // 2
            self.cv1, self.cv2 = unit(c1, 2 * self.c, 1, nn.Silu), unit((2 + n) * self.c, c2, 1, nn.Silu)
            self.m = nn.LayerList([Residual(nn.Sequential(unit(self.c, self.c), unit(self.c, self.c))) for _ in range(n)])

        def forward(self, x: Tensor) -> Tensor:
            y = list(self.cv1(x).split([self.c, self.c], 1))
            y.extend(m(y[-1]) for m in self.m)
            return self.cv2(paddle.concat(y, 1))

    class DFL(nn.Layer):
        def __init__(self, c1: int = 8) -> None:
            super().__init__()
            self.conv, self.c1 = nn.Conv2D(c1, 1, 1, bias_attr=False), c1
            self.conv.weight.stop_gradient = True
            self.conv.weight.set_value(paddle.arange(c1, dtype="float32").reshape([1, c1, 1, 1]))

        def forward(self, x: Tensor) -> Tensor:
            b, _, a = x.shape
            y = F.softmax(x.reshape([b, 4, self.c1, a]).transpose([0, 2, 1, 3]), axis=1)
            return self.conv(y).reshape([b, 4, a])

    def run(m, x):
        outs = []
        for y, box, cls in zip(levels(m, x), m.box, m.cls, strict=True):
            y = m.c2f(y)
            outs.append(paddle.concat([box(y), cls(y)], 1).flatten(2))
        box, cls = paddle.concat(outs, 2).split([32, 3], 1)
        return paddle.concat([m.dfl(box), F.sigmoid(cls)], 1)
    head = lambda out: nn.Sequential(unit(8, 8), nn.Conv2D(8, out, 1))
    return Net(run, stages=[unit(3, 8, stride=2), unit(8, 8, stride=2)], c2f=C2f(8, 8), box=[head(32), head(32)],
               cls=[head(3), head(3)], dfl=DFL()), image()


@network
def yolox_decoupled() -> Made:
    def run(m, x):
        outputs = []
        for n, y in enumerate(levels(m, x)):
            y = m.stems[n](y)
            reg = m.reg[n](y)
            outputs.append(paddle.concat([m.box[n](reg), F.sigmoid(m.obj[n](reg)), F.sigmoid(m.cls[n](y))], 1))
        return paddle.concat([o.flatten(start_axis=2) for o in outputs], axis=2).transpose([0, 2, 1])
    return Net(run, stages=pyramid(8, 12), stems=[unit(8, 8, 1), unit(12, 8, 1)], reg=[unit(8, 8), depthwise(8)],
               box=[nn.Conv2D(8, 4, 1) for _ in range(2)], obj=[nn.Conv2D(8, 1, 1) for _ in range(2)],
               cls=[nn.Sequential(unit(8, 6), nn.Conv2D(6, 3, 1)) for _ in range(2)]), image()


@network
def centernet() -> Made:
    def run(m, x):
        y = m.up(m.body(x))
        heat = m.heat(y)
        peaks = (F.max_pool2d(heat, 3, 1, 1) == heat).astype("float32")
        return {"hm": F.sigmoid(heat) * peaks, "wh": m.wh(y), "reg": m.reg(y)}
    out = lambda n: nn.Sequential(nn.Conv2D(8, 10, 3, padding=1), nn.ReLU(), nn.Conv2D(10, n, 1))
    return Net(run, body=nn.Sequential(*pyramid(8, 12)), up=nn.Sequential(nn.Conv2DTranspose(12, 8, 4, 2, 1),
               nn.BatchNorm2D(8), nn.ReLU()), heat=out(3), wh=out(2), reg=out(2)), image()


@network
def fcos_scales() -> Made:
    class Scale(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.scale = self.create_parameter([1], default_initializer=nn.initializer.Constant(1.0))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    def run(m, x):
        cls, box, center = [], [], []
        for y, scale in zip(levels(m, x), m.scales, strict=False):
            t = m.tower(m.fit(y))
            cls.append(m.cls(t))
            box.append(paddle.exp(scale(m.box(t))))
            center.append(m.center(t))
        return cls, box, center
    return Net(run, stages=[unit(3, 8), unit(8, 8, stride=2)], fit=unit(8, 10, 1), scales=[Scale(), Scale()],
               tower=nn.Sequential(nn.Conv2D(10, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU()),
               cls=nn.Conv2D(12, 3, 1), box=nn.Conv2D(12, 4, 1), center=nn.Conv2D(12, 1, 1)), image()


@network
def ssd() -> Made:
    class L2Norm(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.weight = self.create_parameter([width], default_initializer=nn.initializer.Constant(20.0))

        def forward(self, x: Tensor) -> Tensor:
            norm = (x.pow(2).sum(axis=1, keepdim=True) + 1e-10).sqrt()
            return self.weight.unsqueeze(0).unsqueeze(2).unsqueeze(3).expand_as(x) * (x / norm)

    def run(m, x):
        sources = levels(m, x)
        sources[0] = m.norm(sources[0])
        loc = [loc(y).transpose([0, 2, 3, 1]).reshape([1, -1]) for loc, y in zip(m.loc, sources, strict=False)]
        conf = [c(y).transpose([0, 2, 3, 1]).flatten(1) for c, y in zip(m.conf, sources, strict=False)]
        return paddle.concat(loc, 1).reshape([1, -1, 4]), F.softmax(paddle.concat(conf, 1).reshape([1, -1, 3]))
    return Net(run, stages=pyramid(8, 12), norm=L2Norm(8), loc=[nn.Conv2D(8, 8, 3, padding=1), nn.Conv2D(12, 8, 3, padding=1)],
               conf=[nn.Conv2D(8, 6, 3, padding=1), nn.Conv2D(12, 6, 3, padding=1)]), image()


@network
def hourglass() -> Made:
    class Glass(nn.Layer):
        def __init__(self, depth: int, width: int) -> None:
            super().__init__()
            self.up1, self.low1, self.low3 = (Residual(unit(width, width)) for _ in range(3))
            self.low2 = Glass(depth - 1, width) if depth > 1 else Residual(unit(width, width))

        def forward(self, x: Tensor) -> Tensor:
            low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
            return self.up1(x) + F.interpolate(low, scale_factor=2, mode="nearest")

    def run(m, x):
        x = m.stem(x)
        heats = []
        for glass, out, back, merge in zip(m.glass, m.out, m.back, m.merge, strict=False):
            y = back(glass(x))
            heat = out(y)
            heats.append(heat)
            x = x + y + merge(heat)
        return paddle.stack(heats, axis=1)
    return Net(run, stem=unit(3, 8), glass=[Glass(2, 8), Glass(1, 8)], out=[nn.Conv2D(8, 3, 1) for _ in range(2)],
               back=[unit(8, 8, 1) for _ in range(2)], merge=[nn.Conv2D(3, 8, 1) for _ in range(2)]), image()


@network
def linknet_enet() -> Made:
    def run(m, x):
        x = paddle.concat([m.first(x), F.max_pool2d(x, 2)], 1)
        a = m.a(x)
        b = m.c(F.dropout2d(m.b(a), 0.1, training=m.training))
        return m.last(a + m.up(b))
    return Net(run, first=unit(3, 5, stride=2), a=unit(8, 12, act=nn.PReLU), b=unit(12, 16, stride=2),
               c=nn.Sequential(unit(16, 16, (5, 1), padding=(2, 0)), unit(16, 16, (1, 5), padding=(0, 2))),
               up=nn.Sequential(nn.Conv2DTranspose(16, 12, 3, 2, 1, output_padding=1), nn.BatchNorm2D(12)),
               last=nn.Conv2DTranspose(12, 2, 2, 2)), image()


@network
def bisenet() -> Made:
    def run(m, x):
        spatial, context = m.spatial(x), m.context(x)
        tail = F.adaptive_avg_pool2d(context, 1)
        context = m.refine(context) * F.sigmoid(m.att(m.refine(context).mean([2, 3], keepdim=True)))
        context = bigger(context + m.tail(tail), spatial)
        fused = m.fuse(paddle.concat([spatial, context], 1))
        return m.last(fused + fused * F.sigmoid(m.up(F.relu(m.down(F.adaptive_avg_pool2d(fused, 1))))))
    return Net(run, spatial=nn.Sequential(*pyramid(6, 8)), context=nn.Sequential(*pyramid(6, 8, 12)),
               refine=unit(12, 10), att=unit(10, 10, 1, None), tail=unit(12, 10, 1), fuse=unit(18, 12, 1),
               down=nn.Conv2D(12, 4, 1), up=nn.Conv2D(4, 12, 1), last=nn.Conv2D(12, 3, 1)), image()


@network
def differentiable_binarisation() -> Made:
    def run(m, x):
        a, b, c = (i(y) for i, y in zip(m.into, levels(m, x), strict=False))
        b = b + F.upsample(c, scale_factor=2, mode="nearest")
        a = a + F.upsample(b, scale_factor=2, mode="nearest")
        y = paddle.concat([F.upsample(m.p[2](c), scale_factor=4), F.upsample(m.p[1](b), scale_factor=2), m.p[0](a)], 1)
        shrink, threshold = m.shrink(y), m.threshold(y)
        binary = paddle.reciprocal(1 + paddle.exp(-50 * (shrink - threshold)))
        return {"maps": paddle.concat([shrink, threshold, binary], axis=1)}
    def part():
        return nn.Sequential(unit(12, 4), nn.Conv2DTranspose(4, 4, 2, 2), nn.BatchNorm2D(4), nn.ReLU(),
                             nn.Conv2DTranspose(4, 1, 2, 2), nn.Sigmoid())
    return Net(run, stages=pyramid(8, 12, 16), into=[nn.Conv2D(c, 12, 1) for c in (8, 12, 16)],
               p=[nn.Conv2D(12, 4, 3, padding=1) for _ in range(3)], shrink=part(), threshold=part()), image(32)


@network
def squeeze_seg_row_pool() -> Made:
    def run(m, x):
        y = m.body(x)
        rows = F.adaptive_avg_pool2d(y, [1, None]).expand_as(y)
        columns = paddle.broadcast_to(F.adaptive_avg_pool2d(y, [None, 1]), y.shape)
        return m.last(y * F.sigmoid(m.gate(F.relu(m.r(rows) + m.c(columns)))))
    return Net(run, body=nn.Sequential(unit(3, 12), Squeeze(12)), r=unit(12, 6, (1, 3), padding=(0, 1)),
               c=unit(12, 6, (3, 1), padding=(1, 0)), gate=nn.Conv2D(6, 12, 1), last=nn.Conv2D(12, 2, 1)), image()


@network
def mask_rcnn_like() -> Made:
    def run(m, x, boxes):
        y = m.body(x)
        number = paddle.full([1], 2, "int32")
        crops = paddle.vision.ops.roi_align(y, boxes, number, 4)
        flat = m.fc(crops.flatten(1))
        return m.cls(flat), m.box(flat), m.mask(crops)
    boxes = paddle.to_tensor([[0.0, 0.0, 8.0, 8.0], [2.0, 2.0, 12.0, 14.0]])
    return Net(run, body=nn.Sequential(unit(3, 8), unit(8, 12)), fc=nn.Sequential(nn.Linear(192, 20), nn.ReLU()),
               cls=nn.Linear(20, 3), box=nn.Linear(20, 8),
               mask=nn.Sequential(unit(12, 8), nn.Conv2DTranspose(8, 3, 2, 2))), [image(), boxes]

"""Detectors and poses: several heads at several scales."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.dense import bigger, levels, pyramid
from foreign.mobile import Squeeze, depthwise
from foreign.registry import (
    F,
    Made,
    Net,
    Residual,
    image,
    network,
    unit,
)

# fmt: off


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

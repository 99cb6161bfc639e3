"""Segmentation and detection spelled as in Paddle's own collections."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.paddle_style import ConvBNLayer
from foreign.registry import F, Made, Net, image, network

# fmt: off


@network
def pp_lite_seg() -> Made:
    class UAFM(nn.Layer):
        """Fuses two levels by the means and maxima over their channels."""

        def __init__(self, x_ch: int, y_ch: int, out_ch: int) -> None:
            super().__init__()
            self.conv_x, self.conv_out = ConvBNLayer(x_ch, y_ch), ConvBNLayer(y_ch, out_ch)
            self.conv_xy_atten = nn.Sequential(ConvBNLayer(4, 2), nn.Conv2D(2, 1, 3, padding=1, bias_attr=False), nn.BatchNorm2D(1))

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            x = self.conv_x(x)
            y_up = F.interpolate(y, paddle.shape(x)[2:], mode="bilinear")
            res = [t for z in (x, y_up) for t in (paddle.mean(z, axis=1, keepdim=True), paddle.max(z, axis=1, keepdim=True))]
            atten = F.sigmoid(self.conv_xy_atten(paddle.concat(res, axis=1)))
            return self.conv_out(x * atten + y_up * (1 - atten))

    class SPPM(nn.Layer):
        def __init__(self, into: int, inter: int, out: int) -> None:
            super().__init__()
            self.stages = nn.LayerList([nn.Sequential(nn.AdaptiveAvgPool2D(size), ConvBNLayer(into, inter, 1)) for size in (1, 2)])
            self.conv_out = ConvBNLayer(inter, out)

        def forward(self, x: Tensor) -> Tensor:
            out, shape = None, paddle.shape(x)[2:]
            for stage in self.stages:
                y = F.interpolate(stage(x), shape, mode="bilinear", align_corners=False)
                out = y if out is None else out + y
            return self.conv_out(out)

    def run(m, x):
        x_hw = paddle.shape(x)[2:]
        a = m.a(x)
        b = m.b(a)
        y = m.arm(a, m.ppm(b))
        return [F.interpolate(m.head(y), x_hw, mode="bilinear", align_corners=False)]
    return Net(run, a=ConvBNLayer(3, 8, 3, 2), b=ConvBNLayer(8, 12, 3, 2), ppm=SPPM(12, 10, 14), arm=UAFM(8, 14, 9), head=nn.Conv2D(9, 4, 1)), image()


@network
def bisenet_v2() -> Made:
    class GatherAndExpansion2(nn.Layer):
        def __init__(self, into: int, out: int, expand: int) -> None:
            super().__init__()
            self.branch_1 = nn.Sequential(ConvBNLayer(into, into, 3, 2, into, None), ConvBNLayer(into, out, 1, act=None))
            self.branch_2 = nn.Sequential(ConvBNLayer(into, into), ConvBNLayer(into, expand * into, 3, 2, into, None), ConvBNLayer(expand * into, expand * into, 3, 1, expand * into, None),
                                          ConvBNLayer(expand * into, out, 1, act=None))

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.branch_1(x) + self.branch_2(x))

    class ContextEmbedding(nn.Layer):
        def __init__(self, into: int) -> None:
            super().__init__()
            self.gap, self.bn, self.conv_1x1, self.add, self.conv_3x3 = nn.AdaptiveAvgPool2D(1), nn.BatchNorm2D(into), ConvBNLayer(into, into, 1), None, nn.Conv2D(into, into, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv_3x3(self.conv_1x1(self.bn(self.gap(x))) + x)

    class Aggregation(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            one = lambda: nn.Sequential(ConvBNLayer(width, width, 3, 1, width, None), nn.Conv2D(width, width, 1))
            self.db_keep, self.sb_keep = one(), nn.Sequential(one(), nn.Sigmoid())
            self.db_down = nn.Sequential(ConvBNLayer(width, width, 3, 2, act=None), nn.AvgPool2D(3, 2, 1))
            self.sb_up, self.conv = ConvBNLayer(width, width, act=None), ConvBNLayer(width, width)

        def forward(self, dfm: Tensor, sfm: Tensor) -> Tensor:
            db_out = self.db_keep(dfm) * F.sigmoid(F.interpolate(self.sb_up(sfm), paddle.shape(dfm)[2:], mode="bilinear"))
            sb_out = self.db_down(dfm) * self.sb_keep(sfm)
            return self.conv(db_out + F.interpolate(sb_out, paddle.shape(db_out)[2:], mode="bilinear"))

    def run(m, x):
        return m.head(m.bga(m.detail(x), m.semantic(x)))
    semantic = nn.Sequential(ConvBNLayer(3, 6, 3, 2), GatherAndExpansion2(6, 8, 2), GatherAndExpansion2(8, 12, 2), ContextEmbedding(12))
    return Net(run, detail=nn.Sequential(ConvBNLayer(3, 8, 3, 2), ConvBNLayer(8, 12)), semantic=semantic, bga=Aggregation(12), head=nn.Conv2D(12, 3, 1)), image(32)


@network
def dual_resolution() -> Made:
    class DAPPM(nn.Layer):
        def __init__(self, into: int, inter: int, out: int) -> None:
            super().__init__()
            scale = lambda *pool: nn.Sequential(pool[0], nn.BatchNorm2D(into), nn.ReLU(), nn.Conv2D(into, inter, 1, bias_attr=False))
            self.scales = nn.LayerList([scale(nn.AvgPool2D(3, 2, 1)), scale(nn.AvgPool2D(5, 4, 2)), scale(nn.AdaptiveAvgPool2D((1, 1)))])
            self.scale_0 = nn.Sequential(nn.BatchNorm2D(into), nn.ReLU(), nn.Conv2D(into, inter, 1))
            self.process = nn.LayerList([nn.Sequential(nn.BatchNorm2D(inter), nn.ReLU(), nn.Conv2D(inter, inter, 3, padding=1)) for _ in range(3)])
            self.compression, self.shortcut = nn.Conv2D(inter * 4, out, 1), nn.Conv2D(into, out, 1)

        def forward(self, inputs: Tensor) -> Tensor:
            shape = paddle.shape(inputs)[2:]
            f = [self.scale_0(inputs)]
            for i, (scale, process) in enumerate(zip(self.scales, self.process, strict=False)):
                f.append(process(F.interpolate(scale(inputs), size=shape, mode="bilinear") + f[i]))
            return self.compression(paddle.concat(f, axis=1)) + self.shortcut(inputs)

    def run(m, x):
        x = m.stem(x)
        high, low = m.high(x), m.low(x)
        low = low + m.down(F.relu(high))
        high = high + F.interpolate(m.compression(F.relu(low)), size=paddle.shape(high)[2:], mode="bilinear")
        y = F.interpolate(m.spp(m.layer5(F.relu(low))), paddle.shape(high)[2:], mode="bilinear")
        return m.head(y + m.layer5_(F.relu(high)))
    return Net(run, stem=ConvBNLayer(3, 8, 3, 2), high=ConvBNLayer(8, 8, act=None), low=ConvBNLayer(8, 16, 3, 2, act=None), down=ConvBNLayer(8, 16, 3, 2, act=None),
               compression=ConvBNLayer(16, 8, 1, act=None), layer5=ConvBNLayer(16, 20, 3, 2), layer5_=ConvBNLayer(8, 12), spp=DAPPM(20, 6, 12), head=nn.Conv2D(12, 4, 1)), image(32)


@network
def dual_attention_danet() -> Made:
    class PAM(nn.Layer):
        def __init__(self, into: int) -> None:
            super().__init__()
            self.mid_channels, self.in_channels = into // 4, into
            self.query_conv, self.key_conv, self.value_conv = nn.Conv2D(into, into // 4, 1), nn.Conv2D(into, into // 4, 1), nn.Conv2D(into, into, 1)
            self.gamma = self.create_parameter(shape=[1], dtype="float32", default_initializer=nn.initializer.Constant(0.5))

        def forward(self, x: Tensor) -> Tensor:
            x_shape = paddle.shape(x)
            query = paddle.transpose(paddle.reshape(self.query_conv(x), (0, self.mid_channels, -1)), (0, 2, 1))
            key = paddle.reshape(self.key_conv(x), (0, self.mid_channels, -1))
            sim = F.softmax(paddle.bmm(query, key), axis=-1)
            value = paddle.reshape(self.value_conv(x), (0, self.in_channels, -1))
            feat = paddle.reshape(paddle.bmm(value, paddle.transpose(sim, (0, 2, 1))), (0, self.in_channels, x_shape[2], x_shape[3]))
            return self.gamma * feat + x

    class CAM(nn.Layer):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.channels = channels
            self.gamma = self.create_parameter(shape=[1], dtype="float32", default_initializer=nn.initializer.Constant(0.5))

        def forward(self, x: Tensor) -> Tensor:
            x_shape = paddle.shape(x)
            query = paddle.reshape(x, (0, self.channels, -1))
            key = paddle.transpose(paddle.reshape(x, (0, self.channels, -1)), (0, 2, 1))
            sim = paddle.bmm(query, key)
            sim = paddle.max(sim, axis=-1, keepdim=True).tile([1, 1, self.channels]) - sim
            feat = paddle.bmm(F.softmax(sim, axis=-1), paddle.reshape(x, (0, self.channels, -1)))
            return self.gamma * paddle.reshape(feat, (0, self.channels, x_shape[2], x_shape[3])) + x

    def run(m, x):
        x = m.body(x)
        p, c = m.out1(m.pam(m.in1(x))), m.out2(m.cam(m.in2(x)))
        return [m.cls(p + c), m.cls(p), m.aux(c)]
    return Net(run, body=nn.Sequential(ConvBNLayer(3, 8, 3, 2), ConvBNLayer(8, 16)), in1=ConvBNLayer(16, 8), in2=ConvBNLayer(16, 8), pam=PAM(8), cam=CAM(8), out1=ConvBNLayer(8, 10),
               out2=ConvBNLayer(8, 10), cls=nn.Conv2D(10, 4, 1), aux=nn.Conv2D(10, 4, 1)), image()


@network
def expectation_maximisation() -> Made:
    def run(m, x):
        x = m.body(x)
        identity = x
        x = m.conv_in(x)
        b, c, h, w = x.shape
        x = paddle.reshape(x, [b, c, h * w])
        mu = paddle.tile(m.mu, [b, 1, 1])
        for _ in range(3):
            z = F.softmax(paddle.bmm(paddle.transpose(x, [0, 2, 1]), mu), axis=2)
            z_ = F.normalize(z, axis=1, p=1)
            mu = F.normalize(paddle.bmm(x, z_), axis=1, p=2)
        x = F.relu(paddle.reshape(paddle.bmm(mu, paddle.transpose(z, [0, 2, 1])), [0, -1, h, w]))
        return m.cls(F.relu(m.conv_out(x) + identity))
    net = Net(run, body=nn.Sequential(ConvBNLayer(3, 8, 3, 2), ConvBNLayer(8, 12)), conv_in=nn.Conv2D(12, 10, 1), conv_out=ConvBNLayer(10, 12, 1, act=None), cls=nn.Conv2D(12, 4, 1))
    net.mu = net.create_parameter([1, 10, 5])
    return net, image()


@network
def flow_aligned() -> Made:
    def run(m, x):
        low = m.low(x)
        high = m.up(m.high(low))
        n, _, out_h, out_w = low.shape
        big = F.interpolate(high, size=[out_h, out_w], mode="bilinear", align_corners=True)
        flow = m.flow(paddle.concat([m.fine(low), big], axis=1))
        rows, columns = paddle.meshgrid(paddle.linspace(-1.0, 1.0, out_h), paddle.linspace(-1.0, 1.0, out_w))
        grid = paddle.stack([columns, rows], axis=2).unsqueeze(0).tile([n, 1, 1, 1])
        grid = grid + flow.transpose([0, 2, 3, 1]) / paddle.to_tensor([[[[out_w, out_h]]]], dtype="float32")
        return m.cls(F.grid_sample(high, grid, align_corners=True) + m.fine(low))
    return Net(run, low=ConvBNLayer(3, 8, 3, 2), high=ConvBNLayer(8, 14, 3, 2), up=nn.Conv2D(14, 10, 1), fine=nn.Conv2D(8, 10, 1), flow=nn.Conv2D(20, 2, 3, padding=1, bias_attr=False),
               cls=nn.Conv2D(10, 3, 1)), image()


@network
def u_square_net() -> Made:
    class RSU(nn.Layer):
        def __init__(self, into: int, mid: int, out: int) -> None:
            super().__init__()
            self.conv_in, self.conv1, self.conv2, self.conv3 = ConvBNLayer(into, out), ConvBNLayer(out, mid), ConvBNLayer(mid, mid), ConvBNLayer(mid, mid, dilation=2)
            self.conv2d, self.conv1d = ConvBNLayer(mid * 2, mid), ConvBNLayer(mid * 2, out)
            self.pool = nn.MaxPool2D(2, stride=2, ceil_mode=True)

        def forward(self, x: Tensor) -> Tensor:
            hxin = self.conv_in(x)
            hx1 = self.conv1(hxin)
            hx2 = self.conv2(self.pool(hx1))
            hx2d = self.conv2d(paddle.concat((self.conv3(hx2), hx2), 1))
            return self.conv1d(paddle.concat((F.interpolate(hx2d, paddle.shape(hx1)[2:], mode="bilinear"), hx1), 1)) + hxin

    def run(m, x):
        a = m.s1(x)
        b = m.s2(F.max_pool2d(a, 2))
        d1 = m.side1(m.s1d(paddle.concat([F.interpolate(b, paddle.shape(a)[2:], mode="bilinear"), a], 1)))
        d2 = F.interpolate(m.side2(b), paddle.shape(d1)[2:], mode="bilinear")
        return F.sigmoid(m.outconv(paddle.concat([d1, d2], 1))), F.sigmoid(d1), F.sigmoid(d2)
    return Net(run, s1=RSU(3, 6, 8), s2=RSU(8, 6, 12), s1d=RSU(20, 5, 10), side1=nn.Conv2D(10, 2, 3, padding=1), side2=nn.Conv2D(12, 2, 3, padding=1), outconv=nn.Conv2D(4, 2, 1)), image(14)


@network
def disentangled_non_local() -> Made:
    def run(m, x):
        x = m.body(x)
        x_shape = paddle.shape(x)
        g_x = m.g(x).reshape([0, m.inter, -1]).transpose([0, 2, 1])
        theta_x = m.theta(x).reshape([0, m.inter, -1]).transpose([0, 2, 1])
        phi_x = m.phi(x).reshape([0, m.inter, -1])
        theta_x = theta_x - paddle.mean(theta_x, axis=-2, keepdim=True)
        phi_x = phi_x - paddle.mean(phi_x, axis=-1, keepdim=True)
        weight = F.softmax(paddle.matmul(theta_x, phi_x) / m.temperature, axis=-1)
        mask = F.softmax(m.conv_mask(x).reshape([0, 1, -1]), axis=-1)
        unary = paddle.matmul(mask, g_x).reshape([0, m.inter, 1, 1])
        y = paddle.matmul(weight, g_x).transpose([0, 2, 1]).reshape([0, m.inter, x_shape[2], x_shape[3]])
        return m.cls(x + m.out(y + unary))
    net = Net(run, body=nn.Sequential(ConvBNLayer(3, 8, 3, 2), ConvBNLayer(8, 12)), g=nn.Conv2D(12, 6, 1), theta=nn.Conv2D(12, 6, 1), phi=nn.Conv2D(12, 6, 1), out=nn.Conv2D(6, 12, 1),
              conv_mask=nn.Conv2D(12, 1, 1), cls=nn.Conv2D(12, 4, 1))
    net.inter, net.temperature = 6, 0.05
    return net, image()


@network
def picodet() -> Made:
    class DPModule(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.dwconv, self.bn1 = nn.Conv2D(into, out, 5, 1, 2, groups=out, bias_attr=False), nn.BatchNorm2D(out)
            self.pwconv, self.bn2 = nn.Conv2D(out, out, 1, groups=1, bias_attr=False), nn.BatchNorm2D(out)
            self.act_func = "leaky_relu"

        def act(self, x: Tensor) -> Tensor:
            return F.leaky_relu(x) if self.act_func == "leaky_relu" else F.hardswish(x)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.bn2(self.pwconv(self.act(self.bn1(self.dwconv(x))))))

    def run(m, x):
        feats = []
        for stage in m.stages:
            x = stage(x)
            feats.append(x)
        inner = [conv(f) for conv, f in zip(m.in_convs, feats, strict=False)]
        up = m.top_down(paddle.concat([F.interpolate(inner[1], size=paddle.shape(inner[0])[2:], mode="nearest"), inner[0]], 1))
        down = m.bottom_up(paddle.concat([m.downsample(up), inner[1]], 1))
        cls_logits_list, bboxes_reg_list = [], []
        for i, fpn_feat in enumerate([up, down]):
            feat = m.shared[i](fpn_feat)
            _, _, h, w = fpn_feat.shape
            places = h * w
            cls_score, bbox_pred = paddle.split(m.gfl_head[i](feat), [4, 8], axis=1)
            bbox_pred = F.softmax(bbox_pred.transpose([0, 2, 3, 1]).reshape([-1, 4, 2]), axis=-1).matmul(m.project)
            cls_logits_list.append(F.sigmoid(cls_score).reshape([-1, 4, places]))
            bboxes_reg_list.append(bbox_pred.reshape([-1, places, 4]))
        return paddle.concat(cls_logits_list, axis=-1), paddle.concat(bboxes_reg_list, axis=1)
    net = Net(run, stages=[ConvBNLayer(3, 8, 3, 2, act="hardswish"), ConvBNLayer(8, 16, 3, 2, act="hardswish")], in_convs=[ConvBNLayer(8, 12, 1), ConvBNLayer(16, 12, 1)],
              top_down=nn.Sequential(ConvBNLayer(24, 12, 1), DPModule(12, 12)), downsample=nn.Sequential(ConvBNLayer(12, 12, 5, 2, 12), ConvBNLayer(12, 12, 1)),
              bottom_up=nn.Sequential(ConvBNLayer(24, 12, 1), DPModule(12, 12)), shared=[DPModule(12, 12), DPModule(12, 12)], gfl_head=[nn.Conv2D(12, 12, 1), nn.Conv2D(12, 12, 1)])
    net.register_buffer("project", paddle.linspace(0, 1, 2))
    return net, image()


@network
def dynamic_masks_solo() -> Made:
    def run(m, x):
        feat = m.body(x)
        rows = paddle.linspace(-1, 1, paddle.shape(feat)[-2], dtype="float32")
        columns = paddle.linspace(-1, 1, paddle.shape(feat)[-1], dtype="float32")
        y, x_ = paddle.meshgrid(rows, columns)
        b = feat.shape[0]
        coord = paddle.concat([x_.unsqueeze([0, 1]).expand([b, 1, -1, -1]), y.unsqueeze([0, 1]).expand([b, 1, -1, -1])], axis=1)
        ins = paddle.concat([F.interpolate(feat, size=[4, 4], mode="bilinear"), F.interpolate(coord, size=[4, 4])], axis=1)
        kernel_pred = m.kernel(ins).transpose([0, 2, 3, 1]).reshape([-1, m.kernel_dim]).unsqueeze([2, 3])
        seg = m.mask(feat)
        return F.sigmoid(F.conv2d(seg, kernel_pred)), m.cate(feat)
    net = Net(run, body=nn.Sequential(ConvBNLayer(3, 8, 3, 2), ConvBNLayer(8, 12)), kernel=nn.Sequential(ConvBNLayer(14, 10), nn.Conv2D(10, 6, 1)), mask=nn.Sequential(ConvBNLayer(12, 9), nn.Conv2D(9, 6, 1)),
              cate=nn.Sequential(ConvBNLayer(12, 8), nn.Conv2D(8, 3, 1)))
    net.kernel_dim = 6
    return net, image()


@network
def deformable_centers() -> Made:
    from paddle.vision.ops import DeformConv2D

    class DCN(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.conv_offset, self.conv_dcn = nn.Conv2D(into, 27, 3, padding=1), DeformConv2D(into, out, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            offset, mask = paddle.split(self.conv_offset(x), num_or_sections=[18, 9], axis=1)
            return self.conv_dcn(x, offset, mask=F.sigmoid(mask))

    def run(m, x):
        y = F.relu(m.bn(m.dcn(m.body(x))))
        y = F.relu(m.up(y))
        return {"heatmap": F.sigmoid(m.heat(y)), "size": m.size(y)}
    head = lambda out: nn.Sequential(nn.Conv2D(9, 8, 3, padding=1), nn.ReLU(), nn.Conv2D(8, out, 1))
    return Net(run, body=nn.Sequential(ConvBNLayer(3, 8, 3, 2), ConvBNLayer(8, 12, 3, 2)), dcn=DCN(12, 10), bn=nn.BatchNorm2D(10), up=nn.Conv2DTranspose(10, 9, 4, 2, 1), heat=head(3), size=head(2)), image()


@network
def correlation_tracker() -> Made:
    """The features of one image are the filters for another."""
    def run(m, z, x):
        z, x = m.adjust_z(m.body(z)), m.adjust_x(m.body(x))
        b, c = z.shape[:2]
        kernel = z.reshape([b * c, 1, z.shape[2], z.shape[3]])
        out = F.conv2d(x.reshape([1, b * c, x.shape[2], x.shape[3]]), kernel, groups=b * c)
        out = out.reshape([b, c, out.shape[2], out.shape[3]])
        return m.cls(out), m.loc(out)
    return Net(run, body=nn.Sequential(ConvBNLayer(3, 8, 3, 2), ConvBNLayer(8, 10)), adjust_z=nn.Conv2D(10, 8, 1), adjust_x=nn.Conv2D(10, 8, 1), cls=nn.Conv2D(8, 2, 1), loc=nn.Conv2D(8, 4, 1)), [
        image(8), image()]

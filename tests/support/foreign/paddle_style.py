"""Classifiers spelled as in Paddle's own collections: named parameters, sizes from `paddle.shape`."""

from __future__ import annotations

import math
from typing import Any

import paddle
from paddle import ParamAttr, Tensor, nn
from paddle.nn.initializer import KaimingNormal, Uniform
from paddle.regularizer import L2Decay

from foreign.registry import F, Made, image, network

# fmt: off


class ConvBNLayer(nn.Layer):
    """Convolution and BatchNorm under names, the activation by its name."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, groups: int = 1, act: str | None = "relu", **more: Any) -> None:
        super().__init__()
        dilation, data_format = more.get("dilation", 1), more.get("data_format", "NCHW")
        weights = ParamAttr(initializer=KaimingNormal(), learning_rate=0.5)
        self._conv = nn.Conv2D(in_channels, out_channels, kernel_size, stride, (kernel_size - 1) // 2 * dilation, dilation, groups, weight_attr=weights,
                               bias_attr=False, data_format=data_format)
        self._batch_norm = nn.BatchNorm(out_channels, act=act if act != "hardswish" else None, param_attr=ParamAttr(regularizer=L2Decay(0.0)),
                                        bias_attr=ParamAttr(regularizer=L2Decay(0.0)), data_layout=data_format)
        self.act = act

    def forward(self, inputs: Tensor) -> Tensor:
        y = self._batch_norm(self._conv(inputs))
        if self.act == "hardswish":
            y = F.hardswish(y)
        return y


def fully_connected(width: int, classes: int = 5) -> nn.Linear:
    bound = 1.0 / math.sqrt(width * 1.0)
    return nn.Linear(width, classes, weight_attr=ParamAttr(initializer=Uniform(-bound, bound)))


class SELayer(nn.Layer):
    def __init__(self, num_channels: int, reduction_ratio: int = 4) -> None:
        super().__init__()
        self.pool2d_gap = nn.AdaptiveAvgPool2D(1)
        self._num_channels = num_channels
        self.squeeze = nn.Linear(num_channels, num_channels // reduction_ratio)
        self.excitation = nn.Linear(num_channels // reduction_ratio, num_channels)

    def forward(self, x: Tensor) -> Tensor:
        pool = paddle.squeeze(self.pool2d_gap(x), axis=[2, 3])
        excitation = F.sigmoid(self.excitation(F.relu(self.squeeze(pool))))
        return x * paddle.unsqueeze(excitation, axis=[2, 3])


class BottleneckVd(nn.Layer):
    """ResNet-vd: the shortcut is averaged before its convolution; any data format."""

    def __init__(self, into: int, width: int, stride: int, shortcut: bool, first: bool, data_format: str) -> None:
        super().__init__()
        more: dict[str, Any] = {"data_format": data_format}
        self.conv0, self.conv1 = ConvBNLayer(into, width, 1, **more), ConvBNLayer(width, width, 3, stride, **more)
        self.conv2 = ConvBNLayer(width, width * 4, 1, act=None, **more)
        self.shortcut, self.is_vd = shortcut, not first
        if not shortcut:
            self.pool = nn.AvgPool2D(2, stride, ceil_mode=True, data_format=data_format)
            self.short = ConvBNLayer(into, width * 4, 1, act=None, **more)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        y = self.conv2(self.conv1(self.conv0(x)))
        if self.shortcut:
            short = identity
        elif self.is_vd:
            short = self.short(self.pool(identity))
        else:
            short = self.short(identity)
        return self.relu(paddle.add(x=y, y=short))


class ResNetVd(nn.Layer):
    def __init__(self, data_format: str = "NCHW") -> None:
        super().__init__()
        self.data_format = data_format
        self.stem = nn.Sequential(*[ConvBNLayer(*args, data_format=data_format) for args in ((3, 6, 3, 2), (6, 6, 3), (6, 12, 3))])
        self.max_pool = nn.MaxPool2D(kernel_size=3, stride=2, padding=1, data_format=data_format)
        self.block_list = []
        into = 12
        for block, width in enumerate([8, 10]):
            shortcut = False
            for i in range(2):
                made = self.add_sublayer(f"bb_{block}_{i}", BottleneckVd(into, width, 2 if i == 0 and block != 0 else 1, shortcut, block == i == 0, data_format))
                self.block_list.append(made)
                into, shortcut = width * 4, True
        self.avg_pool = nn.AdaptiveAvgPool2D(1, data_format=data_format)
        self.flatten, self.fc = nn.Flatten(), fully_connected(into)

    def forward(self, x: Tensor) -> Tensor:
        if self.data_format == "NHWC":
            x = paddle.transpose(x, [0, 2, 3, 1])
            x.stop_gradient = True
        x = self.max_pool(self.stem(x))
        for block in self.block_list:
            x = block(x)
        return self.fc(self.flatten(self.avg_pool(x)))


@network
def resnet_vd() -> Made:
    return ResNetVd(), image(32)


@network
def resnet_vd_channels_last() -> Made:
    return ResNetVd("NHWC"), image(32)


@network
def res2net_vd() -> Made:
    class Bottle2neck(nn.Layer):
        def __init__(self, into: int, width: int, scales: int) -> None:
            super().__init__()
            self.scales = scales
            self.conv0 = ConvBNLayer(into, width * scales, 1)
            self.conv1_list = [self.add_sublayer(f"branch2b_{s + 1}", ConvBNLayer(width, width)) for s in range(scales - 1)]
            self.conv2 = ConvBNLayer(width * scales, into, 1, act=None)

        def forward(self, inputs: Tensor) -> Tensor:
            xs = paddle.split(self.conv0(inputs), self.scales, 1)
            ys = []
            for s, conv1 in enumerate(self.conv1_list):
                ys.append(conv1(xs[s]) if s == 0 else conv1(paddle.add(xs[s], ys[-1])))
            ys.append(xs[-1])
            return F.relu(paddle.add(inputs, self.conv2(paddle.concat(ys, axis=1))))
    return nn.Sequential(ConvBNLayer(3, 16), Bottle2neck(16, 4, 4), Bottle2neck(16, 6, 3), nn.AdaptiveAvgPool2D(1), nn.Flatten(), fully_connected(16)), image()


class FuseLayers(nn.Layer):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self._actual_ch, self.residual_func_list = len(widths), []
        for i, out in enumerate(widths):
            for j, into in enumerate(widths):
                if j > i:
                    made = self.add_sublayer(f"residual_{i}_{j}", ConvBNLayer(into, out, 1, act=None))
                    self.residual_func_list.append(made)
                elif j < i:
                    chain = []
                    for k in range(i - j):
                        last = k == i - j - 1
                        chain.append(self.add_sublayer(f"residual_{i}_{j}_{k}", ConvBNLayer(into, out if last else into, 3, 2, act=None if last else "relu")))
                    self.residual_func_list += chain

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        outs, idx = [], 0
        for i in range(len(inputs)):
            residual = inputs[i]
            for j in range(len(inputs)):
                if j > i:
                    y = self.residual_func_list[idx](inputs[j])
                    idx += 1
                    residual = paddle.add(x=residual, y=F.upsample(y, scale_factor=2 ** (j - i), mode="nearest"))
                elif j < i:
                    y = inputs[j]
                    for _ in range(i - j):
                        y = self.residual_func_list[idx](y)
                        idx += 1
                    residual = paddle.add(x=residual, y=y)
            outs.append(F.relu(residual))
        return outs


class HRNet(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        widths = [8, 12, 16]
        self.stem = ConvBNLayer(3, 8)
        self.transitions = nn.LayerList([ConvBNLayer(8, 8), ConvBNLayer(8, 12, 3, 2), nn.Sequential(ConvBNLayer(8, 10, 3, 2), ConvBNLayer(10, 16, 3, 2))])
        self.branches = nn.LayerList([nn.Sequential(ConvBNLayer(w, w), SELayer(w)) for w in widths])
        self.fuse = nn.LayerList([FuseLayers(widths), FuseLayers(widths)])
        self.last = nn.LayerList([ConvBNLayer(w, 4, 1) for w in widths])
        self.fc = fully_connected(12)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        xs = [layer(x) for layer in self.transitions]
        for fuse in self.fuse:
            xs = fuse([branch(y) for branch, y in zip(self.branches, xs, strict=False)])
        return self.fc(paddle.concat([F.adaptive_avg_pool2d(m(y), 1) for m, y in zip(self.last, xs, strict=False)], axis=1).flatten(1))


@network
def hrnet_fused() -> Made:
    return HRNet(), image()


@network
def dual_paths() -> Made:
    class DualPath(nn.Layer):
        def __init__(self, into: int, a: int, b: int, inc: int, groups: int, kind: str) -> None:
            super().__init__()
            self.num_1x1_c, self.inc, self.has_proj = b, inc, kind != "normal"
            stride = 2 if kind == "down" else 1
            if self.has_proj:
                self.c1x1_w = ConvBNLayer(into, b + 2 * inc, 1, stride)
            self.c1x1_a, self.c3x3_b = ConvBNLayer(into, a, 1), ConvBNLayer(a, a, 3, stride, groups)
            self.c1x1_c = ConvBNLayer(a, b + inc, 1)

        def forward(self, inputs: Any) -> list[Tensor]:
            if isinstance(inputs, list):
                data_in = paddle.concat([inputs[0], inputs[1]], axis=1)
            else:
                data_in = inputs
            if self.has_proj:
                data_o1, data_o2 = paddle.split(self.c1x1_w(data_in), num_or_sections=[self.num_1x1_c, 2 * self.inc], axis=1)
            else:
                data_o1, data_o2 = inputs[0], inputs[1]
            y = self.c1x1_c(self.c3x3_b(self.c1x1_a(data_in)))
            y1, y2 = paddle.split(y, num_or_sections=[self.num_1x1_c, self.inc], axis=1)
            return [paddle.add(x=data_o1, y=y1), paddle.concat([data_o2, y2], axis=1)]

    class DPN(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.stem = ConvBNLayer(3, 8)
            self.blocks = nn.LayerList([DualPath(8, 12, 10, 4, 2, "proj"), DualPath(22, 12, 10, 4, 2, "normal"), DualPath(26, 12, 14, 6, 2, "down")])
            self.bn, self.fc = nn.BatchNorm(32, act="relu"), fully_connected(32)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return self.fc(F.adaptive_avg_pool2d(self.bn(paddle.concat(x, axis=1)), 1).flatten(1))
    return DPN(), image()


@network
def es_net() -> Made:
    def channel_shuffle(x: Tensor, groups: int) -> Tensor:
        batch_size, num_channels, height, width = x.shape[0:4]
        x = paddle.reshape(x=x, shape=[batch_size, groups, num_channels // groups, height, width])
        return paddle.reshape(x=paddle.transpose(x=x, perm=[0, 2, 1, 3, 4]), shape=[batch_size, num_channels, height, width])

    class ESBlock(nn.Layer):
        def __init__(self, width: int, mid: int) -> None:
            super().__init__()
            self.pw_1_1, self.dw_1 = ConvBNLayer(width // 2, mid // 2, 1, act="hardswish"), ConvBNLayer(mid // 2, mid // 2, 3, groups=mid // 2, act=None)
            self.se, self.pw_1_2 = SELayer(mid), ConvBNLayer(mid, width // 2, 1, act="hardswish")

        def forward(self, x: Tensor) -> Tensor:
            x1, x2 = paddle.split(x, num_or_sections=[x.shape[1] // 2, x.shape[1] // 2], axis=1)
            x2 = self.pw_1_1(x2)
            x2 = self.pw_1_2(self.se(paddle.concat([x2, self.dw_1(x2)], axis=1)))
            return channel_shuffle(paddle.concat([x1, x2], axis=1), 2)
    return nn.Sequential(ConvBNLayer(3, 16, act="hardswish"), ESBlock(16, 12), ESBlock(16, 20), nn.AdaptiveAvgPool2D(1), nn.Conv2D(16, 24, 1, bias_attr=False), nn.Hardswish(),
                         nn.Flatten(start_axis=1, stop_axis=-1), fully_connected(24)), image()


@network
def inception_resnet() -> Made:
    class Block17(nn.Layer):
        def __init__(self, width: int, scale: float) -> None:
            super().__init__()
            self.scale = scale
            self.branch0, self.branch1 = ConvBNLayer(width, 6, 1), nn.Sequential(ConvBNLayer(width, 5, 1), nn.Conv2D(5, 6, (1, 7), padding=(0, 3)), nn.Conv2D(6, 7, (7, 1), padding=(3, 0)))
            self.conv2d = nn.Conv2D(13, width, 1)

        def forward(self, x: Tensor) -> Tensor:
            out = self.conv2d(paddle.concat((self.branch0(x), self.branch1(x)), 1))
            return F.relu(out * self.scale + x)

    class Reduction(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = ConvBNLayer(16, 10, 3, 2), nn.Sequential(ConvBNLayer(16, 6, 1), ConvBNLayer(6, 8, 3, 2))
            self.pool = nn.MaxPool2D(3, stride=2, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return paddle.concat([self.a(x), self.b(x), self.pool(x)], axis=1)
    return nn.Sequential(ConvBNLayer(3, 16), Block17(16, 0.1), Block17(16, 0.2), Reduction(), nn.Dropout(p=0.2, mode="downscale_in_infer"), nn.AdaptiveAvgPool2D(1), nn.Flatten(),
                         fully_connected(34)), image()


@network
def csp_resnet_ese() -> Made:
    """The backbone of PP-YOLOE."""
    class RepVggBlock(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv1, self.conv2 = ConvBNLayer(width, width, 3, act=None), ConvBNLayer(width, width, 1, act=None)
            self.alpha = self.create_parameter(shape=[1], attr=ParamAttr(initializer=nn.initializer.Constant(value=1.0)), dtype="float32")

        def forward(self, x: Tensor) -> Tensor:
            if hasattr(self, "conv"):
                y = self.conv(x)
            else:
                y = self.conv1(x) + self.alpha * self.conv2(x)
            return F.swish(y)

    class BasicBlock(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv1, self.conv2, self.shortcut = ConvBNLayer(width, width, act="swish"), RepVggBlock(width), True

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv2(self.conv1(x))
            return paddle.add(x, y) if self.shortcut else y

    class EffectiveSELayer(nn.Layer):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.fc, self.act = nn.Conv2D(channels, channels, kernel_size=1, padding=0), nn.Hardsigmoid()

        def forward(self, x: Tensor) -> Tensor:
            return x * self.act(self.fc(x.mean((2, 3), keepdim=True)))

    class CSPResStage(nn.Layer):
        def __init__(self, into: int, out: int, n: int) -> None:
            super().__init__()
            mid = (into + out) // 2
            self.conv_down = ConvBNLayer(into, mid, 3, 2, act="swish")
            self.conv1, self.conv2 = ConvBNLayer(mid, mid // 2, 1, act="swish"), ConvBNLayer(mid, mid // 2, 1, act="swish")
            self.blocks = nn.Sequential(*[BasicBlock(mid // 2) for _ in range(n)])
            self.attn, self.conv3 = EffectiveSELayer(mid), ConvBNLayer(mid, out, 1, act="swish")

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv_down(x)
            y = self.attn(paddle.concat([self.conv1(x), self.blocks(self.conv2(x))], axis=1))
            return self.conv3(y)
    return nn.Sequential(ConvBNLayer(3, 8), CSPResStage(8, 12, 1), CSPResStage(12, 20, 2), nn.AdaptiveAvgPool2D(1), nn.Flatten(), fully_connected(20)), image()

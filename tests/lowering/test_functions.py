"""Attributes of operators, one case each: what ONNX Runtime computes is what Paddle computes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import paddle
import pytest
from lowered import RELATIVE, differences
from paddle import Tensor, nn
from topologies import Toy

F = nn.functional
Case = Callable[[Tensor], Tensor]


def ramp(*shape: int) -> Tensor:
    return paddle.to_tensor(np.linspace(-1, 1, math.prod(shape)).reshape(shape).astype("float32"))


# fmt: off
# Functions of an image (2, 8, 7, 6).
IMAGES: dict[str, Case] = {
    "max pool, ceil": lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    "max pool, padded": lambda x: F.max_pool2d(x, 3, 2, padding=1),
    "max pool, uneven padding": lambda x: F.max_pool2d(x, 3, 2, padding=[1, 0, 0, 1]),
    "max pool, same": lambda x: F.max_pool2d(x, 3, 2, padding="SAME"),
    "max pool, valid": lambda x: F.max_pool2d(x, 3, 2, padding="VALID"),
    "max pool, indices unused": lambda x: F.max_pool2d(x, 2, return_mask=True)[0],
    "max pool, last": lambda x: F.max_pool2d(x, 3, 2, padding=1, data_format="NHWC"),
    "max pool 1d": lambda x: F.max_pool1d(x.flatten(2), 3, 2, 1),
    "max pool 3d": lambda x: F.max_pool3d(x.unsqueeze(1), 3, 2, 1),
    "mean pool": lambda x: F.avg_pool2d(x, 3, 1, padding=1),
    "mean pool, with padding": lambda x: F.avg_pool2d(x, 3, 1, padding=1, exclusive=False),
    "mean pool, ceil": lambda x: F.avg_pool2d(x, 3, 2, padding=1, ceil_mode=True),
    "mean pool, ceil, with padding": lambda x: F.avg_pool2d(
        x, 3, 2, padding=1, ceil_mode=True, exclusive=False),
    "mean pool, divisor": lambda x: F.avg_pool2d(x, 3, 2, divisor_override=5),
    "mean pool, same": lambda x: F.avg_pool2d(x, 3, 2, padding="SAME"),
    "mean pool 1d": lambda x: F.avg_pool1d(x.flatten(2), 3, 2, 1),
    "mean pool 3d": lambda x: F.avg_pool3d(x.unsqueeze(1), 2, 2),
    "adaptive mean": lambda x: F.adaptive_avg_pool2d(x, [7, 3]),
    "adaptive mean, uneven": lambda x: F.adaptive_avg_pool2d(x, [3, 4]),
    "adaptive mean, larger": lambda x: F.adaptive_avg_pool2d(x, 9),
    "adaptive mean, last": lambda x: F.adaptive_avg_pool2d(x, [3, 5], data_format="NHWC"),
    "adaptive mean 1d": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 5),
    "adaptive mean 3d": lambda x: F.adaptive_avg_pool3d(x.unsqueeze(1), [3, 2, 4]),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, 1),
    "adaptive max, uneven": lambda x: F.adaptive_max_pool2d(x, [3, 4]),
    "nearest": lambda x: F.interpolate(x, scale_factor=[1.5, 2]),
    "nearest to a size": lambda x: F.interpolate(x, [9, 4]),
    "nearest to a pixel": lambda x: F.interpolate(x, [1, 4]),
    "nearest, last": lambda x: F.interpolate(x, scale_factor=2, data_format="NHWC"),
    "bilinear": lambda x: F.interpolate(x, [13, 4], mode="bilinear"),
    "bilinear by a factor": lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear"),
    "bilinear, corners": lambda x: F.interpolate(x, [13, 4], mode="bilinear", align_corners=True),
    "bilinear, mode 1": lambda x: F.interpolate(x, [13, 4], mode="bilinear", align_mode=1),
    "bilinear to a pixel": lambda x: F.interpolate(x, [1, 1], mode="bilinear"),
    "bilinear to a row": lambda x: F.interpolate(x, [1, 9], mode="bilinear"),
    "bilinear to a pixel by a factor": lambda x: F.interpolate(
        x, scale_factor=0.2, mode="bilinear"),
    "bilinear to a pixel, corners": lambda x: F.interpolate(
        x, [1, 4], mode="bilinear", align_corners=True),
    "bilinear, smaller by a factor": lambda x: F.interpolate(
        x, scale_factor=0.6, mode="bilinear"),
    "nearest, smaller": lambda x: F.interpolate(x, scale_factor=0.6),
    "bicubic by a factor": lambda x: F.interpolate(x, scale_factor=1.3, mode="bicubic"),
    "bilinear by a factor, mode 1": lambda x: F.interpolate(
        x, scale_factor=1.3, mode="bilinear", align_mode=1),
    "bicubic": lambda x: F.interpolate(x, [13, 4], mode="bicubic"),
    "bicubic, corners": lambda x: F.interpolate(x, [13, 4], mode="bicubic", align_corners=True),
    "linear": lambda x: F.interpolate(x.flatten(2), [9], mode="linear", data_format="NCW"),
    "trilinear": lambda x: F.interpolate(
        x.unsqueeze(1), [4, 9, 5], mode="trilinear", data_format="NCDHW"),
    "nearest 3d": lambda x: F.interpolate(x.unsqueeze(1), scale_factor=2, data_format="NCDHW"),
    "upsample": nn.Upsample(scale_factor=2, mode="bilinear"),
    "pad": lambda x: F.pad(x, [1, 2, 0, 3], value=0.5),
    "pad all axes": lambda x: F.pad(x, [0, 0, 1, 2, 0, 3, 1, 0], value=-1.0),
    "pad, reflected": lambda x: F.pad(x, [1, 2, 0, 3], mode="reflect"),
    "pad, repeated": lambda x: F.pad(x, [1, 2, 0, 3], mode="replicate"),
    "pad, around": lambda x: F.pad(x, [1, 2, 0, 3], mode="circular"),
    "pad, last": lambda x: F.pad(x, [1, 2, 0, 3], data_format="NHWC"),
    "pad 1d": lambda x: F.pad(x.flatten(2), [1, 2], mode="reflect", data_format="NCL"),
    "zero pad": nn.ZeroPad2D([1, 2, 3, 0]),
    "pixel shuffle, last": lambda x: F.pixel_shuffle(
        x.transpose([0, 2, 3, 1]), 2, data_format="NHWC"),
    "pixel unshuffle, last": lambda x: F.pixel_unshuffle(x[:, :, :6], 2, data_format="NHWC"),
    "channel shuffle, last": lambda x: F.channel_shuffle(x, 3, data_format="NHWC"),
    "unfold": lambda x: F.unfold(x, [3, 2], strides=2, paddings=[1, 0, 2, 1], dilations=[1, 2]),
    "fold": lambda x: F.fold(F.unfold(x, 3, strides=2, paddings=1), [7, 6], 3, 2, 1),
    "group norm, last": lambda x: F.group_norm(x, 3, data_format="NHWC"),
    "layer norm over two axes": lambda x: F.layer_norm(x, [7, 6]),
    "layer norm, scaled over two": lambda x: F.layer_norm(x, [7, 6], ramp(42), ramp(42)),
    "rms norm": lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt(),
    "instance norm 1d": lambda x: F.instance_norm(x.flatten(2)),
    "dropout, no scale in training": lambda x: F.dropout(
        x, 0.3, training=False, mode="downscale_in_infer"),
    "alpha dropout": lambda x: F.alpha_dropout(x, 0.3, training=False),
    "grid, border": lambda x: F.grid_sample(
        x, ramp(2, 3, 4, 2) * 1.5, padding_mode="border", align_corners=False),
    "grid, nearest": lambda x: F.grid_sample(x, ramp(2, 3, 4, 2), mode="nearest"),
    "grid, reflected": lambda x: F.grid_sample(
        x, ramp(2, 3, 4, 2) * 1.5, padding_mode="reflection"),
    "local response": lambda x: F.local_response_norm(x, 5),
    "celu": lambda x: F.celu(x, 0.7), "elu": lambda x: F.elu(x, 0.7),
    "gelu, tanh": lambda x: F.gelu(x, approximate=True), "selu": F.selu,
    "softplus": lambda x: F.softplus(x, 2, 3), "swish": F.swish, "mish": F.mish,
    "hardtanh": lambda x: F.hardtanh(x, -0.3, 0.8), "hardshrink": lambda x: F.hardshrink(x, 0.2),
    "hardsigmoid": lambda x: F.hardsigmoid(x, 0.3, 0.4),
    "softshrink": lambda x: F.softshrink(x, 0.2),
    "thresholded": lambda x: F.thresholded_relu(x, 0.5, 0.1), "log sigmoid": F.log_sigmoid,
    "leaky": lambda x: F.leaky_relu(x, 0.3), "stanh": paddle.stanh, "glu": F.glu,
    "prelu of one": lambda x: F.prelu(x, paddle.to_tensor([0.3])),
    "softmax of the first": lambda x: F.softmax(x, 0), "relu in place": lambda x: F.relu_(x * 1.0),
    "maxout of rows": lambda x: F.maxout(x, 3, axis=-1),
    "clip below": lambda x: x.clip(min=0.1),
    "clip by a tensor": lambda x: x.clip(x.mean(), x.max()),
}
# fmt: on


@pytest.mark.parametrize("name", IMAGES)
def test_functions_of_an_image(name: str) -> None:
    case = IMAGES[name]
    toy = Toy(lambda m, x: case(x))
    assert max(differences(toy, paddle.randn([2, 8, 7, 6]))) < RELATIVE

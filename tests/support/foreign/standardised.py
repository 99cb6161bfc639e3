"""Residual networks whose weights are normalised before use, and signals."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.registry import F, Made, Residual, classifier, network, row, unit

# fmt: off


@network
def resnet_1d() -> Made:
    net = nn.Sequential(row(2, 8, 7), nn.MaxPool1D(2), Residual(nn.Sequential(row(8, 8), row(8, 8))),
                        Residual(row(8, 12, stride=2), row(8, 12, 1, stride=2)),
                        nn.AdaptiveAvgPool1D(1), nn.Flatten(), nn.Linear(12, 4))
    return net, paddle.randn([1, 2, 32])


class Standardised(nn.Conv2D):
    """Weight standardisation, as in BiT."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        mean = w.mean([1, 2, 3], keepdim=True)
        w = (w - mean) / (w.var([1, 2, 3], keepdim=True) + 1e-5).sqrt()
        return F.conv2d(x, w, self.bias, self._stride, self._padding, self._dilation, self._groups)


@network
def big_transfer() -> Made:
    norm = lambda n: nn.Sequential(nn.GroupNorm(4, n), nn.ReLU())
    inner = nn.Sequential(Standardised(16, 8, 1), norm(8), Standardised(8, 16, 3, padding=1))
    return classifier(unit(8, 16), norm(16), Residual(inner), norm(16), width=16)


@network
def normaliser_free() -> Made:
    class Scaled(nn.Conv2D):
        def __init__(self, *shape, **more) -> None:
            super().__init__(*shape, **more)
            self.gain = self.create_parameter([self._out_channels, 1, 1, 1])

        def forward(self, x: Tensor) -> Tensor:
            w = self.weight.reshape([self._out_channels, -1])
            scale = paddle.rsqrt(w.var(1, keepdim=True) * w.shape[1] + 1e-4)
            w = ((w - w.mean(1, keepdim=True)) * scale).reshape(self.weight.shape) * self.gain
            return F.conv2d(x, w, self.bias, padding=self._padding)
    return classifier(Residual(nn.Sequential(nn.GELU(), Scaled(8, 12, 3, padding=1), nn.GELU(),
                                             Scaled(12, 8, 1))), width=8)

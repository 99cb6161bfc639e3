"""Floor 1. A VGG-style network (Simonyan & Zisserman 2015) for small images, with BatchNorm."""

from __future__ import annotations

import paddle
from paddle import nn


class ConvBlock(nn.Layer):
    """A 3x3 convolution with BatchNorm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2D(in_channels, out_channels, 3, padding=1, bias_attr=False)
        self.norm = nn.BatchNorm2D(out_channels)
        self.relu = nn.ReLU()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Give the block's output ``(n, channels, h, w)``."""
        return self.relu(self.norm(self.conv(x)))


class VGG(nn.Layer):
    """Three pairs of convolutions with pooling, then flatten, linear, ReLU, linear.

    The flattened map is larger than one pixel, so that each of the last convolution's channels
    feeds several inputs of the linear layer.
    """

    def __init__(self, width: int, *, num_classes: int, in_channels: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Layer] = []
        channels = in_channels
        for out in (width, 2 * width, 4 * width):
            layers += [ConvBlock(channels, out), ConvBlock(out, out)]
            channels = out
            if size > 3:
                layers.append(nn.MaxPool2D(2, stride=2))
                size //= 2
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Linear(channels * size * size, 8 * width)
        self.relu = nn.ReLU()
        self.classifier = nn.Linear(8 * width, num_classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Give logits ``(n, num_classes)`` for images ``(n, in_channels, size, size)``."""
        x = paddle.flatten(self.features(x), 1)
        return self.classifier(self.relu(self.hidden(x)))


def vgg(width: int = 16, *, num_classes: int = 10, in_channels: int = 1, size: int = 28) -> VGG:
    """Make a VGG-style network with random weights.

    Parameters
    ----------
    width
        Channels of the first pair of convolutions; the next pairs have two and four times as many,
        the hidden linear layer eight times.
    num_classes
        Number of logits.
    in_channels, size
        Shape of one input image: ``(in_channels, size, size)``, in pixels. It fixes the number of
        inputs of the first linear layer. The map is halved up to three times, while it has more
        than 3 pixels.

    Examples
    --------
    >>> import paddle
    >>> from slimlab.zoo import vgg
    >>> network = vgg(width=4, size=8)
    >>> tuple(network.hidden.weight.shape)  # 16 channels of 2x2 pixels
    (64, 32)
    """
    return VGG(width, num_classes=num_classes, in_channels=in_channels, size=size)

"""Floor 1. MobileNetV1 (Howard et al. 2017) for small images; knows nothing of tasks or weights."""

from __future__ import annotations

import paddle
from paddle import nn

# Output channels of the 13 separable blocks at width 1, and whether the paper halves the map there.
BLOCKS = (
    (64, False),
    (128, True),
    (128, False),
    (256, True),
    (256, False),
    (512, True),
    *[(512, False)] * 5,
    (1024, True),
    (1024, False),
)


class SeparableBlock(nn.Layer):
    """A depthwise 3x3 convolution, then a pointwise one, each with BatchNorm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2D(
            in_channels,
            in_channels,
            3,
            stride=stride,
            padding=1,
            groups=in_channels,
            bias_attr=False,
        )
        self.norm1 = nn.BatchNorm2D(in_channels)
        self.relu1 = nn.ReLU()
        self.pointwise = nn.Conv2D(in_channels, out_channels, 1, bias_attr=False)
        self.norm2 = nn.BatchNorm2D(out_channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Give the block's output ``(n, channels, h, w)``."""
        x = self.relu1(self.norm1(self.depthwise(x)))
        return self.relu2(self.norm2(self.pointwise(x)))


class MobileNetV1(nn.Layer):
    """Stem, 13 separable blocks, average pooling, classifier."""

    def __init__(self, width: float, *, num_classes: int, in_channels: int, size: int) -> None:
        super().__init__()
        channels = max(1, round(32 * width))
        self.stem = nn.Conv2D(in_channels, channels, 3, padding=1, bias_attr=False)
        self.norm = nn.BatchNorm2D(channels)
        self.relu = nn.ReLU()
        blocks = []
        for out, halve in BLOCKS:
            # Small images would vanish under the paper's five halvings: keep at least 2 pixels.
            stride = 2 if halve and size > 3 else 1
            size = -(-size // stride)
            blocks.append(SeparableBlock(channels, round(out * width), stride))
            channels = round(out * width)
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Give logits ``(n, num_classes)`` for images ``(n, in_channels, size, size)``."""
        x = self.relu(self.norm(self.stem(x)))
        x = self.pool(self.blocks(x))
        return self.classifier(paddle.flatten(x, 1))


def mobilenet_v1(
    width: float = 0.25, *, num_classes: int = 10, in_channels: int = 1, size: int = 28
) -> MobileNetV1:
    """Make a MobileNetV1 with random weights.

    Parameters
    ----------
    width
        Multiplies every layer's channels; 1.0 is the paper's network.
    num_classes
        Number of logits.
    in_channels, size
        Shape of one input image: ``(in_channels, size, size)``, in pixels. The map is halved up to
        four times, while it has more than 3 pixels.

    Examples
    --------
    >>> import paddle
    >>> from slimlab.zoo import mobilenet_v1
    >>> tuple(mobilenet_v1(width=0.25)(paddle.zeros([2, 1, 28, 28])).shape)
    (2, 10)
    """
    return MobileNetV1(width, num_classes=num_classes, in_channels=in_channels, size=size)

"""Floor 1. ResNet-20 (He et al. 2016, section 4.2) for small images; knows no tasks or weights."""

from __future__ import annotations

import paddle
from paddle import nn


class BasicBlock(nn.Layer):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where shapes change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2D(
            in_channels, out_channels, 3, stride=stride, padding=1, bias_attr=False
        )
        self.norm1 = nn.BatchNorm2D(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2D(out_channels, out_channels, 3, padding=1, bias_attr=False)
        self.norm2 = nn.BatchNorm2D(out_channels)
        self.relu2 = nn.ReLU()
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2D(in_channels, out_channels, 1, stride=stride, bias_attr=False),
                nn.BatchNorm2D(out_channels),
            )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Give the block's output ``(n, channels, h, w)``."""
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.relu2(y + self.shortcut(x))


class ResNet20(nn.Layer):
    """Stem, three stages of three basic blocks, average pooling, classifier."""

    def __init__(self, width: int, *, num_classes: int, in_channels: int, size: int) -> None:
        super().__init__()
        # The paper's first stage sees 32x32 maps. Half of that keeps a scan of all layers within
        # minutes on a CPU, and costs little accuracy on images this simple.
        stride = 2 if size > 16 else 1
        self.stem = nn.Conv2D(in_channels, width, 3, stride=stride, padding=1, bias_attr=False)
        self.norm = nn.BatchNorm2D(width)
        self.relu = nn.ReLU()
        self.stage1 = _stage(width, width, stride=1)
        self.stage2 = _stage(width, 2 * width, stride=2)
        self.stage3 = _stage(2 * width, 4 * width, stride=2)
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.classifier = nn.Linear(4 * width, num_classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Give logits ``(n, num_classes)`` for images ``(n, in_channels, size, size)``."""
        x = self.relu(self.norm(self.stem(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.classifier(paddle.flatten(self.pool(x), 1))


def _stage(in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride),
        BasicBlock(out_channels, out_channels, 1),
        BasicBlock(out_channels, out_channels, 1),
    )


def resnet20(
    width: int = 16, *, num_classes: int = 10, in_channels: int = 1, size: int = 28
) -> ResNet20:
    """Make a ResNet-20 with random weights.

    Parameters
    ----------
    width
        Channels of the first stage; the second has twice, the third four times as many.
    num_classes
        Number of logits.
    in_channels, size
        Shape of one input image: ``(in_channels, size, size)``, in pixels. The stem halves images
        of more than 16 pixels.

    Examples
    --------
    >>> import paddle
    >>> from slimlab.zoo import resnet20
    >>> tuple(resnet20(width=4)(paddle.zeros([2, 1, 8, 8])).shape)
    (2, 10)
    """
    return ResNet20(width, num_classes=num_classes, in_channels=in_channels, size=size)

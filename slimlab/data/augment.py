"""Floor 1. Changes to training images that keep what they show; NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class ShiftAndFlip:
    """Shift each image by whole pixels, and mirror half of them.

    Attributes
    ----------
    shift
        Up to so many pixels in each direction.
    flip
        Mirror left to right with a chance of one half; only where a mirrored image means the same.
    fill
        Value of the pixels that move in: the background.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.data import ShiftAndFlip
    >>> images = np.ones((4, 1, 8, 8), "float32")
    >>> moved = ShiftAndFlip(shift=1, flip=False, fill=0.0)(images, np.random.default_rng(0))
    >>> moved.shape, moved.dtype.name
    ((4, 1, 8, 8), 'float32')
    """

    each_alone: ClassVar[bool] = True  # an image's change depends on no other image

    shift: int = 2
    flip: bool = True
    fill: float = 0.0

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Give changed copies of ``(n, channels, height, width)`` float32 images."""
        count, height, width, pad = len(images), *images.shape[2:], self.shift
        around = ((0, 0), (0, 0), (pad, pad), (pad, pad))
        padded = np.pad(images, around, constant_values=self.fill)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        down, right = rng.integers(0, 2 * pad + 1, (2, count))
        moved = windows[np.arange(count), :, down, right]
        if self.flip:
            mirrored = rng.random(count) < 0.5
            moved[mirrored] = moved[mirrored, :, :, ::-1]
        return np.ascontiguousarray(moved)

"""Floor 1. How the pixels of a picture become numbers: resized, cropped, shifted and scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from slimlab.errors import TaskError

MODES = {1: "L", 3: "RGB"}
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Pixels:
    """What a network expects of its images.

    Attributes
    ----------
    crop
        In (0, 1]: an image is resized so that its shorter side is ``size / crop`` pixels, and the
        square in its middle is kept; 0.875 for most networks of ImageNet. None: the whole image is
        resized to a square.
    mean, deviation
        Of pixels from 0 to 1, a number for each channel: what is taken off and divided by. As they
        are, numbers run from -1 to 1; networks of ImageNet mostly have (0.485, 0.456, 0.406) and
        (0.229, 0.224, 0.225). Of grey images the first counts.

    Raises
    ------
    TaskError
        When a value can't be used.

    Examples
    --------
    >>> from PIL import Image
    >>> from slimlab.data import Pixels
    >>> picture = Image.new("RGB", (40, 20), (255, 0, 0))
    >>> Pixels(crop=1.0).of(picture, size=4, channels=3)[:, 0, 0].tolist()
    [1.0, -1.0, -1.0]
    """

    crop: float | None = None
    mean: tuple[float, ...] = HALF
    deviation: tuple[float, ...] = HALF

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "deviation", tuple(self.deviation))
        lengths = {len(self.mean), len(self.deviation)}
        if lengths not in ({1}, {3}) or not min(self.deviation) > 0:
            msg = (
                f"Pixels need a mean (found {self.mean}) and a deviation above 0 (found "
                f"{self.deviation}) for each channel."
            )
            raise TaskError(msg, mean=self.mean, deviation=self.deviation)
        if self.crop is not None and not 0 < self.crop <= 1:
            msg = (
                f"crop is {self.crop}; it is the share of the shorter side that is kept, in (0, 1]."
            )
            raise TaskError(msg, crop=self.crop)

    def of(self, image: Image.Image, *, size: int, channels: int) -> np.ndarray:
        """Give a picture as ``(channels, size, size)`` float32."""
        picture = image.convert(MODES[channels])
        if self.crop is None:
            square = picture.resize((size, size))
        else:
            factor = size / self.crop / min(picture.size)
            width, height = (max(size, round(side * factor)) for side in picture.size)
            left, top = (width - size) // 2, (height - size) // 2
            square = picture.resize((width, height)).crop((left, top, left + size, top + size))
        pixels = np.asarray(square, np.float32).reshape(size, size, channels) / np.float32(255)
        mean, deviation = (
            np.array(each[:channels], np.float32) for each in (self.mean, self.deviation)
        )
        return np.ascontiguousarray(((pixels - mean) / deviation).transpose(2, 0, 1))

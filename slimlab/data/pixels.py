"""Floor 1. How the pixels of a picture become numbers: resized, cropped, shifted and scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from slimlab.errors import TaskError

MODES = {1: "L", 3: "RGB"}
HALF = (0.5, 0.5, 0.5)
STRETCH = 4 / 3  # of width against height in a part drawn at random, at most either way
TRIES = 10  # to draw a part that lies inside
Box = tuple[int, int, int, int]  # left, top, right, bottom


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
    random_crop
        In (0, 1]: in training, a part of each image with at least this share of its area, of a
        width 3/4 to 4/3 of its height, is drawn at random and resized to a square (Szegedy et al.,
        1409.4842); 0.08 for most networks of ImageNet. None: training images are as the others.

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
    random_crop: float | None = None

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
        shares = {
            "crop": "the share of the shorter side that is kept",
            "random_crop": "the least share of an image's area that is kept in training",
        }
        for name, what in shares.items():
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                msg = f"{name} is {share}; it is {what}, in (0, 1]."
                raise TaskError(msg, **{name: share})

    def of(
        self,
        image: Image.Image,
        *,
        size: int,
        channels: int,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Give a picture as ``(channels, size, size)`` float32.

        Parameters
        ----------
        image
            Of any mode and size.
        size, channels
            Pixels a side; 1 for grey, 3 for colour.
        rng
            Draws the part that `random_crop` asks for; without it the picture is taken as `crop`
            says.
        """
        picture = image.convert(MODES[channels])
        if self.random_crop is not None and rng is not None:
            square = picture.resize(
                (size, size), box=drawn_box(picture.size, self.random_crop, rng)
            )
        elif self.crop is None:
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


def drawn_box(size: tuple[int, int], least: float, rng: np.random.Generator) -> Box:
    """Draw a part of a picture: its area evenly from a least share to all, its shape evenly too.

    Parameters
    ----------
    size
        Width and height of the picture, in pixels.
    least
        Share of its area, in (0, 1].
    rng
        Draws.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.data.pixels import drawn_box
    >>> drawn_box((8, 8), 1.0, np.random.default_rng(0))
    (0, 0, 8, 8)
    """
    width, height = size
    for _ in range(TRIES):
        area = width * height * rng.uniform(least, 1.0)
        stretch = math.exp(rng.uniform(-math.log(STRETCH), math.log(STRETCH)))
        wide, high = round(math.sqrt(area * stretch)), round(math.sqrt(area / stretch))
        if 1 <= wide <= width and 1 <= high <= height:
            left = int(rng.integers(0, width - wide + 1))
            top = int(rng.integers(0, height - high + 1))
            return left, top, left + wide, top + high
    # None fits, as in a panorama: what is nearest to all of it, from the middle.
    wide = min(width, max(1, round(height * STRETCH)))
    high = min(height, max(1, round(width * STRETCH)))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high

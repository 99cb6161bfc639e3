"""Floor 1. Image files as a dataset, and batches of them read by several threads at once.

Decoding leaves Python's lock alone, so that threads decode beside each other, and beside a training
on the calling thread: the next batch is read while the present one is learned from.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import paddle
from paddle import Tensor
from PIL import Image, UnidentifiedImageError

from slimlab.data.pixels import Pixels
from slimlab.errors import TaskError
from slimlab.loaders import DatasetLoader, cut_order

Items = list[tuple[Path, int]]
MOST_THREADS = 8


def whole(images: int) -> slice:
    """Give all of so many images."""
    return slice(0, images)


class ImageFiles(paddle.io.Dataset):
    """Images read from files when they are asked for.

    Parameters
    ----------
    items
        File and label of each image.
    size
        Images are resized to ``size x size`` pixels.
    channels
        1 for grey, 3 for colour.
    pixels
        What becomes of them.

    Every image is ``(channels, size, size)`` float32.
    """

    def __init__(
        self, items: Sequence[tuple[Path, int]], *, size: int, channels: int, pixels: Pixels
    ) -> None:
        super().__init__()
        self._items = list(items)
        self._shape = {"size": size, "channels": channels}
        self._pixels = pixels

        self.shape = (channels, size, size)
        self.labels = np.array([label for _, label in self._items], np.int64)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.read(index)

    def read(self, index: int, rng: np.random.Generator | None = None) -> tuple[np.ndarray, int]:
        """Give an image and its label; `rng` draws the part of it that training takes.

        Raises
        ------
        TaskError
            When the file is empty or can't be read, naming it.
        """
        path, label = self._items[index]
        try:
            with Image.open(path) as image:
                # Resizing reads all pixels, so a file that was cut off shows here.
                return self._pixels.of(image, **self._shape, rng=rng), label
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
            empty = path.is_file() and path.stat().st_size == 0
            what = "is empty" if empty else f"can't be read ({error})"
            msg = f"The image {path} {what}; repair or remove it."
            raise TaskError(msg, path=str(path)) from error


class ImageLoader(DatasetLoader):
    """Batches of image files, decoded by threads, one batch ahead.

    What is drawn for an image follows from the seed and the image: neither the batch size nor the
    number of threads changes it. Threads live as long as an iteration, so that processes may be
    forked between two of them.

    Parameters
    ----------
    files
        What is read.
    name
        What error sentences call it.
    order
        Indices to give; all in a fixed shuffle when None.
    threads
        That read; as many as there are processors, 8 at most, when None.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from slimlab.data import Pixels
    >>> from slimlab.data.image_files import ImageFiles, ImageLoader
    >>> root = Path(tempfile.mkdtemp())
    >>> for n in range(3):
    ...     Image.new("RGB", (9, 7), (n, 0, 0)).save(root / f"{n}.png")
    >>> items = [(root / f"{n}.png", n) for n in range(3)]
    >>> files = ImageFiles(items, size=8, channels=3, pixels=Pixels(random_crop=0.5))
    >>> loader = ImageLoader(files, name="train")
    >>> [tuple(x.shape) for x, _ in loader.batches(2, seed=1)]
    [(2, 3, 8, 8), (1, 3, 8, 8)]
    """

    reads_parts = True  # `batches` takes `skip` and `part`

    def __init__(
        self,
        files: ImageFiles,
        *,
        name: str,
        order: np.ndarray | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(files, name=name, order=order)
        self._files = files
        self._threads = threads or min(MOST_THREADS, os.cpu_count() or 1)

    def batches(
        self,
        batch_size: int = 128,
        *,
        images: int | None = None,
        seed: int | None = None,
        skip: int = 0,
        part: Callable[[int], slice] = whole,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give batches of images and labels; parts of images drawn at random with a seed only.

        Parameters
        ----------
        batch_size, images, seed
            Those of `ArrayLoader.batches`.
        skip
            So many batches are left out at the beginning, unread.
        part
            Of so many images, which are read; the others are zeros.
        """
        cuts = list(cut_order(self._order, batch_size, images=images, seed=seed))[skip:]
        if sum(map(len, cuts)) < 2 or self._threads == 1:
            for chosen in cuts:
                pictures = [self._read(int(index), seed) for index in chosen[part(len(chosen))]]
                yield self._batch(chosen, pictures, part)
            return
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="slimlab-images")
        ahead: deque[list[Future[np.ndarray]]] = deque()
        try:
            for place, chosen in enumerate(cuts):
                while len(ahead) < 2 and place + len(ahead) < len(cuts):
                    coming = cuts[place + len(ahead)]
                    mine = coming[part(len(coming))]
                    ahead.append([pool.submit(self._read, int(index), seed) for index in mine])
                yield self._batch(chosen, [each.result() for each in ahead.popleft()], part)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, index: int, seed: int | None) -> np.ndarray:
        rng = None if seed is None else np.random.default_rng([seed, index])
        return self._files.read(index, rng)[0]

    def _batch(
        self, chosen: np.ndarray, pictures: Sequence[np.ndarray], part: Callable[[int], slice]
    ) -> tuple[Tensor, Tensor]:
        x = np.zeros((len(chosen), *self._files.shape), np.float32)
        if pictures:
            x[part(len(chosen))] = np.stack(pictures)
        return paddle.to_tensor(x), paddle.to_tensor(self._files.labels[chosen])

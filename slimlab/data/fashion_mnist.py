"""Floor 1. Fashion-MNIST (Xiao et al. 2017) from its four IDX files, wherever they lie.

Looks in the user's folder, in Debian's package, in Paddle's cache, and asks Paddle to download the
files only when none of these has them. Knows the files' format and refuses damaged ones.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from slimlab.data.augment import ShiftAndFlip
from slimlab.errors import TaskError
from slimlab.loaders import ArrayLoader, fixed_order
from slimlab.task import Task

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
CALIBRATION_IMAGES = 1024
MEAN, DEVIATION = 0.2860, 0.3530  # of the training pixels, on a scale of 0 to 1
SIDE = 28  # pixels
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", 60_000),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 10_000),
}
IMAGES_MAGIC, LABELS_MAGIC = 0x803, 0x801


def fashion_mnist(*, folder: str | Path | None = None, download: bool = True) -> Task:
    """Make the task of telling ten kinds of clothing apart.

    Images are ``(1, 28, 28)`` float32 with zero mean and unit deviation. The 10,000 test images are
    the dataset's own; 1,024 calibration images are taken out of the 60,000 training images by a
    fixed seed.

    Parameters
    ----------
    folder
        Holds the four IDX files, with or without ``.gz``. Only this folder is searched when it is
        given: data from elsewhere would be a surprise.
    download
        Let Paddle download the files (31 MB, checked against their MD5) when they are nowhere on
        this computer.

    Raises
    ------
    TaskError
        When no place has all four files, with one line for each place that was tried.
    """
    (x, y), (x_test, y_test) = _find(folder, download=download)
    order = fixed_order(len(x))
    return Task(
        name="fashion-mnist",
        train=ArrayLoader(x, y, order=order[CALIBRATION_IMAGES:]),
        calibration=ArrayLoader(x, y, order=order[:CALIBRATION_IMAGES]),
        test=ArrayLoader(x_test, y_test),  # the dataset's own order is mixed already
        num_classes=10,
        augment=ShiftAndFlip(shift=2, flip=True, fill=-MEAN / DEVIATION),
    )


Split = tuple[np.ndarray, np.ndarray]


def _find(folder: str | Path | None, *, download: bool) -> tuple[Split, Split]:
    """Read the files from the first place that has all of them in order."""
    tried: list[str] = []
    for place, root in _places(folder):
        try:
            return _read_split(root, "train"), _read_split(root, "test")
        except TaskError as error:
            tried.append(f"{place}: {error}")
    if folder is None:
        if download:
            try:
                root = _download()
                return _read_split(root, "train"), _read_split(root, "test")
            except TaskError as error:
                tried.append(f"Paddle's download: {error}")
        else:
            tried.append("Paddle's download: not tried, because download=False.")
    lines = "\n".join(f"  - {line}" for line in tried)
    msg = (
        f"Fashion-MNIST was not found. Tried:\n{lines}\n"
        f"Install the Debian package {PACKAGE}, or give folder= with the four IDX files."
    )
    raise TaskError(msg, tried=tuple(tried))


def _places(folder: str | Path | None) -> list[tuple[str, Path]]:
    if folder is not None:
        return [(f"your folder {folder}", Path(folder))]
    # Imported on demand: it belongs to Paddle's datasets, which most tasks never touch.
    from paddle.dataset import common

    cache = Path(common.DATA_HOME) / "fashion-mnist"
    return [
        (f"the Debian package {PACKAGE} in {DEBIAN}", DEBIAN),
        (f"Paddle's cache in {cache}", cache),
    ]


def _download() -> Path:
    """Let Paddle fetch the files into its cache, and give the folder."""
    from paddle.dataset import common
    from paddle.vision.datasets import FashionMNIST

    try:
        for mode in ("train", "test"):
            FashionMNIST(mode=mode, download=True)
    # Paddle's downloader raises whatever its HTTP library does, RuntimeError after its retries,
    # and AssertionError for a bad checksum.
    except Exception as error:
        msg = f"it failed with {type(error).__name__}: {str(error).splitlines()[:1]}"
        raise TaskError(msg) from error
    return Path(common.DATA_HOME) / "fashion-mnist"


def _read_split(root: Path, split: str) -> Split:
    images_name, labels_name, count = FILES[split]
    images = _read(root, images_name, _check_images, count)
    labels = _read(root, labels_name, _check_labels, count)
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(count, 1, SIDE, SIDE)
    scaled = pixels.astype(np.float32)
    scaled -= 255 * MEAN
    scaled /= 255 * DEVIATION
    return scaled, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def _read(root: Path, name: str, check: Callable[[Path, bytes, int], None], count: int) -> bytes:
    """Give a file's content, unpacked when it is gzipped, after checking its header."""
    candidates = [root / f"{name}.gz", root / name]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        missing = f"{name}.gz in {root}" if root.is_dir() else f"folder {root}"
        msg = f"there is no {missing}."
        raise TaskError(msg, path=str(root / name))
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error) as error:
        msg = f"{path} is damaged or cut off ({error}); get it again."
        raise TaskError(msg, path=str(path)) from error
    check(path, content, count)
    return content


def _check_images(path: Path, content: bytes, count: int) -> None:
    _check_header(path, content, struct.pack(">IIII", IMAGES_MAGIC, count, SIDE, SIDE))
    _check_length(path, content, 16 + count * SIDE * SIDE)


def _check_labels(path: Path, content: bytes, count: int) -> None:
    _check_header(path, content, struct.pack(">II", LABELS_MAGIC, count))
    _check_length(path, content, 8 + count)
    if max(content[8:]) > 9:
        msg = f"{path} holds label {max(content[8:])}; labels run from 0 to 9."
        raise TaskError(msg, path=str(path))


def _check_header(path: Path, content: bytes, expected: bytes) -> None:
    found = content[: len(expected)]
    if found != expected:
        msg = (
            f"{path} begins with {found.hex(' ', 4)}, not with the IDX header "
            f"{expected.hex(' ', 4)} of this file."
        )
        raise TaskError(msg, path=str(path), found=found.hex(), expected=expected.hex())


def _check_length(path: Path, content: bytes, expected: int) -> None:
    if len(content) != expected:
        msg = f"{path} holds {len(content):,} bytes, not {expected:,}; get it again."
        raise TaskError(msg, path=str(path), found=len(content), expected=expected)

"""Floor 1. Tasks from a folder of a user's own images, one subfolder a class."""

from __future__ import annotations

from pathlib import Path

from slimlab.data.augment import ShiftAndFlip
from slimlab.data.image_files import ImageFiles, ImageLoader, Items
from slimlab.data.pixels import MODES, Pixels
from slimlab.errors import TaskError, nearest
from slimlab.loaders import fixed_order
from slimlab.task import CALIBRATION_IMAGES, Task

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
WHOLE = Pixels()
TEST_FOLDERS = ("test", "val")  # beside train; the first that is there


def image_folder(
    path: str | Path,
    *,
    size: int = 224,
    channels: int = 3,
    test_share: float = 0.2,
    flip: bool = True,
    name: str | None = None,
    pixels: Pixels = WHOLE,
) -> Task:
    """Make a task from images in folders, one subfolder a class.

    Either ``path/train/CLASS/*`` and ``path/test/CLASS/*`` (or ``path/val/CLASS/*``, as ImageNet
    has it), or ``path/CLASS/*`` alone, of which every class then gives `test_share` to the test
    split, the same on every machine. Classes are numbered in the alphabetical order of their
    folders. Images are read when they are needed, by several threads.

    Parameters
    ----------
    path
        The folder.
    size
        Images are resized to ``size x size`` pixels.
    channels
        1 for grey, 3 for colour.
    test_share
        Share of each class in the test split, in (0, 1), where there is no folder of it.
    flip
        Mirror half of the training images. They are also shifted by up to a 14th of their size,
        where `pixels` draws no parts of them.
    name
        Names the task in tables; the folder's name when None.
    pixels
        How images are cropped, shifted and scaled; whole, and from -1 to 1, by default.
        ``Pixels(random_crop=0.08)`` draws parts of training images.

    Raises
    ------
    TaskError
        When the folder is missing, has fewer than two classes, a class has too few images, or the
        two splits have different classes. An image that is empty or damaged is named when it is
        read.

    Examples
    --------
    >>> import tempfile
    >>> import slimlab as sl
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for n in range(10):
    ...     (root / "cats").mkdir(exist_ok=True)
    ...     (root / "dogs").mkdir(exist_ok=True)
    ...     Image.new("RGB", (40, 30), (n, 0, 0)).save(root / "cats" / f"{n}.png")
    ...     Image.new("RGB", (40, 30), (0, n, 0)).save(root / "dogs" / f"{n}.png")
    >>> task = sl.image_folder(root, size=32)
    >>> len(task.train), len(task.test), list(task.example.shape)
    (16, 4, [1, 3, 32, 32])
    """
    root = Path(path)
    if channels not in MODES or size < 1 or not 0 < test_share < 1:
        msg = (
            f"image_folder needs channels 1 or 3 (found {channels}), size of at least 1 (found "
            f"{size}) and test_share inside (0, 1) (found {test_share})."
        )
        raise TaskError(msg, channels=channels, size=size, test_share=test_share)
    held = next((root / name for name in TEST_FOLDERS if (root / name).is_dir()), None)
    if (root / "train").is_dir() and held is not None:
        classes = _classes(root / "train")
        _check_same(root, classes, _classes(held), held.name)
        train, test = _items(root / "train", classes), _items(held, classes)
    else:
        classes = _classes(root)
        train, test = _split(root, classes, test_share)
    seen, held_out = (
        ImageFiles(items, size=size, channels=channels, pixels=pixels) for items in (train, test)
    )
    few = fixed_order(len(train))[:CALIBRATION_IMAGES]
    shift = size // 14 if pixels.random_crop is None else 0
    return Task(
        name=name or root.resolve().name,
        train=ImageLoader(seen, name="train"),
        calibration=ImageLoader(seen, name="calibration", order=few),
        test=ImageLoader(held_out, name="test"),
        num_classes=len(classes),
        augment=ShiftAndFlip(shift=shift, flip=flip, fill=0.0),
    )


def _classes(root: Path) -> list[str]:
    if not root.is_dir():
        msg = f"There is no folder {root}; give one with a subfolder for each class."
        raise TaskError(msg, path=str(root))
    classes = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(classes) < 2:
        msg = f"{root} has {len(classes)} subfolders; at least two are needed, one for each class."
        raise TaskError(msg, path=str(root), classes=tuple(classes))
    return classes


def _items(root: Path, classes: list[str]) -> Items:
    items: Items = []
    for label, name in enumerate(classes):
        paths = sorted(p for p in (root / name).rglob("*") if p.suffix.lower() in SUFFIXES)
        if not paths:
            msg = f"{root / name} holds no image; images end in {', '.join(SUFFIXES[:4])}, ..."
            raise TaskError(msg, path=str(root / name))
        items += [(path, label) for path in paths]
    return items


def _split(root: Path, classes: list[str], test_share: float) -> tuple[Items, Items]:
    """Give the training and the test images, with every class in both."""
    train: Items = []
    test: Items = []
    found = _items(root, classes)
    for label, name in enumerate(classes):
        items = [item for item in found if item[1] == label]
        count = max(1, round(test_share * len(items)))
        if count >= len(items):
            msg = (
                f"{root / name} holds {len(items)} images; with test_share={test_share} none would "
                "be left to train on."
            )
            raise TaskError(msg, path=str(root / name), images=len(items))
        order = fixed_order(len(items))
        test += [items[i] for i in order[:count]]
        train += [items[i] for i in order[count:]]
    return train, test


def _check_same(root: Path, train: list[str], test: list[str], held: str) -> None:
    for extra in sorted(set(train) ^ set(test)):
        here, other = ("train", test) if extra in train else (held, train)
        msg = f"Class {extra!r} is only in {root / here}. {nearest(extra, other)}"
        raise TaskError(msg, path=str(root), name=extra)

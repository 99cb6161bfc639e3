"""What shipped recipes need to be carried out on a few images, in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
from PIL import Image

import slimlab as sl
from slimlab.recipe.parts import ModelSource, TeacherSource

IMAGES, CLASSES, PIXELS = 32, 4, 32


def shaded_digits() -> sl.Task:
    """Give digits, for which the zoo knows weights, in more than their 17 shades.

    One of 17 lies in the very middle between two of 255, where runtimes round either way.
    """
    digits, rng = sl.load_task("digits"), np.random.default_rng(0)
    splits = []
    for loader in (digits.train, digits.test):
        x, labels = next(loader.batches(1000))
        splits += [x.numpy() + rng.normal(0, 0.02, x.shape).astype("float32"), labels.numpy()]
    return sl.Task.from_arrays(*splits, num_classes=10, name=digits.name)


def larger(task: sl.Task) -> sl.Task:
    """Give images of 8 x 8 in the size of Fashion-MNIST's, under its name."""
    splits = []
    for loader in (task.train, task.test):
        x, labels = next(loader.batches(64))
        splits += [np.kron(x.numpy(), np.ones((3, 3), "float32")), labels.numpy()]
    x, labels, x_test, labels_test = splits
    margin = ((0, 0), (0, 0), (2, 2), (2, 2))
    x, x_test = np.pad(x, margin), np.pad(x_test, margin)
    return sl.Task.from_arrays(x, labels, x_test, labels_test, num_classes=10, name="fashion-mnist")


def image_net(root: Path) -> Path:
    """Write a folder of images as ImageNet's, small and few, and trained models beside it."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 8)):
        for label in range(CLASSES):
            place = root / "imagenet" / split / f"n{label:08d}"
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 100, (40, 48, 3), dtype=np.uint8)
                pixels[:, :, label % 3] += 50 * (1 + label // 3)
                Image.fromarray(pixels).save(place / f"{number}.JPEG")
    paddle.seed(0)
    for name, more in (("mobilenet_v1", {"scale": 0.25}), ("resnet50", {"width": 8})):
        model = sl.load_model(f"vision:{name}", num_classes=CLASSES, **more)
        sl.save(model, root / name)
    return root


def at_home(recipe: sl.Recipe, root: Path) -> sl.Recipe:
    """Give a recipe for ImageNet with the small folder's places and size, and small networks."""
    assert recipe.task is not None
    assert recipe.model is not None
    assert recipe.task.images is not None
    changed = {
        "task": recipe.task.model_copy(
            update={"images": str(root / recipe.task.images), "size": PIXELS}
        )
    }
    if recipe.model.artifact is not None:
        changed["model"] = ModelSource(artifact=str(root / recipe.model.artifact))
    else:
        changed["model"] = ModelSource(name=recipe.model.name, arguments={"scale": 0.25})
    strategies = []
    for strategy in recipe.strategies:
        if isinstance(strategy, sl.Distill):
            teachers = {
                name: TeacherSource(artifact=str(root / str(teacher.artifact)))
                for name, teacher in strategy.teachers.items()
            }
            strategy = strategy.model_copy(update={"teachers": teachers})
        strategies.append(strategy)
    return recipe.model_copy(update={**changed, "strategies": tuple(strategies)})

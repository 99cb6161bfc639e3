"""Folders of images: classes, splits, and the names of files that can't be read."""

import numpy as np
import pytest
from PIL import Image

import slimlab as sl


def write(root, classes=("cat", "dog"), count=5, *, mode="RGB", suffix=".png"):
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            colour = (40 * number + i) if mode == "L" else (40 * number + i, 0, 255)
            Image.new(mode, (12, 10), colour).save(root / name / f"{i}{suffix}")
    return root


def everything(loader):
    x, y = next(loader.batches(100))
    return x.numpy(), y.numpy()


def test_one_folder_is_split_class_by_class(tmp_path):
    task = sl.image_folder(write(tmp_path / "pets", count=10), size=8, test_share=0.3)
    assert task.name == "pets"
    assert tuple(task.example.shape) == (1, 3, 8, 8)
    x, y = everything(task.train)
    x_test, y_test = everything(task.test)
    assert np.bincount(y).tolist() == [7, 7]
    assert np.bincount(y_test).tolist() == [3, 3]
    seen = {round(float(v), 4) for v in np.concatenate([x, x_test])[:, 0, 0, 0]}
    assert len(seen) == 20  # every file once, in one split


def test_train_and_test_folders_are_kept(tmp_path):
    write(tmp_path / "train", count=4)
    write(tmp_path / "test", count=2)
    task = sl.image_folder(tmp_path, size=8, name="pets")
    assert (len(task.train), len(task.test), task.num_classes) == (8, 4, 2)


def test_imagenets_val_is_the_test_split(tmp_path):
    write(tmp_path / "train", count=4)
    write(tmp_path / "val", count=2)
    task = sl.image_folder(tmp_path, size=8)
    assert (len(task.train), len(task.test), task.num_classes) == (8, 4, 2)
    (tmp_path / "val" / "cow").mkdir()
    with pytest.raises(sl.TaskError, match="val"):
        sl.image_folder(tmp_path, size=8)


def test_pixels_run_from_minus_one_to_one_and_labels_are_alphabetical(tmp_path):
    task = sl.image_folder(write(tmp_path / "p"), size=8)
    x, y = everything(task.train)
    assert x[:, 1].max() == -1.0
    assert x[:, 2].min() == 1.0
    red = (x[:, 0, 0, 0] + 1) * 127.5
    assert ((red >= 40) == (y == 1)).all()


def test_the_middle_of_a_picture_and_the_numbers_of_its_pixels():
    columns = np.repeat(np.arange(8, dtype=np.uint8) * 30, 8).reshape(8, 8).T  # 8 wide, 8 high
    wide = Image.fromarray(np.concatenate([columns, columns], axis=1)).convert("RGB")
    pixels = sl.Pixels(crop=1.0, mean=(0.1, 0.2, 0.3), deviation=(0.5, 1.0, 2.0))
    found = pixels.of(wide, size=8, channels=3)
    middle = np.array([4, 5, 6, 7, 0, 1, 2, 3]) * 30 / 255
    assert found[0, 3] == pytest.approx((middle - 0.1) / 0.5, abs=1e-6)
    assert found[2, 0] == pytest.approx((middle - 0.3) / 2.0, abs=1e-6)
    half = sl.Pixels(crop=0.5).of(wide, size=4, channels=1)  # shorter side 8, the middle 4 of it
    assert half[0, 0] == pytest.approx(np.array([6, 7, 0, 1]) * 60 / 255 - 1, abs=1e-6)


def test_a_folder_is_read_with_them(tmp_path):
    write(tmp_path / "p", mode="L")
    task = sl.image_folder(tmp_path / "p", size=8, channels=1, pixels=sl.Pixels(mean=(0.0,) * 3))
    assert everything(task.test)[0].min() >= 0


@pytest.mark.parametrize(
    "bad", [{"crop": 0}, {"crop": 1.5}, {"mean": (1, 2)}, {"deviation": (0.0,) * 3}, {"mean": ()}]
)
def test_pixels_that_can_not_be(bad):
    with pytest.raises(sl.TaskError):
        sl.Pixels(**bad)
    with pytest.raises(sl.RecipeError):
        sl.Recipe(version=1, task={"images": "x", **bad}, strategies=[sl.Prune(method="uniform",
                  macs=0.5)])  # fmt: skip


def test_grey_images(tmp_path):
    task = sl.image_folder(write(tmp_path / "p", mode="L"), size=8, channels=1)
    assert tuple(task.example.shape) == (1, 1, 8, 8)


def test_same_split_each_time(tmp_path):
    write(tmp_path / "p", count=9)
    assert (
        sl.image_folder(tmp_path / "p", size=8).fingerprint()
        == sl.image_folder(tmp_path / "p", size=8).fingerprint()
    )


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda content: b"", "is empty"),
        (lambda content: b"no image", "can't be read"),
        (lambda content: content[: len(content) // 2], "can't be read"),
    ],
)
def test_a_damaged_image_is_named(tmp_path, damage, sentence):
    write(tmp_path / "train")
    write(tmp_path / "test")
    path = tmp_path / "train" / "dog" / "3.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(sl.TaskError, match=sentence) as caught:
        everything(sl.image_folder(tmp_path, size=8).train)
    assert str(path) in str(caught.value)


def test_missing_folder(tmp_path):
    with pytest.raises(sl.TaskError, match="no folder"):
        sl.image_folder(tmp_path / "nowhere")


def test_fewer_than_two_classes(tmp_path):
    write(tmp_path, classes=("cat",))
    with pytest.raises(sl.TaskError, match="1 subfolders"):
        sl.image_folder(tmp_path)


def test_a_class_without_images(tmp_path):
    write(tmp_path)
    (tmp_path / "eel").mkdir()
    (tmp_path / "eel" / "notes.txt").write_text("none")
    with pytest.raises(sl.TaskError, match="eel holds no image"):
        sl.image_folder(tmp_path)


def test_a_class_with_one_image_can_not_be_split(tmp_path):
    write(tmp_path, count=1)
    with pytest.raises(sl.TaskError, match="none would be left"):
        sl.image_folder(tmp_path)


def test_splits_with_different_classes(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "test", classes=("cat", "dogs"))
    with pytest.raises(sl.TaskError, match="Class 'dog' is only in"):
        sl.image_folder(tmp_path)


@pytest.mark.parametrize("options", [{"channels": 2}, {"size": 0}, {"test_share": 1.0}])
def test_arguments_out_of_range(tmp_path, options):
    with pytest.raises(sl.TaskError, match="image_folder needs"):
        sl.image_folder(write(tmp_path / "p"), **options)

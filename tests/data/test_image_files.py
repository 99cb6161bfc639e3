"""Reading image files: parts drawn at random, threads that change nothing, places in an epoch."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from compressing import same
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import slimlab as sl
from slimlab.data.image_files import ImageFiles, ImageLoader
from slimlab.data.pixels import STRETCH, drawn_box
from slimlab.workers import ForkedGroup


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with two classes of noisy pictures that are wider than high."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir()
        for number in range(24):
            pixels = rng.integers(0, 128, (20, 28, 3), dtype=np.uint8)
            pixels[:, :, label] += 100
            Image.fromarray(pixels).save(root / name / f"{number:02d}.png")
    return root


def task(root, **more):
    return sl.image_folder(root, size=16, pixels=sl.Pixels(random_crop=0.3, **more))


def read(loader, size=5, **more):
    pairs = [(x.numpy(), y.numpy()) for x, y in loader.batches(size, **more)]
    return [np.concatenate(each) for each in zip(*pairs, strict=True)]


@given(
    st.integers(1, 300), st.integers(1, 300), st.floats(0.01, 1), st.integers(0, 2**32 - 1)
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_a_part_lies_inside_and_is_as_large_and_as_wide_as_it_says(width, height, least, seed):
    left, top, right, bottom = drawn_box((width, height), least, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    wide, high = right - left, bottom - top
    # Whole pixels: each side is off by half a pixel at most.
    assert (wide - 0.5) / (high + 0.5) <= STRETCH
    assert (high - 0.5) / (wide + 0.5) <= STRETCH
    if 1 / STRETCH <= width / height <= STRETCH:
        assert (wide + 0.5) * (high + 0.5) >= 0.75 * least * width * height


def test_parts_are_spread_over_the_picture_and_over_the_areas():
    rng = np.random.default_rng(1)
    boxes = np.array([drawn_box((100, 100), 0.1, rng) for _ in range(2000)])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 1e4
    assert np.histogram(areas, 9, (0.1, 1.0))[0][:6].min() > 150
    assert boxes[:, 0].max() > 50
    assert boxes[:, 3].min() < 50


def test_the_part_is_what_is_resized(root):
    path = root / "cat" / "00.png"
    pixels = sl.Pixels(random_crop=0.3)
    found = pixels.of(Image.open(path), size=16, channels=3, rng=np.random.default_rng(7))
    box = drawn_box((28, 20), 0.3, np.random.default_rng(7))
    byhand = np.asarray(Image.open(path).crop(box).resize((16, 16)), np.float32) / 127.5 - 1
    assert np.abs(found - byhand.transpose(2, 0, 1)).max() < 0.25  # edges weigh neighbours
    assert np.abs(found - byhand.transpose(2, 0, 1)).mean() < 0.03


def test_with_a_seed_parts_are_drawn_and_without_the_middle_is_taken(root):
    data = task(root)
    whole = sl.image_folder(root, size=16)
    assert data.fingerprint() == whole.fingerprint()
    for mine, theirs in zip(read(data.train), read(whole.train), strict=True):
        assert (mine == theirs).all()
    one, again, other = (read(data.train, seed=seed) for seed in (1, 1, 2))
    plain = read(whole.train, seed=1)
    assert (one[0] == again[0]).all()
    assert (one[1] == plain[1]).all(), "the same images in the same order"
    assert (one[0] != plain[0]).any(axis=(1, 2, 3)).all(), "each is a part of its own"
    assert (one[1] != other[1]).any()
    assert (data.augment.shift, whole.augment.shift) == (0, 1)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_and_batch_sizes_change_no_bit(root, threads):
    items = [(path, int(path.parent.name == "dog")) for path in sorted(root.rglob("*.png"))]
    files = ImageFiles(items, size=16, channels=3, pixels=sl.Pixels(random_crop=0.3))
    alone = read(ImageLoader(files, name="train", threads=1), seed=3)
    several = read(ImageLoader(files, name="train", threads=threads), size=7, seed=3)
    assert all((a == b).all() for a, b in zip(alone, several, strict=True))
    few = read(ImageLoader(files, name="train", threads=threads), images=9)
    assert len(few[1]) == 9


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_that_are_skipped_are_not_read(root, threads):
    items = [(path, 0) for path in sorted(root.rglob("*.png"))]
    files = ImageFiles(items, size=16, channels=3, pixels=sl.Pixels(random_crop=0.3))
    loader = ImageLoader(files, name="train", threads=threads)
    whole = list(loader.batches(10, seed=4))
    opened = []
    files.read = lambda index, rng: opened.append(index) or ImageFiles.read(files, index, rng)
    rest = list(loader.batches(10, seed=4, skip=3))
    assert len(opened) == 18
    for (x, _), (expected, _) in zip(rest, whole[3:], strict=True):
        assert (x == expected).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_another_workers_is_not_read(root, threads):
    items = [(path, number) for number, path in enumerate(sorted(root.rglob("*.png")))]
    files = ImageFiles(items, size=16, channels=3, pixels=sl.Pixels(random_crop=0.3))
    loader = ImageLoader(files, name="train", threads=threads)
    whole = list(loader.batches(9, seed=4))
    parts = [ForkedGroup(rank, [], np.zeros((2, 2, 1), np.float32)).part for rank in (0, 1)]
    halves = [list(loader.batches(9, seed=4, part=part)) for part in parts]
    assert [len(y) for _, y in whole] == [9, 9, 9, 9, 9, 3]
    for (x, y), (first, same_y), (second, again_y) in zip(whole, *halves, strict=True):
        assert (x == first + second).all()
        assert not (first != 0)[len(y) // 2 :].any()
        assert (y == same_y).all()
        assert (y == again_y).all()


def test_workers_read_their_own_images_and_train_the_same(root, monkeypatch):
    opened = []
    original = ImageFiles.read
    monkeypatch.setattr(
        ImageFiles, "read", lambda *of: opened.append(of[1]) or original(*of)
    )  # in this process: the other's list is its own
    model = sl.load_model("vgg", num_classes=2, in_channels=3, size=16, pretrained=False)
    options = {"batch_size": 19, "workers": 2, "progress": False}
    tuned, history = sl.fine_tune(model, task(root), **options)
    half = len(opened)
    monkeypatch.setattr(ImageLoader, "reads_parts", False)
    again, expected = sl.fine_tune(model, task(root), **options)
    assert len(opened) - half == half + 20, "9 of 19 images, twice"
    assert same(tuned, again)
    assert history == expected


def test_no_thread_is_left_by_an_iteration_that_was_given_up(root):
    before = threading.active_count()
    batches = task(root).train.batches(4, seed=0)
    next(batches)
    assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before


def test_a_file_that_goes_missing_is_named(root, tmp_path):
    gone = tmp_path / "gone.png"
    items = [(path, 0) for path in sorted(root.rglob("*.png"))] + [(gone, 1)]
    files = ImageFiles(items, size=16, channels=3, pixels=sl.Pixels())
    with pytest.raises(sl.TaskError, match=r"gone\.png can't be read"):
        read(ImageLoader(files, name="train", threads=3))


def recipe(root, **task):
    return sl.Recipe(
        version=1, batch_size=8, checkpoint={"steps": 1},
        model={"name": "vgg", "pretrained": False},
        task={"images": str(root), "size": 16, "random_crop": 0.3, **task},
        strategies=[{"strategy": "fine_tune", "end_epoch": 2}],
    )  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_was_stopped_goes_on_with_the_same_parts(root, tmp_path, workers):
    steps = sl.Compressor(recipe(root), folder=tmp_path / "run", workers=workers).iter_run()
    for step in steps:
        if step.done == 6:  # the second of four batches of its second epoch
            break
    assert not sl.finish_early(steps).complete
    again = sl.Compressor(recipe(root), folder=tmp_path / "run", workers=workers)
    whole = sl.Compressor(recipe(root), workers=workers).run(progress=False)
    found = again.run(progress=False)
    assert same(found.model, whole.model)
    assert found.history == whole.history


def test_a_run_is_told_that_images_are_read_in_another_way(root, tmp_path):
    steps = sl.Compressor(recipe(root), folder=tmp_path / "run").iter_run()
    for step in steps:
        if step.done == 5:
            break
    sl.finish_early(steps)
    changed = recipe(root, random_crop=0.5)
    with pytest.warns(sl.errors.SlimLabWarning, match=r"random_crop 0\.3 -> 0\.5"):
        sl.Compressor(changed, folder=tmp_path / "run").run(progress=False)


def test_only_folders_have_parts():
    own = {"name": "digits", "random_crop": 0.5}
    with pytest.raises(sl.RecipeError, match="`random_crop` belongs to a folder of images"):
        sl.Recipe(version=1, task=own, strategies=[sl.FineTune(end_epoch=1)])
    with pytest.raises(sl.TaskError, match=r"random_crop is 1\.5"):
        replace(sl.Pixels(), random_crop=1.5)

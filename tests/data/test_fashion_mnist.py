"""Fashion-MNIST: where it is looked for, and what damaged files are called."""

import gzip
import shutil
import struct
import sys

import numpy as np
import pytest

import slimlab as sl
from slimlab.data import fashion_mnist as function

module = sys.modules[function.__module__]
COUNTS = {"train": 1100, "t10k": 30}


def idx(kind, count, *, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "images":
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        return header + rng.integers(0, 256, count * 784, dtype=np.uint8).tobytes()
    return struct.pack(">II", 0x801, count) + rng.integers(0, 10, count, dtype=np.uint8).tobytes()


def write(root, *, packed=True):
    root.mkdir(parents=True, exist_ok=True)
    for split, count in COUNTS.items():
        for kind, dims in (("images", 3), ("labels", 1)):
            name = f"{split}-{kind}-idx{dims}-ubyte"
            content = idx(kind, count)
            if packed:
                (root / f"{name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                (root / name).write_bytes(content)
    return root


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Files with few images, no package, an empty cache, and a network that is down."""
    small_files = {
        "train": (*module.FILES["train"][:2], COUNTS["train"]),
        "test": (*module.FILES["test"][:2], COUNTS["t10k"]),
    }
    monkeypatch.setattr(module, "FILES", small_files)
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr("paddle.dataset.common.DATA_HOME", str(tmp_path / "cache"))

    def down(*args, **kwargs):
        message = "Cannot download: the network is down\nsecond line"
        raise RuntimeError(message)

    monkeypatch.setattr("paddle.vision.datasets.FashionMNIST", down)


def test_reads_a_folder_the_user_names(tmp_path):
    task = sl.load_task("fashion-mnist", folder=write(tmp_path / "mine"))
    assert (len(task.train), len(task.calibration), len(task.test)) == (76, 1024, 30)
    assert tuple(task.example.shape) == (1, 1, 28, 28)
    assert task.name == "fashion-mnist"


def test_unpacked_files_are_read_as_well(tmp_path):
    packed = sl.load_task("fashion-mnist", folder=write(tmp_path / "a"))
    plain = sl.load_task("fashion-mnist", folder=write(tmp_path / "b", packed=False))
    assert packed.fingerprint() == plain.fingerprint()


def test_pixels_are_scaled_and_test_images_keep_their_order(tmp_path):
    task = sl.load_task("fashion-mnist", folder=write(tmp_path / "mine"))
    raw = np.frombuffer(idx("images", 30), np.uint8, offset=16).reshape(30, 1, 28, 28)
    x, y = next(task.test.batches(30))
    assert x.numpy() == pytest.approx((raw / 255 - 0.2860) / 0.3530, abs=1e-5)
    assert y.tolist() == list(idx("labels", 30)[8:])


def test_calibration_is_taken_out_of_training(tmp_path):
    task = sl.load_task("fashion-mnist", folder=write(tmp_path / "mine"))
    sums = [
        {image.tobytes() for image in next(part.batches(2000))[0].numpy()}
        for part in (task.train, task.calibration)
    ]
    assert not sums[0] & sums[1]


def test_the_package_comes_before_the_cache(tmp_path):
    write(tmp_path / "cache" / "fashion-mnist")
    cached = sl.load_task("fashion-mnist")
    write(tmp_path / "debian")
    (tmp_path / "debian" / "t10k-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx("labels", 30, seed=9))
    )
    assert sl.load_task("fashion-mnist").fingerprint() != cached.fingerprint()


def test_a_damaged_place_is_passed_over(tmp_path):
    write(tmp_path / "debian")
    (tmp_path / "debian" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
    write(tmp_path / "cache" / "fashion-mnist")
    assert len(sl.load_task("fashion-mnist").test) == 30


def test_one_error_lists_every_place(tmp_path):
    with pytest.raises(sl.TaskError) as caught:
        sl.load_task("fashion-mnist")
    text = str(caught.value)
    assert len(caught.value.tried) == 3
    assert f"no folder {tmp_path / 'debian'}" in text
    assert f"no folder {tmp_path / 'cache' / 'fashion-mnist'}" in text
    assert "Paddle's download: it failed with RuntimeError" in text
    assert "the network is down" in text
    assert "second line" not in text
    assert "dataset-fashion-mnist" in text


def test_download_can_be_forbidden():
    with pytest.raises(sl.TaskError, match="not tried, because download=False"):
        sl.load_task("fashion-mnist", download=False)


def test_a_named_folder_is_the_only_place(tmp_path):
    write(tmp_path / "debian")
    with pytest.raises(sl.TaskError) as caught:
        sl.load_task("fashion-mnist", folder=tmp_path / "nowhere")
    assert len(caught.value.tried) == 1


def test_a_finished_download_is_read(tmp_path, monkeypatch):
    def download(*args, **kwargs):
        write(tmp_path / "cache" / "fashion-mnist")

    monkeypatch.setattr("paddle.vision.datasets.FashionMNIST", download)
    assert len(sl.load_task("fashion-mnist").test) == 30


IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "damage", "sentence"),
    [
        (f"{IMAGES}.gz", lambda b: b[: len(b) // 2], "damaged or cut off"),
        (f"{IMAGES}.gz", lambda b: b"not gzip", "damaged or cut off"),
        (f"{IMAGES}.gz", lambda b: b[:40] + b"\0" * 40 + b[80:], "damaged or cut off"),
        (IMAGES, lambda b: b[: len(b) // 2], "holds 11,768 bytes, not 23,536"),
        (IMAGES, lambda b: b + b"\0", "holds 23,537 bytes"),
        (IMAGES, lambda b: b"\0\0\x08\x01" + b[4:], "not with the IDX header 00000803"),
        (IMAGES, lambda b: b[:4] + struct.pack(">I", 31) + b[8:], "not with the IDX header"),
        (IMAGES, lambda b: b"", "not with the IDX header"),
        (LABELS, lambda b: b[:-1], "holds 37 bytes, not 38"),
        (LABELS, lambda b: b[:-1] + b"\x0a", "holds label 10"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, damage, sentence):
    root = write(tmp_path / "mine", packed=name.endswith(".gz"))
    path = root / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(sl.TaskError, match=sentence) as caught:
        sl.load_task("fashion-mnist", folder=root)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    root = write(tmp_path / "mine")
    (root / f"{LABELS}.gz").unlink()
    with pytest.raises(sl.TaskError, match=f"no {LABELS}.gz in"):
        sl.load_task("fashion-mnist", folder=root)


def test_the_real_files(fashion_mnist_folder, monkeypatch):
    monkeypatch.undo()
    task = sl.load_task("fashion-mnist", folder=fashion_mnist_folder)
    assert (len(task.train), len(task.calibration), len(task.test)) == (58_976, 1024, 10_000)
    x, y = next(task.train.batches(2000))
    assert abs(float(x.mean())) < 0.03
    assert abs(float(x.std()) - 1) < 0.03
    assert np.bincount(y.numpy(), minlength=10).min() > 150


def test_a_real_file_cut_in_half(fashion_mnist_folder, tmp_path, monkeypatch):
    monkeypatch.undo()
    for path in fashion_mnist_folder.glob("*.gz"):
        shutil.copy(path, tmp_path)
    cut = tmp_path / "train-images-idx3-ubyte.gz"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(sl.TaskError, match=r"train-images-idx3-ubyte\.gz is damaged or cut"):
        sl.load_task("fashion-mnist", folder=tmp_path)

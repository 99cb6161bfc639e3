from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import pytest
from exports import logits_of, run_readme
from paddle import nn
from programs import Model, Operator, read_model

import slimlab as sl
from slimlab.export.formats import Subject
from slimlab.export.paddle_files import write_float, write_int8, write_lite

CONFIGS = [
    ("abs_max", "abs_max"),
    ("abs_max", "moving_average_abs_max"),
    ("channel_wise_abs_max", "range_abs_max"),
]
WEIGHTED = {
    "conv2d": ("Input", "Filter", 0),
    "depthwise_conv2d": ("Input", "Filter", 0),
    "conv2d_transpose": ("Input", "Filter", 1),
    "matmul_v2": ("X", "Y", 1),
    "mul": ("X", "Y", 1),
}


@pytest.fixture(scope="module")
def digits() -> sl.Task:
    return sl.load_task("digits")


@pytest.fixture(scope="module")
def images(digits: sl.Task) -> np.ndarray:
    return next(iter(digits.test.batches(16)))[0].numpy()


def quantized(name: str, task: sl.Task, **settings) -> nn.Layer:
    config = sl.QuantConfig(calibration_images=64, **settings)
    return sl.quantize(sl.load_model(name, task), task, config, progress=False)


def put(files: dict[str, bytes], folder: Path) -> Model:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return read_model(folder)


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    """The same but for single images whose values lie in the middle between two steps."""
    apart = np.abs(found - wanted).max(axis=1) / np.abs(wanted).max(axis=1)
    return bool(np.median(apart) < 1e-3 and (found.argmax(1) == wanted.argmax(1)).mean() > 0.9)


def weights_of(file: Model) -> list[tuple[Operator, Operator]]:
    """Operators with an int8 weight, each with what makes the weight of it."""
    found = []
    for op in file.operators:
        if op.kind in WEIGHTED:
            maker = file.maker(op.reads(WEIGHTED[op.kind][1]))
            if maker is not None and maker.kind == "dequantize_linear":
                found.append((op, maker))
    return found


@pytest.mark.parametrize("config", CONFIGS)
def test_int8_weights_and_the_same_outputs(
    config: tuple[str, str], digits: sl.Task, images: np.ndarray, tmp_path: Path
):
    weight, activation = config
    model = quantized("vgg", digits, weight=weight, activation=activation)
    file = put(dict(write_int8(Subject.of(model, (digits.example,))).files), tmp_path)
    pairs = weights_of(file)
    layers = [n for n, layer in model.named_sublayers() if hasattr(layer, "weight_quantizer")]
    assert len(pairs) == len(layers)
    for op, maker in pairs:
        stored = file.variables[maker.reads("X")]
        assert stored.stored
        assert stored.dtype == np.int8
        axis = WEIGHTED[op.kind][2]
        scale = file.params[maker.reads("Scale")]
        wide = weight == "channel_wise_abs_max"
        assert scale.shape == ((stored.shape[axis],) if wide else (1,))
        assert maker.attributes["quant_axis"] == (axis if wide else -1)
        assert maker.attributes["bit_length"] == 8
        zero = file.params[maker.reads("ZeroPoint")]
        assert zero.dtype == np.int32
        assert zero.shape == scale.shape
        # The whole numbers are those of the model.
        layer = stored.name.removesuffix(".weight.int8")
        own = dict(model.named_sublayers())[layer].weight.numpy()
        steps = scale.reshape([-1 if n == axis else 1 for n in range(own.ndim)] if wide else [1])
        assert np.abs(file.params[stored.name] * steps / 127 - own).max() < 1e-6
    # Nothing in float32 is as large as a weight.
    most = max(a.size for a in file.params.values() if a.dtype != np.int8)
    assert most <= 64
    assert close(file.run(images)[0], logits_of(model, images))


@pytest.mark.parametrize("form", ["paddle-int8", "paddle-lite"])
def test_int8_runs_in_paddle_inference_to_the_last_bit(
    form: str, digits: sl.Task, images: np.ndarray, tmp_path: Path
):
    model = quantized("mobilenet_v1", digits)
    report = sl.export(model, tmp_path / "out", digits, format=form, images=100, runs=1,
                       progress=False)  # fmt: skip
    assert report.parity.largest == 0
    assert report.share < 0.5
    assert [one.runtime for one in report.latency] == ["paddle-inference"]
    told = "weight_bits=7" in (report.folder / "README.md").read_text()
    assert told == (form == "paddle-lite")
    found, made = run_readme(report.folder, images, tmp_path), logits_of(model, images)
    assert close(found, made)
    for name in ("blocks.4.pointwise", "classifier"):
        layer = dict(model.named_sublayers())[name]
        layer.weight.set_value(layer.weight * 0.5)
    again = sl.verify_export(report.folder, model, task=digits, images=50, progress=False).parity
    assert not again.holds
    assert again.first_difference == "blocks.4.pointwise"


@pytest.mark.parametrize("form", ["paddle-float", "paddle-int8", "paddle-lite"])
def test_the_file_has_the_accuracy_of_the_model(form: str, tmp_path: Path):
    task, count = sl.load_task("fashion-mnist"), 500
    model = sl.quantize(sl.load_model("vgg", task), task, progress=False)
    report = sl.export(
        model, tmp_path / "out", task, format=form, images=count, runs=0, progress=False
    )
    x, labels = next(iter(task.test.batches(count)))
    # Loaded by the lines of its README, with all that Paddle Inference does to it.
    made = run_readme(report.folder, x.numpy(), tmp_path)
    right = (made.argmax(1) == labels.numpy().reshape(-1)).mean() * 100
    wanted = sl.evaluate(model, task, images=count)["top1"]
    assert right == pytest.approx(wanted, abs=0.1)
    assert report.parity.default_value == pytest.approx(right)


@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet20", "vgg"])
def test_what_paddle_lite_looks_for(name: str, digits: sl.Task, images: np.ndarray, tmp_path: Path):
    model = quantized(name, digits, weight="abs_max")
    file = put(dict(write_lite(Subject.of(model, (digits.example,))).files), tmp_path)
    pairs = weights_of(file)
    layers = [n for n, layer in model.named_sublayers() if hasattr(layer, "weight_quantizer")]
    assert len(pairs) == len(layers)
    readers = [name for op in file.operators for names in op.inputs.values() for name in names]
    for op, maker in pairs:
        data, _, axis = WEIGHTED[op.kind]
        stored = file.variables[maker.reads("X")]
        assert stored.stored
        assert stored.dtype == np.int8
        # One scale a channel, also of a weight with one scale; scales and zeros of this one alone.
        assert file.params[maker.reads("Scale")].shape == (stored.shape[axis],)
        assert readers.count(maker.reads("Scale")) == readers.count(maker.reads("ZeroPoint")) == 1
        # Its input comes from a pair of quantize_linear and dequantize_linear of one stored scale.
        back = file.maker(op.reads(data))
        assert back is not None
        assert back.kind == "dequantize_linear"
        there = file.maker(back.reads("X"))
        assert there is not None
        assert there.kind == "quantize_linear"
        assert there.reads("Scale") == back.reads("Scale")
        assert file.variables[there.reads("Scale")].stored
        assert not file.variables[there.reads("X")].stored
    assert not file.of("matmul_v2")
    assert close(file.run(images)[0], logits_of(model, images))


def test_lite_refuses_what_it_can_not_run(digits: sl.Task, tmp_path: Path):
    for settings, why in (
        ({"activation": "abs_max", "weight": "abs_max"}, "scale is computed as it runs"),
        ({"activation_bits": 4}, "activations have 4 bits"),
    ):
        model = quantized("vgg", digits, **settings)
        with pytest.raises(sl.ExportError, match=why):
            sl.export(model, tmp_path / "out", digits, format="paddle-lite", progress=False)
    config = sl.QuantConfig(observer="abs_max")
    task = sl.Task.from_arrays(
        *[np.random.default_rng(0).standard_normal([8, 3, 8, 8]).astype(np.float32),
          np.arange(8) % 2] * 2, num_classes=2)  # fmt: skip
    celu = nn.Sequential(nn.Conv2D(3, 4, 3), nn.CELU(), nn.Flatten(), nn.Linear(144, 2))
    model = sl.quantize(celu, task, config, progress=False)
    with pytest.raises(sl.ExportError, match=r"celu .*Paddle Lite: it has no operator 'celu'"):
        sl.export(model, tmp_path / "out", task, format="paddle-lite", progress=False)
    assert list(tmp_path.iterdir()) == []


class Turned(nn.Layer):
    """Transposed convolutions, one in groups; a layer in float; a grid that is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2D(3, 8, 3, padding=1)
        self.turn = nn.Conv2DTranspose(8, 8, 2, stride=2)
        self.grouped = nn.Conv2DTranspose(8, 8, 2, stride=2, groups=4)
        self.free = nn.Conv2D(8, 4, 3, stride=4)
        self.last = nn.Linear(4 * 64, 2)

    def forward(self, x):
        x = nn.functional.relu(self.first(x))
        x = self.grouped(nn.functional.hardswish(self.turn(x)))
        x = self.free(x)
        return self.last((x + x).flatten(1))


def test_lite_of_transposed_float_and_moved(tmp_path: Path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal([16, 3, 8, 8]).astype(np.float32)
    task = sl.Task.from_arrays(x, np.arange(16) % 2, x, np.arange(16) % 2, num_classes=2)
    paddle.seed(0)
    config = sl.QuantConfig(observer="abs_max", exclude="free")
    model = sl.quantize(Turned(), task, config, progress=False)
    report = sl.export(model, tmp_path / "out", task, format="paddle-lite", runs=0, progress=False)
    assert report.parity.largest == 0
    file = read_model(tmp_path / "out")
    kinds = {op.kind: file.params[maker.reads("Scale")].shape for op, maker in weights_of(file)}
    assert kinds == {"conv2d": (8,), "conv2d_transpose": (8,), "mul": (2,)}
    assert sum(a.dtype == np.int8 for a in file.params.values()) == 3
    assert close(file.run(x)[0], logits_of(model, x))


@pytest.mark.parametrize("write", [write_int8, write_lite])
def test_bits_below_eight_keep_their_grid(write, digits: sl.Task, images: np.ndarray, tmp_path):
    model = quantized("vgg", digits, weight_bits=4)
    file = put(dict(write(Subject.of(model, (digits.example,))).files), tmp_path)
    whole = [a for a in file.params.values() if a.dtype == np.int8]
    assert max(a.max() for a in whole) == 7
    assert min(a.min() for a in whole) >= -8
    assert close(file.run(images)[0], logits_of(model, images))


@pytest.mark.slow
def test_mobilenet_at_224_takes_less_than_a_third(tmp_path: Path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal([4, 3, 224, 224]).astype(np.float32)
    task = sl.Task.from_arrays(x, np.arange(4) % 2, x, np.arange(4) % 2, num_classes=1000)
    paddle.seed(0)
    model = sl.load_model("mobilenet_v1", task, pretrained=False)
    config = sl.QuantConfig(observer="abs_max", calibration_images=4)
    subject = Subject.of(sl.quantize(model, task, config, progress=False), (task.example,))
    before = sum(map(len, write_float(subject.in_float()).files.values()))
    for write in (write_int8, write_lite):
        assert sum(map(len, write(subject).files.values())) <= 0.30 * before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet20", "vgg"])
@pytest.mark.parametrize("form", ["paddle-float", "paddle-int8", "paddle-lite"])
def test_prune_train_on_the_grid_export_in_one_go(
    name: str, form: str, digits: sl.Task, tmp_path: Path
):
    model = sl.load_model(name, digits)
    graph = sl.trace(model, digits.example)
    small = sl.prune(model, sl.plan_pruning(model, graph, sl.uniform_ratios(graph, ratio=0.5)))
    config = sl.QuantConfig(calibration_images=64)
    int8 = sl.quantize(small, digits, config, epochs=1, progress=False)
    report = sl.export(int8, tmp_path / "out", digits, format=form, runs=0, progress=False)
    assert report.parity.largest == 0

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import paddle
import pytest
from exports import logits_of, run_readme

import slimlab as sl
from slimlab.loaders import ArrayLoader


@pytest.fixture(scope="module")
def digits() -> sl.Task:
    return sl.load_task("digits")


def _files(folder: Path) -> onnx.GraphProto:
    return onnx.load(folder / "model.onnx").graph


@pytest.mark.parametrize(
    "config",
    [
        ("abs_max", "abs_max"),
        ("abs_max", "range_abs_max"),
        ("channel_wise_abs_max", "moving_average_abs_max"),
    ],
)
def test_int8_of_a_quantized_network(config: tuple[str, str], digits: sl.Task, tmp_path: Path):
    weight, activation = config
    asked = sl.QuantConfig(weight=weight, activation=activation, calibration_images=64)
    model = sl.quantize(sl.load_model("vgg", digits), digits, asked, progress=False)
    report = sl.export(model, tmp_path / "out", digits, format="onnx-int8", runs=1, progress=False)
    graph = _files(report.folder)
    stored = {one.name: one for one in graph.initializer}
    weights = [name for name in stored if name.endswith("weight.int8")]
    layers = [n for n, layer in model.named_sublayers() if hasattr(layer, "weight_quantizer")]
    assert sorted(weights) == sorted(f"{name}.weight.int8" for name in layers)
    assert all(stored[name].data_type == onnx.TensorProto.INT8 for name in weights)
    readers = {n.input[0]: n for n in graph.node if n.op_type == "DequantizeLinear"}
    for name in weights:
        steps = int(np.prod(stored[readers[name].input[1]].dims))
        assert (steps > 1) == (weight == "channel_wise_abs_max")
    # Biases are float and lie in the convolutions.
    biases = [stored[n.input[2]] for n in graph.node if n.op_type == "Conv" and len(n.input) == 3]
    assert biases
    assert {one.data_type for one in biases} == {onnx.TensorProto.FLOAT}
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    onnx.checker.check_model(onnx.load(report.folder / "model.onnx"), full_check=True)
    assert report.parity.holds
    assert not report.parity.exact
    assert report.float_bytes > report.bytes
    manifest = json.loads((report.folder / "slimlab.json").read_text())
    assert manifest["quantized"]["config"]["weight"] == weight
    assert [one["runtime"] for one in manifest["float_latency"]] == ["onnxruntime", "openvino"]


def test_readme_and_verification(digits: sl.Task, tmp_path: Path):
    model = sl.quantize(sl.load_model("resnet20", digits), digits, progress=False)
    folder = sl.export(
        model, tmp_path / "out", digits, format="onnx-int8", runs=0, progress=False
    ).folder
    images = next(iter(digits.test.batches(8)))[0].numpy()
    made = logits_of(model, images)
    found = run_readme(folder, images, tmp_path)
    assert np.median(np.abs(found - made).max(axis=1)) < 0.05 * np.abs(made).max()
    assert sl.verify_export(folder, model, task=digits, progress=False).parity.holds
    layer = dict(model.named_sublayers())["stage2.0.conv1"]
    layer.weight.set_value(layer.weight * 0.5)
    found = sl.verify_export(folder, model, task=digits, progress=False).parity
    assert not found.holds
    assert found.first_difference == "stage2.0.conv1"


def test_what_other_runtimes_make_of_a_file_is_measured_and_told(tmp_path: Path):
    # OpenVINO leaves out the rounding of a convolution's result that goes into an addition.
    task = sl.load_task("fashion-mnist")
    config = sl.QuantConfig(weight_bits=4, activation_bits=4, calibration_images=64)
    model = sl.quantize(sl.load_model("resnet20", task), task, config, progress=False)
    form = "onnx-int8"
    report = sl.export(model, tmp_path / "out", task, format=form, images=300, runs=1,
                       progress=False)  # fmt: skip
    (one,) = report.parity.elsewhere
    assert report.parity.holds
    assert report.parity.differing == (one,)
    assert one.runtime == "openvino"
    assert one.typical > 20 * report.parity.typical
    frame = report.to_frame().set_index("runtime")["file"]
    assert frame["onnxruntime"] == report.parity.model_value
    assert frame["openvino"] == one.value != report.parity.model_value
    assert "openvino computes something else" in (report.folder / "README.md").read_text()
    manifest = json.loads((report.folder / "slimlab.json").read_text())
    assert manifest["parity"]["elsewhere"][0]["value"] == one.value
    again = sl.verify_export(report.folder, model, task=task, images=300, progress=False)
    assert again.parity == report.parity
    # Where nothing is rounded before additions, there is nothing to leave out.
    model = sl.quantize(
        sl.load_model("resnet20", task), task, replace(config, joins=False), progress=False
    )
    report = sl.export(model, tmp_path / "out", task, format=form, images=300, runs=0,
                       progress=False)  # fmt: skip
    assert report.parity.differing == ()
    assert report.parity.elsewhere[0].typical < 1e-3


def _quarter(name: str) -> float:
    """Bytes of the int8 file of a network at 224, as a share of those in float."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal([8, 3, 224, 224]).astype(np.float32)
    task = sl.Task.from_arrays(x, np.arange(8) % 2, x, np.arange(8) % 2, num_classes=1000)
    paddle.seed(0)
    model = sl.load_model(name, task, pretrained=False, width=1.0)
    config = sl.QuantConfig(observer="abs_max", calibration_images=4)
    model = sl.quantize(model, task, config, progress=False)
    from slimlab.export.formats import Subject
    from slimlab.export.onnx_files import write_onnx, write_onnx_int8

    subject = Subject.of(model, (task.example,))
    int8 = write_onnx_int8(subject).files["model.onnx"]
    return len(int8) / len(write_onnx(subject.in_float()).files["model.onnx"])


@pytest.mark.slow
def test_mobilenet_at_224_takes_less_than_a_third():
    assert _quarter("mobilenet_v1") <= 0.30


def _in_one_go(
    name: str, task: sl.Task, place: Path, epochs: int
) -> tuple[sl.ExportReport, paddle.nn.Layer]:
    """Prune half of the channels, train on the grid, export."""
    model = sl.load_model(name, task)
    graph = sl.trace(model, task.example)
    small = sl.prune(model, sl.plan_pruning(model, graph, sl.uniform_ratios(graph, ratio=0.5)))
    config = sl.QuantConfig(calibration_images=64)
    int8 = sl.quantize(small, task, config, epochs=epochs, progress=False)
    made = sl.export(int8, place / name, task, format="onnx-int8", runs=0, progress=False)
    return made, int8


def test_prune_train_on_the_grid_export_in_one_go(digits: sl.Task, tmp_path: Path):
    assert _in_one_go("vgg", digits, tmp_path, 1)[0].parity.holds


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet20", "vgg"])
@pytest.mark.parametrize("task", ["digits", "fashion-mnist"])
def test_every_zoo_network_in_one_go(name: str, task: str, tmp_path: Path):
    data = sl.load_task(task)
    if task == "fashion-mnist":  # twenty steps show that it goes; the accuracy is a benchmark's
        x, labels = next(iter(data.train.batches(2560, seed=0)))
        data = replace(data, train=ArrayLoader(x.numpy(), labels.numpy()))
    report, model = _in_one_go(name, data, tmp_path, 1)
    assert report.parity.holds
    file = onnx.load(report.folder / "model.onnx")
    onnx.checker.check_model(file, full_check=True)
    # Numbers take a quarter, and a scale and a bias a channel. In files of a few kilobytes the
    # description of the graph, which is twice as long as in float, weighs as much.
    numbers = sum(len(one.raw_data) for one in file.graph.initializer)
    tensors = [t for name, t in model.state_dict().items() if "quantizer" not in name]
    assert numbers <= 0.32 * sum(4 * t.size for t in tensors)
    assert report.bytes < report.float_bytes

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import onnx
import paddle
import pytest
from exports import Batched, Joined, logits_of, run_readme
from paddle import nn

import slimlab as sl
from slimlab.export import FORMATS, export_format
from slimlab.export.formats import Subject, Written
from slimlab.export.onnx_files import LINES, write_onnx
from slimlab.steps import Stopped, finish_early

NETWORKS = ("mobilenet_v1", "resnet20", "vgg")


@pytest.fixture(scope="module")
def digits() -> sl.Task:
    return sl.load_task("digits")


@pytest.fixture(scope="module")
def images(digits: sl.Task) -> np.ndarray:
    return next(iter(digits.test.batches(5)))[0].numpy()


@pytest.fixture
def spoiled():
    """A format that writes another number into one layer."""

    @export_format("spoiled", runtime="onnxruntime", timed=(), quantized=False, lines=LINES)
    def write(subject: Subject) -> Written:
        made = write_onnx(subject)
        model = onnx.ModelProto.FromString(made.files["model.onnx"])
        entry = next(i for i in model.graph.initializer if i.name == "features.1.norm.weight")
        entry.raw_data = (np.frombuffer(entry.raw_data, np.float32) * 1.5).tobytes()
        return Written({"model.onnx": model.SerializeToString()}, made.layers)

    yield
    del FORMATS["spoiled"]


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_of_zoo_networks(name: str, digits: sl.Task, images: np.ndarray, tmp_path: Path):
    model = sl.load_model(name, digits)
    report = sl.export(model, tmp_path / "out", digits, format="onnx", runs=2, progress=False)
    made = logits_of(model, images)
    assert np.abs(run_readme(report.folder, images, tmp_path) - made).max() < 1e-4
    assert report.parity.images == len(digits.test)
    assert report.parity.file_value == pytest.approx(sl.evaluate(model, digits)["top1"])
    manifest = json.loads((report.folder / "slimlab.json").read_text())
    assert manifest["inputs"] == [{"shape": ["batch", 1, 8, 8], "dtype": "float32"}]
    assert manifest["bytes"] == (report.folder / "model.onnx").stat().st_size == report.bytes
    assert [one["runs"] for one in manifest["latency"]] == [2, 2]
    assert set(report.to_frame()["runtime"]) == {"onnxruntime", "openvino"}
    again = sl.verify_export(report.folder, model, task=digits, progress=False)
    assert again.parity == report.parity
    file = onnx.load(report.folder / "model.onnx")
    onnx.checker.check_model(file, full_check=True)
    assert file.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_users_own_network_with_two_inputs(tmp_path: Path):
    paddle.seed(0)
    model = Joined()
    examples = (paddle.randn([1, 3, 4, 4]), paddle.randn([1, 2, 4, 4]))
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    report = sl.export(model, tmp_path / "own", examples, runs=1, progress=False)
    assert report.parity.holds
    assert report.parity.largest < 1e-5
    assert not report.parity.metric
    # Handed in untouched: its mode, its numbers, no hook left on it.
    assert model.training
    assert all((model.state_dict()[n].numpy() == a).all() for n, a in before.items())
    assert not any(layer._forward_post_hooks for layer in model.sublayers())
    graph = onnx.load(report.folder / "model.onnx").graph
    kinds = [node.op_type for node in graph.node]
    # Biases are inputs of the convolutions; what is left adds the branches, and the linear bias.
    assert kinds.count("Add") == 2
    assert [len(n.input) for n in graph.node if n.op_type.startswith("Conv")] == [3, 2, 3]


def test_a_network_that_knows_its_batch_is_refused(tmp_path: Path):
    with pytest.raises(sl.UnsupportedOpError, match="depends on the batch size"):
        sl.export(Batched(), tmp_path / "out", paddle.randn([1, 4]), progress=False)
    assert not (tmp_path / "out").exists()


def test_what_differs_is_an_error_and_leaves_nothing(digits: sl.Task, tmp_path: Path, spoiled):
    model = sl.load_model("vgg", digits)
    with pytest.raises(sl.ExportError, match="does not compute what the model computes") as caught:
        sl.export(model, tmp_path / "a" / "out", digits, format="spoiled", progress=False)
    assert caught.value.layer == "features.1.norm"
    assert caught.value.parity.largest > 1e-3
    assert list(tmp_path.iterdir()) == []


def test_verify_names_the_first_layer_that_differs(digits: sl.Task, tmp_path: Path):
    model = sl.load_model("resnet20", digits)
    folder = sl.export(model, tmp_path / "out", digits, runs=0, progress=False).folder
    other = copy.deepcopy(model)
    for name in ("stage2.0.conv1", "stage3.0.conv2"):
        weight = dict(other.named_sublayers())[name].weight
        weight.set_value(weight * 1.1)
    found = sl.verify_export(folder, other, task=digits, images=50, progress=False).parity
    assert not found.holds
    assert found.first_difference == "stage2.0.conv1"
    assert "'stage2.0.conv1'" in str(found)
    # Without a task, on noise.
    found = sl.verify_export(folder, other, progress=False).parity
    assert found.first_difference == "stage2.0.conv1"
    assert sl.verify_export(folder, model, progress=False).parity.holds


def test_damaged_folders_are_refused(digits: sl.Task, tmp_path: Path):
    model = sl.load_model("vgg", digits)
    folder = sl.export(model, tmp_path / "out", digits, runs=0, progress=False).folder
    file = folder / "model.onnx"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(sl.ArtifactError, match=r"model\.onnx is damaged"):
        sl.verify_export(folder, model, progress=False)
    file.unlink()
    with pytest.raises(sl.ArtifactError, match=r"model\.onnx is missing"):
        sl.verify_export(folder, model, progress=False)
    file.write_bytes(whole)
    manifest = folder / "slimlab.json"
    manifest.write_text(manifest.read_text().replace('"largest"', '"biggest"'))
    with pytest.raises(sl.ArtifactError, match="was edited"):
        sl.verify_export(folder, model, progress=False)
    sl.save(model, tmp_path / "saved")
    with pytest.raises(sl.ArtifactError, match="holds a SlimLab model, not a export"):
        sl.verify_export(tmp_path / "saved", model, progress=False)


def test_a_file_that_its_runtime_can_not_load_is_an_error(digits: sl.Task, tmp_path: Path):
    @export_format("noise", runtime="onnxruntime", timed=(), quantized=False, lines=LINES)
    def write(subject: Subject) -> Written:
        return Written({"model.onnx": b"no protocol buffer"})

    try:
        with pytest.raises(sl.ExportError, match=r"model\.onnx in onnxruntime can't run"):
            sl.export(
                sl.load_model("vgg", digits), tmp_path / "out", format="noise", progress=False
            )
    finally:
        del FORMATS["noise"]
    assert list(tmp_path.iterdir()) == []


def test_refusals_come_before_the_work(digits: sl.Task, tmp_path: Path):
    model = sl.load_model("vgg", digits)
    with pytest.raises(sl.ExportError, match="Did you mean 'onnx' or 'onnx-int8'"):
        sl.export(model, tmp_path / "out", digits, format="onnx8", progress=False)
    with pytest.raises(sl.ExportError, match="is for quantized models"):
        sl.export(model, tmp_path / "out", digits, format="onnx-int8", progress=False)
    with pytest.raises(sl.ExportError, match="Nothing says what the input"):
        sl.export(nn.Linear(2, 2), tmp_path / "out", progress=False)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    with pytest.raises(sl.ArtifactError, match="not SlimLab's"):
        next(sl.iter_export(model, tmp_path / "taken", digits))
    folder = sl.export(model, tmp_path / "out", digits, runs=0, progress=False).folder
    with pytest.raises(sl.ExportError, match="takes inputs of shape"):
        sl.verify_export(folder, model, task=sl.load_task("fashion-mnist"), progress=False)


def test_stopped_it_writes_nothing(digits: sl.Task, tmp_path: Path):
    steps = sl.iter_export(sl.load_model("vgg", digits), tmp_path / "out", digits)
    assert [next(steps).label, next(steps).label] == ["write", "check"]
    with pytest.raises(Stopped):
        finish_early(steps)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_export_is_replaced(digits: sl.Task, tmp_path: Path):
    for name in ("vgg", "resnet20"):
        model = sl.load_model(name, digits)
        sl.export(model, tmp_path / "out", digits, runs=0, progress=False)
    assert sl.verify_export(tmp_path / "out", model, progress=False).parity.holds
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

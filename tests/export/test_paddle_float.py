from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from exports import Batched, Joined, logits_of, run_readme
from programs import read_model

import slimlab as sl
from slimlab.export.formats import Subject
from slimlab.export.paddle_files import write_float

NETWORKS = ("mobilenet_v1", "resnet20", "vgg")


@pytest.fixture(scope="module")
def digits() -> sl.Task:
    return sl.load_task("digits")


@pytest.fixture(scope="module")
def images(digits: sl.Task) -> np.ndarray:
    return next(iter(digits.test.batches(5)))[0].numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_float_networks_of_the_zoo(name: str, digits: sl.Task, images: np.ndarray, tmp_path: Path):
    model = sl.load_model(name, digits)
    folder, form = tmp_path / "out", "paddle-float"
    report = sl.export(model, folder, digits, format=form, images=100, runs=0, progress=False)
    assert report.parity.holds
    assert report.parity.largest < 1e-5
    assert report.parity.file_value == report.parity.model_value
    # The file alone, read and run by code that shares nothing with what wrote it.
    file = read_model(folder)
    made = logits_of(model, images)
    np.testing.assert_allclose(file.run(images)[0], made, atol=1e-4, rtol=1e-4)
    state = model.state_dict()
    assert all((file.params[n] == state[n].numpy()).all() for n in file.params if n in state)
    assert file.variables["input_0"].shape == (-1, 1, 8, 8)
    assert file.variables["output_0"].shape == (-1, 10)


def test_its_readme_runs_and_it_is_verified(digits: sl.Task, images: np.ndarray, tmp_path: Path):
    model = sl.load_model("vgg", digits)
    report = sl.export(model, tmp_path / "out", digits, format="paddle-float", progress=False)
    assert [one.runtime for one in report.latency] == ["paddle-inference"]
    made = logits_of(model, images)
    assert np.abs(run_readme(report.folder, images, tmp_path) - made).max() < 1e-4
    assert sl.verify_export(report.folder, model, task=digits, progress=False).parity.holds
    layer = dict(model.named_sublayers())["features.1.conv"]
    layer.weight.set_value(layer.weight * 1.1)
    found = sl.verify_export(report.folder, model, task=digits, progress=False).parity
    assert not found.holds
    assert found.first_difference == "features.1.conv"


def test_a_quantized_network_is_the_same_to_the_last_bit(
    digits: sl.Task, images: np.ndarray, tmp_path: Path
):
    model = sl.quantize(sl.load_model("resnet20", digits), digits, progress=False)
    form = "paddle-float"
    report = sl.export(model, tmp_path / "out", digits, format=form, runs=0, progress=False)
    assert report.parity.largest == 0
    assert list(report.files) == ["model.pdmodel", "model.pdiparams"]
    file = read_model(tmp_path / "out")
    # Float weights that lie on the grid of their scale.
    weights = [name for name in file.params if name.endswith(".weight.grid")]
    layers = [n for n, layer in model.named_sublayers() if hasattr(layer, "weight_quantizer")]
    assert sorted(weights) == sorted(f"{name}.weight.grid" for name in layers)
    for name in layers:
        steps = model.state_dict()[f"{name}.weight_quantizer.scale"].numpy() / 127
        weight = file.params[f"{name}.weight.grid"]
        axis = 0 if weight.ndim == 4 else 1
        along = steps.reshape([-1 if n == axis else 1 for n in range(weight.ndim)])
        whole = weight / along
        assert np.abs(whole - np.rint(whole)).max() < 1e-3
    found = file.run(images)[0]
    assert np.median(np.abs(found - logits_of(model, images)).max(axis=1)) < 1e-3


LOADERS = {
    "layers": """
network = paddle.jit.load("model")
network.eval()
made = network(paddle.to_tensor(images)).numpy()
""",
    "programs": """
paddle.enable_static()
runner = paddle.static.Executor(paddle.CPUPlace())
program, names, values = paddle.static.load_inference_model("model", runner)
(made,) = runner.run(program, feed={names[0]: images}, fetch_list=values)
""",
    "inference": """
config = paddle.inference.Config("model.json", "model.pdiparams")
made = paddle.inference.create_predictor(config).run([paddle.to_tensor(images)])[0].numpy()
""",
}


@pytest.mark.parametrize("loader", LOADERS)
def test_paddles_own_loaders_read_it(
    loader: str, digits: sl.Task, images: np.ndarray, tmp_path: Path
):
    model = sl.load_model("vgg", digits)
    for name, content in write_float(Subject.of(model, (digits.example,))).files.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "images.npy", images)
    start = "import numpy, paddle; images = numpy.load('images.npy')"
    code = f"{start}\n{LOADERS[loader]}\nnumpy.save('made.npy', made)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    wanted = logits_of(model, images)
    found = np.load(tmp_path / "made.npy")
    apart = np.abs(found - wanted).max(axis=1)
    assert apart.max() < 1e-5 * np.abs(wanted).max()
    if loader != "inference":  # which changes the graph
        assert apart.max() == 0


def test_two_inputs_and_a_size_of_the_batch(tmp_path: Path):
    paddle.seed(0)
    model = Joined()
    examples = (paddle.randn([1, 3, 4, 4]), paddle.randn([1, 2, 4, 4]))
    form = "paddle-float"
    report = sl.export(model, tmp_path / "out", examples, format=form, runs=1, progress=False)
    assert report.parity.largest < 1e-5
    with pytest.raises(sl.ExportError, match="depends on the batch size"):
        sl.export(Batched(), tmp_path / "no", paddle.randn([1, 4]), format=form, progress=False)
    assert not (tmp_path / "no").exists()


def test_what_can_not_be_written_is_named_before_anything_is_written(tmp_path: Path):
    class Odd(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.first = paddle.nn.Linear(4, 4)

        def forward(self, x):
            return paddle.renorm(self.first(x), 2.0, 1, 1.0)

    with pytest.raises(sl.ExportError, match=r"Operator renorm .*Odd.* can't be written") as caught:
        sl.export(
            Odd(), tmp_path / "out", paddle.randn([1, 4]), format="paddle-float", progress=False
        )
    assert caught.value.operator == "pd_op.renorm"
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import paddle
import pytest
from paddle import Tensor, nn
from paddle.nn import functional as F  # noqa: N812

import slimlab as sl
from slimlab.export.formats import Subject
from slimlab.export.fusing import _room, fuse_whole
from slimlab.export.onnx_files import onnx_model


class Bounded(nn.Layer):
    """All that may lie between a convolution and what rounds its result."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2D(1, 8, 3, padding=1)
        self.six = nn.Conv2D(8, 8, 3, padding=1)
        self.left = nn.Conv2D(8, 8, 3, padding=1)
        self.right = nn.Conv2D(8, 8, 1)
        self.plain = nn.Conv2D(8, 8, 1)
        self.last = nn.Conv2D(8, 8, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, stride=2, padding=1)
        x = F.relu6(8 * self.six(x))
        x = F.relu(self.left(x) + self.right(x))  # read twice, and once in float
        x = F.relu(self.plain(x)) + self.last(x)
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


@pytest.fixture(scope="module")
def task() -> sl.Task:
    return sl.load_task("digits")


def _run(model: onnx.ModelProto, images: np.ndarray, *, plain: bool) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def _pair(model: nn.Layer, task: sl.Task) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    before = onnx_model(Subject.of(model, (task.example,)))
    after = copy.deepcopy(before)
    fuse_whole(after)
    onnx.checker.check_model(after, full_check=True)
    return before, after


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("activation", ["abs_max", "moving_average_abs_max"])
def test_not_a_value_changes(bits: int, activation: str, task: sl.Task) -> None:
    paddle.seed(0)
    config = sl.QuantConfig(activation=activation, activation_bits=bits, calibration_images=64)
    int8 = sl.quantize(Bounded(), task, config, progress=False)
    before, after = _pair(int8, task)
    images = next(iter(task.test.batches(32)))[0].numpy() * 1.5  # beyond what was calibrated
    want, found = _run(before, images, plain=True), _run(after, images, plain=True)
    # All but the product with the last layer's weights is the same to the last bit.
    assert np.abs(found - want).max() <= 1e-6 * np.abs(want).max()
    kinds = Counter(node.op_type for node in after.graph.node)
    if activation == "abs_max":
        assert kinds == Counter(node.op_type for node in before.graph.node)
    else:
        assert (kinds["Gemm"], kinds["MatMul"]) == (1, 0)
        # One remains behind the pool and one before it; no other bounds values in float.
        assert kinds["Relu"] == 2


def test_bounds_are_whole_numbers_worked_out_by_hand() -> None:
    # Steps of 0.5: 6 is 12 steps above the middle; -3 of 3 bits is below what a ReLU leaves.
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[n] x) => (float[n] y)
    <float step = {0.5}, int8 zero = {0}, float low = {-1.5}, float high = {6.0}>
    {
        a = Relu(x)
        b = Clip(a, low, high)
        q = QuantizeLinear(b, step, zero)
        y = DequantizeLinear(q, step, zero)
    }
    """
    model = onnx.parser.parse_model(text)
    fuse_whole(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["QuantizeLinear", "Clip", "DequantizeLinear"]
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    assert [int(stored[name]) for name in model.graph.node[1].input[1:]] == [128, 140]
    x = np.array([-9, -0.3, 0.2, 0.25, 0.75, 3.2, 6.3, 99], np.float32)
    assert _run(model, x, plain=True).tolist() == [0, 0, 0, 0, 1, 3, 6, 6]


@pytest.mark.parametrize(
    ("whole", "room"),
    [([0, 0], 1), ([1, 0, -1], 64), ([-2, 1], 64), ([2, -2], 32), ([7, -8], 16), ([127], 1)],
)
def test_weights_of_few_bits_fill_the_finer_grid(whole: list[int], room: int) -> None:
    numbers = np.array(whole, np.int8)
    assert _room(numbers) == room
    assert (numbers * np.int8(room)).tolist() == [n * room for n in whole]


@pytest.mark.parametrize("reader", ["Neg", "output"])
def test_a_value_that_is_read_in_float_too_stays(reader: str) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[n] x) => (float[n] y, float[n] z)
    <float step = {0.5}, int8 zero = {0}>
    {
        z = Relu(x)
        q = QuantizeLinear(z, step, zero)
        y = DequantizeLinear(q, step, zero)
    }
    """
    if reader == "Neg":
        text = text.replace("z = Relu(x)", "r = Relu(x) z = Neg(r)").replace("(z, step", "(r, step")
    model = onnx.parser.parse_model(text)
    fuse_whole(model)
    assert "Relu" in [node.op_type for node in model.graph.node]
    x = np.array([-1, 1], np.float32)
    assert _run(model, x, plain=True).tolist() == [0, 1]


@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet20", "vgg"])
def test_onnx_runtime_computes_in_whole_numbers(name: str, task: sl.Task, tmp_path: Path) -> None:
    model = sl.load_model(name, task)
    _, after = _pair(sl.quantize(model, task, progress=False), task)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(after.SerializeToString(), options)
    kinds = Counter(n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node)
    convolutions = sum(node.op_type == "Conv" for node in after.graph.node)
    # All but one before a global mean, whose result is not rounded.
    assert kinds["QLinearConv"] >= convolutions - 1
    assert kinds["QGemm"] == sum(isinstance(layer, nn.Linear) for layer in model.sublayers())
    assert kinds["DequantizeLinear"] <= 6


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet20", "vgg"])
def test_optimized_by_runtimes_it_gives_what_the_model_gives(
    name: str, bits: int, task: sl.Task
) -> None:
    config = sl.QuantConfig(weight_bits=bits, activation_bits=bits)
    model = sl.quantize(sl.load_model(name, task), task, config, progress=False)
    _, after = _pair(model, task)
    images = next(iter(task.test.batches(100)))[0]
    with paddle.no_grad():
        want = model(images).numpy()
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(after.SerializeToString()),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32"},
    )
    found = _run(after, images.numpy(), plain=False), compiled(images.numpy())[0]
    off = [np.abs(one - want).max(axis=1) / np.abs(want).max(axis=1) for one in found]
    # A value in the middle between two steps may go either way; few images have one.
    assert np.median(off[0]) < 1e-4
    assert off[0].mean() < 1e-3
    # OpenVINO has its own way with residual additions.
    if name != "resnet20":
        assert np.median(off[1]) < 1e-4
        assert off[1].mean() < 1e-3
    elif bits == 8:
        assert off[1].mean() < 0.05


@pytest.mark.parametrize(("whole", "factor"), [([-8, 7], 16), ([-2, 1], 64), ([-128, 3], 1)])
def test_weights_of_few_bits_are_the_same_numbers_on_a_finer_grid(
    whole: list[int], factor: int
) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[n, 2] x) => (float[n, 2] y)
    <int8[2] w = {W}, float step = {0.3}, int8 zero = {0}>
    { d = DequantizeLinear(w, step, zero) y = Mul(x, d) }
    """.replace("W", ", ".join(map(str, whole)))
    model = onnx.parser.parse_model(text)
    x = np.ones([1, 2], np.float32)
    want = _run(model, x, plain=True)
    fuse_whole(model)
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    assert stored["w"].tolist() == [factor * w for w in whole]
    assert (_run(model, x, plain=True) == want).all()

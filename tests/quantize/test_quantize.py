from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import paddle
import pytest
from paddle import Tensor, nn

import slimlab as sl
from slimlab.lowering import lower
from slimlab.quantize import layout_of, quantized_layers, weight_quantizers
from slimlab.quantize.quantizers import ActivationQuantizer
from slimlab.trace import trace_program

README = (
    sl.QuantConfig(weight="abs_max", activation="abs_max"),
    sl.QuantConfig(weight="abs_max", activation="moving_average_abs_max"),
    sl.QuantConfig(weight="channel_wise_abs_max", activation="abs_max"),
)
STATIC = sl.QuantConfig()


class Everything(nn.Layer):
    """Grouped, depthwise and transposed convolutions, an addition, a concatenation, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2D(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2D(8)
        self.relu = nn.ReLU()
        self.grouped = nn.Conv2D(8, 8, 3, padding=1, groups=2, bias_attr=False)
        self.depthwise = nn.Conv2D(8, 8, 3, padding=1, groups=8)
        self.up = nn.Conv2DTranspose(16, 8, 2, stride=2, groups=2, bias_attr=False)
        self.up_norm = nn.BatchNorm2D(8)
        self.pool = nn.AdaptiveAvgPool2D(2)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.stem(x)))
        y = x + self.grouped(x)
        y = paddle.concat([y, self.depthwise(x)], axis=1)
        return self.head(self.pool(self.up_norm(self.up(y))).flatten(1))


@pytest.fixture(scope="module")
def task() -> sl.Task:
    return sl.load_task("digits")


@pytest.fixture
def everything() -> nn.Layer:
    paddle.seed(0)
    model = Everything()
    for norm in (model.norm, model.up_norm):
        norm._mean.set_value(paddle.randn([8]) * 0.1)
        norm._variance.set_value(paddle.rand([8]) + 0.5)
        norm.weight.set_value(paddle.randn([8]))  # negative factors too
    model.eval()
    return model


def logits(model: nn.Layer, task: sl.Task) -> np.ndarray:
    x, _ = next(task.test.batches(64, images=64))
    with paddle.no_grad():
        return model(x).numpy()


@pytest.mark.parametrize("name", ["vgg", "resnet20", "mobilenet_v1"])
def test_eight_bits_cost_little(name: str, task: sl.Task) -> None:
    model = sl.load_model(name, task)
    before = logits(model, task)
    int8 = sl.quantize(model, task, STATIC, progress=False)
    assert (logits(model, task) == before).all()  # the model is left alone
    drop = sl.evaluate(model, task)["top1"] - sl.evaluate(int8, task)["top1"]
    assert drop <= 0.6
    assert not (logits(int8, task) == before).all()


def test_every_kind_of_layer_is_put_on_a_grid(everything: nn.Layer, task: sl.Task) -> None:
    int8 = sl.quantize(everything, task, STATIC, progress=False)
    assert set(weight_quantizers(int8)) == {"stem", "grouped", "depthwise", "up", "head"}
    layout = layout_of(int8)
    assert layout is not None
    assert layout.folded == (("stem", "norm"), ("up", "up_norm"))
    gives = {each.layer for each in layout.placed if each.gives}
    # What meets in the addition, and the rest of what meets in the concatenation.
    assert gives == {"relu", "grouped", "depthwise"}
    # The convolutions behind it read what is on a grid already.
    takes = {each.layer for each in layout.placed if each.takes}
    assert takes == {"stem", "up", "head"}
    far = np.abs(logits(int8, task) - logits(everything, task)).max()
    assert 0 < far < 0.05 * np.abs(logits(everything, task)).max()


def test_folding_alone_changes_nothing(everything: nn.Layer, task: sl.Task) -> None:
    fine = sl.quantize(everything, task, STATIC, progress=False)
    for layer in quantized_layers(fine).values():
        for quantizer in layer.sublayers():
            quantizer.enabled = False
    # The weights are rounded still; without BatchNorm's exact place the error would be of order 1.
    assert np.allclose(logits(fine, task), logits(everything, task), atol=0.02)


@pytest.mark.parametrize("config", [*README, STATIC, sl.QuantConfig(weight_bits=4)])
def test_a_traced_model_is_the_same_in_onnx(
    config: sl.QuantConfig, everything: nn.Layer, task: sl.Task
) -> None:
    int8 = sl.quantize(everything, task, config, progress=False)
    x, _ = next(task.test.batches(16, images=16))
    program = lower(trace_program(int8, x), int8)
    stored = {i.name for i in program.graph.initializer}
    assert {f"{n}.weight.int8" for n in weight_quantizers(int8)} <= stored
    session = onnxruntime.InferenceSession(program.SerializeToString())
    found = session.run(None, {"input_0": x.numpy()})[0]
    want = int8(x).numpy()
    # A value next to the middle of a step may be rounded the other way by another sum.
    assert np.abs(found - want).max() < 0.02 * np.abs(want).max()
    assert np.median(np.abs(found - want)) < 1e-5 * np.abs(want).max()


def test_what_is_out_of_scope_stays_in_float(everything: nn.Layer, task: sl.Task) -> None:
    config = sl.QuantConfig(exclude="^up", layer_bits={"head": 32, "stem": 4})
    int8 = sl.quantize(everything, task, config, progress=False)
    bits = {name: quantizer.bits for name, quantizer in weight_quantizers(int8).items()}
    assert bits == {"stem": 4, "grouped": 8, "depthwise": 8}
    assert type(int8.up) is nn.Conv2DTranspose
    assert (int8.up.weight.numpy() == everything.up.weight.numpy()).all()


def test_frozen_batch_norms_keep_their_statistics(task: sl.Task) -> None:
    model = sl.load_model("vgg", task)
    config = sl.QuantConfig(batch_norm="freeze")
    tuned = sl.quantize(model, task, config, epochs=1, progress=False)
    before, after = model.state_dict(), tuned.state_dict()
    statistics = [name for name in before if name.endswith(("_mean", "_variance"))]
    assert statistics
    assert all((before[n].numpy() == after[n].numpy()).all() for n in statistics)
    assert not (before["classifier.weight"].numpy() == after["classifier.weight"].numpy()).all()


@pytest.mark.parametrize(
    "config",
    [*README, sl.QuantConfig(activation="range_abs_max"), sl.QuantConfig(lsq=True, weight_bits=3)],
    ids=["dynamic", "moving", "channels", "range", "learned"],
)
def test_training_on_the_grid(config: sl.QuantConfig, task: sl.Task) -> None:
    model = sl.load_model("vgg", task)
    steps = sl.iter_quantize(model, task, config, epochs=1, teacher=model)
    items = []
    try:
        while True:
            items.append(next(steps).item)
    except StopIteration as stop:
        tuned = stop.value
    history = next(item for item in reversed(items) if item is not None)
    # What was measured while training is what the settled model gives.
    assert history.records[-1].metric == pytest.approx(sl.evaluate(tuned, task)["top1"], abs=0.01)
    assert sl.evaluate(model, task)["top1"] - sl.evaluate(tuned, task)["top1"] < 1.5
    names = [name for name, _ in tuned.named_parameters()]
    assert not [name for name in names if "quantizer" in name]  # learned scales are settled


def test_two_bits_recover_by_training(task: sl.Task) -> None:
    model = sl.load_model("vgg", task)
    config = sl.QuantConfig(weight_bits=2, activation_bits=8)
    without = sl.quantize(model, task, config, progress=False)
    tuned = sl.quantize(model, task, config, epochs=3, learning_rate=1e-3, progress=False)
    gain = sl.evaluate(tuned, task)["top1"] - sl.evaluate(without, task)["top1"]
    assert gain > 5
    for name, quantizer in weight_quantizers(tuned).items():
        weight = quantized_layers(tuned)[name].weight.numpy()
        assert len(np.unique(weight.take(0, quantizer.axis))) <= 4


@pytest.mark.parametrize("kind", ["moving_average_abs_max", "range_abs_max"])
def test_a_scale_follows_so_many_batches_and_stays(kind: str) -> None:
    config = sl.QuantConfig(activation=kind, follow=2, decay=0.5, window=9)  # type: ignore[arg-type]
    quantizer = ActivationQuantizer(config)
    quantizer.set_scale(4.0)
    quantizer.train()
    found = []
    for high in (8.0, 2.0, 100.0):
        quantizer(paddle.to_tensor([-high, 1.0]))
        found.append(quantizer.scale.item())
    # What calibration found counts as a batch of the average: 4; (4/2 + 8) / 1.5; (2/2 + 8/2 + 2)
    # over 1.75; no more. The range holds the batches of the training alone.
    first, second = (10 / 1.5, 7 / 1.75) if kind.startswith("moving") else (8.0, 8.0)
    assert found == pytest.approx([first, second, second])
    other = ActivationQuantizer(config)
    other.set_scale(found[-1])
    other.follow_on(json.loads(json.dumps(quantizer.followed)))
    other.train()
    other(paddle.to_tensor([50.0]))
    assert other.scale.item() == found[-1]


def test_scales_of_the_calibration_outlive_a_training_that_does_not_follow(task: sl.Task) -> None:
    model = sl.load_model("vgg", task)

    def scales(epochs: int, **more: int) -> dict[str, float]:
        config = sl.QuantConfig(calibration_images=32, **more)
        made = sl.quantize(model, task, config, epochs=epochs, progress=False)
        return {
            name: layer.scale.item()
            for name, layer in made.named_sublayers()
            if isinstance(layer, ActivationQuantizer)
        }

    chosen = scales(0)
    assert scales(1, follow=0) == chosen
    # Not all: images go from 0 to 1 in every batch.
    assert sum(scale != chosen[name] for name, scale in scales(1).items()) > len(chosen) / 2


def test_stopping_early_gives_a_settled_model(task: sl.Task) -> None:
    model = sl.load_model("vgg", task)
    for stop_at in ("calibrate", "epoch 1 of 5"):
        steps = sl.iter_quantize(model, task, STATIC, epochs=5)
        for step in steps:
            if step.label == stop_at and step.done > 1:
                break
        found = sl.finish_early(steps)
        assert all(quantizer.settled for quantizer in weight_quantizers(found).values())
        assert sl.evaluate(found, task)["top1"] > 90


def test_refusals(task: sl.Task) -> None:
    model = sl.load_model("vgg", task)
    int8 = sl.quantize(model, task, progress=False)
    with pytest.raises(sl.PlanError, match="quantized already"):
        sl.quantize(int8, task, progress=False)
    with pytest.raises(sl.PlanError, match="No layer of VGG would be quantized"):
        sl.quantize(model, task, sl.QuantConfig(include="nothing"), progress=False)
    with pytest.raises(sl.PlanError, match="Did you mean 'classifier'"):
        sl.quantize(model, task, sl.QuantConfig(layer_bits={"classifer": 4}), progress=False)
    with pytest.raises(sl.PlanError, match="1 or more with lsq=True"):
        sl.quantize(model, task, sl.QuantConfig(lsq=True), progress=False)


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "(" * 5000 + ")" * 5000])
def test_broken_patterns_are_refused(pattern: str) -> None:
    for word in ("include", "exclude"):
        with pytest.raises(sl.PlanError, match="is no regular expression"):
            sl.QuantConfig(**{word: pattern})


@pytest.mark.parametrize(
    "setting",
    [{"weight_bits": 1}, {"activation_bits": 9}, {"weight_bits": True}, {"layer_bits": {"a": 16}},
     {"decay": 1.0}, {"percentile": 5}, {"window": 0}, {"weight": "max"},
     {"follow": -1}],
)  # fmt: skip
def test_settings_that_cannot_be_used(setting: dict[str, object]) -> None:
    with pytest.raises(sl.PlanError):
        sl.QuantConfig(**setting)  # type: ignore[arg-type]


def test_a_config_survives_json() -> None:
    config = sl.QuantConfig(layer_bits={"b": 4, "a": 32}, exclude="head", lsq=True)
    assert sl.QuantConfig.from_dict(config.to_dict()) == config
    assert hash(config) == hash(sl.QuantConfig.from_dict(config.to_dict()))
    with pytest.raises(sl.PlanError, match="Did you mean 'weight'"):
        sl.QuantConfig.from_dict({"weigth": "abs_max"})


def test_macs_are_those_of_the_float_model_and_bytes_those_of_the_bits(task: sl.Task) -> None:
    model = sl.load_model("mobilenet_v1", task)
    before = sl.profile(model, task.example)
    for bits in (8, 4, 3):
        config = sl.QuantConfig(weight_bits=bits)
        small = sl.quantize(model, task, config, progress=False)
        after = sl.profile(small, task.example)
        assert after.macs == before.macs
        rows = {row.layer: row for row in after.layers}
        layer = rows["blocks.3.pointwise"]
        weight = small.blocks[3].pointwise.weight
        # The folded BatchNorm is a bias in float.
        assert layer.bytes == -(-weight.size * bits // 8) + 4 * weight.shape[0]
        trial = sl.measure_trial("q", small, task, latency=False)
        assert trial.bytes == pytest.approx(after.bytes, rel=0.35)  # names and shapes take the rest
        assert after.bytes < before.bytes * (0.6 if bits == 8 else 0.5)


def test_a_quantized_model_is_not_pruned(task: sl.Task) -> None:
    int8 = sl.quantize(sl.load_model("vgg", task), task, progress=False)
    graph = sl.trace(int8, task.example)
    assert graph.groups == ()
    assert "prune a model before you quantize it" in str(graph.coverage.to_frame().to_dict())


AGAIN = """
import sys, numpy as np, slimlab as sl
model = sl.load(sys.argv[1])
x = np.load(sys.argv[2])
import paddle
np.save(sys.argv[3], model(paddle.to_tensor(x)).numpy())
"""


@pytest.mark.parametrize("bits", [8, 5])
def test_a_pruned_quantized_model_reloads_bit_for_bit_elsewhere(
    bits: int, task: sl.Task, tmp_path: Path
) -> None:
    model = sl.load_model("resnet20", task)
    graph = sl.trace(model, task.example)
    small = sl.prune(model, sl.plan_pruning(model, graph, sl.uniform_ratios(graph, macs=0.5)))
    config = sl.QuantConfig(weight_bits=bits)
    int8 = sl.quantize(small, task, config, progress=False)
    x, _ = next(task.test.batches(32, images=32))
    np.save(tmp_path / "x.npy", x.numpy())
    sl.save(int8, tmp_path / "saved")
    command = [sys.executable, "-W", "ignore", "-c", AGAIN]
    paths = [str(tmp_path / name) for name in ("saved", "x.npy", "y.npy")]
    subprocess.run([*command, *paths], check=True, capture_output=True)
    assert (np.load(tmp_path / "y.npy") == int8(x).numpy()).all()
    again = sl.load(tmp_path / "saved")
    assert layout_of(again) == layout_of(int8)
    before, after = int8.state_dict(), again.state_dict()
    assert list(before) == list(after)
    assert all((before[n].numpy() == after[n].numpy()).all() for n in before)
    # ... and what was loaded is saved and loaded again.
    twice = sl.load(sl.save(again, tmp_path / "twice"))
    assert (twice(x).numpy() == int8(x).numpy()).all()


@pytest.mark.parametrize("config", [*README, sl.QuantConfig(batch_norm="freeze", joins=False)])
def test_every_configuration_reloads(config: sl.QuantConfig, task: sl.Task, tmp_path: Path) -> None:
    paddle.seed(3)
    model = Everything()
    model.eval()
    int8 = sl.quantize(model, task, config, progress=False)
    again = sl.load(sl.save(int8, tmp_path / "saved"), model=Everything())
    assert (logits(again, task) == logits(int8, task)).all()


def test_a_manifest_that_names_other_layers_is_refused(task: sl.Task, tmp_path: Path) -> None:
    from slimlab.store import read_folder, write_folder

    int8 = sl.quantize(sl.load_model("vgg", task), task, progress=False)
    sl.save(int8, tmp_path / "good")
    for place, value in (
        ("placed", [["nowhere", 8, True, False]]),
        ("placed", [["pool", 8, True, False]]),
        ("folded", [["classifier", "hidden"]]),
        ("config", {"weight_bits": 99}),
        ("shapes", {"classifier.weight": [1000, 10]}),
        ("placed", 3),
    ):
        facts, files = read_folder(tmp_path / "good", "model")
        facts["quantized"][place] = value
        kept = {k: v for k, v in facts.items() if k not in {"kind", "files"}}
        write_folder(tmp_path / place, "model", kept, files)
        with pytest.raises(sl.ArtifactError):
            sl.load(tmp_path / place)


def test_training_goes_on_after_quantizing(task: sl.Task, tmp_path: Path) -> None:
    int8 = sl.quantize(sl.load_model("vgg", task), task, progress=False)
    tuned, _ = sl.fine_tune(int8, task, epochs=1, progress=False)
    again = sl.load(sl.save(tuned, tmp_path / "tuned"))
    assert (logits(again, task) == logits(tuned, task)).all()


def test_tracing_a_quantized_network_makes_paddle_say_nothing_of_places(task: sl.Task) -> None:
    model = sl.quantize(sl.load_model("vgg", task), task, progress=False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        sl.trace(model, task.example)
    assert not [one for one in said if "'place'" in str(one.message)]


@pytest.mark.parametrize("bits", [8, 4])
def test_biases_lie_on_the_step_of_what_is_added_up(
    bits: int, everything: nn.Layer, task: sl.Task
) -> None:
    for layer in (everything.depthwise, everything.head):
        layer.bias.set_value(paddle.randn(layer.bias.shape))
    config = sl.QuantConfig(weight_bits=bits, calibration_images=64)
    int8 = sl.quantize(everything, task, config, progress=False)
    layers = dict(int8.named_sublayers())
    # "grouped" has none; "depthwise" reads what "relu" puts on a grid.
    readers = {"stem": "stem.input", "depthwise": "relu.output", "up": "up.input"}
    for name, grid in {**readers, "head": "head.input"}.items():
        place, _, side = grid.partition(".")
        inputs = layers[f"{place}.{side}_quantizer"].scale.numpy() / 127
        weights = layers[f"{name}.weight_quantizer"].scale.numpy() / (2 ** (bits - 1) - 1)
        step = inputs * weights / 2 ** (8 - bits)
        bias = layers[name].bias.numpy()
        whole = bias / np.resize(step, bias.shape)
        assert np.abs(whole).max() > 100
        assert np.abs(whole - np.rint(whole)).max() <= 1e-6 * np.abs(whole).max()
    dynamic = sl.quantize(everything, task, README[0], progress=False)
    assert (dynamic.head.bias.numpy() == everything.head.bias.numpy()).all()

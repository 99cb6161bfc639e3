"""A scan with BatchNorm statistics estimated anew, against cutting and re-estimating by hand."""

from __future__ import annotations

import re

import paddle
import pytest

import slimlab as sl


def test_a_cell_is_what_cutting_and_re_estimating_measures(
    vgg: paddle.nn.Layer, digits: sl.Task, vgg_graph: sl.Graph
) -> None:
    layer = vgg_graph.layers[1]
    scope = sl.Scope(include=f"^{layer}$")
    asked = {"ratios": [0.4, 0.8], "images": 300, "scope": scope, "progress": False}
    scan = sl.scan_sensitivity(vgg, digits, recalibrate_bn=128, **asked)
    for cell in scan.cells:
        plan = sl.plan_pruning(vgg, vgg_graph, {layer: cell.ratio})
        fresh = sl.recalibrate_bn(sl.prune(vgg, plan), digits, images=128, batch_size=128)
        assert cell.metric == pytest.approx(
            sl.evaluate(fresh, digits, images=300)["top1"], abs=0.34
        )
    assert scan.baseline == pytest.approx(sl.evaluate(vgg, digits, images=300)["top1"])
    plain = sl.scan_sensitivity(vgg, digits, **asked)
    assert plain.cells[1].drop > scan.cells[1].drop
    with pytest.raises(sl.ArtifactError, match="BatchNorm re-estimation differs"):
        sl.scan_sensitivity(vgg, digits, known=plain, recalibrate_bn=128, **asked)


@pytest.mark.parametrize("network", ["vgg", "resnet20", "mobilenet_v1"])
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_runtimes_give_what_paddle_gives(network: str, runtime: str, digits: sl.Task) -> None:
    model = sl.load_model(network, digits)
    asked = {"ratios": [0.5], "images": 64, "recalibrate_bn": 64, "metric": "kl", "progress": False}
    layers = sl.trace(model, digits.example).layers
    few = "|".join(f"^{re.escape(layer)}$" for layer in (layers[0], layers[-2]))
    asked["scope"] = sl.Scope(include=few)
    expected = sl.scan_sensitivity(model, digits, runtime="paddle", **asked)
    found = sl.scan_sensitivity(model, digits, runtime=runtime, **asked)
    assert (expected.runtime, found.runtime) == ("paddle", runtime)
    for one, other in zip(expected.cells, found.cells, strict=True):
        assert other.drop == pytest.approx(one.drop, rel=1e-3, abs=1e-5)


def test_what_a_runtime_can_not_estimate_is_measured_in_paddle(digits: sl.Task) -> None:
    class Twice(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.again = paddle.nn.Conv2D(1, 4, 3), paddle.nn.Conv2D(4, 4, 1)
            self.norm, self.head = paddle.nn.BatchNorm2D(4), paddle.nn.Linear(4 * 36, 10)

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            x = self.norm(self.again(self.norm(self.first(x)).tanh())).tanh()
            return self.head(x.flatten(1))

    asked = {"ratios": [0.5], "images": 20, "recalibrate_bn": 32, "progress": False}
    with pytest.warns(UserWarning, match="runs in Paddle, which is slow.*several times"):
        assert sl.scan_sensitivity(Twice(), digits, **asked).runtime == "paddle"


@pytest.mark.parametrize("wrong", [{"recalibrate_bn": 1}, {"recalibrate_bn": -4}])
def test_settings_that_make_no_sense(
    vgg: paddle.nn.Layer, digits: sl.Task, wrong: dict[str, int]
) -> None:
    with pytest.raises(sl.PlanError, match="recalibrate_bn="):
        sl.scan_sensitivity(vgg, digits, progress=False, **wrong)
    with pytest.raises(sl.PlanError, match="runs in float32"):
        sl.scan_sensitivity(vgg, digits, recalibrate_bn=64, dtype="bfloat16", progress=False)
    with pytest.raises(sl.PlanError, match="no setting 'ratio'"):
        sl.scan_sensitivity(vgg, digits, ratio=[0.5], progress=False)

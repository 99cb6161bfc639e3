"""A scan with BatchNorm statistics estimated anew, against cutting and re-estimating by hand."""

from __future__ import annotations

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


@pytest.mark.parametrize("wrong", [{"recalibrate_bn": 1}, {"recalibrate_bn": -4}])
def test_settings_that_make_no_sense(
    vgg: paddle.nn.Layer, digits: sl.Task, wrong: dict[str, int]
) -> None:
    with pytest.raises(sl.PlanError, match="recalibrate_bn="):
        sl.scan_sensitivity(vgg, digits, progress=False, **wrong)
    with pytest.raises(sl.PlanError, match="runs in Paddle"):
        sl.scan_sensitivity(vgg, digits, recalibrate_bn=64, dtype="bfloat16", progress=False)
    with pytest.raises(sl.PlanError, match="no setting 'ratio'"):
        sl.scan_sensitivity(vgg, digits, ratio=[0.5], progress=False)

from __future__ import annotations

import itertools
from dataclasses import replace

import paddle
import pytest

import slimlab as sl
from slimlab.task import LOSS

SMALL = {"ratios": [0.3, 0.6, 0.9], "images": 200}


def stopped_after(
    vgg: paddle.nn.Layer, digits: sl.Task, cells: int, known: sl.Sensitivity | None = None
) -> sl.Sensitivity:
    steps = sl.iter_scan_sensitivity(vgg, digits, known=known, **SMALL)
    for step in steps:
        if step.cells >= cells:
            break
    return sl.finish_early(steps)


def test_a_cell_is_what_pruning_that_layer_measures(
    vgg: paddle.nn.Layer, digits: sl.Task, vgg_graph: sl.Graph, vgg_scan: sl.Sensitivity
) -> None:
    """The oracle cuts the layer off; the scan only zeroed it."""
    whole = sl.evaluate(vgg, digits, images=200)["top1"]
    assert vgg_scan.baseline == pytest.approx(whole)
    for cell in vgg_scan.cells[::4]:
        plan = sl.plan_pruning(vgg, vgg_graph, {cell.layer: cell.ratio})
        measured = sl.evaluate(sl.prune(vgg, plan), digits, images=200)["top1"]
        assert cell.metric == pytest.approx(measured)
        assert cell.drop == pytest.approx(whole - measured)
        assert cell.low <= cell.drop <= cell.high
        assert cell.images == 200


def test_the_grid_is_whole_and_in_order(vgg_scan: sl.Sensitivity, vgg_graph: sl.Graph) -> None:
    assert vgg_scan.complete
    assert vgg_scan.layers == vgg_graph.layers
    expected = [(layer, ratio) for layer in vgg_graph.layers for ratio in (0.3, 0.6, 0.9)]
    assert [(c.layer, c.ratio) for c in vgg_scan.cells] == expected
    names = ["layer", "ratio", "metric", "drop", "low", "high", "images", "clear"]
    assert list(vgg_scan.to_frame().columns) == names


def test_removing_nearly_everything_hurts(vgg_scan: sl.Sensitivity) -> None:
    assert max(cell.drop for cell in vgg_scan.cells if cell.ratio == 0.9) > 20


def test_stopped_keeps_what_was_measured_and_resumed_equals_uninterrupted(
    vgg: paddle.nn.Layer, digits: sl.Task, vgg_scan: sl.Sensitivity
) -> None:
    part = stopped_after(vgg, digits, cells=4)
    assert len(part.cells) == 4
    assert not part.complete
    assert part.cells == vgg_scan.cells[:4]
    more = stopped_after(vgg, digits, cells=7, known=part)
    assert len(more.cells) == 7
    assert sl.scan_sensitivity(vgg, digits, known=more, progress=False, **SMALL) == vgg_scan


def test_every_finished_cell_is_announced_with_the_table_so_far(
    vgg: paddle.nn.Layer, digits: sl.Task, vgg_scan: sl.Sensitivity
) -> None:
    steps = list(sl.iter_scan_sensitivity(vgg, digits, **SMALL))
    tables = [step.item for step in steps if step.item is not None]
    assert [len(t.cells) for t in tables] == [0, *range(len(vgg_scan.cells) + 1)]
    assert tables[-1] == vgg_scan
    assert all(a.done <= b.done for a, b in itertools.pairwise(steps))
    assert steps[-1].done == steps[-1].total == 200 * len(vgg_scan.cells)
    assert steps[-1].cells == len(vgg_scan.cells)
    assert steps[-1].rate > 0
    assert steps[-1].left == 0


def test_stopping_before_the_first_cell_gives_an_empty_table(
    vgg: paddle.nn.Layer, digits: sl.Task
) -> None:
    steps = sl.iter_scan_sensitivity(vgg, digits, **SMALL)
    next(steps)
    assert sl.finish_early(steps).cells == ()


def test_the_model_its_mode_and_gradients_are_left_alone(
    vgg: paddle.nn.Layer, digits: sl.Task
) -> None:
    before = {name: tensor.numpy().copy() for name, tensor in vgg.state_dict().items()}
    steps = sl.iter_scan_sensitivity(vgg, digits, ratios=[0.5], images=50)
    for step in steps:
        assert paddle.is_grad_enabled(), "gradients were left off for the consumer"
        if step.cells >= 2:
            break
    steps.close()
    assert not vgg.training
    assert all((vgg.state_dict()[n].numpy() == v).all() for n, v in before.items())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"criterion": "l2_norm"}, "criterion"),
        ({"images": 100}, "number of images"),
    ],
)
def test_a_scan_with_other_settings_is_refused(
    vgg: paddle.nn.Layer,
    digits: sl.Task,
    vgg_scan: sl.Sensitivity,
    change: dict[str, object],
    named: str,
) -> None:
    with pytest.raises(sl.ArtifactError, match=f"its {named} differs"):
        sl.scan_sensitivity(vgg, digits, known=vgg_scan, progress=False, **{**SMALL, **change})


def test_another_models_or_datas_scan_is_refused(
    vgg: paddle.nn.Layer, digits: sl.Task, vgg_scan: sl.Sensitivity
) -> None:
    other = sl.load_model("vgg", digits, pretrained=False)
    with pytest.raises(sl.ArtifactError, match="its model's weights differs"):
        sl.scan_sensitivity(other, digits, known=vgg_scan, progress=False, **SMALL)
    fewer = replace(digits, test=digits.calibration)
    with pytest.raises(sl.ArtifactError, match="its task's data differs"):
        sl.scan_sensitivity(vgg, fewer, known=vgg_scan, progress=False, **SMALL)


def test_a_loss_counts_the_other_way_round(vgg: paddle.nn.Layer, digits: sl.Task) -> None:
    by_loss = replace(digits, metrics=(LOSS,))
    scan = sl.scan_sensitivity(vgg, by_loss, ratios=[0.9], images=100, progress=False)
    worst = max(scan.cells, key=lambda cell: cell.metric)
    assert worst.drop == pytest.approx(worst.metric - scan.baseline, abs=1e-5)
    assert worst.drop > 0
    assert worst.low < worst.drop < worst.high


def test_a_scope_limits_the_layers(
    vgg: paddle.nn.Layer, digits: sl.Task, vgg_graph: sl.Graph
) -> None:
    first = vgg_graph.layers[0]
    scope = sl.Scope(include=f"^{first}$")
    scan = sl.scan_sensitivity(vgg, digits, ratios=[0.5], images=50, scope=scope, progress=False)
    assert scan.layers == (first,)


@pytest.mark.parametrize("ratios", [[], [0.0, 0.5], [0.5, 1.2]])
def test_the_grid_must_lie_between_zero_and_one(
    vgg: paddle.nn.Layer, digits: sl.Task, ratios: list[float]
) -> None:
    with pytest.raises(sl.PlanError, match=r"\(0, 1\)|\[0, 1\)"):
        sl.scan_sensitivity(vgg, digits, ratios=ratios, progress=False)


def test_an_unknown_criterion_is_a_sentence(vgg: paddle.nn.Layer, digits: sl.Task) -> None:
    with pytest.raises(sl.PlanError, match="No criterion 'l3_norm'"):
        sl.scan_sensitivity(vgg, digits, criterion="l3_norm", progress=False, **SMALL)

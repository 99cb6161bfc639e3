"""Criteria that need data, against values computed by hand."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab.evidence import DATA_CRITERIA, Evidence, data_scores, gather_evidence
from slimlab.importance import Combination, GroupWeights, channel_scores

ONE = np.array([[1.0, -2.0], [3.0, 0.0]])
TWO = np.array([[1.0, 2.0], [-1.0, 4.0]])


def task() -> sl.Task:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3, 6, 6)).astype("float32")
    y = rng.integers(0, 5, 40)
    return sl.Task.from_arrays(x, y, x, y, num_classes=5)


def network() -> nn.Layer:
    paddle.seed(0)
    return nn.Sequential(
        nn.Conv2D(3, 8, 3), nn.BatchNorm2D(8), nn.ReLU(), nn.AdaptiveAvgPool2D(1), nn.Flatten(),
        nn.Linear(8, 5),
    )  # fmt: skip


def test_by_hand() -> None:
    taylor = DATA_CRITERIA["taylor"](Evidence("g", (ONE,), (TWO,)))
    np.testing.assert_allclose(taylor[0], [(1 + 9) / 2, 4 / 2])
    fisher = DATA_CRITERIA["group_fisher"](Evidence("g", (), (ONE, TWO)))
    np.testing.assert_allclose(fisher[0], [(4 + 4) / 2, 16 / 2])


@pytest.mark.parametrize("how", [None, "sum", "mean", "max"])
@pytest.mark.parametrize("name", sorted(DATA_CRITERIA))
def test_contract(name: str, how: str | None) -> None:
    model = network()
    before = {n: t.numpy().copy() for n, t in model.state_dict().items()}
    graph = sl.trace(model, paddle.zeros([1, 3, 6, 6]))
    group = graph.groups[0]
    scores = [
        data_scores(
            gather_evidence(model, graph.groups, task(), images=16)[group.name],
            group,
            name,
            Combination(how),
        )
        for _ in range(2)
    ]
    assert scores[0].shape == (8,)
    np.testing.assert_array_equal(*scores)
    assert all((model.state_dict()[n].numpy() == v).all() for n, v in before.items())
    assert not any(p.grad is not None for p in model.parameters())


def test_taylor_is_the_derivative_by_a_gate() -> None:
    """Scaling BatchNorm's output of one channel changes the loss as the evidence says."""
    model, data = network(), task()
    model.eval()
    graph = sl.trace(model, paddle.zeros([1, 3, 6, 6]))
    evidence = gather_evidence(model, graph.groups, data, images=8, batch_size=8)
    x, y = next(iter(data.calibration.batches(8, images=8)))
    losses = []
    for scale in (0.99, 1.01):
        for name in ("1.weight", "1.bias"):
            value = model.state_dict()[name].numpy()
            value[2] *= scale
            model.state_dict()[name].set_value(value)
        losses.append(float(data.loss(model(x), y)))
        for name in ("1.weight", "1.bias"):
            value = model.state_dict()[name].numpy()
            value[2] /= scale
            model.state_dict()[name].set_value(value)
    slope = (losses[1] - losses[0]) / 0.02
    np.testing.assert_allclose(
        evidence[graph.layers[0]].gates[0][0, 2], slope, rtol=0.02, atol=1e-4
    )


def test_a_channel_that_is_never_read_goes_first() -> None:
    model = network()
    weight = model[5].weight.numpy()
    weight[3] = 0
    model[5].weight.set_value(weight)
    graph = sl.trace(model, paddle.zeros([1, 3, 6, 6]))
    for name in DATA_CRITERIA:
        plan = sl.plan_pruning(model, graph, {"0": 1 / 8}, criterion=name, task=task(), images=16)
        assert 3 not in plan.kept["0"]
        sl.prune(model, plan)


def test_without_data_it_says_what_to_pass() -> None:
    model = network()
    graph = sl.trace(model, paddle.zeros([1, 3, 6, 6]))
    with pytest.raises(sl.PlanError, match=r"'taylor' ranks channels by gradients .* pass task="):
        sl.plan_pruning(model, graph, {"0": 0.5}, criterion="taylor")
    with pytest.raises(sl.PlanError, match="Did you mean 'taylor'"):
        sl.plan_pruning(model, graph, {"0": 0.5}, criterion="tailor")


def test_scores_of_tied_layers_are_combined() -> None:
    weights = GroupWeights("g", (np.array([[1.0], [4.0]]), np.array([[30.0], [10.0]])), ())
    alone = [np.array([1.0, 4.0]), np.array([30.0, 10.0])]
    assert [tuple(w.filters[0][:, 0]) for w in weights.by_layer()] == [tuple(a) for a in alone]
    np.testing.assert_allclose(Combination("sum").of(alone), [31, 14])
    np.testing.assert_allclose(Combination("mean").of(alone), [15.5, 7])
    np.testing.assert_allclose(Combination("max").of(alone), [30, 10])
    np.testing.assert_allclose(
        Combination("sum", normalise=True).of(alone), [1 / 2.5 + 1.5, 4 / 2.5 + 0.5]
    )
    with pytest.raises(sl.PlanError, match="can't be combined by 'median'"):
        Combination("median")


def test_combined_l1_norm_is_the_sum_of_the_layers() -> None:
    model = network()
    group = sl.trace(model, paddle.zeros([1, 3, 6, 6])).groups[0]
    one = channel_scores(model, group, "l1_norm", Combination("sum"))
    np.testing.assert_allclose(one, channel_scores(model, group, "l1_norm"))

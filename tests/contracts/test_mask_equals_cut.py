"""The contract: zeroing a group's channels and cutting them off give the same output."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paddle import nn
from topologies import TOPOLOGIES, example, randomise_statistics

import slimlab as sl
from slimlab.plan import Cut, plan_kept

ZOO = ["mobilenet_v1", "resnet20", "vgg"]
RELATIVE = 1e-5


def relative_difference(a: paddle.Tensor, b: paddle.Tensor) -> float:
    """Largest difference as a share of the largest magnitude."""
    return float((a - b).abs().max() / (a.abs().max() + 1e-12))


def assert_mask_equals_cut(
    model: nn.Layer, x: paddle.Tensor, graph: sl.Graph, plan: sl.PruningPlan
) -> nn.Layer:
    small = sl.prune(model, plan)
    with sl.masked(model, plan) as masked_model, paddle.no_grad():
        assert relative_difference(masked_model(x), small(x)) < RELATIVE
    kept = {name: len(channels) for name, channels in plan.kept.items()}
    predicted, counted = graph.cost.totals(kept), sl.profile(small, x[:1])
    assert (predicted.macs, predicted.params, predicted.bytes) == (
        counted.macs,
        counted.params,
        counted.bytes,
    )
    return small


@pytest.mark.parametrize("name", TOPOLOGIES)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_toys_with_any_channels_removed(name: str, data: st.DataObject) -> None:
    paddle.seed(0)
    model = randomise_statistics(TOPOLOGIES[name]())
    graph = sl.trace(model, example())
    kept = {
        group.name: tuple(
            sorted(
                data.draw(
                    st.sets(st.integers(0, group.width - 1), min_size=1, max_size=group.width)
                )
            )
        )
        for group in graph.groups
    }
    assert_mask_equals_cut(model, example(1, batch=3), graph, plan_kept(model, graph, kept))


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("seed", [0, 1])
def test_zoo_networks_at_random_ratios(name: str, seed: int) -> None:
    task = sl.load_task("digits")
    model = sl.load_model(name, task)
    graph = sl.trace(model, task.example)
    rng = np.random.default_rng(seed)
    ratios = {layer: float(rng.uniform(0, 0.9)) for layer in graph.layers}
    x, _ = next(iter(task.test.batches(16)))
    small = assert_mask_equals_cut(model, x, graph, sl.plan_pruning(model, graph, ratios))
    assert relative_difference(model(x), small(x)) > RELATIVE, "nothing was removed"


@pytest.mark.parametrize("name", ["chain", "residual", "depthwise", "flatten to linear"])
def test_pruning_twice_composes(name: str) -> None:
    paddle.seed(0)
    model = randomise_statistics(TOPOLOGIES[name]())
    x = example(1, batch=2)
    for _ in range(2):
        graph = sl.trace(model, x[:1])
        plan = sl.plan_pruning(model, graph, dict.fromkeys(graph.layers, 0.3))
        model = assert_mask_equals_cut(model, x, graph, plan)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_what_is_left_trains(name: str) -> None:
    paddle.seed(0)
    model = randomise_statistics(TOPOLOGIES[name]())
    graph = sl.trace(model, example())
    small = sl.prune(model, sl.plan_pruning(model, graph, dict.fromkeys(graph.layers, 0.5)))
    small.train()
    optimizer = paddle.optimizer.SGD(0.01, parameters=small.parameters())
    before = {n: t.numpy().copy() for n, t in small.state_dict().items() if t.trainable}
    small(example(2, batch=4)).square().mean().backward()
    optimizer.step()
    changed = [n for n, old in before.items() if (small.state_dict()[n].numpy() != old).any()]
    assert len(changed) > len(before) / 2


def test_the_cut_model_remembers_its_sizes() -> None:
    model = randomise_statistics(TOPOLOGIES["depthwise multiplier"]())
    graph = sl.trace(model, example())
    small = sl.prune(model, sl.plan_pruning(model, graph, {"stem.0": 0.5}))
    depth = small.depth[0]
    assert (depth._groups, depth._in_channels, depth._out_channels) == (4, 4, 8)
    assert small.stem[1]._num_features == 4


def test_the_contract_would_notice_a_misaligned_cut() -> None:
    """A plan whose reader loses other channels than its maker must not pass."""
    model = randomise_statistics(TOPOLOGIES["chain"]())
    graph = sl.trace(model, example())
    plan = sl.plan_pruning(model, graph, {"a.0": 0.5})
    crooked = [
        Cut(c.parameter, c.axis, c.length, tuple((i + 1) % 8 for i in c.removed))
        if c.parameter == "b.0.weight"
        else c
        for c in plan.cuts
    ]
    bad = sl.PruningPlan(
        plan.kept, plan.widths, tuple(crooked), plan.ratios, plan.criterion, plan.inputs
    )
    with pytest.raises(sl.UnsupportedOpError, match="can't be cut by this plan"):
        sl.prune(model, bad)

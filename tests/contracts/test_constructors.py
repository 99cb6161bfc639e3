"""Every constructor of `paddle.vision.models`: prune all groups at random ratios, then train."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn
from topologies import randomise_statistics

import slimlab as sl

M = paddle.vision.models
# The lightest of each family, and the least height that it takes.
FAMILIES = {
    "LeNet": 28, "alexnet": 224, "vgg11": 32, "resnet18": 64, "resnext50_32x4d": 64,
    "mobilenet_v1": 64, "mobilenet_v2": 64, "mobilenet_v3_small": 64, "shufflenet_v2_x0_25": 64,
    "squeezenet1_1": 64, "densenet121": 64, "googlenet": 224, "inception_v3": 96,
}  # fmt: skip
HEAVY = {
    "vgg13": 32, "vgg16": 32, "vgg19": 32, "resnet34": 64, "resnet50": 64, "resnet101": 64,
    "resnet152": 64, "wide_resnet50_2": 64, "wide_resnet101_2": 64, "resnext50_64x4d": 64,
    "resnext101_32x4d": 64, "resnext101_64x4d": 64, "resnext152_32x4d": 64, "resnext152_64x4d": 64,
    "mobilenet_v3_large": 64, "shufflenet_v2_x0_33": 64, "shufflenet_v2_x0_5": 64,
    "shufflenet_v2_x1_0": 64, "shufflenet_v2_x1_5": 64, "shufflenet_v2_x2_0": 64,
    "shufflenet_v2_swish": 64, "squeezenet1_0": 64, "densenet161": 64, "densenet169": 64,
    "densenet201": 64, "densenet264": 64,
}  # fmt: skip
CASES = [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)]


def build(name: str) -> tuple[nn.Layer, paddle.Tensor]:
    size = {**FAMILIES, **HEAVY}[name]
    model = getattr(M, name)(num_classes=10)
    randomise_statistics(model).eval()
    return model, paddle.randn([1, 1 if name == "LeNet" else 3, size, size])


def first(made: object) -> paddle.Tensor:
    return made[0] if isinstance(made, (tuple, list)) else made


@pytest.mark.parametrize("name", CASES)
def test_mask_equals_cut_and_the_small_model_trains(name: str) -> None:
    model, x = build(name)
    graph = sl.trace(model, x)
    convolutions = {row.layer: row.macs for row in graph.profile.layers if row.type == "Conv2D"}
    touched = {m.layer for group in graph.groups for m in group.members if m.role != "along"}
    touched |= {row[0] for row in graph.coverage.rows if row[4]}
    share = sum(macs for n, macs in convolutions.items() if n in touched)
    assert share >= 0.95 * sum(convolutions.values()), str(graph.coverage)
    rng = np.random.default_rng(0)
    ratios = {layer: float(rng.uniform(0.1, 0.8)) for layer in graph.layers}
    plan = sl.plan_pruning(model, graph, ratios)
    small = sl.prune(model, plan)
    with sl.masked(model, plan) as masked_model, paddle.no_grad():
        expected, found = first(masked_model(x)), first(small(x))
    assert float((expected - found).abs().max() / expected.abs().max()) < 1e-4
    small.train()
    optimizer = paddle.optimizer.SGD(1e-3, parameters=small.parameters())
    first(small(paddle.concat([x, x * 0.5]))).square().mean().backward()
    before = small.parameters()[0].numpy().copy()
    optimizer.step()
    assert (small.parameters()[0].numpy() != before).any()


@pytest.mark.parametrize(
    ("target", "ratio", "macs", "params"),
    [
        (0.5, 0.3125, 285_137_632, 2_236_116),
        (0.6, 0.390625, 229_916_952, 1_832_901),
        (0.7, 0.484375, 171_931_176, 1_399_599),
    ],
)
def test_the_uniform_table(
    mobilenet: sl.Graph, target: float, ratio: float, macs: int, params: int
) -> None:
    """PaddleSlim's uniform pruning of MobileNetV1 at 224: its 13 pointwise convolutions."""
    scope = sl.Scope(include="pointwise", types=("Conv2D",))
    ratios = sl.uniform_ratios(mobilenet, macs=target, scope=scope, tolerance=0.01)
    assert set(ratios.values()) == {ratio}
    assert len(ratios) == 13
    preview = sl.preview(mobilenet, ratios)
    assert (preview.macs, preview.params) == (macs, params)


@pytest.fixture(scope="module")
def mobilenet() -> sl.Graph:
    graph = sl.trace(M.mobilenet_v1(), paddle.zeros([1, 3, 224, 224]))
    assert (graph.macs, graph.params) == (568_740_352, 4_231_976)
    return graph

"""Whole networks: every toy, the architectures, the zoo and Paddle's own constructors."""

from __future__ import annotations

from typing import Any

import paddle
import pytest
from architectures import ARCHITECTURES
from lowered import RELATIVE, differences
from operators import ACTIVATIONS, OPERATORS
from topologies import TOPOLOGIES, example, randomise_statistics

import slimlab as sl

M = paddle.vision.models
TOYS = {**TOPOLOGIES, **OPERATORS}
# What can't be lowered, and the operator that stops it.
REFUSED = {"gru": "rnn", "lstm": "rnn"}
REFUSED_ARCHITECTURES = {"language": "Operator rnn", "conditional": "control flow"}
# The forward has the batch written into it.
ONE_IMAGE = {"squeeze", "crop"}
# The lightest of each family, and the least height that it takes.
FAMILIES = {
    "LeNet": 28, "alexnet": 224, "vgg11": 32, "resnet18": 32, "resnext50_32x4d": 32,
    "mobilenet_v1": 32, "mobilenet_v2": 32, "mobilenet_v3_small": 32, "shufflenet_v2_x0_25": 32,
    "squeezenet1_1": 32, "densenet121": 32, "googlenet": 224, "inception_v3": 96,
}  # fmt: skip
HEAVY = {
    "vgg13": 32, "vgg16": 32, "vgg19": 32, "resnet34": 32, "resnet50": 32, "resnet101": 32,
    "resnet152": 32, "wide_resnet50_2": 32, "wide_resnet101_2": 32, "resnext50_64x4d": 32,
    "resnext101_32x4d": 32, "resnext101_64x4d": 32, "resnext152_32x4d": 32, "resnext152_64x4d": 32,
    "mobilenet_v3_large": 32, "shufflenet_v2_x0_33": 32, "shufflenet_v2_x0_5": 32,
    "shufflenet_v2_x1_0": 32, "shufflenet_v2_x1_5": 32, "shufflenet_v2_x2_0": 32,
    "shufflenet_v2_swish": 32, "squeezenet1_0": 32, "densenet161": 32, "densenet169": 32,
    "densenet201": 32, "densenet264": 32,
}  # fmt: skip
CASES = [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)]


@pytest.mark.parametrize("name", [name for name in TOYS if name not in REFUSED])
def test_a_toy_computes_the_same(name: str) -> None:
    batches = (1,) if name in ONE_IMAGE else (1, 3)
    for batch in batches:
        model = randomise_statistics(TOYS[name]())
        assert max(differences(model, example(batch=batch))) < RELATIVE


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_its_operator(name: str) -> None:
    with pytest.raises(sl.UnsupportedOpError, match=f"Operator {REFUSED[name]} in .* no lowering"):
        differences(randomise_statistics(TOYS[name]()), example())


@pytest.mark.parametrize("act", ACTIVATIONS, ids=lambda act: act.__name__)
def test_an_activation_computes_the_same(act: type[paddle.nn.Layer]) -> None:
    # Also where it is flat, and where it overflows if written carelessly.
    assert max(differences(act(), example(batch=2) * 3)) < RELATIVE
    assert max(differences(act(), paddle.linspace(-100, 100, 41))) < RELATIVE


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_computes_the_same(name: str) -> None:
    model, inputs = ARCHITECTURES[name]()
    if name in REFUSED_ARCHITECTURES:
        with pytest.raises(sl.UnsupportedOpError, match=REFUSED_ARCHITECTURES[name]):
            differences(randomise_statistics(model), inputs)
    else:
        assert max(differences(randomise_statistics(model), inputs)) < RELATIVE


@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet20", "vgg"])
def test_the_zoo_computes_the_same(name: str, digits: sl.Task) -> None:
    model: Any = randomise_statistics(sl.load_model(name, digits, pretrained=False))
    images, _ = next(iter(digits.test.batches(5, images=5)))
    assert max(differences(model, images)) < RELATIVE


@pytest.mark.parametrize("name", CASES)
def test_a_constructor_computes_the_same(name: str) -> None:
    size = {**FAMILIES, **HEAVY}[name]
    model = randomise_statistics(getattr(M, name)(num_classes=10))
    images = paddle.randn([2, 1 if name == "LeNet" else 3, size, size])
    assert max(differences(model, images)) < RELATIVE


def test_a_pruned_network_computes_the_same() -> None:
    model = randomise_statistics(M.mobilenet_v2(scale=0.25, num_classes=10))
    images = paddle.randn([2, 3, 32, 32])
    graph = sl.trace(model, images[:1])
    plan = sl.plan_pruning(model, graph, dict.fromkeys(graph.layers, 0.4))
    assert max(differences(sl.prune(model, plan), images)) < RELATIVE

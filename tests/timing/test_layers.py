"""Which layers are timed, and with which shapes."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn
from topologies import TOPOLOGIES, Toy, example

import slimlab as sl
from slimlab.cost import Length
from slimlab.timing import LayerShape, timed_layers
from slimlab.trace import trace_program

SHAPED = (
    *("chain", "residual", "projected residual", "depthwise", "depthwise multiplier"),
    *("flatten to linear", "grouped", "concat", "shared layer", "shared parameter"),
    "squeeze and excite",
)


def layers_of(model: nn.Layer, x: paddle.Tensor, batch: int = 1):
    graph = sl.trace(model, x)
    return graph, timed_layers(trace_program(model, x), graph, batch=batch)


def length(one: Length, widths: list[int]) -> int:
    return one.constant + sum(times * widths[group] for group, times in one.per_group)


def test_shapes_by_hand():
    model = Toy(
        lambda m, x: m.fc(m.b(m.a(x)).flatten(1)),
        a=nn.Conv2D(3, 8, (3, 5), stride=2, padding=(1, 2)),
        b=nn.Conv2D(8, 8, 3, groups=8, dilation=2, padding="SAME"),
        fc=nn.Linear(8 * 9, 5),
    )
    graph, layers = layers_of(model, example(), batch=4)
    a, b, fc = layers
    assert a.shape == LayerShape(
        "conv", 4, 3, 8, (6, 6), (3, 5), (2, 2), (1, 2, 1, 2), (1, 1), groups=1
    )
    assert (b.shape.groups, b.shape.size, b.depthwise) == (8, (3, 3), True)
    assert fc.shape == LayerShape("linear", 4, 72, 5)
    assert fc.inputs == Length(0, ((0, 9),))  # a channel becomes nine features
    assert fc.outputs == Length(5)  # they reach the output
    assert [one.layer for one in layers] == ["a", "b", "fc"]
    assert graph.layers == ("a",)


@pytest.mark.parametrize("name", SHAPED)
def test_shapes_at_other_widths_are_those_of_the_pruned_network(name):
    model, x = TOPOLOGIES[name](), example()
    graph, layers = layers_of(model, x)
    rng = np.random.default_rng(1)
    widths = [int(rng.integers(1, group.width + 1)) for group in graph.groups]
    ratios = {g.name: 1 - kept / g.width for g, kept in zip(graph.groups, widths, strict=True)}
    small = sl.prune(model, sl.plan_pruning(model, graph, ratios))
    _, after = layers_of(small, x)
    expected = [one.shape for one in after]
    found = [one.at(length(one.inputs, widths), length(one.outputs, widths)) for one in layers]
    assert found == expected


def test_products_of_activations_and_other_operators_are_left_out():
    model = Toy(lambda m, x: paddle.matmul(m.a(x), m.a(x)), a=nn.Conv2D(3, 4, 3, padding=1))
    _, layers = layers_of(model, example())
    assert [one.layer for one in layers] == ["a", "a"]  # run twice, it takes twice the time


def test_keys_differ_wherever_shapes_do():
    one = LayerShape("conv", 1, 8, 8, (6, 6), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1)
    changes = {
        "batch": 2,
        "inputs": 4,
        "outputs": 4,
        "size": (6, 5),
        "kernel": (1, 3),
        "strides": (2, 1),
        "pads": (1, 1, 1, 0),
        "dilations": (1, 2),
        "groups": 2,
    }
    keys = {LayerShape(**{**vars(one), name: value}).key for name, value in changes.items()}
    assert len(keys | {one.key}) == 1 + len(changes)

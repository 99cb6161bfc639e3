"""Segments that share their ends give what they gave, and hold fewer weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import paddle
import pytest
from fast_and_slow import BATCH, built, difference, meters
from operators import OPERATORS
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.scan.meters import HELD, Chunk, Fast

# Whose value goes across a joint as a picture, as a row, beside others, and with statistics.
CASES = {**TOPOLOGIES, **{n: OPERATORS[n] for n in ("transformer", "vit") if n in OPERATORS}}


def block(width: int) -> paddle.nn.Layer:
    nn = paddle.nn
    return nn.Sequential(nn.Conv2D(width, width, 3, padding=1), nn.BatchNorm2D(width), nn.ReLU())


def deep(blocks: int = 12) -> paddle.nn.Layer:
    """A chain in which all segments hold half of the network on average."""
    nn = paddle.nn
    paddle.seed(0)
    layers = [block(16) for _ in range(blocks)]
    return nn.Sequential(
        nn.Conv2D(3, 16, 3), *layers, nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(16, 4)
    )


def parts(fast: Fast) -> list[object]:
    return [part for s in fast._segments.values() if s is not None for part in s.parts]


def weights(fast: Fast) -> int:
    network = fast._network
    return sum(network.weight(part.nodes) for part in dict.fromkeys(parts(fast)))  # type: ignore


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", CASES)
def test_stages_give_what_the_model_gives(name: str, runtime: str) -> None:
    model = built(CASES[name])
    graph = sl.trace(model, example())
    fast, reference = meters(model, graph, example(), runtime)
    small = Fast(dataclasses.replace(fast.blueprint, memory=1))
    chunk = Chunk(0, example(1, batch=BATCH).numpy())
    assert difference(small.whole(chunk), reference.whole(chunk)) < 1e-4
    for group in graph.groups:
        expected = reference.pruned(chunk, group.name, 0.5)
        assert difference(small.pruned(chunk, group.name, 0.5), expected) < 1e-4, group.name


def test_most_topologies_have_joints() -> None:
    found = {}
    for name in ("chain", "residual", "depthwise", "grouped", "concat"):
        model = built(CASES[name])
        fast, _ = meters(model, sl.trace(model, example()), example())
        found[name] = len(fast._network.joints)
    assert all(found.values()), found


def test_segments_share_their_ends_only_where_they_must() -> None:
    model = built(deep)
    graph = sl.trace(model, example())
    fast, _ = meters(model, graph, example())
    assert len(set(parts(fast))) == len(graph.groups), "all of them fit: a part each"
    whole = weights(fast)

    few = Fast(dataclasses.replace(fast.blueprint, memory=2 * HELD * (whole // 2)))
    assert weights(few) <= whole // 2 < whole
    assert len(set(parts(few))) < len(parts(few))
    counts = {len(s.parts) for s in few._segments.values() if s is not None}
    assert max(counts) > 1

    none = Fast(dataclasses.replace(fast.blueprint, memory=1))
    # A part of its own for each group, and each stage once: not much more than the network.
    network = sum(len(one.raw_data) for one in fast._network.initializers.values())
    assert weights(none) < 3 * network < whole


def test_a_joint_is_crossed_by_one_value() -> None:
    """Counted by hand: the values made before a position and read from there on."""
    model = built(TOPOLOGIES["residual"])
    fast, _ = meters(model, sl.trace(model, example()), example())
    network = fast._network
    given = set(network.initializers)
    for at, value in network.joints:
        before = {n for node in network.nodes[:at] for n in node.output}
        before.add(network.model.graph.input[0].name)
        read = {n for node in network.nodes[at:] for n in node.input} - given
        assert before & read == {value}


def test_statistics_estimated_anew_go_through_stages() -> None:
    """A scan with so little memory that it needs stages has the table of one with much."""
    task = sl.load_task("digits")
    model = sl.load_model("resnet20", task)
    made = [
        sl.scan_sensitivity(
            model, task, ratios=[0.5], images=60, recalibrate_bn=32, memory=memory, progress=False
        )
        for memory in (2**31, 2**25)
    ]
    values = [[(cell.drop, cell.images) for cell in table.cells] for table in made]
    assert np.array_equal(*values)

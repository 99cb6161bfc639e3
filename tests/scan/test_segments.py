"""The fast meter gives what the model gives with the same channels zeroed, on any topology."""

from __future__ import annotations

import dataclasses
from typing import Any

import paddle
import pytest
from fast_and_slow import BATCH, built, difference, meters
from operators import OPERATORS
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.errors import UnsupportedOpError
from slimlab.runtimes import RUNTIMES
from slimlab.runtimes.onnx_runtime import OnnxRuntime
from slimlab.scan.meters import Chunk, Fast
from slimlab.scan.network import LAST

CASES = {**TOPOLOGIES, **OPERATORS}


# What `lower` refuses: such a network is scanned in Paddle.
REFUSED = {"gru", "lstm"}
# Written for one image; changes a buffer at each call, so that two outputs need not be the same.
for name in ("squeeze", "crop", "spectral norm"):
    CASES.pop(name)


@pytest.mark.parametrize(
    ("name", "runtime"),
    [*((name, "openvino") for name in CASES), *((name, "onnxruntime") for name in TOPOLOGIES)],
)
def test_fast_equals_reference(name: str, runtime: str) -> None:
    model = built(CASES[name])
    graph = sl.trace(model, example())
    try:
        fast, reference = meters(model, graph, example(), runtime)
    except UnsupportedOpError:
        assert name in REFUSED
        return
    assert name not in REFUSED
    chunk = Chunk(0, example(1, batch=BATCH).numpy())
    assert difference(fast.whole(chunk), reference.whole(chunk)) < 1e-4
    for group in graph.groups:
        expected = reference.pruned(chunk, group.name, 0.5)
        assert difference(fast.pruned(chunk, group.name, 0.5), expected) < 1e-4, group.name
    again = Chunk(3, example(2, batch=2).numpy())  # fewer images than the batch
    for group in graph.groups:
        expected = reference.pruned(again, group.name, 0.5)
        assert difference(fast.pruned(again, group.name, 0.5), expected) < 1e-4, group.name


@pytest.mark.skipif("bfloat16" not in RUNTIMES["openvino"].dtypes, reason="no bfloat16 here")
@pytest.mark.parametrize("name", ["chain", "residual", "depthwise", "concat", "flatten to linear"])
def test_values_are_handed_over_in_bfloat16(name: str) -> None:
    model = built(CASES[name])
    graph = sl.trace(model, example())
    fast, reference = meters(model, graph, example(), "openvino", "bfloat16")
    chunk = Chunk(0, example(1, batch=BATCH).numpy())
    for group in graph.groups:
        expected = reference.pruned(chunk, group.name, 0.5)
        assert difference(fast.pruned(chunk, group.name, 0.5), expected) < 0.05, group.name
    handed = [v for name, v in fast.values(chunk).items() if name.endswith(LAST)]
    assert handed
    assert all(value.itemsize == 2 for value in handed)


def test_a_segment_that_a_runtime_refuses_is_run_as_a_whole_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = built(CASES["residual"])
    graph = sl.trace(model, example())
    fast, reference = meters(model, graph, example())
    real, refused = OnnxRuntime.compile, []

    def compile_(self: OnnxRuntime, network: Any, **settings: Any) -> Any:
        if any(one.name.startswith("mask_") for one in network.graph.input):
            refused.append(network.graph.name)
            msg = "no masks here"
            raise UnsupportedOpError(msg)
        return real(self, network, **settings)

    monkeypatch.setattr(OnnxRuntime, "compile", compile_)
    chunk = Chunk(0, example(1, batch=BATCH).numpy())
    for group in graph.groups:
        for _ in range(2):
            expected = reference.pruned(chunk, group.name, 0.5)
            assert difference(fast.pruned(chunk, group.name, 0.5), expected) < 1e-4
    assert refused == [group.name for group in graph.groups], "each is tried once"


def test_most_toys_are_masked_and_not_compiled_for_each_ratio() -> None:
    masked = {}
    for name in ("chain", "residual", "depthwise", "grouped", "concat", "flatten to linear"):
        model = built(CASES[name])
        graph = sl.trace(model, example())
        fast, _ = meters(model, graph, example())
        masked[name] = all(segment is not None for segment in fast._segments.values())
    assert all(masked.values()), masked


def test_what_comes_before_the_readers_is_not_computed_again() -> None:
    """In a chain of three convolutions the last group's segment holds only the last of them."""
    paddle.seed(0)
    conv = paddle.nn.Conv2D
    model = paddle.nn.Sequential(conv(3, 8, 3), conv(8, 8, 3), conv(8, 4, 1))
    graph = sl.trace(model, example())
    fast, _ = meters(model, graph, example())
    counts = {
        name: [node.op_type for node in segment.parts[0].nodes].count("Conv")
        for name, segment in fast._segments.items()
        if segment is not None
    }
    assert counts == {"0": 2, "1": 1}


def test_products_of_channels_are_compiled_with_zeroed_weights() -> None:
    """Queries and keys are summed over without a weight: masking readers would not be enough."""
    model = built(OPERATORS["attention"])
    graph = sl.trace(model, example())
    fast, _ = meters(model, graph, example())
    assert None in fast._segments.values()


def test_little_memory_forgets_segments_and_gives_the_same() -> None:
    model = built(CASES["residual"])
    graph = sl.trace(model, example())
    fast, reference = meters(model, graph, example())
    small = Fast(dataclasses.replace(fast.blueprint, memory=1))
    for start in (0, 3):
        chunk = Chunk(start, example(start, batch=BATCH).numpy())
        for group in graph.groups:
            expected = reference.pruned(chunk, group.name, 0.5)
            assert difference(small.pruned(chunk, group.name, 0.5), expected) < 1e-4
            assert len(small._compiled) == 1

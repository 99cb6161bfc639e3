"""Both meters of a scan, for tests that hold one against the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import paddle
from topologies import randomise_statistics

from slimlab.graph import Graph
from slimlab.plan import plan_kept
from slimlab.scan.blueprint import Blueprint, Reads, lowered
from slimlab.scan.meters import Fast, Reference

BATCH = 3


def meters(
    model: paddle.nn.Layer,
    graph: Graph,
    example: paddle.Tensor,
    runtime: str = "onnxruntime",
    dtype: str = "float32",
) -> tuple[Fast, Reference]:
    """Both meters of the same random cuts: a third of every group's channels stays."""
    rng = np.random.default_rng(0)
    kept, cuts = {}, {}
    for group in graph.groups:
        stay = rng.choice(group.width, max(1, group.width // 3), replace=False)
        kept[group.name, 0.5] = tuple(sorted(stay.tolist()))
        cuts[group.name, 0.5] = plan_kept(model, graph, {group.name: kept[group.name, 0.5]}).cuts
    reads = {group.name: Reads.of(group) for group in graph.groups}
    network = lowered(model, example, BATCH)
    blueprint = Blueprint(network, BATCH, reads, kept, cuts, runtime, dtype, 2**28, threads=1)
    return Fast(blueprint), Reference(model, cuts)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / (np.abs(expected).max() + 1e-12))


def built(make: Callable[[], paddle.nn.Layer]) -> paddle.nn.Layer:
    paddle.seed(0)
    model = randomise_statistics(make())
    model.eval()
    return model

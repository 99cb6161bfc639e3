"""What must hold of any network at all: pruned rightly or left alone, and ordinary afterwards."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from topologies import randomise_statistics

import slimlab as sl

RELATIVE = 1e-4
MOST = 0.9  # of the channels of a group that are removed


def tensors(made: Any) -> list[Tensor]:
    """The tensors of an output, whatever holds them."""
    return [t for t in paddle.utils.flatten(made) if isinstance(t, Tensor)]


def inputs_of(example: Any) -> list[Tensor]:
    return list(example) if isinstance(example, (list, tuple)) else [example]


def run(model: nn.Layer, example: Any) -> list[np.ndarray]:
    paddle.seed(0)
    with paddle.no_grad():
        return [t.numpy() for t in tensors(model(*inputs_of(example)))]


def difference(a: nn.Layer, b: nn.Layer, example: Any) -> float:
    """The largest difference between two networks, as a share of the largest number."""
    worst = 0.0
    for x, y in zip(run(a, example), run(b, example), strict=True):
        assert x.shape == y.shape
        assert np.isfinite(x).all(), "a test whose outputs are not finite would see nothing"
        x, y = x.astype(np.float64), y.astype(np.float64)
        if x.size:
            worst = max(worst, float(np.abs(x - y).max() / (np.abs(x).max() + 1e-9)))
    return worst


def varied(example: Any, seed: int) -> list[Tensor]:
    """Other inputs of the same shapes; indices stay."""
    rng = np.random.default_rng(seed)
    return [
        paddle.to_tensor(rng.standard_normal(x.shape).astype("float32"))
        if x.dtype == paddle.float32
        else x
        for x in inputs_of(example)
    ]


def shrink(model: nn.Layer, example: Any, seed: int) -> tuple[sl.Graph, nn.Layer]:
    """Prune every group at random ratios together; the cut model must equal the masked one."""
    graph = sl.trace(model, example)
    rng = np.random.default_rng(seed)
    ratios = {layer: float(rng.uniform(0.1, MOST)) for layer in graph.layers}
    plan = sl.plan_pruning(model, graph, ratios, criterion="random")
    small = sl.prune(model, plan)
    other = varied(example, seed)
    with sl.masked(model, plan) as masked_model:
        found = difference(masked_model, small, other)
    assert found < RELATIVE, f"masked and cut differ by {found:.1e}\n{graph.coverage}"
    predicted = graph.cost.totals({name: len(kept) for name, kept in plan.kept.items()})
    counted = sl.profile(small, example)
    assert (predicted.macs, predicted.params) == (counted.macs, counted.params)
    return graph, small


def train(model: nn.Layer, example: Any) -> None:
    """One step of training changes weights and leaves them finite."""
    model.train()
    inputs = [x.clone() for x in inputs_of(example)]
    for x in inputs:  # some kernels of Paddle crash for inputs without a gradient
        x.stop_gradient = not x.is_floating_point()
    floats = [t for t in tensors(model(*inputs)) if t.is_floating_point()]
    optimizer = paddle.optimizer.SGD(1e-3, parameters=model.parameters())
    before = [p.numpy().copy() for p in model.parameters()]
    sum((t - 0.3).square().mean() for t in floats).backward()
    optimizer.step()
    optimizer.clear_grad()
    after = [p.numpy() for p in model.parameters()]
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    assert all(np.isfinite(a).all() for a in after)
    model.eval()


def fulfil(model: nn.Layer, example: Any, seed: int = 0, *, trains: bool = True) -> sl.Graph:
    """Hold a network to the whole contract; give its graph."""
    randomise_statistics(model, seed).eval()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    graph, small = shrink(model, example, seed)
    assert all((model.state_dict()[n].numpy() == value).all() for n, value in before.items())
    unexplained = [row[0] for row in graph.coverage.rows if not row[4] and not row[6]]
    assert not unexplained, f"no reason is given for {unexplained}"
    assert difference(small, copy.deepcopy(small), example) == 0
    if trains:
        train(small, example)
    shrink(small, example, seed + 1)  # pruned again, which also traces it
    return graph


def reasons(graph: sl.Graph) -> Sequence[str]:
    """Why layers are left alone."""
    return list(graph.coverage.blocked())

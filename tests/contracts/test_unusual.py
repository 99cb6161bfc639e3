"""Networks that once were cut wrongly or made `prune` fail: right now, or left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import paddle
import pytest
from operators import between, vectors
from paddle import Tensor, nn
from topologies import Toy, randomise_statistics

import slimlab as sl

F = nn.functional


def rows_first(m: nn.Layer, x: Tensor) -> Tensor:
    """Lets a layer work on an image whose rows are its channels."""
    return m.mix(x.transpose([0, 2, 1, 3])).transpose([0, 2, 1, 3])


def rows_summed(m: nn.Layer, x: Tensor) -> Tensor:
    y = rows_first(m, x)
    return y * y.sum(1, keepdim=True)


def batch_first(m: nn.Layer, x: Tensor) -> Tensor:
    return m.mix(x.transpose([1, 0, 2, 3])).transpose([1, 0, 2, 3])


def batch_summed(m: nn.Layer, x: Tensor) -> Tensor:
    return m.mix(x.transpose([1, 0, 2, 3])).sum(0, keepdim=True) + x


def weight_as_linear(m: nn.Layer, x: Tensor) -> Tensor:
    pooled = F.adaptive_avg_pool2d(x, 1).flatten(1)
    return x + F.linear(pooled, m.mix.weight.reshape([8, 8])).unsqueeze([-1, -2])


def groups_given(m: nn.Layer, x: Tensor) -> Tensor:
    return F.conv2d(x, m.mix.weight, m.mix.bias, padding=1, groups=8)


def repeated(m: nn.Layer, x: Tensor) -> Tensor:
    return paddle.repeat_interleave(x, paddle.to_tensor([1, 2, 1, 2, 1, 1, 1, 1]), 1)


class Flat(nn.Layer):
    """A linear layer whose weight is one row of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = self.create_parameter([48])

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.numbers.reshape([8, 6])


# fmt: off
NETWORKS: dict[str, tuple[Callable[[], Toy], bool]] = {  # and whether `first` can be pruned
    "channels as batch": (lambda: between(batch_first, mix=nn.Conv2D(1, 1, 3, padding=1)), True),
    "channels as batch, summed": (
        lambda: between(batch_summed, mix=nn.Conv2D(1, 1, 3, padding=1)), False),
    "channels as rows": (lambda: between(rows_first, mix=nn.Conv2D(6, 6, 3, padding=1)), False),
    "instance norm of rows": (lambda: between(rows_first, mix=nn.InstanceNorm2D(6)), False),
    "group norm of rows": (lambda: between(rows_first, mix=nn.GroupNorm(3, 6)), False),
    "batch norm of rows": (lambda: between(rows_first, mix=nn.BatchNorm2D(6)), True),
    "batch norm of rows, summed": (lambda: between(rows_summed, mix=nn.BatchNorm2D(6)), False),
    "weight as linear": (lambda: between(weight_as_linear, mix=nn.Conv2D(8, 8, 1)), False),
    "groups given": (
        lambda: between(groups_given, mix=nn.Conv2D(8, 8, 3, padding=1, groups=8)), False),
    "flat weight": (lambda: vectors(lambda m, x: m.mix(x), mix=Flat(), out=6), False),
    "size depends on values": (lambda: between(repeated, out=10), False),
}
# fmt: on


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_pruned_rightly_or_left_alone(name: str, seed: int) -> None:
    make, free = NETWORKS[name]
    model = randomise_statistics(make(), seed)
    x = paddle.randn([1, 3, 6, 6])
    graph = sl.trace(model, x)
    assert ("first" in graph.layers) == free, str(graph.coverage)
    assert all(row[6] for row in graph.coverage.rows if not row[4])
    rng = np.random.default_rng(seed)
    ratios = {layer: float(rng.uniform(0.2, 0.9)) for layer in graph.layers}
    plan = sl.plan_pruning(model, graph, ratios, criterion="random")
    small = sl.prune(model, plan)
    with sl.masked(model, plan) as masked_model, paddle.no_grad():
        expected, found = masked_model(x).numpy(), small(x).numpy()
    assert np.abs(expected - found).max() <= 1e-4 * np.abs(expected).max()


class OfTheSameSize(nn.Layer):
    """Takes one tensor's size for another's, both of two channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2D(3, 2, 1), nn.Conv2D(2, 2, 1)
        self.last = nn.Conv2D(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.a(x))
        return self.last(F.relu(self.b(y)).reshape(y.shape))


class TwoWeights(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = self.create_parameter([6, 3, 3, 3])
        self.mix, self.last = self.create_parameter([6, 5]), nn.Conv2D(5, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(F.conv2d(x, self.kernel))
        return self.last(paddle.einsum("bchw,cd->bdhw", y, self.mix))


@pytest.mark.parametrize("make", [OfTheSameSize, TwoWeights])
def test_every_group_that_is_promised_can_be_cut_alone(make: Callable[[], nn.Layer]) -> None:
    paddle.seed(0)
    model, x = randomise_statistics(make()), paddle.randn([1, 3, 6, 6])
    model.eval()
    graph = sl.trace(model, x)
    assert len(set(graph.layers)) == len(graph.groups) == (0 if make is OfTheSameSize else 2)
    for group in graph.groups:
        small = sl.prune(model, sl.plan_pruning(model, graph, {group.name: 0.5}))
        assert small(x).shape == model(x).shape

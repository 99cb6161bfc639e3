"""Numbers of channels that layers remember shrink where the forward reads them."""

from __future__ import annotations

from pathlib import Path

import paddle
import pytest
from contract import difference, fulfil, shrink
from paddle import Tensor, nn
from topologies import randomise_statistics

import slimlab as sl
from slimlab.code_paths import functions_of
from slimlab.held_sizes import numbers_of

F = nn.functional


class Gated(nn.Layer):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.out_channels, self.conv = out, nn.Conv2D(into, 2 * out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.elu(x[:, : self.out_channels]) * F.sigmoid(x[:, self.out_channels :])


class NonLocal(nn.Layer):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.inner, self.width = inner, width
        self.q, self.v = nn.Conv2D(width, inner, 1), nn.Conv2D(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).reshape([0, self.inner, -1])
        weights = F.softmax(q.transpose([0, 2, 1]) @ q, axis=-1)
        y = self.v(x).reshape([0, self.width, -1]) @ weights
        return x + y.reshape([0, self.width, x.shape[2], x.shape[3]])


class Scaled(Gated):
    """The number is read as a number, too."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / self.out_channels


class Twice(Gated):
    """One number for the channels of two layers, which lose the same."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__(into, out)
        self.side = nn.Conv2D(into, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.side(x).reshape([0, self.out_channels, -1]).mean(-1)
        return super().forward(x) * F.sigmoid(y).unsqueeze([2, 3])


def net(*body: nn.Layer, width: int) -> nn.Layer:
    return nn.Sequential(nn.Conv2D(3, 8, 3), *body, nn.Conv2D(width, 4, 1))


def test_a_number_that_slices() -> None:
    paddle.seed(0)
    model, x = net(Gated(8, 6), Gated(6, 10), width=10), paddle.randn([2, 3, 8, 8])
    graph = fulfil(model, x)
    assert graph.coverage.macs_share == 1
    assert {g.sizes for g in graph.groups} == {
        (), (("1.out_channels", 1),), (("2.out_channels", 1),),
    }  # fmt: skip
    small = sl.prune(model, sl.plan_pruning(model, graph, {"1.conv": 0.5}))
    assert (small[1].out_channels, small[2].out_channels) == (3, 10)
    assert model[1].out_channels == 6


def test_numbers_that_reshape() -> None:
    paddle.seed(0)
    graph = fulfil(net(NonLocal(8, 5), width=8), paddle.randn([1, 3, 8, 8]))
    assert graph.coverage.macs_share == 1
    assert {path for g in graph.groups for path, _ in g.sizes} == {"1.inner", "1.width"}


def test_a_number_that_is_a_number_stays() -> None:
    paddle.seed(0)
    graph = fulfil(net(Scaled(8, 6), width=6), paddle.randn([1, 3, 8, 8]))
    assert not any(group.sizes for group in graph.groups)
    assert "1.conv" in {row[0] for row in graph.coverage.rows if not row[4]}


def test_one_number_for_two_layers() -> None:
    paddle.seed(0)
    graph = fulfil(net(Twice(8, 6), width=6), paddle.randn([1, 3, 8, 8]))
    (group,) = (g for g in graph.groups if g.sizes)
    assert {"1.conv", "1.side"} <= set(group.layers)


def test_saved_loaded_and_an_edited_number(tmp_path: Path) -> None:
    paddle.seed(0)
    model, x = net(Gated(8, 6), width=6), paddle.randn([1, 3, 8, 8])
    randomise_statistics(model).eval()
    _, small = shrink(model, x, 3)
    folder = sl.save(small, tmp_path / "small")
    again = sl.load(folder, model=net(Gated(8, 6), width=6))
    assert again[1].out_channels == small[1].out_channels < 6
    assert difference(small, again, x) == 0
    file = folder / "slimlab.json"
    text = file.read_text(encoding="utf-8")
    old = f'"1.out_channels": {small[1].out_channels}'
    assert old in text
    file.write_text(text.replace(old, '"1.out_channels": 60'), encoding="utf-8")
    with pytest.raises(sl.ArtifactError):
        sl.load(folder, model=net(Gated(8, 6), width=6))


def test_only_numbers_that_are_read() -> None:
    model = net(NonLocal(8, 5), width=8)
    model[1].unread = 8
    assert numbers_of(model, functions_of(model)) == {"1": {"inner": 5, "width": 8}}

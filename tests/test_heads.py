"""Whole heads of attention go, and layers remember how many are left."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import paddle
import pytest
from contract import difference, fulfil, shrink
from paddle import Tensor, nn
from topologies import randomise_statistics

import slimlab as sl
from slimlab.layers import remembered

F = nn.functional


class Attention(nn.Layer):
    """Splits by attributes of its own."""

    def __init__(self, width: int = 12, heads: int = 4) -> None:
        super().__init__()
        self.num_attention_heads, self.head_dim = heads, width // heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        split = [0, 0, 3, self.num_attention_heads, self.head_dim]
        q, k, v = self.qkv(x).reshape(split).transpose([2, 0, 3, 1, 4]).unbind(0)
        scores = F.softmax(q @ k.transpose([0, 1, 3, 2]) * self.head_dim**-0.5, axis=-1)
        mixed = (scores @ v).transpose([0, 2, 1, 3])
        return self.out(mixed.reshape([0, 0, self.num_attention_heads * self.head_dim]))


class Derived(Attention):
    """The width of a head is derived from the width of the stream."""

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        heads = self.num_attention_heads
        split = [b, n, 3, heads, c // heads]
        q, k, v = self.qkv(x).reshape(split).transpose([2, 0, 3, 1, 4]).unbind(0)
        scores = F.softmax(q @ k.transpose([0, 1, 3, 2]), axis=-1)
        return self.out((scores @ v).transpose([0, 2, 1, 3]).reshape([b, n, c]))


class Net(nn.Layer):
    def __init__(self, attend: nn.Layer | None = None) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 12), nn.Linear(12, 5)
        self.norm = nn.LayerNorm(12)
        self.attend = attend or nn.MultiHeadAttention(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x))
        x = x + (self.attend(x, x, x) if hasattr(self.attend, "q_proj") else self.attend(x))
        return self.last(x)


@pytest.mark.parametrize("attend", [None, Attention])
def test_heads_are_a_group(attend: type[nn.Layer] | None) -> None:
    paddle.seed(0)
    model, x = Net(attend() if attend else None), paddle.randn([2, 6, 3])
    graph = fulfil(model, x)
    (group,) = (g for g in graph.groups if g.layer.startswith("attend"))
    assert group.width == 4
    attribute = "num_heads" if attend is None else "num_attention_heads"
    assert group.sizes == ((f"attend.{attribute}", 1),)
    plan = sl.plan_pruning(model, graph, {group.name: 0.5})
    small = sl.prune(model, plan)
    assert getattr(small.attend, attribute) == 2
    assert getattr(model.attend, attribute) == 4
    assert small.attend.head_dim == 3
    assert plan.sizes == {f"attend.{attribute}": (4, 2)}
    assert sl.PruningPlan.from_dict(plan.to_dict()).sizes == plan.sizes
    assert getattr(copy.deepcopy(small).attend, attribute) == 2


def test_the_heads_that_stay_compute_what_they_did() -> None:
    """By hand: attention of the heads 0 and 2 alone."""
    paddle.seed(0)
    model, x = Net(), paddle.randn([1, 6, 3])
    model.eval()
    graph = sl.trace(model, x)
    (group,) = (g for g in graph.groups if g.sizes)
    from slimlab.plan import plan_kept

    small = sl.prune(model, plan_kept(model, graph, {group.name: (0, 2)}))
    a = model.attend
    y = model.norm(model.first(x))
    made = a.out_proj.bias
    for head in (0, 2):
        own = slice(3 * head, 3 * head + 3)
        q, k, v = (y @ p.weight[:, own] + p.bias[own] for p in (a.q_proj, a.k_proj, a.v_proj))
        weights = F.softmax(q @ k.transpose([0, 2, 1]) / 3**0.5, axis=-1)
        made = made + weights @ v @ a.out_proj.weight[own]
    expected = model.last(y + made).numpy()
    assert np.abs(small(x).numpy() - expected).max() < 1e-5


def test_heads_that_a_forward_derives_are_left_alone() -> None:
    paddle.seed(0)
    graph = fulfil(Net(Derived()), paddle.randn([2, 6, 3]))
    assert not any(group.sizes for group in graph.groups)
    assert "attend.qkv" in {row[0] for row in graph.coverage.rows if not row[4]}


def test_a_saved_model_remembers_its_heads(tmp_path: Path) -> None:
    paddle.seed(0)
    model, x = Net(), paddle.randn([1, 6, 3])
    randomise_statistics(model).eval()
    _, small = shrink(model, x, 0)
    _, smaller = shrink(small, x, 1)
    again = sl.load(sl.save(smaller, tmp_path / "small"), model=Net())
    assert again.attend.num_heads == smaller.attend.num_heads < 4
    assert difference(smaller, again, x) == 0
    shrink(again, x, 2)


def test_a_plan_for_other_heads_is_refused() -> None:
    model, x = Net(), paddle.randn([1, 6, 3])
    graph = sl.trace(model, x)
    (group,) = (g for g in graph.groups if g.sizes)
    plan = sl.plan_pruning(model, graph, {group.name: 0.5})
    other = Net(nn.MultiHeadAttention(12, 2))
    with pytest.raises(sl.PlanError, match=r"'attend.num_heads' is 4; here it is 2"):
        sl.prune(other, plan)


def test_names_of_remembered() -> None:
    layer = nn.Layer()
    layer.n_heads, layer.nhead, layer.heads = 2, 3, 4
    layer.head_dim, layer.d_head, layer.all_head_size, layer.multi_head = 5, 6, 7, True
    layer.header = "x"
    assert remembered(layer) == {"": {"n_heads": 2, "nhead": 3, "heads": 4}}

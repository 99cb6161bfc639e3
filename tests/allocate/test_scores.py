from __future__ import annotations

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from topologies import TOPOLOGIES, ConvBN, Toy, example

import slimlab as sl
from slimlab.allocate.scores import NORMALISERS


@pytest.fixture(scope="module")
def chain() -> sl.Graph:
    """a: 3 -> 8 and b: 8 -> 12, 3x3 on 6x6; fc: 12 -> 5."""
    return sl.trace(TOPOLOGIES["chain"](), example())


@pytest.fixture(scope="module")
def residual() -> sl.Graph:
    return sl.trace(TOPOLOGIES["residual"](), example())


def random_scores(graph: sl.Graph, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {g.name: rng.exponential(rng.uniform(0.1, 9), g.width) for g in graph.groups}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 9999),
    macs=st.floats(0.05, 0.8),
    how=st.sampled_from(sorted(NORMALISERS)),
)
def test_the_lowest_go_and_no_more_than_the_budget_needs(
    chain: sl.Graph, seed: int, macs: float, how: str
) -> None:
    scores = random_scores(chain, seed)
    found = sl.ratios_from_scores(chain, scores, macs=macs, normalise=how)
    seen = sl.preview(chain, found)
    assert seen.macs_removed >= macs
    normal = {n: np.sort(v) for n, v in NORMALISERS[how](scores, chain).items()}
    gone = {n: before - after for n, (before, after) in seen.widths.items()}
    threshold = max(normal[n][k - 1] for n, k in gone.items() if k)
    for name, values in normal.items():  # nothing below the threshold stays, but the last channel
        below = int((values < threshold).sum())
        assert gone[name] >= min(below, len(values) - 1)
    fewer = {  # with what lies at the threshold kept, in all groups: equal scores go together
        name: min(k, int((normal[name] < threshold).sum())) / chain.group(name).width
        for name, k in gone.items()
    }
    assert sl.preview(chain, fewer).macs_removed < macs


@pytest.mark.parametrize("how", sorted(NORMALISERS))
def test_normalising_keeps_the_order_inside_a_group(residual: sl.Graph, how: str) -> None:
    scores = random_scores(residual, 1)
    for name, values in NORMALISERS[how](scores, residual).items():
        np.testing.assert_array_equal(np.argsort(values), np.argsort(scores[name]))


@pytest.mark.parametrize("how", ["mean", "lamp", "isomorphic"])
def test_the_scale_of_a_group_does_not_matter(residual: sl.Graph, how: str) -> None:
    scores = random_scores(residual, 2)
    scaled = {name: values * (n + 1) * 10 for n, (name, values) in enumerate(scores.items())}
    plain = sl.ratios_from_scores(residual, scores, macs=0.5, normalise=how)
    assert sl.ratios_from_scores(residual, scaled, macs=0.5, normalise=how) == plain


def test_lamp_by_hand(chain: sl.Graph) -> None:
    found = NORMALISERS["lamp"]({"a.0": np.array([4.0, 1.0, 3.0])}, chain)["a.0"]
    np.testing.assert_allclose(found, [1.0, 1 / 8, 3 / 7])


def test_isomorphic_layers_share_a_rank_and_others_do_not() -> None:
    graph = sl.trace(three_alike(), example())
    scores = {
        "a.0": np.full(8, 1.0),
        "b.0": np.arange(1.0, 9.0),
        "c.0": np.full(8, 5.0),
    }
    found = NORMALISERS["isomorphic"](scores, graph)
    # a and b feed a convolution, c feeds the classifier: 16 ranks for the two, 8 for c alone.
    together = np.sort(np.concatenate([found["a.0"], found["b.0"]]))
    np.testing.assert_allclose(together, np.arange(16) / 16)
    np.testing.assert_allclose(np.sort(found["c.0"]), np.arange(8) / 8)


def three_alike() -> Toy:
    return Toy(
        lambda m, x: m.fc(m.pool(m.c(m.b(m.a(x)))).flatten(1)),
        a=ConvBN(3, 8),
        b=ConvBN(8, 8),
        c=ConvBN(8, 8),
        pool=paddle.nn.AdaptiveAvgPool2D(1),
        fc=paddle.nn.Linear(8, 5),
    )


def test_the_planned_channels_are_the_low_ones(
    digits: sl.Task, vgg: paddle.nn.Layer, vgg_graph: sl.Graph
) -> None:
    scores = sl.score_channels(vgg, vgg_graph, "taylor", task=digits, images=32)
    ratios = sl.ratios_from_scores(vgg_graph, scores, macs=0.4)
    plan = sl.plan_pruning(vgg, vgg_graph, ratios, "taylor", task=digits, images=32)
    for name, kept in plan.kept.items():
        gone = sorted(set(range(vgg_graph.group(name).width)) - set(kept))
        if gone:
            assert scores[name][gone].max() <= scores[name][list(kept)].min()


def test_scope_is_kept(chain: sl.Graph) -> None:
    scores = random_scores(chain, 0)
    scope = sl.Scope(multiple=4, least=4)
    seen = sl.preview(chain, sl.ratios_from_scores(chain, scores, macs=0.5, scope=scope))
    assert {after % 4 for _, after in seen.widths.values()} == {0}
    only = sl.ratios_from_scores(chain, scores, macs=0.3, scope=sl.Scope(include="^b"))
    assert set(only) == {"b.0"}


def test_it_refuses_what_it_cant_use(chain: sl.Graph) -> None:
    scores = random_scores(chain, 0)
    with pytest.raises(sl.PlanError, match="Did you mean 'lamp'"):
        sl.ratios_from_scores(chain, scores, macs=0.5, normalise="lmap")
    with pytest.raises(sl.PlanError, match="none may be negative"):
        sl.ratios_from_scores(chain, {**scores, "a.0": -scores["a.0"]}, macs=0.5)
    with pytest.raises(sl.PlanError, match="a finite number for each"):
        sl.ratios_from_scores(chain, {**scores, "a.0": np.ones(3)}, macs=0.5)
    with pytest.raises(sl.PlanError, match="At most"):
        sl.ratios_from_scores(chain, scores, macs=0.999)
    with pytest.raises(sl.PlanError, match="1 groups that have scores"):
        sl.ratios_from_scores(chain, {"a.0": scores["a.0"]}, macs=0.95)
    with pytest.raises(sl.PlanError, match="None of the 1 scored groups"):
        sl.ratios_from_scores(chain, {"x": np.ones(2)}, macs=0.5)

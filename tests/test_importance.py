"""Criteria against values computed by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.evidence import DATA_CRITERIA
from slimlab.importance import CRITERIA, GroupWeights, channel_scores, criterion

TWO = GroupWeights(
    "g",
    filters=(np.array([[3.0, -4.0], [1.0, 0.0]]), np.array([[0.0, 12.0], [-2.0, 2.0]])),
    scales=(np.array([0.5, -2.0]), np.array([1.0, 1.0])),
)


@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("l1_norm", [7 + 12, 1 + 4]),
        ("l2_norm", [np.sqrt(25 + 144), np.sqrt(1 + 8)]),
        ("bn_scale", [1.5, 3.0]),
        # the distance between the two rows [3, -4, 0, 12] and [1, 0, -2, 2], for each of them
        ("fpgm", [np.sqrt(4 + 16 + 4 + 100)] * 2),
    ],
)
def test_by_hand(name: str, scores: list[float]) -> None:
    np.testing.assert_allclose(CRITERIA[name](TWO), scores, rtol=1e-12)


def test_fpgm_finds_the_replaceable_filter() -> None:
    group = GroupWeights("g", (np.array([[0.0], [1.0], [1.1], [9.0]]),), ())
    assert CRITERIA["fpgm"](group).argmin() in (1, 2)


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_contract(name: str) -> None:
    """Every criterion: a finite score a channel, the same each time, and no change to the model."""
    model = TOPOLOGIES["residual"]()
    graph = sl.trace(model, example())
    before = {n: t.numpy().copy() for n, t in model.state_dict().items()}
    for group in graph.groups:
        scores = channel_scores(model, group, name)
        assert scores.shape == (group.width,)
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(scores, channel_scores(model, group, name))
    assert all((model.state_dict()[n].numpy() == v).all() for n, v in before.items())


def test_l1_norm_of_a_real_layer() -> None:
    model = TOPOLOGIES["chain"]()
    graph = sl.trace(model, example())
    expected = np.abs(model.a[0].weight.numpy()).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(channel_scores(model, graph.group("a.0")), expected, rtol=1e-5)


def test_a_linear_layer_is_ranked_by_its_columns() -> None:
    model = TOPOLOGIES["flatten to linear"]()
    graph = sl.trace(model, example())
    expected = np.abs(model.fc1.weight.numpy()).sum(axis=0)
    np.testing.assert_allclose(channel_scores(model, graph.group("fc1")), expected, rtol=1e-5)


def test_depthwise_filters_do_not_count_as_makers() -> None:
    model = TOPOLOGIES["depthwise"]()
    graph = sl.trace(model, example())
    expected = np.abs(model.stem[0].weight.numpy()).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(channel_scores(model, graph.group("stem.0")), expected, rtol=1e-5)


def test_random_is_fixed_for_a_layer_and_differs_between_layers() -> None:
    one = GroupWeights("one", (np.zeros((50, 1)),), ())
    two = GroupWeights("two", (np.zeros((50, 1)),), ())
    np.testing.assert_array_equal(CRITERIA["random"](one), CRITERIA["random"](one))
    assert (CRITERIA["random"](one) != CRITERIA["random"](two)).any()


def test_errors_are_sentences() -> None:
    model = TOPOLOGIES["bias"]()
    graph = sl.trace(model, example())
    group = graph.groups[0]
    with pytest.raises(sl.PlanError, match=r"No criterion 'l1_nrm'\. Did you mean 'l1_norm'"):
        channel_scores(model, group, "l1_nrm")
    with pytest.raises(sl.PlanError, match="passes no BatchNorm"):
        channel_scores(model, group, "bn_scale")


def test_a_criterion_of_ones_own_is_checked() -> None:
    model = TOPOLOGIES["bias"]()
    graph = sl.trace(model, example())
    criterion("short")(lambda group: np.zeros(1))
    try:
        with pytest.raises(sl.PlanError, match=r"scores of shape \(1,\) for group 'a'"):
            channel_scores(model, graph.groups[0], "short")
    finally:
        del CRITERIA["short"]


def test_the_public_table_lists_every_criterion_with_its_paper() -> None:
    table = sl.criteria().set_index("criterion")
    functions = {**CRITERIA, **DATA_CRITERIA}
    assert list(table.index) == list(functions)
    assert set(table.index[table["needs_data"]]) == set(DATA_CRITERIA)
    for name, row in table.iterrows():
        told = functions[name].__doc__ or ""
        number = re.search(r"\d{4}\.\d{5}", row["paper"])
        assert number is not None, name
        assert number[0] in told
        assert " ".join(told.split()).startswith(row["ranks_by"])
        assert "et al" not in row["ranks_by"]


def test_a_criterion_of_ones_own_is_in_the_table() -> None:
    @criterion("mine", paper="Mine, 2026")
    def mine(group: GroupWeights) -> np.ndarray:
        """Nothing else. Really."""
        return np.ones(len(group.filters[0]))

    try:
        row = sl.criteria().set_index("criterion").loc["mine"]
    finally:
        del CRITERIA["mine"]
    assert row.tolist() == ["Nothing else", "Mine, 2026", False]
    assert "mine" not in set(sl.criteria()["criterion"])

"""The map of a network: which layer's output goes where."""

from __future__ import annotations

import paddle
import pytest
import topologies
from paddle import nn

import slimlab as sl


def edges(model: nn.Layer) -> set[tuple[str, str]]:
    """Edges by name; a ConvBN is called by its own name."""
    frame = sl.trace(model, topologies.example()).wiring.to_frame()
    plain = frame.map(lambda name: name.removesuffix(".0"))
    return set(plain.itertuples(index=False, name=None))


def test_a_chain():
    assert edges(topologies.chain()) == {
        ("input", "a"), ("a", "b"), ("b", "fc"), ("fc", "output"),
    }  # fmt: skip


def test_residual_additions_are_joins():
    assert edges(topologies.residual()) == {
        ("input", "stem"), ("stem", "a"), ("a", "b"), ("b", "add 1"), ("stem", "add 1"),
        ("add 1", "c"), ("c", "add 2"), ("add 1", "add 2"), ("add 2", "fc"), ("fc", "output"),
    }  # fmt: skip


def test_a_concatenation_joins_three_streams():
    found = edges(topologies.concatenated())
    assert {source for source, target in found if target.startswith("concat")} == {"a", "stem", "b"}


def test_a_layer_that_is_called_twice_is_one_node():
    model = topologies.shared_layer()
    assert edges(model) == {
        ("input", "stem"), ("stem", "twice"), ("twice", "fc"), ("fc", "output"),
    }  # fmt: skip
    names = [name for name, _ in sl.trace(model, topologies.example()).wiring.nodes]
    assert len(names) == len(set(names))


def test_several_inputs_have_names_of_their_own():
    class Two(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(5, 4)

        def forward(self, x, y):
            return self.a(x) + self.b(y)

    frame = sl.trace(Two(), [paddle.zeros([1, 3]), paddle.zeros([1, 5])]).wiring.to_frame()
    found = set(frame.itertuples(index=False, name=None))
    assert {("input 0", "a"), ("input 1", "b"), ("add 1", "output")} <= found


@pytest.mark.parametrize("name", list(topologies.TOPOLOGIES))
def test_everything_lies_between_input_and_output(name):
    wiring = sl.trace(topologies.TOPOLOGIES[name](), topologies.example()).wiring
    graph = sl.trace(topologies.TOPOLOGIES[name](), topologies.example())
    layers = {row[0] for row in graph.coverage.rows}
    assert {n for n, kind in wiring.nodes if kind == "layer"} == layers
    after = {k: {b for a, b in wiring.edges if a == k} for k in range(len(wiring.nodes))}
    before = {k: {a for a, b in wiring.edges if b == k} for k in range(len(wiring.nodes))}
    for start, way in (("input", after), ("output", before)):
        seen, todo = set(), [k for k, (_, kind) in enumerate(wiring.nodes) if kind == start]
        while todo:
            seen.add(node := todo.pop())
            todo += way[node] - seen
        assert seen == set(range(len(wiring.nodes)))

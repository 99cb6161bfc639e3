"""Units of recurrent layers go in every gate, layer and direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import pytest
from contract import difference, fulfil, shrink
from paddle import Tensor, nn
from topologies import randomise_statistics

import slimlab as sl
from slimlab.plan import plan_kept


class Net(nn.Layer):
    def __init__(self, rnn: nn.Layer, out: int, *, states: bool = False) -> None:
        super().__init__()
        self.first, self.rnn, self.states = nn.Linear(3, 10), rnn, states
        self.last = nn.Linear(out, 5)

    def forward(self, x: Tensor) -> Tensor:
        y, states = self.rnn(self.first(x))
        if not self.states:
            return self.last(y)
        state = states[0] if isinstance(states, tuple) else states
        return self.last(paddle.concat([state[0], state[1]], axis=-1))


# fmt: off
CASES = {
    "lstm": lambda: Net(nn.LSTM(10, 6), 6), "gru": lambda: Net(nn.GRU(10, 6), 6),
    "simple": lambda: Net(nn.SimpleRNN(10, 6), 6),
    "simple, relu": lambda: Net(nn.SimpleRNN(10, 6, activation="relu"), 6),
    "deep lstm": lambda: Net(nn.LSTM(10, 6, num_layers=3), 6),
    "both ways": lambda: Net(nn.LSTM(10, 6, direction="bidirect"), 12),
    "deep, both ways": lambda: Net(nn.GRU(10, 6, num_layers=2, direction="bidirect"), 12),
    "time first": lambda: Net(nn.GRU(10, 6, time_major=True), 6),
    "final states": lambda: Net(nn.LSTM(10, 6, num_layers=2), 12, states=True),
    "final states of a gru": lambda: Net(nn.GRU(10, 6, direction="bidirect"), 12, states=True),
}
# fmt: on


@pytest.mark.parametrize("name", CASES)
def test_units_are_channels(name: str) -> None:
    paddle.seed(0)
    model, x = CASES[name](), paddle.randn([2, 7, 3])
    graph = fulfil(model, x)
    widths = {group.layer: group.width for group in graph.groups}
    assert widths == {"first": 10, "rnn": 6}, str(graph.coverage)
    assert graph.coverage.macs_share == 1


def test_the_units_that_stay_compute_what_they_did() -> None:
    """A GRU by hand, of the units 1 and 4 alone."""
    paddle.seed(0)
    model, x = Net(nn.GRU(10, 6), 6), paddle.randn([1, 4, 3])
    model.eval()
    graph = sl.trace(model, x)
    small = sl.prune(model, plan_kept(model, graph, {"rnn": (1, 4)}))
    assert (small.rnn.hidden_size, small.rnn[0].cell.hidden_size) == (2, 2)
    state = {name: tensor.numpy() for name, tensor in model.rnn.state_dict().items()}
    kept, y, outs = [1, 4], model.first(x).numpy()[0], []
    rows = np.concatenate([np.array(kept) + 6 * gate for gate in range(3)])
    into, back = state["weight_ih_l0"][rows], state["weight_hh_l0"][rows][:, kept]
    more, held = state["bias_ih_l0"][rows], state["bias_hh_l0"][rows]
    h = np.zeros(2)
    for step in y:
        a, b = np.split(into @ step + more, 3), np.split(back @ h + held, 3)
        reset, update = (1 / (1 + np.exp(-(p + q))) for p, q in zip(a[:2], b[:2], strict=True))
        h = update * h + (1 - update) * np.tanh(a[2] + reset * b[2])
        outs.append(h)
    expected = np.array(outs) @ model.last.weight.numpy()[kept] + model.last.bias.numpy()
    assert np.abs(small(x).numpy()[0] - expected).max() < 1e-5


def test_multiply_adds_of_every_step() -> None:
    model = Net(nn.LSTM(10, 6), 6)
    row = sl.profile(model, paddle.zeros([1, 7, 3])).to_frame().set_index("layer").loc["rnn"]
    assert row["macs"] == 7 * (4 * 6 * 10 + 4 * 6 * 6)


def test_saved_and_loaded(tmp_path: Path) -> None:
    paddle.seed(0)
    model, x = CASES["deep, both ways"](), paddle.randn([1, 7, 3])
    randomise_statistics(model).eval()
    _, small = shrink(model, x, 0)
    again = sl.load(sl.save(small, tmp_path / "small"), model=CASES["deep, both ways"]())
    assert difference(small, again, x) == 0
    assert again.rnn.hidden_size == small.rnn.hidden_size < 6

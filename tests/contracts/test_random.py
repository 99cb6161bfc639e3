"""Networks drawn at random: pruned rightly or left alone, whatever stands beside what."""

from __future__ import annotations

import paddle
import pytest
from contract import fulfil
from random_nets import Drawn

FAST = 12
ALL = 200


@pytest.mark.parametrize(
    "seed",
    [pytest.param(n, marks=() if n < FAST else pytest.mark.slow) for n in range(ALL)],
)
def test_a_network_drawn_at_random_is_pruned_rightly_or_left_alone(seed: int) -> None:
    paddle.seed(seed)
    model = Drawn(seed)
    fulfil(model, model.example(), seed)


def test_the_networks_use_every_piece() -> None:
    """A generator that always drew the same would find nothing."""
    from random_pieces import PIECES

    told = {name.partition(" ")[0] for seed in range(60) for name in Drawn(seed).told}
    assert told == {name.partition(" ")[0] for name in PIECES}

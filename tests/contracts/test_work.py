"""Tracing and grouping do work that grows with the number of operators, not with its square.

Counted, not timed: every call of a function of SlimLab's, and every entry of the constraints.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import paddle
import pytest
from foreign.registry import Residual, head, unit
from paddle import nn

import slimlab as sl
from slimlab.rules import walk
from slimlab.trace import trace_program

OWN = str(Path(sl.__file__).parent)


def chain(blocks: int) -> nn.Layer:
    return nn.Sequential(unit(3, 8), *(unit(8, 8) for _ in range(blocks)), head(8))


def residual(blocks: int) -> nn.Layer:
    """All blocks are tied to each other: one group with a member a block."""
    return nn.Sequential(unit(3, 8), *(Residual(unit(8, 8)) for _ in range(blocks)), head(8))


def branching(blocks: int) -> nn.Layer:
    class Wide(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = unit(3, 8), head(4 * blocks)
            self.parts = nn.LayerList([unit(8, 4) for _ in range(blocks)])

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            x = self.stem(x)
            return self.head(paddle.concat([part(x) for part in self.parts], axis=1))

    return Wide()


def calls(model: nn.Layer) -> int:
    """Calls of functions of SlimLab's while a model is traced and grouped."""
    made = 0

    def count(frame: Any, event: str, _: object) -> None:
        nonlocal made
        made += event == "call" and frame.f_code.co_filename.startswith(OWN)

    model.eval()
    sys.setprofile(count)
    try:
        sl.trace(model, paddle.zeros([1, 3, 8, 8]))
    finally:
        sys.setprofile(None)
    return made


def entries(model: nn.Layer) -> int:
    """Entries of all ties and frozen channels that the rules gathered."""
    model.eval()
    channels = walk(trace_program(model, paddle.zeros([1, 3, 8, 8])))
    ties = sum(len(a) for a, _ in channels._edges)
    return ties + sum(atoms.size for atoms, _ in channels._frozen)


@pytest.mark.parametrize("make", [chain, residual, branching])
@pytest.mark.parametrize("measure", [calls, entries])
def test_twice_the_operators_are_twice_the_work(make: Any, measure: Any) -> None:
    small, middle, large = (measure(make(n)) for n in (10, 20, 40))
    assert middle > small
    # What is added by 20 blocks is twice what is added by 10, but for rounding.
    assert large - middle <= 2.1 * (middle - small)


def test_the_count_would_notice_quadratic_work() -> None:
    """Every block reads all blocks before it: the operators' inputs themselves are quadratic."""

    class Dense(nn.Layer):
        def __init__(self, blocks: int) -> None:
            super().__init__()
            self.parts = nn.LayerList([unit(3 + 4 * n, 4) for n in range(blocks)])

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            for part in self.parts:
                x = paddle.concat([x, part(x)], axis=1)
            return x.mean([2, 3])

    small, middle, large = (entries(Dense(n)) for n in (10, 20, 40))
    assert large - middle > 3 * (middle - small)

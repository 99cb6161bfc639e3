"""Networks drawn at random, from pieces that keep, mix, split or reshape channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from random_pieces import PIECES, Piece, Rng

F = nn.functional


class Drawn(nn.Layer):
    """A network that is a list of steps over a few open ends, drawn with a seed.

    The steps are drawn while a first input passes: each knows the shape it is given. Shared ends,
    residuals and several outputs come from how they are put together.
    """

    def __init__(self, seed: int, steps: int = 7) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.steps, self.outs = nn.LayerList(), nn.LayerList()
        self.ends: list[tuple[int, int]] = []  # what a step reads, and what is added to it
        self.last: list[int] = []
        self.told: list[str] = []
        with paddle.no_grad():
            self.eval()
            made = [self.example()]
            self._draw(made, "convolution", rng)
            for _ in range(steps):
                self._draw(made, str(rng.choice(list(PIECES))), rng)
        read = {n for pair in self.ends for n in pair}
        self.last = [n for n in range(1, len(made)) if n not in read]
        self.outs.extend(output(made[n], rng) for n in self.last)
        self.kind = int(rng.integers(3))

    def example(self) -> Tensor:
        values = np.random.default_rng(5).standard_normal((1, 3, 8, 8))
        return paddle.to_tensor(values.astype("float32"))

    def _draw(self, made: list[Tensor], name: str, rng: Rng) -> None:
        source = int(rng.integers(max(0, len(made) - 3), len(made)))
        step = PIECES[name](made[source], rng).eval()
        y = step(made[source])
        if y.shape[1] > 64 or not 4 <= y.shape[2] <= 16:
            return
        partners = [n for n, x in enumerate(made) if n and x.shape == y.shape]
        other = int(rng.choice(partners)) if partners and rng.random() < 0.6 else -1
        self.told.append(name)
        self.steps.append(step)
        self.ends.append((source, other))
        made.append(y if other < 0 else y + made[other])

    def forward(self, x: Tensor) -> Any:
        made = [x]
        for step, (source, other) in zip(self.steps, self.ends, strict=False):
            y = step(made[source])
            if other >= 0:
                y = y + made[other]
            made.append(y)
        outs = [out(made[n]) for out, n in zip(self.outs, self.last, strict=False)]
        if self.kind == 0:
            return outs
        if self.kind == 1:
            return {f"out{n}": y for n, y in enumerate(outs)}
        return outs[0], {"rest": outs[1:], "first": outs[0].sum()}


def output(x: Tensor, rng: Rng) -> nn.Layer:
    """A head: pooled, for each place, or over everything."""
    c, which = x.shape[1], int(rng.integers(3))
    if which == 0:
        return Piece(lambda m, x: m.fc(x.mean([2, 3])), fc=nn.Linear(c, 3))
    if which == 1:
        return Piece(
            lambda m, x: m.conv(x).reshape([0, 2, 3, -1]).transpose([0, 3, 1, 2]),
            conv=nn.Conv2D(c, 6, 1),
        )
    fc = nn.Linear(c * x.shape[2] * x.shape[3], 4)
    return Piece(lambda m, x: F.softmax(m.fc(x.flatten(1)), axis=-1), fc=fc)

"""Code that only computes with sizes is told from code that decides by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paddle
import pytest
from paddle import Tensor, nn

from slimlab.code_paths import functions_of, may_branch, reads_sizes

F = nn.functional


class Plain(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        if self.training and x is not None:
            return F.relu(x)
        return x[:, 1:] > 0


class Shuffle(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        groups = 2
        y = paddle.reshape(x, [b, groups, c // groups, h, w]).transpose([0, 2, 1, 3, 4])
        half = paddle.shape(y)[1] // 2
        return y.reshape([b, c, h, w])[:, :half]


class Compares(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        width = x.shape[1]
        return F.relu(x) if width == 8 else F.tanh(x)


class Hides(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        a, (b, *c) = 0, x.shape
        d = [int(n) for n in (b, c[0])]
        if a or d[1]:
            x = x * 2
        return x


class Loops(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        for n in range(x.shape[1]):
            x = x + n
        return x


class Looks(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.table = {8: 1.0}

    def forward(self, x: Tensor) -> Tensor:
        return x * self.table[x.shape[1]]


class Clamps(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, : min(4, x.shape[1])]


class Remainder(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, [0, x.shape[2] % 4, 0, 0])


class Hands(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Takes()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x.shape[1])


class Takes(nn.Layer):
    def forward(self, x: Tensor, width: int) -> Tensor:
        return x * 2 if width == 8 else x


class Returns(nn.Layer):
    def width(self, x: Tensor) -> int:
        return x.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if self.width(x) == 8 else x


class Keeps(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        self.width = x.shape[1]
        return x * 2 if self.width == 8 else x


class Tries(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        try:
            return x.reshape([x.shape[0], -1, 8])
        except ValueError:
            return x


class Helper:
    def __call__(self, x: Tensor) -> Tensor:
        return self.scaled(x)

    def scaled(self, x: Tensor) -> Tensor:
        return x * 2 if x.shape[1] == 8 else x


class Helped(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.helper = Helper()

    def forward(self, x: Tensor) -> Tensor:
        return self.helper(x)


@pytest.mark.parametrize(
    ("make", "reads", "branches"),
    [
        (Plain, False, False),
        (Shuffle, True, False),
        *(
            (make, True, True)
            for make in (
                Compares, Hides, Loops, Looks, Clamps, Remainder, Hands, Returns, Keeps, Tries,
                Helped,
            )
        ),
        (paddle.vision.models.resnet18, False, False),
        (paddle.vision.models.shufflenet_v2_x0_25, True, False),
    ],
)  # fmt: skip
def test_what_is_decided_by_sizes(
    make: Callable[[], nn.Layer], reads: bool, branches: bool
) -> None:
    functions = functions_of(make())
    assert (reads_sizes(functions), may_branch(functions)) == (reads, branches)


def test_code_without_its_source_may_do_anything() -> None:
    names: dict[str, Any] = {"Layer": nn.Layer, "__name__": "hidden"}
    exec(
        "class Hidden(Layer):\n"
        "    def forward(self, x):\n"
        "        return x.reshape([x.shape[0], -1])\n",
        names,
    )
    assert may_branch(functions_of(names["Hidden"]()))

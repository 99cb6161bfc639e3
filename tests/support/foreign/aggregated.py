"""Networks that gather what many layers made: cells, partial and dense blocks."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.registry import (
    F,
    Made,
    Net,
    classifier,
    head,
    image,
    network,
    unit,
)

# fmt: off


@network
def peleenet() -> Made:
    def run(m, x):
        x = m.stem(x)
        x = paddle.concat([m.two(m.one(x)), F.max_pool2d(x, 2, 2)], 1)
        for left, right in zip(m.left, m.right, strict=True):
            x = paddle.concat([x, left(x), right(x)], 1)
        return m.head(x)
    return Net(run, stem=unit(3, 8), one=unit(8, 4, 1), two=unit(4, 8, stride=2),
               left=[unit(16, 4), unit(24, 4)],
               right=[nn.Sequential(unit(16, 6, 1), unit(6, 4)), nn.Sequential(unit(24, 6, 1), unit(6, 4))],
               head=head(32)), image()


@network
def vovnet() -> Made:
    class OSA(nn.Layer):
        def __init__(self, into: int, mid: int, out: int) -> None:
            super().__init__()
            self.convs = nn.LayerList([unit(into if not n else mid, mid) for n in range(3)])
            self.concat, self.ese = unit(into + 3 * mid, out, 1), nn.Conv2D(out, out, 1)

        def forward(self, x: Tensor) -> Tensor:
            outputs = [x]
            for conv in self.convs:
                outputs.append(conv(outputs[-1]))
            y = self.concat(paddle.concat(outputs, 1))
            return y * F.hardsigmoid(self.ese(y.mean([2, 3], keepdim=True)))
    return classifier(OSA(8, 6, 12), OSA(12, 6, 16), width=16)


@network
def hardnet() -> Made:
    def run(m, x):
        a = m.stem(x)
        b = m.l1(a)
        c = m.l2(paddle.concat([b, a], 1))
        d = m.l3(c)
        e = m.l4(paddle.concat([d, c, a], 1))
        return m.head(paddle.concat([b, d, e], 1))
    return Net(run, stem=unit(3, 8), l1=unit(8, 6), l2=unit(14, 8), l3=unit(8, 6), l4=unit(22, 10),
               head=head(22)), image()

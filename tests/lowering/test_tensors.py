"""Operators on tensors, one case each: what ONNX Runtime computes is what Paddle computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import paddle
import pytest
from lowered import RELATIVE, differences
from paddle import Tensor, nn
from topologies import Toy

from slimlab.errors import UnsupportedOpError

F = nn.functional


def positions() -> Tensor:
    return paddle.to_tensor([[3, 0, 1], [2, 2, 0]])


def rows(m: nn.Layer, x: Tensor) -> Tensor:
    """Positions made of constants only, looked up in a table."""
    return x.sum() + m.table(paddle.arange(6).reshape([2, 3]) + 1)


def held_elsewhere(m: nn.Layer, x: Tensor) -> Tensor:
    return x * m.mask + m.offset.astype("float32")


def with_buffers() -> Toy:
    toy = Toy(held_elsewhere)
    toy.mask = paddle.to_tensor([0.0, 1.0, 2.0, 3.0])
    toy.register_buffer("offset", paddle.to_tensor([1, 2, 3, 4]), persistable=False)
    return toy


# fmt: off
# Functions of a tensor (2, 3, 4).
TENSORS: dict[str, Callable[[Tensor], Tensor | tuple[Tensor, ...]]] = {
    "matmul, both turned": lambda x: paddle.matmul(
        x, x.reshape([2, 4, 3]), transpose_x=True, transpose_y=True),
    "matmul, second turned": lambda x: paddle.matmul(x, x, transpose_y=True),
    "matmul of vectors": lambda x: paddle.matmul(x[0, 0], x[1, 1]),
    "matrix and vector": lambda x: paddle.matmul(x, x[0, 0]),
    "vector and matrix": lambda x: paddle.matmul(x[0, :, 0], x),
    "mv": lambda x: paddle.mv(x[0], x[1, 0]), "dot": lambda x: paddle.dot(x[0], x[1]),
    "bmm": lambda x: paddle.bmm(x, x.transpose([0, 2, 1])),
    "addmm": lambda x: paddle.addmm(x[0, :, :3], x[0], x[1].t(), beta=0.5, alpha=2.0),
    "einsum of three": lambda x: paddle.einsum("abc,abd,acd->bd", x, x, x[:, :1].tile([1, 4, 1])),
    "einsum of a trace": lambda x: paddle.einsum("...ij,...kj->...ik", x, x),
    "mean of all": lambda x: x.mean(), "sum of all": lambda x: x.sum(),
    "mean from the end": lambda x: x.mean(-1), "sum of two axes": lambda x: x.sum([0, -1]),
    "sum of truths": lambda x: (x > 0).sum(1), "product": lambda x: x.prod(1),
    "max": lambda x: x.max([1, 2], keepdim=True), "amin": lambda x: x.amin(0),
    "log of sums": lambda x: x.logsumexp(1), "standard deviation": lambda x: x.std(-1),
    "variance": lambda x: x.var([0, 2]), "clipped mean": lambda x: x.clip(-1, 1).mean(1),
    "norm": lambda x: x.norm(), "norm of an axis": lambda x: x.norm(1, axis=-1),
    "largest norm": lambda x: x.norm(float("inf"), axis=1),
    "frobenius": lambda x: paddle.linalg.norm(x, "fro", [1, 2], keepdim=True),
    "all and any": lambda x: ((x > 0).all(1), (x > 1).any()),
    "argmax of all": lambda x: x.argmax(), "argmin": lambda x: x.argmin(1, keepdim=True),
    "argmax, int32": lambda x: x.argmax(-1, dtype="int32"),
    "top 2": lambda x: x.topk(2, axis=1), "smallest": lambda x: x.topk(2, largest=False),
    "sorted": lambda x: x.argsort(-1, descending=True), "cumsum": lambda x: x.cumsum(-1),
    "expand": lambda x: x[:, :1].expand([-1, 5, 4]),
    "expand to more axes": lambda x: x.expand([5, 2, 3, 4]),
    "tile to more axes": lambda x: x.tile([2, 1, 3, 1]), "tile less": lambda x: x.tile([2]),
    "unsqueeze twice": lambda x: x.unsqueeze([0, -1]), "squeeze": lambda x: x[:, :1].squeeze(1),
    "squeeze what is long": lambda x: x.squeeze([0, 1]),
    "flatten all": lambda x: x.flatten(), "reshape the batch": lambda x: x.reshape([3, -1]),
    "reshape to a copy": lambda x: x.reshape([0, -1]), "swap": lambda x: x.swapaxes(0, -1),
    "last element": lambda x: x[:, -1], "an element": lambda x: x[1, -1, 2],
    "backwards": lambda x: x[:, ::-1], "every other": lambda x: x[..., 1::2],
    "from the end": lambda x: x[:, -2:, :-1], "beyond the end": lambda x: x[:, 1:100],
    "new axis": lambda x: x[:, None, 0], "gather": lambda x: paddle.gather(
        x, paddle.to_tensor([2, 0]), axis=1),
    "gather a column": lambda x: paddle.gather(x, paddle.to_tensor([[1], [0]])),
    "index select": lambda x: paddle.index_select(x, paddle.to_tensor([1, 1, 0]), axis=-1),
    "gather nd": lambda x: paddle.gather_nd(x, paddle.to_tensor([[0, 1], [1, 2]])),
    "by a list": lambda x: x[:, [2, 0]], "along an axis": lambda x: paddle.take_along_axis(
        x, x.argsort(-1), axis=-1),
    "chunks": lambda x: x.chunk(2, -1)[1], "sections": lambda x: paddle.split(x, [1, -1], -1)[1],
    "roll": lambda x: x.roll([1, -2], [0, 2]), "flip": lambda x: x.flip([0, 2]),
    "repeat": lambda x: x.repeat_interleave(3, 0), "stack": lambda x: paddle.stack([x, x * 2], -1),
    "sum of a list": lambda x: paddle.add_n([x, x * 2, x * 3]),
    "meet": lambda x: paddle.concat([x, paddle.zeros_like(x), paddle.full([2, 1, 4], 0.5)], 1),
    "arange": lambda x: x * paddle.arange(4, dtype="float32"),
    "linspace": lambda x: x * paddle.linspace(0, 1, 4),
    "own shape": lambda x: x * paddle.shape(x)[2].astype("float32"),
    "triangle": lambda x: x * paddle.tril(paddle.ones([3, 4])),
    "upper triangle": lambda x: paddle.triu(x, 1),
    "one hot": lambda x: F.one_hot(x.argmax(-1), 4), "cast": lambda x: (x * 3).astype("int32"),
    "whole numbers": lambda x: (x * 9).astype("int64") // 4 + (x * 9).astype("int64") % 4,
    "remainder": lambda x: x % 0.7, "floor": lambda x: x // 0.3,
    "whole scaled": lambda x: (x * 9).astype("int32") * 2 + 1,
    "truths as numbers": lambda x: x * (x > 0).astype("float32"),
    "compare": lambda x: (x >= 0, x < 0.5, x != x, x == x, x <= x.mean()),
    "logic": lambda x: ((x > 0) & (x < 1)) | ~(x > -1) ^ (x > 2),
    "where": lambda x: paddle.where(x > 0, x, paddle.zeros([1])),
    "masked fill": lambda x: paddle.where(x > 0, x, paddle.full_like(x, -1e9)).max(-1),
    "filled where": lambda x: x.masked_fill(x > 0, -1.5),
    "filled with a tensor": lambda x: x.masked_fill(x[:, :1] > 0, x.mean()),
    "crop": lambda x: paddle.crop(x, [2, 1, 3], [0, 2, 1]),
    "broadcast": lambda x: paddle.broadcast_tensors([x, x[0, :, :1], x[:1]]),
    "maximum": lambda x: paddle.maximum(x, x.mean()), "minimum": lambda x: paddle.minimum(x, -x),
    "powers": lambda x: x ** 2 + 2 ** x + x.abs() ** 0.5 + x.pow(3.0),
    "reciprocal": lambda x: 1 / (x.abs() + 1) + x.exp().reciprocal(),
    "whole division": lambda x: (x * 9).astype("int64") / 4,
    "logarithms": lambda x: (x.abs() + 0.1).log2() + (x.abs() + 0.1).log10() + x.abs().log1p(),
    "exponentials": lambda x: x.exp() - x.expm1() + x.erf(),
    "waves": lambda x: x.sin() + x.cos() + x.tan() + x.atan() + x.sinh() + x.cosh() + x.asinh(),
    "steps": lambda x: x.sign() + x.floor() + x.ceil() + x.trunc() + (x * 4).round(),
    "scale first": lambda x: paddle.scale(x, 2.0, 1.0, bias_after_scale=False),
    "outputs of all kinds": lambda x: (x, x, x * 2, paddle.ones([2])),
    "write to slices": lambda x: write(x * 1.0), "eye": lambda x: x * paddle.eye(3, 4),
}
# fmt: on


def write(x: Tensor) -> Tensor:
    x[:, 1:] = x[:, :2]
    x[0, :, 1] = x[0, :, 0]
    x[:, ::2, -1] = 3.0
    x[1] = x[1, 0]
    x[..., ::2] = x[..., 1::2]
    return x + 1


@pytest.mark.parametrize("name", TENSORS)
def test_functions_of_a_tensor(name: str) -> None:
    case = TENSORS[name]
    toy = Toy(lambda m, x: case(x))
    assert max(differences(toy, paddle.randn([2, 3, 4]))) < RELATIVE


def test_tables_are_looked_up() -> None:
    toy = Toy(lambda m, x: m.table(x), table=nn.Embedding(5, 4))
    padded = Toy(lambda m, x: m.table(x), table=nn.Embedding(5, 4, padding_idx=2))
    padded.table.weight.set_value(paddle.randn([5, 4]))
    assert max(differences(toy, positions())) < RELATIVE
    assert max(differences(padded, positions())) < RELATIVE
    assert max(differences(Toy(rows, table=nn.Embedding(8, 4)), paddle.randn([2]))) < RELATIVE


def test_tensors_outside_the_state_are_constants() -> None:
    assert max(differences(with_buffers(), paddle.randn([2, 4]))) < RELATIVE


def test_several_inputs_and_an_unused_one() -> None:
    toy = Two()
    assert max(differences(toy, [paddle.randn([2, 3]), paddle.randn([4]), paddle.randn([3])])) == 0


class Two(nn.Layer):
    def forward(self, a: Tensor, unused: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a - b, b


# fmt: off
CONVOLUTIONS: dict[str, Callable[[], nn.Layer]] = {
    "same": lambda: nn.Conv2D(8, 6, 3, stride=2, padding="SAME"),
    "same, even": lambda: nn.Conv2D(8, 6, 4, padding="SAME"),
    "valid": lambda: nn.Conv2D(8, 6, 3, padding="VALID"),
    "uneven padding": lambda: nn.Conv2D(8, 6, 3, padding=[1, 0, 2, 1]),
    "dilated and grouped": lambda: nn.Conv2D(8, 6, 3, dilation=[1, 2], groups=2, stride=[2, 1]),
    "reflected": lambda: nn.Conv2D(8, 6, 3, padding=1, padding_mode="reflect"),
    "no bias": lambda: nn.Conv2D(8, 6, 3, bias_attr=False),
    "transposed": lambda: nn.Conv2DTranspose(8, 6, 3, stride=2, padding=1),
    "transposed, longer": lambda: nn.Conv2DTranspose(8, 6, 3, 2, 1, output_padding=1),
    "transposed, dilated": lambda: nn.Conv2DTranspose(8, 6, 3, 2, dilation=2, groups=2),
    "transposed, uneven": lambda: nn.Conv2DTranspose(8, 6, 3, 2, padding=[1, 0, 0, 2]),
    "norm, last": lambda: Last(nn.BatchNorm2D(6, data_format="NHWC")),
    "convolution, last": lambda: Last(nn.Conv2D(6, 5, 3, padding=[1, 2], data_format="NHWC")),
    "transposed, last": lambda: Last(nn.Conv2DTranspose(6, 5, 3, 2, data_format="NHWC")),
    "depthwise, last": lambda: Last(nn.Conv2D(6, 6, 3, groups=6, data_format="NHWC")),
    "norm of rows": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1D(8 * 7 * 6)),
    "norm 1d": lambda: nn.Sequential(nn.Flatten(2), nn.BatchNorm1D(8)),
    "transposed 1d": lambda: nn.Sequential(nn.Flatten(2), nn.Conv1DTranspose(8, 6, 3, 2)),
    "transposed 3d": lambda: nn.Sequential(Deep(), nn.Conv3DTranspose(8, 3, 2, 2)),
    "convolution 3d": lambda: nn.Sequential(
        Deep(), nn.Conv3D(8, 3, 2, padding=1), nn.BatchNorm3D(3)),
}
# fmt: on


class Last(nn.Layer):
    def __init__(self, layer: nn.Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Deep(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        return paddle.stack([x, x * 0.5], 2)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_and_norms(name: str) -> None:
    layer = CONVOLUTIONS[name]()
    for parameter in layer.state_dict().values():
        value = np.random.default_rng(0).uniform(0.3, 1.0, parameter.shape)
        parameter.set_value(value.astype("float32"))
    assert max(differences(layer, paddle.randn([2, 8, 7, 6]))) < RELATIVE


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.max_pool2d(x, 2, return_mask=True),
        lambda x: F.max_pool2d(x, 3, 2, 1, return_mask=True),
        lambda x: F.max_pool2d(x, 2, ceil_mode=True, return_mask=True),
        lambda x: F.adaptive_max_pool2d(x, [2, 3], return_mask=True),
        lambda x: F.adaptive_max_pool2d(x, 1, return_mask=True),
        lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_mask=True), 2),
        lambda x: F.max_unpool3d(
            *F.max_pool3d(x.unsqueeze(2), (1, 2, 2), return_mask=True), (1, 2, 2)),
    ],
)  # fmt: skip
def test_places_of_the_largest(pool: Callable[[Tensor], Tensor]) -> None:
    assert max(differences(Toy(lambda m, x: pool(x)), paddle.randn([2, 5, 8, 6]))) < RELATIVE


def test_places_in_uneven_windows_are_refused() -> None:
    toy = Toy(lambda m, x: F.adaptive_max_pool2d(x, [3, 4], return_mask=True))
    with pytest.raises(UnsupportedOpError, match="windows that differ in size"):
        differences(toy, paddle.randn([2, 5, 8, 6]))


def test_a_transposed_convolution_to_a_size() -> None:
    toy = Toy(lambda m, x: m.up(x, output_size=[14, 12]), up=nn.Conv2DTranspose(8, 6, 3, 2, 1))
    assert max(differences(toy, paddle.randn([2, 8, 7, 6]))) < RELATIVE

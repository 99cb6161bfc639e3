"""Whole networks in Paddle Inference: every toy, the architectures, Paddle's own constructors."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from architectures import ARCHITECTURES
from inferring import differences, network_of, run_network
from operators import ACTIVATIONS, OPERATORS
from paddle import Tensor, nn
from topologies import TOPOLOGIES, Toy, example, randomise_statistics

import slimlab as sl
from slimlab.legacy import LITE, RULES, legacy_rule

M, F = paddle.vision.models, paddle.nn.functional
TOYS = {**TOPOLOGIES, **OPERATORS}
RELATIVE = 1e-5
# What can't be written, and what is said of it.
REFUSED = {"conditional": "control flow"}
ONE_IMAGE = {"squeeze"}  # the forward has the batch written into it
# The lightest of each family, and the least height that it takes.
FAMILIES = {
    "LeNet": 28, "alexnet": 224, "vgg11": 32, "resnet18": 32, "resnext50_32x4d": 32,
    "mobilenet_v1": 32, "mobilenet_v2": 32, "mobilenet_v3_small": 32, "shufflenet_v2_x0_25": 32,
    "shufflenet_v2_swish": 32, "squeezenet1_1": 32, "densenet121": 32, "googlenet": 224,
    "inception_v3": 96,
}  # fmt: skip
POOLS = {
    "adaptive mean": lambda x: F.adaptive_avg_pool2d(x, [3, 2]),
    "adaptive largest": lambda x: F.adaptive_max_pool2d(x, [3, 2]),
    "largest of all": lambda x: F.adaptive_max_pool2d(x, 1),
    "mean, padding counted": lambda x: F.avg_pool2d(x, 3, 2, 1, exclusive=False),
    "mean, rounded up": lambda x: F.avg_pool2d(x, 2, 2, ceil_mode=True),
    "same padding": lambda x: F.max_pool2d(x, 3, 2, "SAME"),
    "nearest": lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
    "bilinear": lambda x: F.interpolate(x, [9, 11], mode="bilinear"),
    "bilinear, aligned": lambda x: F.interpolate(x, [9, 11], mode="bilinear", align_corners=True),
    "cubic": lambda x: F.interpolate(x, [9, 11], mode="bicubic"),
}

ALL = slice(None)
WRITTEN = {
    "the last": ((ALL, -1), lambda x: 3.0),
    "every second": ((ALL, slice(0, None, 2)), lambda x: x[:, 1::2]),
    "backwards": ((ALL, slice(None, None, -1)), lambda x: x),
    "one channel": ((ALL, 1), lambda x: x.sum(1)),
    "two slices": ((..., slice(1, 3), slice(4, 6)), lambda x: x[..., :2, :2]),
    "several numbers": ((0, 0, 0, slice(0, 2)), lambda x: np.float32([1, 2])),
}
PICKED = {
    "a mask of one row": lambda x: x.masked_fill(x[:, :, :1] > 0, -1.0),
    "infinite": lambda x: F.softmax(x.masked_fill(x < 0, -float("inf")), axis=-1).nan_to_num(),
    "upper triangle": lambda x: paddle.triu(x, 1),
    "lower triangle": lambda x: paddle.tril(x, -1),
    "cut to the middle": lambda x: paddle.crop(x, [-1, 2, 3, 6], [0, 1, 2, 0]),
    "places": lambda x: F.max_pool2d(x, 3, 2, return_mask=True)[1].astype("float32"),
    "unpooled": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_mask=True), 2),
    "broadcast": lambda x: paddle.broadcast_tensors([x, x[:, :1], x.mean([2, 3], keepdim=True)]),
    "rounded to zero": lambda x: paddle.trunc(x * 3),
    "hyperbolic": lambda x: (
        paddle.asinh(x) + paddle.atanh(x.tanh() / 2) + paddle.acosh(x.abs() + 1)
    ),
    "summed over": lambda x: paddle.einsum("bchw,bdhw->bcd", x, F.relu(x)),
    "one operand": lambda x: paddle.einsum("bchw->bhc", x),
    "three operands": lambda x: paddle.einsum("bchw,bdhw,bdc->bhw", x, x, x.mean(3)[:, :, :4]),
}


class Recurrent(nn.Layer):
    """A recurrent layer, of which all that it makes is given."""

    def __init__(self, kind: type[nn.Layer], direction: str) -> None:
        super().__init__()
        self.layer = kind(8, 5, num_layers=2, direction=direction)

    def forward(self, x: Tensor, lengths: Tensor) -> list[Tensor]:
        made, after = self.layer(x, sequence_length=lengths)
        return [made, *(after if isinstance(after, tuple) else (after,))]


@pytest.mark.parametrize("name", WRITTEN)
def test_values_over_a_slice(name: str) -> None:
    index, value = WRITTEN[name]

    def forward(m: Toy, x: Tensor) -> Tensor:
        y = x * 2
        y[index] = value(x)
        return y

    assert max(differences(Toy(forward), paddle.randn([1, 4, 5, 6]))) < RELATIVE


@pytest.mark.parametrize("name", PICKED)
def test_what_picks_and_fills(name: str) -> None:
    toy = Toy(lambda m, x: PICKED[name](x))
    assert max(differences(toy, paddle.randn([1, 4, 6, 6]))) < RELATIVE


@pytest.mark.parametrize("kind", [nn.SimpleRNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("direction", ["forward", "bidirect"])
def test_recurrent_layers_and_their_states(kind: type[nn.Layer], direction: str) -> None:
    inputs = (paddle.randn([1, 7, 8]), paddle.to_tensor([4]))
    assert max(differences(Recurrent(kind, direction), inputs)) < RELATIVE


@pytest.mark.parametrize("name", [n for n in TOYS if n not in ONE_IMAGE])
def test_a_toy_computes_the_same(name: str) -> None:
    assert max(differences(randomise_statistics(TOYS[name]()), example())) < RELATIVE


@pytest.mark.parametrize("name", POOLS)
def test_pooling_and_resizing(name: str) -> None:
    toy = Toy(lambda m, x: POOLS[name](x))
    assert max(differences(toy, paddle.randn([1, 4, 7, 6]))) < RELATIVE


@pytest.mark.parametrize("act", ACTIVATIONS, ids=lambda act: act.__name__)
def test_an_activation_computes_the_same(act: type[paddle.nn.Layer]) -> None:
    assert max(differences(act(), example() * 3)) < RELATIVE


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in REFUSED])
def test_an_architecture_computes_the_same(name: str) -> None:
    assert max(differences(*ARCHITECTURES[name]())) < 1e-4


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name: str) -> None:
    with pytest.raises(sl.ExportError, match=REFUSED[name]):
        network_of(*ARCHITECTURES[name]())


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_paddles_own_networks(name: str) -> None:
    paddle.utils.unique_name.switch()
    size = FAMILIES[name]
    model = randomise_statistics(getattr(M, name)())
    channels = 1 if name == "LeNet" else 3
    assert max(differences(model, paddle.randn([1, channels, size, size]))) < 1e-4


def test_paddle_lite_is_told_what_it_asks_for() -> None:
    # Attributes that Paddle has dropped; and no tensor without axes.
    toy = Toy(lambda m, x: paddle.where(x > 0.5, x, x * 2))
    network = network_of(toy, example(), LITE)
    (compared,) = [node for node in network.nodes if node.kind == "greater_than"]
    assert compared.attributes["force_cpu"] is False
    assert network.variables[compared.inputs["Y"][0]].shape == (1,)
    network = network_of(TOYS["written rows"](), example(), LITE)
    for node in [node for node in network.nodes if node.kind == "set_value"]:
        assert node.attributes["shape"] == [1]
        assert node.attributes["fp32_values"] == []
    with pytest.raises(sl.ExportError, match="can't be written for Paddle Lite: it has no"):
        network_of(TOYS["attention by einsum"](), example(), LITE)


def test_a_rule_of_ones_own_is_used() -> None:
    toy = Toy(lambda m, x: paddle.renorm(x, 2.0, 1, 1.0))
    with pytest.raises(sl.ExportError, match=r'@legacy_rule\("pd_op.renorm"\)'):
        network_of(toy, example())

    @legacy_rule("pd_op.renorm")
    def renorm(op, net):
        net.emit("scale", {"X": op.inputs[0]}, {"Out": op.outputs[0]}, scale=2.0, bias=1.0)

    try:
        network = network_of(toy, example())
        (made,) = run_network(network, [example().numpy()])
        assert (made == example().numpy() * 2 + 1).all()
    finally:
        del RULES["pd_op.renorm"]


def test_a_rule_that_names_what_paddle_has_not_is_found_out() -> None:
    toy = Toy(lambda m, x: paddle.renorm(x, 2.0, 1, 1.0))

    @legacy_rule("pd_op.renorm")
    def renorm(op, net):
        net.emit("relu", {"X": op.inputs[0]}, {"Out": op.outputs[0]}, slope=1.0)

    try:
        with pytest.raises(sl.ExportError, match="'relu' has no attribute 'slope'"):
            run_network(network_of(toy, example()), [])
    finally:
        del RULES["pd_op.renorm"]

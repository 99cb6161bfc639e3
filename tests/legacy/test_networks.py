"""Whole networks in Paddle Inference: every toy, the architectures, Paddle's own constructors."""

from __future__ import annotations

import paddle
import pytest
from architectures import ARCHITECTURES
from inferring import differences, network_of, run_network
from operators import ACTIVATIONS, OPERATORS
from topologies import TOPOLOGIES, Toy, example, randomise_statistics

import slimlab as sl
from slimlab.legacy import RULES, legacy_rule

M, F = paddle.vision.models, paddle.nn.functional
TOYS = {**TOPOLOGIES, **OPERATORS}
RELATIVE = 1e-5
# What can't be written, and what is said of it.
REFUSED = {
    "attention by einsum": "Operator einsum", "gru": "Operator rnn", "lstm": "Operator rnn",
    "broadcast tensors": "Operator broadcast_tensors", "crop": "Operator crop",
    "masked fill": "Operator masked_fill", "unpool": "Operator max_pool2d_with_index",
    "written rows": "Operator set_value_with_tensor_", "triangle of pixels": "Operator tril",
    "written channels": "Operator set_value_with_tensor_", "triangle of channels": "Operator tril",
}  # fmt: skip
REFUSED_ARCHITECTURES = {"language": "Operator rnn", "conditional": "control flow"}
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


@pytest.mark.parametrize("name", [n for n in TOYS if n not in REFUSED and n not in ONE_IMAGE])
def test_a_toy_computes_the_same(name: str) -> None:
    assert max(differences(randomise_statistics(TOYS[name]()), example())) < RELATIVE


@pytest.mark.parametrize("name", POOLS)
def test_pooling_and_resizing(name: str) -> None:
    toy = Toy(lambda m, x: POOLS[name](x))
    assert max(differences(toy, paddle.randn([1, 4, 7, 6]))) < RELATIVE


@pytest.mark.parametrize("act", ACTIVATIONS, ids=lambda act: act.__name__)
def test_an_activation_computes_the_same(act: type[paddle.nn.Layer]) -> None:
    assert max(differences(act(), example() * 3)) < RELATIVE


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in REFUSED_ARCHITECTURES])
def test_an_architecture_computes_the_same(name: str) -> None:
    assert max(differences(*ARCHITECTURES[name]())) < 1e-4


@pytest.mark.parametrize("name", [*REFUSED, *REFUSED_ARCHITECTURES])
def test_what_is_refused_is_named(name: str) -> None:
    made = ARCHITECTURES[name]() if name in ARCHITECTURES else (TOYS[name](), example())
    with pytest.raises(sl.ExportError, match={**REFUSED, **REFUSED_ARCHITECTURES}[name]):
        network_of(*made)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_paddles_own_networks(name: str) -> None:
    paddle.utils.unique_name.switch()
    size = FAMILIES[name]
    model = randomise_statistics(getattr(M, name)())
    channels = 1 if name == "LeNet" else 3
    assert max(differences(model, paddle.randn([1, channels, size, size]))) < 1e-4


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

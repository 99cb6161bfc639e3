"""The zoo's networks: their shapes, sizes, layers, and that they can be traced."""

import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimlab.zoo import mobilenet_v1, resnet20, vgg

CONSTRUCTORS = [mobilenet_v1, resnet20, vgg]
SMALL = {mobilenet_v1: 0.125, resnet20: 4, vgg: 4}


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
@settings(max_examples=8, deadline=None)
@given(
    size=st.sampled_from([8, 12, 28, 32]),
    channels=st.sampled_from([1, 3]),
    classes=st.integers(2, 12),
)
def test_gives_one_logit_a_class(constructor, size, channels, classes):
    model = constructor(SMALL[constructor], num_classes=classes, in_channels=channels, size=size)
    model.eval()
    assert tuple(model(paddle.zeros([2, channels, size, size])).shape) == (2, classes)


@pytest.mark.parametrize(
    ("constructor", "parameters"), [(mobilenet_v1, 215_498), (resnet20, 272_186), (vgg, 147_162)]
)
def test_size_of_the_default_networks(constructor, parameters):
    trained = [p.size for p in constructor().parameters() if not p.stop_gradient]
    assert sum(trained) == parameters


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
def test_only_ordinary_layers(constructor):
    leaves = {type(m).__name__ for m in constructor().sublayers() if not m.sublayers()}
    ordinary = {"Conv2D", "BatchNorm2D", "ReLU", "Linear", "MaxPool2D", "AdaptiveAvgPool2D"}
    assert leaves <= ordinary | {"Sequential"}  # an empty Sequential is the identity


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
@pytest.mark.parametrize("size", [8, 28])
def test_can_be_traced(constructor, size):
    model = constructor(SMALL[constructor], size=size)
    model.eval()
    spec = [paddle.static.InputSpec([1, 1, size, size], "float32")]
    traced = paddle.jit.to_static(model, full_graph=True, input_spec=spec)
    operators = {
        op.name() for op in traced.forward.concrete_program.main_program.global_block().ops
    }
    assert any("conv2d" in name for name in operators)


def test_vgg_flattens_a_map_of_several_pixels():
    for size in (8, 28):
        network = vgg(4, size=size)
        inputs = network.hidden.weight.shape[0]
        assert inputs in (16 * 4, 16 * 9)


def test_resnet_has_twenty_layers_with_weights():
    convolutions = [n for n, m in resnet20(4).named_sublayers() if type(m).__name__ == "Conv2D"]
    assert len([n for n in convolutions if "shortcut" not in n]) == 19

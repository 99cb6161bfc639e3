"""Origins: a constructor's name and arguments make the same architecture again."""

import copy
import json

import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import slimlab as sl
from slimlab.zoo import Origin, build, origin_of, set_origin
from slimlab.zoo.origin import vision_names

ORIGIN = Origin("zoo:vgg", {"width": 2, "size": 8})


def test_build_notes_the_origin():
    assert origin_of(build(ORIGIN)) == ORIGIN


def test_origin_survives_a_deep_copy():
    assert origin_of(copy.deepcopy(build(ORIGIN))) == ORIGIN


def test_a_layer_without_origin_has_none():
    assert origin_of(paddle.nn.Linear(2, 2)) is None


def test_the_note_is_no_part_of_the_state():
    model = paddle.nn.Linear(2, 2)
    before = set(model.state_dict())
    set_origin(model, ORIGIN)
    assert set(model.state_dict()) == before


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.booleans() | st.text() | st.none()))
def test_round_trip_through_json(kwargs):
    origin = Origin("zoo:vgg", kwargs)
    assert Origin.from_dict(json.loads(json.dumps(origin.to_dict()))) == origin


def test_arguments_can_not_be_changed():
    with pytest.raises(TypeError):
        ORIGIN.kwargs["width"] = 3


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "zoo:vgh",
        "paddle.vision.models:ResNet",
        "paddle.vision.models:__all__",
        "vgg",
        "",
    ],
)
def test_unknown_constructors_are_refused(name):
    with pytest.raises(sl.ArtifactError, match="no constructor"):
        build(Origin(name, {}))


def test_wrong_arguments_are_refused():
    with pytest.raises(sl.ArtifactError, match="can't be called with"):
        build(Origin("zoo:vgg", {"depth": 3}))


def test_arguments_that_are_no_json_are_refused():
    with pytest.raises(sl.ArtifactError, match="written as JSON"):
        Origin("zoo:vgg", {"layer": paddle.nn.ReLU()})


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"constructor": 1, "kwargs": {}}, {"constructor": "zoo:vgg", "kwargs": 1}],
)
def test_from_dict_refuses_anything_else(value):
    with pytest.raises(sl.ArtifactError, match="not an origin"):
        Origin.from_dict(value)


def test_vision_names_are_network_functions():
    assert {"resnet18", "mobilenet_v1", "vgg16"} <= set(vision_names())

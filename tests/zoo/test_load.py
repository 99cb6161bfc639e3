"""`load_model`: names, trained and random weights, and the sentences for what there isn't."""

import copy
import json

import numpy as np
import paddle
import pytest

import slimlab as sl
from slimlab.zoo import load, origin_of, shipped


@pytest.fixture(scope="module")
def task():
    return sl.load_task("digits")


@pytest.fixture
def noise():
    rng = np.random.default_rng(0)
    x, y = rng.random((12, 3, 12, 12), dtype=np.float32), rng.integers(0, 4, 12)
    return sl.Task.from_arrays(x, y, x, y, num_classes=4, name="noise")


@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet20", "vgg"])
def test_trained_model_is_in_evaluation_mode_with_its_origin(name, task):
    model = sl.load_model(name, task)
    assert not any(layer.training for layer in model.sublayers(include_self=True))
    origin = origin_of(model)
    assert origin.constructor == f"zoo:{name}"
    assert set(origin.kwargs) == {"width", "num_classes", "in_channels", "size"}


def test_two_loads_are_equal_and_apart(task):
    one, two = sl.load_model("vgg", task), sl.load_model("vgg", task)
    assert (one(task.example).numpy() == two(task.example).numpy()).all()
    one.classifier.bias.set_value(one.classifier.bias + 1)
    assert (one(task.example).numpy() != two(task.example).numpy()).all()


def test_pretrained_false_gives_random_weights(task):
    model = sl.load_model("vgg", task, pretrained=False, width=2)
    assert origin_of(model).kwargs["width"] == 2
    assert tuple(model(task.example).shape) == (1, 10)


def test_a_custom_task_shapes_a_random_network(noise):
    for name in ("mobilenet_v1", "resnet20", "vgg"):
        model = sl.load_model(name, noise, pretrained=False)
        assert tuple(model(noise.example).shape) == (1, 4)


def test_without_a_task_weights_are_random():
    model = sl.load_model("resnet20", width=4)
    assert origin_of(model).kwargs == {"width": 4, "num_classes": 10, "in_channels": 1, "size": 28}
    assert not model.training


def test_a_custom_task_has_no_trained_weights(noise):
    with pytest.raises(
        sl.TaskError, match=r"no weights of vgg for task 'noise'.*digits.*pretrained"
    ):
        sl.load_model("vgg", noise)


def test_trained_weights_have_their_own_width(task):
    with pytest.raises(sl.TaskError, match=r"trained with .'width': 8.*not with .'width': 16"):
        sl.load_model("vgg", task, width=16)
    assert sl.load_model("vgg", task, width=8) is not None


def test_another_task_of_the_same_name_gets_a_sentence(noise):
    import dataclasses

    with pytest.raises(sl.TaskError, match="were trained with"):
        sl.load_model("vgg", dataclasses.replace(noise, name="digits"))


def test_paddles_networks_by_name():
    model = sl.load_model("squeezenet1_0", num_classes=7)
    assert origin_of(model).kwargs == {"num_classes": 7, "pretrained": False}
    assert not model.training


def test_paddles_networks_take_the_classes_of_the_task(task):
    model = sl.load_model("resnet18", task)
    assert tuple(model.fc.weight.shape) == (512, 10)


def test_ones_own_layer_is_given_back():
    model = paddle.nn.Sequential(paddle.nn.Linear(2, 2), paddle.nn.Dropout())
    assert sl.load_model(model) is model
    assert not model[1].training


def test_unknown_names_show_the_nearest():
    with pytest.raises(sl.SlimLabError, match="Did you mean 'mobilenet_v1'"):
        sl.load_model("mobilenetv1")


def test_unknown_arguments_show_the_nearest():
    with pytest.raises(sl.SlimLabError, match="Did you mean 'width'"):
        sl.load_model("vgg", widht=3)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A copy of one file of weights and its line of the index, for damage."""
    entry = shipped.read_index()["vgg", "digits"]
    (tmp_path / entry.file).write_bytes((shipped.WEIGHTS / entry.file).read_bytes())
    shipped.write_index({("vgg", "digits"): entry}, tmp_path)
    monkeypatch.setattr(load, "read_index", lambda: shipped.read_index(tmp_path))
    monkeypatch.setattr(load, "load_weights", lambda m, e: shipped.load_weights(m, e, tmp_path))
    return tmp_path / entry.file


def test_the_copy_loads(weights, task):
    assert sl.load_model("vgg", task) is not None


@pytest.mark.parametrize("keep", [0, 0.5])
def test_a_cut_file_is_named(weights, task, keep):
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(sl.ArtifactError, match="damaged or cut off") as caught:
        sl.load_model("vgg", task)
    assert str(weights) in str(caught.value)


def test_one_changed_bit_is_found(weights, task):
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(sl.ArtifactError, match="damaged or cut off"):
        sl.load_model("vgg", task)


def test_a_missing_file_is_named(weights, task):
    weights.unlink()
    with pytest.raises(sl.ArtifactError, match="are missing"):
        sl.load_model("vgg", task)


def replace_in_index(folder, **changes):
    rows = json.loads((folder / "index.json").read_text())
    rows[0].update(changes)
    (folder / "index.json").write_text(json.dumps(rows))


def test_weights_of_another_network_are_refused(weights, task):
    replace_in_index(weights.parent, constructor="zoo:resnet20", kwargs={"width": 8, "size": 8,
                     "in_channels": 1, "num_classes": 10})  # fmt: skip
    with pytest.raises(sl.ArtifactError, match="belong to another network"):
        sl.load_model("vgg", task)


def test_a_file_that_is_no_safetensors_is_refused(weights, task):
    weights.write_bytes(b"something else")
    replace_in_index(weights.parent, sha256=shipped.sha256(b"something else"))
    with pytest.raises(sl.ArtifactError, match="not a safetensors file"):
        sl.load_model("vgg", task)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"network": "vgg"}]'])
def test_a_damaged_index_is_named(weights, task, text):
    (weights.parent / "index.json").write_text(text)
    with pytest.raises(sl.SlimLabError, match=r"index|no weights"):
        sl.load_model("vgg", task)


def test_the_model_can_be_copied(task):
    model = sl.load_model("vgg", task)
    assert (copy.deepcopy(model)(task.example).numpy() == model(task.example).numpy()).all()

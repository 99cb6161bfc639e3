"""Pairs of layers for distillation: suggested, changed by hand, trained with, written down."""

from __future__ import annotations

import paddle
import pytest
from paddle import nn

import slimlab as sl
from slimlab_widgets.jobs import inline
from slimlab_widgets.pairs import Pairing, ends
from slimlab_widgets.settings import Settings
from slimlab_widgets.workbench import Workbench


def click(bench, event, **facts):
    bench._handle_custom_msg({"event": event, **facts}, [])
    bench._publisher.flush()


def weights(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="module")
def digits():
    task = sl.load_task("digits")
    return task, sl.load_model("resnet20", task)


@pytest.fixture
def bench(digits) -> Workbench:
    task, model = digits
    made = Workbench(model, task, run=inline, scans=None, settings=Settings(images=32))
    click(made, "uniform", value=0.5)
    click(made, "prune", name="half")
    return made


def test_ends_are_blocks_once_each_with_their_shapes(digits):
    task, model = digits
    found = ends(model, task.example)
    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    assert {"stage1", "stage2", "stage3", "stage1.0", "stage2.1"} <= set(names)
    assert "stage1.2" not in names  # gives what stage1 gives
    assert dict(found)["stage2"][1:] == (4, 4)


def test_a_network_without_blocks_shows_its_layers_and_one_called_twice_does_not_count():
    class Twice(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2D(1, 4, 3), nn.Conv2D(4, 4, 1)

        def forward(self, x):
            return self.b(self.b(self.a(x)))

    assert ends(Twice(), paddle.zeros([1, 1, 6, 6])) == (("a", (4, 4, 4)),)


def test_suggested_pairs_are_the_cores(bench, digits):
    task, model = digits
    assert bench.pairs_view == {"possible": True, "name": "half"}
    click(bench, "suggest_pairs")
    view = bench.pairs_view
    expected = sl.suggest_pairs(bench.candidates[0].model, model, task.example)
    assert view["pairs"] == [[pair.student, pair.teacher] for pair in expected]
    assert {tuple(pair) for pair in view["pairs"]} >= {("stage2", "stage2")}
    for side in ("student", "teacher"):
        assert {pair[side == "teacher"] for pair in view["pairs"]} <= {
            row["layer"] for row in view[side]
        }


def test_pairs_train_and_code_and_recipe_give_the_same_weights(bench):
    click(bench, "suggest_pairs")
    click(bench, "pair", pairs=[["stage1", "stage1"], ["stage2", "stage3"]])
    click(bench, "settings", pair_loss="l2", pair_weight=0.5)
    click(bench, "fine_tune", epochs=1, learning_rate=0.004, teacher=True)
    assert bench.progress.status == "done", bench.progress.message
    losses = bench.candidates[0].deeds[-1].losses
    assert [loss.label for loss in losses[1:]] == ["l2(stage1)", "l2(stage2)"]
    # Half of the channels: they are adapted; other sizes are averaged.
    assert [(loss.adapter, loss.resize) for loss in losses[1:]] == [(True, False), (True, True)]
    expected = weights(bench.candidates[0].model)
    names: dict = {}
    paddle.seed(5)
    exec(bench.code(), names)
    assert weights(names["small"]) == expected
    made = sl.Compressor(sl.Recipe.from_yaml(bench.recipe())).run(progress=False)
    assert weights(made.model) == expected


def test_pairs_without_the_teacher_change_nothing(bench):
    click(bench, "suggest_pairs")
    click(bench, "fine_tune", epochs=1, teacher=False)
    assert bench.candidates[0].deeds[-1].losses == ()


def test_pairs_are_those_of_one_model(bench):
    click(bench, "suggest_pairs")
    click(bench, "uniform", value=0.25)
    click(bench, "prune", name="other")
    assert bench.pairs_view == {"possible": True, "name": "other"}
    click(bench, "fine_tune", epochs=1, teacher=True)
    assert len(bench.candidates[1].deeds[-1].losses) == 1


def test_what_is_no_layer_or_too_early_is_refused(bench):
    click(bench, "pair", pairs=[["stage1", "stage1"]])
    assert "Press Suggest pairs first" in bench.progress.message
    click(bench, "suggest_pairs")
    click(bench, "pair", pairs=[["stage1", "nowhere"]])
    assert "no layer 'nowhere'" in bench.progress.message
    click(bench, "settings", pair_loss="kl")
    assert bench.state.settings.pair_loss == "attention"


def test_attention_is_compared_where_channels_differ():
    pairing = Pairing("s", (("a", (4, 8, 8)),), (("b", (8, 8, 8)),), (("a", "b"),))
    (loss,) = pairing.losses("attention", 100.0)
    assert isinstance(loss, sl.AttentionTransfer)
    assert (loss.weight, loss.resize) == (100.0, False)

"""Tracing: what Paddle's program says, and that the user's model stays as it was."""

from __future__ import annotations

import paddle
import pytest
from paddle import nn
from paddle.jit.dy2static import parameter_recorder
from topologies import TOPOLOGIES, Toy, example

import slimlab as sl
from slimlab.trace import trace_program


@pytest.fixture(scope="module")
def mobilenet() -> sl.Graph:
    return sl.trace(paddle.vision.models.mobilenet_v1(), paddle.zeros([1, 3, 224, 224]))


def test_mobilenet_v1_at_224_counts_as_published(mobilenet: sl.Graph) -> None:
    assert mobilenet.macs == 568_740_352
    assert mobilenet.params == 4_231_976
    assert mobilenet.bytes == 4 * 4_253_864  # with BatchNorm's statistics


def test_mobilenet_v1_can_be_pruned_everywhere_but_at_its_outputs(mobilenet: sl.Graph) -> None:
    assert len(mobilenet.groups) == 14
    frozen = [row for row in mobilenet.coverage.rows if not row[4]]
    assert [(row[0], row[6]) for row in frozen] == [("fc", "reaches the network's output")]
    assert mobilenet.coverage.macs_share == 1.0
    assert mobilenet.group("conv2_1._depthwise_conv.0").name == "conv1.0"


def test_the_profile_is_the_papers_arithmetic(mobilenet: sl.Graph) -> None:
    table = mobilenet.profile.to_frame().set_index("layer")
    assert table.loc["conv1.0", "macs"] == 112 * 112 * 32 * 27
    assert table.loc["conv2_1._depthwise_conv.0", "macs"] == 112 * 112 * 32 * 9
    assert table.loc["conv2_1._pointwise_conv.0", "macs"] == 112 * 112 * 32 * 64
    assert table.loc["fc", "macs"] == 1024 * 1000
    assert table.loc["conv1.1", "params"] == 64
    assert table.loc["conv1.1", "bytes"] == 4 * 128
    assert table.loc["conv1.0", "output"] == [1, 32, 112, 112]
    assert table["macs"].sum() == mobilenet.macs
    assert table["bytes"].sum() == mobilenet.bytes


def test_the_model_is_left_as_it_was() -> None:
    model = TOPOLOGIES["chain"]()
    model.train()
    model.a.eval()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    sl.trace(model, example())
    assert "forward" not in vars(model)
    assert model.training
    assert not model.a.training
    assert model.b.training
    assert all((model.state_dict()[n].numpy() == v).all() for n, v in before.items())
    assert paddle.in_dynamic_mode()


def test_an_unknown_operator_freezes_what_it_touches_and_is_named() -> None:
    graph = sl.trace(TOPOLOGIES["unknown operator"](), example())
    assert graph.layers == ("b.0",)
    row = graph.coverage.to_frame().set_index("layer").loc["a.0"]
    assert not row["prunable"]
    assert "cumsum" in row["reason"]
    assert "cumsum" in str(graph.coverage)
    with pytest.raises(sl.PlanError, match=r"'a\.0' can't be pruned: operator cumsum"):
        graph.group("a.0")


def test_control_flow_over_values_is_frozen_or_refused() -> None:
    def forward(m: nn.Layer, x: paddle.Tensor) -> paddle.Tensor:
        y = m.a(x)
        picked = paddle.static.nn.cond(x.mean() > 0, lambda: y * 2, lambda: y)
        return m.fc(m.pool(picked).flatten(1))

    toy = Toy(forward, a=nn.Conv2D(3, 8, 3), pool=nn.AdaptiveAvgPool2D(1), fc=nn.Linear(8, 5))
    graph = sl.trace(toy, example())
    assert graph.groups == ()
    assert "control flow" in graph.coverage.to_frame()["reason"][0]


def test_a_model_that_cant_be_traced_is_a_sentence() -> None:
    with pytest.raises(sl.UnsupportedOpError, match=r"Toy can't be traced with an input of shape"):
        sl.trace(TOPOLOGIES["flatten to linear"](), paddle.zeros([1, 3, 9, 9]))
    with pytest.raises(
        sl.UnsupportedOpError, match=r"a\.0\.weight takes 3 channels but is given 4"
    ):
        sl.trace(TOPOLOGIES["chain"](), paddle.zeros([1, 4, 6, 6]))


def test_nothing_is_kept_of_a_network_that_cant_be_traced() -> None:
    """Paddle finds it by an address, which another program may have when it is gone: a crash."""
    kept = parameter_recorder._global_parameter_recorder

    def refuses(m: nn.Layer, x: paddle.Tensor) -> paddle.Tensor:
        y = m.a(x)
        if not paddle.in_dynamic_mode():
            raise NotImplementedError
        return y

    with pytest.raises(sl.UnsupportedOpError):
        sl.trace(Toy(refuses, a=nn.Conv2D(3, 8, 3)), example())
    assert not kept.params_dict
    assert not kept.tensor2value
    # What someone else's failed tracing left there is of no program that is traced later.
    toy = Toy(lambda m, x: m.a(x), a=nn.Conv2D(3, 8, 3))
    stale = {id(tensor): None for tensor in toy.parameters()}
    kept.tensor2value.update(dict.fromkeys(range(10), stale))
    kept.params_dict.update({number: set() for number in range(10)})
    sl.trace(toy, example())
    assert not kept.params_dict
    assert not kept.tensor2value


def test_the_example_must_be_a_tensor() -> None:
    with pytest.raises(sl.TaskError, match=r"give a paddle\.Tensor"):
        sl.trace(TOPOLOGIES["chain"](), [[1.0]])


def test_tied_layers_share_a_group() -> None:
    graph = sl.trace(TOPOLOGIES["residual"](), example())
    assert graph.group("stem.0") is graph.group("b.0") is graph.group("c.0")
    assert graph.group("a.0").layers == ("a.0",)
    assert graph.group("stem.0").layers == ("stem.0", "b.0", "c.0")


def test_flatten_gives_each_channel_its_features() -> None:
    graph = sl.trace(TOPOLOGIES["flatten to linear"](), example())
    reader = next(m for m in graph.group("b.0").members if m.parameter == "fc1.weight")
    assert reader.role == "in"
    assert reader.indices.shape == (6, 36)
    assert reader.indices[2].tolist() == list(range(72, 108))


def test_concat_gives_each_branch_its_place() -> None:
    graph = sl.trace(TOPOLOGIES["concat"](), example())
    readers = {
        group.name: next(m.indices[:, 0].tolist() for m in group.members if m.layer == "c.0")
        for group in graph.groups
        if any(m.layer == "c.0" and m.role == "in" for m in group.members)
    }
    assert readers == {
        "a.0": list(range(5)),
        "stem.0": list(range(5, 13)),
        "b.0": list(range(13, 20)),
    }


def test_nearest_names_are_shown(mobilenet: sl.Graph) -> None:
    with pytest.raises(sl.PlanError, match=r"No layer 'conv1\.9'.*Did you mean 'conv1\.0'"):
        mobilenet.group("conv1.9")


def test_repr_says_what_can_be_pruned(mobilenet: sl.Graph) -> None:
    assert "568,740,352 MACs" in repr(mobilenet)
    assert "fc (Linear): reaches the network's output" in repr(mobilenet)


def test_the_program_is_plain_data() -> None:
    program = trace_program(TOPOLOGIES["chain"](), example())
    assert [op.short for op in program.ops][:3] == ["conv2d", "batch_norm_", "relu"]
    assert program.ops[0].attributes["groups"] == 1
    assert program.ops[0].inputs[1].parameter == "a.0.weight"
    assert program.inputs[0].shape == (1, 3, 6, 6)
    assert program.outputs[0].shape == (1, 5)

"""What holds for any lowered model: names, errors, rules of one's own, constants, quantization."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import paddle
import pytest
from lowered import RELATIVE, differences, plainly, tidy
from operators import between
from paddle import Tensor, _C_ops, nn
from paddle.framework import in_dynamic_mode
from topologies import TOPOLOGIES, Toy, example, randomise_statistics

import slimlab as sl
from slimlab.lowering import LOWERINGS, lower, lowering_rule, value_name, value_names
from slimlab.trace import trace_program


@pytest.fixture
def rules() -> Iterator[None]:
    """Take back what a test registers."""
    before = dict(LOWERINGS)
    yield
    LOWERINGS.clear()
    LOWERINGS.update(before)


def lowered(model: nn.Layer, batch: int = 1) -> onnx.ModelProto:
    return lower(trace_program(model, example(batch=batch)), model)


def renormed() -> nn.Layer:
    return between(lambda m, x: paddle.renorm(x, 2.0, 1, 1.0))


def test_an_unknown_operator_is_named_with_its_line_and_the_way_out() -> None:
    with pytest.raises(sl.UnsupportedOpError) as caught:
        lowered(renormed())
    said = str(caught.value)
    assert "Operator renorm" in said
    assert "(test_lowering.py:" in said
    assert "paddle.renorm(x, 2.0, 1, 1.0)" in said
    assert '@lowering_rule("pd_op.renorm")' in said
    assert caught.value.operator == "pd_op.renorm"


@pytest.mark.usefixtures("rules")
def test_a_rule_of_ones_own_is_used() -> None:
    @lowering_rule("pd_op.renorm")
    def renorm(op, net):
        net.emit("Identity", [op.inputs[0]], op.outputs[0])

    kinds = [node.op_type for node in lowered(renormed()).graph.node]
    assert kinds.count("Identity") == 1


@pytest.mark.usefixtures("rules")
def test_a_rule_that_makes_another_shape_or_type_is_found_out() -> None:
    @lowering_rule("pd_op.renorm")
    def transposed(op, net):
        net.emit("Transpose", [op.inputs[0]], op.outputs[0], perm=[0, 2, 3, 1])

    with pytest.raises(sl.UnsupportedOpError, match=r"\[1, 6, 6, 8\] where .*\[1, 8, 6, 6\]"):
        lowered(renormed())

    @lowering_rule("pd_op.renorm")
    def truths(op, net):
        net.emit("Greater", [op.inputs[0], op.inputs[0]], op.outputs[0])

    with pytest.raises(sl.UnsupportedOpError):
        lowered(renormed())


def refused(case: Callable[[Tensor], Tensor], why: str) -> None:
    with pytest.raises(sl.UnsupportedOpError, match=why):
        lowered(Toy(lambda m, x: case(x)))


def test_what_a_rule_does_not_cover_is_refused() -> None:
    refused(lambda x: nn.functional.dropout(x, 0.5, training=True), "drops at random")
    refused(lambda x: nn.functional.interpolate(x, [1, 3], mode="bicubic"), "single pixel")
    refused(
        lambda x: nn.functional.batch_norm(x, paddle.zeros([3]), paddle.ones([3]), training=True),
        "batch",
    )
    refused(lambda x: paddle.round(x, decimals=2), "2 decimals")
    refused(lambda x: x.nonzero(), "Operator nonzero")
    refused(lambda x: x.reshape([x.argmax().astype("int32"), -1]), "no fixed size")


def test_what_the_outputs_do_not_need_is_left_out() -> None:
    toy = Toy(lambda m, x: (m.b(x).nonzero(), m.a(x))[1], a=nn.Conv2D(3, 4, 3), b=nn.ReLU())
    made = lowered(toy)
    tidy(made)
    assert [node.op_type for node in made.graph.node] == ["Conv", "Reshape", "Add"]


def test_a_program_of_another_model_is_refused() -> None:
    program = trace_program(nn.Conv2D(3, 8, 3), example())
    with pytest.raises(sl.ExportError, match=r"'weight' with shape \[8, 3, 3, 3\], which has"):
        lower(program, nn.Conv2D(3, 6, 3))
    with pytest.raises(sl.ExportError, match="which is missing"):
        lower(program, nn.Sequential(nn.Conv2D(3, 8, 3)))


def test_a_parameter_with_a_name_of_the_graphs_own_is_refused() -> None:
    toy = Toy(lambda m, x: x * m.input_0)
    toy.input_0 = toy.create_parameter([1])
    with pytest.raises(sl.ExportError, match="'input_0' has a name that is used"):
        lowered(toy)


def test_parameters_keep_their_names_and_numbers_and_are_stored_once() -> None:
    model = randomise_statistics(TOPOLOGIES["shared parameter"]())
    made = lowered(model)
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in made.graph.initializer}
    state = model.state_dict()
    named = {name for name in stored if not name.startswith("const_")}
    assert named == set(state) - {"b.weight"}
    assert all((stored[name] == state[name].numpy()).all() for name in named)
    assert len(stored) == len(made.graph.initializer)


def test_every_value_can_be_read_by_its_name() -> None:
    """The graph can be cut at any traced value: its name gives Paddle's numbers."""
    model = randomise_statistics(TOPOLOGIES["residual"]())
    program = trace_program(model, example())
    made = lower(program, model)
    names = value_names(program)
    convolutions = [op.outputs[0] for op in program.ops if op.short == "conv2d"]
    assert names[convolutions[0].id] == value_name(convolutions[0])
    infos = {info.name: info for info in made.graph.value_info}
    made.graph.output.extend(infos[names[value.id]] for value in convolutions)
    found = plainly(made, [example()])
    expected = model.stem[0](example()).numpy()
    assert np.abs(found[1] - expected).max() < RELATIVE
    assert [each.shape for each in found[1:]] == [value.shape for value in convolutions]


def test_the_same_model_gives_the_same_file() -> None:
    model = TOPOLOGIES["concat"]()
    assert lowered(model).SerializeToString() == lowered(model).SerializeToString()


def test_the_model_is_left_as_it_was() -> None:
    model = TOPOLOGIES["chain"]()
    model.train()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    lowered(model)
    assert model.training
    assert all((model.state_dict()[n].numpy() == v).all() for n, v in before.items())


# ------------------------------------------------------------------------------- quantization


class Rounded(nn.Layer):
    """A linear layer on grids of whole numbers: of its input, and of its weight's columns."""

    def __init__(self, bits: int = 8, zero: float = 0.0) -> None:
        super().__init__()
        self.bits, self.linear = bits, nn.Linear(4, 3)
        self.register_buffer("scale", paddle.to_tensor([1.5]))
        self.register_buffer("scales", self.linear.weight.abs().max(0) * 0.8)
        self.register_buffer("zero", paddle.to_tensor([zero]))
        self.register_buffer("zeros", paddle.zeros([3]))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.on_grid(self.linear.weight, self.scales, self.zeros, 1)
        return self.on_grid(x, self.scale, self.zero, -1) @ weight + self.linear.bias

    def on_grid(self, x: Tensor, scale: Tensor, zero: Tensor, axis: int) -> Tensor:
        top = 2 ** (self.bits - 1) - 1
        if in_dynamic_mode():
            return (x / scale * top).round().clip(-top - 1, top) * scale / top
        settings = (zero, zero, axis, self.bits, -top - 1, top, 0, True, False)
        whole = _C_ops.quantize_linear(x, scale, zero, *settings)[0]
        return _C_ops.dequantize_linear(whole, scale, zero, *settings)[0]


@pytest.mark.parametrize("bits", [8, 4])
def test_a_quantized_layer_computes_the_same(bits: int) -> None:
    model = Rounded(bits)
    inputs = paddle.linspace(-3, 3, 20).reshape([5, 4])
    assert max(differences(model, inputs)) < RELATIVE
    graph = lower(trace_program(model, inputs), model).graph
    kinds = [node.op_type for node in graph.node]
    # The weight is stored in int8: only the input is rounded when the network runs.
    assert (kinds.count("QuantizeLinear"), kinds.count("DequantizeLinear")) == (1, 2)
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    assert stored["linear.weight.int8"].dtype == np.int8
    assert "linear.weight" not in stored
    assert stored["linear.weight.int8"].max() == 2 ** (bits - 1) - 1


def test_a_grid_that_is_not_symmetric_is_refused() -> None:
    with pytest.raises(sl.UnsupportedOpError, match="not symmetric"):
        differences(Rounded(zero=3.0), paddle.randn([5, 4]))

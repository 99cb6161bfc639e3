"""The contract for every operator, activation and architecture: mask equals cut, or left alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle
import pytest
from architectures import ARCHITECTURES
from operators import ACTIVATIONS, OPERATORS, between
from paddle import Tensor, nn
from topologies import randomise_statistics

import slimlab as sl

RELATIVE = 1e-4
# Operators whose channels can't go without changing the others: they are left alone.
FROZEN = {
    "argmax", "bilinear", "cumulative sum", "divide by zero", "gather", "group norm, one group",
    "layer norm by hand", "local response norm", "log of zero", "mean over channels",
    "scaled by width", "branch on width", "softmax over channels", "spatial gate",
    "rms norm", "spectral norm", "strided slice", "triangle of channels", "sum of sigmoids",
    "top k", "unbind", "weight norm", "written split", "zeros",
}  # fmt: skip
# Least share of MACs that lies in prunable groups.
SHARES = {
    "efficientnet": 1.0, "regnet": 1.0, "hrnet": 1.0, "unet": 1.0, "detector": 1.0,
    "ghostnet": 1.0, "cspnet": 1.0, "res2net": 1.0, "non-local": 1.0, "tied autoencoder": 1.0,
    "swiglu": 1.0, "recurrent": 1.0, "siamese": 1.0, "selective kernel": 1.0, "sub-pixel": 1.0,
    "reshapes": 1.0, "shared weights": 1.0, "cbam": 0.96, "dpn": 0.8, "language": 0.8,
    "mixer": 0.65, "convnext": 0.6, "swin": 0.5, "vit": 0.5, "mobilevit": 0.5,
}  # fmt: skip


def tensors(made: Any) -> list[np.ndarray]:
    return [t.numpy() for t in paddle.utils.flatten(made) if isinstance(t, Tensor)]


def difference(a: nn.Layer, b: nn.Layer, inputs: Sequence[Tensor]) -> float:
    with paddle.no_grad():
        pairs = zip(tensors(a(*inputs)), tensors(b(*inputs)), strict=True)
        return max(float(np.abs(x - y).max() / (np.abs(x).max() + 1e-9)) for x, y in pairs)


def check(model: nn.Layer, example: Any, seed: int = 0) -> sl.Graph:
    inputs = example if isinstance(example, (list, tuple)) else [example]
    randomise_statistics(model).eval()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    state = [s.current_seed() if hasattr(s, "current_seed") else s for s in paddle.get_rng_state()]
    graph = sl.trace(model, example)
    after = [s.current_seed() if hasattr(s, "current_seed") else s for s in paddle.get_rng_state()]
    assert [str(s) for s in state] == [str(s) for s in after]
    rng = np.random.default_rng(seed)
    ratios = {layer: float(rng.uniform(0.1, 0.9)) for layer in graph.layers}
    plan = sl.plan_pruning(model, graph, ratios, criterion="random")
    small = sl.prune(model, plan)
    with sl.masked(model, plan) as masked_model:
        assert difference(masked_model, small, inputs) < RELATIVE
    predicted = graph.cost.totals({name: len(kept) for name, kept in plan.kept.items()})
    counted = sl.profile(small, example)
    assert (predicted.macs, predicted.params) == (counted.macs, counted.params)
    assert all((model.state_dict()[n].numpy() == value).all() for n, value in before.items())
    assert all(row[6] for row in graph.coverage.rows if not row[4]), "a layer without a reason"
    return graph


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_pruned_rightly_or_left_alone(name: str) -> None:
    graph = check(OPERATORS[name](), paddle.randn([1, 3, 6, 6]))
    assert bool(graph.groups) == (name not in FROZEN), str(graph.coverage)


@pytest.mark.parametrize("act", ACTIVATIONS, ids=lambda act: act.__name__)
def test_every_activation_keeps_its_channels(act: type[nn.Layer]) -> None:
    model = between(lambda m, x: m.act(x), act=act(1.0) if act is nn.ThresholdedReLU else act())
    assert check(model, paddle.randn([1, 3, 6, 6])).layers == ("first",)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_is_pruned_rightly(name: str) -> None:
    model, example = ARCHITECTURES[name]()
    graph = check(model, example, seed=1)
    assert graph.groups
    assert graph.coverage.macs_share >= SHARES.get(name, 0) - 1e-9, str(graph.coverage)


@pytest.mark.parametrize("name", ["vit", "unet", "regnet", "swiglu", "tied autoencoder"])
def test_a_pruned_model_is_an_ordinary_one(name: str, tmp_path: Any) -> None:
    model, example = ARCHITECTURES[name]()
    randomise_statistics(model).eval()
    for _ in range(2):  # pruned, and pruned again
        graph = sl.trace(model, example)
        plan = sl.plan_pruning(model, graph, dict.fromkeys(graph.layers, 0.3))
        model = sl.prune(model, plan)
    again = sl.load(sl.save(model, tmp_path / "small"), ARCHITECTURES[name]()[0])
    assert difference(model, again, [example]) == 0
    spec = paddle.static.InputSpec(example.shape, example.dtype)
    static = paddle.jit.to_static(again, full_graph=True, input_spec=[spec])
    paddle.jit.save(static, str(tmp_path / "exported"))
    exported = paddle.jit.load(str(tmp_path / "exported"))
    assert difference(model, exported, [example]) < RELATIVE
    model.train()
    optimizer = paddle.optimizer.SGD(0.01, parameters=model.parameters())
    loss = model(example).square().mean()
    loss.backward()
    optimizer.step()
    assert np.isfinite(float(model(example).square().mean()))


def test_a_layer_with_a_size_written_down_is_named_with_its_line() -> None:
    graph = sl.trace(OPERATORS["written split"](), paddle.randn([1, 3, 6, 6]))
    rows = graph.coverage.to_frame().set_index("layer")
    assert "written into the forward (operators.py:" in rows.loc["first", "reason"]


def test_an_unknown_operator_names_itself_its_layer_and_what_it_blocks() -> None:
    graph = sl.trace(OPERATORS["bilinear"](), paddle.randn([1, 3, 6, 6]))
    why = "operator bilinear in layer 'mix' has no channel rule"
    assert graph.coverage.blocked()[why] == ("first",)
    assert why in str(graph.coverage)
    with pytest.raises(sl.UnsupportedOpError, match="operator bilinear in layer 'mix'"):
        sl.plan_pruning(OPERATORS["bilinear"](), graph, {"first": 0.5})

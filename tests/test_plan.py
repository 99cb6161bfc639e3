from __future__ import annotations

import json

import numpy as np
import paddle
import pytest
from paddle import nn
from topologies import TOPOLOGIES, example

import slimlab as sl


@pytest.fixture(scope="module")
def chain() -> tuple[nn.Layer, sl.Graph]:
    model = TOPOLOGIES["chain"]()
    return model, sl.trace(model, example())


def test_the_weakest_channels_go(chain: tuple[nn.Layer, sl.Graph]) -> None:
    model, graph = chain
    plan = sl.plan_pruning(model, graph, {"a.0": 0.5})
    norms = np.abs(model.a[0].weight.numpy()).sum(axis=(1, 2, 3))
    assert plan.kept["a.0"] == tuple(sorted(np.argsort(norms)[4:].tolist()))
    assert plan.to_frame().to_dict("records") == [
        {"layer": "a.0", "width": 8, "kept": 4, "removed": 4}
    ]


def test_a_plan_is_json(chain: tuple[nn.Layer, sl.Graph]) -> None:
    model, graph = chain
    plan = sl.plan_pruning(model, graph, {"a.0": 0.5, "b.0": 0.25})
    again = sl.PruningPlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again.to_dict() == plan.to_dict()
    x = example(3)
    assert bool((sl.prune(model, plan)(x) == sl.prune(model, again)(x)).all())


@pytest.mark.parametrize("cut", [{}, {"kept": 3}, {"kept": {}, "widths": {}, "cuts": [[1]]}])
def test_what_is_no_plan_is_refused(cut: dict[str, object]) -> None:
    with pytest.raises(sl.ArtifactError, match="no pruning plan"):
        sl.PruningPlan.from_dict(cut)


def test_ratio_zero_changes_nothing(chain: tuple[nn.Layer, sl.Graph]) -> None:
    model, graph = chain
    plan = sl.plan_pruning(model, graph, {"a.0": 0.0})
    assert plan.cuts == ()
    x = example(3)
    model.eval()
    assert bool((sl.prune(model, plan)(x) == model(x)).all())


def test_errors_name_the_layer(chain: tuple[nn.Layer, sl.Graph]) -> None:
    model, graph = chain
    with pytest.raises(sl.PlanError, match=r"No layer 'aa\.0'.*Did you mean 'a\.0'"):
        sl.plan_pruning(model, graph, {"aa.0": 0.5})
    with pytest.raises(sl.PlanError, match=r"'a\.0' is outside \[0, 1\)"):
        sl.plan_pruning(model, graph, {"a.0": 1.2})
    with pytest.raises(sl.PlanError, match="'fc' can't be pruned: reaches the network's output"):
        sl.plan_pruning(model, graph, {"fc": 0.5})


def test_another_models_graph_or_plan_is_refused(chain: tuple[nn.Layer, sl.Graph]) -> None:
    model, graph = chain
    other = TOPOLOGIES["bias"]()
    with pytest.raises(sl.PlanError, match="traced from another model"):
        sl.plan_pruning(other, graph, {"a.0": 0.5})
    plan = sl.plan_pruning(model, graph, {"a.0": 0.5})
    with pytest.raises(sl.PlanError, match="does not have"):
        sl.prune(other, plan)
    with pytest.raises(sl.PlanError, match="made for a model whose"):
        sl.prune(sl.prune(model, plan), plan)
    with pytest.raises(sl.PlanError, match="another version"):
        sl.plan_pruning(sl.prune(model, plan), graph, {"a.0": 0.5})


class Stubborn(nn.Layer):
    """Has its number of channels written into its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2D(3, 8, 3, padding=1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = nn.functional.adaptive_avg_pool2d(nn.functional.relu(self.a(x)), 1)
        return self.fc(y.reshape([-1, 8]))


def test_a_forward_with_a_size_written_in_is_never_cut_wrongly() -> None:
    model = Stubborn()
    graph = sl.trace(model, example())
    assert graph.layers == ()
    with pytest.raises(sl.UnsupportedOpError, match=r"'a' can't be pruned: .*written into it"):
        sl.plan_pruning(model, graph, {"a": 0.5})


def test_prune_and_mask_leave_the_model_alone(chain: tuple[nn.Layer, sl.Graph]) -> None:
    model, graph = chain
    before = {n: t.numpy().copy() for n, t in model.state_dict().items()}
    plan = sl.plan_pruning(model, graph, dict.fromkeys(graph.layers, 0.5))
    small = sl.prune(model, plan)
    with sl.masked(model, plan) as masked_model:
        assert masked_model is not model
    assert all((model.state_dict()[n].numpy() == v).all() for n, v in before.items())
    assert small.a[0].weight.shape == [4, 3, 3, 3]
    small.a[0].weight.set_value(np.zeros([4, 3, 3, 3], "float32"))
    assert (model.a[0].weight.numpy() == before["a.0.weight"]).all()


def test_masked_channels_are_zero_where_they_are_made() -> None:
    model = TOPOLOGIES["chain"]()
    model.eval()
    graph = sl.trace(model, example())
    plan = sl.plan_pruning(model, graph, {"a.0": 0.5})
    removed = sorted(set(range(8)) - set(plan.kept["a.0"]))
    with sl.masked(model, plan) as masked_model:
        made = masked_model.a(example(1)).numpy()
    assert (made[:, removed] == 0).all()
    assert (made[:, list(plan.kept["a.0"])] != 0).any()


def test_trainable_and_frozen_parameters_stay_so() -> None:
    model = TOPOLOGIES["chain"]()
    model.a[0].weight.stop_gradient = True
    graph = sl.trace(model, example())
    small = sl.prune(model, sl.plan_pruning(model, graph, dict.fromkeys(graph.layers, 0.5)))
    assert small.a[0].weight.stop_gradient
    assert not small.b[0].weight.stop_gradient
    assert small.a[1]._mean.stop_gradient
    assert len(small.parameters()) == len(model.parameters())

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn
from topologies import TOPOLOGIES, Toy, randomise_statistics

import slimlab as sl
from slimlab.recalibrate import RunningAverage, batch_norms


def noise_task(images: int = 40, seed: int = 0) -> sl.Task:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, 1.0, (images, 3, 6, 6)).astype("float32")
    y = rng.integers(0, 5, images)
    return sl.Task.from_arrays(x, y, x[:10], y[:10], num_classes=5)


def statistics(model: nn.Layer) -> dict[str, np.ndarray]:
    return {
        f"{name}.{which}": np.asarray(getattr(layer, which).numpy())
        for name, layer in batch_norms(model).items()
        for which in ("_mean", "_variance")
    }


def first_norm_input(model: nn.Layer, x: paddle.Tensor) -> np.ndarray:
    return np.asarray(model.a[0](x).numpy())


def test_the_first_norm_gets_the_average_of_its_batches() -> None:
    """By hand: the mean of batch means and of batch variances (biased) of what it is given."""
    task = noise_task(40)
    model = randomise_statistics(TOPOLOGIES["chain"]())
    found = statistics(sl.recalibrate_bn(model, task, images=40, batch_size=16))
    inputs = [first_norm_input(model, x) for x, _ in task.calibration.batches(16)][:2]  # 16 and 16
    means = [x.mean(axis=(0, 2, 3)) for x in inputs]
    variances = [x.var(axis=(0, 2, 3)) for x in inputs]
    np.testing.assert_allclose(found["a.1._mean"], np.mean(means, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["a.1._variance"], np.mean(variances, axis=0), rtol=1e-4)


def test_batches_weigh_by_their_images() -> None:
    model = nn.BatchNorm2D(1)
    average = RunningAverage(model)
    average.add(paddle.full([3, 1, 2, 2], 1.0))
    average.add(paddle.full([1, 1, 2, 2], 5.0))
    assert model._mean.item() == pytest.approx(2.0)
    assert model._variance.item() == pytest.approx(0.0, abs=1e-6)


def test_what_was_there_is_forgotten() -> None:
    task = noise_task()
    model = TOPOLOGIES["residual"]()
    other = TOPOLOGIES["residual"]()
    other.set_state_dict(model.state_dict())
    randomise = np.random.default_rng(0)
    for layer in batch_norms(other).values():
        layer._mean.set_value(randomise.normal(size=layer._mean.shape).astype("float32"))
    one, two = (statistics(sl.recalibrate_bn(m, task)) for m in (model, other))
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name])


def test_a_norm_called_twice_averages_its_calls() -> None:
    model = Toy(lambda m, x: m.norm(x * 3) + m.norm(x), norm=nn.BatchNorm2D(3))
    x = paddle.ones([4, 3, 2, 2])
    RunningAverage(model).add(x)
    np.testing.assert_allclose(model.norm._mean.numpy(), 2.0, rtol=1e-6)


def test_neither_the_model_nor_its_modes_and_weights_change() -> None:
    model = randomise_statistics(TOPOLOGIES["chain"]())
    model.train()
    model.a.eval()
    before = {name: np.array(t.numpy()) for name, t in model.state_dict().items()}
    fresh = sl.recalibrate_bn(model, noise_task(), images=20, batch_size=10)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])
    modes = [layer.training for layer in model.sublayers(include_self=True)]
    assert [layer.training for layer in fresh.sublayers(include_self=True)] == modes
    assert {layer._momentum for layer in batch_norms(fresh).values()} == {0.9}
    for name, tensor in fresh.state_dict().items():
        if not name.endswith(("._mean", "._variance")):
            np.testing.assert_array_equal(tensor.numpy(), before[name])
    assert paddle.is_grad_enabled()


def test_dropout_is_off() -> None:
    model = Toy(lambda m, x: m.norm(m.drop(x)), drop=nn.Dropout(0.9), norm=nn.BatchNorm2D(3))
    model.train()
    RunningAverage(model).add(paddle.ones([8, 3, 2, 2]))
    np.testing.assert_allclose(model.norm._mean.numpy(), 1.0, rtol=1e-6)
    assert model.drop.training


def test_frozen_statistics_stay() -> None:
    model = nn.Sequential(nn.BatchNorm2D(3, use_global_stats=True), nn.BatchNorm2D(3))
    RunningAverage(model).add(paddle.full([4, 3, 2, 2], 7.0))
    np.testing.assert_array_equal(model[0]._mean.numpy(), 0.0)
    np.testing.assert_allclose(model[1]._mean.numpy(), 7.0, rtol=1e-4)


def test_masked_and_cut_get_the_same_statistics() -> None:
    task = noise_task()
    model = randomise_statistics(TOPOLOGIES["residual"]())
    graph = sl.trace(model, task.example)
    plan = sl.plan_pruning(model, graph, sl.uniform_ratios(graph, ratio=0.4))
    small = sl.recalibrate_bn(sl.prune(model, plan), task)
    with sl.masked(model, plan) as whole:
        x = task.example
        again = sl.recalibrate_bn(whole, task)
        again.eval()
        small.eval()
        np.testing.assert_allclose(again(x).numpy(), small(x).numpy(), rtol=1e-3, atol=1e-4)


def test_a_stop_gives_what_was_seen_until_then() -> None:
    task = noise_task(40)
    model = randomise_statistics(TOPOLOGIES["chain"]())
    steps = sl.iter_recalibrate_bn(model, task, images=40, batch_size=10)
    assert next(steps).total == 4
    stopped = statistics(sl.finish_early(steps))
    one = statistics(sl.recalibrate_bn(model, task, images=10, batch_size=10))
    for name, value in one.items():
        np.testing.assert_array_equal(stopped[name], value)


@pytest.mark.parametrize(("images", "batch"), [(1, 64), (8, 1)])
def test_one_image_has_no_variance(images: int, batch: int) -> None:
    with pytest.raises(sl.TaskError, match="a variance needs two or more"):
        sl.recalibrate_bn(TOPOLOGIES["chain"](), noise_task(), images=images, batch_size=batch)

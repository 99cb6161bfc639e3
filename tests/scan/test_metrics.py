"""What a scan says in each metric is what the cut model gives, computed here with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import slimlab as sl
from slimlab.scan.scoring import KL, Scoring
from slimlab.task import LOSS

IMAGES, RATIO = 120, 0.8
Logits = np.ndarray


def log_softmax(logits: Logits) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def kl(before: Logits, after: Logits, labels: np.ndarray) -> float:
    """KL(whole || pruned): the whole network's distribution is the truth."""
    p = log_softmax(before)
    return float((np.exp(p) * (p - log_softmax(after))).sum(axis=1).mean())


def loss(before: Logits, after: Logits, labels: np.ndarray) -> float:
    picked = np.arange(len(labels)), labels
    return float((log_softmax(before)[picked] - log_softmax(after)[picked]).mean())


def top5(before: Logits, after: Logits, labels: np.ndarray) -> float:
    def right(logits: Logits) -> np.ndarray:
        own = logits[np.arange(len(labels)), labels]
        return (logits > own[:, None]).sum(axis=1) < 5

    return float(100 * (right(before).mean() - right(after).mean()))


def margin(before: Logits, after: Logits, labels: np.ndarray) -> float:
    return float((before.max(axis=1) - after.max(axis=1)).mean())


MARGIN = sl.Metric("margin", lambda logits, labels: logits.max(axis=1), unit="", scale=1.0)


@pytest.fixture(scope="module")
def logits(
    vgg: paddle.nn.Layer, digits: sl.Task, vgg_graph: sl.Graph
) -> dict[str, tuple[Logits, Logits, np.ndarray]]:
    """Give logits of the whole network, those of it with a layer cut, and labels; by layer."""
    x, labels = next(iter(digits.test.batches(IMAGES)))

    def run(model: paddle.nn.Layer) -> Logits:
        model.eval()
        with paddle.no_grad():
            made: Logits = model(x).numpy()
        return made

    found = {}
    for layer in vgg_graph.layers[::3]:
        cut = sl.prune(vgg, sl.plan_pruning(vgg, vgg_graph, {layer: RATIO}))
        found[layer] = (run(vgg), run(cut), labels.numpy())
    return found


@pytest.mark.parametrize("runtime", ["onnxruntime", "paddle"])
@pytest.mark.parametrize(("name", "oracle"), [("kl", kl), ("loss", loss), ("top5", top5)])
def test_a_metric_is_that_of_the_cut_model(
    vgg: paddle.nn.Layer,
    digits: sl.Task,
    logits: dict[str, Any],
    name: str,
    oracle: Callable[..., float],
    runtime: str,
) -> None:
    scan = sl.scan_sensitivity(
        vgg, digits, ratios=[RATIO], images=IMAGES, metric=name, runtime=runtime, progress=False
    )
    assert scan.metric == name
    assert scan.higher_is_better is (name == "top5")
    for layer, pair in logits.items():
        (cell,) = scan.curve(layer)
        assert cell.drop == pytest.approx(oracle(*pair), rel=1e-3, abs=1e-5)
        assert cell.low <= cell.drop <= cell.high
        assert scan.value(cell.drop) == pytest.approx(cell.metric, rel=1e-5, abs=1e-5)
    assert max(cell.drop for cell in scan.cells) > 0


def test_a_users_metric(vgg: paddle.nn.Layer, digits: sl.Task, logits: dict[str, Any]) -> None:
    task = replace(digits, metrics=(*digits.metrics, MARGIN))
    scan = sl.scan_sensitivity(
        vgg, task, ratios=[RATIO], images=IMAGES, metric="margin", progress=False
    )
    for layer, pair in logits.items():
        assert scan.curve(layer)[0].drop == pytest.approx(margin(*pair), rel=1e-3)


def test_an_unknown_metric_is_a_sentence(vgg: paddle.nn.Layer, digits: sl.Task) -> None:
    with pytest.raises(sl.TaskError, match=r"no metric 'los'. Did you mean 'loss'\?"):
        sl.scan_sensitivity(vgg, digits, metric="los", progress=False)


# ------------------------------------------------------------------------------ the divergence

POINTS = arrays(np.float32, (4, 10), elements=st.floats(-30, 30, width=32))


@given(before=POINTS, after=POINTS)
def test_the_divergence_is_nats_from_the_whole_network(
    before: np.ndarray, after: np.ndarray, digits: sl.Task
) -> None:
    scoring, labels = Scoring.of(digits, "kl"), paddle.zeros([4], dtype="int64")
    found = scoring.after(after, labels, before)
    assert float(found.mean()) == pytest.approx(kl(before, after, np.zeros(4)), rel=1e-3, abs=1e-4)
    assert (found >= -1e-4).all()
    assert scoring.after(before, labels, before) == pytest.approx(np.zeros(4), abs=1e-5)
    assert (scoring.before(before, labels) == 0).all()


def test_its_direction(digits: sl.Task) -> None:
    """Sure where the whole network wasn't: by hand, KL(p || q) = log(1 / (2 sqrt(q (1 - q))))."""
    even, sure = np.full((1, 10), -99, np.float32), np.full((1, 10), -99, np.float32)
    even[0, :2] = 0
    sure[0, :2] = np.log([0.99, 0.01])
    scoring, labels = Scoring.of(digits, "kl"), paddle.zeros([1], dtype="int64")
    assert scoring.metric is KL
    expected = -np.log(2 * np.sqrt(0.99 * 0.01))
    assert scoring.after(sure, labels, even)[0] == pytest.approx(expected, rel=1e-5)
    other = 0.99 * np.log(0.99 / 0.5) + 0.01 * np.log(0.01 / 0.5)
    assert scoring.after(even, labels, sure)[0] == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_a_sentence(digits: sl.Task, bad: float) -> None:
    """NaN stands for what was not measured: such a score would be lost without a word."""
    broken = sl.Metric("broken", lambda logits, labels: logits[:, 0] * bad, higher_is_better=False)
    scoring = Scoring(replace(digits, metrics=(broken, LOSS)), broken)
    logits, labels = np.ones((3, 10), np.float32), paddle.zeros([3], dtype="int64")
    with pytest.raises(sl.TaskError, match="for the whole network: use another metric"):
        scoring.before(logits, labels)
    with pytest.raises(sl.TaskError, match="for a pruned network: use another metric"):
        scoring.after(logits, labels, logits)

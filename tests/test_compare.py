from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import paddle
import pytest
from tables import trial

import slimlab as sl


def test_pareto_by_hand() -> None:
    comparison = sl.compare(
        [
            trial("baseline", 90, 100, 100),
            trial("better in all", 91, 50, 50),
            trial("small and weak", 60, 10, 10),
            trial("dominated", 60, 20, 10),
            trial("twin of the small", 60, 10, 10),
        ]
    )
    table = comparison.to_frame()
    assert table["pareto"].tolist() == [False, True, True, False, True]
    assert table["drop"].tolist() == [0, -1, 30, 30, 30]


def test_a_loss_is_better_when_lower() -> None:
    def by_loss(name: str, loss: float) -> sl.Trial:
        made = trial(name, 0, 10, 10)
        scores = sl.Scores({"loss": loss}, 100)
        return replace(made, scores=scores, metric="loss", higher_is_better=False)

    table = sl.compare([by_loss("baseline", 0.5), by_loss("worse", 0.8)]).to_frame()
    assert table["drop"].tolist() == pytest.approx([0, 0.3])
    assert table["pareto"].tolist() == [True, False]


def test_a_measured_trial_holds_what_was_measured(
    vgg: paddle.nn.Layer, digits: sl.Task, tmp_path: Path
) -> None:
    made = sl.measure_trial("baseline", vgg, digits, images=100)
    assert made.value == sl.evaluate(vgg, digits, images=100)["top1"]
    assert made.profile.macs == sl.profile(vgg, digits.example).macs
    assert made.bytes == (sl.save(vgg, tmp_path / "m") / "model.safetensors").stat().st_size
    assert made.latency is not None
    assert made.latency.batch == 32
    assert made.model is vgg
    row = sl.compare([made]).to_frame().iloc[0]
    assert (row["name"], row["params"]) == ("baseline", made.profile.params)
    assert row["latency_low"] <= row["latency_ms"] <= row["latency_high"]


def test_stopped_during_latency_the_scores_are_kept(vgg: paddle.nn.Layer, digits: sl.Task) -> None:
    steps = sl.iter_measure_trial("baseline", vgg, digits, images=100)
    for step in steps:
        if "latency" in step.label:
            break
    made = sl.finish_early(steps)
    assert made.latency is None
    assert made.scores.images == 100


def test_nonsense_is_refused() -> None:
    with pytest.raises(sl.PlanError, match="nothing to compare"):
        sl.compare([])
    with pytest.raises(sl.PlanError, match="called 'a'"):
        sl.compare([trial("a", 1, 1, 1), trial("a", 1, 1, 1)])
    other = replace(trial("b", 1, 1, 1), metric="loss")
    with pytest.raises(sl.PlanError, match="different metrics"):
        sl.compare([trial("a", 1, 1, 1), other])

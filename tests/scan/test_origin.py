"""A user's metric is known by what it computes, not by its name alone."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

import slimlab as sl
from slimlab.scan.origin import origin_of
from slimlab.task import LOSS, TOP1, TOP5

ASKED = {"ratios": [0.8], "images": 40, "metric": "mine", "progress": False}
DEFINED = """
import slimlab as sl
from slimlab.scan.origin import origin_of
def score(logits, labels, words=frozenset("abc")):
    return logits.max(axis=1) if "max" in {"max", "min", "mean"} else logits.min(axis=1)
print(origin_of(sl.Metric("mine", score))["metric_code"])
"""


class Weighted:
    def __init__(self, weights: Any) -> None:
        self.weights = weights

    def __call__(self, logits: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
        return (logits * self.weights).sum(axis=1)


def power(logits: paddle.Tensor, labels: paddle.Tensor, *, exponent: int) -> paddle.Tensor:
    return logits.max(axis=1) ** exponent


def scaled(factor: Any) -> Any:
    return lambda logits, labels: logits.max(axis=1) * factor


def origin(function: Any) -> dict[str, str]:
    return origin_of(sl.Metric("mine", function, unit="", scale=1.0))


@pytest.mark.parametrize(
    ("make", "one", "other"),
    [
        (scaled, 1.0, 2.0),
        (scaled, np.ones(3), np.r_[1.0, 1.0, 2.0]),
        (scaled, paddle.ones([2]), paddle.zeros([2])),
        (scaled, {"a": [1, 2]}, {"a": [1, 3]}),
        (Weighted, 1.0, 2.0),
        (lambda n: functools.partial(power, exponent=n), 1, 2),
        (lambda n: eval(f"lambda logits, labels: logits.max(axis={n})"), 0, 1),
        (lambda n: eval(f"lambda logits, labels: logits.{n}(axis=1)"), "max", "min"),
    ],
)
def test_code_and_values_count(make: Any, one: Any, other: Any) -> None:
    assert origin(make(one)) == origin(make(one))
    assert origin(make(one)) != origin(make(other))


def test_what_a_metric_reads_outside_itself_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = origin(lambda logits, labels: power(logits, labels, exponent=ASKED["images"]))
    monkeypatch.setitem(ASKED, "images", 41)
    after = origin(lambda logits, labels: power(logits, labels, exponent=ASKED["images"]))
    assert before != after


def test_own_metrics_are_known_by_their_names() -> None:
    assert [origin_of(metric) for metric in (TOP1, TOP5, LOSS)] == [{}, {}, {}]


def test_every_process_gives_the_same() -> None:
    """Words are hashed anew in each process, and addresses differ."""
    run = [sys.executable, "-c", DEFINED]
    found = {subprocess.run(run, capture_output=True, check=True).stdout for _ in range(2)}
    assert len(found) == 1


def test_a_changed_metric_is_not_answered_from_the_file(
    tmp_path: Path, vgg: paddle.nn.Layer, digits: sl.Task
) -> None:
    def task(factor: float) -> sl.Task:
        return replace(digits, metrics=(sl.Metric("mine", scaled(factor), unit="", scale=1.0),))

    path = tmp_path / "a.scan"
    first = sl.scan_sensitivity(vgg, task(1.0), path=path, **ASKED)
    assert sl.scan_sensitivity(vgg, task(1.0), path=path, **ASKED) == first
    with pytest.raises(sl.ArtifactError, match="its metric's function differs"):
        sl.scan_sensitivity(vgg, task(2.0), path=path, **ASKED)
    assert sl.load_scan(path) == first
    with pytest.raises(sl.ArtifactError, match=r"known scan .* its metric's function differs"):
        sl.scan_sensitivity(vgg, task(2.0), known=first, **ASKED)
    again = sl.scan_sensitivity(vgg, task(1.0), known=first, **ASKED)
    assert again == first == sl.Sensitivity.from_dict(first.to_dict())

"""Ordinary Paddle scripts become compression runs by at most five lines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

import slimlab as sl

SCRIPTS = Path(__file__).resolve().parents[1] / "docs" / "scripts"
MARK = "# added"


def run(text: str, folder: Path) -> str:
    """Run a script's text in a folder of its own, beside the recipe; what it wrote."""
    folder.mkdir(exist_ok=True)
    (folder / "script.py").write_text(text)
    (folder / "recipe.yaml").write_text((SCRIPTS / "recipe.yaml").read_text())
    found = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


def accuracies(words: str) -> list[float]:
    return [float(number) for number in re.findall(r"accuracy ([\d.]+)", words)]


def without(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.endswith(MARK)) + "\n"


@pytest.mark.parametrize("name", ["plain_loop.py", "model_fit.py"])
def test_at_most_five_lines_and_the_rest_is_ordinary(name):
    lines = (SCRIPTS / name).read_text().split('"""', 2)[2].splitlines()
    added = [line for line in lines if line.endswith(MARK)]
    assert 1 <= len(added) <= 5
    assert not any(";" in line for line in added), "one statement a line"
    rest = "\n".join(line for line in lines if line not in added)
    assert "slimlab" not in rest
    assert not re.search(r"\bsl\.", rest)


def test_a_plain_loop(tmp_path):
    text = (SCRIPTS / "plain_loop.py").read_text()
    before, after = accuracies(run(text, tmp_path / "with"))
    assert before > 95
    assert after > before - 2
    small = paddle.load(str(tmp_path / "with" / "model.pdparams"))
    (alone, _) = accuracies(run(without(text), tmp_path / "without"))
    assert alone == before, "what comes before the added lines is as it was"
    large = paddle.load(str(tmp_path / "without" / "model.pdparams"))
    sizes = [sum(np.prod(tensor.shape) for tensor in state.values()) for state in (small, large)]
    assert sizes[0] < 0.7 * sizes[1]


def test_paddle_model_fit(tmp_path):
    text = (SCRIPTS / "model_fit.py").read_text()
    words = run(text, tmp_path)
    (before,) = accuracies(words)
    assert before > 95
    assert "half-int8" in words
    result = tmp_path / "run" / "result"
    frame = sl.Recipe.from_yaml(result / "report" / "recipe.yaml")
    assert [strategy.strategy for strategy in frame.strategies] == ["prune", "distill", "quantize"]
    rows = [line.split() for line in words.splitlines() if re.match(r"\d", line)]
    top1, macs = ([float(row[place]) for row in rows] for place in (2, 4))
    assert top1[0] == pytest.approx(before, abs=0.1)
    assert top1[1] > top1[0] - 2
    assert macs[1] < 0.52 * macs[0]
    assert run(text, tmp_path) == words, "the same script goes on, which here means: it is done"

"""A scan that is killed at any moment goes on where it was, and ends with the same table."""

from __future__ import annotations

from pathlib import Path

import paddle
import pytest
from killing import Killer

import slimlab as sl
from slimlab.scan import setup

SCAN = """
import sys
import slimlab as sl
from slimlab.scan import setup
setup.MOST = 32
task = sl.load_task("digits")
model = sl.load_model("vgg", task)
for step in sl.iter_scan_sensitivity(model, task, images=128, path=sys.argv[1]):
    print(step.done, flush=True)
"""
STEPS = 4 * (7 * 9 + 1)  # chunks times cells, and the whole network


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(
    kills: int,
    tmp_path: Path,
    vgg: paddle.nn.Layer,
    digits: sl.Task,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setup, "MOST", 32)
    path = tmp_path / "killed.scan"
    killer, before, cut_off = Killer(SCAN, [path]), 0, 0
    for _ in range(kills):
        life = killer.kill(STEPS / kills)
        kept = sum(cell.images for cell in sl.load_scan(path).cells)
        announced = max(life.said, default=before)
        assert kept >= announced >= before, "what was announced is on disk, and nothing is lost"
        before, cut_off = announced, cut_off + (bool(life.said) and not life.over)
    assert cut_off, "no process was killed while it scanned"
    again = sl.scan_sensitivity(vgg, digits, images=128, path=path, progress=False)
    assert again == sl.scan_sensitivity(vgg, digits, images=128, progress=False)
    assert again.exact

"""A scan that is killed at any moment goes on where it was, and ends with the same table."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import paddle
import pytest

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


def killed(path: Path, after: float) -> tuple[int, bool]:
    """Scan in a process and kill it so long after its first step: images announced, and whether
    it had come to its end before.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", SCAN, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert child.stdout is not None
    assert child.stderr is not None
    first = child.stdout.readline()
    assert first, child.stderr.read()
    time.sleep(after)
    over = child.poll() is not None
    child.send_signal(signal.SIGKILL)
    said = [first, *child.stdout.readlines()]
    child.wait()
    child.stdout.close()
    child.stderr.close()
    whole = [line for line in said if line.endswith("\n")]
    return int(whole[-1]), over


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
    moments = random.Random(0)
    before, ended = 0, 0
    for _ in range(kills):
        announced, over = killed(path, moments.uniform(0, 0.6 / kills))
        kept = sum(cell.images for cell in sl.load_scan(path).cells)
        assert kept >= announced >= before, "what was announced is on disk, and nothing is lost"
        before, ended = announced, ended + over
    assert ended < kills, "every process had come to its end before it was killed"
    again = sl.scan_sensitivity(vgg, digits, images=128, path=path, progress=False)
    assert again == sl.scan_sensitivity(vgg, digits, images=128, progress=False)
    assert again.exact

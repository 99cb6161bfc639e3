"""A run that is killed at any moment goes on, and ends with the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compressing import DISTILL, PRUNE, TUNE, compress, recipe, same

import slimlab as sl

RUN = """
import sys
sys.path.insert(0, sys.argv[2])
import slimlab as sl
from compressing import network, task
recipe = sl.Recipe.from_yaml(sys.argv[3])
compressor = sl.Compressor(recipe, network(), task(), folder=sys.argv[1])
for step in compressor.iter_run():
    print(step.done, flush=True)
"""
STEPS = recipe(
    {**PRUNE, "method": "sensitivity", "steps": 2, "end_epoch": 2, "scan": {"ratios": [0.3, 0.6]}},
    {**DISTILL, "start_epoch": 2, "end_epoch": 4},
    {**TUNE, "start_epoch": 4, "end_epoch": 5},
    {"strategy": "quantize", "start_epoch": 5, "end_epoch": 7, "activation": "range_abs_max"},
    checkpoint={"steps": 1},
)


def killed(folder: Path, after: float, recipe_file: Path) -> tuple[int, int, bool]:
    """Run in a process and kill it so long after its first step: the first and the last training
    step it announced, and whether it had come to its end before.
    """
    support = Path(__file__).resolve().parents[1] / "support"
    child = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), str(support), str(recipe_file)],
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
    return int(first), int(whole[-1]), over


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(kills: int, tmp_path: Path) -> None:
    file, folder = tmp_path / "steps.yaml", tmp_path / "run"
    file.write_text(STEPS.to_yaml())
    moments = random.Random(0)
    last, ended = 0, 0
    for _ in range(kills):
        first, announced, over = killed(folder, moments.uniform(0, 2.4 / kills), file)
        assert first >= last - 1, "at most the step under way is done again"
        last, ended = announced, ended + over
    assert ended < kills, "every process had come to its end before it was killed"
    again, whole = compress(STEPS, folder), compress(STEPS)
    assert same(again.model, whole.model)
    assert again.history == whole.history
    assert same(sl.load(folder / "result" / "model", model=_fresh()), whole.model)


def _fresh():
    from compressing import network

    return network()

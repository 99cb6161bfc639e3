"""A run that is killed at any moment goes on, and ends with the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest
from compressing import DISTILL, PRUNE, TUNE, compress, recipe, same
from killing import Killer

import slimlab as sl

RUN = """
import sys
import slimlab as sl
from compressing import network, task
recipe = sl.Recipe.from_yaml(sys.argv[2])
workers = int(sys.argv[3])
compressor = sl.Compressor(recipe, network(), task(), folder=sys.argv[1], workers=workers)
for step in compressor.iter_run():
    print(step.done, flush=True)
"""
LINES = 49  # steps of the whole run, as it announces them
STEPS = recipe(
    {**PRUNE, "method": "sensitivity", "steps": 2, "end_epoch": 2, "scan": {"ratios": [0.3, 0.6]}},
    {**DISTILL, "start_epoch": 2, "end_epoch": 4},
    {**TUNE, "start_epoch": 4, "end_epoch": 5},
    {"strategy": "quantize", "start_epoch": 5, "end_epoch": 7, "activation": "range_abs_max"},
    checkpoint={"steps": 1},
)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(kills: int, workers: int, tmp_path: Path) -> None:
    """Of two workers the leader, the other, or both."""
    file, folder = tmp_path / "steps.yaml", tmp_path / "run"
    file.write_text(STEPS.to_yaml())
    killer, last, cut_off = Killer(RUN, [folder, file, workers], crew=workers > 1), 0, 0
    for _ in range(kills):
        life = killer.kill(LINES / kills)
        if life.said:
            assert life.said[0] >= last - 1, "at most the step under way is done again"
            last, cut_off = life.said[-1], cut_off + (not life.over)
        if life.victim == "other":  # code 0: it was killed when its part was done
            assert "Worker 1 died" in life.words or life.code == 0
    assert cut_off, "no process was killed while it ran"
    again, whole = compress(STEPS, folder, workers=workers), compress(STEPS, workers=workers)
    assert same(again.model, whole.model)
    assert again.history == whole.history
    assert same(sl.load(folder / "result" / "model", model=_fresh()), whole.model)


def _fresh():
    from compressing import network

    return network()

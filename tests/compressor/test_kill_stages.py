"""Twenty kills over a whole run: scans, pruning, training, quantization, exports, writing."""

from __future__ import annotations

from pathlib import Path

import pytest
from compressing import DISTILL, PRUNE, compress, network, recipe, same, task
from killing import Killer

import slimlab as sl

STAGES = ("evaluate", "prune", "epoch", "quantize", "measure before", "measure")
RUN = f"""
import sys
import slimlab as sl
from compressing import network, task
stages = {STAGES}
recipe = sl.Recipe.from_yaml(sys.argv[2])
for step in sl.Compressor(recipe, network(), task(), folder=sys.argv[1]).iter_run():
    kind = next(i for i, stage in enumerate(stages) if step.label.startswith(stage))
    print(100 * step.done + kind, flush=True)
"""
STEPS = recipe(
    {**PRUNE, "method": "sensitivity", "steps": 2, "end_epoch": 2, "scan": {"ratios": [0.3, 0.6]}},
    {**DISTILL, "start_epoch": 2, "end_epoch": 4},
    {"strategy": "quantize", "start_epoch": 4, "end_epoch": 6, "activation": "range_abs_max"},
    checkpoint={"steps": 1},
    export=["onnx-int8"],
)
KILLS = 20
AIMED = {12: "quantize", 18: "measure before", 19: "measure"}  # stages of few lines


@pytest.mark.slow
def test_kills_reach_every_stage(tmp_path: Path) -> None:
    file, folder = tmp_path / "steps.yaml", tmp_path / "run"
    file.write_text(STEPS.to_yaml())
    lines = sum(1 for _ in sl.Compressor(STEPS, network(), task(), output=tmp_path).iter_run())
    killer = Killer(RUN, [folder, file])
    last, reached, half_written = 0, [], 0
    for number in range(KILLS):
        aim = AIMED.get(number)
        until = None if aim is None else lambda said, aim=aim: STAGES[said % 100] == aim
        life = killer.kill(2 * lines / KILLS, until)
        if life.said:
            assert life.said[0] // 100 >= last - 1, "at most the step under way is done again"
            last = life.said[-1] // 100
            reached += [] if life.over else [STAGES[life.said[-1] % 100]]
        half_written += len(list(folder.rglob(".*.tmp"))) > 0
    again = sl.Compressor(STEPS, network(), task(), folder=folder).run(progress=False)
    whole = compress(STEPS, output=tmp_path / "whole")
    assert same(again.model, whole.model)
    assert again.history == whole.history
    assert list(folder.rglob(".*")) == [], "what was half-written is gone"
    result = folder / "result"
    assert same(sl.load(result / "model", model=network()), whole.model)
    exported = (result / "onnx-int8" / "model.onnx").read_bytes()
    assert exported == (tmp_path / "whole" / "onnx-int8" / "model.onnx").read_bytes()
    assert {"prune", "epoch", "quantize", "measure before", "measure"} <= set(reached), reached
    assert half_written, "no kill came while a folder was written"
